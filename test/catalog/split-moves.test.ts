import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareServed, compareSplits } from '../../src/catalog/split-moves.ts'
import { BUCKET_COUNT } from '../../src/engine/bucket.ts'
import type { Flag, Serve, Split } from '../../src/engine/flag.ts'
import { makeFlag, makeSplit } from '../support/engine.ts'

type Weights = Split['weights']

const VARIANTS = ['a', 'b', 'c', 'd', 'e']

/** Some of the variants in any order, each with a weight. */
const weightLists: fc.Arbitrary<Weights> = fc
  .tuple(
    fc.shuffledSubarray(VARIANTS, { minLength: 1 }),
    fc.array(fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 1, max: 1_000_000 })), {
      minLength: 5,
      maxLength: 5,
    }),
  )
  .map(([variants, weights]) => variants.map((variant, index) => ({ variant, weight: weights[index] ?? 0 })))
  .filter((list) => list.some(({ weight }) => weight > 0))

function splitBy(weights: Weights, overrides: Partial<Split> = {}): Serve {
  return { split: { weights, by: 'targetingKey', seed: 'seed', ...overrides } }
}

/** The variant of a bucket, in whole numbers: the first whose cumulative share is above it. */
function variantAt(weights: Weights, bucket: number): string {
  const total = weights.reduce((sum, { weight }) => sum + weight, 0)
  let cumulative = 0
  for (const { variant, weight } of weights) {
    cumulative += weight
    if (bucket * total < cumulative * BUCKET_COUNT) return variant
  }
  throw new Error('every bucket has a variant')
}

/** `from>to` → how many of all buckets change so. */
function countByHand(before: Weights, after: Weights): { [transition: string]: number } {
  const counts: { [transition: string]: number } = {}
  for (let bucket = 0; bucket < BUCKET_COUNT; bucket++) {
    const [from, to] = [variantAt(before, bucket), variantAt(after, bucket)]
    if (from !== to) counts[`${from}>${to}`] = (counts[`${from}>${to}`] ?? 0) + 1
  }
  return counts
}

function makeFlagOf(overrides: Partial<Flag>): Flag {
  return { ...makeFlag(), key: 'flag', rollout: null, ...overrides }
}

describe('a changed split', () => {
  it.each<[string, { [variant: string]: number }, { [variant: string]: number }, number, object[]]>([
    ['raised', { on: 10, off: 90 }, { on: 25, off: 75 }, 0.15, [{ from: 'off', to: 'on', share: 0.15 }]],
    ['lowered', { on: 25, off: 75 }, { on: 10, off: 90 }, 0.15, [{ from: 'on', to: 'off', share: 0.15 }]],
    ['said in other numbers', { on: 1, off: 3 }, { on: 25, off: 75 }, 0, []],
    [
      'by a thousandth of a percent',
      { on: 0, off: 1 },
      { on: 1, off: 99_999 },
      0.000_01,
      [{ from: 'off', to: 'on', share: 0.000_01 }],
    ],
    [
      'reordered',
      { on: 10, off: 90 },
      { off: 90, on: 10 },
      0.2,
      [
        { from: 'off', to: 'on', share: 0.1 },
        { from: 'on', to: 'off', share: 0.1 },
      ],
    ],
    [
      'with one more at the end',
      { a: 1, b: 1 },
      { a: 1, b: 1, c: 2 },
      0.75,
      [
        { from: 'b', to: 'c', share: 0.5 },
        { from: 'a', to: 'b', share: 0.25 },
      ],
    ],
    [
      'without its first',
      { a: 20, b: 30, c: 50 },
      { b: 30, c: 50 },
      0.325,
      [
        { from: 'a', to: 'b', share: 0.2 },
        { from: 'b', to: 'c', share: 0.125 },
      ],
    ],
    ['with a weight of 0 more', { a: 1, b: 1 }, { a: 1, c: 0, b: 1 }, 0, []],
  ])('that is %s changes whom its ranges say', (_, before, after, changed, transitions) => {
    expect(compareServed(makeSplit(before), makeSplit(after))).toEqual({
      changed,
      moved: changed,
      transitions,
      exact: true,
    })
  })

  it('changes exactly whom all 100,000 buckets say', () => {
    fc.assert(
      fc.property(weightLists, weightLists, (before, after) => {
        const counts = countByHand(before, after)
        const { changed, moved, transitions, exact } = compareServed(splitBy(before), splitBy(after))
        const found = transitions.map(({ from, to, share }) => [
          `${from}>${to}`,
          Math.round(share * BUCKET_COUNT),
        ])
        expect(Object.fromEntries(found)).toEqual(counts)
        for (const { share } of transitions) {
          expect(Math.round(share * BUCKET_COUNT) / BUCKET_COUNT).toBe(share)
        }
        const sum = Object.values(counts).reduce((all, count) => all + count, 0)
        expect([changed, moved, exact]).toEqual([sum / BUCKET_COUNT, sum / BUCKET_COUNT, true])
      }),
      { numRuns: 40 },
    )
  })

  it('takes nobody away from the one variant whose weight is raised', () => {
    fc.assert(
      fc.property(weightLists, fc.nat(), fc.integer({ min: 1, max: 1_000_000 }), (weights, at, more) => {
        const raised = weights[at % weights.length]?.variant
        const after = weights.map(({ variant, weight }) => ({
          variant,
          weight: variant === raised ? weight + more : weight,
        }))
        const { transitions } = compareServed(splitBy(weights), splitBy(after))
        expect(transitions.filter(({ from }) => from === raised)).toEqual([])
      }),
    )
  })

  it('moves units only between two neighbours when one gives weight to the other', () => {
    fc.assert(
      fc.property(weightLists, fc.nat(), fc.nat(), (weights, at, some) => {
        fc.pre(weights.length > 1)
        const index = at % (weights.length - 1)
        const given = some % ((weights[index + 1]?.weight ?? 0) + 1)
        const after = weights.map(({ variant, weight }, place) => ({
          variant,
          weight: place === index ? weight + given : place === index + 1 ? weight - given : weight,
        }))
        const { transitions } = compareServed(splitBy(weights), splitBy(after))
        const [taker, giver] = [weights[index]?.variant, weights[index + 1]?.variant]
        expect(transitions.every(({ from, to }) => from === giver && to === taker)).toBe(true)
      }),
    )
  })

  it('changes nobody and is exact when it is the same', () => {
    fc.assert(
      fc.property(weightLists, fc.integer({ min: 1, max: 9 }), (weights, factor) => {
        const after = weights.map(({ variant, weight }) => ({ variant, weight: weight * factor }))
        const { changed, exact } = compareServed(splitBy(weights), splitBy(after))
        expect([changed, exact]).toEqual([0, true])
      }),
    )
  })
})

