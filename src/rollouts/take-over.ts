// A rollout that goes on from a split in the fallthrough: it takes the split's seed, so that nobody changes sides. Pure.
import { BUCKET_COUNT, toRangeEnds } from '../engine/bucket.ts'
import type { Serve, Split } from '../engine/flag.ts'
import { err, ok, type Result } from '../engine/result.ts'

/** What a rollout goes on from, and what it leaves the fallthrough. */
export type TakenOver = {
  readonly seed: string
  /** Whether the variant's range was the last of the split. */
  readonly reversed: boolean
  /** What the variant had, in percent: a rollout that starts with less would take it from somebody. */
  readonly percentage: number
  /** The fallthrough afterwards: all others keep what they have, and the variant's range is its neighbour's. */
  readonly rest: Serve
}

/** Why a rollout cannot go on from a fallthrough. */
export type TakeOverError =
  /** The variant has no range of its own there, or all of them. */
  | 'nothing_to_take_over'
  /** It falls into ranges by another system's scheme. */
  | 'foreign_bucketing'
  /** It is split by another attribute. */
  | 'other_unit'
  /** The variant's range lies between others, and a rollout grows from an end. */
  | 'middle_range'

type Range = { readonly variant: string; readonly start: number; readonly end: number }

function rangesOf({ weights }: Split): Range[] {
  const ends = toRangeEnds(weights.map(({ weight }) => weight))
  return weights
    .map(({ variant }, index) => ({ variant, start: ends[index - 1] ?? 0, end: ends[index] ?? 0 }))
    .filter(({ start, end }) => end > start)
}

/** A split of the ranges, which touch one another and cover everything. */
function serveRanges(ranges: readonly Range[], { seed, by }: Split): Serve {
  const [only, ...others] = ranges
  if (only && others.length === 0) return { variant: only.variant }
  // As many weights as there are buckets, so that the ranges end where they did.
  return {
    split: { weights: ranges.map(({ variant, start, end }) => ({ variant, weight: end - start })), by, seed },
  }
}

/** What it takes for a rollout of a variant to go on from a fallthrough without moving anybody. */
export function takeOver(fallthrough: Serve, variant: string, by: string): Result<TakenOver, TakeOverError> {
  if ('variant' in fallthrough) return err('nothing_to_take_over')
  const { split } = fallthrough
  if (split.bucketing) return err('foreign_bucketing')
  const ranges = rangesOf(split)
  const place = ranges.findIndex((range) => range.variant === variant)
  const own = ranges[place]
  const neighbour = ranges[place === 0 ? 1 : place - 1]
  if (!own || !neighbour) return err('nothing_to_take_over')
  if (split.by !== by) return err('other_unit')
  if (own.start > 0 && own.end < BUCKET_COUNT) return err('middle_range')
  const others = ranges.filter((range) => range !== own)
  const start = Math.min(own.start, neighbour.start)
  const end = Math.max(own.end, neighbour.end)
  const rest = others.map((range) => (range === neighbour ? { ...range, start, end } : range))
  return ok({
    seed: split.seed,
    reversed: own.start > 0,
    percentage: ((own.end - own.start) * 100) / BUCKET_COUNT,
    rest: serveRanges(rest, split),
  })
}
