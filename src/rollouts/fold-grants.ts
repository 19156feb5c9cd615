// What becomes of grants that nobody watches any more: a part of the flag's own configuration that gives every unit
// what the grants gave it. Pure.
import { BUCKET_COUNT, toBuckets } from '../engine/bucket.ts'
import type { FlagConfiguration, Grant, RolloutGrants, Rule, Serve } from '../engine/flag.ts'
import { err, ok, type Result } from '../engine/result.ts'

/** Why grants cannot become a part of a configuration. */
export type FoldError =
  /** Whoever the grants leave out is split by the fallthrough, which a rule's split cannot ask. */
  'fallthrough_splits'

/** Tells whether grants give everyone the variant. */
export function areForEveryone(grants: readonly Grant[]): boolean {
  return grants.some(({ audience, percentage }) => audience === null && percentage === 100)
}

/** Tells whether grants give nobody anything. */
export function areForNobody(grants: readonly Grant[]): boolean {
  return grants.every(({ percentage }) => percentage === 0)
}

function serveShare({ percentage }: Grant, rollout: RolloutGrants, rest: string): Serve {
  const { variant, by, seed, reversed = false } = rollout
  const weight = toBuckets(percentage)
  if (weight === BUCKET_COUNT || variant === rest) return { variant }
  const granted = { variant, weight }
  const left = { variant: rest, weight: BUCKET_COUNT - weight }
  return { split: { weights: reversed ? [left, granted] : [granted, left], by, seed } }
}

/**
 * Grants as a part of the configuration that they stand before: an audience's becomes a rule at the end, the largest
 * percentage first, because the first rule that matches decides as the largest percentage did; everyone's becomes the
 * fallthrough.
 */
export function foldGrants(
  configuration: FlagConfiguration,
  rollout: RolloutGrants,
): Result<FlagConfiguration, FoldError> {
  if (areForNobody(rollout.grants)) return ok(configuration)
  const { rules, fallthrough } = configuration
  if (areForEveryone(rollout.grants))
    return ok({ ...configuration, fallthrough: { variant: rollout.variant } })
  if (!('variant' in fallthrough)) return err('fallthrough_splits')
  const falling = rollout.grants
    .filter(({ percentage }) => percentage > 0)
    .toSorted((one, other) => other.percentage - one.percentage)
  const everyone = falling.find(({ audience }) => audience === null)
  // What gives no more than everyone has gives nothing.
  const larger = falling.filter(({ percentage }) => percentage > (everyone?.percentage ?? 0))
  const folded = larger.flatMap((grant, index): Rule[] =>
    grant.audience === null
      ? []
      : [
          {
            id: `rollout-${rollout.id}-${index + 1}`,
            when: grant.audience,
            serve: serveShare(grant, rollout, fallthrough.variant),
          },
        ],
  )
  return ok({
    ...configuration,
    rules: [...rules, ...folded],
    fallthrough: everyone ? serveShare(everyone, rollout, fallthrough.variant) : fallthrough,
  })
}
