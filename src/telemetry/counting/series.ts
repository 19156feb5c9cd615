// What was counted over time: events by the minute in which they happened, late or not.
import type { PackedHistogram } from '../../statistics/log-histogram.ts'

export type SeriesStep = 'minute' | 'hour' | 'day'

/** Both instants are at the start of a step; `to` is not included. */
export type SeriesQuery = {
  readonly from: number
  readonly to: number
  readonly step: SeriesStep
  /** One metric alone; null: exposures alone; left out: both. */
  readonly metric?: string | null
  /** What concerns one flag alone; empty: what concerns none. */
  readonly flag?: string
}

/** What was counted in one minute, hour or day, by one shard. */
export type SeriesCell = {
  readonly start: number
  /** null: exposures. */
  readonly metric: string | null
  /**
   * Which flag and variant the unit had met, or the event named; empty: all events of the metric, which are in no sum
   * over flags, because a unit may have met several.
   */
  readonly flag: string
  readonly variant: string
  /** Empty where the event could not be attributed, or not be believed. */
  readonly measurement: string
  readonly stage: number
  readonly stratum: string
  readonly arm: string
  readonly count: number
  /** Σ and Σ² of the values; 0 where there are none. */
  readonly sum: number
  readonly squares: number
  /** Of a ratio: Σ of the denominators' values. */
  readonly denominator: number
  /** Units whose first exposure this was (of exposures), or whose first event of the metric. */
  readonly units: number
  /** A log-histogram of the values, packed; null where the metric's kind has none. */
  readonly sketch: PackedHistogram | null
}
