// What is counted, and for whom: metrics, and measurements, which say which flag is watched by what. Both are in the
// environment's snapshot, because whoever takes an event must know them.
import { isJsonObject, type JsonObject } from '../engine/json.ts'

/**
 * What a metric makes of its events, for each unit: whether there were any (`conversion`, `error`), how many
 * (`count`), the sum of their values (`mean`), that sum over another event's (`ratio`), or a distribution of values
 * (`latency` in milliseconds, `resource`).
 */
export type MetricKind = 'conversion' | 'count' | 'mean' | 'ratio' | 'error' | 'latency' | 'resource'

export const METRIC_KINDS: readonly MetricKind[] = [
  'conversion',
  'count',
  'mean',
  'ratio',
  'error',
  'latency',
  'resource',
]

/** A metric as whoever counts must know it. */
export type Metric = {
  readonly key: string
  /** The name of the events that it is made of, whether they are tracks or measures. */
  readonly event: string
  readonly kind: MetricKind
  /** For a ratio: the name of the events that it is divided by; null otherwise. */
  readonly denominator: string | null
  /** Whose totals it is made of: see `unitKindOf`. */
  readonly unit: string
  readonly goodDirection: 'up' | 'down'
  /** The most that one unit's total counts; null: no limit. */
  readonly cap: number | null
  /** Whether days are kept of every unit seen, exposed or not, so that the time before is known. */
  readonly preExposure: boolean
}

/** A metric as a measurement uses it. */
export type WatchedMetric = {
  readonly metric: string
  /** Values that observations are compared with, at most 4: a frozen median and p95, a threshold's limit. */
  readonly bounds: readonly number[]
}

/** A flag that is watched, and what by. */
export type Measurement = {
  /** The rollout's or experiment's own id, which its tags begin with. */
  readonly id: string
  readonly flag: string
  readonly kind: 'rollout' | 'experiment'
  /** The attribute that is bucketed. */
  readonly by: string
  /** The stage, or epoch of weights, whose tags count for guards now. */
  readonly stage: number
  /** How many shards its units are spread over, from its start to its end. */
  readonly shards: number
  /** How long a unit stays in the risk set without an exposure, in milliseconds. */
  readonly windowMs: number
  /** Whether a bulk evaluation is an exposure too (`assignment`), or a single one alone (`use`). */
  readonly exposure: 'use' | 'assignment'
  readonly metrics: readonly WatchedMetric[]
  /** Paths of attributes whose values are kept of each unit, at most 8. */
  readonly slices: readonly string[]
}

/** How long a unit stays in the risk set where nothing else is said. */
export const DEFAULT_WINDOW_MS = 30 * 60_000

/**
 * The kind of unit that an attribute names: `targetingKey` is a `user`, `company.id` and `company.key` are a
 * `company`, any other attribute is a kind of its own name.
 */
export function unitKindOf(by: string): string {
  if (by === 'targetingKey') return 'user'
  return /^(.+)\.(?:id|key)$/.exec(by)?.[1] ?? by
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isJsonObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** The text of a metric in a snapshot. */
export function metricText({ key: _, ...metric }: Metric): string {
  return JSON.stringify(metric)
}

/** The text of a measurement in a snapshot. */
export function measurementText({ id: _, ...measurement }: Measurement): string {
  return JSON.stringify(measurement)
}

/** Reads what `metricText` wrote; undefined when it cannot be read. */
export function parseMetricText(key: string, text: string): Metric | undefined {
  const value = parseObject(text)
  const kind = METRIC_KINDS.find((one) => one === value?.kind)
  if (!value || !kind || typeof value.event !== 'string' || typeof value.unit !== 'string') return undefined
  return {
    key,
    event: value.event,
    kind,
    denominator: typeof value.denominator === 'string' ? value.denominator : null,
    unit: value.unit,
    goodDirection: value.goodDirection === 'down' ? 'down' : 'up',
    cap: typeof value.cap === 'number' ? value.cap : null,
    preExposure: value.preExposure === true,
  }
}

function parseWatched(value: unknown): WatchedMetric[] {
  if (!isJsonObject(value) || typeof value.metric !== 'string') return []
  const bounds = Array.isArray(value.bounds) ? value.bounds : []
  return [{ metric: value.metric, bounds: bounds.filter((bound) => typeof bound === 'number') }]
}

/** Reads what `measurementText` wrote; undefined when it cannot be read. */
export function parseMeasurementText(id: string, text: string): Measurement | undefined {
  const value = parseObject(text)
  if (!value) return undefined
  const { flag, kind, by, stage, shards, windowMs, metrics, slices } = value
  if (typeof flag !== 'string' || typeof by !== 'string' || (kind !== 'rollout' && kind !== 'experiment')) {
    return undefined
  }
  if (typeof stage !== 'number' || typeof shards !== 'number' || typeof windowMs !== 'number')
    return undefined
  return {
    id,
    flag,
    kind,
    by,
    stage,
    shards,
    windowMs,
    exposure: value.exposure === 'assignment' ? 'assignment' : 'use',
    metrics: Array.isArray(metrics) ? metrics.flatMap(parseWatched) : [],
    slices: Array.isArray(slices) ? slices.filter((path) => typeof path === 'string') : [],
  }
}
