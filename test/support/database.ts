// What the tests ask of the database itself, beside what the API says of it.
import { env } from 'cloudflare:workers'
import type { Bindings } from '../../src/bindings.ts'
import { withDatabase } from './worker.ts'

/** The tables of what is configured, and its history: what a change that only waits leaves alone. */
export const CONFIGURED = [
  'environments',
  'flags',
  'flag_configurations',
  'segments',
  'keys',
  'history',
  'entity_references',
  'revisions',
  'metrics',
  'measurements',
] as const

type Columns = { readonly [column: string]: unknown }

/** The rows that a query finds. */
export async function rows<Row = Columns>(query: string, ...values: unknown[]): Promise<Row[]> {
  const { results } = await env.DB.prepare(query)
    .bind(...values)
    .all<Row>()
  return results
}

/** Every table that a migration has made. */
async function tables(): Promise<string[]> {
  const found = await rows<{ name: string }>(
    `SELECT name FROM sqlite_master WHERE type = 'table'
      AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' AND name <> 'd1_migrations'`,
  )
  return found.map(({ name }) => name)
}

/**
 * What some tables hold. Without any named: everything that is stored, and how far each sequence has come; the outbox
 * empties itself, so of it that alone.
 */
export async function dump(...some: readonly string[]): Promise<{ readonly [table: string]: unknown }> {
  const all = async () => [...(await tables()).filter((name) => name !== 'outbox'), 'sqlite_sequence']
  const names = some.length > 0 ? some : await all()
  const found = await env.DB.batch(names.map((name) => env.DB.prepare(`SELECT * FROM ${name}`)))
  return Object.fromEntries(names.map((name, i) => [name, found[i]?.results]))
}

/** Leaves nothing but the audit, which lets nothing be taken out of it. */
export async function emptyDatabase(): Promise<void> {
  const names = (await tables()).filter((name) => name !== 'audit')
  await env.DB.batch(names.map((name) => env.DB.prepare(`DELETE FROM ${name}`)))
}

/** Where the audit ends, so that what is written from then on can be told. */
export async function auditEnd(): Promise<number> {
  const [row] = await rows<{ id: number }>('SELECT coalesce(max(id), 0) AS id FROM audit')
  return row?.id ?? 0
}

/** What the audit was told after a row of it, oldest first. */
export async function auditAfter(id: number): Promise<readonly Columns[]> {
  const told = await rows('SELECT * FROM audit WHERE id > ? ORDER BY id', id)
  return told.map((row) => ({ ...row, details: JSON.parse(String(row.details)) }))
}

/** The database, where somebody else is quicker between what a change reads and what it writes. */
export function overtaken(act: () => Promise<unknown>): Bindings {
  let acted = false
  return withDatabase(env, {
    batch: async (statements: D1PreparedStatement[]) => {
      if (!acted) {
        acted = true
        await act()
      }
      return env.DB.batch(statements)
    },
  })
}
