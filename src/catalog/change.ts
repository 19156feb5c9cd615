// How anything that is configured changes: one D1 batch with its guards, its rows, its history, the environments'
// new versions and what is then owed. However many entities a change has, it is the same number of statements.
import { eq, type SQL, sql } from 'drizzle-orm'
import { ok, type Result } from '../engine/result.ts'
import type { Author } from '../ledger/author.ts'
import {
  type Answer,
  type AuditEntry,
  type CommitError,
  commit,
  type Guard,
  guardStatement,
} from '../ledger/commit.ts'
import type { Statement } from '../ledger/statement.ts'
import { guard, outbox } from '../ledger/tables.ts'
import { toChunks } from './chunks.ts'
import type { EntityKind } from './entities.ts'
import { MAX_NESTING } from './limits.ts'
import {
  environments,
  flagConfigurations,
  flags,
  history,
  metrics,
  references,
  revisions,
  segments,
} from './tables.ts'

/** An entity's new text in one environment, and what it points at; null when it is gone. */
export type EntityWrite = {
  readonly environment: string
  readonly kind: EntityKind
  readonly key: string
  readonly text: string | null
  readonly pointsAt?: readonly Pointer[]
}

/** What an entity points at: a segment, a metric, or some variants of a flag. */
export type Pointer = {
  readonly kind: 'flags' | 'segments' | 'metrics'
  readonly key: string
  readonly variants: readonly string[]
}

/** A new revision of what people change, as they sent it; null when it is deleted. */
export type RevisionWrite = {
  readonly kind: typeof revisions.$inferSelect.kind
  /** Empty for a flag's definition and for a metric. */
  readonly environment: string
  readonly key: string
  readonly body: object | null
}

/** A change that was decided on, before anything is done. */
export type Change = {
  /** Such as `flag.save`. */
  readonly action: string
  readonly target: { readonly kind: string; readonly key: string }
  /** What the audit keeps beside that. */
  readonly details?: { readonly [name: string]: unknown }
  readonly guards: readonly Guard[]
  readonly writes: readonly Statement[]
  readonly entities: readonly EntityWrite[]
  readonly revisions: readonly RevisionWrite[]
  /** An environment that it deletes, whose version is then 0; it touches no other. */
  readonly gone?: string
  /** What the request is answered with; left out: revision and versions. */
  readonly answer?: Answer
  /** Which of the environments that it concerns are protected, where it was read with what is changed. */
  readonly protection?: ReadonlyMap<string, boolean>
}

/** What goes into the same batch because the change belongs to something larger. */
export type Extras = {
  readonly guards?: readonly Guard[]
  readonly writes?: readonly Statement[]
  readonly entries?: readonly AuditEntry[]
  readonly details?: { readonly [name: string]: unknown }
}

/** Why a change did not happen. Nothing of it did. */
export type ChangeError = CommitError

/** The new version of each environment that a change touched; 0: it is deleted. */
export type Versions = ReadonlyMap<string, number>

/** A change that is committed. */
export type Committed = {
  readonly versions: Versions
  /** The first new revision; 0 when it is deleted or nothing has one. */
  readonly revision: number
  readonly answer: Answer
}

/** A guard: the row that `where` finds in `table` stands at this revision; 0 means that there is none yet. */
export function isAtRevision(table: SQL, where: SQL | undefined, revision: number): Guard {
  return {
    column: 'fresh',
    holds: sql`coalesce((SELECT revision FROM ${table} WHERE ${where}), 0) = ${revision}`,
  }
}

/** The revision that something gets next, whether or not it was deleted in between. */
export function nextRevision({ kind, environment, key }: Omit<RevisionWrite, 'body'>): SQL<number> {
  return sql<number>`(1 + coalesce((SELECT max(revision) FROM ${revisions}
    WHERE ${revisions.kind} = ${kind} AND ${revisions.environment} = ${environment} AND ${revisions.key} = ${key}), 0))`
}

/** The environments that a change concerns, whether or not it reaches their edge. */
export function concernedBy({ entities, revisions }: Change): readonly string[] {
  const keys = new Set([...entities, ...revisions].map(({ environment }) => environment))
  // A flag's definition and a metric belong to none.
  keys.delete('')
  return [...keys]
}

/** The keys of those entities whose references a change replaces. */
function keysOf(entities: readonly EntityWrite[]): string {
  return JSON.stringify(entities.map(({ environment, kind, key }) => [environment, kind, key]))
}

function bytesOf(text: string | null): number {
  return text === null ? 0 : new TextEncoder().encode(text).length
}

