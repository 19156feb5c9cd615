// What a tick reads of the database, in one trip however many rollouts there are.
import { and, eq, inArray, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { mostShards } from '../catalog/layouts.ts'
import type { Metric } from '../catalog/measurement.ts'
import { metricColumns } from '../catalog/metric-store.ts'
import { environments, metrics } from '../catalog/tables.ts'
import { outbox } from '../ledger/tables.ts'
import type { Signal } from './observations.ts'
import { LIVE_STATES } from './progress.ts'
import type { Rollout } from './rollout.ts'
import { toRollout } from './rollout-store.ts'
import { rolloutSignals, rollouts } from './tables.ts'

/** What a tick knows before it reads what was counted. */
export type Loaded = {
  /** How many shards what was counted may be in. */
  readonly shards: number
  /** The newest version that was published for sure: nothing up to it is owed any more. */
  readonly publishedVersion: number
  /** Those that are live, by id. */
  readonly rollouts: readonly Rollout[]
  /** Newest first: of each kind the last that passed and the last that failed, by rollout. */
  readonly signals: ReadonlyMap<string, readonly Signal[]>
  /** Rollouts that must be done first and are not, by the rollout that waits for them. */
  readonly notDone: ReadonlyMap<string, readonly string[]>
  /** The metrics that guardrails are about, by key. */
  readonly metrics: ReadonlyMap<string, Metric>
}

function group<Row, T>(rows: readonly Row[], keyOf: (row: Row) => string, toValue: (row: Row) => T) {
  const groups = new Map<string, T[]>()
  for (const row of rows) {
    const values = groups.get(keyOf(row))
    if (values) values.push(toValue(row))
    else groups.set(keyOf(row), [toValue(row)])
  }
  return groups
}

/** Loads what a tick needs; null when there is no such environment. */
export async function loadTick(database: D1Database, environment: string): Promise<Loaded | null> {
  const db = drizzle(database)
  const isLive = and(eq(rollouts.environment, environment), inArray(rollouts.state, [...LIVE_STATES]))
  const { id, rollout, kind, passed, author, link, note } = rolloutSignals
  const [[found], rows, signals, waiting, watched] = await db.batch([
    db
      .select({
        layouts: environments.layouts,
        version: environments.version,
        // A publication that is done is struck out.
        due: sql<number | null>`(SELECT min(version) FROM ${outbox}
          WHERE ${outbox.kind} = 'publish' AND ${outbox.environment} = ${environments.key})`,
      })
      .from(environments)
      .where(eq(environments.key, environment)),
    db.select().from(rollouts).where(isLive).orderBy(rollouts.id),
    db
      .select({ id, rollout, kind, passed, at: sql<number>`max(${rolloutSignals.at})`, author, link, note })
      .from(rolloutSignals)
      .innerJoin(rollouts, and(eq(rollouts.id, rollout), isLive))
      .groupBy(rollout, kind, passed)
      .orderBy(sql`5 DESC`),
    db
      .select({ rollout: rollouts.id, dependency: sql<string>`dependency.value` })
      .from(rollouts)
      .innerJoin(sql`json_each(${rollouts.plan}, '$.after') AS dependency`, sql`true`)
      .where(
        sql`${isLive} AND ${rollouts.state} = 'scheduled' AND NOT EXISTS (SELECT 1 FROM ${rollouts} AS other
          WHERE other.id = dependency.value AND other.state IN ('watching', 'done'))`,
      ),
    db
      .select(metricColumns)
      .from(metrics)
      .where(
        sql`${metrics.key} IN (SELECT guardrail.value ->> 'metric'
          FROM ${rollouts}, json_each(${rollouts.plan}, '$.guardrails') AS guardrail WHERE ${isLive})`,
      ),
  ])
  if (!found) return null
  return {
    shards: mostShards(found.layouts),
    publishedVersion: found.due === null ? found.version : found.due - 1,
    rollouts: rows.map(toRollout),
    signals: group(
      signals,
      (row) => row.rollout,
      ({ rollout: _, ...signal }) => signal,
    ),
    notDone: group(
      waiting,
      (row) => row.rollout,
      ({ dependency }) => dependency,
    ),
    metrics: new Map(watched.map((metric) => [metric.key, metric])),
  }
}
