// Metrics as the database holds them, and what watches them.
import { and, asc, eq, gt, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { Metric } from './measurement.ts'
import type { MetricNotes } from './operation.ts'
import { measurements, metrics, references } from './tables.ts'

/** A metric as it is stored. */
export type StoredMetric = Metric &
  MetricNotes & {
    readonly revision: number
    /** Milliseconds since 1970. */
    readonly createdAt: number
    readonly updatedAt: number
  }

/** A measurement that watches a metric. */
export type MetricUser = Pick<typeof measurements.$inferSelect, 'environment' | 'flag' | 'id' | 'kind'>

/** The columns of a metric as people see it. */
export const metricColumns = {
  key: metrics.key,
  event: metrics.event,
  kind: metrics.kind,
  denominator: metrics.denominator,
  unit: metrics.unit,
  goodDirection: metrics.goodDirection,
  cap: metrics.cap,
  preExposure: metrics.preExposure,
  description: metrics.description,
  tags: metrics.tags,
  owner: metrics.owner,
  revision: metrics.revision,
  createdAt: metrics.createdAt,
  updatedAt: metrics.updatedAt,
}

const MAX_WORDS = 10

/**
 * A page of metrics, by key, after the key `after`.
 * @param search words that key, event, description, owner and tags together hold
 */
export async function listMetrics(
  database: D1Database,
  search: string,
  limit: number,
  after = '',
): Promise<StoredMetric[]> {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean).slice(0, MAX_WORDS)
  return drizzle(database)
    .select(metricColumns)
    .from(metrics)
    .where(and(gt(metrics.key, after), ...words.map((word) => sql`instr(${metrics.search}, ${word}) > 0`)))
    .orderBy(asc(metrics.key))
    .limit(limit)
}

/** One metric; undefined when there is none of that key. */
export async function loadMetric(database: D1Database, key: string): Promise<StoredMetric | undefined> {
  return drizzle(database).select(metricColumns).from(metrics).where(eq(metrics.key, key)).get()
}

/** How many metrics there are. */
export async function countMetrics(database: D1Database): Promise<number> {
  return drizzle(database).$count(metrics)
}

/** The measurements that watch a metric, in any environment. */
export async function loadMetricUsers(database: D1Database, key: string): Promise<MetricUser[]> {
  const { environment, flag, id, kind } = measurements
  return (
    drizzle(database)
      .select({ environment, flag, id, kind })
      .from(measurements)
      .innerJoin(references, and(eq(references.environment, environment), eq(references.fromKey, id)))
      // Nothing else points at metrics.
      .where(and(eq(references.toKind, 'metrics'), eq(references.toKey, key)))
      .orderBy(asc(environment), asc(id))
  )
}
