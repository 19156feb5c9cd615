import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Flag } from '../../src/engine/flag.ts'
import { isJsonObject } from '../../src/engine/json.ts'
import {
  isFlagKey,
  parseFlag,
  parseFlagConfiguration,
  parseFlagDefinition,
  parseRollout,
  parseSegment,
} from '../../src/engine/parse-flag.ts'
import type { Problem, ProblemRule } from '../../src/engine/problem.ts'
import type { Result } from '../../src/engine/result.ts'
import { evaluateFlag, explainFlag, makeSnapshotOf } from '../support/engine.ts'
import { contents } from '../support/engine-arbitraries.ts'

const PRO = { attribute: 'plan', op: 'equals', values: ['pro'] }

/** A flag that uses all there is. */
const FULL = {
  type: 'string',
  variants: [
    { name: 'a', value: 'A' },
    { name: 'b', value: 'B' },
    { name: 'c', value: '' },
  ],
  metadata: { owner: 'shop', tier: 1, legacy: false },
  clientVisible: true,
  enabled: true,
  offVariant: 'a',
  prerequisites: [{ flag: 'other', variants: ['on', 'off'] }],
  targets: [{ variant: 'b', units: ['ann', 'bob'] }],
  rules: [
    { id: 'r1', description: 'People who pay', when: PRO, serve: { variant: 'b' } },
    {
      id: 'r2',
      when: { all: [{ any: [PRO, { segment: 'staff' }] }, { not: { segment: 'bots' } }] },
      serve: {
        split: {
          weights: [
            { variant: 'a', weight: 1 },
            { variant: 'b', weight: 0 },
          ],
          by: 'company.id',
          seed: 's1',
        },
      },
    },
  ],
  fallthrough: {
    split: {
      weights: [
        { variant: 'a', weight: 30 },
        { variant: 'c', weight: 70 },
      ],
      by: 'targetingKey',
      seed: 's2',
      bucketing: { scheme: 'growthbook', seed: 's', hashVersion: 1, coverage: 0.5 },
    },
  },
}

const ROLLOUT = {
  id: 'x1',
  variant: 'c',
  seed: 's3',
  by: 'targetingKey',
  stage: 2,
  grants: [
    { audience: PRO, percentage: 100 },
    { audience: null, percentage: 0.001 },
  ],
  measured: true,
}

const SEGMENT = { condition: PRO, included: ['ann'], excluded: ['bob', 'zoë'] }

type Path = readonly (string | number)[]

/** A deep copy in which the value at a path is another; `undefined` takes the field out. */
function withValue(document: unknown, path: Path, value: unknown): unknown {
  const [field, ...rest] = path
  if (field === undefined) return value
  if (Array.isArray(document)) {
    const copy: unknown[] = [...document]
    copy[Number(field)] = withValue(copy[Number(field)], rest, value)
    return copy
  }
  const object = isJsonObject(document) ? document : {}
  const entry: unknown = withValue(object[field], rest, value)
  return Object.fromEntries([...Object.entries(object).filter(([name]) => name !== field), [field, entry]])
}

function problemsOf(
  parsed: Result<unknown, readonly Problem[]>,
): readonly (readonly [string, ProblemRule])[] {
  return parsed.ok ? [] : parsed.error.map(({ path, rule }) => [path, rule] as const)
}

/** A text, a list or a tree of a size that stands at or just over a limit. */
const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index))

function nested(depth: number): unknown {
  return depth === 1 ? PRO : { not: nested(depth - 1) }
}

const manyVariants = (count: number) =>
  times(count, (i) => ({ name: ['a', 'b', 'c'][i] ?? `v${i}`, value: '' }))
const manyWeights = (count: number) => times(count, (i) => ({ variant: `v${i}`, weight: 1 }))
const rule = (id: string) => ({ id, when: PRO, serve: { variant: 'a' } })

type Row = readonly [name: string, path: Path, value: unknown, problems: unknown]

const R1 = ['rules', 0] as const
const WHEN = [...R1, 'when'] as const
const SPLIT = ['rules', 1, 'serve', 'split'] as const