describe('a split that buckets anew', () => {
  it.each<[string, Partial<Split>]>([
    ['under another seed', { seed: 'other' }],
    ['by another attribute', { by: 'company.id' }],
  ])('%s is expected to change the product of the shares', (_, overrides) => {
    const comparison = compareServed(
      makeSplit({ on: 25, off: 75 }),
      makeSplit({ on: 50, off: 50 }, overrides),
    )
    expect(comparison).toEqual({
      changed: 0.5,
      moved: 0.5,
      transitions: [
        { from: 'off', to: 'on', share: 0.375 },
        { from: 'on', to: 'off', share: 0.125 },
      ],
      exact: false,
    })
  })
})

describe('a split in place of one variant', () => {
  it('changes units exactly and moves none', () => {
    const transitions = [{ from: 'off', to: 'on', share: 0.1 }]
    const figures = { changed: 0.1, moved: 0, transitions, exact: true }
    expect(compareServed({ variant: 'off' }, makeSplit({ on: 10, off: 90 }))).toEqual(figures)
  })

  it('changes units exactly and moves none the other way round', () => {
    const transitions = [
      { from: 'on', to: null, share: 0.1 },
      { from: 'off', to: null, share: 0.9 },
    ]
    expect(compareServed(makeSplit({ on: 10, off: 90 }), { variant: null })).toEqual({
      changed: 1,
      moved: 0,
      transitions: transitions.toReversed(),
      exact: true,
    })
  })
})

describe("another system's split", () => {
  const bucketing = { scheme: 'launchdarkly', prefix: 'flag.salt' } as const
  const growthbook = { scheme: 'growthbook', seed: 'flag', hashVersion: 2 } as const

  it('is estimated with its own ranges when its weights change', () => {
    const serveOn = (on: number) => makeSplit({ on, off: 100_000 - on }, { bucketing })
    const { changed, moved, transitions, exact } = compareServed(serveOn(10_000), serveOn(20_000))
    expect(transitions).toEqual([{ from: 'off', to: 'on', share: changed }])
    expect([moved, exact]).toEqual([changed, false])
    expect(changed).toBeGreaterThan(0.07)
    expect(changed).toBeLessThan(0.13)
  })

  it('is independent of our own', () => {
    const { changed, exact } = compareServed(
      makeSplit({ on: 50_000, off: 50_000 }, { bucketing }),
      makeSplit({ on: 50_000, off: 50_000 }),
    )
    expect(exact).toBe(false)
    expect(changed).toBeGreaterThan(0.45)
    expect(changed).toBeLessThan(0.55)
  })

  it('moves nobody who had no variant by it', () => {
    const cover = (coverage: number) =>
      makeSplit({ on: 1, off: 1 }, { bucketing: { ...growthbook, coverage } })
    const { changed, moved, transitions } = compareServed(cover(0.2), cover(0.6))
    expect(transitions.map(({ from, to }) => [from, to])).toContainEqual([null, 'on'])
    expect(transitions.every(({ from }) => from === null)).toBe(true)
    expect(moved).toBe(0)
    expect(changed).toBeGreaterThan(0.35)
    expect(changed).toBeLessThan(0.45)
  })
})

describe('the changed splits of a flag', () => {
  const when = { attribute: 'plan', op: 'equals', values: ['pro'] } as const
  const [small, large] = [makeSplit({ on: 10, off: 90 }), makeSplit({ on: 20, off: 80 })]

  it('are those of places that stand before and after, wherever a rule has gone', () => {
    const before = makeFlagOf({
      rules: [
        { id: 'changed', when, serve: small },
        { id: 'kept', when, serve: small },
        { id: 'removed', when, serve: small },
        { id: 'fixed', when, serve: { variant: 'on' } },
      ],
      fallthrough: small,
    })
    const after = makeFlagOf({
      rules: [
        { id: 'added', when, serve: large },
        { id: 'fixed', when, serve: { variant: 'off' } },
        { id: 'kept', when, serve: small },
        { id: 'changed', when, serve: large },
      ],
      fallthrough: { variant: 'on' },
    })
    expect(compareSplits(before, after).map(({ place, changed, moved }) => [place, changed, moved])).toEqual([
      [{ rule: 'changed' }, 0.1, 0.1],
      ['fallthrough', 0.9, 0],
    ])
  })
})
