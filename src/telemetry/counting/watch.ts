// A metric as a measurement watches it, and what it makes of a unit's events.
import type { Metric, MetricKind } from '../../catalog/measurement.ts'

/** What of a metric stays as it was when a measurement first watched it: sums over units cannot be taken apart. */
export type Definition = { readonly kind: MetricKind; readonly cap: number | null }

/** A metric in a measurement. */
export type Watch = Definition & {
  readonly metric: string
  readonly preExposure: boolean
  readonly bounds: readonly number[]
}

/** What a unit's total is made of. */
type Counted = { readonly count: number; readonly sum: number; readonly denominator: number }

/** Whether an event of a metric counts only with a value. */
export function needsValue({ kind }: Pick<Metric, 'kind'>): boolean {
  return kind === 'mean' || kind === 'ratio' || kind === 'latency' || kind === 'resource'
}

/** Whether a metric's values make a distribution. */
export function hasSketch({ kind }: Pick<Metric, 'kind'>): boolean {
  return kind === 'mean' || kind === 'latency' || kind === 'resource'
}

/** Whether a unit can be hit in a metric, for guards. */
export function hasHits({ kind }: Definition): boolean {
  return kind === 'conversion' || kind === 'count' || kind === 'error'
}

/** A unit's y, from what was counted since its base. */
export function totalOf({ kind, cap }: Definition, since: Counted, base: Counted): number {
  const count = since.count - base.count
  if (kind === 'conversion' || kind === 'error') return count > 0 ? 1 : 0
  const total = kind === 'count' ? count : since.sum - base.sum
  return cap === null ? total : Math.min(total, cap)
}

/** A unit's d, from what was counted since its base. */
export function divisorOf({ kind }: Definition, since: Counted, base: Counted): number {
  if (kind === 'ratio') return since.denominator - base.denominator
  return kind === 'latency' || kind === 'resource' ? since.count - base.count : 0
}

/** Whether two lists of bounds are the same. */
export function areSameBounds(a: readonly number[], b: readonly number[]): boolean {
  return a === b || (a.length === b.length && a.every((bound, index) => bound === b[index]))
}
