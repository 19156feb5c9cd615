// What was counted in an environment goes when the environment is deleted. Who counts does it; that it is owed is
// written down with the deletion, so that a failure is made good.
import { sql } from 'drizzle-orm'
import type { Bindings } from '../bindings.ts'
import type { Statement } from '../ledger/statement.ts'
import { outbox } from '../ledger/tables.ts'

/**
 * For how long counts may still arrive for an environment that is gone: isolates hear of it a little later, and send
 * what they have.
 */
const LATE_MS = 5 * 60_000

/** Clears the first so many shards of an environment, or throws where one cannot be reached. */
export type Clear = (bindings: Bindings, environment: string, shards: number) => Promise<void>

type Owed = {
  readonly id: number
  /** `clear_late`: it was cleared once, and what came later may be there. */
  readonly kind: 'clear' | 'clear_late'
  readonly environment: string
  readonly shards: number
  readonly createdAt: number
  /** 1: it has been made again. */
  readonly stands: number
}

/** Writes down that so many shards of an environment are to be cleared. */
export function clearingOwed(environment: string, shards: number, now: number): Statement {
  return sql`INSERT INTO ${outbox} (kind, environment, version, created_at)
    VALUES ('clear', ${environment}, ${shards}, ${now})`
}

async function pay(bindings: Bindings, owed: Owed, now: number, clear: Clear): Promise<void> {
  const { id, kind, environment, shards, createdAt, stands } = owed
  // What is counted in one that was made again is its own.
  if (kind === 'clear' || !stands) await clear(bindings, environment, shards)
  const isPaid = stands || now - createdAt >= LATE_MS
  const query = isPaid
    ? 'DELETE FROM outbox WHERE id = ?'
    : "UPDATE outbox SET kind = 'clear_late' WHERE id = ?"
  await bindings.DB.prepare(query).bind(id).run()
}

/** Clears what was counted in environments that are gone; what fails is due again. */
export async function clearDue(bindings: Bindings, now: number, clear: Clear): Promise<void> {
  const { results } = await bindings.DB.prepare(
    `SELECT id, kind, environment, version AS shards, created_at AS createdAt,
      EXISTS (SELECT 1 FROM environments WHERE key = environment) AS stands
      FROM outbox WHERE kind IN ('clear', 'clear_late')`,
  ).all<Owed>()
  for (const owed of results) {
    try {
      await pay(bindings, owed, now, clear)
    } catch (error) {
      console.error('counts not cleared', { environment: owed.environment, error: String(error) })
    }
  }
}