const FLAG_ROWS: readonly Row[] = [
  ['no type', ['type'], undefined, [['type', 'type']]],
  ['an unknown type', ['type'], 'text', [['type', 'type']]],
  ['a type that is a name of Object.prototype', ['type'], 'constructor', [['type', 'type']]],
  [
    'a variant that is no object',
    ['variants', 2],
    'c',
    [
      ['variants[2]', 'type'],
      ['variants[2].name', 'type'],
      ['variants[2].value', 'type'],
      ['fallthrough.split.weights[1].variant', 'unknown_variant'],
      ['rollout.variant', 'unknown_variant'],
    ],
  ],
  ['a variant with a number in a text flag', ['variants', 1, 'value'], 1, [['variants[1].value', 'type']]],
  ['a variant with null in a text flag', ['variants', 1, 'value'], null, [['variants[1].value', 'type']]],
  ['a variant without a value', ['variants', 1, 'value'], undefined, [['variants[1].value', 'type']]],
  [
    'a name that is used twice',
    ['variants', 2],
    { name: 'a', value: 'x' },
    [
      ['variants[2].name', 'duplicate'],
      ['fallthrough.split.weights[1].variant', 'unknown_variant'],
      ['rollout.variant', 'unknown_variant'],
    ],
  ],
  [
    'a variant name of 201 characters',
    ['variants', 3],
    { name: 'x'.repeat(201), value: '' },
    [['variants[3].name', 'limit']],
  ],
  ['65 variants', ['variants'], manyVariants(65), expect.arrayContaining([['variants', 'limit']])],
  ['variants that are no list', ['variants'], {}, expect.arrayContaining([['variants', 'type']])],
  ['no variants', ['variants'], [], expect.arrayContaining([['variants', 'limit']])],
  ['metadata that is no object', ['metadata'], [], [['metadata', 'type']]],
  ['metadata that is not flat', ['metadata', 'owner'], { name: 'x' }, [['metadata.owner', 'type']]],
  ['metadata with null', ['metadata', 'owner'], null, [['metadata.owner', 'type']]],
  ['metadata with a list', ['metadata', 'a.b'], [], [['metadata.a.b', 'type']]],
  ['no clientVisible', ['clientVisible'], undefined, [['clientVisible', 'type']]],
  ['a clientVisible of null', ['clientVisible'], null, [['clientVisible', 'type']]],
  ['no enabled', ['enabled'], undefined, [['enabled', 'type']]],
  ['an enabled of 1', ['enabled'], 1, [['enabled', 'type']]],
  ['an unknown off variant', ['offVariant'], 'd', [['offVariant', 'unknown_variant']]],
  [
    'an off variant of 201 characters',
    ['offVariant'],
    'x'.repeat(201),
    [
      ['offVariant', 'limit'],
      ['offVariant', 'unknown_variant'],
    ],
  ],
  ['an off variant that is no text', ['offVariant'], 1, [['offVariant', 'type']]],
  ['an empty off variant', ['offVariant'], '', [['offVariant', 'type']]],
  ['prerequisites that are no list', ['prerequisites'], {}, [['prerequisites', 'type']]],
  ['prerequisites of null', ['prerequisites'], null, [['prerequisites', 'type']]],
  [
    '101 prerequisites',
    ['prerequisites'],
    times(101, () => ({ flag: 'x', variants: ['on'] })),
    [['prerequisites', 'limit']],
  ],
  [
    'a prerequisite without a flag',
    ['prerequisites', 0, 'flag'],
    undefined,
    [['prerequisites[0].flag', 'type']],
  ],
  [
    'a prerequisite whose flag has 201 characters',
    ['prerequisites', 0, 'flag'],
    'x'.repeat(201),
    [['prerequisites[0].flag', 'limit']],
  ],
  [
    'a prerequisite without variants',
    ['prerequisites', 0, 'variants'],
    [],
    [['prerequisites[0].variants', 'limit']],
  ],
  [
    'a prerequisite with 65 variants',
    ['prerequisites', 0, 'variants'],
    times(65, String),
    [
      ['prerequisites[0].variants', 'limit'],
      ['prerequisites[0].variants', 'limit'],
    ],
  ],
  [
    'a prerequisite with a variant that is no text',
    ['prerequisites', 0, 'variants', 1],
    true,
    [['prerequisites[0].variants[1]', 'type']],
  ],
  ['targets that are no list', ['targets'], 'x', [['targets', 'type']]],
  ['65 targets', ['targets'], times(65, () => ({ variant: 'a', units: [] })), [['targets', 'limit']]],
  [
    'a target that is no object',
    ['targets', 0],
    null,
    [
      ['targets[0]', 'type'],
      ['targets[0].variant', 'type'],
    ],
  ],
  [
    'a target of an unknown variant',
    ['targets', 0, 'variant'],
    'A',
    [['targets[0].variant', 'unknown_variant']],
  ],
  ['a target with an empty unit', ['targets', 0, 'units', 1], '', [['targets[0].units[1]', 'type']]],
  ['a target with a unit that is a number', ['targets', 0, 'units', 0], 7, [['targets[0].units[0]', 'type']]],
  [
    'a target of 10,001 units',
    ['targets', 0, 'units'],
    times(10_001, String),
    [['targets[0].units', 'limit']],
  ],
  ['rules that are no list', ['rules'], {}, [['rules', 'type']]],
  ['1,001 rules', ['rules'], times(1_001, (i) => rule(`r${i}`)), [['rules', 'limit']]],
  [
    'a rule that is no object',
    R1,
    1,
    [
      ['rules[0]', 'type'],
      ['rules[0].id', 'type'],
      ['rules[0].when', 'type'],
      ['rules[0].when', 'type'],
      ['rules[0].serve', 'type'],
      ['rules[0].serve', 'type'],
    ],
  ],
  ['a rule without an id', [...R1, 'id'], undefined, [['rules[0].id', 'type']]],
  ['an id of 101 characters', [...R1, 'id'], 'x'.repeat(101), [['rules[0].id', 'limit']]],
  ['an id that is used twice', ['rules', 1, 'id'], 'r1', [['rules[1].id', 'duplicate']]],
  ['a description that is no text', [...R1, 'description'], 1, [['rules[0].description', 'type']]],
  [
    'a description of 2,001 characters',
    [...R1, 'description'],
    'x'.repeat(2_001),
    [['rules[0].description', 'limit']],
  ],
  [
    'a rule without a condition',
    WHEN,
    undefined,
    [
      ['rules[0].when', 'type'],
      ['rules[0].when', 'type'],
    ],
  ],
  [
    'a condition of null',
    WHEN,
    null,
    [
      ['rules[0].when', 'type'],
      ['rules[0].when', 'type'],
    ],
  ],
  [
    'a condition that is a list',
    WHEN,
    [PRO],
    [
      ['rules[0].when', 'type'],
      ['rules[0].when', 'type'],
    ],
  ],
  ['a condition of no form', WHEN, {}, [['rules[0].when', 'type']]],
  ['a condition of two forms', WHEN, { all: [], any: [] }, [['rules[0].when', 'type']]],
  ['a condition of a form and an attribute', WHEN, { ...PRO, segment: 's' }, [['rules[0].when', 'type']]],
  ['an all that is no list', WHEN, { all: PRO }, [['rules[0].when.all', 'type']]],
  ['an any of 1,001 conditions', WHEN, { any: times(1_001, () => PRO) }, [['rules[0].when.any', 'limit']]],
  [
    'a condition deep inside',
    ['rules', 1, 'when', 'all', 0, 'any', 0, 'values'],
    [],
    [['rules[1].when.all[0].any[0].values', 'operand']],
  ],
  [
    'a not of nothing',
    WHEN,
    { not: null },
    [
      ['rules[0].when.not', 'type'],
      ['rules[0].when.not', 'type'],
    ],
  ],
  ['conditions 17 deep', WHEN, nested(17), [[`rules[0].when${'.not'.repeat(16)}`, 'limit']]],
  [
    'lists of conditions 17 deep',
    WHEN,
    times(16, (i) => i).reduce<unknown>((inner) => ({ all: [inner] }), PRO),
    [[`rules[0].when${'.all[0]'.repeat(16)}`, 'limit']],
  ],
  ['an empty segment', WHEN, { segment: '' }, [['rules[0].when.segment', 'type']]],
  ['a segment that is no text', WHEN, { segment: ['a'] }, [['rules[0].when.segment', 'type']]],
  ['a segment of 201 characters', WHEN, { segment: 'x'.repeat(201) }, [['rules[0].when.segment', 'limit']]],
  ['an empty attribute', [...WHEN, 'attribute'], '', [['rules[0].when.attribute', 'type']]],
  [
    'an attribute of 501 characters',
    [...WHEN, 'attribute'],
    'x'.repeat(501),
    [['rules[0].when.attribute', 'limit']],
  ],
  ['an unknown operator', [...WHEN, 'op'], 'like', [['rules[0].when.op', 'type']]],
  [
    'an operator that is a name of Object.prototype',
    [...WHEN, 'op'],
    'toString',
    [['rules[0].when.op', 'type']],
  ],
  ['no operator', [...WHEN, 'op'], undefined, [['rules[0].when.op', 'type']]],
  [
    'values that are no list',
    [...WHEN, 'values'],
    'pro',
    [
      ['rules[0].when.values', 'type'],
      ['rules[0].when.values', 'operand'],
    ],
  ],
  ['no values', [...WHEN, 'values'], undefined, [['rules[0].when.values', 'operand']]],
  [
    '10,001 values',
    WHEN,
    { ...PRO, op: 'in', values: times(10_001, String) },
    [
      ['rules[0].when.values', 'limit'],
      ['rules[0].when.values', 'operand'],
    ],
  ],
  [
    'a bad regular expression',
    WHEN,
    { ...PRO, op: 'matches', values: ['a', '('] },
    [['rules[0].when.values', 'operand']],
  ],
  [
    'a bad semver range',
    WHEN,
    { ...PRO, op: 'semver', values: ['>=x'] },
    [['rules[0].when.values', 'operand']],
  ],
  [
    'a bad network',
    WHEN,
    { ...PRO, op: 'cidr', values: ['10.0.0.0/33'] },
    [['rules[0].when.values', 'operand']],
  ],
  ['a bad instant', WHEN, { ...PRO, op: 'before', values: ['soon'] }, [['rules[0].when.values', 'operand']]],
  [
    'no serve',
    [...R1, 'serve'],
    undefined,
    [
      ['rules[0].serve', 'type'],
      ['rules[0].serve', 'type'],
    ],
  ],
  ['a serve of nothing', [...R1, 'serve'], {}, [['rules[0].serve', 'type']]],
  ['a serve of a variant and a split', [...SPLIT.slice(0, 3), 'variant'], 'a', [['rules[1].serve', 'type']]],
  [
    'a serve of an unknown variant',
    [...R1, 'serve', 'variant'],
    'd',
    [['rules[0].serve.variant', 'unknown_variant']],
  ],
  [
    'a split that is no object',
    SPLIT,
    [],
    [
      ['rules[1].serve.split', 'type'],
      ['rules[1].serve.split.weights', 'limit'],
      ['rules[1].serve.split.seed', 'type'],
    ],
  ],
  ['no weights', [...SPLIT, 'weights'], undefined, [['rules[1].serve.split.weights', 'limit']]],
  [
    'weights that sum to 0',
    [...SPLIT, 'weights', 0, 'weight'],
    0,
    [['rules[1].serve.split.weights', 'limit']],
  ],
  [
    'a negative weight',
    [...SPLIT, 'weights', 1, 'weight'],
    -1,
    [['rules[1].serve.split.weights[1].weight', 'type']],
  ],
  [
    'a weight that is not whole',
    [...SPLIT, 'weights', 0, 'weight'],
    0.5,
    [['rules[1].serve.split.weights[0].weight', 'type']],
  ],
  [
    'a weight that is a text',
    [...SPLIT, 'weights', 0, 'weight'],
    '1',
    [['rules[1].serve.split.weights[0].weight', 'type']],
  ],
  [
    'a weight above a million',
    [...SPLIT, 'weights', 0, 'weight'],
    1_000_001,
    [['rules[1].serve.split.weights[0].weight', 'type']],
  ],
  [
    'a weight of an unknown variant',
    [...SPLIT, 'weights', 0, 'variant'],
    'd',
    [['rules[1].serve.split.weights[0].variant', 'unknown_variant']],
  ],
  [
    'two weights of one variant',
    [...SPLIT, 'weights', 1, 'variant'],
    'a',
    [['rules[1].serve.split.weights[1].variant', 'duplicate']],
  ],
  [
    '65 weights',
    [...SPLIT, 'weights'],
    manyWeights(65),
    [
      ['rules[1].serve.split.weights', 'limit'],
      ['rules[1].serve.split.weights', 'limit'],
    ],
  ],
  ['an empty seed', [...SPLIT, 'seed'], '', [['rules[1].serve.split.seed', 'type']]],
  ['no seed', [...SPLIT, 'seed'], undefined, [['rules[1].serve.split.seed', 'type']]],
  ['a seed of 201 characters', [...SPLIT, 'seed'], 'x'.repeat(201), [['rules[1].serve.split.seed', 'limit']]],
  ['a by that is empty', [...SPLIT, 'by'], '', [['rules[1].serve.split.by', 'type']]],
  ['a by that is no text', [...SPLIT, 'by'], null, [['rules[1].serve.split.by', 'type']]],
  ['a by of 501 characters', [...SPLIT, 'by'], 'x'.repeat(501), [['rules[1].serve.split.by', 'limit']]],
  [
    'an unknown bucketing',
    ['fallthrough', 'split', 'bucketing'],
    { scheme: 'dice' },
    [['fallthrough.split.bucketing', 'type']],
  ],
  [
    'a bucketing that is no object',
    ['fallthrough', 'split', 'bucketing'],
    'growthbook',
    [['fallthrough.split.bucketing', 'type']],
  ],
  [
    'no fallthrough',
    ['fallthrough'],
    undefined,
    [
      ['fallthrough', 'type'],
      ['fallthrough', 'type'],
    ],
  ],
  [
    'a fallthrough that is a text',
    ['fallthrough'],
    'a',
    [
      ['fallthrough', 'type'],
      ['fallthrough', 'type'],
    ],
  ],
]

