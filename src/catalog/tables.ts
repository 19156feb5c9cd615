import { sql } from 'drizzle-orm'
import { check, index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import type { Condition, FlagConfiguration, FlagMetadata, FlagType, Variant } from '../engine/flag.ts'
import { MAX_ENVIRONMENT_BYTES } from './limits.ts'

/** Instants are milliseconds since 1970 everywhere. */
export const environments = sqliteTable(
  'environments',
  {
    key: text('key').primaryKey(),
    name: text('name').notNull(),
    /** Raised by every change of anything that the environment's snapshot holds. */
    version: integer('version').notNull(),
    /** Raised by every change of the environment's own fields. */
    revision: integer('revision').notNull(),
    /** What the newest version of all its entities weighs, in bytes of UTF-8. */
    bytes: integer('bytes').notNull(),
    refreshSeconds: integer('refresh_seconds').notNull(),
    /** 32 random bytes in hex: signs stream tokens. */
    signingSecret: text('signing_secret').notNull(),
    createdAt: integer('created_at').notNull(),
  },
  (table) => [
    check('environment_too_large', sql`${table.bytes} <= ${sql.raw(String(MAX_ENVIRONMENT_BYTES))}`),
  ],
)

/** What a flag is in every environment. */
export const flags = sqliteTable('flags', {
  key: text('key').primaryKey(),
  type: text('type').$type<FlagType>().notNull(),
  variants: text('variants', { mode: 'json' }).$type<readonly Variant[]>().notNull(),
  metadata: text('metadata', { mode: 'json' }).$type<FlagMetadata>().notNull(),
  clientVisible: integer('client_visible', { mode: 'boolean' }).notNull(),
  description: text('description').notNull(),
  tags: text('tags', { mode: 'json' }).$type<readonly string[]>().notNull(),
  owner: text('owner').notNull(),
  temporary: integer('temporary', { mode: 'boolean' }).notNull(),
  revision: integer('revision').notNull(),
  createdAt: integer('created_at').notNull(),
  updatedAt: integer('updated_at').notNull(),
})

/** What a flag is in one environment. */
export const flagConfigurations = sqliteTable(
  'flag_configurations',
  {
    flag: text('flag').notNull(),
    environment: text('environment').notNull(),
    configuration: text('configuration', { mode: 'json' }).$type<FlagConfiguration>().notNull(),
    revision: integer('revision').notNull(),
    updatedAt: integer('updated_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.environment, table.flag] })],
)

export const segments = sqliteTable(
  'segments',
  {
    environment: text('environment').notNull(),
    key: text('key').notNull(),
    description: text('description').notNull(),
    condition: text('condition', { mode: 'json' }).$type<Condition | null>(),
    included: text('included', { mode: 'json' }).$type<readonly string[]>().notNull(),
    excluded: text('excluded', { mode: 'json' }).$type<readonly string[]>().notNull(),
    revision: integer('revision').notNull(),
    updatedAt: integer('updated_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.environment, table.key] })],
)

/** Evaluation keys; the key itself is never stored, only its SHA-256 in hex. */
export const keys = sqliteTable(
  'keys',
  {
    id: text('id').primaryKey(),
    environment: text('environment').notNull(),
    kind: text('kind', { enum: ['server', 'client'] }).notNull(),
    name: text('name').notNull(),
    hash: text('hash').notNull(),
    createdAt: integer('created_at').notNull(),
    revokedAt: integer('revoked_at'),
  },
  (table) => [index('keys_by_environment').on(table.environment)],
)

/**
 * Every version of every entity, as the snapshot holds it. The snapshot at version V is the newest row of each
 * entity with a version up to V; a body of null is a tombstone.
 */
export const history = sqliteTable(
  'history',
  {
    environment: text('environment').notNull(),
    version: integer('version').notNull(),
    kind: text('kind').notNull(),
    key: text('key').notNull(),
    body: text('body'),
    actor: text('actor').notNull(),
    comment: text('comment').notNull(),
    at: integer('at').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.environment, table.version, table.kind, table.key] }),
    index('history_by_entity').on(table.environment, table.kind, table.key, table.version),
  ],
)

/** Who points at whom, so that what is pointed at is not deleted and no circle is closed. */
export const references = sqliteTable(
  'entity_references',
  {
    environment: text('environment').notNull(),
    fromKind: text('from_kind').notNull(),
    fromKey: text('from_key').notNull(),
    toKind: text('to_kind').notNull(),
    toKey: text('to_key').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.environment, table.fromKind, table.fromKey, table.toKind, table.toKey] }),
    index('references_by_target').on(table.environment, table.toKind, table.toKey),
  ],
)

/** Which flag is watched, and by what: rollouts and experiments write these through the catalog. */
export const measurements = sqliteTable(
  'measurements',
  {
    environment: text('environment').notNull(),
    flag: text('flag').notNull(),
    id: text('id').notNull(),
    kind: text('kind', { enum: ['rollout', 'experiment'] }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.environment, table.flag, table.id] })],
)
