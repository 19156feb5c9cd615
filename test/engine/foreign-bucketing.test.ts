import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { murmur3, murmur3OfBytes } from '../../src/engine/bucket.ts'
import { type Bucketing, createForeignSplit, parseBucketing } from '../../src/engine/foreign-bucketing.ts'
import { encodeNumber, encodePair, encodeText } from '../../src/engine/foreign-cbor.ts'
import { fnv1a, sha1, toLowBytes } from '../../src/engine/foreign-hashes.ts'
import { toUtf8 } from '../../src/engine/utf8.ts'
import vectors from '../vectors/foreign-bucketing.json'

type JsonUnit = string | number | null
type Unit = string | number | undefined

const unitGroups: { readonly [name: string]: readonly JsonUnit[] } = vectors.units

function toHex(bytes: readonly number[]): string {
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

function parsed(bucketing: unknown): Bucketing {
  const result = parseBucketing(bucketing)
  if (!result) throw new Error(`no bucketing: ${JSON.stringify(bucketing)}`)
  return result
}

function assign(bucketing: Bucketing, weights: readonly number[], unit: Unit): number {
  return createForeignSplit(weights, bucketing)(unit)
}

describe('golden vectors', () => {
  it.each(vectors.splits)('serves what $source serves: $name', ({ bucketing, weights, units, expected }) => {
    const all = units.flatMap((name) => unitGroups[name] ?? [])
    const split = createForeignSplit(weights, parsed(bucketing))
    const served = all.map((unit) => [unit, split(unit ?? undefined)])
    expect(served).toEqual(all.map((unit, i) => [unit, expected[i]]))
    expect(all).toHaveLength(expected.length)
  })

  it.each(vectors.published)('serves what $source says: $name', ({ bucketing, weights, rows }) => {
    const split = createForeignSplit(weights, parsed(bucketing))
    expect(rows.map(([unit]) => [unit, split(unit ?? undefined)])).toEqual(rows)
  })

  it('takes minus zero for zero in CBOR', () => {
    const bucketing: Bucketing = { scheme: 'flagd', version: 3, input: { kind: 'value' } }
    const weights = Array.from({ length: 25 }, () => 4)
    expect(assign(bucketing, weights, -0)).toBe(7)
  })
})

describe('hashes', () => {
  it.each(vectors.hashes.sha1)('has the SHA-1 of %j', (text, expected) => {
    const hex = sha1(toUtf8(text)).map((word) => word.toString(16).padStart(8, '0'))
    expect(hex.join('')).toBe(expected)
  })

  it('has the SHA-1 of a million letters', () => {
    const bytes = Array.from({ length: 1_000_000 }, () => 0x61)
    expect(sha1(bytes)).toEqual([0x34aa973c, 0xd4c4daa4, 0xf61eeb2b, 0xdbad2731, 0x6534016f])
  })

  it('has the UTF-8 of texts that are not ASCII', () => {
    expect(vectors.hashes.utf8.map(([text = '']) => [text, toHex(toUtf8(text))])).toEqual(vectors.hashes.utf8)
  })

  it('takes a lone surrogate for U+FFFD in UTF-8, and for its own low byte', () => {
    expect(toUtf8('a\ud83d!\udc00')).toEqual(toUtf8('a\ufffd!\ufffd'))
    expect(toLowBytes('a\ud83d')).toEqual([0x61, 0x3d])
  })

  it('has the murmur3 of the low bytes of texts', () => {
    for (const [text, seed, expected] of vectors.hashes.murmur3OfLowBytes) {
      expect(murmur3OfBytes(toLowBytes(String(text)), Number(seed)), String(text)).toBe(expected)
    }
  })

  it('has the murmur3 of any UTF-8 bytes that the text hash has', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.nat(), (text, seed) => {
        expect(murmur3OfBytes(toUtf8(text), seed)).toBe(murmur3(text, seed))
      }),
    )
  })

  it('has the published FNV-1a values, and continues from a state', () => {
    expect(['', 'a', 'foobar'].map((text) => fnv1a(text))).toEqual([0x811c9dc5, 0xe40c292c, 0xbf9cf968])
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (a, b) => {
        expect(fnv1a(b, fnv1a(a))).toBe(fnv1a(a + b))
      }),
    )
  })

  it('has the deterministic CBOR of texts and numbers', () => {
    const encoded = vectors.hashes.cbor.map(([value]) => [
      value,
      toHex(typeof value === 'number' ? encodeNumber(value) : encodeText(value ?? '')),
    ])
    expect(encoded).toEqual(vectors.hashes.cbor)
    expect(toHex(encodeNumber(-0))).toBe('00')
    expect(toHex(encodePair('flag', 'é'))).toBe('8264666c616762c3a9')
  })
})

