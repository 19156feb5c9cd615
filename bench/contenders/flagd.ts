import { FlagdCore } from '@openfeature/flagd-core'
import { type CreateContender, createContexts, toContender } from '../support/contender.ts'
import { RULES_VARIANTS, type RulesFlag, SEGMENT, SPLIT_VARIANTS } from '../support/flags.ts'
import { COUNTRIES } from '../support/users.ts'

const HALF = {
  state: 'ENABLED',
  variants: { on: true, off: false },
  defaultVariant: 'off',
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

/** flagd's evaluator, interpreting its rules: a Worker forbids the code generation that it prefers elsewhere. */
export const createFlagd: CreateContender = (flags, users) => {
  const core = new FlagdCore(undefined, undefined, { disableDynamicCodeGeneration: true })
  core.setConfigurations(
    JSON.stringify({
      flags: Object.fromEntries([
        ...flags.halves.map(({ key }) => [key, HALF] as const),
        ...flags.rules.map((flag) => [flag.key, toRules(flag)] as const),
      ]),
      $evaluators: { [SEGMENT]: { in: [{ var: 'country' }, COUNTRIES] } },
    }),
  )
  const contextOf = createContexts(users, ({ id, customer, seats, appVersion, email, country }) => ({
    targetingKey: id,
    customer,
    seats,
    appVersion,
    email,
    country,
  }))
  return toContender({
    name: 'flagd-core',
    half: (key, user) => core.resolveBooleanEvaluation(key, false, contextOf(user)),
    rules: (key, user) => core.resolveStringEvaluation(key, '', contextOf(user)),
    all: (user) => core.resolveAll(contextOf(user)),
    readHalf: ({ reason, value }) => (reason === 'TARGETING_MATCH' ? value : undefined),
    readRules: ({ reason, value }) => (reason === 'TARGETING_MATCH' ? value : undefined),
    countAll: (answers) => answers.filter(({ value }) => value !== undefined).length,
  })
}
