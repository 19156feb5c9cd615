// What a change of splits does to the units that reach them. A split of our own is a row of bucket ranges, so two
// under one seed are laid over each other and every unit is accounted for.
import { BUCKET_COUNT, toRangeEnds } from '../engine/bucket.ts'
import { compileSplit } from '../engine/compile-split.ts'
import type { Flag, Serve, Split } from '../engine/flag.ts'
import { type Transition, TransitionCounts } from './transitions.ts'

/** Where a flag serves something: its fallthrough, or the rule of an id. */
export type Place = 'fallthrough' | { readonly rule: string }

/** What all units get: a split's variants, one variant, or (null) the caller's default. */
export type Served = Serve | { readonly variant: null }

/** What a change does to the units that it reaches; all figures are shares of them, 0 to 1. */
export type Comparison = {
  /** Who gets another variant, or one instead of the caller's default, or the other way round. */
  readonly changed: number
  /** Who had a variant by a split and has another one by a split. */
  readonly moved: number
  readonly transitions: readonly Transition[]
  /** Whether every unit is accounted for; else the figures are expected or estimated ones. */
  readonly exact: boolean
}

/** How many units are drawn where a scheme of another system can only be tried. */
const DRAWN_UNITS = 2_000

type Ranges = readonly { readonly variant: string | null; readonly end: number }[]

function toRanges(served: Served): Ranges {
  if (!('split' in served)) return [{ variant: served.variant, end: BUCKET_COUNT }]
  const { weights } = served.split
  const ends = toRangeEnds(weights.map(({ weight }) => weight))
  return weights.map(({ variant }, index) => ({ variant, end: ends[index] ?? BUCKET_COUNT }))
}

function splitOf(served: Served): Split | undefined {
  return 'split' in served ? served.split : undefined
}

function countOverlap(before: Ranges, after: Ranges): TransitionCounts {
  const counts = new TransitionCounts()
  let start = 0
  let [i, j] = [0, 0]
  let [from, to] = [before[i], after[j]]
  while (from && to) {
    const end = Math.min(from.end, to.end)
    counts.add(from.variant, to.variant, end - start)
    start = end
    if (from.end === end) from = before[++i]
    if (to.end === end) to = after[++j]
  }
  return counts
}

/** Every pair of buckets, because a unit's two buckets have nothing to do with each other. */
function countIndependent(before: Ranges, after: Ranges): TransitionCounts {
  const counts = new TransitionCounts()
  let fromStart = 0
  for (const from of before) {
    let toStart = 0
    for (const to of after) {
      counts.add(from.variant, to.variant, (from.end - fromStart) * (to.end - toStart))
      toStart = to.end
    }
    fromStart = from.end
  }
  return counts
}

function assignerOf(served: Served): (index: number) => string | null {
  if (!('split' in served)) return () => served.variant
  const { by, weights } = served.split
  const assign = compileSplit(served.split, null)
  return (index) => weights[assign({ [by]: `${by}-${index}` })]?.variant ?? null
}

function countDrawn(before: Served, after: Served): TransitionCounts {
  const counts = new TransitionCounts()
  const [from, to] = [assignerOf(before), assignerOf(after)]
  for (let index = 0; index < DRAWN_UNITS; index++) counts.add(from(index), to(index), 1)
  return counts
}

function countMoves(
  before: Served,
  after: Served,
): { readonly counts: TransitionCounts; readonly exact: boolean } {
  const [from, to] = [splitOf(before), splitOf(after)]
  if (from?.bucketing || to?.bucketing) return { counts: countDrawn(before, after), exact: false }
  const independent = from && to && (from.seed !== to.seed || from.by !== to.by)
  return independent
    ? { counts: countIndependent(toRanges(before), toRanges(after)), exact: false }
    : { counts: countOverlap(toRanges(before), toRanges(after)), exact: true }
}

function sameText(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

const NO_CHANGE: Comparison = { changed: 0, moved: 0, transitions: [], exact: true }

/**
 * Compares what all units that reach a place get before and after. One seed and one unit attribute: the overlap
 * of the bucket ranges, exact. Another of either: the product of the shares, expected. Another system's scheme:
 * an estimate from 2,000 drawn units.
 */
export function compareServed(before: Served, after: Served): Comparison {
  if (sameText(before, after)) return NO_CHANGE
  const { counts, exact } = countMoves(before, after)
  const transitions = counts.transitions()
  const split = 'split' in before && 'split' in after
  const moves = transitions.filter(({ from, to }) => split && from !== null && to !== null)
  const changed = counts.changed()
  const moved =
    moves.length === transitions.length ? changed : moves.reduce((sum, { share }) => sum + share, 0)
  return { changed, moved, transitions, exact }
}

/** Compares each place that stands before and after, splits on one side at least, and serves something else. */
export function compareSplits(before: Flag, after: Flag): ({ readonly place: Place } & Comparison)[] {
  const served = new Map(before.rules.map(({ id, serve }) => [id, serve]))
  const places = [
    ...after.rules.map(({ id, serve }) => ({ place: { rule: id }, from: served.get(id), to: serve })),
    { place: 'fallthrough' as const, from: before.fallthrough, to: after.fallthrough },
  ]
  return places.flatMap(({ place, from, to }) =>
    from && ('split' in from || 'split' in to) && !sameText(from, to)
      ? [{ place, ...compareServed(from, to) }]
      : [],
  )
}

/** What a flag serves to all units alike; undefined when something can come before its fallthrough. */
export function soleServed(flag: Flag): Served | undefined {
  const { enabled, offVariant, prerequisites, targets, rules, rollout, fallthrough } = flag
  if (!enabled) return { variant: offVariant }
  return prerequisites.length + targets.length + rules.length === 0 && !rollout ? fallthrough : undefined
}

type SplitPlace = { readonly when: unknown; readonly split: Split }

function splitPlaces({ enabled, rules, fallthrough }: Flag): SplitPlace[] {
  if (!enabled) return []
  return [...rules, { when: null, serve: fallthrough }].flatMap(({ when, serve }) =>
    'split' in serve ? [{ when, split: serve.split }] : [],
  )
}

/**
 * Tells whether it is certain that no unit moves from one variant of a split to another, whoever the units are.
 * So it is if all splits assign alike, or if the places that split, each with its condition and in their order,
 * are the same as far as both have them: whom one decided then, it decides now, unless nothing that splits does.
 */
export function keepsUnits(before: Flag, after: Flag): boolean {
  const [from, to] = [splitPlaces(before), splitPlaces(after)]
  const splits = new Set([...from, ...to].map(({ split }) => JSON.stringify(split)))
  return splits.size <= 1 || from.slice(0, to.length).every((place, index) => sameText(place, to[index]))
}

/** Tells whether two configurations decide everything alike; rules' descriptions decide nothing. */
export function decidesAlike(before: Flag, after: Flag): boolean {
  const [from, to] = [before, after].map(
    ({ enabled, offVariant, prerequisites, targets, rules, rollout, fallthrough }) => ({
      enabled,
      offVariant,
      prerequisites,
      targets,
      rules: rules.map(({ id, when, serve }) => ({ id, when, serve })),
      rollout,
      fallthrough,
    }),
  )
  return sameText(from, to)
}