describe('LaunchDarkly', () => {
  const bucketing: Bucketing = { scheme: 'launchdarkly', prefix: 'flag.salt' }

  it.each(vectors.positions.launchdarkly.rows)(
    'puts $prefix.$unit at $bucket',
    ({ prefix, unit, bucket }) => {
      const below = Math.floor(bucket * 100_000)
      for (const precision of ['float64', 'float32'] as const) {
        const at: Bucketing = { scheme: 'launchdarkly', prefix, precision }
        expect(assign(at, [below, 100_000 - below], unit)).toBe(1)
        expect(assign(at, [below + 1, 100_000 - below - 1], unit)).toBe(0)
      }
    },
  )

  it.each([undefined, 1.5, Number.NaN, Number.POSITIVE_INFINITY])(
    'gives the unit %s the bucket 0',
    (unit) => {
      expect(assign(bucketing, [1, 99_999], unit)).toBe(0)
      expect(assign(bucketing, [0, 1, 99_999], unit)).toBe(1)
    },
  )

  it('hashes an integer as its decimal text', () => {
    for (const unit of [0, 1, -7, 33333, 2 ** 53]) {
      const weights = Array.from({ length: 100 }, () => 1_000)
      expect(assign(bucketing, weights, unit)).toBe(assign(bucketing, weights, String(unit)))
    }
  })

  it('serves the last variation past the end', () => {
    expect(assign(bucketing, [0, 0, 0], 'anyone')).toBe(2)
    expect(assign(bucketing, [0, 0, 0], undefined)).toBe(2)
    expect(assign(bucketing, [], 'anyone')).toBe(-1)
  })
})

describe('Unleash', () => {
  it.each(vectors.positions.unleashRollout.rows)(
    'puts $groupId:$unit at $position of 100, inclusive',
    ({ groupId, unit, position }) => {
      for (const encoding of ['utf8', 'low-byte'] as const) {
        const bucketing: Bucketing = { scheme: 'unleash-rollout', groupId, encoding }
        expect(assign(bucketing, [position], unit)).toBe(0)
        expect(assign(bucketing, [position - 1], unit)).toBe(-1)
        expect(assign(bucketing, [position - 1, 101 - position], unit)).toBe(1)
      }
    },
  )

  it.each(vectors.positions.unleashVariant.rows)(
    'puts the variant of $groupId:$unit at $position of 100, inclusive',
    ({ groupId, unit, position }) => {
      for (const encoding of ['utf8', 'low-byte'] as const) {
        const bucketing: Bucketing = { scheme: 'unleash', groupId, encoding }
        expect(assign(bucketing, [position, 100 - position], unit)).toBe(0)
        expect(assign(bucketing, [position - 1, 101 - position], unit)).toBe(1)
        expect(assign(bucketing, [position - 1, 0, 101 - position], unit)).toBe(2)
      }
    },
  )

  it('serves nothing to a missing unit, to nobody at 0 and to everybody at 100', () => {
    const rollout: Bucketing = { scheme: 'unleash-rollout', groupId: 'g', encoding: 'utf8' }
    const variants: Bucketing = { scheme: 'unleash', groupId: 'g', encoding: 'utf8' }
    for (const unit of [undefined, '']) {
      expect(assign(rollout, [100], unit)).toBe(-1)
      expect(assign(variants, [1], unit)).toBe(-1)
    }
    for (let i = 0; i < 500; i++) {
      expect(assign(rollout, [0], `u${i}`)).toBe(-1)
      expect(assign(rollout, [0, 100], `u${i}`)).toBe(1)
      expect(assign(rollout, [100], `u${i}`)).toBe(0)
      expect(assign(variants, [0, 1], `u${i}`)).toBe(1)
    }
    expect(assign(variants, [0, 0], 'anyone')).toBe(-1)
    expect(assign(variants, [], 'anyone')).toBe(-1)
  })

  it('chooses among variants only for units that the rollout admits', () => {
    const groupId = 'feature'
    const encoding = 'low-byte'
    for (const percentage of [0, 1, 50, 100]) {
      const gated: Bucketing = {
        scheme: 'unleash',
        groupId,
        encoding,
        rollout: { groupId: 'gate', percentage },
      }
      for (let i = 0; i < 300; i++) {
        const unit = `user-${i}`
        const isIn =
          assign({ scheme: 'unleash-rollout', groupId: 'gate', encoding }, [percentage], unit) === 0
        const variant = assign({ scheme: 'unleash', groupId, encoding }, [300, 700], unit)
        expect(assign(gated, [300, 700], unit)).toBe(isIn ? variant : -1)
      }
    }
  })
})