function entityStatements(entities: readonly EntityWrite[], author: Author): Statement[] {
  const sizes = entities.map(({ environment, kind, key, text }) => [environment, kind, key, bytesOf(text)])
  const rows = entities.map(({ environment, kind, key, text }) => [environment, kind, key, text])
  return [
    // Before the history has the new texts: what an entity weighed is what its newest one there does.
    ...toChunks(sizes).map(
      (chunk) => sql`UPDATE ${environments} SET bytes = bytes + (
        SELECT coalesce(sum((value ->> 3) - coalesce((
          SELECT octet_length(body) FROM ${history}
          WHERE environment = value ->> 0 AND kind = value ->> 1 AND key = value ->> 2 ORDER BY version DESC LIMIT 1
        ), 0)), 0) FROM json_each(${chunk}) WHERE value ->> 0 = ${environments.key})
        WHERE key IN (SELECT value ->> 0 FROM json_each(${chunk}))`,
    ),
    ...toChunks(rows).map(
      (chunk) => sql`INSERT INTO ${history} (environment, version, kind, key, body, actor, comment, at)
        SELECT environments.key, environments.version, value ->> 1, value ->> 2, value ->> 3,
          ${author.actor}, ${author.comment}, ${author.now}
        FROM json_each(${chunk}) JOIN ${environments} ON environments.key = value ->> 0`,
    ),
  ]
}

function revisionStatements(written: readonly RevisionWrite[], author: Author, touched: SQL): Statement[] {
  const rows = written.map(({ kind, environment, key, body }) => [
    kind,
    environment,
    key,
    JSON.stringify(body),
  ])
  return toChunks(rows).map(
    (
      chunk,
    ) => sql`INSERT INTO ${revisions} (kind, environment, key, revision, body, actor, comment, at, environments)
      SELECT value ->> 0, value ->> 1, value ->> 2, 1 + coalesce((
        SELECT max(revision) FROM ${revisions} WHERE kind = value ->> 0 AND environment = value ->> 1 AND key = value ->> 2
      ), 0), nullif(value ->> 3, 'null'), ${author.actor}, ${author.comment}, ${author.now}, ${touched}
      FROM json_each(${chunk})`,
  )
}

/** The kinds of entities that point at others. */
const POINTING: ReadonlySet<EntityKind> = new Set(['flags', 'segments', 'rollouts', 'measurements'])

/**
 * References that lead from where a change is, down or up, as (environment, start, reached, depth): those of flags and
 * segments, which are what evaluating walks along.
 */
function reach(changed: string, direction: 'down' | 'up'): SQL {
  const [near, far] = direction === 'down' ? ['from', 'to'] : ['to', 'from']
  const column = (side: string | undefined, name: string) => sql.identifier(`${side}_${name}`)
  return sql`WITH RECURSIVE reached (environment, start_kind, start_key, kind, key, depth) AS (
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 1, value ->> 2, 0 FROM json_each(${changed})
    UNION
    SELECT reached.environment, start_kind, start_key, ${column(far, 'kind')}, ${column(far, 'key')}, depth + 1
      FROM reached JOIN ${references} AS next ON next.environment = reached.environment
        AND next.from_kind IN ('flags', 'segments') AND next.${column(near, 'kind')} = reached.kind AND next.${column(near, 'key')} = reached.key
      WHERE depth <= ${MAX_NESTING}
  )`
}

function pointerGuards(changed: string): Statement[] {
  const own = sql`(environment, from_kind, from_key) IN (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(${changed}))`
  return [
    sql`INSERT INTO ${guard} (found) SELECT NOT EXISTS (
      SELECT 1 FROM ${references} AS named WHERE ${own} AND NOT (
        (to_kind = 'segments' AND EXISTS (SELECT 1 FROM ${segments}
          WHERE segments.environment = named.environment AND segments.key = named.to_key))
        OR (to_kind = 'metrics' AND EXISTS (SELECT 1 FROM ${metrics} WHERE metrics.key = named.to_key))
        OR (to_kind = 'flags' AND EXISTS (SELECT 1 FROM ${flagConfigurations} AS configured
          JOIN ${flags} ON flags.key = configured.flag AND flags.archived_at IS NULL
          WHERE configured.environment = named.environment AND configured.flag = named.to_key))
      ))`,
    sql`INSERT INTO ${guard} (acyclic) SELECT NOT EXISTS (${reach(changed, 'down')}
      SELECT 1 FROM reached WHERE depth > 0 AND kind = start_kind AND key = start_key)`,
    sql`INSERT INTO ${guard} (shallow) SELECT NOT EXISTS (
      SELECT 1 FROM (${reach(changed, 'down')} SELECT environment, start_kind, start_key, max(depth) AS depth
        FROM reached GROUP BY environment, start_kind, start_key) AS below
      JOIN (${reach(changed, 'up')} SELECT environment, start_kind, start_key, max(depth) AS depth
        FROM reached GROUP BY environment, start_kind, start_key) AS above
      USING (environment, start_kind, start_key) WHERE below.depth + above.depth > ${MAX_NESTING})`,
  ]
}

