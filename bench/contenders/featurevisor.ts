import { createInstance } from '@featurevisor/sdk'
import { type CreateContender, createContexts, toContender } from '../support/contender.ts'
import { RULES_VARIANTS, type RulesFlag, SEGMENT, SPLIT_VARIANTS } from '../support/flags.ts'
import { COUNTRIES } from '../support/users.ts'

type Datafile = Exclude<NonNullable<Parameters<typeof createInstance>[0]['datafile']>, string>
type Feature = Datafile['features'][string]

const EVERYONE = 100_000

const HALF: Feature = {
  bucketBy: 'userId',
  traffic: [{ key: 'half', segments: '*', percentage: EVERYONE / 2 }],
}

function toRules({ key }: RulesFlag): Feature {
  const rule = (variation: string, segment: string) => ({
    key: variation,
    segments: segment,
    percentage: EVERYONE,
    variation,
  })
  return {
    bucketBy: 'userId',
    variations: RULES_VARIANTS.map((value) => ({ value })),
    traffic: [
      rule('rule-1', `${key}-customers`),
      rule('rule-2', `${key}-seats`),
      rule('rule-3', `${key}-version`),
      rule('rule-4', `${key}-email`),
      {
        key: 'countries',
        segments: SEGMENT,
        percentage: EVERYONE,
        allocation: SPLIT_VARIANTS.map((variation, index) => ({
          variation,
          // Its ranges include both ends.
          range: [index * 25_000 + (index === 0 ? 0 : 1), (index + 1) * 25_000],
        })),
      },
      rule('none', '*'),
    ],
  }
}

/** A rule's conditions live in segments, so each of the rules has one of its own. */
function toSegments({
  key,
  customers,
  seatsAbove,
  versionFrom,
  emailPrefix,
}: RulesFlag): Datafile['segments'] {
  return {
    [`${key}-customers`]: {
      conditions: [{ attribute: 'customer', operator: 'in', value: [...customers] }],
    },
    [`${key}-seats`]: { conditions: [{ attribute: 'seats', operator: 'greaterThan', value: seatsAbove }] },
    [`${key}-version`]: {
      conditions: [{ attribute: 'appVersion', operator: 'semverGreaterThanOrEquals', value: versionFrom }],
    },
    [`${key}-email`]: { conditions: [{ attribute: 'email', operator: 'startsWith', value: emailPrefix }] },
  }
}

/** Featurevisor's SDK on a datafile. */
export const createFeaturevisor: CreateContender = (flags, users) => {
  const segments: Datafile['segments'] = {
    [SEGMENT]: { conditions: [{ attribute: 'country', operator: 'in', value: [...COUNTRIES] }] },
  }
  const instance = createInstance({
    logLevel: 'error',
    datafile: {
      schemaVersion: '2',
      revision: '1',
      segments: Object.assign(segments, ...flags.rules.map(toSegments)),
      features: Object.fromEntries([
        ...flags.halves.map(({ key }) => [key, HALF] as const),
        ...flags.rules.map((flag) => [flag.key, toRules(flag)] as const),
      ]),
    },
  })
  const contextOf = createContexts(users, ({ id, ...attributes }) => ({ userId: id, ...attributes }))
  return toContender({
    name: 'Featurevisor',
    half: (key, user) => instance.evaluateFlag(key, contextOf(user)),
    rules: (key, user) => instance.evaluateVariation(key, contextOf(user)),
    all: (user) => instance.getAllEvaluations(contextOf(user)),
    readHalf: ({ enabled }) => enabled,
    readRules: ({ variation }) => variation?.value,
    countAll: (answers) => Object.values(answers).filter(({ enabled }) => enabled !== undefined).length,
  })
}