describe('GrowthBook', () => {
  it.each(vectors.positions.growthbook.rows)(
    'puts "$unit" under "$seed" at $hash',
    ({ seed, unit, hashVersion, hash }) => {
      const whole = hashVersion === 1 ? 1_000 : 10_000
      const at = Math.round(hash * whole)
      const experiment = parsed({ scheme: 'growthbook', seed, hashVersion, coverage: 1 })
      expect(assign(experiment, [at, whole - at], unit)).toBe(1)
      expect(assign(experiment, [at + 1, whole - at - 1], unit)).toBe(0)
      const forced = parsed({ scheme: 'growthbook-rollout', seed, hashVersion, whole })
      expect(assign(forced, [at], unit)).toBe(0)
      expect(assign(forced, [at - 1], unit)).toBe(-1)
      const filtered = (start: number, end: number) =>
        parsed({ ...experiment, filters: [{ seed, hashVersion, ranges: [[start, end]] }] })
      expect(assign(filtered(hash, 1), [1], unit)).toBe(0)
      expect(assign(filtered(0, hash), [1], unit)).toBe(-1)
    },
  )

  it('serves nothing to units that JavaScript takes for false', () => {
    for (const unit of [undefined, '', 0, -0]) {
      expect(assign({ scheme: 'growthbook', seed: 's', hashVersion: 2, coverage: 1 }, [1], unit)).toBe(-1)
      expect(assign({ scheme: 'growthbook-rollout', seed: 's', hashVersion: 2, whole: 1 }, [1], unit)).toBe(
        -1,
      )
    }
  })

  it('serves a coverage of 0 to nobody, not even at 0', () => {
    const unit = Array.from({ length: 10_000 }, (_, i) => `unit-${i}`).find(
      (text) => fnv1a(text) % 1_000 === 0,
    )
    const forced: Bucketing = { scheme: 'growthbook-rollout', seed: '', hashVersion: 1, whole: 1_000 }
    expect(assign(forced, [0], unit)).toBe(-1)
    expect(assign(forced, [0, 1_000], unit)).toBe(1)
    expect(assign(forced, [1], unit)).toBe(0)
    expect(unit).toBeDefined()
  })

  it('adds fractions up as floats: ten tenths put 0.3 into the third', () => {
    const unit = Array.from({ length: 10_000 }, (_, i) => `unit-${i}`).find(
      (text) => fnv1a(text) % 1_000 === 300,
    )
    const tenths = Array.from({ length: 10 }, () => 1)
    expect(assign({ scheme: 'growthbook', seed: '', hashVersion: 1, coverage: 1 }, tenths, unit)).toBe(2)
    expect(assign({ scheme: 'growthbook', seed: '', hashVersion: 1, coverage: 1 }, [3, 7], unit)).toBe(1)
  })

  it('takes weights that do not sum to about 1 for equal ones', () => {
    const split = (weights: readonly number[], whole: number) =>
      createForeignSplit(weights, { scheme: 'growthbook', seed: 's', hashVersion: 2, coverage: 1, whole })
    const units = Array.from({ length: 300 }, (_, i) => `unit-${i}`)
    const equal = units.map(split([1, 1], 2))
    expect(units.map(split([10, 30], 100))).toEqual(equal)
    expect(units.map(split([0, 0], 100))).toEqual(equal)
    expect(units.map(split([10, 92], 100))).toEqual(equal)
    expect(units.map(split([10, 91], 100))).not.toEqual(equal)
    expect(units.map(split([10, 89], 100))).not.toEqual(equal)
    expect(units.map(split([10, 88], 100))).toEqual(equal)
  })

  it('moves nobody who is in when the coverage grows', () => {
    const at = (coverage: number, unit: string) =>
      assign({ scheme: 'growthbook', seed: 's', hashVersion: 2, coverage }, [30, 70], unit)
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.string({ minLength: 1 }),
        (coverage, unit) => {
          const before = at(coverage, unit)
          if (before !== -1) expect(at(1, unit)).toBe(before)
        },
      ),
    )
  })
})

