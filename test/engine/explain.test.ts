import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { evaluate, evaluateAll, explain } from '../../src/engine/evaluate.ts'
import type { Condition, RolloutGrants } from '../../src/engine/flag.ts'
import type { ConditionTrace, Step } from '../../src/engine/trace.ts'
import {
  evaluateFlag,
  explainFlag,
  type FlagEntity,
  makeFlag,
  makeGrant,
  makeRollout,
  makeSegment,
  makeSnapshot,
  makeSnapshotOf,
  makeSplit,
  makeTextFlag,
  NOW,
} from '../support/engine.ts'
import { contents, contexts, FLAG_KEYS } from '../support/engine-arbitraries.ts'

/** Of bucket 49,999 under the seed `edges`; see bucketing.json. */
const EDGE_UNIT = 'user-49867'

const PRO = { attribute: 'plan', op: 'equals', values: ['pro'] } as const
const GERMAN = { attribute: 'country', op: 'in', values: ['de', 'at'] } as const
const ADULT = { attribute: 'age', op: 'greater-or-equal', values: [18] } as const

/** The conditions of which a trace must consist, whatever was decided. */
function shapeOf(trace: ConditionTrace): unknown {
  if ('attribute' in trace) return { attribute: trace.attribute, op: trace.op, values: trace.values }
  if (trace.kind === 'segment') return { segment: trace.segment }
  if (trace.kind === 'not') return { not: trace.conditions.map(shapeOf)[0] }
  return { [trace.kind]: trace.conditions.map(shapeOf) }
}

/** The same trace, its outcome worked out again from its leaves; a segment's lists and circles are its own. */
function outcomeOf(trace: ConditionTrace): boolean {
  if ('attribute' in trace || trace.kind === 'segment') return trace.matched
  const outcomes = trace.conditions.map(outcomeOf)
  if (trace.kind === 'not') return !outcomes[0]
  return trace.kind === 'all' ? outcomes.every(Boolean) : outcomes.some(Boolean)
}

function toName(step: Step): string {
  if (step.step === 'prerequisite') return `prerequisite ${step.flag}`
  return step.step === 'rule' ? `rule ${step.id}` : step.step
}

function decides(step: Step): boolean {
  if (step.step === 'fallthrough') return true
  return step.step === 'enabled' || step.step === 'prerequisite' ? !step.matched : step.matched
}

/** All steps that a flag has, up to the first that says that it decided. */
function expectedNames(
  flag: FlagEntity,
  rollout: RolloutGrants | undefined,
  steps: readonly Step[],
): string[] {
  const all = [
    'enabled',
    ...flag.prerequisites.map(({ flag }) => `prerequisite ${flag}`),
    ...(flag.targets.some(({ units }) => units.length > 0) ? ['target'] : []),
    ...flag.rules.map(({ id }) => `rule ${id}`),
    ...(rollout ? ['rollout'] : []),
    'fallthrough',
  ]
  return all.slice(0, steps.findIndex(decides) + 1)
}

function explainCondition(
  when: Condition,
  context: { readonly [attribute: string]: unknown },
  segments = {},
): ConditionTrace {
  const flag = makeFlag({ rules: [{ id: 'r', when, serve: { variant: 'on' } }] })
  const { steps } = explainFlag(makeSnapshot({ flags: { flag }, segments }), context)
  const rule = steps.find((step) => step.step === 'rule')
  if (!rule) throw new Error('no rule was explained')
  return rule.condition
}

