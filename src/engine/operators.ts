import { RE2JS } from 're2js'
import { parseCidr } from './cidr.ts'
import type { AttributeReader, EvaluationContext } from './context.ts'
import type { Operator } from './flag.ts'
import { parseInstant, parseLimit } from './instant.ts'
import type { Json } from './json.ts'
import { err, ok, type Result } from './result.ts'
import { parseRange, parseVersion, type VersionRange } from './semver.ts'

/** Tells whether a condition holds for one context. */
export type Matcher = (context: EvaluationContext, now: number) => boolean

/** Makes the matcher of a condition from the reader of its attribute; a value of the wrong type is false. */
export type MatcherMaker = (read: AttributeReader) => Matcher

/** Reads one condition's values; the error says what the values must be. */
type OperatorCompiler = (values: readonly Json[]) => Result<MatcherMaker, string>

/** The longest text that a user's regular expression is held against; longer ones do not match. */
const MAX_MATCHED_CHARACTERS = 10_000
const MAX_PATTERN_CHARACTERS = 1_000
/** Up to here looking through a list is about as fast as asking a set, at a tenth of its memory. */
const MAX_LISTED = 8

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

// Matchers are made by functions that see only what these need: a flag has many of them, and each keeps alive
// whatever it could see.

function matchText<P>(read: AttributeReader, part: P, holds: (text: string, part: P) => boolean): Matcher {
  return (context) => {
    const actual = read(context)
    return typeof actual === 'string' && holds(actual, part)
  }
}

function matchAnyText<P>(
  read: AttributeReader,
  parts: readonly P[],
  holds: (text: string, part: P) => boolean,
): Matcher {
  return (context) => {
    const actual = read(context)
    return typeof actual === 'string' && parts.some((part) => holds(actual, part))
  }
}

/** Texts, each read by `parse`; the attribute must be a text that holds against one of them. */
function comparesText<P>(
  expected: string,
  parse: (text: string) => P | undefined,
  holds: (text: string, part: P) => boolean,
): OperatorCompiler {
  return (values) => {
    const parts: P[] = []
    for (const value of values) {
      const part = typeof value === 'string' ? parse(value) : undefined
      if (part === undefined) return err(expected)
      parts.push(part)
    }
    const [only] = parts
    if (only === undefined) return err(expected)
    return ok((read) =>
      parts.length === 1 ? matchText(read, only, holds) : matchAnyText(read, parts, holds),
    )
  }
}

type NumberComparison = (actual: number, limit: number) => boolean

function matchNumber(read: AttributeReader, limit: number, compare: NumberComparison): Matcher {
  return (context) => {
    const actual = read(context)
    return typeof actual === 'number' && compare(actual, limit)
  }
}

/** One number; the attribute must be a number that compares with it. */
function comparesNumber(compare: NumberComparison): OperatorCompiler {
  return ([limit, ...rest]) => {
    if (typeof limit !== 'number' || rest.length > 0) return err('exactly one number')
    return ok((read) => matchNumber(read, limit, compare))
  }
}

function matchBetween(read: AttributeReader, low: number, high: number): Matcher {
  return (context) => {
    const actual = read(context)
    return typeof actual === 'number' && actual >= low && actual <= high
  }
}

function matchInstant(
  read: AttributeReader,
  limitAt: (now: number) => number,
  compare: NumberComparison,
): Matcher {
  return (context, now) => {
    const instant = parseInstant(read(context))
    return instant !== undefined && compare(instant, limitAt(now))
  }
}

/** One instant, fixed or relative to now; the attribute must be an instant that compares with it. */
function comparesInstant(compare: NumberComparison): OperatorCompiler {
  return ([value, ...rest]) => {
    const limitAt = parseLimit(value)
    if (!limitAt || rest.length > 0) {
      return err('exactly one RFC 3339 instant, milliseconds since 1970, or "-30d"')
    }
    return ok((read) => matchInstant(read, limitAt, compare))
  }
}

function matchEqual(read: AttributeReader, value: unknown): Matcher {
  return (context) => read(context) === value
}