describe('flagd', () => {
  // Texts whose murmur3 is 0, 1, 2^31 - 1, 2^31 and 2^32 - 1.
  const [zero, one, int32Max, int32Min, uint32Max] = ['ejOoVL', 'bY9fO-', 'SI7p-', '6LvT0', 'ceQdGm']
  const input = { kind: 'value' } as const

  it('has the units of the edges right', () => {
    const hashes = [zero, one, int32Max, int32Min, uint32Max].map((text) => murmur3(text))
    expect(hashes).toEqual([0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1])
  })

  it('version 1: 0 is in the first range that has a width, 100 and beyond in none', () => {
    const at = (weights: readonly number[], unit: string) =>
      assign({ scheme: 'flagd', version: 1, input }, weights, unit)
    expect(at([1, 99], zero)).toBe(0)
    expect(at([0, 100], zero)).toBe(1)
    expect(at([0, 100], one)).toBe(1)
    expect(at([1], int32Max)).toBe(-1)
    expect(at([50, 50], int32Max)).toBe(-1)
    expect(at([50, 50], int32Min)).toBe(-1)
    expect(at([1, 99], uint32Max)).toBe(0)
    expect(at([0, 0], zero)).toBe(-1)
    expect(at([], zero)).toBe(-1)
  })

  it('version 2: halves part at 2^31 and the last hash is in the last range', () => {
    const at = (weights: readonly number[], unit: string) =>
      assign({ scheme: 'flagd', version: 2, input }, weights, unit)
    expect([zero, one, int32Max, int32Min, uint32Max].map((unit) => at([1, 1], unit))).toEqual([
      0, 0, 0, 1, 1,
    ])
    expect(at([0, 1], zero)).toBe(1)
    expect(at([1, 0], uint32Max)).toBe(0)
    expect(at([2 ** 31 - 2, 1], uint32Max)).toBe(1)
    expect(at([2 ** 31 - 2, 1], int32Min)).toBe(0)
    expect(at([2 ** 31 - 1, 1], zero)).toBe(-1)
    expect(at([0, 0], zero)).toBe(-1)
    expect(at([], zero)).toBe(-1)
  })

  it('version 2 starts and ends each range at the very hash', () => {
    const total = fc.integer({ min: 1, max: 2 ** 31 - 1 })
    fc.assert(
      fc.property(total, fc.string(), (total, unit) => {
        const bucket = Number((BigInt(murmur3(unit)) * BigInt(total)) >> 32n)
        const at = (first: number) =>
          assign({ scheme: 'flagd', version: 2, input }, [first, total - first], unit)
        expect(at(bucket + 1)).toBe(0)
        expect(at(bucket)).toBe(1)
      }),
    )
  })

  it('version 2 is the 64-bit product, shifted', () => {
    const weight = fc.integer({ min: 0, max: 2 ** 26 })
    fc.assert(
      fc.property(fc.array(weight, { minLength: 1, maxLength: 8 }), fc.string(), (weights, unit) => {
        const total = weights.reduce((sum, each) => sum + each, 0)
        const bucket = (BigInt(murmur3(unit)) * BigInt(total)) >> 32n
        let cumulative = 0n
        const expected = weights.findIndex((each) => {
          cumulative += BigInt(each)
          return bucket < cumulative
        })
        expect(assign({ scheme: 'flagd', version: 2, input }, weights, unit)).toBe(expected)
      }),
      { numRuns: 1_000 },
    )
  })

  it.each([1, 2, 3] as const)('version %s serves nothing where there is nothing to hash', (version) => {
    const shorthand: Bucketing = { scheme: 'flagd', version, input: { kind: 'shorthand', flagKey: 'f' } }
    for (const unit of [undefined, '', 7]) expect(assign(shorthand, [1], unit)).toBe(-1)
    const value: Bucketing = { scheme: 'flagd', version, input }
    expect(assign(value, [1], undefined)).toBe(-1)
    expect(assign(value, [1], 7)).toBe(version === 3 ? 0 : -1)
  })

  it.each([1, 2, 3] as const)('version %s concatenates as flagd does', (version) => {
    const weights = Array.from({ length: 1_000 }, () => 1)
    const at = (prefix: string, suffix: string, unit: Unit) =>
      assign({ scheme: 'flagd', version, input: { kind: 'concatenated', prefix, suffix } }, weights, unit)
    const whole = (text: string) => assign({ scheme: 'flagd', version, input }, weights, text)
    expect(at('a-', '-z', 'unit')).toBe(whole('a-unit-z'))
    expect(at('a-', '', 7)).toBe(whole('a-7'))
    expect(at('a-', '', undefined)).toBe(whole('a-'))
    expect(at('a-', '', 'unit ')).toBe(whole('a-unit'))
    expect(at('a-', '-z', ' ')).toBe(whole('a- -z'))
  })

  it('hashes the shorthand as one text before version 3 and as two in it', () => {
    const weights = Array.from({ length: 1_000 }, () => 1)
    const at = (version: 1 | 2 | 3, flagKey: string, unit: string) =>
      assign({ scheme: 'flagd', version, input: { kind: 'shorthand', flagKey } }, weights, unit)
    expect(at(1, 'ab', 'c')).toBe(at(1, 'a', 'bc'))
    expect(at(2, 'ab', 'c')).toBe(at(2, 'a', 'bc'))
    expect(at(3, 'ab', 'c')).not.toBe(at(3, 'a', 'bc'))
  })
})

