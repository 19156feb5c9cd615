import { expect, it } from 'vitest'
import type { Measurement, Metric, MetricKind } from '../../../src/catalog/measurement.ts'
import type { SeriesCell } from '../../../src/telemetry/counting/series.ts'
import { type Plan, toConnection } from '../../../src/telemetry/reading/connection.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const HOUR = 1_794_996_000_000
const NOW = HOUR + 30 * MINUTE_MS + 20_000
const MINUTE = NOW - 20_000

function makeMetric(key: string, kind: MetricKind): Metric {
  const defaults = { denominator: null, unit: 'user', goodDirection: 'up', cap: null } as const
  return { key, event: key, kind, ...defaults, preExposure: false }
}

function makeMeasurement(flag: string, metrics: readonly string[]): Measurement {
  return {
    id: `m-${flag}`,
    flag,
    kind: 'rollout',
    by: 'targetingKey',
    stage: 0,
    shards: 2,
    windowMs: 1_800_000,
    exposure: 'use',
    metrics: metrics.map((metric) => ({ metric, bounds: [] })),
    slices: [],
  }
}

const PLAN: Plan = {
  metrics: [
    makeMetric('orders', 'conversion'),
    makeMetric('revenue', 'mean'),
    makeMetric('errors', 'error'),
    makeMetric('time', 'latency'),
    makeMetric('heap', 'resource'),
  ],
  measurements: [makeMeasurement('checkout', ['orders', 'revenue', 'errors'])],
}

function makeCell(cell: Partial<SeriesCell>): SeriesCell {
  const counts = { count: 1, sum: 0, squares: 0, denominator: 0, units: 0, sketch: null }
  const name = { metric: null, flag: '', variant: '', measurement: '', stage: 0, stratum: '', arm: '' }
  return { start: MINUTE, ...name, ...counts, ...cell }
}

const attributed = { flag: 'checkout', variant: 'on', measurement: 'm-checkout', stratum: '1', arm: 't' }

const SILENT = { arriving: false, count: 0, lastAt: null, notAttributed: null }
const NOTHING = { exposures: SILENT, outcomes: SILENT, errors: SILENT, latencies: SILENT, resources: SILENT }
const measured = { ...SILENT, notAttributed: 0 }
const NOTHING_MEASURED = {
  exposures: measured,
  outcomes: measured,
  errors: measured,
  latencies: measured,
  resources: measured,
}

it('knows of flags that are measured before anything has come', () => {
  expect(toConnection([], PLAN, NOW)).toEqual({
    environment: NOTHING,
    flags: [{ flag: 'checkout', measured: true, arrivals: NOTHING_MEASURED }],
  })
})

it.each([
  ['exposures', makeCell({ flag: 'banner' })],
  ['outcomes', makeCell({ metric: 'orders' })],
  ['outcomes', makeCell({ metric: 'revenue' })],
  ['errors', makeCell({ metric: 'errors' })],
  ['latencies', makeCell({ metric: 'time' })],
  ['resources', makeCell({ metric: 'heap' })],
])('hears %s', (lane, cell) => {
  expect(toConnection([cell], PLAN, NOW).environment).toEqual({
    ...NOTHING,
    [lane]: { arriving: true, count: 1, lastAt: MINUTE, notAttributed: null },
  })
})

it.each([
  ['in this minute', MINUTE, true],
  ['five minutes ago', MINUTE - 5 * MINUTE_MS, true],
  ['six minutes ago', MINUTE - 6 * MINUTE_MS, false],
  ['hours ago', HOUR - 5 * HOUR_MS, false],
])('tells what came %s', (_name, start, arriving) => {
  const { environment } = toConnection([makeCell({ metric: 'errors', start })], PLAN, NOW)
  expect(environment.errors).toEqual({
    arriving,
    count: arriving ? 1 : 0,
    lastAt: start,
    notAttributed: null,
  })
})

it('counts what was not attributed to a flag that is measured', () => {
  const { environment, flags } = toConnection(
    [
      makeCell({ ...attributed, count: 8 }),
      makeCell({ flag: 'checkout', variant: 'on', count: 2 }),
      makeCell({ metric: 'orders', count: 10 }),
      makeCell({ metric: 'revenue', count: 5 }),
      makeCell({ ...attributed, metric: 'orders', count: 6 }),
      makeCell({ ...attributed, metric: 'revenue', count: 5 }),
      makeCell({ metric: 'errors', count: 3, start: MINUTE - HOUR_MS }),
    ],
    PLAN,
    NOW,
  )
  expect(environment.outcomes).toEqual({ arriving: true, count: 15, lastAt: MINUTE, notAttributed: null })
  expect(flags).toEqual([
    {
      flag: 'checkout',
      measured: true,
      arrivals: {
        ...NOTHING_MEASURED,
        exposures: { arriving: true, count: 10, lastAt: MINUTE, notAttributed: 2 },
        outcomes: { arriving: true, count: 11, lastAt: MINUTE, notAttributed: 4 },
      },
    },
  ])
})

it('leaves out metrics that there are none of any more', () => {
  expect(toConnection([makeCell({ metric: 'gone' })], PLAN, NOW).environment).toEqual(NOTHING)
})
