import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backtest } from '../../../../src/rollouts/backtest.ts'
import { Draws } from '../../../../src/rollouts/drill/draws.ts'
import { type DrillLook, thinned } from '../../../../src/rollouts/drill/looks.ts'
import { Worsener } from '../../../../src/rollouts/drill/worsening.ts'
import { type DrillRequest, type DrillResult, rehearse } from '../../../../src/rollouts/drill.ts'
import { newEvidence } from '../../../../src/rollouts/evidence/evidence.ts'
import type { Ground } from '../../../../src/rollouts/evidence/processes.ts'
import { takeBlocks } from '../../../../src/rollouts/evidence/take-blocks.ts'
import { newProgress } from '../../../../src/rollouts/progress.ts'
import type { GuardBlock } from '../../../../src/telemetry/counting/blocks.ts'
import {
  endOf,
  makeBlock,
  makeCounts,
  makeGround,
  makeGuard,
  makeMetric,
  makePlan,
  makeStage,
  range,
  START,
} from './ground.ts'

const TOLERANT = makeGuard({ kind: 'regression', tolerance: 0.1, quantile: null })
const SLOWER = makeGuard(
  { kind: 'regression', tolerance: 0.1, quantile: 0.95 },
  { id: 'slower', metric: 'latency' },
)
const MEAN = makeGuard(
  { kind: 'regression', tolerance: 0.1, quantile: null },
  { id: 'mean', metric: 'revenue' },
)

const METRICS = [makeMetric('errors'), makeMetric('latency', 'latency'), makeMetric('revenue', 'mean')]

const DRAFT = makeGround(makePlan({ guardrails: [TOLERANT, SLOWER, MEAN] }), METRICS, {
  ...newProgress(),
  startedAt: null,
})

const EXPECTED = { kind: 'assumed', unitsPerMinute: 1000, rate: 0.005, forMs: 3_600_000 } as const

const REQUEST: DrillRequest = {
  stage: null,
  guardrail: 'errors-1',
  audience: null,
  size: 4,
  traffic: EXPECTED,
  seed: 7,
}

function drill(request: Partial<DrillRequest> = {}, ground: Ground = DRAFT): DrillResult {
  const result = rehearse(ground, null, { ...REQUEST, ...request }, START)
  if (!result.ok) throw new Error(result.error.reason)
  return result.value
}

/** An hour of real blocks of the first epoch: 17 treated of 167 a block, and half a percent of them are hit. */
function realBlocks(hours: number, draws = new Draws(1)): GuardBlock[] {
  return Array.from({ length: hours * 360 }, (_, index) =>
    (
      [
        ['t', 17],
        ['c', 150],
      ] as const
    ).map(([arm, entered]) => {
      const metrics = [makeCounts(draws.binomial(entered, 0.005), 20 * entered)]
      return makeBlock(index, { arm, entered, firsts: entered, live: entered, firstLive: entered, metrics })
    }),
  ).flat()
}