describe('an explanation', () => {
  it('shows every step in order, up to the one that decides', () => {
    const snapshot = makeSnapshot({
      flags: {
        base: makeFlag({ rules: [{ id: 'pro', when: PRO, serve: { variant: 'on' } }] }),
        flag: makeTextFlag(['a', 'b', 'c'], {
          prerequisites: [{ flag: 'base', variants: ['on'] }],
          targets: [{ variant: 'b', units: ['bob'] }],
          rules: [
            { id: 'german', when: GERMAN, serve: { variant: 'b' } },
            { id: 'adult', when: ADULT, serve: makeSplit({ a: 50, c: 50 }, { seed: 'edges' }) },
            { id: 'never asked', when: PRO, serve: { variant: 'b' } },
          ],
        }),
      },
    })
    const context = { targetingKey: EDGE_UNIT, plan: 'pro', country: 'fr', age: 20 }
    expect(explainFlag(snapshot, context)).toEqual({
      evaluation: {
        flagKey: 'flag',
        reason: 'SPLIT',
        variant: 'a',
        value: 'a',
        metadata: {},
        assignment: undefined,
      },
      steps: [
        { step: 'enabled', matched: true },
        {
          step: 'prerequisite',
          flag: 'base',
          variant: 'on',
          matched: true,
          steps: [
            { step: 'enabled', matched: true },
            { step: 'rule', id: 'pro', matched: true, condition: { ...PRO, matched: true, actual: 'pro' } },
          ],
        },
        { step: 'target', unit: EDGE_UNIT, matched: false },
        {
          step: 'rule',
          id: 'german',
          matched: false,
          condition: { ...GERMAN, matched: false, actual: 'fr' },
        },
        {
          step: 'rule',
          id: 'adult',
          matched: true,
          condition: { ...ADULT, matched: true, actual: 20 },
          split: { by: 'targetingKey', unit: EDGE_UNIT, bucket: 49_999 },
        },
      ],
    })
  })

  it('shows the rollout with every grant, and the fallthrough with its bucket', () => {
    const snapshot = makeSnapshotOf(
      makeFlag({ fallthrough: makeSplit({ on: 1, off: 1 }, { seed: 'edges' }) }),
      makeRollout({
        id: 'r7',
        stage: 3,
        seed: 'edges',
        grants: [
          makeGrant({ audience: GERMAN, percentage: 100 }),
          makeGrant({ audience: PRO, percentage: 12.5 }),
          makeGrant({ percentage: 49.999 }),
        ],
      }),
    )
    expect(explainFlag(snapshot, { targetingKey: EDGE_UNIT, plan: 'pro' })).toEqual({
      evaluation: {
        flagKey: 'flag',
        reason: 'SPLIT',
        variant: 'on',
        value: true,
        metadata: {},
        assignment: { tag: 'r7.3.6.c', by: 'targetingKey', unit: EDGE_UNIT },
      },
      steps: [
        { step: 'enabled', matched: true },
        {
          step: 'rollout',
          id: 'r7',
          stage: 3,
          matched: false,
          grants: [
            { percentage: 100, matched: false, condition: { ...GERMAN, matched: false, actual: undefined } },
            { percentage: 12.5, matched: true, condition: { ...PRO, matched: true, actual: 'pro' } },
            { percentage: 49.999, matched: true, condition: null },
          ],
          split: { by: 'targetingKey', unit: EDGE_UNIT, bucket: 49_999 },
        },
        { step: 'fallthrough', split: { by: 'targetingKey', unit: EDGE_UNIT, bucket: 49_999 } },
      ],
    })
  })

  it('ends with the rollout when it treats the unit', () => {
    const snapshot = makeSnapshotOf(makeFlag(), makeRollout({ grants: [makeGrant({ percentage: 100 })] }))
    const { steps } = explainFlag(snapshot, { targetingKey: 'ann' })
    expect(steps.map(({ step }) => step)).toEqual(['enabled', 'rollout'])
  })

  it('shows that the rollout had no unit', () => {
    const snapshot = makeSnapshotOf(makeFlag(), makeRollout({ by: 'company.id' }))
    const { steps } = explainFlag(snapshot, { targetingKey: 'ann' })
    expect(steps).toEqual([
      { step: 'enabled', matched: true },
      {
        step: 'rollout',
        id: 'r1',
        stage: 0,
        matched: false,
        grants: [{ percentage: 0, matched: true, condition: null }],
        split: { by: 'company.id', unit: null, bucket: null },
      },
      { step: 'fallthrough' },
    ])
  })

  it('ends with a target that is meant', () => {
    const snapshot = makeSnapshotOf(
      makeFlag({
        targets: [{ variant: 'on', units: ['ann'] }],
        rules: [{ id: 'r', when: PRO, serve: { variant: 'on' } }],
      }),
    )
    expect(explainFlag(snapshot, { targetingKey: 'ann' }).steps).toEqual([
      { step: 'enabled', matched: true },
      { step: 'target', unit: 'ann', matched: true },
    ])
  })

  it('shows that targets had no unit', () => {
    const snapshot = makeSnapshotOf(makeFlag({ targets: [{ variant: 'on', units: ['ann'] }] }))
    expect(explainFlag(snapshot).steps).toEqual([
      { step: 'enabled', matched: true },
      { step: 'target', unit: null, matched: false },
      { step: 'fallthrough' },
    ])
  })

  it('shows a rule that matches but cannot split, and goes on', () => {
    const serve = makeSplit({ on: 1 }, { by: 'company.id' })
    const snapshot = makeSnapshotOf(makeFlag({ rules: [{ id: 'r', when: PRO, serve }] }))
    expect(explainFlag(snapshot, { plan: 'pro' }).steps).toEqual([
      { step: 'enabled', matched: true },
      {
        step: 'rule',
        id: 'r',
        matched: false,
        condition: { ...PRO, matched: true, actual: 'pro' },
        split: { by: 'company.id', unit: null, bucket: null },
      },
      { step: 'fallthrough' },
    ])
  })

  it('shows that the fallthrough had no unit', () => {
    const snapshot = makeSnapshotOf(makeFlag({ fallthrough: makeSplit({ on: 1 }) }))
    expect(explainFlag(snapshot).steps).toEqual([
      { step: 'enabled', matched: true },
      { step: 'fallthrough', split: { by: 'targetingKey', unit: null, bucket: null } },
    ])
  })

  it("shows the unit of another system's split, which has no bucket of ours", () => {
    const bucketing = { scheme: 'growthbook', seed: 's', hashVersion: 1, coverage: 1 } as const
    const snapshot = makeSnapshotOf(makeFlag({ fallthrough: makeSplit({ on: 1 }, { bucketing }) }))
    expect(explainFlag(snapshot, { targetingKey: 'ann' }).steps).toEqual([
      { step: 'enabled', matched: true },
      { step: 'fallthrough', split: { by: 'targetingKey', unit: 'ann', bucket: null } },
    ])
  })

  it('of a disabled flag is that it is disabled', () => {
    const { evaluation, steps } = explainFlag(makeSnapshotOf(makeFlag({ enabled: false })))
    expect(evaluation.reason).toBe('DISABLED')
    expect(steps).toEqual([{ step: 'enabled', matched: false }])
  })

  it.each([
    ['missing', {}, 'FLAG_NOT_FOUND'],
    ['broken', { flag: { ...makeFlag(), enabled: 1 } }, 'PARSE_ERROR'],
  ])('of a flag that is %s has its failure and no steps', (_name, flags, errorCode) => {
    const snapshot = makeSnapshot({ flags })
    const { evaluation, steps } = explainFlag(snapshot)
    expect([evaluation, steps]).toEqual([evaluateFlag(snapshot), []])
    expect(evaluation).toHaveProperty('errorCode', errorCode)
  })

  it('leaves the snapshot as it is', () => {
    const flag = makeFlag({ rules: [{ id: 'r', when: { segment: 's' }, serve: { variant: 'on' } }] })
    const snapshot = makeSnapshot({ flags: { flag }, segments: { s: makeSegment({ condition: PRO }) } })
    const compiled = snapshot.flag('flag')
    explainFlag(snapshot, { plan: 'pro' })
    expect(snapshot.flag('flag')).toBe(compiled)
    expect(explainFlag(snapshot, { plan: 'pro' })).toEqual(explainFlag(snapshot, { plan: 'pro' }))
  })
})

