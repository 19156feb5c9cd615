import { expect, it } from 'vitest'
import type { Plan } from '../../../src/rollouts/plan.ts'
import { planWarnings } from '../../../src/rollouts/plan-warnings.ts'
import { DAY_MS, MINUTE_MS, makeGuardrail, makePlan, makeStage } from '../../support/rollouts.ts'

const LIMIT = { kind: 'threshold', side: 'above', limit: 0.05, quantile: null, literal: null } as const
const LITERAL = { ...LIMIT, literal: { windowMs: 5 * MINUTE_MS } }
const HELD_BACK = [50, 95, 100].map((percentage) => makeStage({ percentage, holdMs: 7 * DAY_MS }))

/** A plan that holds 5 % back and has a limit: nothing to warn of. */
function sound(overrides: Partial<Plan> = {}): Plan {
  const guardrails = [makeGuardrail(), makeGuardrail({ id: 'limit', test: LIMIT })]
  return makePlan({ stages: HELD_BACK, guardrails, ...overrides })
}

it.each<[string, Plan, readonly string[]]>([
  ['nothing', sound(), []],
  ['nothing that watches', sound({ guardrails: [] }), ['no_guardrails guardrails']],
  [
    'nobody to compare with',
    sound({ stages: [makeStage(), makeStage({ percentage: 100 })] }),
    ['no_hold_back stages[1]'],
  ],
  [
    'nobody to compare with for more than an hour',
    sound({ stages: [makeStage({ percentage: 95 }), makeStage({ percentage: 100 })] }),
    ['no_hold_back stages[1]'],
  ],
  ['nobody who ever has it all', sound({ stages: [makeStage()] }), []],
  [
    'nothing that could take it back at 100 %',
    sound({ guardrails: [makeGuardrail()] }),
    ['blind_at_100 stages[2]'],
  ],
  [
    'a limit at 100 % that only notifies',
    sound({ guardrails: [makeGuardrail(), makeGuardrail({ id: 'limit', test: LIMIT, action: 'notify' })] }),
    ['blind_at_100 stages[2]'],
  ],
  [
    'comparisons that only notify',
    sound({ guardrails: [makeGuardrail({ action: 'notify' })], stages: [makeStage({ percentage: 100 })] }),
    [],
  ],
  ['a rule', sound({ guardrails: [makeGuardrail({ test: LITERAL })] }), ['literal_rule guardrails[0]']],
  [
    'a part of everyone',
    sound({ guardrails: [makeGuardrail({ test: LIMIT, mode: 'partial' })] }),
    ['partial_of_everyone guardrails[0].mode'],
  ],
])('warns of %s', (_, plan, expected) => {
  expect(planWarnings(plan, []).map(({ code, path }) => `${code} ${path}`)).toEqual(expected)
})

it('says how often a rule goes off while nothing is wrong', () => {
  const [warning] = planWarnings(sound({ guardrails: [makeGuardrail({ test: LITERAL })] }), [])
  expect(warning?.message).toMatch(
    /^checkout-error over 5 min is a rule and no test: alpha does not cover it\. While all is twice as good as it demands, it goes off .+ with 100, .+ with 1,000 units in a window$/,
  )
})

it('warns of each metric that another rollout watches too', () => {
  const other = {
    id: 'other0000000',
    plan: {
      flag: 'new-search',
      guardrails: [makeGuardrail(), makeGuardrail({ id: 'paid', metric: 'paid' })],
    },
  }
  expect(planWarnings(sound(), [other])).toEqual([
    {
      code: 'shared_metric',
      path: 'guardrails[0].metric',
      message:
        'checkout-error is watched by new-search (other0000000) too: what one of them breaks may take back new-checkout',
    },
  ])
})
