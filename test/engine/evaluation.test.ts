import { describe, expect, it } from 'vitest'
import type { EvaluationContext } from '../../src/engine/context.ts'
import { evaluate, evaluateAll } from '../../src/engine/evaluate.ts'
import {
  type Entities,
  evaluateFlag,
  makeChange,
  makeFlag,
  makeRollout,
  makeSegment,
  makeSnapshot,
  makeSnapshotOf,
  makeSplit,
  NOW,
  readVectors,
  toPlain,
  variantOf,
} from '../support/engine.ts'

type Vectors = {
  readonly specVersion: number
  readonly now: number
  readonly groups: readonly {
    readonly name: string
    readonly flags: Entities
    readonly segments?: Entities
    readonly rollouts?: Entities
    readonly rows: readonly (readonly [
      name: string,
      flag: string,
      context: EvaluationContext,
      expected: object,
    ])[]
  }[]
}

const vectors = readVectors<Vectors>('evaluation')

it('speaks the version of the vectors, at the time of the tests', () => {
  expect([vectors.specVersion, vectors.now]).toEqual([1, NOW])
})

describe.each(vectors.groups)('$name', (group) => {
  const snapshot = makeSnapshot(group)

  it.each(group.rows)('%s', (_name, flag, context, expected) => {
    expect(toPlain(evaluateFlag(snapshot, context, flag))).toEqual({ flagKey: flag, ...expected })
  })
})

describe('failures', () => {
  const snapshot = makeSnapshot({
    flags: {
      split: makeFlag({ fallthrough: makeSplit({ on: 1, off: 1 }) }),
      self: makeFlag({ prerequisites: [{ flag: 'self', variants: ['on'] }] }),
      broken: { ...makeFlag(), enabled: 'yes', rules: [{ id: '' }] },
      fine: makeFlag({ clientVisible: true }),
    },
  })

  it.each([
    ['missing', 'FLAG_NOT_FOUND', 'there is no flag of that key'],
    ['split', 'TARGETING_KEY_MISSING', 'the flag is split by an attribute that the context lacks'],
    ['self', 'GENERAL', 'the flag is a prerequisite of itself'],
    ['broken', 'PARSE_ERROR', 'the flag cannot be read: rules[0].id must be a text that is not empty'],
  ])('say what is wrong with the flag %s: %s', (flagKey, errorCode, errorMessage) => {
    expect(evaluateFlag(snapshot, {}, flagKey)).toEqual({
      flagKey,
      reason: 'ERROR',
      errorCode,
      errorMessage,
      metadata: {},
    })
  })

  it('are of their own flag alone', () => {
    expect(evaluateAll(snapshot, {}, NOW).map(({ flagKey, reason }) => [flagKey, reason])).toEqual([
      ['broken', 'ERROR'],
      ['fine', 'STATIC'],
      ['self', 'ERROR'],
      ['split', 'ERROR'],
    ])
  })

  it('leave nothing behind: a flag in a circle answers again as soon as the circle is open', () => {
    const flags = {
      a: makeFlag({ prerequisites: [{ flag: 'b', variants: ['on'] }], fallthrough: { variant: 'on' } }),
      b: makeFlag({ prerequisites: [{ flag: 'a', variants: ['on'] }], fallthrough: { variant: 'on' } }),
    }
    const circle = makeSnapshot({ flags })
    const before = [evaluateFlag(circle, {}, 'a'), evaluateFlag(circle, {}, 'b')]
    expect(before.map(({ reason }) => reason)).toEqual(['ERROR', 'ERROR'])
    circle.patch(2, [makeChange('flags', 'b', makeFlag({ fallthrough: { variant: 'on' } }))])
    expect([evaluateFlag(circle, {}, 'a'), evaluateFlag(circle, {}, 'b')].map(variantOf)).toEqual([
      'on',
      'on',
    ])
  })
})

