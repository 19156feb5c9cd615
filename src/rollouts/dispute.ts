// What a rollback is called that should not have been: a false alarm. What was done is not undone by it.
import { desc, eq } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { SaveError } from '../catalog/save-error.ts'
import { err, ok, type Result } from '../engine/result.ts'
import type { Author } from '../ledger/author.ts'
import type { Answer } from '../ledger/commit.ts'
import { commitBeside } from './drafts.ts'
import { disputeStatements } from './incidents/dispute.ts'
import type { Rollout } from './rollout.ts'
import { incidents } from './tables.ts'

/** An incident that somebody disputes. */
export type Disputed = { readonly incident: string; readonly disputedBy: string }

/** Marks the newest incident of a rollout as a false alarm; the guard that raised it keeps that tally. */
export async function disputeRollback(
  database: D1Database,
  rollout: Rollout,
  author: Author,
): Promise<Result<Disputed, SaveError | { readonly reason: 'no_incident' }>> {
  const found = await drizzle(database)
    .select({ id: incidents.id })
    .from(incidents)
    .where(eq(incidents.rollout, rollout.id))
    .orderBy(desc(incidents.createdAt), desc(incidents.id))
    .limit(1)
    .get()
  if (!found) return err({ reason: 'no_incident' })
  const { actor, comment, now } = author
  const disputed = { incident: found.id, disputedBy: actor }
  const answer: Answer = { status: 200, body: disputed, shows: [] }
  const writes = disputeStatements(rollout.id, { actor, note: comment, at: now })
  const part = { action: 'rollout.dispute', rollout, guards: [], writes, answer }
  const committed = await commitBeside(database, part, author)
  return committed.ok ? ok(disputed) : committed
}
