import { RE2JS } from 're2js'
import { parseCidr } from './cidr.ts'
import type { Operator } from './flag.ts'
import { parseInstant, parseLimit } from './instant.ts'
import type { Json } from './json.ts'
import { err, ok, type Result } from './result.ts'
import { parseRange, parseVersion } from './semver.ts'

/** Holds one attribute's value against what a condition asks for; a value of the wrong type is false. */
export type Predicate = (actual: unknown, now: number) => boolean

/** Makes the predicate for one condition's values; the error says what the values must be. */
type OperatorCompiler = (values: readonly Json[]) => Result<Predicate, string>

/** The longest text that a user's regular expression is held against; longer ones do not match. */
const MAX_MATCHED_CHARACTERS = 10_000
const MAX_PATTERN_CHARACTERS = 1_000

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

/** Values each read by `parse`; the attribute must be a text that satisfies one of them. */
function anyText(
  expected: string,
  parse: (text: string) => ((text: string) => boolean) | undefined,
): OperatorCompiler {
  return (values) => {
    const tests: ((text: string) => boolean)[] = []
    for (const value of values) {
      const test = typeof value === 'string' ? parse(value) : undefined
      if (!test) return err(expected)
      tests.push(test)
    }
    const [only] = tests
    if (!only) return err(expected)
    if (tests.length === 1) return ok((actual) => typeof actual === 'string' && only(actual))
    return ok((actual) => typeof actual === 'string' && tests.some((test) => test(actual)))
  }
}

/** One number; the attribute must be a number that compares with it. */
function comparesNumber(compare: (actual: number, limit: number) => boolean): OperatorCompiler {
  return ([limit, ...rest]) => {
    if (typeof limit !== 'number' || rest.length > 0) return err('exactly one number')
    return ok((actual) => typeof actual === 'number' && compare(actual, limit))
  }
}

/** One instant, fixed or relative to now; the attribute must be an instant that compares with it. */
function comparesInstant(compare: (actual: number, limit: number) => boolean): OperatorCompiler {
  return ([value, ...rest]) => {
    const limit = parseLimit(value)
    if (!limit || rest.length > 0)
      return err('exactly one RFC 3339 instant, milliseconds since 1970, or "-30d"')
    return ok((actual, now) => {
      const instant = parseInstant(actual)
      return instant !== undefined && compare(instant, limit(now))
    })
  }
}

/** A set of scalars that the attribute, an array, is held against. */
function comparesArray(
  holds: (actual: readonly unknown[], set: ReadonlySet<unknown>) => boolean,
): OperatorCompiler {
  return (values) => {
    if (values.length === 0 || !values.every(isScalar)) return err('texts, numbers or booleans')
    const set = new Set<unknown>(values)
    return ok((actual) => Array.isArray(actual) && holds(actual, set))
  }
}

function parsePattern(pattern: string): ((text: string) => boolean) | undefined {
  if (pattern.length > MAX_PATTERN_CHARACTERS) return undefined
  try {
    const compiled = RE2JS.compile(pattern)
    return (text) => text.length <= MAX_MATCHED_CHARACTERS && compiled.test(text)
  } catch {
    return undefined
  }
}

function parseSemverRange(range: string): ((text: string) => boolean) | undefined {
  const satisfies = parseRange(range)
  if (!satisfies) return undefined
  return (text) => {
    const version = parseVersion(text)
    return version !== undefined && satisfies(version)
  }
}

const OPERATORS = {
  equals: ([value, ...rest]) => {
    if (!isScalar(value) || rest.length > 0) return err('exactly one text, number or boolean')
    return ok((actual) => actual === value)
  },
  in: (values) => {
    if (values.length === 0 || !values.every(isScalar)) return err('texts, numbers or booleans')
    const set = new Set<unknown>(values)
    return ok((actual) => set.has(actual))
  },
  contains: anyText('texts', (part) => (text) => text.includes(part)),
  'starts-with': anyText('texts', (part) => (text) => text.startsWith(part)),
  'ends-with': anyText('texts', (part) => (text) => text.endsWith(part)),
  matches: anyText('RE2 regular expressions of up to 1,000 characters', parsePattern),
  exists: (values) =>
    values.length > 0 ? err('no values') : ok((actual) => actual !== undefined && actual !== null),
  less: comparesNumber((actual, limit) => actual < limit),
  'less-or-equal': comparesNumber((actual, limit) => actual <= limit),
  greater: comparesNumber((actual, limit) => actual > limit),
  'greater-or-equal': comparesNumber((actual, limit) => actual >= limit),
  between: ([low, high, ...rest]) => {
    if (typeof low !== 'number' || typeof high !== 'number' || low > high || rest.length > 0) {
      return err('two numbers, the lower first')
    }
    return ok((actual) => typeof actual === 'number' && actual >= low && actual <= high)
  },
  semver: anyText('semantic version ranges such as ">=1.2.0" or "^2.1"', parseSemverRange),
  before: comparesInstant((actual, limit) => actual < limit),
  after: comparesInstant((actual, limit) => actual > limit),
  cidr: anyText('networks such as "10.0.0.0/8" or "2001:db8::/32"', parseCidr),
  'contains-any': comparesArray((actual, set) => actual.some((element) => set.has(element))),
  'contains-all': comparesArray((actual, set) => [...set].every((element) => actual.includes(element))),
} satisfies { [operator in Operator]: OperatorCompiler }

/** Tells whether a text names an operator. */
export function isOperator(name: unknown): name is Operator {
  return typeof name === 'string' && Object.hasOwn(OPERATORS, name)
}

/**
 * Makes the predicate of one condition, with regular expressions, ranges and sets made ready.
 * @returns the predicate, or what the operator's values must be
 */
export function compileOperator(operator: Operator, values: readonly Json[]): Result<Predicate, string> {
  return OPERATORS[operator](values)
}