const ROLLOUT_ROWS: readonly Row[] = [
  [
    'that is no object',
    [],
    [],
    [
      ['rollout', 'type'],
      ['rollout.stage', 'type'],
      ['rollout.id', 'type'],
      ['rollout.variant', 'type'],
      ['rollout.seed', 'type'],
    ],
  ],
  ['without an id', ['id'], undefined, [['rollout.id', 'type']]],
  ['with an id of 101 characters', ['id'], 'x'.repeat(101), [['rollout.id', 'limit']]],
  ['of an unknown variant', ['variant'], 'd', [['rollout.variant', 'unknown_variant']]],
  ['with an empty seed', ['seed'], '', [['rollout.seed', 'type']]],
  ['with a seed of 201 characters', ['seed'], 'x'.repeat(201), [['rollout.seed', 'limit']]],
  ['with a by of 501 characters', ['by'], 'x'.repeat(501), [['rollout.by', 'limit']]],
  ['with a by that is no text', ['by'], 1, [['rollout.by', 'type']]],
  ['without a stage', ['stage'], undefined, [['rollout.stage', 'type']]],
  ['with a negative stage', ['stage'], -1, [['rollout.stage', 'type']]],
  ['with a stage that is not whole', ['stage'], 1.5, [['rollout.stage', 'type']]],
  ['with grants that are no list', ['grants'], {}, [['rollout.grants', 'type']]],
  [
    'with 51 grants',
    ['grants'],
    times(51, () => ({ audience: null, percentage: 1 })),
    [['rollout.grants', 'limit']],
  ],
  [
    'with a grant that is no object',
    ['grants', 1],
    5,
    [
      ['rollout.grants[1]', 'type'],
      ['rollout.grants[1].percentage', 'type'],
    ],
  ],
  [
    'with a percentage above 100',
    ['grants', 0, 'percentage'],
    100.001,
    [['rollout.grants[0].percentage', 'type']],
  ],
  [
    'with a percentage below 0',
    ['grants', 0, 'percentage'],
    -0.001,
    [['rollout.grants[0].percentage', 'type']],
  ],
  [
    'with a percentage that is a text',
    ['grants', 0, 'percentage'],
    '50',
    [['rollout.grants[0].percentage', 'type']],
  ],
  [
    'without a percentage',
    ['grants', 0, 'percentage'],
    undefined,
    [['rollout.grants[0].percentage', 'type']],
  ],
  [
    'with an audience that is no condition',
    ['grants', 0, 'audience'],
    {},
    [['rollout.grants[0].audience', 'type']],
  ],
  [
    'with a bad operand in an audience',
    ['grants', 0, 'audience', 'values'],
    [null],
    [['rollout.grants[0].audience.values', 'operand']],
  ],
]