describe('a fire drill', () => {
  it('finds errors at four times their rate among 1,000 units a minute within a quarter of an hour', () => {
    const { trip, units, timeline, lastedMs } = drill()
    expect(trip).toMatchObject({ guardrail: 'errors-1', audience: null, deed: 'rollback' })
    expect(trip?.reason.words).toContain('a false alarm at most 1 in')
    expect(trip?.afterMs).toBeLessThanOrEqual(900_000)
    expect(lastedMs).toBe(trip?.afterMs)
    expect(units.came).toBeGreaterThan(50)
    expect(units.hit).toBeGreaterThan(units.extra)
    expect(units.extra).toBeGreaterThan(0)
    expect(timeline.length).toBeLessThanOrEqual(60)
    expect(timeline.at(-1)?.afterMs).toBe(lastedMs)
  })

  it('is the same whenever the seed is', () => {
    expect(drill()).toEqual(drill())
    expect(drill({ seed: 8 })).not.toEqual(drill())
  })

  it('finds nothing where nothing gets worse, as far as the traffic goes', () => {
    const { trip, lastedMs, units } = drill({ size: 1 })
    expect(trip).toBeNull()
    expect(lastedMs).toBe(EXPECTED.forMs)
    expect(units.extra).toBe(0)
  })

  it('finds latencies half as long again', () => {
    expect(drill({ guardrail: 'slower', size: 1.5 }).trip).toMatchObject({ guardrail: 'slower' })
    expect(drill({ guardrail: 'slower', size: 1 }).trip).toBeNull()
  })

  it('finds conversions that fail to come', () => {
    const ground = makeGround(makePlan(), [makeMetric('errors', 'conversion')], { ...newProgress() })
    const { trip, units } = drill({ size: 0.3, traffic: { ...EXPECTED, rate: 0.1 } }, ground)
    expect(trip).toMatchObject({ guardrail: 'errors-1', deed: 'rollback' })
    expect(units.extra).toBeLessThan(0)
  })

  it('goes on from the evidence of a rollout that runs, and changes nothing of it', () => {
    const ground = makeGround(makePlan({ guardrails: [TOLERANT] }), METRICS, {
      grantedAt: START,
      grantedVersion: 3,
      publishedAt: START,
    })
    const blocks = realBlocks(1)
    const evidence = takeBlocks(newEvidence(START), ground, { through: endOf(360), blocks })
    const request: DrillRequest = { ...REQUEST, traffic: { kind: 'blocks', blocks } }
    const result = rehearse(ground, evidence, request, endOf(360))
    if (!result.ok) throw new Error(result.error.reason)
    expect(result.value.trip).toMatchObject({ guardrail: 'errors-1', deed: 'rollback' })
    // The stage was to last an hour, and has.
    expect(result.value.advancedAfterMs).toBe(10_000)
    expect(takeBlocks(newEvidence(START), ground, { through: endOf(360), blocks })).toEqual(evidence)
    const calm = rehearse(ground, evidence, { ...request, size: 1 }, endOf(360))
    expect(calm).toMatchObject({ ok: true, value: { trip: null, lastedMs: 3_600_000 } })
  })

  it('says what a guardrail would have done that takes nothing back', () => {
    const guardrails = [{ ...TOLERANT, action: 'would-roll-back' as const }]
    const ground = makeGround(makePlan({ guardrails }), METRICS, { ...newProgress() })
    expect(drill({}, ground).trip).toMatchObject({ guardrail: 'errors-1', deed: 'would-roll-back' })
  })

  it('of one audience leaves the others as they are', () => {
    const plan = makePlan({
      stages: [makeStage({ audience: { segment: 'insiders' } }), makeStage()],
      guardrails: [{ ...TOLERANT, mode: 'partial' }],
    })
    const ground = makeGround(plan, METRICS, { stage: 1 })
    const insiders = realBlocks(1, new Draws(2)).map((block) => ({ ...block, stratum: '3' }))
    const blocks = [...realBlocks(1), ...insiders.map((block) => ({ ...block, stratum: '3' }))].map(
      (block) => (block.stratum === '1' ? { ...block, stratum: '2' } : block),
    )
    const traffic = { kind: 'blocks', blocks } as const
    expect(drill({ audience: 0, traffic, size: 8 }, ground).trip).toMatchObject({ audience: 0 })
    expect(drill({ audience: 1, traffic, size: 8 }, ground).trip).toMatchObject({ audience: 1 })
  })

  it.each([
    [{ guardrail: 'none' }, { reason: 'unknown_guardrail', guardrail: 'none' }],
    [{ guardrail: 'mean' }, { reason: 'not_in_blocks', guardrail: 'mean' }],
    [{ stage: 9 }, { reason: 'unknown_stage', stage: 9 }],
    [{ traffic: { kind: 'blocks', blocks: [] } }, { reason: 'no_traffic' }],
    [{ traffic: { kind: 'blocks', blocks: [makeBlock(0, { arm: 'c' })] } }, { reason: 'nobody_treated' }],
  ] as const)('cannot be held: %j', (request, error) => {
    expect(rehearse(DRAFT, null, { ...REQUEST, ...request }, START)).toEqual({ ok: false, error })
  })
})

describe('what is laid over real counts', () => {
  it('never has more hits than units, and takes those who were hit out of the risk set', () => {
    const sizes = fc.constantFrom(0, 0.3, 1, 3, 50)
    fc.assert(
      fc.property(fc.integer(), sizes, (seed, size) => {
        const blocks = realBlocks(1, new Draws(seed)).slice(0, 200)
        const worsener = new Worsener(
          { metric: 'errors', bound: null, size, audience: null },
          blocks,
          new Draws(seed),
        )
        for (let index = 0; index < 100; index++) {
          const slot = blocks.filter(({ start }) => start === START + index * 10_000)
          for (const { arm, metrics } of worsener.worsen(START + index * 10_000, slot)) {
            const [counts] = metrics
            if (!counts) throw new Error('nothing is counted')
            expect(counts.x).toBeLessThanOrEqual(counts.n)
            if (arm === 'c' || size === 1)
              expect(slot.flatMap(({ metrics }) => metrics)).toContainEqual(counts)
          }
        }
        expect(Math.sign(worsener.extra)).toBe(size > 1 ? 1 : worsener.extra === 0 ? 0 : -1)
      }),
      { numRuns: 20 },
    )
  })

  it('is as much worse as is wanted', () => {
    const blocks = realBlocks(24)
    const worsener = new Worsener(
      { metric: 'errors', bound: null, size: 3, audience: null },
      blocks,
      new Draws(3),
    )
    for (let index = 0; index < 24 * 360; index++) {
      worsener.worsen(START + index * 10_000, blocks.slice(2 * index, 2 * index + 2))
    }
    const ratio = worsener.hits / (worsener.hits - worsener.extra)
    expect(ratio).toBeGreaterThan(2.5)
    expect(ratio).toBeLessThan(3.5)
  })
})

