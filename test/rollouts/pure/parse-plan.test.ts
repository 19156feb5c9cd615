import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { audiencesOf } from '../../../src/rollouts/grants.ts'
import { parsePlan } from '../../../src/rollouts/parse-plan.ts'
import type { Plan } from '../../../src/rollouts/plan.ts'
import {
  DAY_MS,
  HOUR_MS,
  MINUTE_MS,
  makeMetric,
  makePlanDraft,
  makePlanGround,
} from '../../support/rollouts.ts'

const GROUND = makePlanGround()

function parsed(draft: unknown): Plan {
  const result = parsePlan(draft, GROUND)
  if (!result.ok) throw new Error(JSON.stringify(result.error))
  return result.value
}

/** Paths and rules of what is wrong. */
function problemsOf(draft: unknown): readonly string[] {
  const result = parsePlan(draft, GROUND)
  return result.ok ? [] : result.error.map(({ path, rule }) => `${path} ${rule}`)
}

const INTERNAL = { segment: 'internal' }
const IRELAND = { attribute: 'cf.country', op: 'equals', values: ['IE'] }

describe('a plan as the design shows it', () => {
  const plan = parsed({
    flag: 'new-checkout',
    environment: 'production',
    variant: 'on',
    by: 'targetingKey',
    stages: [
      { name: 'internal', audience: INTERNAL, percentage: 100, hold: '1h' },
      { name: 'Ireland', audience: IRELAND, percentage: 50, hold: '2h' },
      {
        name: '10 %',
        audience: null,
        percentage: 10,
        hold: '24h',
        minUnits: 500,
        approval: true,
        gates: ['ci-green', { name: 'scan', maxAge: '7d' }],
      },
      { name: '95 %', audience: null, percentage: 95, hold: '7d' },
      { name: 'all', audience: null, percentage: 100, hold: '0s' },
    ],
    alpha: 0.01,
    guardrails: [
      { metric: 'checkout-error', test: 'regression', tolerance: 0.1, action: 'rollback', mode: 'immediate' },
      {
        metric: 'http-latency',
        test: 'threshold',
        quantile: 0.95,
        above: 1_000,
        action: 'rollback',
        mode: 'gradual',
      },
    ],
    rollback: { steps: [50, 25, 0], hold: '10m' },
    advanceWhen: 'clock',
    whenTooFew: 'hold',
    exposure: 'use',
    watch: [
      { for: '7d', every: '1h' },
      { for: '21d', every: '6h' },
      { for: '60d', every: '24h' },
    ],
  })

  it('has its stages, with what is left out filled in', () => {
    expect(plan.stages[0]).toEqual({
      name: 'internal',
      audience: INTERNAL,
      percentage: 100,
      holdMs: HOUR_MS,
      minUnits: 0,
      approval: false,
      gates: [],
    })
    expect(plan.stages[2]).toEqual({
      name: '10 %',
      audience: null,
      percentage: 10,
      holdMs: DAY_MS,
      minUnits: 500,
      approval: true,
      gates: [
        { name: 'ci-green', maxAgeMs: null },
        { name: 'scan', maxAgeMs: 7 * DAY_MS },
      ],
    })
  })

  it('has three audiences, named after the stages in which they first appear', () => {
    expect(audiencesOf(plan)).toEqual([
      { name: 'internal', condition: INTERNAL },
      { name: 'Ireland', condition: IRELAND },
      { name: '10 %', condition: null },
    ])
  })

  it('has guardrails whose ids are made from metric and test', () => {
    expect(plan.guardrails).toEqual([
      {
        id: 'checkout-error-regression',
        metric: 'checkout-error',
        test: { kind: 'regression', tolerance: 0.1, quantile: null },
        action: 'rollback',
        mode: 'immediate',
      },
      {
        id: 'http-latency-threshold',
        metric: 'http-latency',
        test: { kind: 'threshold', side: 'above', limit: 1_000, quantile: 0.95, literal: null },
        action: 'rollback',
        mode: 'gradual',
      },
    ])
  })
})

