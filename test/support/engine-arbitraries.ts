// Random but valid flags, segments, rollouts and contexts. Few names and values, so that they meet; segments and
// prerequisites point anywhere, into circles too.
import fc from 'fast-check'
import type { EvaluationContext } from '../../src/engine/context.ts'
import type {
  AttributeCondition,
  Condition,
  Flag,
  Prerequisite,
  RolloutGrants,
  Rule,
  Segment,
  Serve,
  Target,
} from '../../src/engine/flag.ts'
import type { FlagEntity, SegmentEntity } from './engine.ts'

const VARIANTS = ['a', 'b', 'c']
const UNITS = ['ann', 'bob', 'eve', 'zoë', '🚀', 'user-1', 'user-2', 'user-3']

export const FLAG_KEYS = ['f0', 'f1', 'f2', 'f3']
export const SEGMENT_KEYS = ['s0', 's1', 's2']

const variant = fc.constantFrom(...VARIANTS)
const unit = fc.constantFrom(...UNITS)
const by = fc.constantFrom('targetingKey', 'company.id')
const seed = fc.constantFrom('seed-1', 'seed-2', 'seed-3')

const attributeCondition: fc.Arbitrary<AttributeCondition> = fc.constantFrom<AttributeCondition>(
  { attribute: 'plan', op: 'equals', values: ['pro'] },
  { attribute: 'plan', op: 'in', values: ['pro', 'team'] },
  { attribute: 'plan', op: 'exists', values: [] },
  { attribute: 'age', op: 'greater', values: [17] },
  { attribute: 'age', op: 'between', values: [18, 30] },
  { attribute: 'company.plan', op: 'starts-with', values: ['p'] },
  { attribute: 'company.id', op: 'matches', values: ['^a|b$'] },
  { attribute: 'version', op: 'semver', values: ['^1.2'] },
  { attribute: 'tags', op: 'contains-any', values: ['x', 1] },
  { attribute: 'tags', op: 'contains-all', values: ['x', 'y'] },
  { attribute: 'ip', op: 'cidr', values: ['10.0.0.0/8'] },
  { attribute: 'at', op: 'before', values: ['-1d'] },
  { attribute: 'targetingKey', op: 'ends-with', values: ['1', 'n'] },
)

const segmentCondition: fc.Arbitrary<Condition> = fc.record({
  segment: fc.constantFrom(...SEGMENT_KEYS, 'nowhere'),
})

/** Conditions, some levels deep. */
export const conditions: fc.Arbitrary<Condition> = fc.letrec<{ condition: Condition }>((tie) => {
  const children = fc.array(tie('condition'), { maxLength: 3 })
  return {
    condition: fc.oneof(
      { maxDepth: 3, depthSize: 'small', withCrossShrink: true },
      { arbitrary: attributeCondition, weight: 4 },
      { arbitrary: segmentCondition, weight: 1 },
      { arbitrary: fc.record({ all: children }), weight: 1 },
      { arbitrary: fc.record({ any: children }), weight: 1 },
      { arbitrary: fc.record({ not: tie('condition') }), weight: 1 },
    ),
  }
}).condition

const weights = fc.tuple(
  fc.integer({ min: 0, max: 5 }),
  fc.integer({ min: 0, max: 5 }),
  fc.integer({ min: 1, max: 5 }),
)

const serves: fc.Arbitrary<Serve> = fc.oneof(
  fc.record({ variant }),
  fc.record({
    split: fc.record({
      weights: weights.map((values) => values.map((weight, i) => ({ variant: VARIANTS[i] ?? '', weight }))),
      by,
      seed,
    }),
  }),
)

const prerequisites: fc.Arbitrary<readonly Prerequisite[]> = fc.array(
  fc.record({
    flag: fc.constantFrom(...FLAG_KEYS, 'nowhere'),
    variants: fc.uniqueArray(variant, { minLength: 1 }),
  }),
  { maxLength: 2 },
)