function matchIn(read: AttributeReader, values: readonly unknown[]): Matcher {
  return (context) => values.includes(read(context))
}

function matchInSet(read: AttributeReader, set: ReadonlySet<unknown>): Matcher {
  return (context) => set.has(read(context))
}

function matchExists(read: AttributeReader): Matcher {
  return (context) => read(context) != null
}

function matchContainsAny(read: AttributeReader, set: ReadonlySet<unknown>): Matcher {
  return (context) => {
    const actual = read(context)
    return Array.isArray(actual) && actual.some((element) => set.has(element))
  }
}

function matchContainsAll(read: AttributeReader, wanted: readonly Json[]): Matcher {
  return (context) => {
    const actual = read(context)
    return Array.isArray(actual) && wanted.every((value) => actual.includes(value))
  }
}

/** Scalars, at least one. */
function comparesScalars(make: (values: readonly Json[]) => MatcherMaker): OperatorCompiler {
  return (values) =>
    values.length > 0 && values.every(isScalar) ? ok(make(values)) : err('texts, numbers or booleans')
}

const itself = (text: string) => text

function parsePattern(pattern: string): RE2JS | undefined {
  if (pattern.length > MAX_PATTERN_CHARACTERS) return undefined
  try {
    return RE2JS.compile(pattern)
  } catch {
    return undefined
  }
}

function satisfies(text: string, range: VersionRange): boolean {
  const version = parseVersion(text)
  return version !== undefined && range(version)
}

const OPERATORS = {
  equals: ([value, ...rest]) => {
    if (!isScalar(value) || rest.length > 0) return err('exactly one text, number or boolean')
    return ok((read) => matchEqual(read, value))
  },
  in: comparesScalars(
    (values) => (read) =>
      values.length <= MAX_LISTED ? matchIn(read, values) : matchInSet(read, new Set(values)),
  ),
  contains: comparesText('texts', itself, (text, part) => text.includes(part)),
  'starts-with': comparesText('texts', itself, (text, part) => text.startsWith(part)),
  'ends-with': comparesText('texts', itself, (text, part) => text.endsWith(part)),
  matches: comparesText(
    'RE2 regular expressions of up to 1,000 characters',
    parsePattern,
    (text, pattern) => text.length <= MAX_MATCHED_CHARACTERS && pattern.test(text),
  ),
  exists: (values) => (values.length > 0 ? err('no values') : ok(matchExists)),
  less: comparesNumber((actual, limit) => actual < limit),
  'less-or-equal': comparesNumber((actual, limit) => actual <= limit),
  greater: comparesNumber((actual, limit) => actual > limit),
  'greater-or-equal': comparesNumber((actual, limit) => actual >= limit),
  between: ([low, high, ...rest]) => {
    if (typeof low !== 'number' || typeof high !== 'number' || low > high || rest.length > 0) {
      return err('two numbers, the lower first')
    }
    return ok((read) => matchBetween(read, low, high))
  },
  semver: comparesText('semantic version ranges such as ">=1.2.0" or "^2.1"', parseRange, satisfies),
  before: comparesInstant((actual, limit) => actual < limit),
  after: comparesInstant((actual, limit) => actual > limit),
  cidr: comparesText('networks such as "10.0.0.0/8" or "2001:db8::/32"', parseCidr, (address, network) =>
    network(address),
  ),
  'contains-any': comparesScalars((values) => (read) => matchContainsAny(read, new Set(values))),
  'contains-all': comparesScalars((values) => (read) => matchContainsAll(read, values)),
} satisfies { [operator in Operator]: OperatorCompiler }

/** Tells whether a text names an operator. */
export function isOperator(name: unknown): name is Operator {
  return typeof name === 'string' && Object.hasOwn(OPERATORS, name)
}

/**
 * Makes ready what one condition compares with: regular expressions, ranges and sets.
 * @returns what makes its matcher, or what the operator's values must be
 */
export function compileOperator(operator: Operator, values: readonly Json[]): Result<MatcherMaker, string> {
  return OPERATORS[operator](values)
}
