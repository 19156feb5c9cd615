import { describe, expect, it } from 'vitest'
import { describeCondition } from '../../src/catalog/describe-condition.ts'
import type { Condition, Operator } from '../../src/engine/flag.ts'
import type { Json } from '../../src/engine/json.ts'

const OPERATORS: readonly (readonly [op: Operator, values: readonly Json[], text: string])[] = [
  ['equals', ['pro'], 'a equals "pro"'],
  ['equals', [true], 'a equals true'],
  ['in', ['pro'], 'a is one of "pro"'],
  ['in', ['pro', 7], 'a is one of "pro", 7'],
  ['contains', ['x'], 'a contains the text "x"'],
  ['contains', ['x', 'y'], 'a contains any of the texts "x", "y"'],
  ['starts-with', ['x'], 'a starts with "x"'],
  ['starts-with', ['x', 'y'], 'a starts with any of "x", "y"'],
  ['ends-with', ['x'], 'a ends with "x"'],
  ['ends-with', ['x', 'y'], 'a ends with any of "x", "y"'],
  ['matches', ['^x$'], 'a matches the pattern "^x$"'],
  ['matches', ['^x$', 'y'], 'a matches any of the patterns "^x$", "y"'],
  ['exists', [], 'a has a value'],
  ['less', [18], 'a is less than 18'],
  ['less-or-equal', [18], 'a is at most 18'],
  ['greater', [18], 'a is more than 18'],
  ['greater-or-equal', [18.5], 'a is at least 18.5'],
  ['between', [18, 30], 'a is between 18 and 30'],
  ['semver', ['^1.2'], 'a is in the version range "^1.2"'],
  ['semver', ['^1.2', '>=3'], 'a is in any of the version ranges "^1.2", ">=3"'],
  ['before', ['2026-03-01'], 'a is before 2026-03-01'],
  ['before', ['-30d'], 'a is before 30 days ago'],
  ['before', ['+1h'], 'a is before 1 hour from now'],
  ['after', [0], 'a is after 1970-01-01T00:00:00.000Z'],
  ['after', [9e15], 'a is after 9000000000000000'],
  ['after', ['-1s'], 'a is after 1 second ago'],
  ['after', ['+2m'], 'a is after 2 minutes from now'],
  ['after', ['-2w'], 'a is after 2 weeks ago'],
  ['cidr', ['10.0.0.0/8'], 'a is in the network "10.0.0.0/8"'],
  ['cidr', ['10.0.0.0/8', '::/0'], 'a is in any of the networks "10.0.0.0/8", "::/0"'],
  ['contains-any', ['x', 1], 'a has any of "x", 1'],
  ['contains-all', ['x', 1], 'a has all of "x", 1'],
]

const A: Condition = { attribute: 'a', op: 'equals', values: [1] }
const B: Condition = { attribute: 'b', op: 'exists', values: [] }
const C: Condition = { segment: 'c' }

const GROUPS: readonly (readonly [condition: Condition, text: string])[] = [
  [C, 'in segment "c"'],
  [{ all: [A, B] }, 'a equals 1 and b has a value'],
  [{ any: [A, B, C] }, 'a equals 1 or b has a value or in segment "c"'],
  [{ all: [A, { any: [B, C] }] }, 'a equals 1 and (b has a value or in segment "c")'],
  [{ any: [{ all: [A, B] }, C] }, '(a equals 1 and b has a value) or in segment "c"'],
  [{ all: [A, { all: [B, C] }] }, 'a equals 1 and b has a value and in segment "c"'],
  [{ all: [{ any: [A] }, B] }, 'a equals 1 and b has a value'],
  [{ all: [{ any: [{ all: [A, B] }] }] }, 'a equals 1 and b has a value'],
  [{ all: [A, { all: [{ any: [B, C] }] }] }, 'a equals 1 and (b has a value or in segment "c")'],
  [{ not: A }, 'not (a equals 1)'],
  [{ not: C }, 'not in segment "c"'],
  [{ not: { all: [C] } }, 'not in segment "c"'],
  [{ not: { any: [A, C] } }, 'not (a equals 1 or in segment "c")'],
  [{ not: { not: C } }, 'not (not in segment "c")'],
  [{ all: [{ not: C }, A] }, 'not in segment "c" and a equals 1'],
  [{ all: [] }, 'always'],
  [{ any: [] }, 'never'],
  [{ any: [A, { all: [] }] }, 'a equals 1 or always'],
]

