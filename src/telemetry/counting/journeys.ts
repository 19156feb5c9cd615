// Questions about what units did after they met a variant: a shard reduces its units to counts, readers add them up.
import type { PackedHistogram } from '../../statistics/log-histogram.ts'

/** What is asked of the units of a measurement. */
export type JourneyQuery = {
  readonly measurement: string
  /** The metric that "did it" means. */
  readonly metric: string
  /** Within how many days of the first exposure: shares are of units that were exposed at least so long ago. */
  readonly days: readonly number[]
  /** The metric that a rate is of, as impressions are of clicks; null: of all units that were exposed. */
  readonly of: string | null
  /** Metrics that together are a set of features, of which a unit may use several. */
  readonly features: readonly string[]
  /** What the metric's total is made of, as its kind says: its events or their values. */
  readonly total: 'events' | 'values'
  /** Milliseconds since 1970. */
  readonly now: number
  /** Where to go on; null: from the beginning. */
  readonly cursor: string | null
}

/** The counts of one arm (at the first exposure) and variant; they add up. */
export type JourneyCounts = {
  readonly arm: string
  readonly variant: string
  units: number
  /** For each of the asked days: units that were exposed so long ago, and those of them that did it in time. */
  matured: number[]
  didInTime: number[]
  /** Units that did it ever. */
  did: number
  /** Units that had the metric `of`, and did it. */
  ofUnits: number
  ofDid: number
  /** Seconds from the exposure to the first, at least one. */
  times: PackedHistogram
  /** Σ of the metric over units, and of the weeks in which they were seen. */
  total: number
  activeWeeks: number
  /** For weeks 1, 2 and 4: units that were exposed so long ago, and those of them that were seen in that week. */
  returning: [number, number, number]
  returned: [number, number, number]
  /** Units that used at least two of the features. */
  usedSeveral: number
}

/** A part of the answer, and where to go on; null: that was all. */
export type JourneyPart = { readonly counts: readonly JourneyCounts[]; readonly cursor: string | null }
