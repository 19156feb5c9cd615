// What it takes to count one event, apart from what it takes to receive it and write it down: a shard with 12,500
// units, each of them in 20 measurements, of 6,250 events a second.
import type { Measurement, Metric } from '../src/catalog/measurement.ts'
import { Counting } from '../src/telemetry/counting/counting.ts'
import { UnitMemory } from '../src/telemetry/counting/unit-memory.ts'
import type { ShardEvent } from '../src/telemetry/events/event.ts'
import { createRandom } from './support/random.ts'
import { formatNanoseconds, printTable, printTargets, saveResults } from './support/report.ts'
import { measureRounds } from './support/rounds.ts'

const UNITS = 12_500
const FLAGS = 20
const EVENTS = 100_000
const BATCH = 100
/** Between two batches, in milliseconds: 6,250 events a second. */
const PAUSE_MS = 16
const KINDS = ['conversion', 'error', 'mean', 'latency'] as const
const START = Date.UTC(2026, 0, 1)

const { below } = createRandom(7)

function metricOf(index: number): Metric {
  const kind = KINDS[index % KINDS.length] ?? 'conversion'
  const key = `metric-${index}`
  const rest = {
    denominator: null,
    unit: 'user',
    goodDirection: 'up',
    cap: null,
    preExposure: false,
  } as const
  return { key, event: `event-${index}`, kind, ...rest }
}

function measurementOf(index: number): Measurement {
  return {
    id: `rollout-${index}`,
    flag: `flag-${index}`,
    kind: 'rollout',
    by: 'targetingKey',
    stage: 1,
    shards: 1,
    windowMs: 30 * 60_000,
    exposure: 'use',
    metrics: [{ metric: `metric-${index}`, bounds: index % KINDS.length === 3 ? [50, 200] : [] }],
    slices: [],
  }
}

/** A new text each time, as it is when it has been unpacked. */
function unitOf(number: number): string {
  return String.fromCharCode(number & 255, number >> 8, (number * 7) & 255, 1).padEnd(16, 'x')
}

let at = START

function eventOf(overrides: Partial<ShardEvent>): ShardEvent {
  return {
    kind: 'track',
    name: '',
    flag: '',
    variant: '',
    unitKind: 'user',
    unit: unitOf(below(UNITS)),
    tag: null,
    trusted: true,
    automatic: false,
    primary: true,
    home: true,
    value: Number.NaN,
    at,
    slices: null,
    ...overrides,
  }
}

function exposureOf(unit: number, flag: number): ShardEvent {
  const arm = (unit + flag) % 2 === 0 ? 't' : 'c'
  const tag = { id: `rollout-${flag}`, stage: 1, stratum: 'a', arm }
  const variant = arm === 't' ? 'on' : 'off'
  return eventOf({ kind: 'exposure', flag: `flag-${flag}`, variant, unit: unitOf(unit), tag })
}

const nobody = { unit: null, unitKind: '', trusted: false }
const MIXES: { readonly [name: string]: () => ShardEvent } = {
  'exposures of members': () => exposureOf(below(UNITS), below(FLAGS)),
  'outcomes of members': () => eventOf({ name: `event-${below(FLAGS)}`, value: below(300) }),
  'outcomes before any exposure': () =>
    eventOf({ name: `event-${below(FLAGS)}`, value: 1, unit: unitOf(UNITS + below(UNITS)) }),
  'measures of nobody': () => eventOf({ ...nobody, kind: 'measure', name: 'event-3', value: below(300) }),
}

const range = (length: number) => Array.from({ length }, (_, index) => index)
const counting = new Counting(
  { index: 0 },
  new UnitMemory(),
  { minute: () => undefined, hour: () => undefined },
  undefined,
)
const metrics = range(FLAGS).map(metricOf)
const measurements = range(FLAGS).map(measurementOf)
counting.apply({ kind: 'plan', plan: { version: 1, fingerprint: 'bench', metrics, measurements } }, at)
for (const flag of range(FLAGS)) {
  counting.apply({ kind: 'events', events: range(UNITS).map((unit) => exposureOf(unit, flag)) }, at)
}

const batches = Object.entries(MIXES).map(([name, make]) => {
  return { name, events: range(EVENTS / BATCH).map(() => range(BATCH).map(make)) }
})
const timings = await measureRounds(
  batches.map(({ name, events }) => ({
    name,
    run: () => {
      for (const batch of events) {
        at += PAUSE_MS
        counting.apply({ kind: 'events', events: batch }, at)
      }
      counting.takeChangedSpans()
    },
  })),
  { rounds: 7, warmUp: 2 },
)

const figures = timings.map(({ name, median }) => ({ name, nanoseconds: (median * 1e6) / EVENTS }))
printTable(
  'Counting one event',
  ['', 'per event'],
  figures.map(({ name, nanoseconds }) => [name, formatNanoseconds(nanoseconds)]),
)
const slowest = Math.max(...figures.map(({ nanoseconds }) => nanoseconds))
const targets = [
  { name: 'the slowest sort of event', figure: slowest / 1e3, unit: 'µs', bound: { atMost: 2 } },
]
printTargets(targets)
saveResults('counting', figures, targets)
