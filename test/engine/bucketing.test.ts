import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BUCKET_COUNT, createBucketer, murmur3, toBuckets, toRangeEnds } from '../../src/engine/bucket.ts'
import type { Grant, RolloutGrants } from '../../src/engine/flag.ts'
import type { Snapshot } from '../../src/engine/snapshot.ts'
import {
  evaluateFlag,
  makeChange,
  makeFlag,
  makeGrant,
  makeRollout,
  makeSnapshotOf,
  makeSplit,
  makeTextFlag,
  makeUnits,
  readVectors,
  variantOf,
} from '../support/engine.ts'

type BucketRow = readonly [seed: string, unit: string, hash: number, bucket: number]

type Vectors = {
  readonly specVersion: number
  readonly murmur3: readonly (readonly [text: string, seed: number, hash: number])[]
  readonly buckets: readonly BucketRow[]
  readonly loneSurrogates: readonly BucketRow[]
  readonly ranges: readonly (readonly [weights: number[], ends: number[]])[]
  readonly edges: readonly (readonly [
    seed: string,
    weights: readonly number[],
    unit: string,
    bucket: number,
    index: number,
  ])[]
}

const vectors = readVectors<Vectors>('bucketing')
const UNITS = makeUnits(400)

/** Names in the order of the weights: `v0`, `v1` … */
function toWeights(weights: readonly number[]): { readonly [variant: string]: number } {
  return Object.fromEntries(weights.map((weight, index) => [`v${index}`, weight]))
}

/** A flag that splits everyone by weights. */
function makeSplitSnapshot(weights: readonly number[], seed: string): Snapshot {
  const split = toWeights(weights)
  return makeSnapshotOf(makeTextFlag(Object.keys(split), { fallthrough: makeSplit(split, { seed }) }))
}

/** A flag that is off, but for a rollout. */
function makeRolloutSnapshot(seed: string, percentage: number): Snapshot {
  return makeSnapshotOf(makeFlag(), makeRollout({ seed, grants: [makeGrant({ percentage })] }))
}

function variantsOf(snapshot: Snapshot, units: readonly string[]): (string | undefined)[] {
  return units.map((targetingKey) => variantOf(evaluateFlag(snapshot, { targetingKey })))
}

function treatedBy(snapshot: Snapshot, units: readonly string[] = UNITS): ReadonlySet<string> {
  const variants = variantsOf(snapshot, units)
  return new Set(units.filter((_, index) => variants[index] === 'on'))
}

function counted<T>(values: readonly T[]): ReadonlyMap<T, number> {
  const counts = new Map<T, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}

/** Pearson's statistic of how far two labels of the same units are from independent. */
function chiSquare(pairs: readonly (readonly [string | number, string | number])[]): number {
  const rows = counted(pairs.map(([row]) => row))
  const columns = counted(pairs.map(([, column]) => column))
  const cells = counted(pairs.map(([row, column]) => `${row} ${column}`))
  let sum = 0
  for (const [row, inRow] of rows) {
    for (const [column, inColumn] of columns) {
      const expected = (inRow * inColumn) / pairs.length
      sum += ((cells.get(`${row} ${column}`) ?? 0) - expected) ** 2 / expected
    }
  }
  return sum
}

const seeds = fc.string({ minLength: 1, maxLength: 40 })
const anyTexts = fc.string({ unit: 'binary', maxLength: 40 })
const percentages = fc.integer({ min: 0, max: 100_000 }).map((thousandths) => thousandths / 1_000)
const weightLists = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 1_000_000 }), fc.integer({ min: 0, max: 3 })), {
    minLength: 1,
    maxLength: 64,
  })
  .filter((weights) => weights.some((weight) => weight > 0))

describe('golden vectors', () => {
  it('are of the version that this engine speaks', () => {
    expect(vectors.specVersion).toBe(1)
  })

  it.each(vectors.murmur3)('murmur3 of %j with seed %i is %i', (text, seed, hash) => {
    expect(murmur3(text, seed)).toBe(hash)
  })

  it.each([...vectors.buckets, ...vectors.loneSurrogates])(
    'seed %j and unit %j have hash %i and bucket %i',
    (seed, unit, hash, bucket) => {
      expect([murmur3(`${seed}:${unit}`), createBucketer(seed)(unit)]).toEqual([hash, bucket])
    },
  )

  it.each(vectors.ranges)('weights %j end at %j', (weights, ends) => {
    expect(toRangeEnds(weights)).toEqual(ends)
  })

  it.each(vectors.edges)(
    'seed %j and weights %j put unit %s, of bucket %i, in range %i',
    (seed, weights, unit, bucket, index) => {
      expect(createBucketer(seed)(unit)).toBe(bucket)
      expect(variantsOf(makeSplitSnapshot(weights, seed), [unit])).toEqual([`v${index}`])
    },
  )
})

