// What a drafted configuration would do to the units, before it is saved. Pure: no clock, no chance. What can be
// counted over all buckets is counted; the rest is seen by evaluating the flag as it is and as it may become.
import { murmur3 } from '../engine/bucket.ts'
import type { EvaluationContext } from '../engine/context.ts'
import type { Flag } from '../engine/flag.ts'
import type { SnapshotText } from '../engine/snapshot-text.ts'
import { type Answer, answersOf } from './preview-answers.ts'
import { findWarnings, type Warning } from './preview-warnings.ts'
import {
  type Comparison,
  compareServed,
  compareSplits,
  decidesAlike,
  keepsUnits,
  type Place,
  soleServed,
} from './split-moves.ts'
import { openSurroundings } from './surroundings.ts'
import { createSyntheticContexts } from './synthetic-contexts.ts'
import { type Transition, TransitionCounts } from './transitions.ts'

/** From how many contexts on those that were seen are taken for the units. */
export const MIN_SEEN_CONTEXTS = 50
/** How many contexts are made where too few were seen. */
export const SYNTHETIC_CONTEXTS = 2_000

export type PreviewInput = {
  readonly before: Flag
  /** The same flag with the draft; its rollout is the one that it has. */
  readonly after: Flag
  /** The environment's sections `segments`, `rollouts` and `flags`, of which prerequisites suffice. */
  readonly others: SnapshotText['sections']
  /** Contexts seen lately; may be empty. */
  readonly contexts: readonly EvaluationContext[]
  /** Milliseconds since 1970. */
  readonly now: number
}

/**
 * A share, 0 to 1, of all units; exact when it holds for whatever units there are. Contexts that lack the unit of a
 * split are none: see the warning `needs_unit`.
 */
export type Figure = { readonly share: number; readonly exact: boolean }

/**
 * What a draft would do. `changed`: another variant is answered, or one instead of the caller's default. `moved`:
 * the variant was chosen by a split and is now another one, chosen by a split: what must not happen by accident.
 * A rollout is no split. All figures are shares, 0 to 1.
 */
export type Preview = {
  /** The places that stand before and after and serve something else, as shares of the units that reach them. */
  readonly splits: readonly ({ readonly place: Place } & Comparison)[]
  /** The whole flag, by evaluating it on contexts; those that were made are no picture of the traffic. */
  readonly sample: {
    readonly size: number
    readonly source: 'seen' | 'synthetic'
    readonly changed: number
    readonly moved: number
    readonly transitions: readonly Transition[]
  }
  readonly changed: Figure
  readonly moved: Figure
  readonly warnings: readonly Warning[]
}

function isMoved(from: Answer, to: Answer): boolean {
  return from.split && to.split && from.variant !== to.variant
}

function compareAnswers(before: readonly Answer[], after: readonly Answer[]) {
  const counts = new TransitionCounts()
  let moved = 0
  for (const [index, from] of before.entries()) {
    const to = after[index]
    if (!to) continue
    counts.add(from.variant, to.variant, 1)
    if (isMoved(from, to)) moved++
  }
  return { changed: counts.changed(), moved: moved / before.length, transitions: counts.transitions() }
}

function whatIsOff({ offVariant }: Flag): Answer {
  return { variant: offVariant, step: 'off', split: false, rule: -1 }
}

/** The best figures for the whole flag: counted where the whole flag is one place, else those of the sample. */
function judge(before: Flag, after: Flag, sample: Preview['sample']): { changed: Figure; moved: Figure } {
  const none = { share: 0, exact: true }
  if (decidesAlike(before, after)) return { changed: none, moved: none }
  const keeps = keepsUnits(before, after)
  const [from, to] = [soleServed(before), soleServed(after)]
  const whole = from && to ? compareServed(from, to) : { ...sample, exact: false }
  return {
    changed: { share: whole.changed, exact: whole.exact },
    moved: keeps ? none : { share: whole.moved, exact: whole.exact },
  }
}

/** Tells what a draft would do to the units of a flag. The same input always makes the same preview. */
export function previewChange({ before, after, others, contexts, now }: PreviewInput): Preview {
  const surroundings = openSurroundings(others)
  const source = contexts.length >= MIN_SEEN_CONTEXTS ? 'seen' : 'synthetic'
  const seed = murmur3(after.key)
  const sampled =
    source === 'seen'
      ? contexts
      : createSyntheticContexts({ flags: [before, after], surroundings, size: SYNTHETIC_CONTEXTS, now, seed })
  // Rules of a flag that is off are judged by what they will do.
  const enabledAnswers = (flag: Flag) => answersOf({ ...flag, enabled: true }, surroundings, sampled, now)
  const [beforeEnabled, afterEnabled] = [enabledAnswers(before), enabledAnswers(after)]
  const answered = (flag: Flag, enabled: readonly Answer[]) =>
    flag.enabled ? enabled : enabled.map(() => whatIsOff(flag))
  const compared = compareAnswers(answered(before, beforeEnabled), answered(after, afterEnabled))
  const sample = { size: sampled.length, source, ...compared } as const
  const splits = compareSplits(before, after)
  const { changed, moved } = judge(before, after, sample)
  const warnings = findWarnings({
    before,
    after,
    surroundings,
    contexts: sampled,
    source,
    beforeEnabled,
    afterEnabled,
    splits,
    moved: moved.share,
    now,
  })
  return { splits, sample, changed, moved, warnings }
}
