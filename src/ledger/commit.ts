// How anything on the management plane changes: one D1 batch with its guards, its rows, what the audit keeps of it
// and the answer that a repeated request gets. It happens as a whole or not at all.
import { type SQL, sql } from 'drizzle-orm'
import type { Receipt } from './idempotency.ts'
import { prepare, type Statement } from './statement.ts'
import { audit, guard, idempotencyKeys } from './tables.ts'

/** What must be so when the batch runs: an expression that is 1, by the column of `guard` whose constraint fails. */
export type Guard = { readonly column: GuardColumn; readonly holds: SQL }

export type GuardColumn = Exclude<keyof typeof guard.$inferSelect, number>

/** What the audit keeps of one deed. */
export type AuditEntry = {
  readonly actor: string
  readonly via: string
  /** `flag.save`, `token.create`, … */
  readonly action: string
  readonly target: { readonly kind: string; readonly key: string }
  readonly comment: string
  readonly details: { readonly [name: string]: unknown }
  readonly requestId: string
  /** Milliseconds since 1970. */
  readonly at: number
}

/** What a request is answered with once it is committed. */
export type Answer = {
  readonly status: number
  readonly body: { readonly [field: string]: unknown }
  /** What is only known then, and stands beside the body. */
  readonly shows: readonly ('revision' | 'environments')[]
}

export type Batch = {
  readonly guards: readonly Guard[]
  readonly writes: readonly Statement[]
  readonly entries: readonly AuditEntry[]
  /** An expression that gives the JSON of each environment that was touched and its new version. */
  readonly environments: SQL
  /** An expression that gives the new revision. */
  readonly revision?: SQL
  /** Where the request carried an Idempotency-Key. */
  readonly receipt: Receipt | undefined
  readonly answer: Answer
  /** A query whose rows the caller gets back. */
  readonly read: SQL
}

/** Why nothing happened. */
export type CommitError = {
  readonly reason:
    | 'stale'
    | 'exists'
    | 'unknown_reference'
    | 'unknown_variant'
    | 'reference_cycle'
    | 'nested_too_deep'
    | 'still_referenced'
    | 'environment_too_large'
    | 'not_pending'
    | 'not_empty'
    /** The same request is committed already. */
    | 'repeated'
}

export type CommitResult<Row> =
  | { readonly ok: true; readonly value: readonly Row[] }
  | { readonly ok: false; readonly error: CommitError }

const REASON_BY_CONSTRAINT: readonly (readonly [constraint: string, reason: CommitError['reason']])[] = [
  ['stale_revision', 'stale'],
  ['unknown_reference', 'unknown_reference'],
  ['unknown_variant', 'unknown_variant'],
  ['reference_cycle', 'reference_cycle'],
  ['nested_too_deep', 'nested_too_deep'],
  ['still_referenced', 'still_referenced'],
  ['environment_too_large', 'environment_too_large'],
  ['not_pending', 'not_pending'],
  ['not_empty', 'not_empty'],
  ['idempotency_keys.id', 'repeated'],
  ['UNIQUE constraint failed', 'exists'],
]

/** A statement that fails the batch unless the guard holds. */
export function guardStatement({ column, holds }: Guard): SQL {
  return sql`INSERT INTO ${guard} (${sql.identifier(column)}) SELECT ${holds}`
}

/** A bound text ends at 2 MB. */
const AUDIT_CHARACTERS = 1_000_000

/** One statement for whatever a change does, so that a clock may do a thousand things at once. */
function auditStatements(entries: readonly AuditEntry[], environments: SQL): SQL[] {
  const chunks: string[][] = []
  let length = Number.POSITIVE_INFINITY
  for (const { at, actor, via, action, target, comment, details, requestId } of entries) {
    const { kind, key } = target
    const text = JSON.stringify([
      at,
      actor,
      via,
      action,
      kind,
      key,
      comment,
      JSON.stringify(details),
      requestId,
    ])
    if (length + text.length > AUDIT_CHARACTERS) {
      chunks.push([])
      length = 0
    }
    chunks.at(-1)?.push(text)
    length += text.length
  }
  return chunks.map(
    (rows) => sql`INSERT INTO ${audit}
      (at, actor, via, action, target_kind, target_key, environments, comment, details, request_id)
      SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, ${environments},
        value ->> 6, value ->> 7, value ->> 8 FROM json_each(${`[${rows.join(',')}]`}) ORDER BY json_each.key`,
  )
}

/** Carries a batch out. */
export async function commit<Row>(database: D1Database, batch: Batch): Promise<CommitResult<Row>> {
  const { guards, writes, entries, environments, revision = sql`0`, receipt, answer, read } = batch
  const sealed = receipt && (await receipt.seal(JSON.stringify({ body: answer.body, shows: answer.shows })))
  const statements: Statement[] = [
    ...guards.map(guardStatement),
    ...writes,
    ...auditStatements(entries, environments),
    ...(receipt
      ? [
          sql`INSERT INTO ${idempotencyKeys} (id, fingerprint, status, answer, environments, revision, created_at)
            VALUES (${receipt.id}, ${receipt.fingerprint}, ${answer.status}, ${sealed}, ${environments}, ${revision},
              ${receipt.at})`,
        ]
      : []),
    sql`DELETE FROM ${guard}`,
    read,
  ]
  try {
    const results = await database.batch<Row>(statements.map((statement) => prepare(database, statement)))
    return { ok: true, value: results.at(-1)?.results ?? [] }
  } catch (error) {
    const message = error instanceof Error ? error.message : ''
    const known = REASON_BY_CONSTRAINT.find(([constraint]) => message.includes(constraint))
    if (!known) throw error
    return { ok: false, error: { reason: known[1] } }
  }
}
