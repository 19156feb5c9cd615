import fc from 'fast-check'
import { expect, it } from 'vitest'
import { logRisingOverPower } from '../../src/statistics/log-gamma.ts'
import { logSampleRatio } from '../../src/statistics/sample-ratio.ts'
import { combinationsOf } from './binomial.ts'
import { expectWithin, goldenCases } from './golden.ts'

it.each(
  goldenCases<
    {
      readonly counts: readonly number[]
      readonly weights: readonly number[]
      readonly dirichlet_concentration: number
    },
    { readonly log_e: number }
  >('ssrm-'),
)('has the evidence of $id', ({ input, output, rtol }) => {
  expectWithin(
    rtol,
    [logSampleRatio(input.counts, input.weights, input.dirichlet_concentration)],
    [output.log_e],
  )
})

it('is 1 on average over all ways in which units can be shared out by their weights', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.double({ min: 0.001, max: 0.999, noNaN: true }),
      fc.constantFrom(3, 100, 10_000),
      (n, weight, concentration) => {
        let mean = 0
        for (let x = 0; x <= n; x++) {
          const chance = combinationsOf(n, x) * weight ** x * (1 - weight) ** (n - x)
          mean += chance * Math.exp(logSampleRatio([x, n - x], [weight, 1 - weight], concentration))
        }
        expect(mean).toBeCloseTo(1, 9)
      },
    ),
  )
})

it('goes by the weights whatever they sum to', () => {
  expect(logSampleRatio([300, 120], [20, 80])).toBeCloseTo(logSampleRatio([300, 120], [0.2, 0.8]), 9)
})

it('says nothing of nobody, and finds a tenth of treatment that is missing', () => {
  expect(logSampleRatio([0, 0], [0.1, 0.9])).toBe(0)
  expect(logSampleRatio([9_000, 90_000], [0.1, 0.9])).toBeGreaterThan(Math.log(1000))
  expect(logSampleRatio([10_030, 89_970], [0.1, 0.9])).toBeLessThan(0)
})

it('has rising factorials as they are multiplied out, from a small number on too', () => {
  fc.assert(
    fc.property(fc.double({ min: 0.001, max: 200, noNaN: true }), fc.nat(60), (a, n) => {
      let log = 0
      for (let factor = 0; factor < n; factor++) log += Math.log1p(factor / a)
      expect(Math.abs(logRisingOverPower(a, n) - log)).toBeLessThanOrEqual(1e-10 * (1 + log))
    }),
  )
})
