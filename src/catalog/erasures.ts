// What is written down of erasures: that one was asked for, by whom, and whether it is done; never of whom.
import { eq, sql } from 'drizzle-orm'
import type { Author } from '../ledger/author.ts'
import { commit } from '../ledger/commit.ts'
import { environments } from './tables.ts'

/** Notes in the audit that a unit of a kind was erased, or in part, and keeps the answer where it is complete. */
export async function recordErasure(
  database: D1Database,
  environment: string,
  { kind, complete }: { readonly kind: string; readonly complete: boolean },
  { actor, via, comment, requestId, now, receipt }: Author,
  body: { readonly [field: string]: unknown },
): Promise<void> {
  const target = { kind: 'environment', key: environment }
  const details = { kind, complete }
  const result = await commit(database, {
    guards: [],
    writes: [],
    entries: [{ actor, via, action: 'unit.erase', target, comment, details, requestId, at: now }],
    environments: sql`(SELECT json_group_object(key, version) FROM ${environments}
      WHERE ${eq(environments.key, environment)})`,
    receipt: complete ? receipt : undefined,
    answer: { status: 200, body, shows: [] },
    read: sql`SELECT 1`,
  })
  // Another request with the same key was as fast, and has written the same.
  if (!result.ok && result.error.reason !== 'repeated') {
    throw new Error(`an erasure cannot be refused as ${result.error.reason}`)
  }
}
