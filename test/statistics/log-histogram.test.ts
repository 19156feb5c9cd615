import fc from 'fast-check'
import { expect, it } from 'vitest'
import { LogHistogram } from '../../src/statistics/log-histogram.ts'
import { readVectors } from '../support/engine.ts'

type Vectors = {
  readonly cases: readonly {
    readonly id: string
    readonly input: { readonly n: number; readonly mu: number; readonly nu: number }
    readonly output: { readonly [name in 'rank_lo' | 'rank_hi' | 'q' | 'q_lo' | 'q_hi' | 'buckets']: number }
    readonly rtol: number
  }[]
}

const vectors = readVectors<Vectors>('log-histogram')

/** The normal distribution's quantile (Acklam's approximation, relative error below 1.2e-9). */
function normalQuantile(p: number): number {
  const a = [-39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716]
  const b = [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572]
  const c = [-0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734]
  const d = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416]
  const sum = (terms: readonly number[], x: number) => terms.reduce((total, term) => total * x + term, 0)
  if (p > 0.5) return -normalQuantile(1 - p)
  if (p < 0.02425) {
    const q = Math.sqrt(-2 * Math.log(p))
    return sum([...c, 4.374664141464968, 2.938163982698783], q) / sum([...d, 1], q)
  }
  const q = p - 0.5
  return (sum([...a, 2.506628277459239], q * q) * q) / sum([...b, 1], q * q)
}

function histogramOf(values: readonly number[]): LogHistogram {
  const histogram = new LogHistogram()
  for (const value of values) histogram.add(value)
  return histogram
}

/** The value of a rank, counted from 1, as a histogram has it: halfway between two ranks no rounding can be amiss. */
function atRank(histogram: LogHistogram, rank: number): number {
  return histogram.quantile((rank - 0.5) / histogram.count)
}

const value = fc.oneof(
  fc.double({ min: 1e-9, max: 1e15, noNaN: true }),
  fc.integer({ min: -3, max: 5_000 }),
  fc.double({ min: -27, max: 34, noNaN: true }).map((power) => Math.min(Math.max(2 ** power, 1e-9), 1e15)),
)
const values = fc.array(value, { minLength: 1, maxLength: 200 })

it.each(vectors.cases)('has the quantiles of $id', ({ input, output, rtol }) => {
  const sample = Array.from({ length: input.n }, (_, i) =>
    Math.exp(input.mu + 0.6 * normalQuantile((i + 0.5) / input.n)),
  )
  const histogram = histogramOf(sample)
  const within = (expected: number) => [expected * (1 - rtol), expected * (1 + rtol)] as const
  for (const [found, expected] of [
    [histogram.quantile(input.nu), output.q],
    [atRank(histogram, output.rank_lo), output.q_lo],
    [atRank(histogram, output.rank_hi), output.q_hi],
  ] as const) {
    const [low, high] = within(expected)
    expect(found).toBeGreaterThan(low)
    expect(found).toBeLessThan(high)
  }
  expect(histogram.pack().runs).toHaveLength(output.buckets * 2)
})

it('has every quantile to within 1 %', () => {
  fc.assert(
    fc.property(values, fc.double({ min: 0.001, max: 0.999, noNaN: true }), (list, share) => {
      const sorted = list.map((one) => Math.max(one, 0)).sort((a, b) => a - b)
      const exact = sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1] ?? Number.NaN
      const found = histogramOf(list).quantile(share)
      expect(Math.abs(found - exact)).toBeLessThanOrEqual(exact * 0.01)
    }),
  )
})

it('is the same however its parts were merged', () => {
  fc.assert(
    fc.property(
      fc.array(values, { minLength: 1, maxLength: 5 }),
      fc.infiniteStream(fc.nat()),
      (lists, keys) => {
        const merged = new LogHistogram()
        const order = lists.map((list) => [keys.next().value ?? 0, list] as const).sort(([a], [b]) => a - b)
        for (const [, list] of order) merged.merge(histogramOf(list))
        const whole = histogramOf(lists.flat())
        expect(merged.pack()).toEqual(whole.pack())
        expect(merged.count).toBe(whole.count)
      },
    ),
  )
})

it('is the same after it was packed, as JSON too, and goes on from there', () => {
  fc.assert(
    fc.property(values, values, (list, more) => {
      const again = LogHistogram.unpack(JSON.parse(JSON.stringify(histogramOf(list).pack())))
      expect(again.count).toBe(list.length)
      for (const one of more) again.add(one)
      expect(again.pack()).toEqual(histogramOf([...list, ...more]).pack())
    }),
  )
})

it('counts a value as often as it is told', () => {
  const histogram = new LogHistogram()
  histogram.add(0, 3)
  histogram.add(100, 7)
  expect([histogram.count, histogram.quantile(0.3)]).toEqual([10, 0])
  expect(Math.abs(histogram.quantile(0.31) - 100)).toBeLessThanOrEqual(1)
})

it('knows no quantile when it is empty, and stays empty when it is packed', () => {
  const empty = LogHistogram.unpack(new LogHistogram().pack())
  expect([empty.count, empty.quantile(0.5)]).toEqual([0, Number.NaN])
})

it.each([
  ['the smallest number', Number.MIN_VALUE, 1e-9],
  ['the largest number', Number.MAX_VALUE, 1e15],
])('has bounded room for %s', (_name, extreme, limit) => {
  const histogram = histogramOf([1, extreme, extreme])
  expect(Math.abs(histogram.quantile(extreme < 1 ? 0.01 : 0.99) / limit - 1)).toBeLessThanOrEqual(0.01)
})
