import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  clopperPearson,
  type Interval,
  quantileBand,
  quantileInterval,
  quantileRanks,
  wilson,
} from '../../src/statistics/intervals.ts'
import { LogHistogram } from '../../src/statistics/log-histogram.ts'
import { binomialShares } from './binomial.ts'
import { expectWithin, goldenCases } from './golden.ts'
import { normals } from './random.ts'

const toPair = ({ low, high }: Interval) => [low, high]

it.each(
  goldenCases<
    { readonly x: number; readonly n: number; readonly alpha: number },
    { readonly wilson: readonly number[]; readonly clopper_pearson: readonly number[] }
  >('prop-wilson-cp'),
)('has the intervals of $id', ({ input: { x, n, alpha }, output, rtol }) => {
  expectWithin(rtol, toPair(wilson(x, n, alpha)), output.wilson)
  expectWithin(rtol, toPair(clopperPearson(x, n, alpha)), output.clopper_pearson)
})

it.each(
  goldenCases<
    { readonly t: number; readonly p: number; readonly alpha: number },
    { readonly p_lo: number; readonly p_hi: number }
  >('quantile-cs-hr-'),
)('has the band of $id', ({ input: { t, p, alpha }, output, rtol }) => {
  expectWithin(rtol, toPair(quantileBand(t, p, alpha)), [output.p_lo, output.p_hi])
})

it('has the ranks of hist-p95-control', () => {
  expect(quantileRanks(9_000, 0.95, 0.05)).toEqual({ low: 8_509, high: 8_591 })
})

it('contains the true share as often as it says, exactly', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.constantFrom(0.01, 0.05, 0.2),
      (n, share, alpha) => {
        let covered = 0
        for (const [x, chance] of binomialShares(n, share).entries()) {
          const { low, high } = clopperPearson(x, n, alpha)
          if (low <= share && share <= high) covered += chance
        }
        expect(covered).toBeGreaterThanOrEqual(1 - alpha - 1e-9)
      },
    ),
    { numRuns: 50 },
  )
})

it('knows intervals of none, of all and of nothing', () => {
  expect(clopperPearson(0, 300, 0.05)).toEqual({ low: 0, high: expect.closeTo(0.01222, 5) })
  expect(clopperPearson(5, 5, 0.05).high).toBe(1)
  expect(wilson(0, 300, 0.05)).toEqual({ low: 0, high: expect.closeTo(0.01264, 5) })
  expect(wilson(0, 0, 0.05)).toEqual({ low: 0, high: 1 })
})

it('has quantiles between values of the sample, as often as it says', () => {
  // Seeded: the 95th percentile of 500 normal numbers is 1.6449; 400 samples.
  const draw = normals(5)
  let covered = 0
  for (let sample = 0; sample < 400; sample++) {
    const histogram = new LogHistogram()
    for (let index = 0; index < 500; index++) histogram.add(Math.exp(draw()))
    const { low, value, high } = quantileInterval(histogram, 0.95, 0.05) ?? { low: 0, value: 0, high: 0 }
    expect(low).toBeLessThanOrEqual(value)
    expect(value).toBeLessThanOrEqual(high)
    if (low <= Math.exp(1.6449) * 1.01 && Math.exp(1.6449) * 0.99 <= high) covered++
  }
  expect(covered / 400).toBeGreaterThan(0.94)
})

it('has no quantile of nothing, and of few values all of them', () => {
  const histogram = new LogHistogram()
  expect(quantileInterval(histogram, 0.95, 0.05)).toBeUndefined()
  for (const value of [100, 200, 300]) histogram.add(value)
  const found = quantileInterval(histogram, 0.95, 0.05)
  expect(found?.low).toBeLessThanOrEqual(202)
  expect(found?.high).toBe(histogram.quantile(0.999))
})
