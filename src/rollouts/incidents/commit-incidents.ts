// How an incident changes: guarded by its revision, with its notes, its notices and what the audit keeps of it.
import { sql } from 'drizzle-orm'
import { commitChange, type EntityWrite, type Versions } from '../../catalog/change.ts'
import { toChunks } from '../../catalog/chunks.ts'
import { versionOf } from '../../catalog/environments.ts'
import type { SaveError } from '../../catalog/save-error.ts'
import { err, ok, type Result } from '../../engine/result.ts'
import type { Author } from '../../ledger/author.ts'
import { type Answer, type AuditEntry, commit, type Guard } from '../../ledger/commit.ts'
import type { Statement } from '../../ledger/statement.ts'
import type { Notice } from '../../notifications/notification.ts'
import { noticeStatements } from '../../notifications/outbox.ts'
import { incidentNotes, incidents } from '../tables.ts'
import type { Incident } from './incident-store.ts'

/** An incident as it was read, and what becomes of it. */
export type IncidentChange = {
  readonly before: Incident
  readonly after: Incident
  /** What is noted about it, in words. */
  readonly notes: readonly string[]
  readonly notices: readonly Notice[]
  /** Such as `incident.acknowledge`. */
  readonly action: string
  readonly details: { readonly [name: string]: unknown }
}

/** What goes into the same batch. */
export type Beside = {
  readonly guards?: readonly Guard[]
  readonly writes?: readonly Statement[]
  readonly entities?: readonly EntityWrite[]
  readonly answer?: Answer
}

/** Statements that add notes to incidents, numbered on from those that there are. */
export function noteStatements(
  notes: readonly (readonly [incident: string, words: string])[],
  actor: string,
  at: number,
): Statement[] {
  return toChunks(notes).map(
    (chunk) => sql`INSERT INTO ${incidentNotes} (incident, at, number, actor, words)
      SELECT value ->> 0, ${at},
        (SELECT coalesce(max(number), 0) FROM ${incidentNotes} WHERE incident = value ->> 0)
          + row_number() OVER (PARTITION BY value ->> 0 ORDER BY json_each.key), ${actor}, value ->> 1
      FROM json_each(${chunk})`,
  )
}

function areAtRevisions(changes: readonly IncidentChange[]): Guard[] {
  return toChunks(changes.map(({ before }) => [before.id, before.revision])).map((chunk) => ({
    column: 'fresh',
    holds: sql`NOT EXISTS (SELECT 1 FROM json_each(${chunk}) AS step
      LEFT JOIN ${incidents} ON incidents.id = step.value ->> 0 WHERE incidents.revision IS NOT step.value ->> 1)`,
  }))
}

function rowStatements(changes: readonly IncidentChange[], now: number): Statement[] {
  const rows = changes.map(({ after }) => [after.id, after])
  return toChunks(rows).map(
    (chunk) => sql`UPDATE ${incidents} SET
        state = new.row ->> 'state', facts = new.row -> 'facts', safe_at = new.row ->> 'safeAt',
        verification = new.row ->> 'verification', escalated_at = new.row ->> 'escalatedAt',
        acknowledged_at = new.row ->> 'acknowledgedAt', acknowledged_by = new.row ->> 'acknowledgedBy',
        resolved_at = new.row ->> 'resolvedAt', resolved_by = new.row ->> 'resolvedBy',
        resolution = new.row ->> 'resolution', post_mortem = new.row ->> 'postMortem',
        revision = revision + 1, updated_at = ${now}
      FROM (SELECT value ->> 0 AS id, value -> 1 AS row FROM json_each(${chunk})) AS new
      WHERE incidents.id = new.id`,
  )
}

function entryOf({ action, before, details }: IncidentChange, author: Author): AuditEntry {
  const { actor, via, comment, requestId, now } = author
  return {
    ...{ actor, via, action, comment, requestId, details, at: now },
    target: { kind: 'incident', key: before.id },
  }
}

/** Changes incidents of one environment, all or none; which versions that brought, where the edge has to do with it. */
export async function commitIncidents(
  database: D1Database,
  environment: string,
  changes: readonly [IncidentChange, ...IncidentChange[]],
  author: Author,
  { guards = [], writes = [], entities = [], answer }: Beside = {},
): Promise<Result<Versions, SaveError>> {
  const all = {
    guards: [...areAtRevisions(changes), ...guards],
    writes: [
      ...writes,
      ...rowStatements(changes, author.now),
      ...noteStatements(
        changes.flatMap(({ before, notes }) => notes.map((words) => [before.id, words] as const)),
        author.actor,
        author.now,
      ),
      ...noticeStatements(...changes.flatMap(({ notices }) => notices)),
    ],
  }
  const [first, ...others] = changes.map((change) => entryOf(change, author))
  if (!first) throw new Error('no changes')
  if (entities.length > 0) {
    const { action, target, details } = first
    const change = { ...all, action, target, details, entities, revisions: [], ...(answer ? { answer } : {}) }
    const committed = await commitChange(database, change, author, { entries: others })
    return committed.ok ? ok(committed.value.versions) : committed
  }
  const committed = await commit(database, {
    ...all,
    entries: [first, ...others],
    environments: sql`json_object(${environment}, (${versionOf(environment)}))`,
    receipt: author.receipt,
    answer: answer ?? { status: 200, body: {}, shows: [] },
    read: sql`SELECT 1`,
  })
  return committed.ok ? ok(new Map()) : err(committed.error)
}