describe('a timeline', () => {
  const look = (index: number, guards: number): DrillLook => ({
    afterMs: index,
    guards: range(0, guards).map((guard) => ({
      guardrail: `guard-${guard}`,
      audience: null,
      evidence: 0,
      limit: 1,
      treatment: { hits: 0, units: 0 },
      control: null,
    })),
  })

  it.each([
    [1, 3, 1],
    [60, 3, 60],
    [61, 3, 31],
    [8640, 3, 60],
    [8640, 1500, 2],
    [8640, 9000, 1],
  ])('of %i looks at %i guards keeps %i, the last one among them', (length, guards, kept) => {
    const looks = range(0, length).map((index) =>
      look(index, index === 0 || index === length - 1 ? guards : 0),
    )
    expect(thinned(looks)).toHaveLength(kept)
    expect(thinned(looks).at(-1)).toBe(looks.at(-1))
  })
})

describe('draws', () => {
  it('have the mean and the variance that they should', () => {
    const draws = new Draws(11)
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
    for (const [count, probability] of [
      [10, 0.02],
      [200, 0.4],
      [50, 0.9],
    ] as const) {
      const found = Array.from({ length: 5000 }, () => draws.binomial(count, probability))
      expect(mean(found) / (count * probability)).toBeCloseTo(1, 0)
      const spread = mean(found.map((value) => (value - count * probability) ** 2))
      expect(spread / (count * probability * (1 - probability))).toBeGreaterThan(0.8)
      expect(spread / (count * probability * (1 - probability))).toBeLessThan(1.2)
    }
    expect(Math.abs(mean(Array.from({ length: 5000 }, () => draws.poisson(3))) - 3)).toBeLessThan(0.15)
  })
})

describe('a backtest', () => {
  const plan = makePlan({
    guardrails: [
      TOLERANT,
      { ...TOLERANT, id: 'looser', test: { kind: 'regression', tolerance: 9, quantile: null } },
    ],
  })
  const ground = makeGround(plan, METRICS)
  const worse = realBlocks(1).map((block) => {
    const isWorse = block.arm === 't' && block.start >= endOf(180)
    return isWorse ? { ...block, metrics: [makeCounts(2, 340)] } : block
  })

  it('says when which guardrail would have been broken', () => {
    const { guards, from, through, timeline } = backtest(ground, { blocks: worse, epochs: [ground.progress] })
    expect([from, through]).toEqual([START, endOf(360)])
    expect(timeline.length).toBeLessThanOrEqual(60)
    const [tight, loose] = guards
    expect(tight?.guardrail).toBe('errors-1')
    expect(tight?.brokenAt).toBeGreaterThan(endOf(180))
    expect(tight?.brokenAt).toBeLessThan(endOf(220))
    expect(Math.abs((tight?.since ?? 0) - endOf(180))).toBeLessThan(120_000)
    expect(loose?.brokenAt ?? endOf(361)).toBeGreaterThan(tight?.brokenAt ?? endOf(361))
  })

  it('goes from epoch to epoch, and takes no block of one that is over', () => {
    const later = worse.map((block) => (block.start >= endOf(100) ? { ...block, stage: 2 } : block))
    const late = makeBlock(300, { metrics: [makeCounts(200, 300)] })
    const epochs = [ground.progress, { ...ground.progress, epoch: 2 }]
    const expected = backtest(ground, { blocks: later, epochs })
    expect(backtest(ground, { blocks: [...later, late], epochs })).toEqual(expected)
    expect(expected.guards[0]?.brokenAt).toBeLessThan(endOf(220))
  })

  it('of nothing says nothing', () => {
    expect(backtest(ground, { blocks: [], epochs: [] })).toEqual({
      from: 0,
      through: 0,
      guards: [],
      timeline: [],
    })
  })
})
