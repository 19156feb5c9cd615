import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Condition, Grant, RolloutGrants } from '../../../src/engine/flag.ts'
import { foldGrants } from '../../../src/rollouts/fold-grants.ts'
import {
  evaluateFlag,
  makeFlag,
  makeRollout,
  makeSnapshotOf,
  makeSplit,
  variantOf,
} from '../../support/engine.ts'

const equals = (attribute: string): Condition => ({ attribute, op: 'equals', values: [true] })

function snapshotOf(flag: ReturnType<typeof makeFlag>, rollout?: RolloutGrants) {
  return makeSnapshotOf(flag, rollout)
}

function folded(rollout: RolloutGrants) {
  const flag = makeFlag()
  const result = foldGrants(flag, rollout)
  if (!result.ok) throw new Error(result.error)
  return { ...flag, ...result.value }
}

describe('grants become', () => {
  it('the fallthrough when they are for everyone', () => {
    const grants = [
      { audience: equals('beta'), percentage: 50 },
      { audience: null, percentage: 100 },
    ]
    expect(folded(makeRollout({ grants }))).toEqual(makeFlag({ fallthrough: { variant: 'on' } }))
  })

  it('nothing when they are for nobody', () => {
    const flag = makeFlag({ fallthrough: makeSplit({ on: 1, off: 1 }) })
    const grants = [{ audience: null, percentage: 0 }]
    expect(foldGrants(flag, makeRollout({ grants }))).toEqual({ ok: true, value: flag })
  })

  it('rules at the end, the largest percentage first, and the fallthrough', () => {
    const grants = [
      { audience: equals('beta'), percentage: 20 },
      { audience: equals('small'), percentage: 5 },
      { audience: equals('internal'), percentage: 100 },
      { audience: null, percentage: 10 },
    ]
    const split = (weights: { readonly [variant: string]: number }) =>
      makeSplit(weights, { seed: 'rollout-seed' })
    const mine = { id: 'mine', when: equals('mine'), serve: { variant: 'off' } }
    const flag = makeFlag({ rules: [mine] })
    expect(foldGrants(flag, makeRollout({ id: 'k2', grants }))).toEqual({
      ok: true,
      value: {
        ...flag,
        rules: [
          mine,
          { id: 'rollout-k2-1', when: equals('internal'), serve: { variant: 'on' } },
          { id: 'rollout-k2-2', when: equals('beta'), serve: split({ on: 20_000, off: 80_000 }) },
        ],
        fallthrough: split({ on: 10_000, off: 90_000 }),
      },
    })
  })

  it('nothing that a split could not say', () => {
    const flag = makeFlag({ fallthrough: makeSplit({ on: 1, off: 1 }) })
    const grants = [{ audience: null, percentage: 10 }]
    expect(foldGrants(flag, makeRollout({ grants }))).toEqual({ ok: false, error: 'fallthrough_splits' })
  })
})

it('nobody moves when grants become a part of the configuration', () => {
  const audience = fc.option(fc.constantFrom(equals('a'), equals('b'), { not: equals('a') }), { freq: 2 })
  const percentage = fc.oneof(
    fc.integer({ min: 0, max: 100_000 }).map((n) => n / 1_000),
    fc.constantFrom(0, 100),
  )
  const grants: fc.Arbitrary<Grant[]> = fc.array(fc.record({ audience, percentage }), { maxLength: 4 })
  const contexts = Array.from({ length: 400 }, (_, index) => ({
    targetingKey: `user-${index}`,
    a: index % 2 === 0,
    b: index % 3 === 0,
  }))
  fc.assert(
    fc.property(grants, fc.boolean(), (given, reversed) => {
      const rollout = makeRollout({ grants: given, measured: false, ...(reversed ? { reversed } : {}) })
      const before = snapshotOf(makeFlag(), rollout)
      const after = snapshotOf(folded(rollout))
      const variants = (snapshot: typeof before) =>
        contexts.map((context) => variantOf(evaluateFlag(snapshot, context)))
      expect(variants(after)).toEqual(variants(before))
    }),
    { seed: 2, numRuns: 200 },
  )
})
