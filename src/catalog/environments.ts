import { and, asc, eq, type SQL, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { randomHex } from '../access/key.ts'
import { err, ok, type Result } from '../engine/result.ts'
import type { Statement } from '../ledger/statement.ts'
import { outbox } from '../ledger/tables.ts'
import type { Attachments } from './attachments.ts'
import { beginningsOf, loadBeginnings } from './beginnings.ts'
import { type Change, type EntityWrite, isAtRevision, nextRevision } from './change.ts'
import { clearingOwed } from './clearing.ts'
import { SETTINGS_KEY, type ShardLayout, settingsText } from './entities.ts'
import { initialLayouts, mostShards, nextLayouts, shardsAt } from './layouts.ts'
import type { EnvironmentDraft, Operation } from './operation.ts'
import type { SaveError } from './save-error.ts'
import {
  environments,
  flagConfigurations,
  history,
  keys,
  measurements,
  references,
  revisions,
  segments,
} from './tables.ts'

/** An environment as it is stored. */
export type StoredEnvironment = EnvironmentDraft & {
  readonly key: string
  readonly version: number
  readonly revision: number
  /** What its snapshot weighs, in bytes. */
  readonly bytes: number
  /** Milliseconds since 1970. */
  readonly createdAt: number
}

const columns = {
  key: environments.key,
  name: environments.name,
  refreshSeconds: environments.refreshSeconds,
  protected: environments.protected,
  keepContexts: environments.keepContexts,
  contextKeys: environments.contextKeys,
  shards: environments.shards,
  version: environments.version,
  revision: environments.revision,
  bytes: environments.bytes,
  createdAt: environments.createdAt,
}

/** An expression: the version that an environment has; null where there is no such environment. */
export function versionOf(key: string): SQL {
  return sql`SELECT version FROM ${environments} WHERE ${eq(environments.key, key)}`
}

/** All environments, by key. */
export async function listEnvironments(database: D1Database): Promise<StoredEnvironment[]> {
  return drizzle(database).select(columns).from(environments).orderBy(asc(environments.key))
}

/** One environment; undefined when there is none of that key. */
export async function loadEnvironment(
  database: D1Database,
  key: string,
): Promise<StoredEnvironment | undefined> {
  return drizzle(database).select(columns).from(environments).where(eq(environments.key, key)).get()
}

/** How many shards hold what was counted in an environment: whoever reads it asks that many. */
export async function loadShardCount(database: D1Database, environment: string): Promise<number> {
  const row = await drizzle(database)
    .select({ layouts: environments.layouts })
    .from(environments)
    .where(eq(environments.key, environment))
    .get()
  return mostShards(row?.layouts ?? [])
}

/** What an environment's signatures, and the ids of its units, are made with; undefined when there is none of that key. */
export async function loadSigningSecret(
  database: D1Database,
  environment: string,
): Promise<string | undefined> {
  const row = await drizzle(database)
    .select({ signingSecret: environments.signingSecret })
    .from(environments)
    .where(eq(environments.key, environment))
    .get()
  return row?.signingSecret
}

/** The entity that an environment itself is in its snapshot. */
export function settingsEntity(
  environment: string,
  signingSecret: string,
  draft: EnvironmentDraft,
  layouts: readonly ShardLayout[],
): EntityWrite {
  const { refreshSeconds, keepContexts, contextKeys } = draft
  const text = settingsText({ refreshSeconds, signingSecret, keepContexts, contextKeys, layouts })
  return { environment, kind: 'settings', key: SETTINGS_KEY, text }
}

const ownRevision = (key: string) => ({ kind: 'environment', environment: key, key: '' }) as const

/** The row of a new environment: its versions go on where those of one before it ended. */
export function environmentInsert(
  key: string,
  draft: EnvironmentDraft,
  signingSecret: string,
  now: number,
): Statement {
  const { name, refreshSeconds, keepContexts, contextKeys, shards } = draft
  return sql`INSERT INTO ${environments} (key, name, version, revision, bytes, refresh_seconds, signing_secret,
      protected, keep_contexts, context_keys, shards, layouts, created_at)
    VALUES (${key}, ${name},
      coalesce((SELECT max(version) FROM ${history} WHERE ${eq(history.environment, key)}), 0),
      ${nextRevision(ownRevision(key))}, 0, ${refreshSeconds}, ${signingSecret},
      ${Number(draft.protected)}, ${Number(keepContexts)}, ${JSON.stringify(contextKeys)}, ${shards},
      ${JSON.stringify(initialLayouts(shards))}, ${now})`
}

async function planEnvironmentCreation(
  database: D1Database,
  { environment: key, draft, copyFrom }: Extract<Operation, { kind: 'environment.save' }>,
  now: number,
): Promise<Result<Change, SaveError>> {
  if (copyFrom !== undefined && !(await loadEnvironment(database, copyFrom))) {
    return err({ reason: 'not_found', what: `environment "${copyFrom}"` })
  }
  const signingSecret = randomHex(32)
  const loaded = await loadBeginnings(database, key, copyFrom)
  const beginnings = beginningsOf(key, loaded, now)
  return ok({
    action: 'environment.create',
    target: { kind: 'environment', key },
    details: copyFrom === undefined ? {} : { copyFrom },
    guards: [isAtRevision(sql`${environments}`, eq(environments.key, key), 0), loaded.guard],
    writes: [environmentInsert(key, draft, signingSecret, now), ...beginnings.writes],
    entities: [
      settingsEntity(key, signingSecret, draft, initialLayouts(draft.shards)),
      ...beginnings.entities,
    ],
    revisions: [{ ...ownRevision(key), body: draft }, ...beginnings.revisions],
  })
}

/**
 * Makes an environment (`revision` 0), with every flag in it: switched off, or as another environment has it. Or
 * changes what an environment is.
 */
export async function planEnvironmentSave(
  database: D1Database,
  operation: Extract<Operation, { kind: 'environment.save' }>,
  now: number,
): Promise<Result<Change, SaveError>> {
  const { environment: key, draft, revision } = operation
  if (revision === 0) return planEnvironmentCreation(database, operation, now)
  const own = eq(environments.key, key)
  const db = drizzle(database)
  const stored = await db
    .select({ signingSecret: environments.signingSecret, layouts: environments.layouts })
    .from(environments)
    .where(own)
    .get()
  if (!stored) return err({ reason: 'stale' })
  // A change that has waited since before there was such a setting says nothing of it.
  const shards: number | undefined = draft.shards
  const layouts = nextLayouts(
    stored.layouts,
    shards ?? shardsAt(stored.layouts, Number.POSITIVE_INFINITY),
    now,
  )
  return ok({
    action: 'environment.save',
    target: { kind: 'environment', key },
    guards: [isAtRevision(sql`${environments}`, own, revision)],
    writes: [
      db
        .update(environments)
        .set({ ...draft, layouts, revision: nextRevision(ownRevision(key)) })
        .where(own),
    ],
    entities: [settingsEntity(key, stored.signingSecret, draft, layouts)],
    revisions: [{ ...ownRevision(key), body: draft }],
  })
}

/**
 * Deletes an environment with all that it holds, unless a rollout goes on there; its history stays. The hub learns of it as of any publication, and
 * a new environment of the same key gets nothing of what this one held.
 */
export async function planEnvironmentDelete(
  database: D1Database,
  { environment: key, revision }: Extract<Operation, { kind: 'environment.delete' }>,
  { running, isIdle, belongings }: Attachments,
  author: { readonly actor: string; readonly comment: string },
  now: number,
): Promise<Result<Change, SaveError>> {
  const stored = await loadEnvironment(database, key)
  if (!stored) return err({ reason: 'not_found', what: `environment "${key}"` })
  if (stored.revision !== revision) return err({ reason: 'stale' })
  const rollouts = await running(database, { environment: key })
  if (rollouts.length > 0) return err({ reason: 'rollout_running', rollouts })
  const db = drizzle(database)
  const gone = (
    kind: 'configuration' | 'segment',
    of: 'flag' | 'key',
    table: typeof segments | typeof flagConfigurations,
  ) =>
    sql`INSERT INTO ${revisions} (kind, environment, key, revision, body, actor, comment, at, environments)
      SELECT ${kind}, environment, ${sql.identifier(of)}, revision + 1, NULL, ${author.actor}, ${author.comment}, ${now}, '{}'
      FROM ${table} WHERE environment = ${key}`
  return ok({
    action: 'environment.delete',
    target: { kind: 'environment', key },
    details: { version: stored.version },
    guards: [
      isAtRevision(sql`${environments}`, eq(environments.key, key), revision),
      isIdle({ environment: key }),
    ],
    writes: [
      sql`INSERT INTO ${history} (environment, version, kind, key, body, actor, comment, at)
        SELECT environment, (SELECT version + 1 FROM ${environments} WHERE ${eq(environments.key, key)}), kind, key,
          NULL, ${author.actor}, ${author.comment}, ${now}
        FROM (SELECT environment, kind, key, body, max(version) FROM ${history} WHERE environment = ${key}
          GROUP BY kind, key) WHERE body IS NOT NULL`,
      sql`INSERT INTO ${outbox} (kind, environment, version, created_at)
        SELECT 'publish', key, version + 1, ${now} FROM ${environments} WHERE ${eq(environments.key, key)}`,
      clearingOwed(key, await loadShardCount(database, key), now),
      gone('configuration', 'flag', flagConfigurations),
      gone('segment', 'key', segments),
      db.delete(references).where(eq(references.environment, key)),
      db.delete(flagConfigurations).where(eq(flagConfigurations.environment, key)),
      db.delete(segments).where(eq(segments.environment, key)),
      db.delete(measurements).where(eq(measurements.environment, key)),
      db.delete(keys).where(eq(keys.environment, key)),
      ...belongings(key),
      db.delete(environments).where(and(eq(environments.key, key))),
    ],
    entities: [],
    revisions: [{ ...ownRevision(key), body: null }],
    gone: key,
  })
}
