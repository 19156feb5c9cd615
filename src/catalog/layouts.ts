// Over how many shards an environment's events are spread. A batch goes by its own id's instant, so that whoever sends
// it again, and whoever has not heard of a change yet, finds the same shards. Pure.
import type { ShardLayout } from './entities.ts'

export const DEFAULT_SHARDS = 2
export const MAX_SHARDS = 16

/** How far a batch's id may be ahead of the edge's clock, in milliseconds: clocks of clients are wrong. */
export const MAX_ID_AHEAD_MS = 10 * 60_000
/**
 * How long after it was asked for a layout begins: whatever isolate a batch came to before, none has known of the layout
 * for less than a minute, and the batch's id lies before it.
 */
export const LAYOUT_DELAY_MS = MAX_ID_AHEAD_MS + 2 * 60_000
/** Longer than any batch may be late. */
const KEPT_MS = 48 * 60 * 60_000
const KEPT_LAYOUTS = 8

/** The layouts of an environment that is new. */
export function initialLayouts(shards: number): readonly ShardLayout[] {
  return shards === DEFAULT_SHARDS ? [] : [{ since: 0, shards }]
}

/** How many shards a batch is spread over that was made at an instant. */
export function shardsAt(layouts: readonly ShardLayout[] | undefined, at: number): number {
  return layouts?.findLast(({ since }) => since <= at)?.shards ?? DEFAULT_SHARDS
}

/** The most shards that any layout has: whoever reads what was counted asks that many. */
export function mostShards(layouts: readonly ShardLayout[]): number {
  return layouts.length === 0 ? DEFAULT_SHARDS : Math.max(...layouts.map(({ shards }) => shards))
}

/**
 * The layouts once an environment has another number of shards, which begins to count a little later. Of the older
 * ones the last few stay, those that batches may still be made by, and those with more shards than any after them:
 * what was counted there, and what a measurement still counts there, is never out of reach.
 */
export function nextLayouts(
  layouts: readonly ShardLayout[],
  shards: number,
  now: number,
): readonly ShardLayout[] {
  const known = layouts.length > 0 ? layouts : [{ since: 0, shards: DEFAULT_SHARDS }]
  if (known.at(-1)?.shards === shards) return layouts
  const all = [...known, { since: now + LAYOUT_DELAY_MS, shards }]
  return all.filter((layout, index) => {
    const later = all.slice(index + 1)
    const [next] = later
    return (
      later.length < KEPT_LAYOUTS ||
      (next !== undefined && next.since > now - KEPT_MS) ||
      later.every((other) => other.shards < layout.shards)
    )
  })
}
