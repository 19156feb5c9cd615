import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createPatternExamples } from '../../src/catalog/pattern-examples.ts'
import { createRandom } from '../../src/catalog/random.ts'
import { openSurroundings } from '../../src/catalog/surroundings.ts'
import { createSyntheticContexts, type SyntheticOptions } from '../../src/catalog/synthetic-contexts.ts'
import { compileCondition } from '../../src/engine/compile-condition.ts'
import type { EvaluationContext } from '../../src/engine/context.ts'
import type { AttributeCondition, Condition, Flag, Operator } from '../../src/engine/flag.ts'
import type { Json } from '../../src/engine/json.ts'
import {
  makeFlag,
  makeGrant,
  makeRollout,
  makeSegment,
  makeSplit,
  NOW,
  type SegmentEntity,
} from '../support/engine.ts'

type Others = {
  readonly segments?: { [key: string]: SegmentEntity }
  readonly flags?: { [key: string]: object }
}

function open({ segments = {}, flags = {} }: Others = {}) {
  const section = (entities: object) =>
    new Map(Object.entries(entities).map(([key, entity]) => [key, JSON.stringify(entity)]))
  return openSurroundings({ segments: section(segments), flags: section(flags) })
}

function makeFlagOf(overrides: Partial<Flag>): Flag {
  return { ...makeFlag(), key: 'flag', rollout: null, ...overrides }
}

function makeRules(conditions: readonly Condition[]): Flag['rules'] {
  return conditions.map((when, index) => ({ id: `r${index}`, when, serve: { variant: 'on' } }))
}

function create(flag: Partial<Flag>, others?: Others, options: Partial<SyntheticOptions> = {}) {
  const surroundings = open(others)
  const flags = [makeFlagOf(flag)]
  return createSyntheticContexts({ flags, surroundings, size: 2_000, now: NOW, seed: 1, ...options })
}

/** For how many contexts a condition holds. */
function countMet(condition: Condition, contexts: readonly EvaluationContext[], others?: Others): number {
  const matches = compileCondition(condition, open(others))
  return contexts.filter((context) => matches(context, NOW)).length
}

const number = fc.oneof(fc.integer({ min: -1e6, max: 1e6 }), fc.double({ min: -1e9, max: 1e9, noNaN: true }))
const text = fc.string({ minLength: 1, maxLength: 12 })
const scalar = fc.oneof(number, text, fc.boolean())
const digits = fc.nat(20)
const version = fc.tuple(digits, digits, digits).map((parts) => parts.join('.'))
const instant = fc.oneof(
  fc.constantFrom('-30d', '+2h', '-1s', '+52w'),
  fc.integer({ min: 0, max: 4e12 }),
  fc.integer({ min: 0, max: 4e12 }).map((at) => new Date(at).toISOString()),
)
const byte = fc.nat(255)

/** Values for each operator that something can satisfy. */
const VALUES: { readonly [operator in Operator]: fc.Arbitrary<readonly Json[]> } = {
  equals: scalar.map((value) => [value]),
  in: fc.array(scalar, { minLength: 1, maxLength: 40 }),
  contains: fc.array(text, { minLength: 1, maxLength: 3 }),
  'starts-with': fc.array(text, { minLength: 1, maxLength: 3 }),
  'ends-with': fc.array(text, { minLength: 1, maxLength: 3 }),
  matches: fc
    .constantFrom(
      'a|b|c',
      '^pro-\\d{3}$',
      '^[^a-z@\\s]+$',
      '(?i)^Acme (?:Inc|Ltd)\\.?$',
      '^(?P<user>\\w+)@(?:acme|corp)\\.(com|io)$',
      '\\bword\\b',
      '^[[:upper:]]{2,4}-\\x41\\x{1F600}$',
      '^\\Qa.b|c\\E\\pL+$',
      '^(a(b(c|d)*)+)?e{2}$',
      '^v[0-9]+(\\.[0-9]+){2}-(rc|beta)\\.[1-9]\\d*$',
      '.*ends$',
      '',
    )
    .map((pattern) => [pattern]),
  exists: fc.constant([]),
  less: number.map((value) => [value]),
  'less-or-equal': number.map((value) => [value]),
  greater: number.map((value) => [value]),
  'greater-or-equal': number.map((value) => [value]),
  between: fc.tuple(number, number).map(([a, b]) => [Math.min(a, b), Math.max(a, b)]),
  semver: fc.oneof(
    fc.tuple(fc.constantFrom('', '=', '<=', '>', '>=', '^', '~'), version).map(([sign, v]) => [sign + v]),
    fc.tuple(version, digits).map(([v, more]) => [`>=${v} <${Number(v.split('.')[0]) + 1 + more}`]),
    fc.constantFrom(['1.2.x'], ['1.2 - 1.4'], ['<0.0.1'], ['>1.2.3-alpha <1.2.3'], ['*'], ['2 || >4.5 <4.6']),
  ),
  before: instant.map((value) => [value]),
  after: instant.map((value) => [value]),
  cidr: fc.oneof(
    fc.tuple(byte, byte, byte, byte, fc.nat(32)).map(([a, b, c, d, bits]) => [`${a}.${b}.${c}.${d}/${bits}`]),
    fc.constantFrom(['2001:db8::/32'], ['::ffff:10.0.0.0/104'], ['10.1.2.3']),
  ),
  'contains-any': fc.array(scalar, { minLength: 1, maxLength: 30 }),
  'contains-all': fc.array(scalar, { minLength: 1, maxLength: 30 }),
}

