// Which flags have had their day. Pure: what is configured and what was evaluated are handed in, time too. What is not
// known never makes a flag stale.
import type { FlagConfiguration, Serve } from '../engine/flag.ts'

const DAY_MS = 86_400_000
/** How long a flag must have stood still. */
const STALE_AFTER_MS = 30 * DAY_MS

/** How one flag was evaluated in one environment; instants in milliseconds since 1970, to the minute or later. */
export type FlagActivity = {
  readonly firstEvaluatedAt: number
  readonly lastEvaluatedAt: number
  /** When each variant was last answered; null is no variant, after an error too. */
  readonly variants: ReadonlyMap<string | null, number>
}

/** What is known of the evaluations in one environment. */
export type EnvironmentActivity = {
  /** When evaluations were first counted; null: never. */
  readonly knownSince: number | null
  /** When flags were last evaluated without being counted, by whoever fetched a snapshot; null: never. */
  readonly uncountedAt: number | null
  /** Whether part of what was counted could not be read. */
  readonly partial: boolean
  readonly flags: ReadonlyMap<string, FlagActivity>
}

/** What staleness depends on in the flag itself. */
export type FlagFacts = {
  readonly key: string
  readonly temporary: boolean
  readonly createdAt: number
  readonly archived: boolean
  /** Whether another flag asks it, in any environment: such evaluations are counted for the other flag alone. */
  readonly isPrerequisite: boolean
}

/** What a flag is in one environment. */
export type FlagState = {
  readonly configuration: FlagConfiguration
  /** Whether a rollout decides some of its answers. */
  readonly rollingOut: boolean
  /** When configuration or rollout last changed, in milliseconds since 1970. */
  readonly changedAt: number
}

/** Why a flag is stale. */
export type StaleReason = 'not_evaluated' | 'fully_rolled_out' | 'one_variant'

export type Staleness = {
  readonly reason: StaleReason
  readonly message: string
  /** Since when it has been so, in milliseconds since 1970. */
  readonly since: number
}

/** The only variant that a flag has answered since an instant. */
export type OnlyVariant = { readonly variant: string | null; readonly since: number }

/** How a flag was evaluated in all environments together; undefined when it never was. */
export function overallActivity(
  flag: string,
  environments: readonly EnvironmentActivity[],
): FlagActivity | undefined {
  const activities = environments.flatMap(({ flags }) => flags.get(flag) ?? [])
  if (activities.length === 0) return undefined
  const variants = new Map<string | null, number>()
  for (const [variant, at] of activities.flatMap((activity) => [...activity.variants])) {
    variants.set(variant, Math.max(at, variants.get(variant) ?? at))
  }
  return {
    firstEvaluatedAt: Math.min(...activities.map(({ firstEvaluatedAt }) => firstEvaluatedAt)),
    lastEvaluatedAt: Math.max(...activities.map(({ lastEvaluatedAt }) => lastEvaluatedAt)),
    variants,
  }
}

/** The variant that was answered last, and since when no other was; undefined when two were answered last. */
export function onlyVariant({ firstEvaluatedAt, variants }: FlagActivity): OnlyVariant | undefined {
  const [last, other] = [...variants].sort(([, a], [, b]) => b - a)
  if (!last || last[1] === other?.[1]) return undefined
  return { variant: last[0], since: other?.[1] ?? firstEvaluatedAt }
}

/** Since when every evaluation up to now is known; undefined when some are not. */
function knownSince(environments: readonly EnvironmentActivity[]): number | undefined {
  if (environments.some(({ partial }) => partial)) return undefined
  // Counting began everywhere at once, so an environment without any count is one that nobody asks.
  const begun = environments.flatMap(({ knownSince }) => knownSince ?? [])
  const uncounted = environments.flatMap(({ uncountedAt }) => uncountedAt ?? [])
  return begun.length === 0 ? undefined : Math.max(Math.min(...begun), ...uncounted)
}

function servesOnly(serve: Serve, variant: string): boolean {
  if ('variant' in serve) return serve.variant === variant
  return serve.split.weights.every((part) => part.weight === 0 || part.variant === variant)
}

/** The variant that a flag answers whatever it is asked; undefined when that depends, or is none. */
function answerOf({ configuration, rollingOut }: FlagState): string | undefined {
  const { enabled, fallthrough, offVariant, prerequisites, targets, rules } = configuration
  // A fallthrough that splits fails for those who lack the unit.
  if (!enabled || rollingOut || !('variant' in fallthrough)) return undefined
  const { variant } = fallthrough
  const isCertain =
    (prerequisites.length === 0 || offVariant === variant) &&
    targets.every((target) => target.variant === variant) &&
    rules.every(({ serve }) => servesOnly(serve, variant))
  return isCertain ? variant : undefined
}

/** The same answer in every environment, and since when at least; undefined when there is none. */
function rolledOut(states: readonly FlagState[]): OnlyVariant | undefined {
  const [variant, ...others] = new Set(states.map(answerOf))
  if (variant === undefined || others.length > 0) return undefined
  return { variant, since: Math.max(...states.map(({ changedAt }) => changedAt)) }
}

/**
 * Judges a flag: nobody has asked it for 30 days; or, if it is temporary, it can answer only one variant, or has
 * answered only one to everyone, for 30 days.
 * @param states one for each environment
 * @param environments what is known of each environment's evaluations
 * @returns the first of these that holds; null when the flag is not stale, or too little is known to say so
 */
export function staleness(
  flag: FlagFacts,
  states: readonly FlagState[],
  environments: readonly EnvironmentActivity[],
  now: number,
): Staleness | null {
  const before = now - STALE_AFTER_MS
  if (flag.archived || flag.createdAt > before) return null
  const days = (since: number) => `${Math.floor((now - since) / DAY_MS)} days`
  const known = flag.isPrerequisite ? undefined : knownSince(environments)
  const isKnown = known !== undefined && known <= before
  const activity = overallActivity(flag.key, environments)

  if (isKnown && (activity?.lastEvaluatedAt ?? before) <= before) {
    const since = activity?.lastEvaluatedAt ?? Math.max(known, flag.createdAt)
    return { reason: 'not_evaluated', message: `nobody has evaluated it for ${days(since)}`, since }
  }
  if (!flag.temporary) return null

  const rollout = rolledOut(states)
  if (rollout && rollout.since <= before) {
    const message = `it can answer only "${rollout.variant}" in every environment, unchanged for ${days(rollout.since)}`
    return { reason: 'fully_rolled_out', message, since: rollout.since }
  }
  const only = isKnown && activity ? onlyVariant(activity) : undefined
  if (only && only.variant !== null && only.since <= before) {
    const message = `it has answered "${only.variant}" to everyone for ${days(only.since)}`
    return { reason: 'one_variant', message, since: only.since }
  }
  return null
}
