import { aliasedTable, and, desc, eq, type SQL, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { JsonObject } from '../engine/json.ts'
import { revisions } from './tables.ts'

/** A revision, and what stood before it. */
export type RevisionEntry = {
  readonly kind: typeof revisions.$inferSelect.kind
  readonly environment: string
  readonly key: string
  readonly revision: number
  /** null: it is deleted. */
  readonly body: JsonObject | null
  readonly before: JsonObject | null
  readonly actor: string
  readonly comment: string
  /** Milliseconds since 1970. */
  readonly at: number
  /** The environments that it touched, and the version that it brought to each. */
  readonly environments: { readonly [environment: string]: number }
}

/** Where a page of revisions begins: below this one. */
export type RevisionPosition = {
  readonly at: number
  readonly environment: string
  readonly revision: number
}

/** Whose revisions are asked for. */
export type RevisionSubject =
  | {
      readonly flag: string
      /** Its configurations in these environments beside its definition; null: in all. */
      readonly environments: readonly string[] | null
    }
  | { readonly segment: string; readonly environment: string }
  | { readonly metric: string }

function conditionOf(subject: RevisionSubject): SQL | undefined {
  if ('segment' in subject) {
    return and(
      eq(revisions.kind, 'segment'),
      eq(revisions.environment, subject.environment),
      eq(revisions.key, subject.segment),
    )
  }
  if ('metric' in subject) {
    return and(eq(revisions.kind, 'metric'), eq(revisions.environment, ''), eq(revisions.key, subject.metric))
  }
  const { environments } = subject
  return and(
    sql`${revisions.kind} IN ('flag', 'configuration')`,
    eq(revisions.key, subject.flag),
    environments === null
      ? undefined
      : sql`(${revisions.environment} = '' OR ${revisions.environment} IN
          (SELECT value FROM json_each(${JSON.stringify(environments)})))`,
  )
}

/** A page of revisions, newest first, each with the one before it. */
export async function listRevisions(
  database: D1Database,
  subject: RevisionSubject,
  limit: number,
  below: RevisionPosition | undefined,
): Promise<RevisionEntry[]> {
  const before = aliasedTable(revisions, 'before')
  const { kind, environment, key, revision, body, actor, comment, at, environments } = revisions
  const position = below
    ? sql`(${at}, ${environment}, ${revision}) < (${below.at}, ${below.environment}, ${below.revision})`
    : undefined
  return drizzle(database)
    .select({
      kind,
      environment,
      key,
      revision,
      body,
      before: before.body,
      actor,
      comment,
      at,
      environments,
    })
    .from(revisions)
    .leftJoin(
      before,
      and(
        eq(before.kind, kind),
        eq(before.environment, environment),
        eq(before.key, key),
        eq(before.revision, sql`${revision} - 1`),
      ),
    )
    .where(and(conditionOf(subject), position))
    .orderBy(desc(at), desc(environment), desc(revision))
    .limit(limit)
}

/** What something was at a revision; undefined when there is none, null when it was deleted then. */
export async function loadRevision(
  database: D1Database,
  kind: RevisionEntry['kind'],
  environment: string,
  key: string,
  revision: number,
): Promise<JsonObject | null | undefined> {
  const row = await drizzle(database)
    .select({ body: revisions.body })
    .from(revisions)
    .where(
      and(
        eq(revisions.kind, kind),
        eq(revisions.environment, environment),
        eq(revisions.key, key),
        eq(revisions.revision, revision),
      ),
    )
    .get()
  return row?.body
}
