import { type FlagSet, RULES_VARIANTS, type RulesFlag, SEGMENT, SPLIT_VARIANTS } from './flags.ts'
import { COUNTRIES } from './users.ts'

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

/** A set of flags as flagd is configured with it, each flag with this metadata. */
export function toFlagdConfiguration(
  { halves, rules }: FlagSet,
  metadata: { readonly [key: string]: string },
): string {
  return JSON.stringify({
    flags: Object.fromEntries([
      ...halves.map(({ key }) => [key, { ...HALF, metadata }] as const),
      ...rules.map((flag) => [flag.key, { ...toRules(flag), metadata }] as const),
    ]),
    $evaluators: { [SEGMENT]: { in: [{ var: 'country' }, COUNTRIES] } },
    metadata: { flagSetId: 'production', version: '1' },
  })
}
