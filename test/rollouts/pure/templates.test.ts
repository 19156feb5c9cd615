import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { guardrailSets } from '../../../src/rollouts/guardrail-sets.ts'
import { parsePlan } from '../../../src/rollouts/parse-plan.ts'
import type { Guardrail, Plan } from '../../../src/rollouts/plan.ts'
import type { StageDraft } from '../../../src/rollouts/plan-draft.ts'
import { countries, templates } from '../../../src/rollouts/templates.ts'
import { DAY_MS, HOUR_MS, makeMetric, makePlanDraft, makePlanGround } from '../../support/rollouts.ts'

const GROUND = makePlanGround({
  segments: new Set(['internal', 'beta', 'power', 'regular', 'new']),
  metrics: new Map(
    [
      makeMetric({ key: 'errors' }),
      makeMetric({ key: 'latency', kind: 'latency' }),
      makeMetric({ key: 'satisfaction', kind: 'ratio', denominator: 'rated', goodDirection: 'up' }),
      makeMetric({ key: 'critical' }),
      makeMetric({ key: 'crashes' }),
    ].map((metric) => [metric.key, metric]),
  ),
})

function planOf(draft: object): Plan {
  const result = parsePlan({ ...makePlanDraft(), ...draft }, GROUND)
  if (!result.ok) throw new Error(JSON.stringify(result.error))
  return result.value
}

/** Each stage in one line: its audience's text, percentage, and hold in days. */
function linesOf(stages: readonly StageDraft[]): readonly string[] {
  return planOf({ stages }).stages.map(({ audience, percentage, holdMs }) => {
    const whom = audience === null ? 'everyone' : JSON.stringify(Object.values(audience).at(-1))
    return `${whom} ${percentage} % ${holdMs / DAY_MS} d`
  })
}

const ENDING = ['everyone 95 % 7 d', 'everyone 100 % 0 d']
const REGIONS = [countries('Ireland', ['IE']), countries('Iberia', ['ES', 'PT'])]

describe('a template', () => {
  it.each<[string, readonly StageDraft[], readonly string[]]>([
    [
      'canary',
      templates.canary(),
      ['everyone 1 % 1 d', 'everyone 5 % 1 d', 'everyone 25 % 1 d', 'everyone 50 % 1 d', ...ENDING],
    ],
    [
      'canary, faster, nothing held back',
      templates.canary({ hold: '12h', holdBack: false }),
      [
        'everyone 1 % 0.5 d',
        'everyone 5 % 0.5 d',
        'everyone 25 % 0.5 d',
        'everyone 50 % 0.5 d',
        'everyone 100 % 0 d',
      ],
    ],
    [
      'progressive',
      templates.progressive(),
      ['everyone 5 % 1 d', 'everyone 10 % 1 d', 'everyone 25 % 1 d', 'everyone 50 % 1 d', ...ENDING],
    ],
    [
      'staged',
      templates.staged({ internal: { segment: 'internal' }, beta: { segment: 'beta' } }),
      [
        '"internal" 100 % 1 d',
        '"beta" 100 % 1 d',
        'everyone 10 % 1 d',
        'everyone 25 % 1 d',
        'everyone 50 % 1 d',
        ...ENDING,
      ],
    ],
    [
      'geographic',
      templates.geographic({ regions: REGIONS }),
      [
        '["IE"] 10 % 1 d',
        '["IE"] 50 % 1 d',
        '["ES","PT"] 10 % 1 d',
        '["ES","PT"] 50 % 1 d',
        'everyone 10 % 1 d',
        'everyone 50 % 1 d',
        ...ENDING,
      ],
    ],
    [
      'segments',
      templates.segments({
        groups: [
          { segment: 'power', hold: '1d' },
          { segment: 'regular', hold: '3d' },
          { segment: 'new', hold: '7d' },
        ],
      }),
      ['"power" 100 % 1 d', '"regular" 100 % 3 d', '"new" 100 % 7 d', ...ENDING],
    ],
    ['timed', templates.timed(), ['everyone 10 % 2 d', 'everyone 50 % 4 d', ...ENDING]],
    [
      'linear, in four steps over three days',
      templates.linear({ from: 0, to: 3 * DAY_MS, steps: 4, holdBack: false }),
      ['everyone 25 % 1 d', 'everyone 50 % 1 d', 'everyone 75 % 1 d', 'everyone 100 % 0 d'],
    ],
    [
      'custom',
      templates.custom({ percentages: [2, 20], hold: '7d' }),
      ['everyone 2 % 7 d', 'everyone 20 % 7 d', ...ENDING],
    ],
  ])('%s', (_, stages, expected) => {
    expect(linesOf(stages)).toEqual(expected)
  })

  it('makes a linear ramp that ends at its instant and never falls, whatever its steps', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 50 }),
        fc.integer({ min: 1, max: 60 }),
        fc.boolean(),
        (steps, days, holdBack) => {
          const { stages } = planOf({
            stages: templates.linear({ from: 0, to: days * DAY_MS, steps, holdBack }),
          })
          const end = stages.findIndex(({ percentage }) => percentage === (holdBack ? 95 : 100))
          const took = stages.slice(0, end).reduce((sum, { holdMs }) => sum + holdMs, 0)
          expect(end).toBe(steps - 1)
          expect(Math.abs(took - days * DAY_MS)).toBeLessThanOrEqual(steps * 500)
        },
      ),
    )
  })

  it('whose instants are in the wrong order makes stages that are refused', () => {
    const stages = templates.linear({ from: HOUR_MS, to: 0, steps: 3 })
    expect(parsePlan({ ...makePlanDraft(), stages }, GROUND)).toMatchObject({
      ok: false,
      error: [{ path: 'stages[0].hold', rule: 'limit' }, { path: 'stages[1].hold' }],
    })
  })
})

