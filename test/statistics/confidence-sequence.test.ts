import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  combineStrata,
  differenceOf,
  type Estimate,
  excessOf,
  isBurntIn,
  meanOf,
  oneSidedSequence,
  ratioOf,
  rhoOf,
  type Sums,
  stageShare,
} from '../../src/statistics/confidence-sequence.ts'
import { expectWithin, goldenCases } from './golden.ts'
import { normals } from './random.ts'

type Proportion = { readonly n: number; readonly x: number }
type Ratio = { readonly [name in 'n' | 'num_sum' | 'num_ss' | 'den_sum' | 'den_ss' | 'num_den_sp']: number }

/** As the cases estimate a share: its variance is p·(1-p). */
function shareOf({ n, x }: Proportion): Estimate {
  const p = x / n
  return { value: p, error: Math.sqrt((p * (1 - p)) / n), units: n }
}

function sumsOf(values: readonly number[]): Sums {
  const sum = values.reduce((total, value) => total + value, 0)
  return { n: values.length, sum, sumSquares: values.reduce((total, value) => total + value ** 2, 0) }
}

it.each(
  goldenCases<
    { readonly alpha: number; readonly N_star: number },
    { readonly rho_two_sided: number; readonly rho_one_sided: number }
  >('seq-rho-'),
)('is tuned as $id', ({ input: { alpha, N_star }, output, rtol }) => {
  const found = [rhoOf(alpha, N_star), rhoOf(2 * alpha, N_star)]
  expectWithin(rtol, found, [output.rho_two_sided, output.rho_one_sided])
})

it.each(
  goldenCases<
    {
      readonly control: Proportion
      readonly treatment: Proportion
      readonly alpha: number
      readonly N_star: number
    },
    {
      readonly effect: number
      readonly se: number
      readonly ci: readonly [number, 'Infinity']
      readonly p_closed_form?: number
    }
  >('seq1-'),
)('has the bound and the evidence of $id', ({ input, output, rtol }) => {
  const difference = differenceOf(shareOf(input.treatment), shareOf(input.control))
  expectWithin(rtol, [difference.value, difference.error], [output.effect, output.se])
  const { bound, logEvidence } = oneSidedSequence(difference, input.alpha, input.N_star, 'above')
  expectWithin(rtol, [bound], [output.ci[0]])
  if (output.p_closed_form) expectWithin(rtol, [Math.exp(-logEvidence)], [output.p_closed_form])
})

it.each(
  goldenCases<
    {
      readonly [arm in 'control' | 'treatment']: {
        readonly n: number
        readonly sum: number
        readonly sum_squares: number
      }
    },
    { readonly effect: number; readonly se: number }
  >('mean-welch-'),
)('has the difference of means of $id', ({ input, output, rtol }) => {
  const armOf = (name: 'control' | 'treatment') =>
    meanOf({ n: input[name].n, sum: input[name].sum, sumSquares: input[name].sum_squares })
  const { value, error } = differenceOf(armOf('treatment'), armOf('control'))
  expectWithin(rtol, [value, error], [output.effect, output.se])
})

it.each(
  goldenCases<
    { readonly [arm in 'control' | 'treatment']: Ratio },
    {
      readonly [name in 'effect' | 'se' | 'ratio_control' | 'ratio_treatment']: number
    }
  >('ratio-delta-'),
)('has the difference of ratios of $id', ({ input, output, rtol }) => {
  const armOf = ({ n, num_sum, num_ss, den_sum, den_ss, num_den_sp }: Ratio) =>
    ratioOf({
      n,
      sum: num_sum,
      sumSquares: num_ss,
      denominator: den_sum,
      denominatorSquares: den_ss,
      products: num_den_sp,
    })
  const [treatment, control] = [armOf(input.treatment), armOf(input.control)]
  const { value, error } = differenceOf(treatment, control)
  const found = [treatment.value, control.value, value, error]
  expectWithin(rtol, found, [output.ratio_treatment, output.ratio_control, output.effect, output.se])
})

