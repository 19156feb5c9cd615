import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Difference,
  type DocumentKind,
  diffDocuments,
  type EnvironmentDocument,
  type FlagDocument,
  type MetricDocument,
  type SegmentDocument,
} from '../../src/catalog/diff.ts'
import type { Condition, FlagConfiguration, Rule } from '../../src/engine/flag.ts'
import { isJsonObject, type JsonObject } from '../../src/engine/json.ts'
import { makeSplit } from '../support/engine.ts'
import { conditions, flags } from '../support/engine-arbitraries.ts'

const FLAG: FlagDocument = {
  type: 'boolean',
  variants: [
    { name: 'on', value: true },
    { name: 'off', value: false },
  ],
  metadata: {},
  clientVisible: false,
  description: '',
  tags: [],
  owner: '',
  temporary: false,
}

const ON = { variant: 'on' }
const OFF = { variant: 'off' }

const CONFIGURATION: FlagConfiguration = {
  enabled: true,
  offVariant: null,
  prerequisites: [],
  targets: [],
  rules: [],
  fallthrough: OFF,
}

const SEGMENT: SegmentDocument = { description: '', condition: null, included: [], excluded: [] }

const ENVIRONMENT: EnvironmentDocument = {
  name: 'Production',
  refreshSeconds: 30,
  protected: false,
  keepContexts: false,
  contextKeys: [],
  shards: 2,
}

const METRIC: MetricDocument = {
  event: 'error',
  kind: 'error',
  denominator: null,
  unit: 'user',
  goodDirection: 'down',
  cap: null,
  preExposure: false,
  description: '',
  tags: [],
  owner: '',
}

const BASE: { readonly [kind in DocumentKind]: JsonObject } = {
  flag: FLAG,
  configuration: CONFIGURATION,
  segment: SEGMENT,
  environment: ENVIRONMENT,
  metric: METRIC,
}

const ENTERPRISE: Condition = { attribute: 'company.plan', op: 'equals', values: ['enterprise'] }
const STAFF: Condition = { segment: 'staff' }

const makeRule = (id: string, overrides: Partial<Rule> = {}): Rule => ({
  id,
  when: ENTERPRISE,
  serve: ON,
  ...overrides,
})

const numbered = (count: number, from = 1) => Array.from({ length: count }, (_, index) => `u${index + from}`)

const prerequisite = (flag: string, ...variants: string[]) => ({ flag, variants })
const target = (variant: string, ...units: string[]) => ({ variant, units })
const split = (weights: { readonly [variant: string]: number }, overrides = {}) =>
  makeSplit(weights, { seed: 's', ...overrides })

const LAUNCHDARKLY = { scheme: 'launchdarkly', key: 'k', salt: 'a' }

type Row = readonly [kind: DocumentKind, before: object, after: object, lines: readonly string[]]

