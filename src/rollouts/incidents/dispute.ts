// Somebody says that a rollback was a false alarm: marked in its incident, in the batch of whoever disputes it.
import { sql } from 'drizzle-orm'
import type { Statement } from '../../ledger/statement.ts'
import { incidentNotes, incidents } from '../tables.ts'

/** Statements that mark the newest incident of a rollout as disputed, with a note of why. */
export function disputeStatements(
  rollout: string,
  { actor, note, at }: { readonly actor: string; readonly note: string; readonly at: number },
): Statement[] {
  const newest = sql`(SELECT id FROM ${incidents} WHERE rollout = ${rollout} ORDER BY created_at DESC, id DESC LIMIT 1)`
  const words = note === '' ? 'Disputed: a false alarm.' : `Disputed: ${note}`
  return [
    sql`UPDATE ${incidents} SET disputed_by = ${actor}, dispute_note = ${note}, revision = revision + 1,
      updated_at = ${at} WHERE id = ${newest}`,
    sql`INSERT INTO ${incidentNotes} (incident, at, number, actor, words)
      SELECT id, ${at}, (SELECT coalesce(max(number), 0) + 1 FROM ${incidentNotes} WHERE incident = ${incidents.id}),
        ${actor}, ${words} FROM ${incidents} WHERE id = ${newest}`,
  ]
}
