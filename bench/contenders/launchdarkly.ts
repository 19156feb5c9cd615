import { init } from '@launchdarkly/node-server-sdk'
import { TestData } from '@launchdarkly/node-server-sdk/integrations'
import { type CreateContender, createContexts, toContender } from '../support/contender.ts'
import { type HalfFlag, RULES_VARIANTS, type RulesFlag, SEGMENT, SPLIT_VARIANTS } from '../support/flags.ts'
import { COUNTRIES } from '../support/users.ts'

type Operand = { readonly op: string; readonly values: readonly unknown[]; readonly negate?: boolean }

function toClause(attribute: string, { op, values, negate = false }: Operand) {
  return { contextKind: 'user', attribute, op, values, negate }
}

const COMMON = { version: 1, on: true, prerequisites: [], targets: [], contextTargets: [] }

function toHalf({ key }: HalfFlag) {
  const variations = [0, 1].map((variation) => ({ variation, weight: 50_000 }))
  return {
    ...COMMON,
    key,
    salt: key,
    variations: [true, false],
    offVariation: 1,
    rules: [],
    fallthrough: { rollout: { contextKind: 'user', variations } },
  }
}

function toRules({ key, customers, seatsAbove, versionFrom, emailPrefix }: RulesFlag) {
  const rule = (variant: (typeof RULES_VARIANTS)[number], clause: object) => ({
    id: variant,
    clauses: [clause],
    variation: RULES_VARIANTS.indexOf(variant),
  })
  const variations = SPLIT_VARIANTS.map((name) => ({
    variation: RULES_VARIANTS.indexOf(name),
    weight: 25_000,
  }))
  return {
    ...COMMON,
    key,
    salt: key,
    variations: RULES_VARIANTS,
    offVariation: 0,
    rules: [
      rule('rule-1', toClause('customer', { op: 'in', values: customers })),
      rule('rule-2', toClause('seats', { op: 'greaterThan', values: [seatsAbove] })),
      // There is no "or later"; it is "not earlier".
      rule('rule-3', toClause('appVersion', { op: 'semVerLessThan', values: [versionFrom], negate: true })),
      rule('rule-4', toClause('email', { op: 'startsWith', values: [emailPrefix] })),
      {
        id: 'countries',
        clauses: [toClause('', { op: 'segmentMatch', values: [SEGMENT] })],
        rollout: { contextKind: 'user', variations },
      },
    ],
    fallthrough: { variation: 0 },
  }
}

/**
 * LaunchDarkly's SDK on its own test data, without network and events. (Its `offline` option is of no use here: it
 * answers defaults.) Its answers are promises, which the timing awaits a slice at a time.
 */
export const createLaunchDarkly: CreateContender = async (flags, users) => {
  const data = new TestData()
  await data.usePreconfiguredSegment({
    key: SEGMENT,
    version: 1,
    included: [],
    excluded: [],
    salt: SEGMENT,
    rules: [{ id: 'countries', clauses: [toClause('country', { op: 'in', values: COUNTRIES })] }],
  })
  for (const flag of flags.halves) await data.usePreconfiguredFlag(toHalf(flag))
  for (const flag of flags.rules) await data.usePreconfiguredFlag(toRules(flag))
  const client = init('sdk-key', {
    updateProcessor: data.getFactory(),
    sendEvents: false,
    diagnosticOptOut: true,
    logger: { error: console.error, warn: console.warn, info: () => {}, debug: () => {} },
  })
  await client.waitForInitialization({ timeout: 10 })
  const contextOf = createContexts(users, ({ id, ...attributes }) => ({
    kind: 'user',
    key: id,
    ...attributes,
  }))
  return toContender({
    name: 'LaunchDarkly',
    half: (key, user) => client.variationDetail(key, contextOf(user), null),
    rules: (key, user) => client.variationDetail(key, contextOf(user), null),
    all: (user) => client.allFlagsState(contextOf(user), { withReasons: true }),
    readHalf: ({ value }) => value,
    readRules: ({ value }) => value,
    countAll: (state) => Object.values(state.allValues()).filter((value) => value !== null).length,
  })
}