const bucketings: readonly Bucketing[] = [
  { scheme: 'launchdarkly', prefix: 'flag.salt' },
  { scheme: 'launchdarkly', prefix: '61', precision: 'float32' },
  { scheme: 'unleash', groupId: 'g', encoding: 'utf8' },
  { scheme: 'unleash', groupId: 'g', encoding: 'low-byte', rollout: { groupId: 'h', percentage: 50 } },
  { scheme: 'unleash-rollout', groupId: 'g', encoding: 'low-byte' },
  { scheme: 'growthbook', seed: 's', hashVersion: 1, coverage: 0.8 },
  {
    scheme: 'growthbook',
    seed: 's',
    hashVersion: 2,
    coverage: 1,
    whole: 100,
    filters: [{ seed: '__ns', hashVersion: 1, ranges: [[0, 0.5]] }],
  },
  { scheme: 'growthbook-rollout', seed: 's', hashVersion: 2, whole: 100 },
  { scheme: 'flagd', version: 1, input: { kind: 'shorthand', flagKey: 'f' } },
  { scheme: 'flagd', version: 2, input: { kind: 'concatenated', prefix: 'f', suffix: '' } },
  { scheme: 'flagd', version: 3, input: { kind: 'value' } },
]

describe('every scheme', () => {
  const unit = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.integer(),
    fc.double({ noNaN: true }),
    fc.constant(undefined),
  )
  const weights = fc.array(fc.integer({ min: 0, max: 1_000 }), { maxLength: 6 })

  it.each(bucketings)('always answers the same index, in range or -1: %j', (bucketing) => {
    fc.assert(
      fc.property(weights, unit, (someWeights, someUnit) => {
        const split = createForeignSplit(someWeights, bucketing)
        const index = split(someUnit)
        expect(split(someUnit)).toBe(index)
        expect(createForeignSplit(someWeights, bucketing)(someUnit)).toBe(index)
        expect(Number.isInteger(index) && index >= -1 && index < someWeights.length).toBe(true)
      }),
    )
  })

  it.each(bucketings)('never serves a variant without weight before the last: %j', (bucketing) => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 6 }),
        unit,
        (some, someUnit) => {
          const index = assign(bucketing, [...some, 50], someUnit)
          const isEqualised = bucketing.scheme === 'growthbook' && bucketing.whole !== undefined
          if (index !== -1 && !isEqualised) expect([...some, 50][index]).toBeGreaterThan(0)
        },
      ),
    )
  })
})

