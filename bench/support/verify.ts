import type { Contender } from './contender.ts'
import { type FlagSet, SPLIT_VARIANTS } from './flags.ts'
import type { User } from './users.ts'

/** The users that `verify` needs: random ones, then one for each rule and one whom no rule matches. */
export type Audience = { readonly users: readonly User[]; readonly probes: readonly string[] }

/** Adds users to the random ones of whom each matches one of the flag's rules, or none. */
export function addProbes(users: readonly User[], flags: FlagSet): Audience {
  const [user] = users
  const [flag] = flags.rules
  if (!user || !flag) throw new Error('there is nobody, or nothing, to probe with')
  const { customers, seatsAbove, versionFrom, emailPrefix } = flag
  const probes: [answer: string, user: User][] = [
    ['rule-1', { ...user, customer: customers[19] ?? '' }],
    ['rule-2', { ...user, seats: seatsAbove + 1 }],
    ['rule-3', { ...user, appVersion: versionFrom }],
    ['rule-3', { ...user, appVersion: '10.0.0' }],
    ['rule-4', { ...user, email: `${emailPrefix}@example.com` }],
    ['none', { ...user, country: 'US' }],
  ]
  return { users: [...users, ...probes.map(([, probe]) => probe)], probes: probes.map(([answer]) => answer) }
}

function checkShare(contender: Contender, what: string, share: number, expected: number) {
  // Five standard deviations of 10,000 users, and the grain of a peer that knows whole percents only.
  if (Math.abs(share - expected) > 0.025) {
    throw new Error(`${contender.name}: ${what} for ${(share * 100).toFixed(1)} % of the users`)
  }
}

/** Makes sure that a contender does the work it is timed for; throws where it does not. */
export async function verify(contender: Contender, flags: FlagSet, { users, probes }: Audience) {
  const randomUsers = users.length - probes.length
  const [half] = flags.halves
  const [rules] = flags.rules
  if (!half || !rules) throw new Error('there are no flags to verify with')

  const counts = new Map<unknown, number>()
  const count = (answer: unknown) => counts.set(answer, (counts.get(answer) ?? 0) + 1)
  for (let user = 0; user < randomUsers; user++) {
    count(await contender.booleanOf(half.key, user))
    count(await contender.variantOf(rules.key, user))
  }
  const shareOf = (answer: unknown) => (counts.get(answer) ?? 0) / randomUsers
  for (const answer of [true, false]) checkShare(contender, String(answer), shareOf(answer), 0.5)
  for (const answer of SPLIT_VARIANTS) checkShare(contender, answer, shareOf(answer), 0.25)
  if (counts.size !== 2 + SPLIT_VARIANTS.length) {
    throw new Error(`${contender.name}: unexpected answers: ${[...counts.keys()].join(', ')}`)
  }

  for (const [index, expected] of probes.entries()) {
    const answer = await contender.variantOf(rules.key, randomUsers + index)
    if (answer !== expected) throw new Error(`${contender.name}: ${answer} where ${expected} was due`)
  }

  const expected = flags.halves.length + flags.rules.length
  for (let user = 0; user < 100; user++) {
    const answered = await contender.answered(user)
    if (answered !== expected) throw new Error(`${contender.name}: ${answered} of ${expected} flags answered`)
  }
}