/** What one field after the other is before and after, and what is said of it: path, kind, text. */
const ROWS: readonly Row[] = [
  ['flag', { type: 'boolean' }, { type: 'string' }, ['type changed: type is now "string" (was "boolean")']],
  [
    'flag',
    { variants: [{ name: 'a', value: 1 }] },
    {
      variants: [
        { name: 'b', value: { x: [1] } },
        { name: 'a', value: 2 },
      ],
    },
    [
      'variants["b"] added: variant "b" added: {"x":[1]}',
      'variants["a"].value changed: variant "a": its value is now 2 (was 1)',
    ],
  ],
  [
    'flag',
    { variants: [{ name: 'a', value: '' }] },
    { variants: [{ name: 'a', value: 'x' }] },
    ['variants["a"].value changed: variant "a": its value is now "x" (was "")'],
  ],
  [
    'flag',
    { variants: FLAG.variants },
    { variants: FLAG.variants.toReversed() },
    ['variants["off"] moved: variant "off" now comes first'],
  ],
  [
    'flag',
    { metadata: { tier: 1, legacy: false, note: '' } },
    { metadata: { note: 'x', tier: '1', team: 'a' } },
    [
      'metadata["tier"] changed: metadata "tier" is now "1" (was 1)',
      'metadata["legacy"] removed: metadata "legacy" removed (was false)',
      'metadata["note"] changed: metadata "note" is now "x" (was "")',
      'metadata["team"] added: metadata "team" is now "a"',
    ],
  ],
  [
    'flag',
    { clientVisible: false },
    { clientVisible: true },
    ['clientVisible changed: client keys may see it now'],
  ],
  [
    'flag',
    { clientVisible: true },
    { clientVisible: false },
    ['clientVisible changed: client keys may no longer see it'],
  ],
  [
    'flag',
    { description: '', owner: 'ann', tags: ['a', 'b'], temporary: false },
    { description: 'New', owner: '', tags: ['c', 'b', 'd'], temporary: true },
    [
      'description added: description is now "New"',
      'tags added: 2 tags added: c, d',
      'tags removed: tag removed: a',
      'owner removed: owner removed (was "ann")',
      'temporary changed: temporary now',
    ],
  ],
  ['flag', { temporary: true }, { temporary: false }, ['temporary changed: permanent now']],
  ['configuration', { enabled: false }, { enabled: true }, ['enabled changed: switched on']],
  ['configuration', { enabled: true }, { enabled: false }, ['enabled changed: switched off']],
  [
    'configuration',
    { offVariant: null },
    { offVariant: 'off' },
    ['offVariant added: off variant is now "off"'],
  ],
  [
    'configuration',
    { offVariant: 'off' },
    { offVariant: null },
    ['offVariant removed: off variant removed (was "off")'],
  ],
  [
    'configuration',
    { prerequisites: [prerequisite('a', 'on'), prerequisite('b', 'on', 'off')] },
    {
      prerequisites: [prerequisite('d', 'x'), prerequisite('c', 'x', 'y'), prerequisite('b', 'off', 'beta')],
    },
    [
      'prerequisites["d"] added: prerequisite "d" added: it must serve "x"',
      'prerequisites["c"] added: prerequisite "c" added: it must serve one of "x", "y"',
      'prerequisites["b"].variants added: prerequisite "b": beta will do too',
      'prerequisites["b"].variants removed: prerequisite "b": on will no longer do',
      'prerequisites["a"] removed: prerequisite "a" removed',
    ],
  ],
  [
    'configuration',
    { prerequisites: [prerequisite('a', 'on'), prerequisite('b', 'on')] },
    { prerequisites: [prerequisite('b', 'on'), prerequisite('a', 'on')] },
    ['prerequisites["b"] moved: prerequisite "b" now comes first'],
  ],
  [
    'configuration',
    { prerequisites: [prerequisite('a', 'on'), prerequisite('a', 'on', 'off')] },
    { prerequisites: [prerequisite('a', 'on')] },
    ['prerequisites["a"] removed: prerequisite "a" removed'],
  ],
  [
    'configuration',
    { targets: [target('on', 'u0', 'u9')] },
    { targets: [target('on', 'u1', 'u9', 'u2', 'u3')] },
    [
      'targets["on"].units added: 3 units added to "on": u1, u2, u3',
      'targets["on"].units removed: 1 unit removed from "on": u0',
    ],
  ],
  [
    'configuration',
    { targets: [target('on', 'u1'), target('off')] },
    { targets: [target('beta', ...numbered(12), 'u1'), target('gamma')] },
    [
      'targets["beta"] added: 12 units added to "beta": u1, u2, u3, u4, u5, u6, u7, u8, u9, u10 and 2 more',
      'targets["gamma"] added: target "gamma" added, without units',
      'targets["on"] removed: 1 unit removed from "on": u1',
      'targets["off"] removed: target "off" removed, without units',
    ],
  ],
  [
    'configuration',
    { targets: [target('on', 'u1'), target('off', 'u1')] },
    { targets: [target('off', 'u1'), target('on', 'u1')] },
    ['targets["off"] moved: target "off" now comes first'],
  ],
  [
    'configuration',
    { rules: [] },
    { rules: [makeRule('beta')] },
    ['rules["beta"] added: rule "beta" added: serves "on" where company.plan equals "enterprise"'],
  ],
  [
    'configuration',
    { rules: [makeRule('beta')] },
    { rules: [] },
    ['rules["beta"] removed: rule "beta" removed'],
  ],
  [
    'configuration',
    { rules: [makeRule('beta', { serve: OFF })] },
    { rules: [makeRule('beta', { description: 'Ours', when: STAFF })] },
    [
      'rules["beta"].description added: rule "beta": its description is now "Ours"',
      'rules["beta"].when changed: rule "beta": its condition is now in segment "staff" (was company.plan equals "enterprise")',
      'rules["beta"].serve changed: rule "beta": now serves "on" (was "off")',
    ],
  ],
  [
    'configuration',
    { rules: [makeRule('a'), makeRule('b'), makeRule('c')] },
    {
      rules: [
        makeRule('new', { serve: split({ on: 1, off: 3 }) }),
        makeRule('b'),
        makeRule('c'),
        makeRule('a'),
      ],
    },
    [
      'rules["new"] added: rule "new" added: splits on 25 %, off 75 % where company.plan equals "enterprise"',
      'rules["a"] moved: rule "a" now comes right after "c"',
    ],
  ],
  [
    'configuration',
    { fallthrough: OFF },
    { fallthrough: split({ on: 1, off: 2 }, { by: 'company.id' }) },
    ['fallthrough changed: fallthrough: now splits on 33.333 %, off 66.667 % by company.id (was "off")'],
  ],
  [
    'configuration',
    { fallthrough: split({ on: 50, off: 50 }) },
    { fallthrough: ON },
    ['fallthrough changed: fallthrough: now serves "on" (was on 50 %, off 50 %)'],
  ],
  [
    'configuration',
    { fallthrough: split({ on: 50, off: 50 }) },
    { fallthrough: split({ on: 60, off: 40 }) },
    ['fallthrough.split.weights changed: fallthrough: now splits on 60 %, off 40 % (was on 50 %, off 50 %)'],
  ],
  [
    'configuration',
    { fallthrough: split({ on: 1, off: 1 }) },
    { fallthrough: split({ off: 50, on: 50 }) },
    [
      'fallthrough.split.weights changed: fallthrough: now splits off 50 %, on 50 % (was on 50 %, off 50 %)',
      'fallthrough.split.weights moved: fallthrough: the order of its split is now off, on (was on, off), so units change variants',
    ],
  ],
  [
    'configuration',
    { fallthrough: split({ on: 1, off: 1 }) },
    { fallthrough: split({ on: 50, off: 50 }) },
    [
      'fallthrough.split.weights changed: fallthrough: the weights of its split are now on 50, off 50 (was on 1, off 1)',
    ],
  ],
  [
    'configuration',
    { fallthrough: split({ on: 1, off: 1 }, { seed: 'a', by: 'targetingKey' }) },
    { fallthrough: split({ on: 1, off: 1 }, { seed: 'b', by: 'company.id' }) },
    [
      'fallthrough.split.by changed: fallthrough: now splits by company.id (was targetingKey), so units change variants',
      'fallthrough.split.seed changed: fallthrough: its split has a new seed, so units change variants',
    ],
  ],
  [
    'configuration',
    { fallthrough: split({ on: 1, off: 1 }, { bucketing: LAUNCHDARKLY }) },
    { fallthrough: split({ on: 1, off: 1 }) },
    [
      'fallthrough.split.bucketing changed: fallthrough: units are now assigned by the seed (was as launchdarkly does)',
    ],
  ],
  [
    'configuration',
    { fallthrough: split({ on: 1, off: 1 }, { bucketing: LAUNCHDARKLY }) },
    { fallthrough: split({ on: 1, off: 1 }, { bucketing: { ...LAUNCHDARKLY, salt: 'b' } }) },
    ['fallthrough.split.bucketing changed: fallthrough: how launchdarkly assigns units has changed'],
  ],
  [
    'configuration',
    { fallthrough: ON },
    { fallthrough: split({ on: 1 }, { bucketing: LAUNCHDARKLY }) },
    ['fallthrough changed: fallthrough: now splits on 100 %, assigned as launchdarkly does (was "on")'],
  ],
  [
    'segment',
    { condition: null, included: ['a'], excluded: ['x'], description: 'Old' },
    { condition: STAFF, included: ['b', 'c'], excluded: [], description: 'New' },
    [
      'description changed: description is now "New" (was "Old")',
      'condition added: condition is now in segment "staff"',
      'included added: 2 units now included: b, c',
      'included removed: 1 unit no longer included: a',
      'excluded removed: 1 unit no longer excluded: x',
    ],
  ],
  [
    'segment',
    { condition: STAFF },
    { condition: null },
    ['condition removed: condition removed (was in segment "staff")'],
  ],
  [
    'environment',
    { name: 'A', refreshSeconds: 30, protected: false, keepContexts: false },
    { name: 'B', refreshSeconds: 5, protected: true, keepContexts: true },
    [
      'name changed: name is now "B" (was "A")',
      'refreshSeconds changed: refresh interval is now 5 s (was 30 s)',
      'protected changed: protected now: a change needs a second person',
      'keepContexts changed: some contexts of the last day are kept now',
    ],
  ],
  [
    'environment',
    { protected: true, keepContexts: true },
    { protected: false, keepContexts: false },
    ['protected changed: no longer protected', 'keepContexts changed: contexts are no longer kept'],
  ],
  [
    'environment',
    { contextKeys: [{ kty: 'OKP', kid: 'one' }, { kty: 'EC' }] },
    { contextKeys: [{ kty: 'EC' }, { kid: 'two', kty: 'OKP' }] },
    [
      'contextKeys added: key "two", which signs contexts, was added',
      'contextKeys removed: key "one", which signs contexts, was removed',
    ],
  ],
  ['environment', { shards: 2 }, { shards: 4 }, ['shards changed: number of shards is now 4 (was 2)']],
  [
    'metric',
    { event: 'error', kind: 'error', goodDirection: 'down', cap: null, denominator: null, unit: 'user' },
    { event: 'pay', kind: 'ratio', goodDirection: 'up', cap: 9, denominator: 'visit', unit: 'company' },
    [
      'event changed: event is now "pay" (was "error")',
      'kind changed: kind is now "ratio" (was "error")',
      'denominator added: denominator is now "visit"',
      'unit changed: unit is now "company" (was "user")',
      'goodDirection changed: good direction is now "up" (was "down")',
      'cap added: cap is now 9',
    ],
  ],
  [
    'metric',
    { preExposure: false, description: 'a', tags: ['x'], owner: 'ada' },
    { preExposure: true, description: 'b', tags: [], owner: '' },
    [
      'preExposure changed: days are kept of every unit now, exposed or not',
      'description changed: description is now "b" (was "a")',
      'tags removed: tag removed: x',
      'owner removed: owner removed (was "ada")',
    ],
  ],
  [
    'environment',
    {},
    { region: 'eu', limits: { day: 1 } },
    ['region added: region is now "eu"', 'limits added: limits is now {"day":1}'],
  ],
]