describe('a bucket', () => {
  it('is a whole number in [0, 100000), by the written rule, for every text', () => {
    fc.assert(
      fc.property(anyTexts, anyTexts, (seed, unit) => {
        const bucket = createBucketer(seed)(unit)
        expect(bucket).toBe(Math.floor((murmur3(`${seed}:${unit}`) / 2 ** 32) * BUCKET_COUNT))
        expect(Number.isInteger(bucket) && bucket >= 0 && bucket < BUCKET_COUNT).toBe(true)
      }),
      { seed: 1, numRuns: 2_000 },
    )
  })

  it('is that of the UTF-8 bytes, in which a lone surrogate is U+FFFD', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const decoded = new TextDecoder().decode(new TextEncoder().encode(text))
        expect(createBucketer('seed')(text)).toBe(createBucketer('seed')(decoded))
      }),
      { seed: 2, numRuns: 1_000 },
    )
  })

  it('does not depend on which units were asked before', () => {
    const bucketOf = createBucketer('memory')
    const forwards = UNITS.map(bucketOf)
    expect(UNITS.toReversed().map(bucketOf).reverse()).toEqual(forwards)
    expect(UNITS.map((unit) => createBucketer('memory')(unit))).toEqual(forwards)
  })

  it.each([
    [0, 0],
    [0.001, 1],
    [0.29, 290],
    [1.005, 1_005],
    [33.333, 33_333],
    [50, 50_000],
    [99.999, 99_999],
    [100, 100_000],
  ])('percentage %d covers %i buckets', (percentage, buckets) => {
    expect(toBuckets(percentage)).toBe(buckets)
  })

  it('counts every step of a thousandth exactly', () => {
    const steps = Array.from({ length: 100_001 }, (_, step) => step)
    expect(steps.filter((step) => toBuckets(step / 1_000) !== step)).toEqual([])
  })
})

describe('ranges', () => {
  it('cover [0, 100000) once and in order, each within one bucket of its exact share', () => {
    fc.assert(
      fc.property(weightLists, (weights) => {
        const total = weights.reduce((sum, weight) => sum + weight, 0)
        const ends = toRangeEnds(weights)
        expect(ends.at(-1)).toBe(BUCKET_COUNT)
        let start = 0
        for (const [index, end] of ends.entries()) {
          const weight = weights[index] ?? 0
          const size = end - start
          expect(Number.isInteger(end) && size >= 0).toBe(true)
          expect(Math.abs(size - (weight * BUCKET_COUNT) / total)).toBeLessThan(1)
          if (weight === 0) expect(size).toBe(0)
          start = end
        }
      }),
      { seed: 3, numRuns: 1_000 },
    )
  })

  it('end where exact arithmetic says', () => {
    fc.assert(
      fc.property(weightLists, (weights) => {
        const total = BigInt(weights.reduce((sum, weight) => sum + weight, 0))
        let cumulative = 0n
        const exact = weights.map((weight) => {
          cumulative += BigInt(weight) * 100_000n
          return Number((cumulative + total - 1n) / total)
        })
        expect(toRangeEnds(weights)).toEqual(exact)
      }),
      { seed: 4, numRuns: 1_000 },
    )
  })

  it('of earlier variants stay to the bucket when the last weight is divided', () => {
    fc.assert(
      fc.property(weightLists, fc.nat(), (weights, cut) => {
        const last = weights.at(-1) ?? 0
        const part = cut % (last + 1)
        const divided = [...weights.slice(0, -1), last - part, part]
        const earlier = weights.length - 1
        expect(toRangeEnds(divided).slice(0, earlier)).toEqual(toRangeEnds(weights).slice(0, earlier))
      }),
      { seed: 5, numRuns: 500 },
    )
  })

  it('only give units away to the last variant when its weight grows', () => {
    fc.assert(
      fc.property(weightLists, fc.integer({ min: 1, max: 1_000_000 }), (weights, growth) => {
        const grown = [...weights.slice(0, -1), (weights.at(-1) ?? 0) + growth]
        const before = toRangeEnds(weights)
        const after = toRangeEnds(grown)
        expect(after.filter((end, index) => end > (before[index] ?? 0))).toEqual([])
        expect(after.at(-1)).toBe(BUCKET_COUNT)
      }),
      { seed: 6, numRuns: 500 },
    )
  })
})

