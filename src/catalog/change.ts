// How anything that is configured changes: one D1 batch with its guards, its rows, its history, the environments'
// new versions and what is then owed. It happens as a whole or not at all.
import { and, eq, inArray, type SQL, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { SQLiteSyncDialect } from 'drizzle-orm/sqlite-core'
import { err, ok, type Result } from '../engine/result.ts'
import { guard, outbox } from '../ledger/tables.ts'
import type { EntityKind } from './entities.ts'
import { environments, flagConfigurations, history, references, segments } from './tables.ts'

/** An entity's new text in one environment, and what it points at; null when it is gone. */
export type EntityWrite = {
  readonly environment: string
  readonly kind: EntityKind
  readonly key: string
  readonly text: string | null
  readonly pointsAt?: readonly Pointer[]
}

export type Pointer = { readonly kind: EntityKind; readonly key: string }

/** Anything that drizzle or `sql` can say. */
export type Statement = SQL | { toSQL(): { sql: string; params: unknown[] } }

export type Change = {
  /** Each must be 1 (true) when the batch runs, or nothing happens: see `isAtRevision`. */
  readonly guards: readonly SQL[]
  readonly writes: readonly Statement[]
  readonly entities: readonly EntityWrite[]
  readonly actor: string
  readonly comment: string
  /** Milliseconds since 1970. */
  readonly now: number
}

/** Why a change did not happen. Nothing of it did. */
export type ChangeError =
  | { readonly reason: 'stale' }
  | { readonly reason: 'exists' }
  | { readonly reason: 'unknown_reference' }
  | { readonly reason: 'reference_cycle' }
  | { readonly reason: 'still_referenced' }
  | { readonly reason: 'environment_too_large' }

/** The new version of each environment that a change touched. */
export type Versions = ReadonlyMap<string, number>

const REASON_BY_CONSTRAINT: readonly (readonly [constraint: string, reason: ChangeError['reason']])[] = [
  ['stale_revision', 'stale'],
  ['unknown_reference', 'unknown_reference'],
  ['reference_cycle', 'reference_cycle'],
  ['still_referenced', 'still_referenced'],
  ['environment_too_large', 'environment_too_large'],
  ['UNIQUE constraint failed', 'exists'],
]

const dialect = new SQLiteSyncDialect()

/** Prepares any statement for D1's own batch, which runs what drizzle's does not: raw SQL. */
export function prepare(database: D1Database, statement: Statement): D1PreparedStatement {
  const query = 'toSQL' in statement ? statement.toSQL() : dialect.sqlToQuery(statement)
  return database.prepare(query.sql).bind(...query.params)
}

function bytesOf(text: string | null): number {
  return text === null ? 0 : new TextEncoder().encode(text).length
}

const newestBody = ({ environment, kind, key }: EntityWrite) =>
  sql`(SELECT octet_length(${history.body}) FROM ${history} WHERE ${and(
    eq(history.environment, environment),
    eq(history.kind, kind),
    eq(history.key, key),
  )} ORDER BY ${history.version} DESC LIMIT 1)`

function referenceWrites(db: ReturnType<typeof drizzle>, write: EntityWrite): Statement[] {
  const { environment, kind, key, pointsAt = [] } = write
  const own = and(
    eq(references.environment, environment),
    eq(references.fromKind, kind),
    eq(references.fromKey, key),
  )
  const statements: Statement[] = [db.delete(references).where(own)]
  for (const pointer of pointsAt) {
    statements.push(
      db
        .insert(references)
        .values({ environment, fromKind: kind, fromKey: key, toKind: pointer.kind, toKey: pointer.key }),
    )
  }
  if (pointsAt.length > 0) {
    statements.push(sql`INSERT INTO ${guard} (found) SELECT NOT EXISTS (
      SELECT 1 FROM ${references} WHERE ${own} AND NOT (
        (${references.toKind} = 'segments' AND EXISTS (SELECT 1 FROM ${segments}
          WHERE ${segments.environment} = ${environment} AND ${segments.key} = ${references.toKey}))
        OR (${references.toKind} = 'flags' AND EXISTS (SELECT 1 FROM ${flagConfigurations}
          WHERE ${flagConfigurations.environment} = ${environment} AND ${flagConfigurations.flag} = ${references.toKey}))
      ))`)
    statements.push(sql`INSERT INTO ${guard} (acyclic) SELECT NOT EXISTS (
      WITH RECURSIVE reached (kind, key) AS (
        SELECT to_kind, to_key FROM ${references} WHERE ${own}
        UNION
        SELECT next.to_kind, next.to_key FROM entity_references AS next, reached
          WHERE next.environment = ${environment} AND next.from_kind = reached.kind AND next.from_key = reached.key
      ) SELECT 1 FROM reached WHERE kind = ${kind} AND key = ${key})`)
  }
  if (write.text === null) {
    statements.push(sql`INSERT INTO ${guard} (unreferenced) SELECT NOT EXISTS (
      SELECT 1 FROM ${references} WHERE ${references.environment} = ${environment}
        AND ${references.toKind} = ${kind} AND ${references.toKey} = ${key})`)
  }
  return statements
}

function entityWrites(db: ReturnType<typeof drizzle>, write: EntityWrite, change: Change): Statement[] {
  const { environment, kind, key, text } = write
  return [
    sql`UPDATE ${environments} SET bytes = bytes + ${bytesOf(text)} - coalesce(${newestBody(write)}, 0)
      WHERE ${eq(environments.key, environment)}`,
    sql`INSERT INTO ${history} (environment, version, kind, key, body, actor, comment, at)
      SELECT key, version, ${kind}, ${key}, ${text}, ${change.actor}, ${change.comment}, ${change.now}
      FROM ${environments} WHERE ${eq(environments.key, environment)}`,
    ...(kind === 'flags' || kind === 'segments' ? referenceWrites(db, write) : []),
  ]
}

/** A guard: the row that `where` finds in `table` stands at this revision; 0 means that there is none yet. */
export function isAtRevision(table: SQL, where: SQL | undefined, revision: number): SQL {
  return sql`SELECT coalesce((SELECT revision FROM ${table} WHERE ${where}), 0) = ${revision}`
}

/** Carries a change out, whole or not at all. */
export async function commitChange(
  database: D1Database,
  change: Change,
): Promise<Result<Versions, ChangeError>> {
  const db = drizzle(database)
  const touched = [...new Set(change.entities.map(({ environment }) => environment))]
  const statements: Statement[] = [
    ...change.guards.map((holds) => sql`INSERT INTO ${guard} (fresh) ${holds}`),
    ...change.writes,
    sql`UPDATE ${environments} SET version = version + 1 WHERE ${inArray(environments.key, touched)}`,
    ...change.entities.flatMap((write) => entityWrites(db, write, change)),
    db.delete(guard),
    sql`INSERT INTO ${outbox} (kind, environment, version, created_at)
      SELECT 'publish', key, version, ${change.now} FROM ${environments} WHERE ${inArray(environments.key, touched)}`,
    sql`SELECT key, version FROM ${environments} WHERE ${inArray(environments.key, touched)}`,
  ]
  try {
    const results = await database.batch<{ key: string; version: number }>(
      statements.map((statement) => prepare(database, statement)),
    )
    const rows = results.at(-1)?.results ?? []
    return ok(new Map(rows.map(({ key, version }) => [key, version])))
  } catch (error) {
    const message = error instanceof Error ? error.message : ''
    const known = REASON_BY_CONSTRAINT.find(([constraint]) => message.includes(constraint))
    if (!known) throw error
    return err({ reason: known[1] })
  }
}
