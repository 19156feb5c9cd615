import { sql } from 'drizzle-orm'
import { check, index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'

/**
 * Never holds a row: a batch that inserts anything but 1 here fails as a whole, which is how a change whose ground
 * has moved undoes itself on D1. The name of the constraint that failed says why.
 */
export const guard = sqliteTable(
  'guard',
  {
    fresh: integer('fresh'),
    found: integer('found'),
    acyclic: integer('acyclic'),
    unreferenced: integer('unreferenced'),
  },
  (table) => [
    check('stale_revision', sql`${table.fresh} = 1`),
    check('unknown_reference', sql`${table.found} = 1`),
    check('reference_cycle', sql`${table.acyclic} = 1`),
    check('still_referenced', sql`${table.unreferenced} = 1`),
  ],
)

/** What a committed change still owes: written with it, deleted when it is paid. */
export const outbox = sqliteTable(
  'outbox',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    kind: text('kind', { enum: ['publish'] }).notNull(),
    environment: text('environment').notNull(),
    version: integer('version').notNull(),
    createdAt: integer('created_at').notNull(),
  },
  (table) => [index('outbox_due').on(table.kind, table.environment, table.version)],
)
