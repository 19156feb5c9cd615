// Evidence as text, for a clock that sleeps and for replays in years to come.
import { isJsonObject } from '../../engine/json.ts'
import type { Mixture } from '../../statistics/guard-mixture.ts'
import type { Evidence, GuardEvidence } from './evidence.ts'
import type { Life } from './life.ts'
import type { Shares } from './sample-ratio.ts'
import { type Arm, armName } from './slots.ts'
import type { BothTallies, Tally } from './tallies.ts'
import type { Track } from './track.ts'

/** Texts of another version are not read. */
const VERSION = 1

type Packed = readonly unknown[]

/** JSON has no infinity: nothing yet is null. */
const toPacked = (logs: readonly number[]) =>
  logs.map((log) => (log === Number.NEGATIVE_INFINITY ? null : log))

const packTally = ({ hits, units, mostUnits }: Tally): Packed => [hits, units, mostUnits]

const packTallies = ({ treatment, control }: BothTallies): Packed => [
  packTally(treatment),
  packTally(control),
]

function packTrack({ mixture, peak, lowest, lowestAfter }: Track): Packed {
  return [mixture.blocks, mixture.logE, toPacked(mixture.logSR), peak, lowest, lowestAfter]
}

function packGuard({ track, granted, safe, window, peak, brokenAfter, ...tallies }: GuardEvidence): Packed {
  return [
    packTallies(tallies),
    track && packTrack(track),
    granted && packTrack(granted),
    safe && [safe.logE, safe.granted, safe.peak],
    window.map(({ block, hits, units }) => [block, hits, units]),
    peak,
    brokenAfter,
  ]
}

function packArm({ stratum, arm, entered, live, atRisk }: Arm): Packed {
  return [stratum, arm, entered, live, [...atRisk]]
}

function packShares({ closed, open, peak, firsts }: Shares): Packed {
  const byStratum = Array.from(firsts, ([name, { treatment, control, share }]) => {
    return [name, treatment, control, share]
  })
  return [closed, open, peak, byStratum]
}

/** Evidence as text. */
export function packEvidence(evidence: Evidence): string {
  const { startedAt, through, epoch, stage, epochs, arms, guards, units, shares, life } = evidence
  return JSON.stringify({
    version: VERSION,
    startedAt,
    through,
    epoch,
    stage,
    epochs,
    arms: [...arms.values()].map(packArm),
    guards: Array.from(guards, ([key, guard]) => [key, packGuard(guard)]),
    units: packTallies(units),
    shares: packShares(shares),
    life: [packTrack(life.track), life.beats, life.lastAfter],
  })
}

/** What was packed is not as it should be: thrown and caught in here, so that reading needs no answer for each part. */
class Unreadable extends Error {}

function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Unreadable()
  return value
}

function number(value: unknown): number {
  if (typeof value !== 'number') throw new Unreadable()
  return value
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new Unreadable()
  return value
}

const numbers = (value: unknown) => list(value).map(number)
const logs = (value: unknown) =>
  list(value).map((log) => (log === null ? Number.NEGATIVE_INFINITY : number(log)))
const numberOrNull = (value: unknown) => (value === null ? null : number(value))

function parseTally(value: unknown): Tally {
  const [hits, units, mostUnits] = list(value)
  return { hits: number(hits), units: number(units), mostUnits: number(mostUnits) }
}

function parseTallies(value: unknown): BothTallies {
  const [treatment, control] = list(value)
  return { treatment: parseTally(treatment), control: parseTally(control) }
}

function parseTrack(value: unknown): Track {
  const [blocks, logE, logSR, peak, lowest, lowestAfter] = list(value)
  const mixture: Mixture = { blocks: number(blocks), logE: numbers(logE), logSR: logs(logSR) }
  return {
    mixture,
    peak: number(peak),
    lowest: numbers(lowest),
    lowestAfter: numbers(lowestAfter),
  }
}

function parseSafe(value: unknown): GuardEvidence['safe'] {
  if (value === null) return null
  const [logE, granted, peak] = list(value)
  return { logE: numbers(logE), granted: granted === null ? null : numbers(granted), peak: number(peak) }
}

function parseGuard(value: unknown): GuardEvidence {
  const [tallies, track, granted, safe, window, peak, brokenAfter] = list(value)
  return {
    ...parseTallies(tallies),
    track: track === null ? null : parseTrack(track),
    granted: granted === null ? null : parseTrack(granted),
    safe: parseSafe(safe),
    window: list(window).map((span) => {
      const [block, hits, units] = list(span)
      return { block: number(block), hits: number(hits), units: number(units) }
    }),
    peak: numberOrNull(peak),
    brokenAfter: numberOrNull(brokenAfter),
  }
}

function parseArm(value: unknown): Arm {
  const [stratum, arm, entered, live, atRisk] = list(value)
  const sets = list(atRisk).map((set) => {
    const [metric, units] = list(set)
    return [text(metric), number(units)] as const
  })
  return {
    stratum: text(stratum),
    arm: text(arm),
    entered: number(entered),
    live: number(live),
    atRisk: new Map(sets),
  }
}

function parseShares(value: unknown): Shares {
  const [closed, open, peak, byStratum] = list(value)
  const firsts = list(byStratum).map((one) => {
    const [name, treatment, control, share] = list(one)
    return [
      text(name),
      { treatment: number(treatment), control: number(control), share: number(share) },
    ] as const
  })
  return { closed: number(closed), open: number(open), peak: number(peak), firsts: new Map(firsts) }
}

function parseLife(value: unknown): Life {
  const [track, beats, lastAfter] = list(value)
  return { track: parseTrack(track), beats: number(beats), lastAfter: number(lastAfter) }
}

function parseParts(packed: string): Evidence {
  const value: unknown = JSON.parse(packed)
  if (!isJsonObject(value) || value.version !== VERSION) throw new Unreadable()
  const arms = list(value.arms).map(parseArm)
  const guards = list(value.guards).map((one) => {
    const [key, guard] = list(one)
    return [text(key), parseGuard(guard)] as const
  })
  return {
    startedAt: number(value.startedAt),
    through: number(value.through),
    epoch: number(value.epoch),
    stage: number(value.stage),
    epochs: number(value.epochs),
    arms: new Map(arms.map((arm) => [armName(arm.stratum, arm.arm), arm])),
    guards: new Map(guards),
    units: parseTallies(value.units),
    shares: parseShares(value.shares),
    life: parseLife(value.life),
  }
}

/** Reads what `packEvidence` wrote; undefined when it cannot be read, so that the evidence must be made anew. */
export function parseEvidence(packed: string): Evidence | undefined {
  try {
    return parseParts(packed)
  } catch (error) {
    if (error instanceof Unreadable || error instanceof SyntaxError) return undefined
    throw error
  }
}