describe('visibility', () => {
  const snapshot = makeSnapshot({
    flags: {
      open: makeFlag({ clientVisible: true }),
      hidden: makeFlag(),
      'needs-hidden': makeFlag({
        clientVisible: true,
        prerequisites: [{ flag: 'hidden', variants: ['off'] }],
        fallthrough: { variant: 'on' },
      }),
      broken: { ...makeFlag({ clientVisible: true }), enabled: 'yes' },
    },
  })

  it('of all flags shows every flag', () => {
    const all = evaluateAll(snapshot, {}, NOW)
    expect(all.map(({ flagKey }) => flagKey)).toEqual(['broken', 'hidden', 'needs-hidden', 'open'])
  })

  it('of a client shows only what is marked for clients', () => {
    const visible = evaluateAll(snapshot, {}, NOW, 'client')
    expect(visible.map(({ flagKey }) => flagKey)).toEqual(['needs-hidden', 'open'])
  })

  it.each(['hidden', 'broken', 'missing'])('of a client answers for %s as if it did not exist', (key) => {
    expect(evaluateFlag(snapshot, {}, key, 'client')).toEqual({
      flagKey: key,
      reason: 'ERROR',
      errorCode: 'FLAG_NOT_FOUND',
      errorMessage: 'there is no flag of that key',
      metadata: {},
    })
  })

  it('does not keep a visible flag from asking a hidden one', () => {
    expect(variantOf(evaluateFlag(snapshot, {}, 'needs-hidden', 'client'))).toBe('on')
  })
})

describe('all flags at once', () => {
  it('answer as each does alone, in the order of their keys by code unit', () => {
    const { flags = {}, ...rest } = vectors.groups.find(({ name }) => name === 'rollouts') ?? {}
    const snapshot = makeSnapshot({
      ...rest,
      flags: { Z: makeFlag(), é: makeFlag(), '🚀': makeFlag(), ...flags },
    })
    const context = { targetingKey: 'user-3', country: 'de', plan: 'pro' }
    const keys = [...Object.keys(flags), 'Z', 'é', '🚀'].sort()
    expect(keys.length).toBeGreaterThan(15)
    expect(evaluateAll(snapshot, context, NOW)).toEqual(
      keys.map((key) => evaluateFlag(snapshot, context, key)),
    )
  })

  it('are none in an empty snapshot', () => {
    expect(evaluateAll(makeSnapshot({}), {}, NOW)).toEqual([])
  })
})

it.each<[by: string, context: EvaluationContext, unit: string]>([
  ['targetingKey', { targetingKey: 'ann' }, 'ann'],
  ['company.id', { targetingKey: 'ann', company: { id: 42 } }, '42'],
])('says which unit a tag is of: %s', (by, context, unit) => {
  const snapshot = makeSnapshotOf(makeFlag(), makeRollout({ id: 'r1', stage: 2, by }))
  expect(evaluateFlag(snapshot, context)).toHaveProperty('assignment', { tag: 'r1.2.1.c', by, unit })
})

it('makes no new object for an answer without an assignment', () => {
  const snapshot = makeSnapshotOf(makeFlag({ fallthrough: makeSplit({ on: 1, off: 0 }) }))
  const context = { targetingKey: 'ann' }
  expect(evaluateFlag(snapshot, context)).toBe(evaluateFlag(snapshot, { targetingKey: 'bob' }))
})

it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
  'takes %d for no unit',
  (targetingKey) => {
    const snapshot = makeSnapshotOf(makeFlag({ fallthrough: makeSplit({ on: 1 }) }))
    expect(evaluateFlag(snapshot, { targetingKey })).toHaveProperty('errorCode', 'TARGETING_KEY_MISSING')
  },
)

it('asks relative times against the time of the evaluation', () => {
  const when = { attribute: 'since', op: 'before', values: ['-1d'] } as const
  const flag = makeFlag({ rules: [{ id: 'r', when, serve: { variant: 'on' } }] })
  const snapshot = makeSnapshotOf(flag)
  const since = '2026-03-01T12:00:00Z'
  const variants = [NOW, NOW + 86_400_000, NOW + 86_400_001].map((now) =>
    variantOf(evaluate(snapshot, 'flag', { since }, now)),
  )
  expect(variants).toEqual(['off', 'off', 'on'])
})

it.each([
  ['a text', '42'],
  ['a number', 42],
])('finds a unit among targets and segments whether its key is %s', (_, targetingKey) => {
  const context = { targetingKey }
  const targeted = makeSnapshotOf(makeFlag({ targets: [{ variant: 'on', units: ['42'] }] }))
  expect(evaluateFlag(targeted, context)).toMatchObject({ variant: 'on', reason: 'TARGETING_MATCH' })
  const listed = makeSnapshot({
    flags: { flag: makeFlag({ rules: [{ id: 'r', when: { segment: 's' }, serve: { variant: 'on' } }] }) },
    segments: { s: makeSegment({ included: ['42'] }) },
  })
  expect(variantOf(evaluateFlag(listed, context))).toBe('on')
})
