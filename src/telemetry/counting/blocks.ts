// Guard blocks: what happened to units in ten seconds, by arrival. Once closed they never change, so that evidence can
// be replayed.

/** How long a block is. */
export const BLOCK_MS = 10_000

export type BlocksQuery = {
  /** The start of the first block that is wanted, in milliseconds since 1970. */
  readonly from: number
  /** These measurements alone; left out: all. */
  readonly measurements?: readonly string[]
}

/** Observations of a latency or resource against one of the measurement's bounds. */
export type BoundCounts = {
  readonly bound: number
  /** Units whose first observation in the stage was in this block, and those of them above the bound. */
  readonly units: number
  readonly unitsAbove: number
  /** All observations in this block, and those above the bound. */
  readonly observations: number
  readonly above: number
}

/** What a block says of one metric. */
export type BlockMetric = {
  readonly metric: string
  /** Units hit in the block. */
  readonly x: number
  /** The risk set at the block's end, and those hit. */
  readonly n: number
  /** Those that something was compared with in the block. */
  readonly bounds: readonly BoundCounts[]
}

/** What happened to the units of one arm in one block. */
export type GuardBlock = {
  /** When it begins, in milliseconds since 1970; a multiple of BLOCK_MS. */
  readonly start: number
  readonly measurement: string
  readonly stage: number
  readonly stratum: string
  readonly arm: string
  /** Units whose first exposure in the measurement this was: what a sample ratio is judged by. */
  readonly firsts: number
  /** Units that entered the risk sets: at their first tagged exposure in the stage. */
  readonly entered: number
  /** Units from which there was an accepted event that Rampart did not notice itself. */
  readonly live: number
  /** Those of them from which it was the first in the stage. */
  readonly firstLive: number
  /** Hits under the tag of an earlier stage: not counted. */
  readonly ignored: number
  /** While the stage is the plan's: every metric that is watched. Of another stage: those that had a part in the block. */
  readonly metrics: readonly BlockMetric[]
}

/**
 * Blocks of one shard. Where a block is left out, nothing had happened in it: its risk sets were those at the end of
 * the one before, `n - x`.
 */
export type Blocks = {
  /**
   * The end of the last closed block, but at most an hour after `from`, from where to go on: nothing before it will
   * ever change.
   */
  readonly through: number
  /** In order of time. */
  readonly blocks: readonly GuardBlock[]
  /** The last block that began earlier than asked, of each arm in its measurement's present stage: how it stood. */
  readonly before: readonly GuardBlock[]
}
