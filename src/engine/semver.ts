// Semantic versions 2.0.0 and ranges over them. Order is semver's precedence throughout, pre-releases included:
// 1.3.0-beta satisfies >=1.2.0. Leading "v" and missing minor or patch numbers are accepted.

export type Version = {
  readonly major: number
  readonly minor: number
  readonly patch: number
  /** Empty for a release. */
  readonly prerelease: readonly string[]
}

/** Tells whether a version lies in a range. */
export type VersionRange = (version: Version) => boolean

const VERSION =
  /^v?(\d{1,15})(?:\.(\d{1,15}|[xX*]))?(?:\.(\d{1,15}|[xX*]))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/

/** Reads a version; undefined when the text is none. */
export function parseVersion(text: string): Version | undefined {
  const plain = parsePlain(text)
  if (plain) return plain
  const partial = parsePartial(text)
  if (!partial || partial.wildcard) return undefined
  return partial.floor
}

const NO_PRERELEASE: readonly string[] = []

/** Three numbers and nothing else, the usual form, read without a regular expression; undefined if it is not. */
function parsePlain(text: string): Version | undefined {
  const first = text.indexOf('.')
  const second = text.indexOf('.', first + 1)
  if (first < 0 || second < 0) return undefined
  const major = parseDigits(text, 0, first)
  const minor = parseDigits(text, first + 1, second)
  const patch = parseDigits(text, second + 1, text.length)
  if (major < 0 || minor < 0 || patch < 0) return undefined
  return { major, minor, patch, prerelease: NO_PRERELEASE }
}

/** The number that the characters from `start` to `end` write, or -1 when they are not 1 to 15 digits. */
function parseDigits(text: string, start: number, end: number): number {
  if (end === start || end - start > 15) return -1
  let value = 0
  for (let i = start; i < end; i++) {
    const digit = text.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value
}

/** Compares by precedence (semver 2.0.0 clause 11): negative, zero or positive. */
export function compareVersions(a: Version, b: Version): number {
  return (
    a.major - b.major ||
    a.minor - b.minor ||
    a.patch - b.patch ||
    comparePrereleases(a.prerelease, b.prerelease)
  )
}

function comparePrereleases(a: readonly string[], b: readonly string[]): number {
  if (a.length === 0 || b.length === 0) return b.length - a.length
  for (const [index, left] of a.entries()) {
    const right = b[index]
    if (right === undefined) return 1
    if (left === right) continue
    const leftNumber = /^\d+$/.test(left)
    const rightNumber = /^\d+$/.test(right)
    if (leftNumber && rightNumber) return left.length - right.length || (left < right ? -1 : 1)
    if (leftNumber !== rightNumber) return leftNumber ? -1 : 1
    return left < right ? -1 : 1
  }
  return a.length - b.length
}

type Partial = {
  /** The lowest version that the text can mean. */
  readonly floor: Version
  /** How many of the three numbers were given. */
  readonly given: 1 | 2 | 3
  readonly wildcard: boolean
}

function parsePartial(text: string): Partial | undefined {
  const match = VERSION.exec(text)
  if (!match) return undefined
  const [, major, minor, patch, prerelease] = match
  const minorGiven = minor !== undefined && /\d/.test(minor)
  const patchGiven = minorGiven && patch !== undefined && /\d/.test(patch)
  return {
    floor: {
      major: Number(major),
      minor: minorGiven ? Number(minor) : 0,
      patch: patchGiven ? Number(patch) : 0,
      prerelease: prerelease === undefined ? NO_PRERELEASE : prerelease.split('.'),
    },
    given: patchGiven ? 3 : minorGiven ? 2 : 1,
    wildcard: /[xX*]/.test(`${minor ?? ''}${patch ?? ''}`),
  }
}

/** The lowest version of all that share nothing below the given number: 1.2 → 1.3.0-0, 1 → 2.0.0-0. */
function ceiling(version: Version, given: 1 | 2 | 3): Version {
  const prerelease = ['0']
  if (given === 1) return { major: version.major + 1, minor: 0, patch: 0, prerelease }
  if (given === 2) return { major: version.major, minor: version.minor + 1, patch: 0, prerelease }
  return { major: version.major, minor: version.minor, patch: version.patch + 1, prerelease }
}

function caretCeiling({ floor, given }: Partial): Version {
  if (floor.major > 0 || given === 1) return ceiling(floor, 1)
  if (floor.minor > 0 || given === 2) return ceiling(floor, 2)
  return ceiling(floor, 3)
}

const atLeast =
  (low: Version): VersionRange =>
  (v) =>
    compareVersions(v, low) >= 0
const below =
  (high: Version): VersionRange =>
  (v) =>
    compareVersions(v, high) < 0
const within =
  (low: Version, high: Version): VersionRange =>
  (v) =>
    compareVersions(v, low) >= 0 && compareVersions(v, high) < 0

function parseComparator(text: string): VersionRange | undefined {
  if (text === '*' || text === 'x' || text === 'X') return () => true
  const match = /^(<=|>=|<|>|=|\^|~)?(.+)$/.exec(text)
  const partial = parsePartial(match?.[2] ?? '')
  if (!partial) return undefined
  const { floor, given } = partial
  const exact = given === 3
  switch (match?.[1]) {
    case '>=':
      return atLeast(floor)
    case '<':
      return below(floor)
    case '>':
      return exact ? (v) => compareVersions(v, floor) > 0 : atLeast(ceiling(floor, given))
    case '<=':
      return exact ? (v) => compareVersions(v, floor) <= 0 : below(ceiling(floor, given))
    case '^':
      return within(floor, caretCeiling(partial))
    case '~':
      return within(floor, ceiling(floor, given === 1 ? 1 : 2))
    default:
      return exact ? (v) => compareVersions(v, floor) === 0 : within(floor, ceiling(floor, given))
  }
}

function parseHyphen(text: string): VersionRange | undefined {
  const match = /^(\S+)\s+-\s+(\S+)$/.exec(text)
  if (!match) return undefined
  const low = parseComparator(`>=${match[1]}`)
  const high = parseComparator(`<=${match[2]}`)
  return low && high && ((v) => low(v) && high(v))
}

/**
 * Reads a range: comparators (`=`, `<`, `<=`, `>`, `>=`, `^`, `~`, `1.2.x`, `1.2 - 1.4`) joined by spaces all hold,
 * joined by `||` one holds. Undefined when the text is no range.
 */
export function parseRange(text: string): VersionRange | undefined {
  const alternatives: VersionRange[] = []
  for (const part of text.split('||')) {
    const trimmed = part.trim().replace(/(<=|>=|<|>|=|\^|~)\s+/g, '$1')
    const hyphen = parseHyphen(trimmed)
    if (hyphen) {
      alternatives.push(hyphen)
      continue
    }
    const comparators: VersionRange[] = []
    for (const word of trimmed.split(/\s+/)) {
      const comparator = parseComparator(word)
      if (!comparator) return undefined
      comparators.push(comparator)
    }
    const [only] = comparators
    alternatives.push(comparators.length === 1 && only ? only : (v) => comparators.every((holds) => holds(v)))
  }
  const [only] = alternatives
  return alternatives.length === 1 ? only : (v) => alternatives.some((holds) => holds(v))
}
