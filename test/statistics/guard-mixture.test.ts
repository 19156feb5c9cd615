import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  advanceEntries,
  advanceMixture,
  BLOCKS_PER_HOUR,
  DOWN,
  entryLikelihoods,
  logEvidence,
  type Mixture,
  newMixture,
  regressionLikelihoods,
  type StratumCounts,
  skipBlocks,
  thresholdLikelihoods,
  UP,
  WEIGHT_SUM,
} from '../../src/statistics/guard-mixture.ts'
import { binomialShares, combinationsOf } from './binomial.ts'
import { expectWithin, goldenCases } from './golden.ts'

type Four = readonly [xT: number, nT: number, xC: number, nC: number]
type Looks = { readonly per_block_logG_logE_logSR: readonly (readonly [number, number, number])[] }

const stratumOf = ([xT, nT, xC, nC]: Four): StratumCounts => ({ xT, nT, xC, nC })

function meanOf(logs: readonly number[]): number {
  return Math.log(logs.reduce((sum, log) => sum + Math.exp(log), 0) / logs.length)
}

/** What a case lists after each block. */
function lookAt(mixture: Mixture): number[] {
  return [logEvidence(mixture), meanOf(mixture.logE), meanOf(mixture.logSR)]
}

function takenIn(blocks: readonly (readonly number[] | undefined)[], start = newMixture()): Mixture {
  return blocks.reduce((mixture: Mixture, block) => advanceMixture(mixture, block), start)
}

function expectSame(found: Mixture, expected: Mixture): void {
  expect(found.blocks).toBe(expected.blocks)
  expectWithin(1e-12, found.logE, expected.logE)
  expectWithin(1e-12, found.logSR, expected.logSR)
}

it.each(
  goldenCases<
    { readonly blocks_xT_nT_xC_nC: readonly Four[]; readonly r_grid: readonly number[]; readonly r0: number },
    { readonly log_e: number; readonly log_lr_per_r?: readonly number[] }
  >('eproc-'),
)('has the likelihood ratios of $id', ({ input, output, rtol }) => {
  const sums = input.r_grid.map(() => 0)
  for (const block of input.blocks_xT_nT_xC_nC) {
    // The case's grid is of multiples of 1, ours of what is tolerated.
    const ratios = input.r_grid.map((ratio) => ratio / input.r0)
    const found = regressionLikelihoods([stratumOf(block)], ratios, input.r0) ?? []
    for (const [k, log] of found.entries()) sums[k] = (sums[k] ?? 0) + log
  }
  if (output.log_lr_per_r) expectWithin(rtol, sums, output.log_lr_per_r)
  expectWithin(rtol, [meanOf(sums)], [output.log_e])
})

it.each(
  goldenCases<
    {
      readonly blocks_strata_xT_nT_xC_nC: readonly (readonly Four[])[]
      readonly grid: readonly number[]
      readonly r0: number
      readonly blocks_per_hour: number
    },
    Looks
  >('guard-mix-'),
)('has the evidence of $id, block by block', ({ input, output, rtol }) => {
  let mixture = newMixture(input.grid.length)
  for (const [index, strata] of input.blocks_strata_xT_nT_xC_nC.entries()) {
    const likelihoods = regressionLikelihoods(strata.map(stratumOf), input.grid, input.r0)
    mixture = advanceMixture(mixture, likelihoods, input.blocks_per_hour)
    expectWithin(rtol, lookAt(mixture), output.per_block_logG_logE_logSR[index] ?? [])
  }
})

it.each(
  goldenCases<
    {
      readonly blocks_x_n: readonly (readonly [number, number])[]
      readonly c: number
      readonly grid: readonly number[]
      readonly blocks_per_hour: number
    },
    Looks
  >('guard-threshold'),
)('has the evidence of $id against a limit, block by block', ({ input, output, rtol }) => {
  let mixture = newMixture(input.grid.length)
  for (const [index, [x, n]] of input.blocks_x_n.entries()) {
    mixture = advanceMixture(mixture, thresholdLikelihoods(x, n, input.c, input.grid), input.blocks_per_hour)
    expectWithin(rtol, lookAt(mixture), output.per_block_logG_logE_logSR[index] ?? [])
  }
})