const line = ({ path, kind, text }: Difference) => `${path} ${kind}: ${text}`

describe('the difference of two documents', () => {
  it.each(ROWS)('%s from %j to %j', (kind, before, after, lines) => {
    const differences = diffDocuments(kind, { ...BASE[kind], ...before }, { ...BASE[kind], ...after })
    expect(differences.map(line)).toEqual(lines)
  })

  it('says of what is new that it was created, and then what it is', () => {
    const configuration = { ...CONFIGURATION, rules: [makeRule('beta')], targets: [target('on', 'u1')] }
    expect(diffDocuments('configuration', null, configuration).map(line)).toEqual([
      ' added: created',
      'enabled changed: switched on',
      'targets["on"] added: 1 unit added to "on": u1',
      'rules["beta"] added: rule "beta" added: serves "on" where company.plan equals "enterprise"',
      'fallthrough added: fallthrough: serves "off"',
    ])
    expect(diffDocuments('flag', null, FLAG).map(line)).toEqual([
      ' added: created',
      'type added: type is now "boolean"',
      'variants["on"] added: variant "on" added: true',
      'variants["off"] added: variant "off" added: false',
    ])
    expect(diffDocuments('environment', null, ENVIRONMENT).map(line)).toEqual([
      ' added: created',
      'name added: name is now "Production"',
      'refreshSeconds added: refresh interval is now 30 s',
    ])
  })

  it('says of what is gone no more than that', () => {
    expect(diffDocuments('segment', SEGMENT, null)).toEqual([{ path: '', kind: 'removed', text: 'deleted' }])
    expect(diffDocuments('segment', null, null)).toEqual([])
  })

  it('carries what was there and what is there now', () => {
    const before = { ...CONFIGURATION, rules: [makeRule('a'), makeRule('b')], targets: [target('on', 'u1')] }
    const after = {
      ...CONFIGURATION,
      rules: [makeRule('b', { serve: OFF }), makeRule('a'), makeRule('c')],
      targets: [target('on', 'u2', 'u3')],
      offVariant: 'off',
      enabled: false,
    }
    const values = diffDocuments('configuration', before, after).map(({ text: _, ...rest }) => rest)
    expect(values).toEqual([
      { path: 'enabled', kind: 'changed', before: true, after: false },
      { path: 'offVariant', kind: 'added', after: 'off' },
      { path: 'targets["on"].units', kind: 'added', after: ['u2', 'u3'] },
      { path: 'targets["on"].units', kind: 'removed', before: ['u1'] },
      { path: 'rules["c"]', kind: 'added', after: makeRule('c') },
      { path: 'rules["b"].serve', kind: 'changed', before: ON, after: OFF },
      { path: 'rules["b"]', kind: 'moved', before: 2, after: 1 },
    ])
  })

  it.each([
    [['a', 'b', 'c', 'd', 'e'], ['e', 'a', 'b', 'c', 'd'], ['e']],
    [['a', 'b', 'c', 'd', 'e'], ['b', 'c', 'd', 'e', 'a'], ['a']],
    [
      ['a', 'b', 'c', 'd'],
      ['d', 'c', 'b', 'a'],
      ['d', 'c', 'b'],
    ],
    [
      ['a', 'b', 'c', 'd'],
      ['c', 'd', 'a', 'b'],
      ['c', 'd'],
    ],
    [['a', 'x', 'b'], ['b', 'y', 'a'], ['b']],
    [
      ['a', 'b', 'c', 'd', 'e', 'f'],
      ['a', 'e', 'c', 'd', 'b', 'f'],
      ['e', 'b'],
    ],
  ])('names the fewest rules that explain a new order: %j to %j', (before, after, moved) => {
    const rules = (ids: readonly string[]) => ({ ...CONFIGURATION, rules: ids.map((id) => makeRule(id)) })
    const differences = diffDocuments('configuration', rules(before), rules(after))
    const paths = differences.flatMap(({ kind, path }) => (kind === 'moved' ? [path] : []))
    expect(paths).toEqual(moved.map((id) => `rules["${id}"]`))
  })

  it('says that something has changed where it is too long to show', () => {
    const long = (end: string) => ({ ...FLAG, variants: [{ name: 'a', value: 'x'.repeat(200) + end }] })
    expect(diffDocuments('flag', long('1'), long('2')).map(line)).toEqual([
      'variants["a"].value changed: variant "a": its value is changed in a part too long to show',
    ])
  })

  it('cuts names that are too long', () => {
    const [added] = diffDocuments('flag', FLAG, { ...FLAG, tags: ['t'.repeat(101)] })
    expect(added?.text).toBe(`tag added: ${'t'.repeat(99)}…`)
  })

  it('takes no time to speak of for fifty thousand units, and repeats none of them', () => {
    const included = numbered(50_000)
    const after = [...numbered(50_000, 25_001).toReversed(), 'u1']
    const before = { ...SEGMENT, included, excluded: included }
    expect(diffDocuments('segment', before, { ...SEGMENT, included: after, excluded: included })).toEqual([
      {
        path: 'included',
        kind: 'added',
        text: '25000 units now included: u75000, u74999, u74998, u74997, u74996, u74995, u74994, u74993, u74992, u74991 and 24990 more',
      },
      {
        path: 'included',
        kind: 'removed',
        text: '24999 units no longer included: u2, u3, u4, u5, u6, u7, u8, u9, u10, u11 and 24989 more',
      },
    ])
  })

  it('repeats up to a thousand', () => {
    const [added] = diffDocuments('segment', SEGMENT, { ...SEGMENT, included: numbered(1_000) })
    expect(added?.after).toEqual(numbered(1_000))
    const [more] = diffDocuments('segment', SEGMENT, { ...SEGMENT, included: numbered(1_001) })
    expect(more?.after).toBeUndefined()
  })

  it('takes names of Object for fields', () => {
    const parse = (text: string): JsonObject => JSON.parse(text)
    const before = parse('{"metadata":{"toString":1},"__proto__":2}')
    const after = parse('{"metadata":{"__proto__":1},"constructor":3}')
    expect(diffDocuments('flag', before, after).map(line)).toEqual([
      'metadata["toString"] removed: metadata "toString" removed (was 1)',
      'metadata["__proto__"] added: metadata "__proto__" is now 1',
      '__proto__ removed: __proto__ removed (was 2)',
      'constructor added: constructor is now 3',
    ])
  })
})

