// What a snapshot costs beside JSON.parse of its text: from text in memory to the first answer, and when one
// flag of many changes.

import { evaluate, evaluateAll } from '../src/engine/evaluate.ts'
import type { Snapshot } from '../src/engine/snapshot.ts'
import { openSnapshot } from './contenders/rampart.ts'
import { numbersFrom } from './support/child.ts'
import { CONTEXT, NOW, OPENINGS, type Opening, open } from './support/opening.ts'
import {
  formatNanoseconds,
  formatNumber,
  printTable,
  printTargets,
  saveResults,
  type Target,
} from './support/report.ts'
import { collectGarbage, measureRounds, median } from './support/rounds.ts'
import { flagKey, makeFlagText, makeSnapshotText } from './support/snapshot-text.ts'

const FLAG_COUNTS = [1_000, 5_000] as const
const MANY_FLAGS = 5_000
const ROUNDS = 21
const COLD_STARTS = 11
const DELTAS = 300
const NANOSECONDS_PER_MILLISECOND = 1e6

type Openings = { readonly flags: number; readonly megabytes: number; readonly milliseconds: Milliseconds }
type Milliseconds = { readonly [opening in Opening]: number }

/** Where answers go, so that no optimiser can tell that nobody wants them. */
export let lastAnswer: unknown

/** Opens the same text again and again in this process. */
async function measureWarm(flags: number, text: string): Promise<Milliseconds> {
  const timings = await measureRounds(
    OPENINGS.map((opening) => ({
      name: opening,
      run: () => {
        lastAnswer = open(opening, text, flags)
      },
    })),
    { rounds: ROUNDS, warmUp: 3 },
  )
  lastAnswer = undefined
  const medianOf = (opening: Opening) => timings.find(({ name }) => name === opening)?.median ?? Number.NaN
  return byOpening(medianOf)
}

/** Opens a text once each in new processes, as a new isolate does: nothing has been optimised yet. */
function measureCold(flags: number): Milliseconds {
  const taken = byOpening((): number[] => [])
  for (let start = 0; start < COLD_STARTS; start++) {
    for (const opening of OPENINGS)
      taken[opening].push(...numbersFrom('opening-child.ts', [opening, flags], 1))
  }
  return byOpening((opening) => median(taken[opening]))
}

function byOpening<T>(make: (opening: Opening) => T): { readonly [opening in Opening]: T } {
  return {
    'JSON.parse alone': make('JSON.parse alone'),
    'first answer': make('first answer'),
    'first answer of all flags': make('first answer of all flags'),
  }
}

function printOpenings({ flags, megabytes, milliseconds }: Openings, title: string) {
  printTable(
    `${title}: ${formatNumber(flags)} flags, ${formatNumber(megabytes)} MB`,
    ['', 'time', 'x JSON.parse'],
    OPENINGS.map((opening) => [
      opening,
      formatNanoseconds(milliseconds[opening] * NANOSECONDS_PER_MILLISECOND),
      formatNumber(milliseconds[opening] / milliseconds['JSON.parse alone']),
    ]),
  )
}

function timed(run: () => void): number {
  const start = performance.now()
  run()
  return performance.now() - start
}

function patch(snapshot: Snapshot, key: string, text: string | null) {
  const patched = snapshot.patch(snapshot.version + 1, [{ kind: 'flags', key, text }])
  if (!patched.ok) throw new Error(patched.error)
}

/** Changes, adds and removes single flags of a snapshot in full use; the median milliseconds of each step. */
function measureDeltas(flags: number): { readonly [step: string]: number } {
  const snapshot = openSnapshot(makeSnapshotText(flags))
  evaluateAll(snapshot, CONTEXT, NOW)
  const times = {
    'patch, one flag changed': [] as number[],
    'its first evaluation': [] as number[],
    'patch, one flag added': [] as number[],
    'order of keys made anew': [] as number[],
    'patch, one flag removed': [] as number[],
  }
  collectGarbage()
  for (let index = 0; index < DELTAS; index++) {
    const text = makeFlagText(index, flags)
    // A step of 7 visits each flag once before any twice.
    const changed = flagKey((index * 7) % flags)
    const added = `flag-added-${index}`
    times['patch, one flag changed'].push(timed(() => patch(snapshot, changed, text)))
    times['its first evaluation'].push(
      timed(() => {
        lastAnswer = evaluate(snapshot, changed, CONTEXT, NOW)
      }),
    )
    times['patch, one flag added'].push(timed(() => patch(snapshot, added, text)))
    times['order of keys made anew'].push(
      timed(() => {
        lastAnswer = snapshot.keys()
      }),
    )
    times['patch, one flag removed'].push(timed(() => patch(snapshot, added, null)))
    snapshot.keys()
  }
  return Object.fromEntries(Object.entries(times).map(([step, taken]) => [step, median(taken)]))
}

async function main() {
  const targets: Target[] = []

  const openings: { readonly warm: Openings; readonly cold: Openings }[] = []
  for (const flags of FLAG_COUNTS) {
    const text = makeSnapshotText(flags)
    const megabytes = Buffer.byteLength(text) / 1e6
    const warm = { flags, megabytes, milliseconds: await measureWarm(flags, text) }
    printOpenings(warm, 'Text in memory, warm process')
    const cold = { flags, megabytes, milliseconds: measureCold(flags) }
    printOpenings(cold, 'Text in memory, new process (nothing optimised yet)')
    openings.push({ warm, cold })
    for (const [state, { milliseconds }] of Object.entries({ warm, cold })) {
      targets.push({
        name: `first answer / JSON.parse, ${formatNumber(flags)} flags, ${state}`,
        figure: milliseconds['first answer'] / milliseconds['JSON.parse alone'],
        unit: 'x',
        bound: { atMost: 1.5 },
      })
    }
  }

  const deltas = measureDeltas(MANY_FLAGS)
  printTable(
    `Delta of one flag in ${formatNumber(MANY_FLAGS)}, all compiled`,
    ['', 'time'],
    Object.entries(deltas).map(([step, taken]) => [
      step,
      formatNanoseconds(taken * NANOSECONDS_PER_MILLISECOND),
    ]),
  )
  targets.push({
    name: `delta of one flag in ${formatNumber(MANY_FLAGS)}`,
    figure: deltas['patch, one flag changed'] ?? Number.NaN,
    unit: 'ms',
    bound: { atMost: 1 },
  })

  printTargets(targets)
  saveResults('snapshot', { openings, deltas }, targets)
}

await main()
