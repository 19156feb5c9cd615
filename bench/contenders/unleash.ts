import { EventEmitter } from 'node:events'
import { PayloadType, Unleash } from 'unleash-client'
import { type CreateContender, createContexts, toContender } from '../support/contender.ts'
import { type HalfFlag, type RulesFlag, SPLIT_VARIANTS } from '../support/flags.ts'
import { COUNTRIES } from '../support/users.ts'

type Repository = NonNullable<ConstructorParameters<typeof Unleash>[0]['repository']>
type Feature = ReturnType<Repository['getToggles']>[number]
type Segment = NonNullable<ReturnType<Repository['getSegment']>>
type Constraint = Segment['constraints'][number]
type Strategy = NonNullable<Feature['strategies']>[number]

const SEGMENT_ID = 1

/** A repository that holds its features in maps, as the client's own does, and never asks a server. */
class MemoryRepository extends EventEmitter implements Repository {
  private readonly features: ReadonlyMap<string, Feature>
  private readonly segment: Segment

  constructor(features: readonly Feature[], segment: Segment) {
    super()
    this.features = new Map(features.map((feature) => [feature.name, feature]))
    this.segment = segment
  }

  getToggle(name: string) {
    return this.features.get(name)
  }

  getToggles() {
    return [...this.features.values()]
  }

  getTogglesWithSegmentData() {
    return []
  }

  getSegment(id: number) {
    return id === this.segment.id ? this.segment : undefined
  }

  async start() {
    this.emit('ready')
  }

  stop() {}
}

type Operator = Constraint['operator']

function toConstraint(
  contextName: string,
  operator: `${Operator}`,
  operand: Partial<Constraint>,
): Constraint {
  return { contextName, operator: operator as Operator, inverted: false, values: [], ...operand }
}

function toStrategy(
  groupId: string,
  rollout: number,
  variants: readonly string[],
  where: Pick<Strategy, 'constraints' | 'segments'>,
): Strategy {
  return {
    name: 'flexibleRollout',
    parameters: { groupId, rollout: String(rollout), stickiness: 'userId' },
    variants: variants.map((name) => ({
      name,
      weight: 1_000 / variants.length,
      stickiness: 'userId',
      payload: { type: PayloadType.STRING, value: name },
    })),
    ...where,
  }
}

function toHalf({ key }: HalfFlag): Feature {
  return { name: key, enabled: true, strategies: [toStrategy(key, 50, [], { constraints: [] })] }
}

function toRules({ key, customers, seatsAbove, versionFrom, emailPrefix }: RulesFlag): Feature {
  const rule = (variant: string, constraint: Constraint) =>
    toStrategy(key, 100, [variant], { constraints: [constraint] })
  return {
    name: key,
    enabled: true,
    strategies: [
      rule('rule-1', toConstraint('customer', 'IN', { values: [...customers] })),
      rule('rule-2', toConstraint('seats', 'NUM_GT', { value: seatsAbove })),
      rule('rule-3', toConstraint('appVersion', 'SEMVER_GTE', { value: versionFrom })),
      rule('rule-4', toConstraint('email', 'STR_STARTS_WITH', { values: [emailPrefix] })),
      toStrategy(key, 100, SPLIT_VARIANTS, { constraints: [], segments: [SEGMENT_ID] }),
    ],
  }
}

/** Unleash's client without a server: features in memory, no metrics. It gives no reasons. */
export const createUnleash: CreateContender = async (flags, users) => {
  const unleash = new Unleash({
    appName: 'bench',
    url: 'http://localhost/api',
    repository: new MemoryRepository([...flags.halves.map(toHalf), ...flags.rules.map(toRules)], {
      id: SEGMENT_ID,
      constraints: [toConstraint('country', 'IN', { values: [...COUNTRIES] })],
    }),
    disableMetrics: true,
    disableAutoStart: true,
  })
  await unleash.start()
  const contextOf = createContexts(users, ({ id, ...properties }) => ({ userId: id, properties }))
  return toContender({
    name: 'Unleash',
    half: (key, user) => unleash.isEnabled(key, contextOf(user)),
    rules: (key, user) => unleash.getVariant(key, contextOf(user)),
    // It has no call for all flags.
    all: (user) => [
      ...flags.halves.map(({ key }) => unleash.isEnabled(key, contextOf(user))),
      ...flags.rules.map(({ key }) => unleash.getVariant(key, contextOf(user))),
    ],
    readHalf: (enabled) => enabled,
    readRules: ({ name, enabled }) => (enabled ? name : 'none'),
    countAll: (answers) => answers.filter((answer) => typeof answer === 'boolean' || answer.enabled).length,
  })
}