describe('the mixture', () => {
  const likelihoods = fc.option(
    fc.array(fc.double({ min: -40, max: 40, noNaN: true }), { minLength: 6, maxLength: 6 }),
    {
      nil: undefined,
    },
  )

  it('gives its beginnings weights that sum to 1 at most, and nearly', () => {
    const hours = 1_000_000
    let sum = 0
    for (let hour = 0; hour < hours; hour++) sum += 1 / ((hour + 1) * Math.log(hour + 2) ** 2)
    // Of a falling convex function each term is less than its integral half a step to both sides.
    const restAtMost = 1 / Math.log(hours + 0.5)
    expect(sum + restAtMost).toBeLessThanOrEqual(WEIGHT_SUM)
    expect(sum + restAtMost).toBeGreaterThan(WEIGHT_SUM * 0.9999)
  })

  it('uses those weights', () => {
    // Where nothing ever happens SR is the sum of the weights.
    let before = 0
    for (const hour of [0, 1, 2, 23, 24, 167]) {
      const at = skipBlocks(newMixture(1), hour * BLOCKS_PER_HOUR)
      before = Math.exp(at.logSR[0] ?? 0)
      const after = Math.exp(advanceMixture(at).logSR[0] ?? 0)
      const weight = 1 / (WEIGHT_SUM * (hour + 1) * Math.log(hour + 2) ** 2 * BLOCKS_PER_HOUR)
      expect(after - before).toBeCloseTo(weight, 14)
    }
  })

  it('skips empty blocks as if they came one by one', () => {
    fc.assert(
      fc.property(
        fc.array(likelihoods, { maxLength: 5 }),
        fc.integer({ min: 0, max: 4_000 }),
        fc.constantFrom(1, 7, 360),
        (blocks, count, blocksPerHour) => {
          let slow = takenIn(blocks)
          const fast = skipBlocks(slow, count, blocksPerHour)
          for (let index = 0; index < count; index++) slow = advanceMixture(slow, undefined, blocksPerHour)
          expectSame(fast, slow)
        },
      ),
      { numRuns: 40 },
    )
  })

  it('can be stopped and gone on with anywhere', () => {
    fc.assert(
      fc.property(fc.array(likelihoods, { maxLength: 12 }), fc.nat(12), (blocks, cut) => {
        const stopped: Mixture = JSON.parse(JSON.stringify(takenIn([...blocks.slice(0, cut), undefined])))
        const whole = takenIn([...blocks.slice(0, cut), undefined, ...blocks.slice(cut)])
        expect(takenIn(blocks.slice(cut), stopped)).toEqual(whole)
      }),
    )
  })

  it('is never more than what a beginning known in advance would have made of it, but for its weight', () => {
    fc.assert(
      fc.property(fc.array(likelihoods, { minLength: 1, maxLength: 12 }), (blocks) => {
        const found = logEvidence(takenIn(blocks))
        const sums = Array.from({ length: 6 }, (_, k) =>
          blocks.reduce((sum, block) => sum + (block?.[k] ?? 0), 0),
        )
        expect(found).toBeGreaterThanOrEqual(Math.max(...sums) - Math.log(12) - 1e-9)
      }),
    )
  })

  it('stays a number however much speaks for one side', () => {
    for (const log of [-1e6, 1e6, -700, 800]) {
      const mixture = takenIn(Array.from({ length: 50 }, () => UP.map(() => log)))
      expect(logEvidence(mixture)).not.toBeNaN()
      expect(logEvidence(mixture)).toBeLessThan(Number.POSITIVE_INFINITY)
    }
    expect(logEvidence(newMixture())).toBe(-Math.LN2)
  })
})

