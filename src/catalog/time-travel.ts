// What an environment was at any of its versions, and what a flag answered there: read from the history, and asked of
// the engine that answers at the edge.
import { and, between, eq, type SQL, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { EvaluationContext } from '../engine/context.ts'
import { explain } from '../engine/evaluate.ts'
import { err, ok, type Result } from '../engine/result.ts'
import { Snapshot } from '../engine/snapshot.ts'
import type { SnapshotText } from '../engine/snapshot-text.ts'
import type { Explanation } from '../engine/trace.ts'
import { loadClosure, namesIn } from './closure.ts'
import { history } from './tables.ts'

/** A version of an environment, and when it was made, in milliseconds since 1970. */
export type VersionAt = { readonly version: number; readonly at: number }

/** A version by its number, the newest, or the one that stood at an instant. */
export type Point = { readonly version: number | 'newest' } | { readonly at: number }

/** Why a point in time has no version. */
export type PointError =
  | { readonly reason: 'unknown_environment' }
  | { readonly reason: 'unknown_version'; readonly newest: number }
  | { readonly reason: 'before_beginning'; readonly beginning: number }

/** Why there is no explanation. */
export type ExplainError = PointError | { readonly reason: 'unknown_flag'; readonly version: number }

/**
 * A change takes its time before it waits for the database, which stops a batch after 30 s. So a version may bear an
 * earlier time than the one before it, by less than this.
 */
const MAX_OVERTAKING_MS = 60_000

function isMeant(own: SQL, point: Point): SQL | undefined {
  if ('at' in point) {
    const last = sql`(SELECT max(at) FROM ${history} WHERE ${own} AND ${history.at} <= ${point.at})`
    return between(history.at, sql`${last} - ${MAX_OVERTAKING_MS}`, point.at)
  }
  return point.version === 'newest'
    ? eq(history.version, sql`(SELECT max(version) FROM ${history} WHERE ${own})`)
    : eq(history.version, point.version)
}

/** The version that `point` names: of an instant, the newest that was made by then. */
export async function loadVersionAt(
  database: D1Database,
  environment: string,
  point: Point,
): Promise<Result<VersionAt, PointError>> {
  const own = eq(history.environment, environment)
  const found = await drizzle(database)
    .select({ version: history.version, at: history.at })
    .from(history)
    .where(and(own, isMeant(own, point)))
    // The plus keeps the primary key, on which a far instant would be looked for from the newest version down, out.
    .orderBy(sql`+${history.version} DESC`)
    .limit(1)
    .get()
  return found ? ok(found) : err(await loadPointError(database, environment, point))
}

async function loadPointError(database: D1Database, environment: string, point: Point): Promise<PointError> {
  const ends = await database
    .prepare(
      `SELECT (SELECT max(version) FROM history WHERE environment = ?1) AS newest,
        (SELECT min(at) FROM history WHERE environment = ?1) AS beginning`,
    )
    .bind(environment)
    .first<{ newest: number | null; beginning: number | null }>()
  if (ends?.newest == null || ends.beginning === null) return { reason: 'unknown_environment' }
  return 'version' in point
    ? { reason: 'unknown_version', newest: ends.newest }
    : { reason: 'before_beginning', beginning: ends.beginning }
}

/**
 * One flag's part of the snapshot that the environment had at a version: the flag, its rollout, and all prerequisites
 * and segments that they lead to, as they were then. Read level by level, in at most 12 queries: what lies deeper
 * comes with everything else there was. Empty when there was no such flag.
 */
export async function loadSnapshotAt(
  database: D1Database,
  environment: string,
  version: number,
  flag: string,
): Promise<SnapshotText> {
  const sections = await loadClosure(database, environment, version, namesIn({ flags: [flag], segments: [] }))
  return { environment, version, sections }
}

/** What is to be explained, and for which moment. */
export type ExplainQuestion = {
  readonly flag: string
  readonly context: EvaluationContext
  /** The version that is asked; unless said, the one that stood at `at`, or else the newest. */
  readonly version?: number | undefined
  /** The time for conditions on time, in milliseconds since 1970; `now` unless said. */
  readonly at?: number | undefined
  readonly now: number
}

/** An explanation, the version that it is of, and when that was made. */
export type ExplanationAt = Explanation & VersionAt

function toPoint(version: number | undefined, at: number | undefined): Point {
  if (version !== undefined) return { version }
  return at === undefined ? { version: 'newest' } : { at }
}

/** Explains what a flag answers to a context at a version or an instant: every step and every condition on the way. */
export async function explainAt(
  database: D1Database,
  environment: string,
  { flag, context, version, at, now }: ExplainQuestion,
): Promise<Result<ExplanationAt, ExplainError>> {
  const found = await loadVersionAt(database, environment, toPoint(version, at))
  if (!found.ok) return found
  const text = await loadSnapshotAt(database, environment, found.value.version, flag)
  const snapshot = new Snapshot(text)
  if (!snapshot.has(flag)) return err({ reason: 'unknown_flag', version: found.value.version })
  return ok({ ...found.value, ...explain(snapshot, flag, context, at ?? now) })
}