describe('parseBucketing', () => {
  it.each(bucketings)('takes what it wrote: %j', (bucketing) => {
    expect(parseBucketing(JSON.parse(JSON.stringify(bucketing)))).toEqual(bucketing)
    expect(parseBucketing({ ...bucketing, unknown: 1 })).toEqual(bucketing)
  })

  const optional = new Set(['precision', 'rollout', 'whole', 'filters'])
  const fields = bucketings.flatMap((bucketing) =>
    Object.keys(bucketing).map((field) => ({ bucketing, field })),
  )

  it.each(fields)('refuses $bucketing.scheme with $field missing or wrong', ({ bucketing, field }) => {
    const { [field]: _, ...rest } = Object.fromEntries(Object.entries(bucketing))
    const isOptional = optional.has(field) && bucketing.scheme !== 'growthbook-rollout'
    expect(parseBucketing(rest) === undefined).toBe(!isOptional)
    for (const wrong of [null, true, {}, [], [1], -1, 'other', Number.NaN]) {
      const isText = typeof wrong === 'string' && ['prefix', 'groupId', 'seed'].includes(field)
      const isNumber = wrong === -1 && field === 'coverage'
      const isEmptyList = Array.isArray(wrong) && wrong.length === 0 && field === 'filters'
      const isFine = isText || isNumber || isEmptyList
      expect(parseBucketing({ ...bucketing, [field]: wrong }) === undefined, JSON.stringify(wrong)).toBe(
        !isFine,
      )
    }
  })

  it.each([
    undefined,
    null,
    'launchdarkly',
    [],
    {},
    { scheme: 'toString' },
    { scheme: 'unleash', groupId: 'g', encoding: 'utf8', rollout: { groupId: 'h' } },
    { scheme: 'unleash', groupId: 'g', encoding: 'utf8', rollout: { groupId: 'h', percentage: 101 } },
    { scheme: 'unleash', groupId: 'g', encoding: 'utf8', rollout: { groupId: 'h', percentage: -1 } },
    { scheme: 'growthbook', seed: 's', hashVersion: 3, coverage: 1 },
    { scheme: 'growthbook', seed: 's', hashVersion: 1, coverage: Number.POSITIVE_INFINITY },
    { scheme: 'growthbook', seed: 's', hashVersion: 1, coverage: 1, whole: 0 },
    {
      scheme: 'growthbook',
      seed: 's',
      hashVersion: 1,
      coverage: 1,
      filters: [{ seed: 'f', hashVersion: 1 }],
    },
    {
      scheme: 'growthbook',
      seed: 's',
      hashVersion: 1,
      coverage: 1,
      filters: [{ seed: 'f', hashVersion: 1, ranges: [[0, 1, 2]] }],
    },
    {
      scheme: 'growthbook',
      seed: 's',
      hashVersion: 1,
      coverage: 1,
      filters: [{ seed: 'f', hashVersion: 1, ranges: [['0', 1]] }],
    },
    { scheme: 'flagd', version: 4, input: { kind: 'value' } },
    { scheme: 'flagd', version: 2, input: { kind: 'shorthand' } },
    { scheme: 'flagd', version: 2, input: { kind: 'concatenated', prefix: '' } },
    { scheme: 'flagd', version: 2, input: { kind: 'other' } },
  ])('refuses %j', (value) => {
    expect(parseBucketing(value)).toBeUndefined()
  })
})