describe('while nothing is worse than tolerated, no likelihood ratio is more than 1 on average', () => {
  const units = fc.integer({ min: 1, max: 9 })
  const share = fc.double({ min: 0, max: 1, noNaN: true })

  it('of two arms whose units are hit independently, for any tolerance', () => {
    fc.assert(
      fc.property(
        units,
        units,
        share,
        share,
        fc.constantFrom(1, 1.1, 1.5, 3),
        fc.boolean(),
        (nT, nC, base, part, tolerance, upwards) => {
          const tolerated = upwards ? tolerance : 1 / tolerance
          const ratios = upwards ? UP : DOWN
          // Any rate of treatment that is tolerated: part of the way to the worst.
          const control = upwards ? base / tolerance : base
          const treatment = upwards
            ? control * tolerance * part
            : control * (tolerated + (1 - tolerated) * part)
          const means = ratios.map(() => 0)
          for (const [xT, shareT] of binomialShares(nT, treatment).entries()) {
            for (const [xC, shareC] of binomialShares(nC, control).entries()) {
              const logs = regressionLikelihoods([{ xT, nT, xC, nC }], ratios, tolerated)
              for (const k of ratios.keys())
                means[k] = (means[k] ?? 0) + shareT * shareC * Math.exp(logs?.[k] ?? 0)
            }
          }
          expect(Math.max(...means)).toBeLessThanOrEqual(1 + 1e-12)
        },
      ),
    )
  })

  it('of two arms among which a given number of hits is dealt out by chance', () => {
    fc.assert(
      fc.property(units, units, fc.nat(18), (nT, nC, anyHits) => {
        const hits = Math.min(anyHits, nT + nC)
        for (const ratios of [UP, DOWN]) {
          const means = ratios.map(() => 0)
          for (let xT = Math.max(0, hits - nC); xT <= Math.min(nT, hits); xT++) {
            const chance =
              (combinationsOf(nT, xT) * combinationsOf(nC, hits - xT)) / combinationsOf(nT + nC, hits)
            const logs = regressionLikelihoods([{ xT, nT, xC: hits - xT, nC }], ratios, 1)
            for (const k of ratios.keys()) means[k] = (means[k] ?? 0) + chance * Math.exp(logs?.[k] ?? 0)
          }
          expect(Math.max(...means)).toBeLessThanOrEqual(1 + 1e-12)
        }
      }),
    )
  })

  it('of one arm against a limit', () => {
    fc.assert(
      fc.property(units, fc.double({ min: 0.001, max: 0.999, noNaN: true }), share, (n, limit, part) => {
        for (const [ratios, actual] of [
          [UP, limit * part],
          [DOWN, limit + (1 - limit) * part],
        ] as const) {
          const means = ratios.map(() => 0)
          for (const [x, chance] of binomialShares(n, actual).entries()) {
            const logs = thresholdLikelihoods(x, n, limit, ratios)
            for (const k of ratios.keys()) means[k] = (means[k] ?? 0) + chance * Math.exp(logs[k] ?? 0)
          }
          expect(Math.max(...means)).toBeLessThanOrEqual(1 + 1e-9)
        }
      }),
    )
  })
})

describe('hits that come long after their units', () => {
  /** A unit enters with a block, and is hit some blocks later with those probabilities, or never. */
  type Cohort = { readonly enters: number; readonly lags: readonly number[] }

  /**
   * The mean of evidence where it is first looked at above a bound, or else at the end: over every way in which the units
   * can be hit. Nobody who stops at the best moment can make it more than 1.
   */
  function meanAtBound(
    cohorts: readonly Cohort[],
    blocks: number,
    bound: number,
    advance: (evidence: Mixture, hits: number, entered: number, block: number) => Mixture,
  ): number {
    const enteredIn = (block: number) => cohorts.filter(({ enters }) => enters === block).length
    const follow = (block: number, evidence: Mixture, waiting: readonly Cohort[]): number => {
      if (block === blocks || logEvidence(evidence) >= bound) return Math.exp(logEvidence(evidence))
      // Who is hit in this block, given that nobody of them was before.
      let mean = 0
      const present = waiting.filter(({ enters }) => enters <= block)
      for (let who = 0; who < 2 ** present.length; who++) {
        let chance = 1
        for (const [index, { enters, lags }] of present.entries()) {
          const later = 1 - lags.slice(0, block - enters).reduce((sum, lag) => sum + lag, 0)
          const now = later > 0 ? (lags[block - enters] ?? 0) / later : 0
          chance *= who & (1 << index) ? now : 1 - now
        }
        if (chance === 0) continue
        const hit = present.filter((_, index) => who & (1 << index))
        const next = advance(evidence, hit.length, enteredIn(block), block)
        mean +=
          chance *
          follow(
            block + 1,
            next,
            waiting.filter((unit) => !hit.includes(unit)),
          )
      }
      return mean
    }
    return follow(0, newMixture(), cohorts)
  }

  const LIMIT = 0.2
  /** Shares of LIMIT, in the blocks after entering. */
  const lags = fc
    .array(fc.double({ min: 0.01, max: 1, noNaN: true }), { minLength: 1, maxLength: 4 })
    .map((parts) => {
      const sum = parts.reduce((total, part) => total + part, 0)
      return parts.map((part) => (LIMIT * part) / sum)
    })
  const cohorts = fc.array(fc.record({ enters: fc.nat(3), lags }), { minLength: 1, maxLength: 4 })

  it('make no evidence, whatever the lags and wherever one stops', () => {
    fc.assert(
      fc.property(cohorts, fc.double({ min: -1, max: 3, noNaN: true }), (units, bound) => {
        const mean = meanAtBound(units, 6, bound, (evidence, hits, entered) =>
          advanceEntries(evidence, entryLikelihoods(hits, entered, LIMIT, UP), 1),
        )
        expect(mean).toBeLessThanOrEqual(1 + 1e-9)
      }),
      { numRuns: 60 },
    )
  })

  it('would make some if evidence could begin between a unit and its hit', () => {
    // All enter at first and are hit late: a beginning in between has seen the hits and nobody who could have had them.
    const units = Array.from({ length: 4 }, () => ({ enters: 0, lags: [0, 0, 0, 0, LIMIT] }))
    const mean = meanAtBound(units, 6, 20, (evidence, hits, entered) =>
      advanceMixture(evidence, entryLikelihoods(hits, entered, LIMIT, UP), 1),
    )
    expect(mean).toBeGreaterThan(1.5)
  })

  it('may make evidence anew with each stage, once, with weights that sum to 1 at most', () => {
    const nothing = UP.map(() => 0)
    let evidence = newMixture()
    const weights = [1, 2, 2, 5, 5, 6].map((stage) => {
      evidence = advanceEntries(evidence, nothing, stage)
      return Math.exp(evidence.logSR[0] ?? 0)
    })
    const weightOf = (stage: number) => 1 / (WEIGHT_SUM * stage * Math.log(stage + 1) ** 2)
    expect(evidence.blocks).toBe(6)
    const sums = [[1], [1, 2], [1, 2], [1, 2, 5], [1, 2, 5], [1, 2, 5, 6]]
    expectWithin(
      1e-12,
      weights,
      sums.map((stages) => stages.reduce((sum, stage) => sum + weightOf(stage), 0)),
    )
  })

  it('find a stage that goes bad after others that were good', () => {
    let evidence = newMixture()
    for (let stage = 1; stage <= 4; stage++) {
      evidence = advanceEntries(evidence, entryLikelihoods(10, 2_000, 0.01, UP), stage)
    }
    expect(logEvidence(evidence)).toBeLessThan(0)
    const bad = advanceEntries(evidence, entryLikelihoods(60, 2_000, 0.01, UP), 5)
    expect(logEvidence(bad)).toBeGreaterThan(Math.log(100))
  })

  it('are proof where none is allowed', () => {
    const none = advanceEntries(newMixture(), entryLikelihoods(0, 1_000, 0, UP), 1)
    expect(logEvidence(none)).toBeLessThan(0)
    expect(logEvidence(advanceEntries(none, entryLikelihoods(1, 0, 0, UP), 1))).toBeGreaterThan(100)
  })
})