it('fills in everything that a plan leaves out', () => {
  expect(parsed(makePlanDraft())).toEqual({
    flag: 'new-checkout',
    environment: 'production',
    variant: 'on',
    by: 'targetingKey',
    stages: [
      {
        name: '50 %',
        audience: null,
        percentage: 50,
        holdMs: HOUR_MS,
        minUnits: 0,
        approval: false,
        gates: [],
      },
      { name: '100 %', audience: null, percentage: 100, holdMs: 0, minUnits: 0, approval: false, gates: [] },
    ],
    alpha: 0.01,
    guardrails: [],
    rollback: { steps: [50, 25, 0], holdMs: 10 * MINUTE_MS },
    advanceWhen: 'clock',
    whenTooFew: 'hold',
    exposure: 'use',
    windowMs: 30 * MINUTE_MS,
    watch: [
      { forMs: 7 * DAY_MS, everyMs: HOUR_MS },
      { forMs: 21 * DAY_MS, everyMs: 6 * HOUR_MS },
      { forMs: 60 * DAY_MS, everyMs: DAY_MS },
    ],
    signals: [],
    startAt: null,
    windows: [],
    after: [],
    slices: [],
    takeOver: false,
  })
})

it('reads everything that a plan may say', () => {
  const { signals, startAt, windows, after, slices, takeOver, windowMs, watch } = parsed(
    makePlanDraft({
      signals: [{ kind: 'complaints' }, { kind: 'tickets', action: 'hold', mode: 'gradual' }],
      startAt: '2026-03-02T09:00:00+01:00',
      windows: [
        { days: [5, 1], from: '09:00', to: '17:30', timeZone: 'Europe/Dublin' },
        { from: '22:00', to: '24:00' },
      ],
      after: ['other0000000'],
      slices: ['plan', 'cf.country'],
      takeOver: true,
      window: '45m',
      watch: [],
    }),
  )
  expect({ signals, startAt, windows, after, slices, takeOver, windowMs, watch }).toEqual({
    signals: [
      { kind: 'complaints', action: 'rollback', mode: 'immediate' },
      { kind: 'tickets', action: 'hold', mode: 'gradual' },
    ],
    startAt: Date.UTC(2026, 2, 2, 8),
    windows: [
      { days: [1, 5], from: 540, to: 1_050, timeZone: 'Europe/Dublin' },
      { days: [1, 2, 3, 4, 5, 6, 7], from: 1_320, to: 1_440, timeZone: 'UTC' },
    ],
    after: ['other0000000'],
    slices: ['plan', 'cf.country'],
    takeOver: true,
    windowMs: 45 * MINUTE_MS,
    watch: [],
  })
})

it('gives each stage a name of its own', () => {
  const stages = [
    { percentage: 10, hold: '1h' },
    { name: '10 % (2)', percentage: 10, hold: '1h' },
    { percentage: 10, hold: '1h' },
  ]
  expect(parsed(makePlanDraft({ stages })).stages.map(({ name }) => name)).toEqual([
    '10 %',
    '10 % (2)',
    '10 % (3)',
  ])
})

it('never fails on what is no plan, and never lets one through that makes no sense', () => {
  const part = fc.oneof(
    fc.anything(),
    fc.constantFrom(
      -1,
      0,
      10,
      50,
      100,
      '1h',
      '-1h',
      '0s',
      'internal',
      'regression',
      'threshold',
      'checkout-error',
    ),
  )
  const stages = fc.array(
    fc.record(
      { percentage: fc.oneof(fc.nat(100), part), hold: fc.oneof(fc.constantFrom('1h', '0s'), part) },
      { requiredKeys: [] },
    ),
    { maxLength: 4 },
  )
  const guardrails = fc.array(
    fc.record(
      {
        metric: fc.oneof(fc.constantFrom('checkout-error', 'http-latency'), part),
        test: part,
        above: part,
        tolerance: part,
      },
      { requiredKeys: [] },
    ),
    { maxLength: 3 },
  )
  const overrides = fc.record(
    {
      stages: fc.oneof(stages, part),
      guardrails: fc.oneof(guardrails, part),
      alpha: part,
      windows: part,
      watch: part,
    },
    { requiredKeys: ['stages'] },
  )
  fc.assert(
    fc.property(overrides, (parts) => {
      const result = parsePlan({ ...makePlanDraft(), ...parts }, GROUND)
      if (!result.ok) {
        expect(result.error).not.toEqual([])
        return
      }
      const { stages: read, alpha } = result.value
      const percentages = read.map(({ percentage }) => percentage)
      expect(percentages).toEqual([...percentages].sort((a, b) => a - b))
      expect(read.length > 0 && alpha > 0 && alpha < 0.5).toBe(true)
    }),
    { numRuns: 1_000 },
  )
})