/** Replaces what the entities point at, and holds that nothing is left pointing at what is not there. */
function referenceStatements(entities: readonly EntityWrite[]): Statement[] {
  const pointing = entities.filter(({ kind }) => POINTING.has(kind))
  if (pointing.length === 0) return []
  const changed = keysOf(pointing)
  const withPointers = pointing.filter(({ pointsAt = [] }) => pointsAt.length > 0)
  const rows = withPointers.flatMap(({ environment, kind, key, pointsAt = [] }) =>
    pointsAt.map((pointer) => [environment, kind, key, pointer.kind, pointer.key, pointer.variants]),
  )
  const gone = pointing.filter(({ text }) => text === null)
  const staying = keysOf(pointing.filter(({ text }) => text !== null))
  return [
    sql`DELETE FROM ${references} WHERE (environment, from_kind, from_key) IN
      (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(${changed}))`,
    ...toChunks(rows).map(
      (chunk) => sql`INSERT INTO ${references} (environment, from_kind, from_key, to_kind, to_key, variants)
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value -> 5 FROM json_each(${chunk})`,
    ),
    ...(withPointers.length > 0 ? pointerGuards(keysOf(withPointers)) : []),
    sql`INSERT INTO ${guard} (named) SELECT NOT EXISTS (
      SELECT 1 FROM ${references} AS pointer, json_each(pointer.variants) AS named
      JOIN ${flags} ON flags.key = pointer.to_key
      WHERE pointer.to_kind = 'flags' AND (
        (pointer.environment, pointer.from_kind, pointer.from_key) IN
          (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(${staying}))
        OR (pointer.environment, pointer.to_kind, pointer.to_key) IN
          (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(${staying}))
      ) AND named.value NOT IN (SELECT value ->> 'name' FROM json_each(flags.variants)))`,
    ...(gone.length > 0
      ? [
          sql`INSERT INTO ${guard} (unreferenced) SELECT NOT EXISTS (
            SELECT 1 FROM ${references} WHERE (environment, to_kind, to_key) IN
              (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(${keysOf(gone)})))`,
        ]
      : []),
  ]
}

/** Carries a change out, whole or not at all. */
export async function commitChange(
  database: D1Database,
  change: Change,
  author: Author,
  extras: Extras = {},
): Promise<Result<Committed, ChangeError>> {
  const { entities, target, action, gone } = change
  const keys = [...new Set(entities.map(({ environment }) => environment))]
  const isTouched = sql`key IN (SELECT value FROM json_each(${JSON.stringify(keys)}))`
  const versions =
    gone === undefined
      ? sql`(SELECT json_group_object(key, version) FROM ${environments} WHERE ${isTouched})`
      : sql`${JSON.stringify({ [gone]: 0 })}`
  const [first] = change.revisions
  const revision =
    first && first.body !== null
      ? sql`(SELECT max(revision) FROM ${revisions} WHERE kind = ${first.kind}
        AND environment = ${first.environment} AND key = ${first.key})`
      : sql`0`
  const answer: Answer = change.answer ?? { status: 200, body: {}, shows: ['revision', 'environments'] }
  const { actor, via, comment, requestId, now } = author
  const details = { ...change.details, ...extras.details }
  const result = await commit<{ versions: string; revision: number | null }>(database, {
    guards: [...(extras.guards ?? []), ...change.guards],
    writes: [
      ...change.writes,
      ...(entities.length > 0
        ? [
            // An environment that was deleted meanwhile would leave rows behind that belong to nothing.
            guardStatement({
              column: 'fresh',
              holds: sql`(SELECT count(*) FROM ${environments} WHERE ${isTouched}) = ${keys.length}`,
            }),
            sql`UPDATE ${environments} SET version = version + 1 WHERE ${isTouched}`,
          ]
        : []),
      ...entityStatements(entities, author),
      ...referenceStatements(entities),
      ...revisionStatements(change.revisions, author, versions),
      ...(entities.length > 0
        ? [
            sql`INSERT INTO ${outbox} (kind, environment, version, created_at)
              SELECT 'publish', key, version, ${now} FROM ${environments} WHERE ${isTouched}`,
          ]
        : []),
      ...(extras.writes ?? []),
    ],
    entries: [
      { actor, via, action, target, comment, details, requestId, at: now },
      ...(extras.entries ?? []),
    ],
    environments: versions,
    revision,
    receipt: author.receipt,
    answer,
    read: sql`SELECT ${versions} AS versions, ${revision} AS revision`,
  })
  if (!result.ok) return result
  const [row] = result.value
  const brought: { readonly [environment: string]: number } = JSON.parse(row?.versions ?? '{}')
  return ok({ versions: new Map(Object.entries(brought)), revision: row?.revision ?? 0, answer })
}

/** A guard: these configurations of a flag, and no others, stand at these revisions. */
export function areConfigurationsAt(
  flag: string,
  expected: readonly { readonly environment: string; readonly revision: number }[],
): Guard {
  const rows = JSON.stringify(expected.map(({ environment, revision }) => [environment, revision]))
  return {
    column: 'fresh',
    holds: sql`(SELECT count(*) FROM ${flagConfigurations} WHERE ${eq(flagConfigurations.flag, flag)}) = ${expected.length}
      AND ${expected.length} = (SELECT count(*) FROM json_each(${rows}) JOIN ${flagConfigurations} AS configured
        ON configured.flag = ${flag} AND configured.environment = value ->> 0 AND configured.revision = value ->> 1)`,
  }
}
