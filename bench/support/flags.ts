import { createRandom, type Random } from './random.ts'

/** S1: true for half of the users, by their id. */
export type HalfFlag = { readonly key: string }

/**
 * S2: five rules in this order. The first four answer `rule-1` to `rule-4`, the fifth (the user is in the segment
 * of countries) splits evenly into `a`, `b`, `c`, `d`; whom no rule matches gets `none`.
 */
export type RulesFlag = {
  readonly key: string
  /** Rule 1: the customer is one of these 20. */
  readonly customers: readonly string[]
  /** Rule 2: more seats than this. */
  readonly seatsAbove: number
  /** Rule 3: this app version or a later one. */
  readonly versionFrom: string
  /** Rule 4: the e-mail address starts with this. */
  readonly emailPrefix: string
}

/** What every contender is set up with, in its own format. */
export type FlagSet = { readonly halves: readonly HalfFlag[]; readonly rules: readonly RulesFlag[] }

/** All that a flag of five rules can answer. */
export const RULES_VARIANTS = ['none', 'rule-1', 'rule-2', 'rule-3', 'rule-4', 'a', 'b', 'c', 'd'] as const

/** The variants that the last rule splits into. */
export const SPLIT_VARIANTS = ['a', 'b', 'c', 'd'] as const

/** The segment that the fifth rule asks for. */
export const SEGMENT = 'europe'

function makeRulesFlag(key: string, random: Random): RulesFlag {
  return {
    key,
    customers: Array.from({ length: 20 }, () => `customer-${random.below(10_000)}`),
    seatsAbove: 100 + random.below(900),
    versionFrom: `${5 + random.below(5)}.${random.below(20)}.0`,
    emailPrefix: `test-${random.below(1_000)}`,
  }
}

/** Makes a set of flags, half of each sort. */
export function makeFlagSet(count: number): FlagSet {
  const random = createRandom(1)
  const numbered = <T>(make: (number: string) => T) =>
    Array.from({ length: count / 2 }, (_, index) => make(String(index).padStart(4, '0')))
  return {
    halves: numbered((number) => ({ key: `half-${number}` })),
    rules: numbered((number) => makeRulesFlag(`rules-${number}`, random)),
  }
}
