import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BUCKET_COUNT, toBuckets } from '../../../src/engine/bucket.ts'
import type { Serve } from '../../../src/engine/flag.ts'
import { type TakenOver, takeOver } from '../../../src/rollouts/take-over.ts'
import {
  evaluateFlag,
  makeGrant,
  makeRollout,
  makeSnapshotOf,
  makeSplit,
  makeTextFlag,
  makeUnits,
  variantOf,
} from '../../support/engine.ts'

const BY = 'targetingKey'
const UNITS = makeUnits(10_000)

const served = (fallthrough: Serve, rollout?: Parameters<typeof makeSnapshotOf>[1]) => {
  const names = ['a', 'b', 'c', 'd']
  const snapshot = makeSnapshotOf(makeTextFlag(names, { fallthrough }), rollout)
  return UNITS.map((targetingKey) => variantOf(evaluateFlag(snapshot, { targetingKey })))
}

function rolloutOf({ seed, reversed }: TakenOver, variant: string, percentage: number) {
  const grants = [makeGrant({ percentage })]
  return makeRollout({ variant, seed, grants, ...(reversed ? { reversed } : {}) })
}

describe('a rollout goes on', () => {
  it.each<[string, { readonly [variant: string]: number }, string, TakenOver]>([
    [
      'from the first of two',
      { a: 20, b: 80 },
      'a',
      { seed: 'split-seed', reversed: false, percentage: 20, rest: { variant: 'b' } },
    ],
    [
      'from the last of two',
      { a: 1, b: 2 },
      'b',
      { seed: 'split-seed', reversed: true, percentage: 66.666, rest: { variant: 'a' } },
    ],
    [
      'from the first of three',
      { a: 1, b: 1, c: 1 },
      'a',
      { seed: 'split-seed', reversed: false, percentage: 33.334, rest: makeSplit({ b: 66_667, c: 33_333 }) },
    ],
    [
      'from the last of three',
      { a: 1, b: 1, c: 1 },
      'c',
      { seed: 'split-seed', reversed: true, percentage: 33.333, rest: makeSplit({ a: 33_334, b: 66_666 }) },
    ],
    [
      'from the first that has anything',
      { a: 0, b: 10, c: 90, d: 0 },
      'b',
      { seed: 'split-seed', reversed: false, percentage: 10, rest: { variant: 'c' } },
    ],
  ])('%s', (_, weights, variant, expected) => {
    expect(takeOver(makeSplit(weights), variant, BY)).toEqual({ ok: true, value: expected })
  })

  it.each<[string, Serve, string, string, string]>([
    ['one variant for all', { variant: 'a' }, 'a', BY, 'nothing_to_take_over'],
    ['a split without the variant', makeSplit({ a: 1, b: 1 }), 'c', BY, 'nothing_to_take_over'],
    ['a split that gives it nothing', makeSplit({ a: 0, b: 1 }), 'a', BY, 'nothing_to_take_over'],
    ['a split that gives it everything', makeSplit({ a: 1, b: 0 }), 'a', BY, 'nothing_to_take_over'],
    ['a split by another attribute', makeSplit({ a: 1, b: 1 }), 'a', 'company.id', 'other_unit'],
    ['a range in the middle', makeSplit({ a: 1, b: 1, c: 1 }), 'b', BY, 'middle_range'],
    [
      "another system's buckets",
      makeSplit({ a: 1, b: 1 }, { bucketing: { scheme: 'unleash', groupId: 'g', encoding: 'utf8' } }),
      'a',
      BY,
      'foreign_bucketing',
    ],
  ])('never from %s', (_, fallthrough, variant, by, reason) => {
    expect(takeOver(fallthrough, variant, by)).toEqual({ ok: false, error: reason })
  })

  it('without moving anybody, and afterwards only gives the variant or takes it away', () => {
    const weights = fc.array(fc.integer({ min: 0, max: 1_000 }), { minLength: 2, maxLength: 4 })
    const seeds = fc.string({ minLength: 1, maxLength: 20 })
    let taken = 0
    fc.assert(
      fc.property(weights, seeds, fc.boolean(), fc.nat(100_000), (list, seed, fromTheTop, more) => {
        const names = ['a', 'b', 'c', 'd'].slice(0, list.length)
        const variant = (fromTheTop ? names.at(-1) : names[0]) ?? ''
        const fallthrough = makeSplit(Object.fromEntries(names.map((name, i) => [name, list[i] ?? 0])), {
          seed,
        })
        fc.pre(list.some((weight) => weight > 0))
        const found = takeOver(fallthrough, variant, BY)
        if (!found.ok) return
        taken++
        const { percentage, rest } = found.value
        const before = served(fallthrough)
        expect(served(rest, rolloutOf(found.value, variant, percentage))).toEqual(before)
        const higher = Math.min(BUCKET_COUNT, toBuckets(percentage) + more) / 1_000
        const after = served(rest, rolloutOf(found.value, variant, higher))
        expect(before.filter((was, i) => after[i] !== was && after[i] !== variant)).toEqual([])
        const none = served(rest, rolloutOf(found.value, variant, 0))
        expect(none.includes(variant)).toBe(false)
        expect(before.filter((was, i) => was !== variant && none[i] !== was)).toEqual([])
      }),
      { seed: 1, numRuns: 40 },
    )
    expect(taken).toBeGreaterThan(20)
  })
})
