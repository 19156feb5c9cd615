// Change requests as they are read: each with whether it could still be applied.
import { and, desc, eq, getTableColumns, type SQL, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { Guard } from '../ledger/commit.ts'
import type { Operation } from './operation.ts'
import { changeRequests } from './tables.ts'

/** A change that waits, or did. */
export type ChangeRequest = typeof changeRequests.$inferSelect

/** A change request, and whether what it was made from has changed since, so that it can no longer be applied. */
export type ListedChangeRequest = ChangeRequest & { readonly stale: boolean }

const part = (field: 'kind' | 'environment' | 'flag' | 'segment' | 'metric' | 'revision') =>
  sql.raw(`change_requests.operation ->> '${field}'`)

const environmentRevision = sql`(SELECT revision FROM environments WHERE key = ${part('environment')})`
const flagRevision = sql`(SELECT revision FROM flags WHERE key = ${part('flag')})`
const segmentRevision = sql`(SELECT revision FROM segments
  WHERE environment = ${part('environment')} AND key = ${part('segment')})`
const metricRevision = sql`(SELECT revision FROM metrics WHERE key = ${part('metric')})`

/** The revision at which what an operation changes stands; null when there is none. */
const REVISION: { readonly [kind in Operation['kind']]: SQL } = {
  'environment.save': environmentRevision,
  'environment.delete': environmentRevision,
  'flag.save': flagRevision,
  'flag.delete': flagRevision,
  'flag.archive': flagRevision,
  'flag.unarchive': flagRevision,
  'configuration.save': sql`(SELECT revision FROM flag_configurations
    WHERE environment = ${part('environment')} AND flag = ${part('flag')})`,
  'segment.save': segmentRevision,
  'segment.delete': segmentRevision,
  'metric.save': metricRevision,
  'metric.delete': metricRevision,
}

const CASES = Object.entries(REVISION).map(
  ([kind, revision]) => sql`WHEN ${sql.raw(`'${kind}'`)} THEN ${revision}`,
)

/**
 * Whether what a change request was made from still stands, as an expression over its row: the revision; that the
 * environment which it names was not made anew since; and, where it concerns every environment, that there are no
 * others now.
 */
const isFresh = sql<number>`(
  coalesce(CASE ${part('kind')} ${sql.join(CASES, sql` `)} END, 0) = ${part('revision')}
  AND NOT EXISTS (SELECT 1 FROM environments WHERE key = ${part('environment')} AND ${part('revision')} = 0
    AND created_at > change_requests.created_at)
  AND (${part('environment')} IS NOT NULL OR json_array_length(change_requests.environments) = 0
    OR NOT EXISTS (SELECT 1 FROM environments
      WHERE key NOT IN (SELECT value FROM json_each(change_requests.environments)))))`

const listed = {
  ...getTableColumns(changeRequests),
  stale:
    sql<number>`(change_requests.state IN ('awaiting_approval', 'scheduled') AND NOT ${isFresh})`.mapWith(
      Boolean,
    ),
}

/** A guard: what a change request was made from has not changed since. */
export function isStillFresh(id: string): Guard {
  const where = eq(changeRequests.id, id)
  return { column: 'fresh', holds: sql`(SELECT ${isFresh} FROM ${changeRequests} WHERE ${where})` }
}

/** One change request; undefined when there is none of that id. */
export async function loadChangeRequest(
  database: D1Database,
  id: string,
): Promise<ListedChangeRequest | undefined> {
  return drizzle(database).select(listed).from(changeRequests).where(eq(changeRequests.id, id)).get()
}

/** Which change requests are asked for. */
export type ChangeRequestFilter = {
  readonly state?: ChangeRequest['state'] | undefined
  readonly environment?: string | undefined
  readonly flag?: string | undefined
}

/**
 * A page of change requests, newest first, below `before`.
 * @param reached the environments that are reached; null: all. What concerns any other is left out.
 */
export async function listChangeRequests(
  database: D1Database,
  { state, environment, flag }: ChangeRequestFilter,
  reached: readonly string[] | null,
  limit: number,
  before: { readonly createdAt: number; readonly id: string } | undefined,
): Promise<ListedChangeRequest[]> {
  const { createdAt, id, operation } = changeRequests
  const conditions: SQL[] = []
  if (state !== undefined) conditions.push(eq(changeRequests.state, state))
  if (environment !== undefined) {
    conditions.push(
      sql`EXISTS (SELECT 1 FROM json_each(${changeRequests.environments}) WHERE value = ${environment})`,
    )
  }
  if (flag !== undefined) conditions.push(sql`${operation} ->> 'flag' = ${flag}`)
  if (reached !== null) {
    conditions.push(sql`NOT EXISTS (SELECT 1 FROM json_each(${changeRequests.environments})
      WHERE value NOT IN (SELECT value FROM json_each(${JSON.stringify(reached)})))`)
  }
  if (before) conditions.push(sql`(${createdAt}, ${id}) < (${before.createdAt}, ${before.id})`)
  return drizzle(database)
    .select(listed)
    .from(changeRequests)
    .where(and(...conditions))
    .orderBy(desc(createdAt), desc(id))
    .limit(limit)
}
