// What evidence says now, in numbers and in words. Pure.
import { logEvidence } from '../../statistics/guard-mixture.ts'
import { BLOCK_MS } from '../../telemetry/counting/blocks.ts'
import type { ArmTotals } from '../../telemetry/counting/totals.ts'
import { sayDuration } from '../durations.ts'
import { grantedPercentage, reachedAudiences } from '../grants.ts'
import type { ArmCount, GuardReading, Reading } from '../observations.ts'
import { blocksTaken, type Evidence, type GuardEvidence, NO_EVIDENCE } from './evidence.ts'
import { readLife } from './life.ts'
import { readMeans } from './means.ts'
import { type Ground, type Method, type Process, processesOf } from './processes.ts'
import { readShares } from './sample-ratio.ts'
import { treatedAtRisk } from './slots.ts'
import { toArmCount } from './tallies.ts'
import { beginningOf, bothAfter, evidenceAfter } from './track.ts'
import { inWindow, windowEvidence } from './window.ts'
import { sayFalseAlarm, sayNumber, sayOf, sayShare, sayTimes } from './words.ts'

/** ln 20: a stage is shown to be safe wrongly once in twenty times. */
const SAFE_LIMIT = Math.log(20)

/** What a method finds; the rest of a guard's reading is the same for all. */
type Finding = Pick<GuardReading, 'evidence' | 'treatment' | 'control' | 'words' | 'since'> & {
  readonly isBroken: boolean
  readonly isWaiting: boolean
  readonly limit: number
}

const NOBODY: ArmCount = { hits: 0, units: 0 }

function sequential(
  guard: GuardEvidence,
  { limit, method }: Process,
  { startedAt }: Evidence,
  blocks: number,
): Pick<Finding, 'evidence' | 'isBroken' | 'limit' | 'since'> {
  const { track } = guard
  if (!track) return { evidence: 0, isBroken: false, limit, since: null }
  const isOfHits = method.kind === 'compare' && method.bound === null
  const ofTrack = method.kind === 'entries' ? logEvidence(track.mixture) : evidenceAfter(track, blocks)
  const evidence = isOfHits ? bothAfter(guard, blocks) : ofTrack
  const isBroken = Math.max(evidence, isOfHits ? (guard.peak ?? 0) : track.peak) >= limit
  return { evidence, isBroken, limit, since: isBroken ? startedAt + beginningOf(track) * BLOCK_MS : null }
}

/** A bound as people read it: latencies are in milliseconds. */
function sayBound(ground: Ground, { guardrail }: Process, bound: number): string {
  const isLatency = ground.metrics.get(guardrail.metric)?.kind === 'latency'
  return `above ${sayNumber(bound)}${isLatency ? ' ms' : ''}`
}

function sayComparison(treatment: ArmCount, control: ArmCount, above: string): string {
  const times = sayTimes(treatment.hits / treatment.units, control.hits / control.units)
  const counts = `treated ${sayOf(treatment.hits, treatment.units)}${above}, control ${sayOf(control.hits, control.units)}`
  return times === undefined ? counts : `${counts}: ${times}`
}

function sayLimit({ limit, side }: { readonly limit: number; readonly side: 'above' | 'below' }): string {
  return `limit ${side === 'above' ? '' : 'at least '}${sayShare(limit)}`
}

function sayLimited({ hits, units }: ArmCount, what: string, limit: string): string {
  const share = units > 0 ? ` (${sayShare(hits / units)})` : ''
  return `treated ${sayOf(hits, units)}${what}${share}, ${limit}`
}

function findWindow(
  guard: GuardEvidence,
  process: Process,
  method: Extract<Method, { kind: 'window' }>,
  ground: Ground,
  evidence: Evidence,
): Finding {
  const blocks = blocksTaken(evidence)
  const { metric, action } = process.guardrail
  const atRisk = method.bound === null ? treatedAtRisk(evidence.arms, metric, process.audience) : 0
  const counts = inWindow(guard.window, method, blocks, atRisk)
  const said = windowEvidence(guard.window, method, blocks, atRisk)
  // A rollback is due even if nobody looked in time; what only notifies has nothing to say once it is over.
  const isBroken = (said ?? 0) > 0 || (action === 'rollback' && guard.brokenAfter !== null)
  const what = method.bound === null ? '' : ` observations ${sayBound(ground, process, method.bound)}`
  const began = evidence.startedAt + (guard.brokenAfter ?? blocks) * BLOCK_MS - method.windowMs
  return {
    evidence: said ?? 0,
    limit: 0,
    isBroken,
    isWaiting: said === null,
    treatment: counts,
    control: null,
    words: `in the last ${sayDuration(method.windowMs)} ${sayLimited(counts, what, sayLimit(method))}`,
    since: isBroken ? Math.max(evidence.startedAt, began) : null,
  }
}

