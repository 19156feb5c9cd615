import { type FeatureDefinition, GrowthBookClient } from '@growthbook/growthbook'
import { type CreateContender, createContexts, toContender } from '../support/contender.ts'
import { type HalfFlag, type RulesFlag, SEGMENT, SPLIT_VARIANTS } from '../support/flags.ts'
import { COUNTRIES } from '../support/users.ts'

function toHalf({ key }: HalfFlag): FeatureDefinition {
  return {
    defaultValue: false,
    rules: [{ force: true, coverage: 0.5, hashAttribute: 'id', seed: key, hashVersion: 2 }],
  }
}

function toRules({ key, customers, seatsAbove, versionFrom, emailPrefix }: RulesFlag): FeatureDefinition {
  return {
    defaultValue: 'none',
    rules: [
      { condition: { customer: { $in: customers } }, force: 'rule-1' },
      { condition: { seats: { $gt: seatsAbove } }, force: 'rule-2' },
      { condition: { appVersion: { $vgte: versionFrom } }, force: 'rule-3' },
      // There is no starts-with; its own interface writes one as a regular expression, which is cached.
      { condition: { email: { $regex: `^${emailPrefix}` } }, force: 'rule-4' },
      {
        condition: { country: { $inGroup: SEGMENT } },
        key,
        seed: key,
        hashAttribute: 'id',
        hashVersion: 2,
        coverage: 1,
        variations: [...SPLIT_VARIANTS],
        weights: SPLIT_VARIANTS.map(() => 0.25),
      },
    ],
  }
}

/** GrowthBook's client for servers, its one instance shared by all users. */
export const createGrowthBook: CreateContender = (flags, users) => {
  const client = new GrowthBookClient().initSync({
    payload: {
      features: Object.fromEntries([
        ...flags.halves.map((flag) => [flag.key, toHalf(flag)] as const),
        ...flags.rules.map((flag) => [flag.key, toRules(flag)] as const),
      ]),
      savedGroups: { [SEGMENT]: [...COUNTRIES] },
    },
  })
  const keys = [...flags.halves, ...flags.rules].map(({ key }) => key)
  const contextOf = createContexts(users, (user) => ({ attributes: { ...user } }))
  return toContender({
    name: 'GrowthBook',
    half: (key, user) => client.evalFeature(key, contextOf(user)),
    rules: (key, user) => client.evalFeature(key, contextOf(user)),
    // It has no call for all flags.
    all: (user) => keys.map((key) => client.evalFeature(key, contextOf(user))),
    readHalf: ({ value }) => value,
    readRules: ({ value }) => value,
    countAll: (answers) => answers.filter(({ value }) => value !== null).length,
  })
}
