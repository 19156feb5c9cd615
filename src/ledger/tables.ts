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
    named: integer('named'),
    shallow: integer('shallow'),
    pending: integer('pending'),
    empty: integer('empty'),
  },
  (table) => [
    check('stale_revision', sql`${table.fresh} = 1`),
    check('unknown_reference', sql`${table.found} = 1`),
    check('reference_cycle', sql`${table.acyclic} = 1`),
    check('still_referenced', sql`${table.unreferenced} = 1`),
    check('unknown_variant', sql`${table.named} = 1`),
    check('nested_too_deep', sql`${table.shallow} = 1`),
    check('not_pending', sql`${table.pending} = 1`),
    check('not_empty', sql`${table.empty} = 1`),
  ],
)

/** What a committed change still owes: written with it, deleted when it is paid. */
export const outbox = sqliteTable(
  'outbox',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    kind: text('kind', { enum: ['publish', 'clear', 'clear_late'] }).notNull(),

    environment: text('environment').notNull(),
    /** What is to be published; of what is to be cleared, how many shards. */
    version: integer('version').notNull(),
    createdAt: integer('created_at').notNull(),
  },
  (table) => [index('outbox_due').on(table.kind, table.environment, table.version)],
)

/**
 * What was done, by whom and why: one row for each change, in its batch. Rows are only ever added (triggers refuse
 * anything else); `hash` is set once, when the row is sealed into the chain.
 */
export const audit = sqliteTable(
  'audit',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    at: integer('at').notNull(),
    /** The person. */
    actor: text('actor').notNull(),
    /** What they acted with: `admin`, `token:<id>`, `jwt`; the tick acts with `tick`. */
    via: text('via').notNull(),
    action: text('action').notNull(),
    targetKind: text('target_kind').notNull(),
    targetKey: text('target_key').notNull(),
    /** The environments that it concerned, and the version that each came to. */
    environments: text('environments', { mode: 'json' })
      .$type<{ readonly [environment: string]: number }>()
      .notNull(),
    comment: text('comment').notNull(),
    details: text('details', { mode: 'json' }).$type<{ readonly [name: string]: unknown }>().notNull(),
    requestId: text('request_id').notNull(),
    /** SHA-256 in hex over the row and the hash before it; null until it is sealed. */
    hash: text('hash'),
  },
  (table) => [
    index('audit_unsealed').on(table.id).where(sql`${table.hash} IS NULL`),
    index('audit_by_actor').on(table.actor, table.id),
    index('audit_by_target').on(table.targetKind, table.targetKey, table.id),
    index('audit_by_time').on(table.at),
  ],
)

/** Answers to requests that carried an Idempotency-Key, for a day: see idempotency.ts. */
export const idempotencyKeys = sqliteTable(
  'idempotency_keys',
  {
    /** A hash of who asked and the key. */
    id: text('id').primaryKey(),
    /** A hash of what was asked. */
    fingerprint: text('fingerprint').notNull(),
    status: integer('status').notNull(),
    /** Encrypted under the Idempotency-Key itself, which is not kept: it may hold what is shown once. */
    answer: text('answer').notNull(),
    environments: text('environments', { mode: 'json' })
      .$type<{ readonly [environment: string]: number }>()
      .notNull(),
    /** The new revision that it brought. */
    revision: integer('revision').notNull().default(0),
    createdAt: integer('created_at').notNull(),
  },
  (table) => [index('idempotency_keys_by_age').on(table.createdAt)],
)
