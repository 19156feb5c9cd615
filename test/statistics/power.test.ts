import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  advanceMixture,
  DOWN,
  logEvidence,
  newMixture,
  regressionLikelihoods,
  UP,
} from '../../src/statistics/guard-mixture.ts'
import { detectableRatio, type GuardedStage, unitsNeeded } from '../../src/statistics/power.ts'
import { goldenCases } from './golden.ts'
import { hitsAmong } from './random.ts'

it.each(
  goldenCases<
    {
      readonly [name in 'p_C' | 'p_T' | 'alpha' | 'power' | 'kappa_nC_over_nT']: number
    } & { readonly sides: 1 | 2 },
    { readonly n_treatment: number; readonly n_control: number }
  >('ss-prop'),
)('needs the units of $id', ({ input, output }) => {
  const { p_C: control, p_T: treatment, alpha, power, kappa_nC_over_nT: controlPerTreatment, sides } = input
  expect(unitsNeeded({ control, treatment, alpha, power, controlPerTreatment, sides })).toEqual({
    treatment: output.n_treatment,
    control: output.n_control,
  })
})

describe('what a guard finds within a stage', () => {
  /** How often a change is found in stages of 40 blocks, at any look. Seeded. */
  function foundIn(runs: number, stage: GuardedStage, ratio: number): number {
    const { base, share, units, alpha, tolerated = 1.1, ratios = UP } = stage
    const hits = hitsAmong(20_261_121)
    const nT = Math.round((units * share) / 40)
    const nC = Math.round((units * (1 - share)) / 40)
    let found = 0
    for (let run = 0; run < runs; run++) {
      let evidence = newMixture()
      for (let block = 0; block < 40; block++) {
        const counts = { xT: hits(nT, Math.min(1, base * ratio)), nT, xC: hits(nC, base), nC }
        evidence = advanceMixture(evidence, regressionLikelihoods([counts], ratios, tolerated))
        if (logEvidence(evidence) < -Math.log(alpha)) continue
        found++
        break
      }
    }
    return found / runs
  }

  const stage: GuardedStage = { base: 0.005, share: 0.1, units: 20_000, alpha: 0.0025, power: 0.9 }

  it.each<[string, GuardedStage]>([
    ['errors that are rare', stage],
    ['few of the units treated', { ...stage, base: 0.001, share: 0.01, units: 60_000 }],
    ['half of the units treated', { ...stage, base: 0.05, share: 0.5, units: 3_000, power: 0.5 }],
    ['hits that are common', { ...stage, base: 0.3, share: 0.5, units: 4_000, power: 0.8 }],
    ['a drop', { ...stage, base: 0.05, units: 50_000, power: 0.5, tolerated: 0.9, ratios: DOWN }],
  ])('is found about as often as it says: %s', (_name, one) => {
    const ratio = detectableRatio(one) ?? Number.NaN
    const found = foundIn(300, one, ratio)
    // Looks before the end add a little to what it says; 300 runs are 2 or 3 % off.
    expect(found).toBeGreaterThan(one.power - 0.05)
    expect(found).toBeLessThan(one.power + 0.15)
  })

  it('is what the goal asks for: from 0.5 to 2 % within six minutes of a thousand units, half of the time', () => {
    const ratio = detectableRatio({ ...stage, units: 6_000, alpha: 0.01, power: 0.5, tolerated: 1 })
    expect(ratio).toBeGreaterThan(3.5)
    expect(ratio).toBeLessThan(4.2)
  })

  it('is smaller with more units, a larger α, a lower power', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.001, max: 0.2, noNaN: true }),
        fc.double({ min: 0.01, max: 0.9, noNaN: true }),
        fc.integer({ min: 2_000, max: 200_000 }),
        (base, share, units) => {
          const one = { base, share, units, alpha: 0.005, power: 0.8 }
          const ratioOf = (more: Partial<GuardedStage>) =>
            detectableRatio({ ...one, ...more }) ?? Number.POSITIVE_INFINITY
          const ratio = ratioOf({})
          expect(ratio).toBeGreaterThan(1.1)
          for (const easier of [{ units: units * 2 }, { alpha: 0.05 }, { power: 0.5 }]) {
            expect(ratioOf(easier)).toBeLessThanOrEqual(ratio * 1.0001)
          }
        },
      ),
    )
  })

  it('is nothing where there is nobody to compare, or too few', () => {
    for (const nothing of [
      { base: 0 },
      { base: 1 },
      { share: 0 },
      { share: 1 },
      { units: 0 },
      { units: 30 },
    ]) {
      expect(detectableRatio({ ...stage, ...nothing })).toBeUndefined()
    }
  })
})