describe('an explained prerequisite', () => {
  it('that is not met ends the explanation, and shows its own steps', () => {
    const snapshot = makeSnapshot({
      flags: {
        base: makeFlag(),
        middle: makeFlag({ prerequisites: [{ flag: 'base', variants: ['on'] }] }),
        flag: makeFlag({ prerequisites: [{ flag: 'middle', variants: ['on'] }] }),
      },
    })
    expect(explainFlag(snapshot).steps).toEqual([
      { step: 'enabled', matched: true },
      {
        step: 'prerequisite',
        flag: 'middle',
        variant: 'off',
        matched: false,
        steps: [
          { step: 'enabled', matched: true },
          {
            step: 'prerequisite',
            flag: 'base',
            variant: 'off',
            matched: false,
            steps: [{ step: 'enabled', matched: true }, { step: 'fallthrough' }],
          },
        ],
      },
    ])
  })

  it.each([
    ['missing', {}, []],
    ['disabled', { base: makeFlag({ enabled: false }) }, [{ step: 'enabled', matched: false }]],
    ['broken', { base: 1 }, []],
  ])('that is %s serves no variant', (_name, flags, steps) => {
    const flag = makeFlag({ prerequisites: [{ flag: 'base', variants: ['off'] }] })
    expect(explainFlag(makeSnapshot({ flags: { ...flags, flag } })).steps).toEqual([
      { step: 'enabled', matched: true },
      { step: 'prerequisite', flag: 'base', variant: null, matched: false, steps },
    ])
  })

  it('in a circle comes to an end', () => {
    const flags = {
      flag: makeFlag({ prerequisites: [{ flag: 'other', variants: ['on'] }] }),
      other: makeFlag({ prerequisites: [{ flag: 'flag', variants: ['on'] }] }),
    }
    const snapshot = makeSnapshot({ flags })
    const { evaluation, steps } = explainFlag(snapshot)
    expect(evaluation).toEqual(evaluateFlag(snapshot))
    expect(evaluation).toHaveProperty('errorCode', 'GENERAL')
    expect(steps).toEqual([
      { step: 'enabled', matched: true },
      {
        step: 'prerequisite',
        flag: 'other',
        variant: 'off',
        matched: false,
        steps: [
          { step: 'enabled', matched: true },
          { step: 'prerequisite', flag: 'flag', variant: null, matched: false, steps: [] },
        ],
      },
    ])
  })
})