describe('a split', () => {
  it('puts each unit in the range that holds its bucket, half-open', () => {
    fc.assert(
      fc.property(weightLists, seeds, (weights, seed) => {
        const ends = toRangeEnds(weights)
        const bucketOf = createBucketer(seed)
        const units = UNITS.slice(0, 50)
        const expected = units.map((unit) => `v${ends.findIndex((end) => bucketOf(unit) < end)}`)
        expect(variantsOf(makeSplitSnapshot(weights, seed), units)).toEqual(expected)
      }),
      { seed: 7, numRuns: 100 },
    )
  })

  it.each([
    ['even', [50, 50]],
    ['uneven', [90, 10]],
    ['small', [995, 5]],
    ['of many', [5, 10, 15, 20, 50]],
    ['of primes', [2, 3, 5, 7, 11, 13]],
    ['with a zero', [30, 0, 70]],
  ])('serves 100,000 units by its weights, within sampling error: %s', (name, weights) => {
    const units = 100_000
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    const served = counted(variantsOf(makeSplitSnapshot(weights, `sampling-${name}`), makeUnits(units)))
    for (const [index, weight] of weights.entries()) {
      const share = weight / total
      const error = Math.sqrt(units * share * (1 - share))
      expect(Math.abs((served.get(`v${index}`) ?? 0) - units * share)).toBeLessThanOrEqual(4 * error)
    }
    expect([...served.keys()].every((variant) => Object.hasOwn(toWeights(weights), variant ?? ''))).toBe(true)
  })

  it('is as even for units that are not ASCII', () => {
    const units = makeUnits(20_000).map((unit) => `ユーザー-${unit}-🚀`)
    const served = counted(variantsOf(makeSplitSnapshot([1, 1], 'unicode'), units))
    expect(Math.abs((served.get('v0') ?? 0) - 10_000)).toBeLessThanOrEqual(4 * Math.sqrt(5_000))
  })

  it('falls into its ranges at every part of the bucket space alike', () => {
    const bucketOf = createBucketer('uniform')
    const tenths = counted(makeUnits(100_000).map((unit) => Math.floor(bucketOf(unit) / 1_000)))
    const statistic = [...tenths.values()].reduce((sum, count) => sum + (count - 1_000) ** 2 / 1_000, 0)
    expect(tenths.size).toBe(100)
    // 99 degrees of freedom: above 160 once in 10,000 times if the buckets are uniform.
    expect(statistic).toBeLessThan(160)
  })
})

describe('a rollout', () => {
  it('only adds units when its percentage rises, and only removes them when it falls', () => {
    fc.assert(
      fc.property(seeds, percentages, percentages, (seed, one, other) => {
        const lower = treatedBy(makeRolloutSnapshot(seed, Math.min(one, other)))
        const higher = treatedBy(makeRolloutSnapshot(seed, Math.max(one, other)))
        expect([...lower].filter((unit) => !higher.has(unit))).toEqual([])
      }),
      { seed: 8, numRuns: 200 },
    )
  })

  it('serves everyone at 100 and nobody at 0', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        expect(treatedBy(makeRolloutSnapshot(seed, 0)).size).toBe(0)
        expect(treatedBy(makeRolloutSnapshot(seed, 100)).size).toBe(UNITS.length)
      }),
      { seed: 9, numRuns: 50 },
    )
  })

  it('serves exactly the units whose bucket is below its percentage', () => {
    const bucketOf = createBucketer('rollout-seed')
    fc.assert(
      fc.property(percentages, (percentage) => {
        const below = UNITS.filter((unit) => bucketOf(unit) < Math.round(percentage * 1_000))
        expect([...treatedBy(makeRolloutSnapshot('rollout-seed', percentage))]).toEqual(below)
      }),
      { seed: 10, numRuns: 100 },
    )
  })

  it('that is reversed serves exactly the units whose bucket is among the last', () => {
    const bucketOf = createBucketer('rollout-seed')
    fc.assert(
      fc.property(percentages, (percentage) => {
        const grants = [makeGrant({ percentage })]
        const snapshot = makeSnapshotOf(makeFlag(), makeRollout({ grants, reversed: true }))
        const first = 100_000 - Math.round(percentage * 1_000)
        expect([...treatedBy(snapshot)]).toEqual(UNITS.filter((unit) => bucketOf(unit) >= first))
      }),
      { seed: 14, numRuns: 100 },
    )
  })

  it('brings the same units back first, however it went up and down before', () => {
    fc.assert(
      fc.property(seeds, fc.array(percentages, { minLength: 2, maxLength: 8 }), (seed, course) => {
        const snapshot = makeRolloutSnapshot(seed, 0)
        const bucketOf = createBucketer(seed)
        const inOrder = UNITS.toSorted((a, b) => bucketOf(a) - bucketOf(b))
        for (const [index, percentage] of course.entries()) {
          const rollout = makeRollout({ seed, stage: index, grants: [makeGrant({ percentage })] })
          snapshot.patch(index + 2, [makeChange('rollouts', 'flag', rollout)])
          const treated = treatedBy(snapshot)
          expect(treated).toEqual(new Set(inOrder.slice(0, treated.size)))
          expect(treated).toEqual(treatedBy(makeRolloutSnapshot(seed, percentage)))
        }
      }),
      { seed: 11, numRuns: 50 },
    )
  })

  it('takes nobody away when a grant is added', () => {
    const audiences = fc.constantFrom<Grant['audience']>(
      null,
      { attribute: 'targetingKey', op: 'ends-with', values: ['1', '2', '3'] },
      { attribute: 'targetingKey', op: 'ends-with', values: ['3', '4'] },
    )
    const grants = fc.array(fc.record({ audience: audiences, percentage: percentages }), {
      minLength: 1,
      maxLength: 5,
    })
    const serve = (grants: RolloutGrants['grants']) =>
      treatedBy(makeSnapshotOf(makeFlag(), makeRollout({ grants })))
    fc.assert(
      fc.property(grants, (grants) => {
        const before = serve(grants.slice(0, -1))
        const after = serve(grants)
        expect([...before].filter((unit) => !after.has(unit))).toEqual([])
      }),
      { seed: 12, numRuns: 100 },
    )
  })

  it('moves nobody from one variant of a split to another', () => {
    fc.assert(
      fc.property(seeds, seeds, percentages, percentages, (splitSeed, seed, before, after) => {
        const flag = makeTextFlag(['a', 'b', 'c', 'new'], {
          fallthrough: makeSplit({ a: 20, b: 30, c: 50 }, { seed: splitSeed }),
        })
        const serve = (percentage: number) => {
          const rollout = makeRollout({ variant: 'new', seed, grants: [makeGrant({ percentage })] })
          return variantsOf(makeSnapshotOf(flag, rollout), UNITS)
        }
        const alone = variantsOf(makeSnapshotOf(flag), UNITS)
        const [first, second] = [serve(before), serve(after)]
        const moved = UNITS.filter(
          (_, i) =>
            (first[i] !== 'new' && first[i] !== alone[i]) || (second[i] !== 'new' && second[i] !== alone[i]),
        )
        expect(moved).toEqual([])
      }),
      { seed: 13, numRuns: 50 },
    )
  })
})