const texts = fc.array(fc.constantFrom('', 'a', 'b', '__proto__'), { maxLength: 3 })

const flagDocuments = fc.record<FlagDocument>({
  type: fc.constantFrom('string', 'object'),
  variants: fc.uniqueArray(
    fc.record({ name: fc.constantFrom('a', 'b', 'c'), value: fc.constantFrom('', 'x', {}, { x: 1, y: 2 }) }),
    {
      maxLength: 3,
      selector: ({ name }) => name,
    },
  ),
  metadata: fc.dictionary(fc.constantFrom('a', 'b'), fc.constantFrom('', 'x', 0, 1, false)),
  clientVisible: fc.boolean(),
  description: fc.constantFrom('', 'a', 'b'),
  tags: texts,
  owner: fc.constantFrom('', 'a'),
  temporary: fc.boolean(),
})

const configurations = flags.map(
  ({ enabled, offVariant, prerequisites, targets, rules, fallthrough }): FlagConfiguration => ({
    enabled,
    offVariant,
    prerequisites,
    targets,
    rules,
    fallthrough,
  }),
)

const segmentDocuments = fc.record<SegmentDocument>({
  description: fc.constantFrom('', 'a'),
  condition: fc.option(conditions),
  included: texts,
  excluded: texts,
})

const environmentDocuments = fc.record<EnvironmentDocument>({
  name: fc.constantFrom('a', 'b'),
  refreshSeconds: fc.integer({ min: 1, max: 2 }),
  protected: fc.boolean(),
  keepContexts: fc.boolean(),
  contextKeys: fc.array(fc.constantFrom({ kid: 'a', kty: 'EC' }, { kty: 'EC', kid: 'b' }), { maxLength: 2 }),
  shards: fc.integer({ min: 1, max: 3 }),
})

