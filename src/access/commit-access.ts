import { type SQL, sql } from 'drizzle-orm'
import type { Refusal } from '../http/problem.ts'
import type { Author } from '../ledger/author.ts'
import { type Answer, type CommitError, commit } from '../ledger/commit.ts'
import type { GuardedWrites } from './members.ts'

/** A change of who may what, before anything is done. */
export type AccessChange = GuardedWrites & {
  /** Such as `token.create`. */
  readonly action: string
  readonly target: { readonly kind: 'token' | 'member'; readonly key: string }
  /** What the audit keeps beside that. */
  readonly details: { readonly [name: string]: unknown }
  readonly answer: Answer
}

const REFUSALS: { readonly [reason in CommitError['reason']]?: Refusal<409 | 412> } = {
  stale: { status: 412, code: 'stale', message: 'it has changed since, or exists already: read it again' },
  exists: { status: 409, code: 'exists', message: 'it exists already' },
  repeated: { status: 409, code: 'repeated', message: 'the same request is being answered already' },
}

/** Such changes belong to no environment. */
const NO_ENVIRONMENTS: SQL = sql`'{}'`

/** Carries a change out, whole or not at all; why it did not happen, undefined when it did. */
export async function commitAccess(
  database: D1Database,
  { guards, writes, action, target, details, answer }: AccessChange,
  { actor, via, comment, requestId, now, receipt }: Author,
): Promise<Refusal<409 | 412> | undefined> {
  const result = await commit(database, {
    guards,
    writes,
    entries: [{ actor, via, action, target, comment, details, requestId, at: now }],
    environments: NO_ENVIRONMENTS,
    receipt,
    answer,
    read: sql`SELECT 1`,
  })
  if (result.ok) return undefined
  const refusal = REFUSALS[result.error.reason]
  if (!refusal) throw new Error(`a change of access cannot be refused as ${result.error.reason}`)
  return refusal
}
