import { sql } from 'drizzle-orm'
import {
  check,
  index,
  integer,
  primaryKey,
  real,
  sqliteTable,
  text,
  uniqueIndex,
} from 'drizzle-orm/sqlite-core'
import type { Actor } from '../access/actor.ts'
import type { Condition, FlagConfiguration, FlagMetadata, FlagType, Variant } from '../engine/flag.ts'
import type { JsonObject } from '../engine/json.ts'
import type { ShardLayout } from './entities.ts'
import { MAX_ENVIRONMENT_BYTES } from './limits.ts'
import type { MetricKind } from './measurement.ts'
import type { Operation } from './operation.ts'
import type { Preview } from './preview.ts'
import type { Staleness } from './staleness.ts'

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
    /** Whether a change of it needs a second person. */
    protected: integer('protected', { mode: 'boolean' }).notNull().default(false),
    /** Whether some contexts of the last day are kept, to try drafts on. */
    keepContexts: integer('keep_contexts', { mode: 'boolean' }).notNull().default(false),
    /** Public keys (JWK); where there are any, a client key's context must be signed by one of them. */
    contextKeys: text('context_keys', { mode: 'json' })
      .$type<readonly JsonObject[]>()
      .notNull()
      .default(sql`'[]'`),
    /** Over how many shards events are spread. */
    shards: integer('shards').notNull().default(2),
    /** Since when, and what it was before: see layouts.ts. */
    layouts: text('layouts', { mode: 'json' }).$type<readonly ShardLayout[]>().notNull().default(sql`'[]'`),
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
  /** Key, description, owner and tags in lower case, to be searched. */
  search: text('search').notNull().default(''),
  /** An archived flag is at no edge; its configurations are kept. */
  archivedAt: integer('archived_at'),
  /** Why it should be cleaned up, as the sweep last found; null: it should not, or nobody knows. */
  stale: text('stale', { mode: 'json' }).$type<Staleness | null>(),
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
    /** As the configuration has it, to be searched. */
    enabled: integer('enabled', { mode: 'boolean' }).notNull().default(false),
    revision: integer('revision').notNull(),
    updatedAt: integer('updated_at').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.environment, table.flag] }),
    index('flag_configurations_by_flag').on(table.flag),
  ],
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

/** What is counted, in every environment. */
export const metrics = sqliteTable('metrics', {
  key: text('key').primaryKey(),
  event: text('event').notNull(),
  kind: text('kind').$type<MetricKind>().notNull(),
  denominator: text('denominator'),
  unit: text('unit').notNull(),
  goodDirection: text('good_direction', { enum: ['up', 'down'] }).notNull(),
  cap: real('cap'),
  preExposure: integer('pre_exposure', { mode: 'boolean' }).notNull(),
  description: text('description').notNull(),
  tags: text('tags', { mode: 'json' }).$type<readonly string[]>().notNull(),
  owner: text('owner').notNull(),
  /** Key, event, description, owner and tags in lower case, to be searched. */
  search: text('search').notNull(),
  revision: integer('revision').notNull(),
  createdAt: integer('created_at').notNull(),
  updatedAt: integer('updated_at').notNull(),
})

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
    /** When it ends by itself: a key that was replaced lives on for a while. */
    expiresAt: integer('expires_at'),
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
    index('history_by_time').on(table.environment, table.at),
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
    /** The variants of a prerequisite that are named. */
    variants: text('variants', { mode: 'json' }).$type<readonly string[]>().notNull().default(sql`'[]'`),
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
    /** All of it but the id, as the snapshot has it. */
    body: text('body').notNull().default(''),
  },
  (table) => [
    primaryKey({ columns: [table.environment, table.flag, table.id] }),
    uniqueIndex('measurements_by_id').on(table.environment, table.id),
  ],
)

/**
 * Every revision of what people change, as they sent it: a flag's definition and notes, a configuration, a segment,
 * an environment, a metric. Numbers go on when something is deleted and made again, so a revision never means two things.
 */
export const revisions = sqliteTable(
  'revisions',
  {
    kind: text('kind', { enum: ['flag', 'configuration', 'segment', 'environment', 'metric'] }).notNull(),
    /** Empty for a flag's definition and for a metric, which belong to all. */
    environment: text('environment').notNull(),
    key: text('key').notNull(),
    revision: integer('revision').notNull(),
    /** null: it was deleted. */
    body: text('body', { mode: 'json' }).$type<JsonObject | null>(),
    actor: text('actor').notNull(),
    comment: text('comment').notNull(),
    at: integer('at').notNull(),
    /** The environments that it touched, and the version that it brought to each. */
    environments: text('environments', { mode: 'json' })
      .$type<{ readonly [environment: string]: number }>()
      .notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.kind, table.environment, table.key, table.revision] }),
    index('revisions_by_key').on(table.kind, table.key, table.at),
  ],
)

/** Changes that wait: for a second person, or for their time. */
export const changeRequests = sqliteTable(
  'change_requests',
  {
    id: text('id').primaryKey(),
    /** What is to be done: see operation.ts. */
    operation: text('operation', { mode: 'json' }).$type<Operation>().notNull(),
    environments: text('environments', { mode: 'json' }).$type<readonly string[]>().notNull(),
    state: text('state', {
      enum: ['awaiting_approval', 'scheduled', 'applied', 'rejected', 'cancelled', 'failed'],
    }).notNull(),
    author: text('author', { mode: 'json' }).$type<Actor>().notNull(),
    comment: text('comment').notNull(),
    /** When it is to be applied; null: as soon as it may be. */
    applyAt: integer('apply_at'),
    preview: text('preview', { mode: 'json' }).$type<Preview | null>(),
    /** Who approved or rejected it, or took it back; null while nobody has. */
    decidedBy: text('decided_by', { mode: 'json' }).$type<Actor | null>(),
    decision: text('decision').notNull().default(''),
    decidedAt: integer('decided_at'),
    /** When it was applied, or was found not to be applicable. */
    finishedAt: integer('finished_at'),
    /** Why it could not be applied: a refusal's code, message and details. */
    failure: text('failure', { mode: 'json' }).$type<JsonObject | null>(),
    createdAt: integer('created_at').notNull(),
  },
  (table) => [index('change_requests_due').on(table.state, table.applyAt)],
)