describe('a guardrail', () => {
  it.each([
    [
      'of errors',
      { metric: 'checkout-error', test: 'regression' },
      { kind: 'regression', tolerance: 0.1, quantile: null },
    ],
    [
      'of conversions',
      { metric: 'paid', test: 'regression', tolerance: 0 },
      { kind: 'regression', tolerance: 0, quantile: null },
    ],
    [
      'of a latency, by its p95',
      { metric: 'http-latency', test: 'regression', tolerance: 0.5 },
      { kind: 'regression', tolerance: 0.5, quantile: 0.95 },
    ],
    [
      'of a latency, by its median',
      { metric: 'http-latency', test: 'regression', quantile: 0.5 },
      { kind: 'regression', tolerance: 0.1, quantile: 0.5 },
    ],
    [
      'of a resource, by its mean',
      { metric: 'memory', test: 'regression' },
      { kind: 'regression', tolerance: 0.1, quantile: null },
    ],
    [
      'above a share',
      { metric: 'checkout-error', test: 'threshold', above: 0.01 },
      { kind: 'threshold', side: 'above', limit: 0.01, quantile: null, literal: null },
    ],
    [
      'below a mean',
      { metric: 'satisfaction', test: 'threshold', below: 7 },
      { kind: 'threshold', side: 'below', limit: 7, quantile: null, literal: null },
    ],
    [
      'above a quantile of a resource',
      { metric: 'memory', test: 'threshold', above: 512 },
      { kind: 'threshold', side: 'above', limit: 512, quantile: 0.95, literal: null },
    ],
    [
      'as a runbook has it',
      { metric: 'checkout-error', test: 'threshold', above: 0.1, literal: true },
      { kind: 'threshold', side: 'above', limit: 0.1, quantile: null, literal: { windowMs: 5 * MINUTE_MS } },
    ],
    [
      'over a window of its own',
      { metric: 'http-latency', test: 'threshold', above: 5_000, literal: true, window: '10m' },
      {
        kind: 'threshold',
        side: 'above',
        limit: 5_000,
        quantile: 0.95,
        literal: { windowMs: 10 * MINUTE_MS },
      },
    ],
  ])('%s', (_, guardrail, test) => {
    expect(parsed({ ...makePlanDraft(), guardrails: [guardrail] }).guardrails[0]?.test).toEqual(test)
  })

  it('gets an id of its own where its like has one', () => {
    const guardrails = [
      { metric: 'http-latency', test: 'threshold', above: 800 },
      { metric: 'http-latency', test: 'threshold', quantile: 0.5, above: 200 },
      {
        id: 'http-latency-threshold',
        metric: 'http-latency',
        test: 'threshold',
        quantile: 0.99,
        above: 2_000,
      },
    ]
    expect(parsed({ ...makePlanDraft(), guardrails }).guardrails.map(({ id }) => id)).toEqual([
      'http-latency-threshold-2',
      'http-latency-threshold-3',
      'http-latency-threshold',
    ])
  })
})

const STAGE = { percentage: 10, hold: '1h' }

