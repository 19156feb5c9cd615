import { describe, expect, it } from 'vitest'
import { LogHistogram } from '../../../src/statistics/log-histogram.ts'
import type { SeriesCell } from '../../../src/telemetry/counting/series.ts'
import { mergeSeries, type SeriesBy, wholeSteps } from '../../../src/telemetry/reading/series.ts'

const MINUTE_MS = 60_000
const FROM = 1_794_996_000_000
const RANGE = { from: FROM, to: FROM + 10 * MINUTE_MS, step: 'minute' } as const

const EMPTY = { variant: '', measurement: '', stage: 0, stratum: '', arm: '' }

function makeCell(cell: Partial<SeriesCell>): SeriesCell {
  const counts = { count: 1, sum: 0, squares: 0, denominator: 0, units: 0, sketch: null }
  return { start: FROM, metric: 'orders', flag: '', ...EMPTY, ...counts, ...cell }
}

function sketchOf(...values: readonly number[]) {
  const histogram = new LogHistogram()
  for (const value of values) histogram.add(value)
  return histogram.pack()
}

const merge = (cells: readonly SeriesCell[], by: SeriesBy = 'none', now = RANGE.to) =>
  mergeSeries(cells, RANGE, by, now)

/** One flag's cells: two arms in two strata of one stage, and what could not be attributed. */
const MEASURED: readonly SeriesCell[] = [
  ...(['1', '2'] as const).flatMap((stratum) => [
    makeCell({ flag: 'f', variant: 'on', measurement: 'm', stage: 1, stratum, arm: 't', count: 2 }),
    makeCell({ flag: 'f', variant: 'off', measurement: 'm', stage: 1, stratum, arm: 'c', count: 3 }),
  ]),
  makeCell({ flag: 'f', variant: 'on', count: 10 }),
  makeCell({ count: 100 }),
]

it.each([
  [
    'none',
    [
      ['', '', null, '', '', 100],
      ['f', '', null, '', '', 20],
    ],
  ],
  [
    'variant',
    [
      ['', '', null, '', '', 100],
      ['f', 'off', null, '', '', 6],
      ['f', 'on', null, '', '', 14],
    ],
  ],
  [
    'arm',
    [
      ['', '', null, '', '', 100],
      ['f', '', null, '', '', 10],
      ['f', '', 1, '', 'c', 6],
      ['f', '', 1, '', 't', 4],
    ],
  ],
  [
    'stratum',
    [
      ['', '', null, '', '', 100],
      ['f', '', null, '', '', 10],
      ['f', '', 1, '1', 'c', 3],
      ['f', '', 1, '1', 't', 2],
      ['f', '', 1, '2', 'c', 3],
      ['f', '', 1, '2', 't', 2],
    ],
  ],
] as const)('tells series apart by %s', (by, expected) => {
  const series = merge(MEASURED, by)
  expect(
    series.map(({ flag, variant, stage, stratum, arm, total }) => [
      flag,
      variant,
      stage,
      stratum,
      arm,
      total.count,
    ]),
  ).toEqual(expected)
})

it('adds up shards, in order of time', () => {
  const [series] = merge([
    makeCell({ start: FROM + MINUTE_MS, count: 4, units: 1 }),
    makeCell({ count: 1, units: 1 }),
    makeCell({ start: FROM + MINUTE_MS, count: 5, units: 2 }),
  ])
  const none = { sum: 0, mean: null, p50: null, p95: null, p99: null }
  expect(series).toEqual({
    metric: 'orders',
    flag: '',
    ...EMPTY,
    stage: null,
    points: [
      { start: FROM, count: 1, perMinute: 1, units: 1, ...none },
      { start: FROM + MINUTE_MS, count: 9, perMinute: 9, units: 3, ...none },
    ],
    total: { count: 10, perMinute: 1, units: 4, ...none },
  })
})

it('keeps apart what odd names could be taken for', () => {
  const odd = [
    makeCell({ flag: 'a\nb', variant: 'c' }),
    makeCell({ flag: 'a', variant: 'b\nc' }),
    makeCell({ flag: 'a', variant: 'b' }),
  ]
  expect(merge(odd, 'variant').map(({ total }) => total.count)).toEqual([1, 1, 1])
})

it('begins with exposures', () => {
  const series = merge([makeCell({}), makeCell({ metric: null, flag: 'z' }), makeCell({ metric: 'a' })])
  expect(series.map(({ metric }) => metric)).toEqual([null, 'a', 'orders'])
})

it('has means and quantiles of the values of all shards', () => {
  const values = Array.from({ length: 100 }, (_, index) => index + 1)
  const shards = [values.filter((value) => value % 3 === 0), values.filter((value) => value % 3 !== 0)]
  const [series] = merge(
    shards.map((own) =>
      makeCell({
        count: own.length,
        sum: own.reduce((sum, value) => sum + value, 0),
        sketch: sketchOf(...own),
      }),
    ),
  )
  const { mean, p50, p95, p99 } = series?.total ?? {}
  expect(mean).toBe(50.5)
  for (const [found, exact] of [
    [p50, 50],
    [p95, 95],
    [p99, 99],
  ] as const) {
    expect(Math.abs((found ?? 0) / exact - 1)).toBeLessThanOrEqual(0.01)
  }
})

it('has the ratio as the mean of a ratio', () => {
  const [series] = merge([
    makeCell({ count: 3, sum: 2, denominator: 5 }),
    makeCell({ sum: 1, denominator: 1 }),
  ])
  expect(series?.total.mean).toBe(0.5)
})

describe('the rate', () => {
  it.each([
    ['of a step that has passed', 10 * MINUTE_MS, 60],
    ['of the step in progress, by what has passed of it', 2 * MINUTE_MS, 300],
    ['of a step that has hardly begun, by a minute', 1_000, 600],
  ])('is per minute, %s', (_name, passed, perMinute) => {
    const range = { from: FROM, to: FROM + 60 * MINUTE_MS, step: 'hour' } as const
    const width = passed === 10 * MINUTE_MS ? 60 * MINUTE_MS : passed
    const count = passed === 10 * MINUTE_MS ? 3_600 : 600
    const [series] = mergeSeries([makeCell({ count })], range, 'none', FROM + width)
    expect(series?.points[0]?.perMinute).toBe(perMinute)
    expect(series?.total.perMinute).toBe(perMinute)
  })
})

it('widens a range to whole steps', () => {
  expect(wholeSteps({ from: FROM + 1, to: FROM + MINUTE_MS + 1, step: 'minute' })).toEqual({
    from: FROM,
    to: FROM + 2 * MINUTE_MS,
    step: 'minute',
  })
})