const SEGMENT_ROWS: readonly Row[] = [
  ['that is no object', [], null, [['', 'type']]],
  ['that is a list', [], [], [['', 'type']]],
  ['with a condition of no form', ['condition'], {}, [['condition', 'type']]],
  [
    'with a condition that is false',
    ['condition'],
    false,
    [
      ['condition', 'type'],
      ['condition', 'type'],
    ],
  ],
  [
    'with a bad operand',
    ['condition'],
    { not: { ...PRO, values: [] } },
    [['condition.not.values', 'operand']],
  ],
  ['with conditions 17 deep', ['condition'], nested(17), [[`condition${'.not'.repeat(16)}`, 'limit']]],
  ['with included that are no list', ['included'], 'ann', [['included', 'type']]],
  ['with an included unit that is empty', ['included', 0], '', [['included[0]', 'type']]],
  ['with an excluded unit that is a number', ['excluded', 1], 1, [['excluded[1]', 'type']]],
  ['with 100,001 included', ['included'], times(100_001, String), [['included', 'limit']]],
  ['with 100,001 excluded', ['excluded'], times(100_001, String), [['excluded', 'limit']]],
]

describe('a flag', () => {
  it('comes out of JSON as it went in', () => {
    const parsed = parseFlag('flag', JSON.parse(JSON.stringify(FULL)), JSON.parse(JSON.stringify(ROLLOUT)))
    expect(parsed).toEqual({ ok: true, value: { key: 'flag', ...FULL, rollout: ROLLOUT } })
  })

  it('is filled up where something may be left out', () => {
    const short = {
      type: 'boolean',
      variants: [{ name: 'on', value: true }],
      clientVisible: false,
      enabled: true,
      fallthrough: { split: { weights: [{ variant: 'on', weight: 1 }], seed: 's' } },
    }
    const rollout = { id: 'r', variant: 'on', seed: 's', stage: 0 }
    const expected: Flag = {
      key: 'flag',
      type: 'boolean',
      variants: [{ name: 'on', value: true }],
      metadata: {},
      clientVisible: false,
      enabled: true,
      offVariant: null,
      prerequisites: [],
      targets: [],
      rules: [],
      fallthrough: { split: { weights: [{ variant: 'on', weight: 1 }], by: 'targetingKey', seed: 's' } },
      rollout: {
        id: 'r',
        variant: 'on',
        seed: 's',
        by: 'targetingKey',
        stage: 0,
        grants: [],
        measured: false,
      },
    }
    expect(parseFlag('flag', short, rollout)).toEqual({ ok: true, value: expected })
  })

  it.each(FLAG_ROWS)('with %s is refused where the fault is', (_name, path, value, problems) => {
    expect(problemsOf(parseFlag('flag', withValue(FULL, path, value), ROLLOUT))).toEqual(problems)
  })

  it('may lack a rollout, but not have one that cannot be read', () => {
    expect(parseFlag('flag', FULL, null)).toEqual({
      ok: true,
      value: { key: 'flag', ...FULL, rollout: null },
    })
    expect(problemsOf(parseFlag('flag', FULL, undefined))[0]).toEqual(['rollout', 'type'])
  })

  it.each(ROLLOUT_ROWS)('with a rollout %s is refused where the fault is', (_name, path, value, problems) => {
    expect(problemsOf(parseFlag('flag', FULL, withValue(ROLLOUT, path, value)))).toEqual(problems)
  })

  it.each([[null], [[]], ['x'], [1], [undefined]])('that is %j is refused', (value) => {
    expect(problemsOf(parseFlag('flag', value, null))[0]).toEqual(['', 'type'])
  })

  it('names all of its problems at once', () => {
    const flag = withValue(withValue(withValue(FULL, ['enabled'], 1), ['offVariant'], 'd'), WHEN, {})
    expect(problemsOf(parseFlag('flag', flag, null))).toEqual([
      ['rules[0].when', 'type'],
      ['enabled', 'type'],
      ['offVariant', 'unknown_variant'],
    ])
  })

  it('says what its problem is', () => {
    const parsed = parseFlag('flag', withValue(FULL, [...WHEN, 'op'], 'between'), null)
    expect(parsed).toEqual({
      ok: false,
      error: [
        {
          path: 'rules[0].when.values',
          rule: 'operand',
          message: '"between" needs two numbers, the lower first',
        },
      ],
    })
  })
})