const OPERATORS = Object.entries(VALUES)

describe('a condition that stands alone', () => {
  it.each(OPERATORS)('on "%s" is met by some contexts and not by others', (op, values) => {
    fc.assert(
      fc.property(values, (values) => {
        const condition = { attribute: 'company.attribute', op: op as Operator, values }
        const contexts = create({ rules: makeRules([condition]) }, {}, { size: 60 })
        const met = countMet(condition, contexts)
        expect(met).toBeGreaterThan(15)
        expect(met).toBeLessThan(60)
      }),
    )
  })

  it.each(OPERATORS)('on "%s" is met by some contexts among many others', (op, values) => {
    fc.assert(
      fc.property(fc.array(values, { minLength: 5, maxLength: 5 }), (lists) => {
        const conditions = lists.map((values, index): Condition => {
          const condition = { attribute: `a${index % 2}`, op: op as Operator, values }
          return index === 4 ? { not: condition } : condition
        })
        const contexts = create({ rules: makeRules(conditions) }, {}, { size: 200 })
        for (const condition of conditions) expect(countMet(condition, contexts)).toBeGreaterThan(0)
      }),
      { numRuns: 20 },
    )
  })
})

const at = (op: Operator, ...values: Json[]): AttributeCondition => ({ attribute: 'x', op, values })
const PRO: Condition = { attribute: 'plan', op: 'equals', values: ['pro'] }
const IRISH: Condition = { attribute: 'country', op: 'equals', values: ['IE'] }
const ADULT: Condition = { attribute: 'age', op: 'greater', values: [17] }

describe('conditions on one attribute that must hold together', () => {
  it.each<[string, Condition[]]>([
    ['a range between whole numbers', [at('greater', 18), at('less', 18.5)]],
    ['a range without one of its values', [at('between', 1, 3), { not: at('in', 1, 2, 3) }]],
    [
      'a text with a beginning, a middle and an end',
      [at('starts-with', 'pre'), at('contains', 'mid'), at('ends-with', 'end')],
    ],
    [
      'a list with all of one and any of another',
      [at('contains-all', 'a', 'b'), at('contains-any', 'c', 'd')],
    ],
    ['a version within two ranges', [at('semver', '>=1.2.0'), at('semver', '<1.2.5')]],
    ['an instant of a fortnight', [at('after', '-30d'), at('before', '-16d')]],
    ['something that is not one value', [at('exists'), { not: at('equals', 'something') }]],
    [
      'none of two patterns',
      [{ not: at('matches', '^a') }, { not: at('matches', '^b') }, at('contains', 'z')],
    ],
  ])('are met: %s', (_, conditions) => {
    const rule = { all: conditions }
    expect(countMet(rule, create({ rules: makeRules([rule]) }))).toBeGreaterThan(200)
  })

  it('are not met when nothing can', () => {
    const rule = { all: [at('greater', 3), at('less', 2)] }
    expect(countMet(rule, create({ rules: makeRules([rule]) }))).toBe(0)
  })
})

