import { env } from 'cloudflare:workers'
import { type SQL, sql } from 'drizzle-orm'
import { type Guard, guardStatement } from '../../src/ledger/commit.ts'
import { prepare } from '../../src/ledger/statement.ts'

/** Carries writes out as a change does: whole, or not at all when a guard does not hold; whether they happened. */
export async function commit({
  guards = [],
  writes,
}: {
  readonly guards?: readonly Guard[]
  readonly writes: readonly SQL[]
}): Promise<boolean> {
  const statements = [...guards.map(guardStatement), ...writes, sql`DELETE FROM guard`]
  try {
    await env.DB.batch(statements.map((statement) => prepare(env.DB, statement)))
    return true
  } catch (error) {
    if (String(error).includes('stale_revision')) return false
    throw error
  }
}