describe('limits', () => {
  it.each<readonly [string, Path, unknown]>([
    ['64 variants', ['variants'], manyVariants(64)],
    ['a variant name of 200 characters', ['variants', 3], { name: 'x'.repeat(200), value: '' }],
    ['100 prerequisites', ['prerequisites'], times(100, () => ({ flag: 'x', variants: ['on'] }))],
    ['a prerequisite whose flag has 200 characters', ['prerequisites', 0, 'flag'], 'x'.repeat(200)],
    ['a prerequisite with 64 variants', ['prerequisites', 0, 'variants'], times(64, String)],
    ['64 targets', ['targets'], times(64, () => ({ variant: 'a', units: [] }))],
    ['a target of 10,000 units', ['targets', 0, 'units'], times(10_000, String)],
    ['1,000 rules', ['rules'], times(1_000, (i) => rule(`r${i}`))],
    ['an id of 100 characters', [...R1, 'id'], 'x'.repeat(100)],
    ['a description of 2,000 characters', [...R1, 'description'], 'x'.repeat(2_000)],
    ['conditions 16 deep', WHEN, nested(16)],
    ['an any of 1,000 conditions', WHEN, { any: times(1_000, () => PRO) }],
    ['10,000 values', WHEN, { ...PRO, op: 'in', values: times(10_000, String) }],
    ['an attribute of 500 characters', [...WHEN, 'attribute'], 'x'.repeat(500)],
    ['a segment of 200 characters', WHEN, { segment: 'x'.repeat(200) }],
    ['a weight of a million', [...SPLIT, 'weights', 0, 'weight'], 1_000_000],
    ['a seed of 200 characters', [...SPLIT, 'seed'], 'x'.repeat(200)],
    ['a by of 500 characters', [...SPLIT, 'by'], 'x'.repeat(500)],
  ])('let through %s', (_name, path, value) => {
    expect(problemsOf(parseFlag('flag', withValue(FULL, path, value), ROLLOUT))).toEqual([])
  })

  it.each<readonly [string, Path, unknown]>([
    ['50 grants', ['grants'], times(50, () => ({ audience: null, percentage: 1 }))],
    ['a percentage of 0', ['grants', 0, 'percentage'], 0],
    ['a percentage of 100', ['grants', 0, 'percentage'], 100],
    ['an id of 100 characters', ['id'], 'x'.repeat(100)],
  ])('let through a rollout with %s', (_name, path, value) => {
    expect(problemsOf(parseFlag('flag', FULL, withValue(ROLLOUT, path, value)))).toEqual([])
  })

  it('let through 64 weights, one for each variant', () => {
    const variants = times(64, (i) => ({ name: `v${i}`, value: i }))
    const flag = {
      type: 'number',
      variants,
      clientVisible: false,
      enabled: true,
      fallthrough: { split: { weights: manyWeights(64), seed: 's' } },
    }
    expect(problemsOf(parseFlag('flag', flag, null))).toEqual([])
  })

  it('let through a segment of 100,000 units', () => {
    expect(problemsOf(parseSegment('s', { included: times(100_000, String) }))).toEqual([])
  })
})

