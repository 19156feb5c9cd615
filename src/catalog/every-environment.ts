// What concerns every environment, flags and metrics, is decided about those that there are, and holds only while
// there are no others.
import { asc, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { Guard } from '../ledger/commit.ts'
import { environments } from './tables.ts'

/** The keys of all environments, in order. */
export async function loadEnvironmentKeys(database: D1Database): Promise<string[]> {
  const rows = await drizzle(database)
    .select({ key: environments.key })
    .from(environments)
    .orderBy(asc(environments.key))
  return rows.map(({ key }) => key)
}

/** A guard: there are these environments and no others, so that what is new is in all of them. */
export function areEnvironments(keys: readonly string[]): Guard {
  const listed = sql`SELECT json_group_array(key) FROM (SELECT key FROM ${environments} ORDER BY key)`
  return { column: 'fresh', holds: sql`(${listed}) = ${JSON.stringify(keys)}` }
}
