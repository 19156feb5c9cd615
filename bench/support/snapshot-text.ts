import { writeSnapshotText } from '../../src/engine/snapshot-text.ts'
import { createRandom, type Random } from './random.ts'
import { asParsed } from './users.ts'

const TEAMS = ['checkout', 'search', 'growth', 'platform', 'mobile', 'billing']
const PLANS = ['free', 'starter', 'business', 'enterprise', 'partner']
const COUNTRIES = ['AT', 'BE', 'CH', 'DE', 'DK', 'ES', 'FR', 'GB', 'IT', 'NL', 'NO', 'PL', 'SE', 'US']
const WORDS = [
  'new',
  'checkout',
  'search',
  'banner',
  'price',
  'invoice',
  'mobile',
  'fast',
  'beta',
  'summary',
  'export',
]

const SEGMENT_COUNT = 50

function list<T>(length: number, make: (index: number) => T): T[] {
  return Array.from({ length }, (_, index) => make(index))
}

/** The key of one of a snapshot's flags; keys sort by their number. */
export function flagKey(index: number): string {
  return `flag-${String(index).padStart(6, '0')}`
}

function segmentKey(index: number): string {
  return `segment-${String(index).padStart(3, '0')}`
}

function makeCondition(random: Random) {
  const major = 1 + random.below(9)
  return random.pick([
    { attribute: 'plan', op: 'in', values: [random.pick(PLANS), random.pick(PLANS)] },
    { attribute: 'country', op: 'in', values: list(5, () => random.pick(COUNTRIES)) },
    { attribute: 'appVersion', op: 'semver', values: [`>=${major}.${random.below(20)}.0 <${major + 1}.0.0`] },
    { attribute: 'email', op: 'ends-with', values: [`@customer-${random.below(1_000)}.example.com`] },
    { attribute: 'company.seats', op: 'greater-or-equal', values: [random.below(500)] },
    { segment: segmentKey(random.below(SEGMENT_COUNT)) },
  ])
}

function makeSplit(random: Random, variants: readonly string[]) {
  const weights = variants.map((variant) => ({ variant, weight: 1 + random.below(50) }))
  return { split: { seed: random.uuid(), weights } }
}

function makeFlag(random: Random, targetedUnits: number, boolean = random.below(2) === 0) {
  const variants = boolean
    ? [
        { name: 'on', value: true },
        { name: 'off', value: false },
      ]
    : ['control', 'compact', 'detailed'].map((name) => ({ name, value: `${name}-${random.below(1_000)}` }))
  const names = variants.map(({ name }) => name)
  const rules = list(3, (index) => ({
    id: `rule-${index}`,
    description: list(3, () => random.pick(WORDS)).join(' '),
    when: { all: list(1 + (index % 2), () => makeCondition(random)) },
    serve: index === 2 ? makeSplit(random, names) : { variant: random.pick(names) },
  }))
  return {
    type: boolean ? 'boolean' : 'string',
    variants,
    metadata: { owner: random.pick(TEAMS), ticket: `SHOP-${random.below(10_000)}` },
    clientVisible: random.below(3) === 0,
    enabled: random.below(10) > 0,
    offVariant: names[names.length - 1],
    targets: [{ variant: names[0], units: list(targetedUnits, () => random.uuid()) }],
    rules,
    fallthrough: random.below(2) === 0 ? makeSplit(random, names) : { variant: random.pick(names) },
  }
}

function makeSegment(random: Random) {
  return {
    condition: {
      any: [
        { attribute: 'country', op: 'in', values: list(6, () => random.pick(COUNTRIES)) },
        { attribute: 'plan', op: 'equals', values: [random.pick(PLANS)] },
      ],
    },
    included: list(20, () => random.uuid()),
    excluded: list(5, () => random.uuid()),
  }
}

function makeRollout(random: Random) {
  return {
    id: random.uuid(),
    variant: 'on',
    seed: random.uuid(),
    stage: 1,
    measured: true,
    grants: [
      { audience: { segment: segmentKey(random.below(SEGMENT_COUNT)) }, percentage: 25 },
      { audience: null, percentage: 5 },
    ],
  }
}

/** How many single units each flag targets: what makes a flag of 1,000 about 1 KB, one of 5,000 about 1.6 KB. */
function targetedUnits(flags: number): number {
  return flags > 1_000 ? 15 : 1
}

/** Writes one boolean flag as a snapshot holds it, different for every seed; any rollout suits it. */
export function makeFlagText(seed: number, flags: number): string {
  return JSON.stringify(makeFlag(createRandom(seed), targetedUnits(flags), true))
}

/**
 * Writes a snapshot as an environment in use has it: flags of three rules with targets and metadata, segments, a
 * rollout on some of the boolean flags, keys, settings.
 * @param targeted how many single units each flag targets
 */
export function makeSnapshotText(flags: number, targeted: number = targetedUnits(flags)): string {
  const random = createRandom(3)
  const section = <T>(length: number, key: (index: number) => string, make: (index: number) => T) =>
    new Map(list(length, (index) => [key(index), JSON.stringify(make(index))] as const))
  const flagSection = section(flags, flagKey, () => makeFlag(random, targeted))
  const ramped = [...flagSection].filter(
    ([, text]) => text.startsWith('{"type":"boolean"') && random.below(5) === 0,
  )
  return asParsed(
    writeSnapshotText({
      environment: 'production',
      version: 1,
      sections: {
        flags: flagSection,
        segments: section(SEGMENT_COUNT, segmentKey, () => makeSegment(random)),
        rollouts: new Map(ramped.map(([key]) => [key, JSON.stringify(makeRollout(random))])),
        keys: section(
          20,
          () => random.uuid(),
          (index) => ({ kind: index < 10 ? 'server' : 'client', hash: random.uuid().repeat(2) }),
        ),
        settings: new Map([['checkInterval', '{"seconds":30}']]),
      },
    }),
  )
}