describe('a value of a variant', () => {
  it.each([
    ['boolean', [true, false], ['true', 0, 1, null, {}, []]],
    ['string', ['', 'x', '🚀'], [true, 0, null, {}, ['x']]],
    ['number', [0, -1.5, 1e300], ['1', true, null, Number.NaN, Number.POSITIVE_INFINITY, {}]],
    ['object', [{}, { a: [1, { b: null }] }], [null, [], 'x', 1, true]],
  ])('of type %s', (type, good, bad) => {
    const parse = (value: unknown) => {
      const variants = [{ name: 'v', value }]
      return problemsOf(parseFlagDefinition('flag', { type, variants, clientVisible: true }))
    }
    expect(good.map(parse)).toEqual(good.map(() => []))
    expect(bad.map(parse)).toEqual(bad.map(() => [['variants[0].value', 'type']]))
  })
})

describe('a key', () => {
  it.each([
    'a',
    'new-checkout',
    'a/b',
    '/',
    '100%',
    '%2F',
    'a b',
    '...',
    '.hidden',
    'a?b#c',
    '"quoted"',
    '\\',
    '__proto__',
    'constructor',
    'größe',
    '日本語',
    '🚀',
    '👩‍👩‍👧',
    '🚀'.repeat(100),
    'x'.repeat(200),
  ])('may be %j', (key) => {
    expect(isFlagKey(key)).toBe(true)
    expect(problemsOf(parseFlag(key, FULL, null))).toEqual([])
  })

  it.each([
    '',
    '.',
    '..',
    ' ',
    ' a',
    'a ',
    '\u00a0a',
    'a\u2003',
    '\ufeffa',
    'a\nb',
    'a\tb',
    'a\u0000',
    'a\u007fb',
    'a\u0085b',
    'a\u2028b',
    'a\u2029b',
    '\ud83d',
    'a\udc00b',
    'x'.repeat(201),
    `${'🚀'.repeat(100)}x`,
  ])('may not be %j', (key) => {
    expect(isFlagKey(key)).toBe(false)
    expect(problemsOf(parseFlag(key, FULL, null))).toEqual([['key', 'type']])
  })
})