function find(
  guard: GuardEvidence,
  process: Process,
  ground: Ground,
  evidence: Evidence,
  totals: readonly ArmTotals[],
): Finding {
  const { method, limit } = process
  const treatment = toArmCount(guard.treatment)
  const control = toArmCount(guard.control)
  const found = sequential(guard, process, evidence, blocksTaken(evidence))
  switch (method.kind) {
    case 'compare': {
      const above = method.bound === null ? '' : ` ${sayBound(ground, process, method.bound)}`
      const isWaiting = treatment.units === 0 || control.units === 0
      const words = isWaiting ? 'nothing to compare yet' : sayComparison(treatment, control, above)
      return { ...found, isWaiting, treatment, control, words }
    }
    case 'entries': {
      const words = sayLimited(treatment, '', sayLimit({ limit: method.limit, side: 'above' }))
      return { ...found, isWaiting: treatment.units === 0, treatment, control: null, words }
    }
    case 'exceedance': {
      const above = ` ${sayBound(ground, process, method.bound)}`
      const isAbove = method.ratios.some((ratio) => ratio > 1)
      const words = sayLimited(
        treatment,
        above,
        `${isAbove ? 'limit' : 'at least'} ${sayShare(method.limit)}`,
      )
      return { ...found, isWaiting: treatment.units === 0, treatment, control: null, words }
    }
    case 'window':
      return findWindow(guard, process, method, ground, evidence)
    case 'means':
      return { ...readMeans(guard, process, method, evidence, totals), limit, since: null }
    case 'none':
      return {
        evidence: 0,
        limit,
        isBroken: false,
        isWaiting: true,
        treatment: NOBODY,
        control: null,
        words: method.words,
        since: null,
      }
  }
}

/** Whether there are units with and without the variant in what a process is about, as far as the plan has come. */
function hasControl({ audience }: Process, { plan, progress }: Ground): boolean {
  const places = audience === null ? reachedAudiences(plan, progress) : [audience]
  return places.some((place) => {
    const percentage = grantedPercentage(plan, progress, place)
    return percentage > 0 && percentage < 100
  })
}

/**
 * Comparisons of hits, or of units above a bound, show a stage to be safe when it is ruled out, at 1 in 20, that the
 * treated fare twice as badly as the control, or worse; where there is no control, they cannot be asked. Limits and means
 * count as safe while they are not broken.
 */
function isShownSafe(
  guard: GuardEvidence,
  process: Process,
  ground: Ground,
  { isBroken }: Pick<Finding, 'isBroken'>,
): boolean {
  const { guardrail, method } = process
  if (isBroken) return false
  if (method.kind === 'means' || guardrail.test.kind === 'threshold') return true
  return !hasControl(process, ground) || (guard.safe?.peak ?? 0) >= SAFE_LIMIT
}

function readGuard(
  process: Process,
  ground: Ground,
  evidence: Evidence,
  totals: readonly ArmTotals[],
): GuardReading {
  const guard = evidence.guards.get(process.key) ?? NO_EVIDENCE
  const found = find(guard, process, ground, evidence, totals)
  const { isBroken, isWaiting, words, ...reading } = found
  const isProof = isBroken && process.method.kind !== 'window'
  return {
    guardrail: process.guardrail.id,
    audience: process.audience,
    verdict: isBroken ? 'broken' : isWaiting ? 'waiting' : 'fine',
    ...reading,
    shownSafe: isShownSafe(guard, process, ground, found),
    words: isProof ? `${words}; ${sayFalseAlarm(ground.plan.alpha)}` : words,
  }
}

/**
 * Says what the evidence comes to.
 * @param totals of the rollout's units, for guardrails of means
 */
export function readEvidence(evidence: Evidence, ground: Ground, totals: readonly ArmTotals[] = []): Reading {
  const { through, startedAt, arms, units, shares, life } = evidence
  return {
    through,
    guards: processesOf(ground).map((process) => readGuard(process, ground, evidence, totals)),
    units: { treatment: toArmCount(units.treatment).units, control: toArmCount(units.control).units },
    sampleRatio: readShares(shares),
    life: readLife(life, arms, startedAt, blocksTaken(evidence)),
  }
}
