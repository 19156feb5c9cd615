// Conditions in plain English. Pure.
import type { Condition, Operator } from '../engine/flag.ts'
import type { Json } from '../engine/json.ts'
import { count, MAX_NAMED, nameSome, quote } from './wording.ts'

type Phrase = (values: readonly Json[]) => string

/** One phrase for one value, another for several of which any may hold. */
function anyOf(one: string, several: string): Phrase {
  return (values) => `${values.length === 1 ? one : several} ${nameSome(values.map(quote))}`
}

const RELATIVE = /^([+-])(\d+)([smhdw])$/
const UNITS: { readonly [unit: string]: string } = {
  s: 'second',
  m: 'minute',
  h: 'hour',
  d: 'day',
  w: 'week',
}

function describeInstant(value: Json): string {
  if (typeof value === 'number') {
    const instant = new Date(value)
    // Any number is an instant to the engine; a date ends some 270,000 years from now.
    return Number.isNaN(instant.getTime()) ? String(value) : instant.toISOString()
  }
  const relative = typeof value === 'string' ? RELATIVE.exec(value) : null
  if (!relative) return typeof value === 'string' ? value : quote(value)
  const [, sign, amount, unit = ''] = relative
  return `${count(Number(amount), UNITS[unit] ?? unit)} ${sign === '-' ? 'ago' : 'from now'}`
}

const PHRASES: { readonly [operator in Operator]: Phrase } = {
  equals: ([value = null]) => `equals ${quote(value)}`,
  in: (values) => `is one of ${nameSome(values.map(quote))}`,
  contains: anyOf('contains the text', 'contains any of the texts'),
  'starts-with': anyOf('starts with', 'starts with any of'),
  'ends-with': anyOf('ends with', 'ends with any of'),
  matches: anyOf('matches the pattern', 'matches any of the patterns'),
  exists: () => 'has a value',
  less: ([limit = null]) => `is less than ${quote(limit)}`,
  'less-or-equal': ([limit = null]) => `is at most ${quote(limit)}`,
  greater: ([limit = null]) => `is more than ${quote(limit)}`,
  'greater-or-equal': ([limit = null]) => `is at least ${quote(limit)}`,
  between: ([low = null, high = null]) => `is between ${quote(low)} and ${quote(high)}`,
  semver: anyOf('is in the version range', 'is in any of the version ranges'),
  before: ([instant = null]) => `is before ${describeInstant(instant)}`,
  after: ([instant = null]) => `is after ${describeInstant(instant)}`,
  cidr: anyOf('is in the network', 'is in any of the networks'),
  'contains-any': (values) => `has any of ${nameSome(values.map(quote))}`,
  'contains-all': (values) => `has all of ${nameSome(values.map(quote))}`,
}

type Joint = 'and' | 'or'

function partsOf(condition: Condition): readonly Condition[] {
  if ('all' in condition) return condition.all
  return 'any' in condition ? condition.any : []
}

/** A group of one is that one. */
function unwrap(condition: Condition): Condition {
  const [only, ...others] = partsOf(condition)
  return only && others.length === 0 ? unwrap(only) : condition
}

/** Parentheses stand where a part would else be read together with its neighbours. */
function describePart(part: Condition, outer: Joint): string {
  const inner = unwrap(part)
  const text = describeCondition(inner)
  const differs = (outer === 'and' ? 'any' : 'all') in inner
  return differs && partsOf(inner).length > 1 ? `(${text})` : text
}

function describeGroup(parts: readonly Condition[], joint: Joint): string {
  const named = parts.slice(0, MAX_NAMED).map((part) => describePart(part, joint))
  const more = parts.length - named.length
  return [...named, ...(more > 0 ? [`${more} more`] : [])].join(` ${joint} `)
}

/**
 * A condition in words: `company.plan equals "enterprise" and (in segment "staff" or age is at least 18)`. Total; of
 * long lists a part is named.
 */
export function describeCondition(condition: Condition): string {
  const known = unwrap(condition)
  if ('all' in known) return known.all.length === 0 ? 'always' : describeGroup(known.all, 'and')
  if ('any' in known) return known.any.length === 0 ? 'never' : describeGroup(known.any, 'or')
  if ('segment' in known) return `in segment ${quote(known.segment)}`
  if (!('not' in known)) return `${known.attribute} ${PHRASES[known.op](known.values)}`
  const negated = unwrap(known.not)
  const text = describeCondition(negated)
  return 'segment' in negated ? `not ${text}` : `not (${text})`
}