const metricDocuments = fc.record<MetricDocument>({
  event: fc.constantFrom('a', 'b'),
  kind: fc.constantFrom('count', 'ratio'),
  denominator: fc.option(fc.constantFrom('a', 'b')),
  unit: fc.constantFrom('user', 'company'),
  goodDirection: fc.constantFrom('up', 'down'),
  cap: fc.option(fc.integer({ min: 1, max: 2 })),
  preExposure: fc.boolean(),
  description: fc.constantFrom('', 'a'),
  tags: texts,
  owner: fc.constantFrom('', 'a'),
})

/** Two documents, the second with most of the first one's fields, some lists and fields of them in another order. */
function pairsOf(documents: fc.Arbitrary<JsonObject>): fc.Arbitrary<readonly [JsonObject, JsonObject]> {
  return fc.tuple(documents, documents, fc.infiniteStream(fc.nat(5))).map(([before, other, choices]) => {
    const choose = () => Number(choices.next().value)
    const vary = (value: unknown, otherwise: unknown): unknown => {
      switch (choose()) {
        case 0:
          return otherwise
        case 1:
          return Array.isArray(value) ? value.toReversed() : value
        case 2:
          return Array.isArray(value) ? [...value, ...value.slice(0, 1)] : value
        case 3:
          if (Array.isArray(value)) return value.map((entry) => vary(entry, entry))
          return isJsonObject(value)
            ? Object.fromEntries(
                Object.entries(value)
                  .map(([field, entry]) => [field, vary(entry, entry)])
                  .toReversed(),
              )
            : value
        default:
          return value
      }
    }
    const entries = Object.entries(before).map(([field, value]) => [field, vary(value, other[field])])
    return [before, Object.fromEntries(entries.toReversed())] as const
  })
}