describe('a plan that makes no sense is refused, with the place', () => {
  it.each<[string, object, readonly string[]]>([
    ['no stages', { stages: [] }, ['stages limit']],
    ['stages that are left out', { stages: undefined }, ['stages limit']],
    ['stages that are no list', { stages: 'all' }, ['stages type']],
    ['61 stages', { stages: new Array(61).fill(STAGE) }, ['stages limit']],
    [
      '31 audiences',
      {
        stages: Array.from({ length: 31 }, (_, n) => ({
          ...STAGE,
          audience: { ...IRELAND, values: [`${n}`] },
        })),
      },
      ['stages limit'],
    ],
    [
      'a list as long as a segment',
      { stages: [{ ...STAGE, audience: { ...IRELAND, op: 'in', values: new Array(5_000).fill('abcdef') } }] },
      ['stages limit'],
    ],
    [
      'percentages that fall within an audience',
      { stages: [{ ...STAGE, percentage: 25 }, { ...STAGE, audience: INTERNAL }, STAGE] },
      ['stages[2].percentage order'],
    ],
    [
      'percentages that fall, with the fields of the audience in another order',
      {
        stages: [
          { ...STAGE, audience: IRELAND },
          { ...STAGE, percentage: 5, audience: { values: ['IE'], op: 'equals', attribute: 'cf.country' } },
        ],
      },
      ['stages[1].percentage order'],
    ],
    ['a percentage above 100', { stages: [{ ...STAGE, percentage: 101 }] }, ['stages[0].percentage limit']],
    ['a percentage too fine', { stages: [{ ...STAGE, percentage: 0.0001 }] }, ['stages[0].percentage limit']],
    ['no percentage', { stages: [{ hold: '1h' }] }, ['stages[0].percentage type']],
    ['no hold', { stages: [{ percentage: 10 }] }, ['stages[0].hold type']],
    ['a hold below zero', { stages: [{ ...STAGE, hold: '-1h' }] }, ['stages[0].hold limit']],
    ['a hold as a number', { stages: [{ ...STAGE, hold: 60 }] }, ['stages[0].hold type']],
    ['a hold of two years', { stages: [{ ...STAGE, hold: '730d' }] }, ['stages[0].hold limit']],
    ['half a unit', { stages: [{ ...STAGE, minUnits: 0.5 }] }, ['stages[0].minUnits limit']],
    [
      'an unknown segment',
      { stages: [{ ...STAGE, audience: { all: [{ not: { segment: 'vip' } }] } }] },
      ['stages[0].audience.all[0].not.segment unknown_segment'],
    ],
    [
      'an operand that does not fit',
      { stages: [{ ...STAGE, audience: { ...IRELAND, op: 'semver' } }] },
      ['stages[0].audience.values operand'],
    ],
    [
      'a field that a condition has not',
      { stages: [{ ...STAGE, audience: { ...INTERNAL, weight: 2 } }] },
      ['stages[0].audience.weight unknown_field'],
    ],
    [
      'a gate twice',
      { stages: [{ ...STAGE, gates: ['ci', { name: 'ci' }] }] },
      ['stages[0].gates[1].name duplicate'],
    ],
    [
      'a gate without a name',
      { stages: [{ ...STAGE, gates: [{ maxAge: '1h' }] }] },
      ['stages[0].gates[0].name type'],
    ],
    [
      'an unknown field of a stage',
      { stages: [{ ...STAGE, holds: '1h' }] },
      ['stages[0].holds unknown_field'],
    ],
    ['an unknown field', { guards: [] }, ['guards unknown_field']],
    ['another flag', { flag: 'other' }, ['flag unknown_flag']],
    ['an unknown variant', { variant: 'blue' }, ['variant unknown_variant']],
    ['α of 0', { alpha: 0 }, ['alpha limit']],
    ['α of a half', { alpha: 0.5 }, ['alpha limit']],
    ['a rollback that rises', { rollback: { steps: [25, 50, 0] } }, ['rollback.steps[1] order']],
    ['a rollback that does not end', { rollback: { steps: [50, 25] } }, ['rollback.steps order']],
    ['a rollback to nothing at all', { rollback: { steps: [] } }, ['rollback.steps order']],
    ['a rollback that is held below zero', { rollback: { hold: '-1m' } }, ['rollback.hold limit']],
    ['a word that it has not', { whenTooFew: 'wait' }, ['whenTooFew type']],
    ['safety that nothing can show', { advanceWhen: 'shown-safe' }, ['advanceWhen operand']],
    ['a risk window of a week', { window: '7d' }, ['window limit']],
    [
      'looks more rare than the watch is long',
      { watch: [{ for: '1h', every: '2h' }] },
      ['watch[0].for order'],
    ],
    ['looks every second', { watch: [{ for: '1h', every: '1s' }] }, ['watch[0].every limit']],
    ['a signal twice', { signals: [{ kind: 'scan' }, { kind: 'scan' }] }, ['signals[1].kind duplicate']],
    [
      'a signal that takes back a part',
      { signals: [{ kind: 'scan', mode: 'partial' }] },
      ['signals[0].mode type'],
    ],
    ['a start without its offset', { startAt: '2026-03-02T09:00:00' }, ['startAt type']],
    [
      'an hour that no day has',
      { windows: [{ from: '25:00', to: '26:00' }] },
      ['windows[0].from type', 'windows[0].to type'],
    ],
    ['minutes that no hour has', { windows: [{ from: '09:60', to: '10:00' }] }, ['windows[0].from type']],
    ['a window of no time', { windows: [{ from: '09:00', to: '09:00' }] }, ['windows[0].to order']],
    [
      'an eighth day',
      { windows: [{ days: [8], from: '09:00', to: '10:00' }] },
      ['windows[0].days[0] type', 'windows[0].days limit'],
    ],
    ['no day', { windows: [{ days: [], from: '09:00', to: '10:00' }] }, ['windows[0].days limit']],
    [
      'a time zone that is none',
      { windows: [{ from: '09:00', to: '10:00', timeZone: 'Mars/Olympus' }] },
      ['windows[0].timeZone type'],
    ],
    ['an unknown rollout', { after: ['nobody000000'] }, ['after[0] unknown_rollout']],
    ['nine slices', { slices: 'abcdefghi'.split('') }, ['slices limit']],
    ['a slice twice', { slices: ['plan', 'plan'] }, ['slices[1] duplicate']],
  ])('%s', (_, overrides, expected) => {
    expect(problemsOf({ ...makePlanDraft(), ...overrides })).toEqual(expected)
  })

  it.each<[string, object, readonly string[]]>([
    ['an unknown metric', { metric: 'nobody', test: 'regression' }, ['metric unknown_metric']],
    ['a metric of another unit', { metric: 'company-error', test: 'regression' }, ['metric other_unit']],
    ['no test', { metric: 'checkout-error' }, ['test type']],
    [
      'a quantile of errors',
      { metric: 'checkout-error', test: 'regression', quantile: 0.95 },
      ['quantile operand'],
    ],
    [
      'a limit in a regression',
      { metric: 'checkout-error', test: 'regression', above: 1 },
      ['above operand'],
    ],
    [
      'a tolerance in a threshold',
      { metric: 'checkout-error', test: 'threshold', above: 0.1, tolerance: 0.1 },
      ['tolerance operand'],
    ],
    [
      'a tolerance below zero',
      { metric: 'checkout-error', test: 'regression', tolerance: -0.1 },
      ['tolerance limit'],
    ],
    ['a tolerance of everything', { metric: 'paid', test: 'regression', tolerance: 1 }, ['tolerance limit']],
    ['no limit', { metric: 'checkout-error', test: 'threshold' }, [' type']],
    ['two limits', { metric: 'satisfaction', test: 'threshold', above: 9, below: 7 }, [' type']],
    ['a limit of 0', { metric: 'satisfaction', test: 'threshold', below: 0 }, ['below limit']],
    ['a share of all', { metric: 'checkout-error', test: 'threshold', above: 1 }, ['above limit']],
    [
      'a quantile that should not fall',
      { metric: 'http-latency', test: 'threshold', below: 100 },
      ['below operand'],
    ],
    [
      'a share that should not fall, of hits that are still to come',
      { metric: 'paid', test: 'threshold', below: 0.1 },
      ['below operand'],
    ],
    [
      'the hundredth percentile',
      { metric: 'http-latency', test: 'threshold', above: 100, quantile: 1 },
      ['quantile limit'],
    ],
    [
      'means over a window',
      { metric: 'satisfaction', test: 'threshold', below: 7, literal: true },
      ['literal operand'],
    ],
    [
      'a window of a week',
      { metric: 'checkout-error', test: 'threshold', above: 0.1, literal: true, window: '7d' },
      ['window limit'],
    ],
    [
      'a window without literal',
      { metric: 'checkout-error', test: 'threshold', above: 0.1, window: '5m' },
      ['window operand'],
    ],
    ['an unknown action', { metric: 'checkout-error', test: 'regression', action: 'alert' }, ['action type']],
    [
      'an id that no address can carry',
      { id: 'a b', metric: 'checkout-error', test: 'regression' },
      ['id type'],
    ],
    ['an unknown field', { metric: 'checkout-error', test: 'regression', limit: 1 }, ['limit unknown_field']],
  ])('a guardrail with %s', (_, guardrail, expected) => {
    const draft = { ...makePlanDraft(), guardrails: [guardrail] }
    expect(problemsOf(draft)).toEqual(
      expected.map((problem) =>
        problem.startsWith(' ') ? `guardrails[0]${problem}` : `guardrails[0].${problem}`,
      ),
    )
  })

  it('two guardrails of one id', () => {
    const guardrails = [
      { id: 'errors', metric: 'checkout-error', test: 'regression' },
      { id: 'errors', metric: 'checkout-error', test: 'threshold', above: 0.1 },
    ]
    expect(problemsOf({ ...makePlanDraft(), guardrails })).toEqual(['guardrails[1].id duplicate'])
  })

  it('more limits for a metric than its observations are compared with', () => {
    const guardrails = [0.5, 0.9, 0.95, 0.99, 0.999].map((quantile, index) => ({
      metric: 'http-latency',
      test: 'threshold',
      quantile,
      above: 100 * (index + 1),
    }))
    expect(problemsOf({ ...makePlanDraft(), guardrails })).toEqual(['guardrails[4].metric limit'])
  })

  it('a latency of which more is better', () => {
    const metric = makeMetric({ key: 'score', kind: 'latency', goodDirection: 'up' })
    const draft = { ...makePlanDraft(), guardrails: [{ metric: 'score', test: 'regression' }] }
    const result = parsePlan(draft, makePlanGround({ metrics: new Map([['score', metric]]) }))
    expect(result).toMatchObject({ ok: false, error: [{ path: 'guardrails[0].test', rule: 'operand' }] })
  })

  it.each([[null], [[]], ['plan'], [7]])('%j, which is no plan', (draft) => {
    expect(problemsOf(draft)[0]).toBe(' type')
  })
})