/** All conditions of two leaves, so many levels deep, in groups of up to two. */
function allConditions(depth: number): readonly Condition[] {
  if (depth === 0) return [A, C]
  const parts = allConditions(depth - 1)
  const groups = [[], ...parts.map((part) => [part]), ...parts.flatMap((a) => parts.map((b) => [a, b]))]
  return [
    A,
    C,
    ...parts.map((not) => ({ not })),
    ...groups.flatMap((group) => [{ all: group }, { any: group }]),
  ]
}

/** A condition without groups of one, and without groups in groups of their kind, which mean what they hold. */
function flatten(condition: Condition): Condition {
  if ('not' in condition) return { not: flatten(condition.not) }
  const kind = 'all' in condition ? 'all' : 'any'
  const partsOf = (group: Condition): readonly Condition[] =>
    'all' in group && kind === 'all' ? group.all : 'any' in group && kind === 'any' ? group.any : []
  if (!('all' in condition || 'any' in condition)) return condition
  const parts = partsOf(condition)
    .map(flatten)
    .flatMap((part) => {
      const inner = partsOf(part)
      return inner.length > 0 ? inner : [part]
    })
  const [only, ...others] = parts
  if (only && others.length === 0) return only
  return kind === 'all' ? { all: parts } : { any: parts }
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index)

describe('a condition in words', () => {
  it.each(OPERATORS)('%s %j: %s', (op, values, text) => {
    expect(describeCondition({ attribute: 'a', op, values })).toBe(text)
  })

  it('has a phrase for each of the 18 operators', () => {
    expect(new Set(OPERATORS.map(([op]) => op)).size).toBe(18)
  })

  it.each(GROUPS)('%j: %s', (condition, text) => {
    expect(describeCondition(condition)).toBe(text)
  })

  it('names ten entries of a list, and how many more there are', () => {
    const values = 'company.id is one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9'
    const condition = (count: number): Condition => ({
      attribute: 'company.id',
      op: 'in',
      values: numbers(count),
    })
    expect(describeCondition(condition(10))).toBe(values)
    expect(describeCondition(condition(11))).toBe(`${values} and 1 more`)
    const many = { any: numbers(12).map((index): Condition => ({ segment: String(index) })) }
    expect(describeCondition(many)).toMatch(/^in segment "0" or .* or in segment "9" or 2 more$/)
  })

  it('cuts a value after 100 characters, and through no character', () => {
    const text = (value: string) => describeCondition({ attribute: 'a', op: 'equals', values: [value] })
    expect(text('x'.repeat(98))).toBe(`a equals "${'x'.repeat(98)}"`)
    expect(text('x'.repeat(99))).toBe(`a equals "${'x'.repeat(98)}…`)
    expect(text(`${'x'.repeat(97)}🚀🚀`)).toBe(`a equals "${'x'.repeat(97)}\ufffd…`)
  })

  it('reads alike exactly where conditions are built alike', () => {
    const every = allConditions(2).map(
      (condition) => [describeCondition(condition), JSON.stringify(flatten(condition))] as const,
    )
    expect(every).toHaveLength(706)
    const texts = new Set(every.map(([text]) => text))
    expect(texts.size).toBe(new Set(every.map(([, built]) => built)).size)
    expect(texts.size).toBe(new Set(every.map((pair) => pair.join(' '))).size)
  })
})