const targets: fc.Arbitrary<readonly Target[]> = fc.array(
  fc.record({ variant, units: fc.array(unit, { maxLength: 2 }) }),
  { maxLength: 2 },
)

const rules: fc.Arbitrary<readonly Rule[]> = fc
  .array(fc.record({ when: conditions, serve: serves }), { maxLength: 3 })
  .map((list) => list.map((rule, index) => ({ id: `rule-${index}`, ...rule })))

/** Flags with the variants a, b and c. */
export const flags: fc.Arbitrary<FlagEntity> = fc.record({
  type: fc.constant<Flag['type']>('string'),
  variants: fc.constant(VARIANTS.map((name) => ({ name, value: `${name}!` }))),
  metadata: fc.constantFrom<Flag['metadata']>({}, { owner: 'shop', tier: 1 }),
  clientVisible: fc.boolean(),
  enabled: fc.oneof({ arbitrary: fc.constant(true), weight: 6 }, fc.constant(false)),
  offVariant: fc.option(variant),
  prerequisites: fc.oneof({ arbitrary: fc.constant([]), weight: 2 }, prerequisites),
  targets: fc.oneof(fc.constant([]), targets),
  rules,
  fallthrough: serves,
})

const rollouts: fc.Arbitrary<RolloutGrants> = fc.record(
  {
    id: fc.constantFrom('r1', 'r2'),
    variant,
    seed,
    by,
    stage: fc.nat(3),
    grants: fc.array(
      fc.record({
        audience: fc.option(conditions),
        percentage: fc.integer({ min: 0, max: 100 }),
      }),
      { maxLength: 3 },
    ),
    reversed: fc.constant(true),
    measured: fc.boolean(),
  },
  { requiredKeys: ['id', 'variant', 'seed', 'by', 'stage', 'grants', 'measured'] },
)

const segments: fc.Arbitrary<SegmentEntity> = fc.record<Omit<Segment, 'key'>>({
  condition: fc.option(conditions),
  included: fc.array(unit, { maxLength: 1 }),
  excluded: fc.array(unit, { maxLength: 1 }),
})

function byKey<T>(keys: readonly string[], values: fc.Arbitrary<T>): fc.Arbitrary<{ [key: string]: T }> {
  return fc
    .tuple(...keys.map((key) => values.map((value) => [key, value] as const)))
    .map((entries) => Object.fromEntries(entries))
}

function withoutNull<T>(all: { readonly [key: string]: T | null }): { [key: string]: T } {
  return Object.fromEntries(
    Object.entries(all).flatMap(([key, value]) => (value === null ? [] : [[key, value]])),
  )
}

/** What a snapshot holds: four flags, three segments, and a rollout for some of the flags. */
export const contents = fc.record({
  flags: byKey(FLAG_KEYS, flags),
  segments: byKey(SEGMENT_KEYS, segments),
  rollouts: byKey(FLAG_KEYS, fc.option(rollouts)).map(withoutNull),
})

/** Contexts with some of the attributes that the conditions ask for. */
export const contexts: fc.Arbitrary<EvaluationContext> = fc.record(
  {
    targetingKey: fc.oneof({ arbitrary: unit, weight: 5 }, fc.constant('')),
    plan: fc.constantFrom('pro', 'team', 'free', 1, null),
    age: fc.constantFrom(17, 18, 30, 31, '20'),
    company: fc.constantFrom<unknown>(
      { id: 'ab', plan: 'pro' },
      { id: 'cd' },
      { id: 7 },
      { plan: 'x' },
      'acme',
    ),
    version: fc.constantFrom('1.2.0', '1.9.9', '2.0.0', 'x', 1.2),
    tags: fc.constantFrom<unknown>(['x'], ['y', 'x'], [1], [], 'x'),
    ip: fc.constantFrom('10.1.1.1', '11.1.1.1', '::1', ''),
    at: fc.constantFrom<unknown>('2026-02-01', '2026-03-01T11:00:00Z', 0, 'never'),
  },
  { requiredKeys: [] },
)
