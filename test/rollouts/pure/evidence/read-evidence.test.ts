import { describe, expect, it } from 'vitest'
import { newEvidence } from '../../../../src/rollouts/evidence/evidence.ts'
import { whyUnjudgeable } from '../../../../src/rollouts/evidence/processes.ts'
import { readEvidence } from '../../../../src/rollouts/evidence/read-evidence.ts'
import {
  arms,
  endOf,
  makeBlock,
  makeCounts,
  makeGround,
  makeGuard,
  makeMetric,
  makePlan,
  makeStage,
  range,
  readFirst,
  START,
  TOLERANT,
  take,
  threshold,
  WORSE,
} from './ground.ts'

const HALVES = makeGround(
  makePlan({ stages: [makeStage({ percentage: 50 })], guardrails: [makeGuard(TOLERANT)] }),
)

describe('a regression', () => {
  const ground = makeGround(makePlan({ guardrails: [makeGuard(TOLERANT)] }))

  it('waits until both arms have units', () => {
    const evidence = take(ground, [makeBlock(0, { entered: 5, metrics: [makeCounts(3, 5)] })], 1)
    expect(readFirst(evidence, ground)).toMatchObject({ verdict: 'waiting', since: null })
  })

  it('says in words what broke it, and when that began', () => {
    const guard = readFirst(take(ground, WORSE, 12), ground)
    expect(guard).toMatchObject({
      guardrail: 'errors-1',
      audience: null,
      verdict: 'broken',
      limit: Math.log(100),
      treatment: { hits: 24, units: 120 },
      control: { hits: 9, units: 1080 },
      shownSafe: false,
      since: endOf(6),
      words: 'treated 24 of 120, control 9 of 1,080: 24 times; a false alarm at most 1 in 100',
    })
  })

  it('stays broken when it gets better', () => {
    const calm = range(12, 400).flatMap((index) => arms(index, [0, 10], [4, 90]))
    const guard = readFirst(take(ground, [...WORSE, ...calm], 400), ground)
    expect(guard.evidence).toBeLessThan(guard.limit)
    expect(guard.verdict).toBe('broken')
  })

  it('carries the risk set of an arm to which nothing happens', () => {
    const quiet = [
      makeBlock(0, { arm: 't', entered: 100, metrics: [makeCounts(0, 100)] }),
      makeBlock(0, { arm: 'c', entered: 900, metrics: [makeCounts(1, 900)] }),
      makeBlock(3, { arm: 't', metrics: [makeCounts(6, 100)] }),
    ]
    const said = [...quiet, makeBlock(3, { arm: 'c', metrics: [makeCounts(0, 899)] })]
    expect(readFirst(take(ground, quiet, 4), ground)).toEqual(readFirst(take(ground, said, 4), ground))
  })

  it('shows a stage to be safe when a doubling can be ruled out, or there is no control', () => {
    const calm = range(0, 100).flatMap((index) => arms(index, [1, 50], [1, 50]))
    expect(readFirst(take(HALVES, calm.slice(0, 20), 10), HALVES).shownSafe).toBe(false)
    expect(readFirst(take(HALVES, calm, 100), HALVES)).toMatchObject({ verdict: 'fine', shownSafe: true })
    const everyone = makeGround(
      makePlan({ stages: [makeStage({ percentage: 100 })], guardrails: [makeGuard(TOLERANT)] }),
    )
    expect(readFirst(newEvidence(START), everyone).shownSafe).toBe(true)
  })

  it('goes by falling conversions where more is better', () => {
    const metrics = [makeMetric('errors', 'conversion')]
    const stages = [makeStage({ percentage: 50 })]
    const falling = makeGround(makePlan({ stages, guardrails: [makeGuard(TOLERANT)] }), metrics)
    const blocks = range(0, 60).flatMap((index) => arms(index, [5, 50], [20, 50]))
    expect(readFirst(take(falling, blocks, 60), falling)).toMatchObject({ verdict: 'broken' })
    const rising = range(0, 60).flatMap((index) => arms(index, [20, 50], [5, 50]))
    expect(readFirst(take(falling, rising, 60), falling)).toMatchObject({ verdict: 'fine', shownSafe: true })
  })

  it('of latency waits for a frozen value, and then compares those above it', () => {
    const plan = makePlan({ guardrails: [makeGuard({ ...TOLERANT, quantile: 0.95 })] })
    const metrics = [makeMetric('errors', 'latency')]
    const bounds = (units: number, unitsAbove: number) => [
      makeCounts(0, 0, {
        bounds: [{ bound: 412, units, unitsAbove, observations: units, above: unitsAbove }],
      }),
    ]
    const blocks = range(0, 20).flatMap((index) => [
      makeBlock(index, { arm: 't', entered: 10, metrics: bounds(10, 4) }),
      makeBlock(index, { arm: 'c', entered: 10, metrics: bounds(10, index % 2) }),
    ])
    const waiting = makeGround(plan, metrics)
    expect(readFirst(take(waiting, blocks, 20), waiting)).toMatchObject({
      verdict: 'waiting',
      shownSafe: false,
    })
    const frozen = makeGround(plan, metrics, { frozen: { 'errors-1': 412 } })
    expect(readFirst(take(frozen, blocks, 20), frozen)).toMatchObject({
      verdict: 'broken',
      words: 'treated 80 of 200 above 412 ms, control 10 of 200: 8 times; a false alarm at most 1 in 100',
    })
  })

  it('waits when its metric is gone', () => {
    const evidence = take(ground, WORSE, 12)
    const without = { ...ground, metrics: new Map() }
    expect(readFirst(take(without, WORSE, 13, evidence), without)).toMatchObject({
      verdict: 'waiting',
      words: 'waits: there is no metric "errors" any more',
    })
  })

  it('of an audience goes by the strata that are its own', () => {
    const plan = makePlan({
      stages: [makeStage({ audience: { segment: 'insiders' } }), makeStage()],
      guardrails: [makeGuard(TOLERANT, { mode: 'partial' })],
    })
    const apart = makeGround(plan, undefined, { stage: 1 })
    // Insiders are everyone too: their stratum has both bits, and is theirs.
    const blocks = WORSE.map((block) => ({ ...block, stratum: '3' }))
    const { guards } = readEvidence(take(apart, blocks, 12), apart)
    expect(guards.map(({ audience, verdict, limit }) => [audience, verdict, limit])).toEqual([
      [0, 'broken', Math.log(200)],
      [1, 'waiting', Math.log(200)],
    ])
  })
})

