import { describe, expect, it } from 'vitest'
import { parseFlag, parseSegment } from '../../src/engine/parse-flag.ts'
import {
  FALL,
  FLAG,
  makeRule,
  manyForeignWeights,
  manyVariants,
  manyWeights,
  nested,
  type Path,
  PRO,
  problemsOf,
  R1,
  ROLLOUT,
  SEGMENT,
  SPLIT,
  times,
  WHEN,
  withValue,
} from '../support/engine-documents.ts'

type Row = readonly [name: string, path: Path, value: unknown, problems: unknown]

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
  ['1,001 rules', ['rules'], times(1_001, (i) => makeRule(`r${i}`)), [['rules', 'limit']]],
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
    '1,001 weights of another system',
    [...FALL, 'weights'],
    manyForeignWeights(1_001),
    [
      ['fallthrough.split.weights', 'limit'],
      ['fallthrough.split.weights', 'limit'],
    ],
  ],
  [
    'a weight of another system above 2^31 - 1',
    [...FALL, 'weights', 0, 'weight'],
    2 ** 31,
    [['fallthrough.split.weights[0].weight', 'type']],
  ],
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
    'with a percentage between two steps',
    ['grants', 0, 'percentage'],
    33.3333,
    [['rollout.grants[0].percentage', 'type']],
  ],
  [
    'with a percentage below the first step',
    ['grants', 0, 'percentage'],
    0.0005,
    [['rollout.grants[0].percentage', 'type']],
  ],
  [
    'with a percentage that adding up has left beside a step',
    ['grants', 0, 'percentage'],
    0.1 + 0.2,
    [['rollout.grants[0].percentage', 'type']],
  ],
  ['with a reversed that is a text', ['reversed'], 'yes', [['rollout.reversed', 'type']]],
  ['with a reversed that is null', ['reversed'], null, [['rollout.reversed', 'type']]],
  ['with a measured that is a text', ['measured'], 'yes', [['rollout.measured', 'type']]],
  ['with a measured that is a number', ['measured'], 1, [['rollout.measured', 'type']]],
  ['with a measured that is null', ['measured'], null, [['rollout.measured', 'type']]],
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
  it.each(FLAG_ROWS)('with %s is refused where the fault is', (_name, path, value, problems) => {
    expect(problemsOf(parseFlag('flag', withValue(FLAG, path, value), ROLLOUT))).toEqual(problems)
  })

  it.each(ROLLOUT_ROWS)('with a rollout %s is refused where the fault is', (_name, path, value, problems) => {
    expect(problemsOf(parseFlag('flag', FLAG, withValue(ROLLOUT, path, value)))).toEqual(problems)
  })
})

describe('a segment', () => {
  it.each(SEGMENT_ROWS)('%s is refused where the fault is', (_name, path, value, problems) => {
    expect(problemsOf(parseSegment('s', withValue(SEGMENT, path, value)))).toEqual(problems)
  })
})
