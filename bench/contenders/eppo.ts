import {
  EppoClient,
  type Flag,
  MemoryOnlyConfigurationStore,
  VariationType,
} from '@eppo/js-client-sdk-common'
import { type CreateContender, createContexts, toContender } from '../support/contender.ts'
import { type HalfFlag, RULES_VARIANTS, type RulesFlag, SPLIT_VARIANTS } from '../support/flags.ts'
import { COUNTRIES } from '../support/users.ts'

type Allocation = Flag['allocations'][number]
type Condition = NonNullable<Allocation['rules']>[number]['conditions'][number]
type Operator = Condition['operator']

const TOTAL_SHARDS = 10_000

function splitEvenly(salt: string, variants: readonly string[]): Allocation['splits'] {
  const width = TOTAL_SHARDS / variants.length
  return variants.map((variationKey, index) => ({
    variationKey,
    shards: [{ salt, ranges: [{ start: index * width, end: (index + 1) * width }] }],
  }))
}

function toHalf({ key }: HalfFlag): Flag {
  return {
    key,
    enabled: true,
    variationType: VariationType.BOOLEAN,
    variations: { on: { key: 'on', value: true }, off: { key: 'off', value: false } },
    allocations: [{ key: 'half', splits: splitEvenly(key, ['on', 'off']), doLog: false }],
    totalShards: TOTAL_SHARDS,
  }
}

function toCondition(attribute: string, operator: `${Operator}`, value: unknown): Condition {
  return { attribute, operator, value } as Condition
}

function toRules({ key, customers, seatsAbove, versionFrom, emailPrefix }: RulesFlag): Flag {
  const rule = (variationKey: string, condition: Condition): Allocation => ({
    key: variationKey,
    rules: [{ conditions: [condition] }],
    splits: [{ variationKey, shards: [] }],
    doLog: false,
  })
  return {
    key,
    enabled: true,
    variationType: VariationType.STRING,
    variations: Object.fromEntries(RULES_VARIANTS.map((name) => [name, { key: name, value: name }])),
    allocations: [
      rule('rule-1', toCondition('customer', 'ONE_OF', customers)),
      rule('rule-2', toCondition('seats', 'GT', seatsAbove)),
      rule('rule-3', toCondition('appVersion', 'GTE', versionFrom)),
      // There is no starts-with.
      rule('rule-4', toCondition('email', 'MATCHES', `^${emailPrefix}`)),
      {
        key: 'countries',
        // There are no segments; its server writes an audience's conditions into each flag.
        rules: [{ conditions: [toCondition('country', 'ONE_OF', COUNTRIES)] }],
        splits: splitEvenly(key, SPLIT_VARIANTS),
        doLog: false,
      },
      { key: 'none', splits: [{ variationKey: 'none', shards: [] }], doLog: false },
    ],
    totalShards: TOTAL_SHARDS,
  }
}

/** Eppo's client with its flags in memory; assignments are not logged. */
export const createEppo: CreateContender = async (flags, users) => {
  const store = new MemoryOnlyConfigurationStore<Flag>()
  await store.setEntries(
    Object.fromEntries(
      [...flags.halves.map(toHalf), ...flags.rules.map(toRules)].map((flag) => [flag.key, flag]),
    ),
  )
  const client = new EppoClient({ flagConfigurationStore: store })
  const contextOf = createContexts(users, ({ id, ...attributes }) => ({ id, attributes }))
  const half = (key: string, user: number) => {
    const { id, attributes } = contextOf(user)
    return client.getBooleanAssignmentDetails(key, id, attributes, false)
  }
  const rules = (key: string, user: number) => {
    const { id, attributes } = contextOf(user)
    return client.getStringAssignmentDetails(key, id, attributes, '')
  }
  return toContender({
    name: 'Eppo',
    half,
    rules,
    // Its call for all flags makes an obfuscated text for browsers; one by one is the lesser work.
    all: (user) => [
      ...flags.halves.map(({ key }) => half(key, user)),
      ...flags.rules.map(({ key }) => rules(key, user)),
    ],
    readHalf: ({ variation, evaluationDetails }) =>
      evaluationDetails.flagEvaluationCode === 'MATCH' ? variation : undefined,
    readRules: ({ variation }) => variation,
    countAll: (answers) =>
      answers.filter(({ evaluationDetails }) => evaluationDetails.flagEvaluationCode === 'MATCH').length,
  })
}