const PARTS = {
  error: 'errors',
  latency: 'latency',
  satisfaction: 'satisfaction',
  critical: 'critical',
  crash: 'crashes',
}

/** Each guardrail in one line. */
function lineOf({ metric, test, action, mode }: Guardrail): string {
  const quantile = test.quantile === null ? '' : ` p${test.quantile * 100}`
  const what =
    test.kind === 'regression'
      ? `+${test.tolerance}`
      : `${test.side} ${test.limit}${test.literal ? ` in ${test.literal.windowMs / 60_000} min` : ''}`
  return `${metric}${quantile} ${what}: ${action} ${mode}`
}

describe('a set of guardrails', () => {
  it.each([
    [
      'strict',
      guardrailSets.strict(PARTS),
      [
        'errors above 0.01: rollback immediate',
        'latency p95 +0.5: rollback immediate',
        'latency p95 above 1000: rollback immediate',
        'satisfaction below 7: rollback immediate',
        'critical above 0.000001 in 5 min: rollback immediate',
      ],
    ],
    [
      'playbook',
      guardrailSets.playbook(PARTS),
      [
        'errors above 0.1 in 5 min: rollback immediate',
        'latency p95 above 5000 in 10 min: rollback gradual',
        'crashes above 0.01 in 5 min: rollback immediate',
      ],
    ],
    [
      'checkpoints',
      guardrailSets.checkpoints(PARTS),
      [
        'latency p50 above 200: pause immediate',
        'latency p95 above 800: pause immediate',
        'latency p99 above 2000: pause immediate',
        'errors above 0.01: notify immediate',
        'errors above 0.05: rollback immediate',
      ],
    ],
    [
      'benchmarks',
      guardrailSets.benchmarks(PARTS),
      ['latency p95 above 200: notify immediate', 'errors above 0.001: notify immediate'],
    ],
    [
      'benchmarks that hold',
      guardrailSets.benchmarks(PARTS, 'pause'),
      ['latency p95 above 200: pause immediate', 'errors above 0.001: pause immediate'],
    ],
    [
      'specification',
      guardrailSets.specification(PARTS),
      ['errors above 0.05: rollback immediate', 'latency p95 +0.5: rollback immediate'],
    ],
  ])('%s', (_, guardrails, expected) => {
    expect(planOf({ guardrails }).guardrails.map(lineOf)).toEqual(expected)
  })

  it('leaves out what no metric plays', () => {
    expect(guardrailSets.strict({ error: 'errors' })).toEqual([
      { metric: 'errors', test: 'threshold', above: 0.01 },
    ])
  })
})
