import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Evidence, newEvidence } from '../../../../src/rollouts/evidence/evidence.ts'
import { packEvidence } from '../../../../src/rollouts/evidence/packed.ts'
import { readEvidence } from '../../../../src/rollouts/evidence/read-evidence.ts'
import { replay } from '../../../../src/rollouts/evidence/replay.ts'
import { takeBlocks } from '../../../../src/rollouts/evidence/take-blocks.ts'
import {
  advanceEntries,
  advanceMixture,
  DOWN,
  entryLikelihoods,
  logEvidence,
  type Mixture,
  newMixture,
  regressionLikelihoods,
  type StratumCounts,
  thresholdLikelihoods,
  UP,
} from '../../../../src/statistics/guard-mixture.ts'
import { logSampleRatio } from '../../../../src/statistics/sample-ratio.ts'
import type { GuardBlock } from '../../../../src/telemetry/counting/blocks.ts'
import { endOf, makeGround, makeGuard, makeMetric, makePlan, makeStage, START } from './ground.ts'
import { ARMS, BOUND, blocksOf, type Known, knownOf, STRATA, type Timeline, timelines } from './timelines.ts'

const LIMITED = { kind: 'threshold', side: 'above', limit: 0.05, quantile: null, literal: null } as const
const P95 = { kind: 'threshold', side: 'above', limit: BOUND, quantile: 0.95, literal: null } as const

const PLAN = makePlan({
  stages: [
    makeStage({ name: 'everyone', percentage: 30 }),
    makeStage({ name: 'insiders', audience: { segment: 'insiders' }, percentage: 50 }),
  ],
  guardrails: [
    makeGuard({ kind: 'regression', tolerance: 0.1, quantile: null }),
    makeGuard({ kind: 'regression', tolerance: 0.1, quantile: null }, { id: 'apart', mode: 'partial' }),
    makeGuard({ kind: 'regression', tolerance: 0.2, quantile: 0.95 }, { id: 'slower', metric: 'latency' }),
    makeGuard(LIMITED, { id: 'limited' }),
    makeGuard(P95, { id: 'slow', metric: 'latency' }),
    makeGuard({ ...LIMITED, literal: { windowMs: 60_000 } }, { id: 'literal' }),
  ],
})

const GROUND = makeGround(PLAN, [makeMetric('errors'), makeMetric('latency', 'latency')], {
  stage: 1,
  frozen: { slower: BOUND },
})

const LENGTH = 30

function takeAll(blocks: readonly GuardBlock[], cuts: readonly number[] = [], start = newEvidence(START)) {
  return [...cuts, LENGTH].reduce((evidence: Evidence, cut) => {
    // Blocks that were taken already do nothing: some are sent again.
    const since = evidence.through - 50_000
    const due = blocks.filter(({ start }) => start >= since && start < endOf(cut))
    return takeBlocks(evidence, GROUND, { through: endOf(cut), blocks: due })
  }, start)
}

/** Both arms of the strata, in one block. */
type Both = { readonly t: Known; readonly c: Known }

/** The evidence as one would make it who knows everything: block by block, empty ones too. */
class Model {
  private readonly arms: ReadonlyMap<string, readonly Known[]>

  constructor(timeline: Timeline) {
    this.arms = new Map(Object.entries(timeline).map(([name, moments]) => [name, knownOf(moments)]))
  }

  at(index: number, strata: readonly string[] = STRATA): Both[] {
    return strata.map((stratum) => {
      const [t, c] = ARMS.map((arm) => this.arms.get(`${stratum}.${arm}`)?.[index])
      if (!t || !c) throw new Error('no such block')
      return { t, c }
    })
  }

  mixture(likelihoods: (index: number) => readonly number[] | undefined): Mixture {
    let mixture = newMixture()
    for (let index = 0; index < LENGTH; index++) mixture = advanceMixture(mixture, likelihoods(index))
    return mixture
  }

  compared(strata: readonly string[], counts: (both: Both) => StratumCounts, tolerated: number): number {
    return logEvidence(
      this.mixture((index) => regressionLikelihoods(this.at(index, strata).map(counts), UP, tolerated)),
    )
  }

  /** Hits count by what is said against those at risk and against the shares: the less of the two. */
  hits(strata: readonly (typeof STRATA)[number][], tolerated: number): number {
    const granted = this.mixture((index) => {
      const counts = strata.map((name) => {
        const [both] = this.at(index, [name])
        if (!both) throw new Error('no such block')
        return grantedCounts(both, STRATA.indexOf(name))
      })
      return regressionLikelihoods(counts, UP, tolerated)
    })
    return Math.min(this.compared(strata, hitCounts, tolerated), logEvidence(granted))
  }

  entries(): Mixture {
    let mixture = newMixture()
    for (let index = 0; index < LENGTH; index++) {
      const treated = this.at(index).map(({ t }) => t)
      const sum = (of: (arm: Known) => number) => treated.reduce((total, arm) => total + of(arm), 0)
      const [hits, entered] = [sum(({ hit }) => hit), sum(({ enter }) => enter)]
      if (hits + entered === 0) continue
      mixture = advanceEntries(mixture, entryLikelihoods(hits, entered, LIMITED.limit, UP), 1)
    }
    return mixture
  }
}