describe('a segment', () => {
  it('comes out of JSON as it went in', () => {
    expect(parseSegment('s', SEGMENT)).toEqual({ ok: true, value: { key: 's', ...SEGMENT } })
  })

  it('may leave everything out', () => {
    const value = { key: 's', condition: null, included: [], excluded: [] }
    expect(parseSegment('s', {})).toEqual({ ok: true, value })
  })

  it.each(SEGMENT_ROWS)('%s is refused where the fault is', (_name, path, value, problems) => {
    expect(problemsOf(parseSegment('s', withValue(SEGMENT, path, value)))).toEqual(problems)
  })
})

describe('a flag in parts', () => {
  const { type, variants, metadata, clientVisible, ...configuration } = FULL
  const definition = { key: 'flag', type: 'string', variants, metadata, clientVisible } as const

  it('has a definition', () => {
    const parsed = parseFlagDefinition('flag', { type, variants, metadata, clientVisible })
    expect(parsed).toEqual({ ok: true, value: definition })
  })

  it('has a configuration, whose variants are those of the definition', () => {
    expect(parseFlagConfiguration(configuration, definition)).toEqual({ ok: true, value: configuration })
    const fewer = { ...definition, variants: variants.slice(0, 2) }
    expect(problemsOf(parseFlagConfiguration(configuration, fewer))).toEqual([
      ['fallthrough.split.weights[1].variant', 'unknown_variant'],
    ])
  })

  it('has a rollout, whose variant is one of the definition', () => {
    expect(parseRollout(ROLLOUT, definition)).toEqual({ ok: true, value: ROLLOUT })
    const fewer = { ...definition, variants: variants.slice(0, 2) }
    expect(problemsOf(parseRollout(ROLLOUT, fewer))).toEqual([['rollout.variant', 'unknown_variant']])
  })

  it.each([
    ['definition', parseFlagDefinition('flag', null)],
    ['configuration', parseFlagConfiguration(null, definition)],
    ['rollout', parseRollout(null, definition)],
  ])('is refused as a whole where its %s is no object', (_part, parsed) => {
    expect(problemsOf(parsed)[0]?.[1]).toBe('type')
    expect(problemsOf(parsed)[0]?.[0]).toMatch(/^(rollout)?$/)
  })
})