describe('an explained condition', () => {
  it('shows every part with its actual value, those too that could change nothing any more', () => {
    const when = { all: [PRO, { any: [ADULT, GERMAN] }, { not: GERMAN }] }
    expect(explainCondition(when, { plan: 'free', age: 30 })).toEqual({
      kind: 'all',
      matched: false,
      conditions: [
        { ...PRO, matched: false, actual: 'free' },
        {
          kind: 'any',
          matched: true,
          conditions: [
            { ...ADULT, matched: true, actual: 30 },
            { ...GERMAN, matched: false, actual: undefined },
          ],
        },
        { kind: 'not', matched: true, conditions: [{ ...GERMAN, matched: false, actual: undefined }] },
      ],
    })
  })

  it('shows values of the wrong type as they are', () => {
    expect(explainCondition(ADULT, { age: ['20'] })).toEqual({ ...ADULT, matched: false, actual: ['20'] })
  })

  it.each([
    ['all', true],
    ['any', false],
  ])('%s of nothing is shown', (kind, matched) => {
    const when = kind === 'all' ? { all: [] } : { any: [] }
    expect(explainCondition(when, {})).toEqual({ kind, matched, conditions: [] })
  })

  it('shows what a segment asks, and what a segment within it asks', () => {
    const segments = {
      outer: makeSegment({ condition: { all: [{ segment: 'inner' }, ADULT] } }),
      inner: makeSegment({ condition: PRO, included: ['ann'], excluded: ['bob'] }),
    }
    expect(explainCondition({ segment: 'outer' }, { plan: 'free', age: 20 }, segments)).toEqual({
      kind: 'segment',
      segment: 'outer',
      matched: false,
      conditions: [
        {
          kind: 'all',
          matched: false,
          conditions: [
            {
              kind: 'segment',
              segment: 'inner',
              matched: false,
              conditions: [{ ...PRO, matched: false, actual: 'free' }],
            },
            { ...ADULT, matched: true, actual: 20 },
          ],
        },
      ],
    })
  })

  it.each([
    ['included', 'ann', true],
    ['excluded', 'bob', false],
  ])('shows nothing of a segment whose list decides: %s', (_list, targetingKey, matched) => {
    const segments = { s: makeSegment({ condition: PRO, included: ['ann'], excluded: ['bob'] }) }
    expect(explainCondition({ segment: 's' }, { targetingKey, plan: 'pro' }, segments)).toEqual({
      kind: 'segment',
      segment: 's',
      matched,
      conditions: [],
    })
  })

  it('shows an unknown segment as empty', () => {
    const expected = { kind: 'segment', segment: 'nowhere', matched: false, conditions: [] }
    expect(explainCondition({ segment: 'nowhere' }, {})).toEqual(expected)
  })

  it('shows a circle of segments once round', () => {
    const segments = {
      left: makeSegment({ condition: { segment: 'right' } }),
      right: makeSegment({ condition: { segment: 'left' } }),
    }
    expect(explainCondition({ segment: 'left' }, {}, segments)).toEqual({
      kind: 'segment',
      segment: 'left',
      matched: false,
      conditions: [
        {
          kind: 'segment',
          segment: 'right',
          matched: false,
          conditions: [{ kind: 'segment', segment: 'left', matched: false, conditions: [] }],
        },
      ],
    })
  })
})