const SHARES = [30, 50]
const grantedCounts = ({ t, c }: Both, place: number) => {
  const share = SHARES[place] ?? 0
  return { xT: t.hit, nT: share, xC: c.hit, nC: 100 - share }
}
const hitCounts = ({ t, c }: Both) => ({ xT: t.hit, nT: t.after + t.hit, xC: c.hit, nC: c.after + c.hit })
const aboveCounts = ({ t, c }: Both) => ({ xT: t.above, nT: t.observed, xC: c.above, nC: c.observed })

describe('the evidence of blocks', () => {
  it('is what one finds who goes through every block, empty ones too', () => {
    fc.assert(
      fc.property(timelines, (timeline) => {
        const evidence = takeAll(blocksOf(timeline))
        const reading = readEvidence(evidence, GROUND)
        const found = reading.guards.map(({ guardrail, audience, evidence }) => [
          guardrail,
          audience,
          evidence,
        ])
        const model = new Model(timeline)
        const exceeded = (index: number) => {
          const treated = model.at(index).map(({ t }) => t)
          const n = treated.reduce((sum, { observed }) => sum + observed, 0)
          const x = treated.reduce((sum, { above }) => sum + above, 0)
          return n > 0 ? thresholdLikelihoods(x, n, 1 - 0.95, UP) : undefined
        }
        const expected: readonly (readonly [string, number | null, number])[] = [
          ['errors-1', null, model.hits(STRATA, 1.1)],
          ['apart', 0, model.hits(['1'], 1.1)],
          ['apart', 1, model.hits(['2'], 1.1)],
          ['slower', null, model.compared(STRATA, aboveCounts, 1.2)],
          ['limited', null, logEvidence(model.entries())],
          ['slow', null, logEvidence(model.mixture(exceeded))],
        ]
        for (const [index, [guardrail, audience, log]] of expected.entries()) {
          expect(found[index]?.slice(0, 2)).toEqual([guardrail, audience])
          // A process that nothing was told begins at 1, and so does its reading.
          const isSilent = evidence.guards.get(`${audience ?? 'all'} ${guardrail}`)?.track === null
          if (!isSilent) expect(found[index]?.[2]).toBeCloseTo(log, 9)
        }
      }),
      { numRuns: 60 },
    )
  })

  it('does not depend on how the blocks are parted, or on how often they are sent', () => {
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: LENGTH - 1 }), { maxLength: 8 })
    fc.assert(
      fc.property(timelines, cuts, (timeline, cuts) => {
        const blocks = blocksOf(timeline)
        const sorted = cuts.sort((a, b) => a - b)
        expect(takeAll(blocks, sorted)).toEqual(takeAll(blocks))
      }),
      { numRuns: 60 },
    )
  })

  it('is the same to the last bit when it is replayed from a checkpoint', () => {
    fc.assert(
      fc.property(timelines, fc.integer({ min: 0, max: LENGTH }), (timeline, cut) => {
        const blocks = blocksOf(timeline)
        const kept = takeBlocks(newEvidence(START), GROUND, { through: endOf(cut), blocks })
        const replayed = replay(packEvidence(kept), GROUND, { through: endOf(LENGTH), blocks })
        if (!replayed.ok) throw new Error(replayed.error)
        const all = takeAll(blocks)
        expect(replayed.value).toEqual(all)
        expect(packEvidence(replayed.value)).toBe(packEvidence(all))
      }),
      { numRuns: 60 },
    )
  })

  it('judges the shares by first exposures alone', () => {
    fc.assert(
      fc.property(timelines, (timeline) => {
        const { sampleRatio } = readEvidence(takeAll(blocksOf(timeline)), GROUND)
        const entered = (name: string) => timeline[name]?.reduce((sum, { enter }) => sum + enter, 0) ?? 0
        const mean = (counts: readonly number[], weights: readonly number[]) => {
          const [gross, slight] = [100, 10_000].map((size) => Math.exp(logSampleRatio(counts, weights, size)))
          return Math.log(((gross ?? 0) + (slight ?? 0)) / 2)
        }
        const log =
          mean([entered('1.t'), entered('1.c')], [30, 70]) + mean([entered('2.t'), entered('2.c')], [50, 50])
        expect(sampleRatio.evidence).toBeCloseTo(log, 9)
      }),
      { numRuns: 30 },
    )
  })

  it('compares the life of the arms by all who came', () => {
    fc.assert(
      fc.property(timelines, (timeline) => {
        const { life } = readEvidence(takeAll(blocksOf(timeline)), GROUND)
        const model = new Model(timeline)
        const entered = new Map<string, number>()
        const expected = model.mixture((index) => {
          const counts = model.at(index).map(({ t, c }, place) => {
            const [nT, nC] = [t, c].map((arm, side) => {
              const name = `${place}.${side}`
              const there = (entered.get(name) ?? 0) + arm.enter
              entered.set(name, there)
              return there
            })
            return { xT: t.live, nT: nT ?? 0, xC: c.live, nC: nC ?? 0 }
          })
          return regressionLikelihoods(counts, DOWN, 0.9)
        })
        expect(life.evidence).toBeCloseTo(logEvidence(expected), 9)
      }),
      { numRuns: 30 },
    )
  })
})