describe('synthetic contexts', () => {
  it('meet each of many rules often, deep ones too', () => {
    const rules = Array.from(
      { length: 20 },
      (_, index): Condition => ({
        all: [
          { attribute: 'plan', op: 'equals', values: [`plan-${index}`] },
          { any: [IRISH, { not: ADULT }] },
          { attribute: `a${index}`, op: 'greater', values: [index] },
          {
            not: {
              any: [
                { attribute: 'b', op: 'exists', values: [] },
                { attribute: 'c', op: 'less', values: [index] },
              ],
            },
          },
        ],
      }),
    )
    const contexts = create({ rules: makeRules(rules) })
    for (const rule of rules) expect(countMet(rule, contexts)).toBeGreaterThan(40)
  })

  it.each<[string, { [key: string]: SegmentEntity }, Condition]>([
    [
      'a segment by its condition',
      { s: makeSegment({ condition: PRO, excluded: ['eve'] }) },
      { segment: 's' },
    ],
    ['a segment by its included units', { s: makeSegment({ included: ['ann'] }) }, { segment: 's' }],
    [
      'nobody of a segment',
      { s: makeSegment({ condition: { not: PRO }, included: ['ann'] }) },
      { not: { segment: 's' } },
    ],
    [
      'a segment of segments',
      {
        s: makeSegment({ condition: { all: [{ segment: 't' }, IRISH] } }),
        t: makeSegment({ condition: ADULT }),
      },
      { segment: 's' },
    ],
    [
      'those of a segment who are not excluded',
      {
        s: makeSegment({
          condition: { attribute: 'targetingKey', op: 'in', values: ['ann', 'bob', 'cid', 'dan'] },
          excluded: ['ann', 'bob', 'cid'],
        }),
      },
      { segment: 's' },
    ],
  ])('meet %s', (_, segments, when) => {
    const contexts = create({ rules: makeRules([when]) }, { segments })
    expect(countMet(when, contexts, { segments })).toBeGreaterThan(500)
  })

  it('are always listed where a segment has only a list', () => {
    const segments = { s: makeSegment({ included: ['ann'] }) }
    const rule: Condition = { all: [{ segment: 's' }, PRO] }
    const contexts = create({ rules: makeRules([rule]) }, { segments }, { size: 41 })
    expect(countMet(rule, contexts, { segments })).toBeGreaterThanOrEqual(10 + 4)
  })

  it('are made though segments lead back to themselves', () => {
    const segments = {
      s: makeSegment({ condition: { all: [{ segment: 't' }, IRISH] } }),
      t: makeSegment({ condition: { all: [{ segment: 's' }, ADULT] } }),
    }
    const contexts = create({ rules: makeRules([{ segment: 's' }]) }, { segments })
    expect(countMet({ all: [IRISH, ADULT] }, contexts)).toBeGreaterThan(200)
  })

  it('meet units of targets and segments one by one', () => {
    const targets = [{ variant: 'on', units: ['ann', 'bob'] }]
    const segments = { s: makeSegment({ included: ['inc'], excluded: ['exc'], condition: PRO }) }
    const contexts = create({ targets, rules: makeRules([{ segment: 's' }]) }, { segments })
    const keys = new Set(contexts.map(({ targetingKey }) => targetingKey))
    expect(['ann', 'bob', 'inc', 'exc'].filter((unit) => !keys.has(unit))).toEqual([])
  })

  it('meet the audiences of grants, and the rules of prerequisites together with our own', () => {
    const flags = {
      first: makeFlag({ prerequisites: [{ flag: 'second', variants: ['on'] }], rules: makeRules([ADULT]) }),
      second: makeFlag({ rules: makeRules([IRISH]) }),
    }
    const rollout = makeRollout({ grants: [makeGrant({ audience: PRO })] })
    const prerequisites = [{ flag: 'first', variants: ['on'] }]
    const mine: Condition = { attribute: 'beta', op: 'equals', values: [true] }
    const contexts = create({ prerequisites, rules: makeRules([mine]), rollout }, { flags })
    for (const condition of [PRO, { all: [IRISH, ADULT] }, { all: [IRISH, ADULT, mine] }]) {
      expect(countMet(condition, contexts)).toBeGreaterThan(200)
    }
  })

  it('all have a unit of their own, for each attribute that is split by', () => {
    const contexts = create({
      rules: makeRules([PRO, { not: { attribute: 'device', op: 'starts-with', values: ['x'] } }]).map(
        (rule) => ({ ...rule, serve: makeSplit({ on: 1 }, { by: 'company.id' }) }),
      ),
      rollout: makeRollout({ by: 'device' }),
    })
    for (const by of ['targetingKey', 'company.id', 'device']) {
      const units = new Set(contexts.map((context) => context[by]))
      expect(units.has(undefined)).toBe(false)
      expect(units.size).toBeGreaterThan(1_400)
    }
  })

  it('are as many as were asked for, for conditions from all over though there be more', () => {
    const rules = Array.from({ length: 300 }, (_, index) => at('equals', 10 * index))
    const contexts = create({ rules: makeRules(rules) }, {}, { size: 100 })
    expect(contexts).toHaveLength(100)
    const met = [0, 100, 200].map((start) => countMet({ any: rules.slice(start, start + 100) }, contexts))
    expect(Math.min(...met)).toBeGreaterThan(20)
  })

  it('are the same for the same seed, and others for another', () => {
    const flag = { rules: makeRules([PRO, { not: ADULT }]) }
    expect(create(flag)).toEqual(create(flag))
    expect(create(flag)).not.toEqual(create(flag, {}, { seed: 2 }))
  })

  it('may be of attributes that are named like what every object has', () => {
    const rule: Condition = {
      all: [
        { attribute: '__proto__', op: 'equals', values: ['x'] },
        { attribute: 'constructor.name', op: 'equals', values: ['y'] },
      ],
    }
    expect(countMet(rule, create({ rules: makeRules([rule]) }))).toBeGreaterThan(200)
  })
})

describe('texts for a pattern', () => {
  it.each([
    ['^(red|green)$', ['green', 'red']],
    ['^red|green$', ['green', 'red']],
    ['^ab?$', ['a', 'ab']],
    ['^x{2,3}$', ['xx', 'xxx']],
    ['^[b-c]\\.(?:d)$', ['b.d', 'c.d']],
  ])('%s are all that it has', (pattern, texts) => {
    expect(createPatternExamples(pattern, 50, createRandom(1)).sort()).toEqual(texts)
  })
})
