// A plan by what an event asks of it: worked out once for each plan.
import type { Metric } from '../../catalog/measurement.ts'
import type { CountingPlan } from '../counting-plan.ts'
import type { MeasurementBook } from './measurement-book.ts'
import type { CellSlot } from './series-book.ts'
import type { Watch } from './watch.ts'

/** A metric that an event is of. */
export type MetricUse = {
  readonly metric: Metric
  /** Whether the event is what a ratio is divided by. */
  readonly isDenominator: boolean
  /** Where all events of the metric go to in the series. */
  readonly slot: CellSlot
}

/** A metric that an event is of, in a measurement. */
export type WatchUse = { readonly watch: Watch; readonly isDenominator: boolean }

/** What events of one name are for. */
export type EventUses = {
  readonly metrics: MetricUse[]
  /** By the measurement's id. */
  readonly watches: Map<string, WatchUse[]>
  /** The measurements that watch it, by whose they are. */
  readonly watchers: Map<string, MeasurementBook[]>
}

/** By the event's name. */
export type PlanIndex = ReadonlyMap<string, EventUses>

/** A plan's metrics by their keys. */
export function metricsByKey({ metrics }: CountingPlan): ReadonlyMap<string, Metric> {
  return new Map(metrics.map((metric) => [metric.key, metric]))
}

function put<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key)
  if (!list) lists.set(key, [value])
  else if (!list.includes(value)) list.push(value)
}

function eventsOf({ event, denominator }: Metric): { name: string; isDenominator: boolean }[] {
  const own = { name: event, isDenominator: false }
  return denominator === null ? [own] : [own, { name: denominator, isDenominator: true }]
}

/** Indexes a plan, with the book of every measurement in it. */
export function indexPlan(plan: CountingPlan, books: Iterable<MeasurementBook>): PlanIndex {
  const index = new Map<string, EventUses>()
  const usesOf = (name: string): EventUses => {
    const uses = index.get(name) ?? { metrics: [], watches: new Map(), watchers: new Map() }
    index.set(name, uses)
    return uses
  }
  for (const metric of plan.metrics) {
    for (const { name, isDenominator } of eventsOf(metric)) {
      const slot = { taken: -1, minute: -1, variant: '', cell: undefined }
      usesOf(name).metrics.push({ metric, isDenominator, slot })
    }
  }
  const metrics = metricsByKey(plan)
  for (const book of books) {
    for (const watch of book.watches.values()) {
      const metric = metrics.get(watch.metric)
      for (const { name, isDenominator } of metric ? eventsOf(metric) : []) {
        const uses = usesOf(name)
        put(uses.watches, book.id, { watch, isDenominator })
        put(uses.watchers, book.unitKind, book)
      }
    }
  }
  return index
}