describe('another epoch', () => {
  const plan = makePlan({
    stages: [makeStage(), makeStage({ name: '50 %', percentage: 50 })],
    guardrails: [makeGuard(TOLERANT)],
  })
  const first = makeGround(plan)
  const frozen = makeGround(plan, undefined, { epoch: 2 })
  const second = makeGround(plan, undefined, { stage: 1, epoch: 3 })
  const before = take(first, WORSE.slice(0, 16), 8)

  it('takes its own blocks alone, and goes on with the evidence', () => {
    const late = arms(8, [10, 10], [0, 90])
    const next = take(second, late, 9, before)
    expect(readFirst(next, second).evidence).toBeCloseTo(readFirst(before, first).evidence, 3)
    const own = late.map((block) => ({ ...block, stage: 3 }))
    expect(readFirst(take(second, own, 9, before), second)).toMatchObject({ verdict: 'broken' })
  })

  it('counts units anew in another stage, and the epoch with most of them in the same one', () => {
    const same = arms(8, [1, 20], [1, 80]).map((block) => ({ ...block, stage: 2 }))
    const { guards, units } = readEvidence(take(frozen, same, 9, before), frozen)
    expect(guards[0]?.treatment).toEqual({ hits: 9, units: 80 })
    expect(units).toEqual({ treatment: 80, control: 720 })
    const next = arms(8, [1, 20], [1, 80]).map((block) => ({ ...block, stage: 3 }))
    expect(readEvidence(take(second, next, 9, before), second).units).toEqual({ treatment: 20, control: 80 })
  })
})

describe('a limit', () => {
  it('of hits is broken by more of them than it allows, whatever the control does', () => {
    const ground = makeGround(makePlan({ guardrails: [makeGuard(threshold(0.01))] }))
    const blocks = range(0, 10).flatMap((index) => arms(index, [1, 20], [1, 20]))
    expect(readFirst(take(ground, blocks, 10), ground)).toMatchObject({
      verdict: 'broken',
      control: null,
      words: 'treated 10 of 200 (5 %), limit 1 %; a false alarm at most 1 in 100',
    })
  })

  it('of hits does not take hits that lag behind for a change, when nobody comes any more', () => {
    const ground = makeGround(makePlan({ guardrails: [makeGuard(threshold(0.01))] }))
    const come = [makeBlock(0, { entered: 10_000, metrics: [makeCounts(0, 10_000)] })]
    const lag = range(100, 150).map((index) =>
      makeBlock(index, { metrics: [makeCounts(2, 10_000 - 2 * (index - 100))] }),
    )
    const guard = readFirst(take(ground, [...come, ...lag], 150), ground)
    expect(guard.treatment).toEqual({ hits: 100, units: 10_000 })
    expect(guard.verdict).toBe('fine')
  })

  it('over a window goes by what is in it, from 20 units on', () => {
    const test = threshold(0.1, { literal: { windowMs: 60_000 } })
    const told = makeGround(makePlan({ guardrails: [makeGuard(test, { action: 'notify' })] }))
    const block = (index: number, x: number, n: number) =>
      makeBlock(index, { entered: n, metrics: [makeCounts(x, n)] })
    expect(readFirst(take(told, [block(0, 9, 19)], 1), told).verdict).toBe('waiting')
    expect(readFirst(take(told, [block(0, 2, 20)], 1), told).verdict).toBe('fine')
    const broken = take(told, [block(0, 3, 20)], 1)
    expect(readFirst(broken, told)).toMatchObject({
      verdict: 'broken',
      treatment: { hits: 3, units: 20 },
      words: 'in the last 1 min treated 3 of 20 (15 %), limit 10 %',
    })
    // Once it is over there is nothing to tell; a rollback is due whoever was asleep.
    const over = take(told, [block(6, 0, 30)], 7, broken)
    expect(readFirst(over, told).verdict).toBe('fine')
    const rolled = makeGround(makePlan({ guardrails: [makeGuard(test)] }))
    expect(readFirst(over, rolled)).toMatchObject({ verdict: 'broken', since: START })
  })

  it('that nothing can ever be said of is told before', () => {
    const below = threshold(0.05, { side: 'below' })
    expect(whyUnjudgeable(below, 'conversion')).toContain('still to come')
    expect(
      whyUnjudgeable(threshold(0.05, { side: 'below', literal: { windowMs: 60_000 } }), 'conversion'),
    ).toBe(undefined)
    expect(whyUnjudgeable(threshold(7, { side: 'below' }), 'mean')).toBe(undefined)
    expect(whyUnjudgeable(threshold(7, { literal: { windowMs: 60_000 } }), 'mean')).toContain('window')
    const ground = makeGround(makePlan({ guardrails: [makeGuard(below)] }))
    expect(readFirst(take(ground, WORSE, 12), ground).verdict).toBe('waiting')
  })
})
