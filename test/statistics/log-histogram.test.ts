import fc from 'fast-check'
import { expect, it } from 'vitest'
import { normalQuantileAbove } from '../../src/statistics/distributions.ts'
import { quantileInterval } from '../../src/statistics/intervals.ts'
import { LogHistogram } from '../../src/statistics/log-histogram.ts'
import { readVectors } from '../support/engine.ts'
import { expectWithin } from './golden.ts'

type Vectors = {
  readonly cases: readonly {
    readonly id: string
    readonly input: { readonly [name in 'n' | 'mu' | 'nu' | 'alpha']: number }
    readonly output: { readonly [name in 'q' | 'q_lo' | 'q_hi' | 'se' | 'buckets']: number }
    readonly rtol: number
  }[]
}

const vectors = readVectors<Vectors>('log-histogram')

function histogramOf(values: readonly number[]): LogHistogram {
  const histogram = new LogHistogram()
  for (const value of values) histogram.add(value)
  return histogram
}

const value = fc.oneof(
  fc.double({ min: 1e-9, max: 1e15, noNaN: true }),
  fc.integer({ min: -3, max: 5_000 }),
  fc.double({ min: -27, max: 34, noNaN: true }).map((power) => Math.min(Math.max(2 ** power, 1e-9), 1e15)),
)
const values = fc.array(value, { minLength: 1, maxLength: 200 })

it.each(vectors.cases)('has the quantiles of $id, and what they may be', ({ input, output, rtol }) => {
  const { n, mu, nu, alpha } = input
  const sample = Array.from({ length: n }, (_, i) => Math.exp(mu - 0.6 * normalQuantileAbove((i + 0.5) / n)))
  const histogram = histogramOf(sample)
  const { value, low, high } = quantileInterval(histogram, nu, alpha) ?? { value: 0, low: 0, high: 0 }
  const error = (high - low) / (2 * normalQuantileAbove(alpha / 2))
  expectWithin(rtol, [value, low, high, error], [output.q, output.q_lo, output.q_hi, output.se])
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