describe('the sequence', () => {
  const estimates = fc.record({
    value: fc.double({ min: -1e3, max: 1e3, noNaN: true }),
    error: fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
    units: fc.integer({ min: 2, max: 1e9 }),
  })
  const alphas = fc.double({ min: 1e-6, max: 0.4, noNaN: true })

  it('has enough evidence exactly where its bound is past 0', () => {
    fc.assert(
      fc.property(
        estimates,
        alphas,
        fc.constantFrom('above' as const, 'below' as const),
        (estimate, alpha, side) => {
          const { bound, logEvidence } = oneSidedSequence(estimate, alpha, 5_000, side)
          fc.pre(Math.abs(bound) > 1e-9 * estimate.error)
          expect(logEvidence >= -Math.log(alpha)).toBe(side === 'above' ? bound > 0 : bound < 0)
        },
      ),
    )
  })

  it('is the same below as above, turned over', () => {
    fc.assert(
      fc.property(estimates, alphas, (estimate, alpha) => {
        const above = oneSidedSequence(estimate, alpha, 5_000, 'above')
        const below = oneSidedSequence({ ...estimate, value: -estimate.value }, alpha, 5_000, 'below')
        expect(below).toEqual({ bound: -above.bound, logEvidence: above.logEvidence })
      }),
    )
  })

  it('has a number for evidence that no probability can be written for', () => {
    const { logEvidence } = oneSidedSequence({ value: 9e3, error: 1, units: 1e6 }, 0.01, 5_000, 'above')
    expect(logEvidence).toBeGreaterThan(1e7)
    expect(logEvidence).toBeLessThan(Number.POSITIVE_INFINITY)
  })

  it('is crossed in at most a share α of runs that are looked at all the time, from the burn-in on', () => {
    // Seeded: 600 runs of 2,000 pairs of units, looked at after every 20, revenue in one of five.
    const draw = normals(20_261_121)
    let crossed = 0
    const runs = 600
    for (let run = 0; run < runs; run++) {
      const treatment = { n: 0, sum: 0, sumSquares: 0, hits: 0 }
      const control = { ...treatment }
      let isCrossed = false
      for (let unit = 1; unit <= 2_000; unit++) {
        for (const arm of [treatment, control]) {
          const value = draw() > 0.84 ? Math.exp(0.5 * draw()) : 0
          arm.n++
          arm.sum += value
          arm.sumSquares += value ** 2
          arm.hits += value > 0 ? 1 : 0
        }
        const isLooked = unit % 20 === 0 && !isCrossed
        if (!isLooked || !isBurntIn([treatment, control].map(({ n, hits }) => ({ units: n, hits })))) continue
        const difference = differenceOf(meanOf(treatment), meanOf(control))
        isCrossed = oneSidedSequence(difference, 0.05, 1_000, 'below').bound < 0
      }
      if (isCrossed) crossed++
    }
    expect(crossed / runs).toBeGreaterThan(0)
    expect(crossed / runs).toBeLessThanOrEqual(0.05)
  })
})

it('finds a drop beyond what is tolerated, and none within it', () => {
  const arm = (mean: number) =>
    meanOf({ n: 20_000, sum: 20_000 * mean, sumSquares: 20_000 * (mean ** 2 + 25) })
  const boundOf = (mean: number) =>
    oneSidedSequence(differenceOf(arm(mean), arm(10), 0.9), 0.01, 5_000, 'below').bound
  expect(boundOf(9.4)).toBeGreaterThan(0)
  expect(boundOf(8)).toBeLessThan(0)
})

it('judges one arm against a limit', () => {
  const arm = meanOf({ n: 5_000, sum: 36_000, sumSquares: 300_000 })
  expect(oneSidedSequence(excessOf(arm, 7), 0.01, 5_000, 'above').bound).toBeLessThan(0.2)
  expect(oneSidedSequence(excessOf(arm, 7), 0.01, 5_000, 'above').bound).toBeGreaterThan(0)
  expect(oneSidedSequence(excessOf(arm, 7.2), 0.01, 5_000, 'above').bound).toBeLessThan(0)
})

it('weighs strata by what they know', () => {
  const sharp = { value: 1, error: 1, units: 900 }
  const blunt = { value: 4, error: 2, units: 100 }
  expect(combineStrata([sharp, blunt])).toEqual({ value: 1.6, error: 1 / Math.sqrt(1.25), units: 1_000 })
  expect(combineStrata([sharp, { value: 9, error: Number.NaN, units: 1 }])).toEqual(sharp)
  expect(combineStrata([{ value: 9, error: 0, units: 5 }])).toBeUndefined()
})

it('knows as much of a mean however its units are spread over strata that are alike', () => {
  const draw = normals(7)
  const all = Array.from({ length: 4_000 }, () => 10 + draw())
  const whole = meanOf(sumsOf(all))
  const halves = combineStrata([meanOf(sumsOf(all.slice(0, 2_000))), meanOf(sumsOf(all.slice(2_000)))])
  expect(halves?.error).toBeCloseTo(whole.error, 4)
  expect(halves?.value).toBeCloseTo(whole.value, 2)
})

it('waits until fifty units with anything to tell are to be expected in each arm', () => {
  const arms = (hits: number) => [
    { units: 500, hits },
    { units: 4_500, hits: 495 },
  ]
  expect([isBurntIn(arms(4)), isBurntIn(arms(5))]).toEqual([false, true])
  expect(isBurntIn([{ units: 0, hits: 0 }])).toBe(false)
  expect(isBurntIn([{ units: 60, hits: 50 }])).toBe(true)
})

it('shares α out over stages so that they never use more than all of it', () => {
  let sum = 0
  for (let stage = 0; stage < 1_000; stage++) sum += stageShare(stage)
  expect(sum).toBeCloseTo(1 - 1 / 1_001, 12)
})
