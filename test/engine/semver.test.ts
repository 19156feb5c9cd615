import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareVersions, parseRange, parseVersion, type Version } from '../../src/engine/semver.ts'

const identifiers = fc.oneof(
  fc.nat(30).map(String),
  fc.constantFrom('alpha', 'beta', 'rc', 'x-y', '-', 'A', '99999999999999999999', '100000000000000000000'),
)

const numbers = fc.oneof(fc.nat(3), fc.nat(120))

const versions: fc.Arbitrary<Version> = fc.record({
  major: numbers,
  minor: numbers,
  patch: numbers,
  prerelease: fc.array(identifiers, { maxLength: 3 }),
})

function toText({ major, minor, patch, prerelease }: Version): string {
  return `${major}.${minor}.${patch}${prerelease.length > 0 ? `-${prerelease.join('.')}` : ''}`
}

function satisfies(version: Version, range: string): boolean | undefined {
  return parseRange(range)?.(version)
}

describe('a version', () => {
  it.each<readonly [string, Version]>([
    ['1.2.3', { major: 1, minor: 2, patch: 3, prerelease: [] }],
    ['10.200.3000', { major: 10, minor: 200, patch: 3_000, prerelease: [] }],
    ['v1.2.3', { major: 1, minor: 2, patch: 3, prerelease: [] }],
    ['1.2', { major: 1, minor: 2, patch: 0, prerelease: [] }],
    ['1', { major: 1, minor: 0, patch: 0, prerelease: [] }],
    ['0.0.0', { major: 0, minor: 0, patch: 0, prerelease: [] }],
    ['1.2.3-rc.1', { major: 1, minor: 2, patch: 3, prerelease: ['rc', '1'] }],
    ['1.2.3-x-y.0+build.5-2', { major: 1, minor: 2, patch: 3, prerelease: ['x-y', '0'] }],
    ['1.2.3+build', { major: 1, minor: 2, patch: 3, prerelease: [] }],
    ['1.2-beta', { major: 1, minor: 2, patch: 0, prerelease: ['beta'] }],
    ['999999999999999.0.0', { major: 999_999_999_999_999, minor: 0, patch: 0, prerelease: [] }],
  ])('is read from %s', (text, version) => {
    expect(parseVersion(text)).toEqual(version)
  })

  it.each([
    '',
    'v',
    'V1.2.3',
    '1.',
    '1.x',
    '1.2.*',
    '1.2.3.4',
    '1.2.3-',
    '1.2.3+',
    '1.2.3 ',
    '1e3',
    '١.٢.٣',
    '9999999999999999.0.0',
  ])('is not read from %j', (text) => {
    expect(parseVersion(text)).toBeUndefined()
  })

  it('comes back as it was written', () => {
    fc.assert(
      fc.property(versions, (version) => {
        expect(parseVersion(toText(version))).toEqual(version)
      }),
      { seed: 51, numRuns: 500 },
    )
  })
})

describe('the order of versions', () => {
  it('is the one of the specification', () => {
    const inOrder = [
      '0.9.9',
      '1.0.0-0',
      '1.0.0-2',
      '1.0.0-11',
      '1.0.0-99999999999999999999',
      '1.0.0-100000000000000000000',
      '1.0.0--',
      '1.0.0-A',
      '1.0.0-alpha',
      '1.0.0-alpha.1',
      '1.0.0-alpha.beta',
      '1.0.0-beta',
      '1.0.0-beta.2',
      '1.0.0-beta.11',
      '1.0.0-rc.1',
      '1.0.0',
      '1.0.1',
      '1.2.0',
      '1.10.0',
      '2.0.0',
      '10.0.0',
    ]
    const parsed = inOrder.map(
      (text) => parseVersion(text) ?? { major: -1, minor: 0, patch: 0, prerelease: [] },
    )
    const signs = parsed.map((a) => parsed.map((b) => Math.sign(compareVersions(a, b))))
    expect(signs).toEqual(parsed.map((_, i) => parsed.map((_, j) => Math.sign(i - j))))
  })

  it('is total: the other way round is the opposite, and equal is only what is the same', () => {
    fc.assert(
      fc.property(versions, versions, (a, b) => {
        expect(Math.sign(compareVersions(a, b)) + Math.sign(compareVersions(b, a))).toBe(0)
        expect(compareVersions(a, b) === 0).toBe(toText(a) === toText(b))
      }),
      { seed: 52, numRuns: 2_000 },
    )
  })

  it('holds over three', () => {
    fc.assert(
      fc.property(fc.tuple(versions, versions, versions), (three) => {
        const [a, b, c] = three.toSorted(compareVersions)
        expect(
          a && b && c && [a, b, c].every((v, i, all) => i === 0 || compareVersions(all[i - 1] ?? v, v) <= 0),
        ).toBe(true)
        expect(a && c && compareVersions(a, c) <= 0).toBe(true)
      }),
      { seed: 53, numRuns: 2_000 },
    )
  })
})

