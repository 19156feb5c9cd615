import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EvaluationContext } from '../../src/engine/context.ts'
import type { Condition, Operator } from '../../src/engine/flag.ts'
import type { Json } from '../../src/engine/json.ts'
import { compileOperator, isOperator } from '../../src/engine/operators.ts'
import { parseFlag } from '../../src/engine/parse-flag.ts'
import { evaluateFlag, explainFlag, makeFlag, makeSnapshotOf, NOW, readVectors } from '../support/engine.ts'

type Vectors = {
  readonly specVersion: number
  readonly now: number
  readonly rows: readonly (readonly [
    name: string,
    condition: Condition,
    context: EvaluationContext,
    expected: boolean,
  ])[]
  readonly refused: readonly (readonly [name: string, condition: Condition])[]
}

const vectors = readVectors<Vectors>('conditions')

function typedEntries<K extends string, V>(record: { readonly [key in K]: V }): [K, V][] {
  return Object.entries(record) as [K, V][]
}

function makeFlagWhen(when: unknown): unknown {
  return { ...makeFlag(), rules: [{ id: 'rule', when, serve: { variant: 'on' } }] }
}

function holds(condition: unknown, context: EvaluationContext): boolean {
  const evaluation = evaluateFlag(makeSnapshotOf(makeFlagWhen(condition)), context)
  expect(evaluation.reason).toMatch(/^(TARGETING_MATCH|DEFAULT)$/)
  return evaluation.reason === 'TARGETING_MATCH'
}

describe('vectors', () => {
  it('are of the version that this engine speaks, at the time of the tests', () => {
    expect([vectors.specVersion, vectors.now]).toEqual([1, NOW])
  })

  it.each(vectors.rows)('%s', (_name, condition, context, expected) => {
    expect(holds(condition, context)).toBe(expected)
  })

  it.each(vectors.rows)('explained: %s', (_name, condition, context, expected) => {
    const { steps } = explainFlag(makeSnapshotOf(makeFlagWhen(condition)), context)
    expect(steps.map((step) => (step.step === 'rule' ? step.condition.matched : step.step))).toEqual(
      expected ? ['enabled', expected] : ['enabled', expected, 'fallthrough'],
    )
  })

  it.each(vectors.refused)('refused: %s', (_name, condition) => {
    const parsed = parseFlag('flag', makeFlagWhen(condition), null)
    const problems = parsed.ok ? [] : parsed.error.map(({ path, rule }) => [path, rule])
    expect(problems).toEqual([['rules[0].when.values', 'operand']])
  })
})

describe('regular expressions', () => {
  it.each([['(a+)+$'], ['^(a|aa)+$'], ['(.*)*x'], ['^(([a-z])+.)+[A-Z]([a-z])+$']])(
    'do not backtrack: %s against 10,000 characters that fail at the last',
    (pattern) => {
      const context = { a: `${'a'.repeat(9_999)}!` }
      expect(holds({ attribute: 'a', op: 'matches', values: [pattern] }, context)).toBe(false)
    },
  )

  it.each([
    [9_999, true],
    [10_000, true],
    [10_001, false],
  ])('are held against a text of %i characters: %s', (length, expected) => {
    const condition = { attribute: 'a', op: 'matches', values: ['^a+$'] }
    expect(holds(condition, { a: 'a'.repeat(length) })).toBe(expected)
  })

  it('may have 1,000 characters', () => {
    const condition = { attribute: 'a', op: 'matches', values: ['a'.repeat(1_000)] }
    expect(holds(condition, { a: 'a'.repeat(1_000) })).toBe(true)
    expect(holds(condition, { a: 'a'.repeat(999) })).toBe(false)
  })

  it('give the same answer each time they are asked', () => {
    const snapshot = makeSnapshotOf(makeFlagWhen({ attribute: 'a', op: 'matches', values: ['a'] }))
    const answers = ['a', 'a', 'b', 'a'].map((a) => evaluateFlag(snapshot, { a }).reason)
    expect(answers).toEqual(['TARGETING_MATCH', 'TARGETING_MATCH', 'DEFAULT', 'TARGETING_MATCH'])
  })
})

const OPERATORS: { readonly [operator in Operator]: readonly Json[] } = {
  equals: ['x'],
  in: ['x', 1, true],
  contains: ['x'],
  'starts-with': ['x'],
  'ends-with': ['x'],
  matches: ['^x'],
  exists: [],
  less: [1],
  'less-or-equal': [1],
  greater: [1],
  'greater-or-equal': [1],
  between: [0, 1],
  semver: ['^1.2'],
  before: ['2026-01-01'],
  after: ['-1d'],
  cidr: ['10.0.0.0/8'],
  'contains-any': ['x', 1],
  'contains-all': ['x', 1],
}

describe('operators', () => {
  it.each([...Object.keys(OPERATORS)])('knows the operator %s', (name) => {
    expect(isOperator(name)).toBe(true)
  })

  it.each([['toString'], ['constructor'], ['__proto__'], ['Equals'], ['not-equals'], [''], [null], [0]])(
    'does not take %s for an operator',
    (name) => {
      expect(isOperator(name)).toBe(false)
    },
  )

  it('appear in the vectors, each with rows that hold and rows that do not', () => {
    const seen = (expected: boolean) =>
      new Set(
        vectors.rows.flatMap(([, condition, , holds]) =>
          'op' in condition && holds === expected ? [condition.op] : [],
        ),
      )
    expect([...seen(true)].sort()).toEqual(Object.keys(OPERATORS).sort())
    expect([...seen(false)].sort()).toEqual(Object.keys(OPERATORS).sort())
  })

  it('answer true or false to every value, whatever it is', () => {
    const values = fc.oneof(fc.jsonValue(), fc.constantFrom(undefined, Number.NaN, Number.POSITIVE_INFINITY))
    fc.assert(
      fc.property(fc.constantFrom(...typedEntries(OPERATORS)), values, ([operator, operands], actual) => {
        const compiled = compileOperator(operator, operands)
        expect([true, false]).toContain(compiled.ok && compiled.value(() => actual)({}, NOW))
        expect(compiled.ok).toBe(true)
      }),
      { seed: 11, numRuns: 2_000 },
    )
  })

  it('take any operands or say what they must be', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...typedEntries(OPERATORS)),
        fc.array(fc.oneof(fc.string(), fc.jsonValue())),
        ([operator], values) => {
          const compiled = compileOperator(operator, values as Json[])
          if (compiled.ok) expect([true, false]).toContain(compiled.value(() => 'x')({}, NOW))
          else expect(compiled.error).toMatch(/\w/)
        },
      ),
      { seed: 12, numRuns: 2_000 },
    )
  })
})
