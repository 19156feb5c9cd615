// What a plan is held against when it is written, and again when it starts.
import { eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { loadFlagIn, type StoredConfiguration, type StoredFlag } from '../catalog/flag-store.ts'
import type { Metric } from '../catalog/measurement.ts'
import { metricColumns } from '../catalog/metric-store.ts'
import type { SaveError } from '../catalog/save-error.ts'
import { metrics, segments } from '../catalog/tables.ts'
import type { JsonObject } from '../engine/json.ts'
import { err, ok, type Result } from '../engine/result.ts'
import { parsePlan } from './parse-plan.ts'
import type { Plan } from './plan.ts'
import { rollouts } from './tables.ts'

/** A plan that was checked, and what it was checked against. */
export type GroundedPlan = {
  readonly plan: Plan
  readonly flag: StoredFlag
  readonly configuration: StoredConfiguration
  readonly metrics: ReadonlyMap<string, Metric>
  readonly isProtected: boolean
}

async function loadKeys(database: D1Database, environment: string) {
  const db = drizzle(database)
  const [ofSegments, ofMetrics, ofRollouts] = await db.batch([
    db.select({ key: segments.key }).from(segments).where(eq(segments.environment, environment)),
    db.select(metricColumns).from(metrics),
    db.select({ id: rollouts.id }).from(rollouts).where(eq(rollouts.environment, environment)),
  ])
  return {
    segments: new Set(ofSegments.map(({ key }) => key)),
    metrics: new Map<string, Metric>(ofMetrics.map((metric) => [metric.key, metric])),
    rollouts: new Set(ofRollouts.map(({ id }) => id)),
  }
}

/** The metrics that a plan's guardrails are about, by key; those that are gone are missing. */
export async function loadMetricsOf(
  database: D1Database,
  { guardrails }: Plan,
): Promise<ReadonlyMap<string, Metric>> {
  const keys = JSON.stringify(guardrails.map(({ metric }) => metric))
  const rows = await drizzle(database)
    .select(metricColumns)
    .from(metrics)
    .where(sql`${metrics.key} IN (SELECT value FROM json_each(${keys}))`)
  return new Map(rows.map((metric) => [metric.key, metric]))
}

/** Reads a plan as people wrote it, against the flag and the environment that it names. */
export async function groundPlan(
  database: D1Database,
  draft: JsonObject,
): Promise<Result<GroundedPlan, SaveError>> {
  const key = typeof draft.flag === 'string' ? draft.flag : ''
  const environment = typeof draft.environment === 'string' ? draft.environment : ''
  const [found, keys] = await Promise.all([
    loadFlagIn(database, key, environment),
    loadKeys(database, environment),
  ])
  if (!found) return err({ reason: 'not_found', what: `flag "${key}"` })
  const { flag, configuration, isProtected } = found
  if (isProtected === undefined || !configuration) {
    return err({ reason: 'not_found', what: `environment "${environment}"` })
  }
  if (flag.archivedAt !== null) return err({ reason: 'archived' })
  const parsed = parsePlan(draft, { flag, ...keys })
  if (!parsed.ok) return err({ reason: 'invalid', problems: parsed.error })
  return ok({ plan: parsed.value, flag, configuration, metrics: keys.metrics, isProtected })
}
