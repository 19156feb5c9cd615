// OFREP's bulk request answered by flagd's evaluator; no key check, no ETag, nothing counted.
import type { EvaluationContext } from '@openfeature/core'
import { FlagdCore } from '@openfeature/flagd-core'
import { Hono } from 'hono'
import { makeFlagSet, RULES_VARIANTS, type RulesFlag, SEGMENT, SPLIT_VARIANTS } from '../support/flags.ts'
import { COUNTRIES } from '../support/users.ts'
import { FLAG_COUNT } from './flag-count.ts'

type Body = { readonly context?: EvaluationContext }

const METADATA = { owner: 'checkout' }

const HALF = {
  state: 'ENABLED',
  variants: { on: true, off: false },
  defaultVariant: 'off',
  metadata: METADATA,
  targeting: {
    fractional: [
      ['on', 50],
      ['off', 50],
    ],
  },
}

function toRules({ customers, seatsAbove, versionFrom, emailPrefix }: RulesFlag) {
  return {
    state: 'ENABLED',
    variants: Object.fromEntries(RULES_VARIANTS.map((name) => [name, name])),
    defaultVariant: 'none',
    metadata: METADATA,
    targeting: {
      if: [
        { in: [{ var: 'customer' }, customers] },
        'rule-1',
        { '>': [{ var: 'seats' }, seatsAbove] },
        'rule-2',
        { sem_ver: [{ var: 'appVersion' }, '>=', versionFrom] },
        'rule-3',
        { starts_with: [{ var: 'email' }, emailPrefix] },
        'rule-4',
        { $ref: SEGMENT },
        { fractional: SPLIT_VARIANTS.map((variant) => [variant, 25]) },
        'none',
      ],
    },
  }
}

const { halves, rules } = makeFlagSet(FLAG_COUNT)
const core = new FlagdCore(undefined, undefined, { disableDynamicCodeGeneration: true })
core.setConfigurations(
  JSON.stringify({
    flags: Object.fromEntries([
      ...halves.map(({ key }) => [key, HALF] as const),
      ...rules.map((flag) => [flag.key, toRules(flag)] as const),
    ]),
    $evaluators: { [SEGMENT]: { in: [{ var: 'country' }, COUNTRIES] } },
    metadata: { flagSetId: 'production', version: '1' },
  }),
)

export default new Hono().post('/ofrep/v1/evaluate/flags', async (c) => {
  const { context = {} } = await c.req.json<Body>()
  const flags = core.resolveAll(context).map(({ flagKey, value, reason, variant, flagMetadata }) => ({
    key: flagKey,
    value,
    reason,
    variant,
    metadata: flagMetadata,
  }))
  return c.json({ flags, metadata: { flagSetId: 'production', version: '1' } })
})