const PAIRS: readonly (readonly [DocumentKind, fc.Arbitrary<readonly [JsonObject, JsonObject]>])[] = [
  ['flag', pairsOf(flagDocuments)],
  ['configuration', pairsOf(configurations)],
  ['segment', pairsOf(segmentDocuments)],
  ['environment', pairsOf(environmentDocuments)],
  ['metric', pairsOf(metricDocuments)],
]

const SETS = ['tags', 'included', 'excluded', 'units']

/** A document in a form that is the same exactly for those that must not differ. */
function normalise(value: unknown, field = '', holder = ''): unknown {
  if (Array.isArray(value)) {
    const isSet = SETS.includes(field) || (field === 'variants' && holder === 'prerequisites')
    if (isSet) return [...new Set(value)].sort()
    const entries = value.map((entry) => normalise(entry, '', field))
    return field === 'contextKeys' ? entries.map((entry) => JSON.stringify(entry)).sort() : entries
  }
  if (!isJsonObject(value)) return value
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, normalise(value[key], key, holder)]),
  )
}

const isSame = (a: unknown, b: unknown) => JSON.stringify(normalise(a)) === JSON.stringify(normalise(b))

describe.each(PAIRS)('for every two of a %s', (kind, pairs) => {
  it('there is no difference exactly if they are equal but for the order of what has none', () => {
    let equal = 0
    fc.assert(
      fc.property(pairs, ([before, after]) => {
        const same = isSame(before, after)
        if (same) equal++
        expect(diffDocuments(kind, before, after).length === 0).toBe(same)
        expect(diffDocuments(kind, before, before)).toEqual([])
      }),
      { numRuns: 1_000 },
    )
    // Both sides of the promise were met.
    expect(equal).toBeGreaterThan(20)
    expect(equal).toBeLessThan(980)
  })

  it('every difference names its place and says something, and tells both sides apart', () => {
    fc.assert(
      fc.property(pairs, ([before, after]) => {
        const fields = Object.keys(before)
        for (const difference of diffDocuments(kind, before, after)) {
          expect(fields).toContain(/^\w+/.exec(difference.path)?.[0])
          expect(difference.text).toMatch(/\S/)
          expect(isSame(difference.before, difference.after) && difference.kind !== 'moved').toBe(false)
          expect(difference.text).not.toMatch(/undefined|NaN|\[object/)
        }
      }),
    )
  })

  it('what was added on the way there is removed on the way back', () => {
    const count = (differences: readonly Difference[], kind: Difference['kind']) =>
      differences.filter((difference) => difference.kind === kind).length
    fc.assert(
      fc.property(pairs, ([before, after]) => {
        const there = diffDocuments(kind, before, after)
        const back = diffDocuments(kind, after, before)
        expect(count(back, 'removed')).toBe(count(there, 'added'))
        expect(count(back, 'added')).toBe(count(there, 'removed'))
        expect(count(back, 'changed')).toBe(count(there, 'changed'))
        expect(count(back, 'moved')).toBe(count(there, 'moved'))
      }),
    )
  })
})