describe('a range', () => {
  it('of one comparator says what the order says', () => {
    fc.assert(
      fc.property(versions, versions, (version, limit) => {
        const order = compareVersions(version, limit)
        const text = toText(limit)
        expect(
          [`<${text}`, `<=${text}`, `=${text}`, `>=${text}`, `>${text}`].map((range) =>
            satisfies(version, range),
          ),
        ).toEqual([order < 0, order <= 0, order === 0, order >= 0, order > 0])
      }),
      { seed: 54, numRuns: 1_000 },
    )
  })

  it('joined by a space holds when both do, joined by || when one does', () => {
    const comparators = fc
      .tuple(fc.constantFrom('<', '<=', '=', '>=', '>', '^', '~', ''), versions)
      .map(([operator, version]) => operator + toText(version))
    fc.assert(
      fc.property(versions, comparators, comparators, (version, one, other) => {
        const [first, second] = [satisfies(version, one), satisfies(version, other)]
        expect(satisfies(version, `${one} ${other}`)).toBe(first && second)
        expect(satisfies(version, `${one} || ${other}`)).toBe(first || second)
      }),
      { seed: 55, numRuns: 1_000 },
    )
  })

  it.each([
    ['~1.2.3', '>=1.2.3 <1.3.0-0'],
    ['~1.2', '>=1.2.0 <1.3.0-0'],
    ['~1', '>=1.0.0 <2.0.0-0'],
    ['~0.2.3-beta', '>=0.2.3-beta <0.3.0-0'],
    ['^1.2.3', '>=1.2.3 <2.0.0-0'],
    ['^0.2.3', '>=0.2.3 <0.3.0-0'],
    ['^0.0.3', '>=0.0.3 <0.0.4-0'],
    ['^0.0', '>=0.0.0 <0.1.0-0'],
    ['^0', '>=0.0.0 <1.0.0-0'],
    ['^1.x', '>=1.0.0 <2.0.0-0'],
    ['1.2.x', '>=1.2.0 <1.3.0-0'],
    ['1', '>=1.0.0 <2.0.0-0'],
    ['=1.2', '>=1.2.0 <1.3.0-0'],
    ['>1.2', '>=1.3.0-0'],
    ['<=1.2', '<1.3.0-0'],
    ['1.2 - 2.3', '>=1.2.0 <2.4.0-0'],
    ['1.2.3 - 2.0.1', '>=1.2.3 <=2.0.1'],
    ['*', '>=0.0.0-0'],
  ])('%s is %s', (short, long) => {
    fc.assert(
      fc.property(versions, (version) => {
        expect(satisfies(version, short)).toBe(satisfies(version, long))
      }),
      { seed: 56, numRuns: 500 },
    )
  })

  it('of any text is read or not, and never thrown back', () => {
    const pieces = fc.constantFrom(
      '1',
      '.',
      '2',
      'x',
      '*',
      '<',
      '=',
      '>',
      '^',
      '~',
      '||',
      ' ',
      '-',
      'v',
      'rc',
      '+',
    )
    const texts = fc.oneof(
      fc.string(),
      fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join('')),
    )
    const version: Version = { major: 1, minor: 2, patch: 0, prerelease: [] }
    fc.assert(
      fc.property(texts, (text) => {
        expect([true, false, undefined]).toContain(satisfies(version, text))
      }),
      { seed: 57, numRuns: 2_000 },
    )
  })
})