it('knows limits that no share can pass, and such that any hit or miss does', () => {
  const says = (x: number, n: number, limit: number, ratios: readonly number[]) =>
    logEvidence(advanceMixture(newMixture(), thresholdLikelihoods(x, n, limit, ratios))) > 100
  expect([says(1, 9, 0, UP), says(0, 9, 0, UP), says(5, 9, 0, DOWN)]).toEqual([true, false, false])
  expect([says(8, 9, 1, DOWN), says(9, 9, 1, DOWN), says(9, 9, 1, UP)]).toEqual([true, false, false])
})

it('says nothing of strata that lack an arm, or a hit', () => {
  const lacking = [
    { xT: 1, nT: 60, xC: 0, nC: 0 },
    { xT: 0, nT: 0, xC: 5, nC: 9 },
    { xT: 0, nT: 5, xC: 0, nC: 9 },
  ]
  expect(regressionLikelihoods(lacking, UP, 1.1)).toBeUndefined()
  const telling = { xT: 2, nT: 18, xC: 1, nC: 151 }
  expect(regressionLikelihoods([...lacking, telling], UP, 1.1)).toEqual(
    regressionLikelihoods([telling], UP, 1.1),
  )
})

it('sees a rise with one grid and a drop with the other', () => {
  const worse = { xT: 30, nT: 1000, xC: 100, nC: 9000 }
  const fewer = { xT: 30, nT: 1000, xC: 600, nC: 9000 }
  const evidenceOf = (block: StratumCounts, ratios: readonly number[], tolerated: number) =>
    logEvidence(advanceMixture(newMixture(ratios.length), regressionLikelihoods([block], ratios, tolerated)))
  expect(evidenceOf(worse, UP, 1.1)).toBeGreaterThan(Math.log(100))
  expect(evidenceOf(fewer, DOWN, 0.9)).toBeGreaterThan(Math.log(100))
  expect(evidenceOf(worse, DOWN, 0.9)).toBeLessThan(0)
  expect(evidenceOf(fewer, UP, 1.1)).toBeLessThan(0)
})
