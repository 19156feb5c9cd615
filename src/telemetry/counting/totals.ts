// Sums over units: what experiments, and guards of means, are made of.

/** Sums over the totals of units, for one metric. */
export type Moments = {
  /** Units with at least one event. */
  readonly hits: number
  readonly events: number
  /** Σy and Σy² over units: y is 1 or 0, a count, or a sum of values, as the metric's kind says, up to its cap. */
  readonly y: number
  readonly yy: number
  /** Of a ratio, Σd, Σd² and Σyd: d is the unit's denominator. */
  readonly d: number
  readonly dd: number
  readonly yd: number
  /** Σx, Σx² and Σxy: x is what y was in the 14 days before the first exposure. */
  readonly x: number
  readonly xx: number
  readonly xy: number
  /** For each of the measurement's bounds: with o the unit's observations and b those above, Σo Σo² Σb Σb² Σob. */
  readonly bounds: readonly {
    readonly bound: number
    readonly o: number
    readonly oo: number
    readonly b: number
    readonly bb: number
    readonly ob: number
  }[]
}

/** The units of one arm: in a rollout those of one stage, in an experiment those first exposed in one epoch. */
export type ArmTotals = {
  readonly stage: number
  readonly stratum: string
  readonly arm: string
  readonly units: number
  /** Those whose first exposure in the measurement this was. */
  readonly firsts: number
  /** Those that ever met a second variant. */
  readonly mixed: number
  /** By the metric's key. */
  readonly metrics: ReadonlyMap<string, Moments>
}
