import betainc from '@stdlib/math-base-special-betainc'
import gammainc from '@stdlib/math-base-special-gammainc'
import gammaln from '@stdlib/math-base-special-gammaln'
import cdf from '@stdlib/stats-base-dists-normal-cdf'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  chiSquareTail,
  incompleteBeta,
  normalQuantileAbove,
  normalTail,
  poissonShare,
  poissonTails,
} from '../../src/statistics/distributions.ts'
import { logGamma } from '../../src/statistics/log-gamma.ts'
import { expectWithin, goldenCases } from './golden.ts'

it.each(goldenCases<{ readonly z: number }, { readonly cdf: number; readonly sf: number }>('fn-normcdf'))(
  'has both tails of $id',
  ({ input: { z }, output, rtol }) => {
    expectWithin(rtol, [normalTail(-z), normalTail(z)], [output.cdf, output.sf])
  },
)

it.each(goldenCases<{ readonly p: readonly number[] }, { readonly q: readonly number[] }>('fn-normppf'))(
  'has the quantiles of $id',
  ({ input, output, rtol }) => {
    expectWithin(
      rtol,
      input.p.map((p) => -normalQuantileAbove(p)),
      output.q,
    )
  },
)

it.each(
  goldenCases<
    { readonly x: readonly number[]; readonly df: readonly number[] },
    { readonly sf: readonly number[] }
  >('fn-chi2sf'),
)('has the tails of $id', ({ input, output, rtol }) => {
  expectWithin(
    rtol,
    input.x.map((x, index) => chiSquareTail(x, input.df[index] ?? 0)),
    output.sf,
  )
})

it.each(
  goldenCases<{ readonly [name in 'x' | 'a' | 'b']: readonly number[] }, { readonly I: readonly number[] }>(
    'fn-betainc',
  ),
)('has the values of $id', ({ input, output, rtol }) => {
  expectWithin(
    rtol,
    input.x.map((x, index) => incompleteBeta(x, input.a[index] ?? 0, input.b[index] ?? 0)),
    output.I,
  )
})

describe('as @stdlib has it', () => {
  const log = (least: number, most: number) =>
    fc.double({ min: Math.log(least), max: Math.log(most), noNaN: true }).map(Math.exp)

  it('the logarithm of the gamma function', () => {
    fc.assert(
      fc.property(log(1e-6, 1e12), (x) => {
        expect(Math.abs(logGamma(x) - gammaln(x))).toBeLessThanOrEqual(1e-12 * (1 + Math.abs(gammaln(x))))
      }),
    )
  })

  it('the normal distribution, far out too', () => {
    fc.assert(
      fc.property(fc.double({ min: -37, max: 37, noNaN: true }), (z) => {
        expectWithin(1e-11, [normalTail(z)], [cdf(-z, 0, 1)])
      }),
    )
    fc.assert(
      fc.property(log(1e-300, 0.999999), (p) => {
        expectWithin(1e-10, [cdf(-normalQuantileAbove(p), 0, 1)], [p])
      }),
    )
  })

  it('chi-square tails', () => {
    fc.assert(
      fc.property(log(1e-3, 600), fc.integer({ min: 1, max: 100 }), (x, degrees) => {
        expectWithin(1e-9, [chiSquareTail(x, degrees)], [gammainc(x / 2, degrees / 2, true, true)])
      }),
    )
  })

  it('the incomplete beta function', () => {
    fc.assert(
      fc.property(log(1e-4, 1), log(0.5, 1e5), log(0.5, 1e5), (x, a, b) => {
        const expected = betainc(x, a, b, true, false)
        fc.pre(expected > 1e-250)
        expectWithin(1e-8, [incompleteBeta(x, a, b)], [expected])
      }),
    )
  })
})

it('counts hits as Poisson did', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 40 }),
      fc.double({ min: 0.01, max: 60, noNaN: true }),
      (k, expected) => {
        let less = 0
        for (let hits = 0; hits < k; hits++) less += poissonShare(hits, expected)
        const tails = poissonTails(k, expected)
        expect(tails.less).toBeCloseTo(less, 12)
        expect(tails.least + tails.less).toBeCloseTo(1, 14)
      },
    ),
  )
})