describe('names of Object.prototype', () => {
  it('are variants, metadata and attributes like any other', () => {
    const text = `{"type":"string","variants":[{"name":"__proto__","value":"x"},{"name":"toString","value":"y"}],
      "metadata":{"__proto__":"m","constructor":1},"clientVisible":true,"enabled":true,"offVariant":"toString",
      "rules":[{"id":"r","when":{"attribute":"__proto__","op":"exists"},"serve":{"variant":"__proto__"}}],
      "fallthrough":{"variant":"toString"}}`
    const snapshot = makeSnapshotOf(JSON.parse(text))
    const [met, missed] = [JSON.parse('{"__proto__":1}'), {}].map((context) =>
      evaluateFlag(snapshot, context),
    )
    const metadata: unknown = JSON.parse('{"__proto__":"m","constructor":1}')
    expect(JSON.stringify([met, missed])).toBe(
      JSON.stringify([
        { flagKey: 'flag', reason: 'TARGETING_MATCH', variant: '__proto__', value: 'x', metadata },
        { flagKey: 'flag', reason: 'DEFAULT', variant: 'toString', value: 'y', metadata },
      ]),
    )
  })

  it('are no variants unless the flag has them', () => {
    expect(problemsOf(parseFlag('flag', withValue(FULL, ['offVariant'], 'constructor'), null))).toEqual([
      ['offVariant', 'unknown_variant'],
    ])
  })

  it('stand for no field that a document leaves out', () => {
    const text = `{"__proto__":${JSON.stringify(FULL)}}`
    expect(problemsOf(parseFlag('flag', JSON.parse(text), null))).toEqual([
      ['type', 'type'],
      ['variants', 'limit'],
      ['clientVisible', 'type'],
      ['enabled', 'type'],
      ['fallthrough', 'type'],
      ['fallthrough', 'type'],
    ])
  })
})

describe('whatever comes in', () => {
  const anything = fc.oneof(
    fc.jsonValue(),
    fc.json().map((text): unknown => JSON.parse(text)),
  )

  it('is parsed or refused with a path and a message, and never thrown back', () => {
    fc.assert(
      fc.property(fc.string(), anything, anything, (key, value, rollout) => {
        for (const parsed of [parseFlag(key, value, rollout), parseSegment(key, value)]) {
          const problems = parsed.ok ? [] : parsed.error
          expect(parsed.ok).toBe(problems.length === 0)
          expect(problems.filter(({ message }) => message === '')).toEqual([])
        }
      }),
      { seed: 31, numRuns: 2_000 },
    )
  })

  it('of valid flags is parsed as it is', () => {
    fc.assert(
      fc.property(contents, ({ flags, segments, rollouts }) => {
        for (const [key, flag] of Object.entries(flags)) {
          const rollout = rollouts[key] ?? null
          expect(parseFlag(key, flag, rollout)).toEqual({ ok: true, value: { key, ...flag, rollout } })
        }
        for (const [key, segment] of Object.entries(segments)) {
          expect(parseSegment(key, segment)).toEqual({ ok: true, value: { key, ...segment } })
        }
      }),
      { seed: 32, numRuns: 500 },
    )
  })

  it('in one place of a flag is refused there or makes a flag that answers', () => {
    const paths = pathsOf(FULL)
    expect(paths.length).toBeGreaterThan(80)
    fc.assert(
      fc.property(fc.constantFrom(...paths), anything, fc.option(fc.string()), (path, value, unit) => {
        const flag = withValue(FULL, path, value)
        const parsed = parseFlag('flag', flag, ROLLOUT)
        const snapshot = makeSnapshotOf(flag, ROLLOUT)
        const context = { targetingKey: unit, plan: unit, company: { id: unit } }
        const evaluation = evaluateFlag(snapshot, context)
        expect(explainFlag(snapshot, context).evaluation).toEqual(evaluation)
        if (!parsed.ok) expect(evaluation).toHaveProperty('errorCode', 'PARSE_ERROR')
        else expect(evaluation).not.toHaveProperty('errorCode', 'PARSE_ERROR')
      }),
      { seed: 33, numRuns: 3_000 },
    )
  })
})

/** Every place in a document. */
function pathsOf(document: unknown, path: Path = []): Path[] {
  if (Array.isArray(document)) {
    return [path, ...document.flatMap((entry, index) => pathsOf(entry, [...path, index]))]
  }
  if (!isJsonObject(document)) return [path]
  return [path, ...Object.entries(document).flatMap(([name, entry]) => pathsOf(entry, [...path, name]))]
}