describe('two seeds', () => {
  // 9 degrees of freedom: above 45 once in a million times if the hashes are independent.
  const LIMIT = 45
  const units = makeUnits(10_000)

  function dependence(one: string, other: string): number {
    const [first, second] = [createBucketer(one), createBucketer(other)]
    return chiSquare(
      units.map((unit) => [Math.floor(first(unit) / 25_000), Math.floor(second(unit) / 25_000)] as const),
    )
  }

  it('put units independently of each other', () => {
    fc.assert(
      fc.property(fc.uniqueArray(seeds, { minLength: 2, maxLength: 2 }), ([one = '', other = '']) => {
        expect(dependence(one, other)).toBeLessThan(LIMIT)
      }),
      { seed: 14, numRuns: 60 },
    )
  })

  it.each([
    ['checkout', 'checkout2'],
    ['checkout-1', 'checkout-2'],
    ['a', 'b'],
    ['a', 'aa'],
    ['seed', 'Seed'],
    ['seed', ' seed'],
    ['été', 'ete'],
  ])('put units independently even if they are as alike as %j and %j', (one, other) => {
    expect(dependence(one, other)).toBeLessThan(LIMIT)
  })

  it('are told to depend on each other by the same measure when they are one seed', () => {
    expect(dependence('same', 'same')).toBeGreaterThan(25_000)
  })

  it('decide who is in the rollout and which variant of the split the others get', () => {
    const flag = makeTextFlag(['a', 'b', 'new'], {
      fallthrough: makeSplit({ a: 50, b: 50 }, { seed: 'split' }),
    })
    const rollout = makeRollout({ variant: 'new', seed: 'rollout', grants: [makeGrant({ percentage: 50 })] })
    const [alone, rolled] = [makeSnapshotOf(flag), makeSnapshotOf(flag, rollout)].map((snapshot) =>
      variantsOf(snapshot, units),
    )
    const pairs = units.map((_, i) => [alone?.[i] ?? '', rolled?.[i] === 'new' ? 'new' : 'old'] as const)
    expect(counted(pairs.map(([, arm]) => arm)).get('new')).toBeGreaterThan(4_800)
    // 1 degree of freedom: above 15 once in 10,000 times.
    expect(chiSquare(pairs)).toBeLessThan(15)
  })
})