describe('for any flags and contexts', () => {
  it('an explanation has the very evaluation that the flag has', () => {
    fc.assert(
      fc.property(contents, fc.array(contexts, { minLength: 1, maxLength: 5 }), (contents, contexts) => {
        const snapshot = makeSnapshot(contents)
        for (const context of contexts) {
          const explained = FLAG_KEYS.map((key) => explain(snapshot, key, context, NOW).evaluation)
          expect(explained).toEqual(FLAG_KEYS.map((key) => evaluate(snapshot, key, context, NOW)))
          expect(evaluateAll(snapshot, context, NOW)).toEqual(explained)
        }
      }),
      { seed: 21, numRuns: 1_000 },
    )
  })

  it('its steps are complete, in order, and end with the one that decided', () => {
    fc.assert(
      fc.property(contents, contexts, (contents, context) => {
        const snapshot = makeSnapshot(contents)
        for (const key of FLAG_KEYS) {
          const { steps } = explain(snapshot, key, context, NOW)
          const flag = contents.flags[key] ?? makeFlag()
          expect(steps.map(toName)).toEqual(expectedNames(flag, contents.rollouts[key], steps))
        }
      }),
      { seed: 22, numRuns: 1_000 },
    )
  })

  it('its conditions are those of the flag, all of them, and add up', () => {
    fc.assert(
      fc.property(contents, contexts, (contents, context) => {
        const snapshot = makeSnapshot(contents)
        for (const key of FLAG_KEYS) {
          for (const step of explain(snapshot, key, context, NOW).steps) {
            const flag = contents.flags[key]
            if (step.step === 'rule') {
              expect(shapeOf(step.condition)).toEqual(flag?.rules.find(({ id }) => id === step.id)?.when)
              expect(outcomeOf(step.condition)).toBe(step.condition.matched)
            }
            if (step.step === 'rollout') {
              const audiences = contents.rollouts[key]?.grants.map(({ audience }) => audience)
              expect(step.grants.map(({ condition }) => condition && shapeOf(condition))).toEqual(audiences)
              expect(step.grants.map(({ condition }) => !condition || outcomeOf(condition))).toEqual(
                step.grants.map(({ matched }) => matched),
              )
            }
          }
        }
      }),
      { seed: 23, numRuns: 1_000 },
    )
  })
})
