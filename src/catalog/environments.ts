import { and, asc, eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { randomHex } from '../access/key.ts'
import type { FlagConfiguration, Segment } from '../engine/flag.ts'
import { err, ok, type Result } from '../engine/result.ts'
import type { Guard } from '../ledger/commit.ts'
import type { Statement } from '../ledger/statement.ts'
import { outbox } from '../ledger/tables.ts'
import { type Change, type EntityWrite, isAtRevision, nextRevision, type RevisionWrite } from './change.ts'
import { toChunks } from './chunks.ts'
import { SETTINGS_KEY, settingsText } from './entities.ts'
import {
  configurationInserts,
  flagEntity,
  initialConfiguration,
  type NewConfiguration,
} from './flag-entity.ts'
import { flagColumns, type StoredFlag } from './flag-store.ts'
import type { EnvironmentDraft, Operation } from './operation.ts'
import type { SaveError } from './save-error.ts'
import { segmentEntity } from './segments.ts'
import {
  environments,
  flagConfigurations,
  flags,
  history,
  keys,
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
  version: environments.version,
  revision: environments.revision,
  bytes: environments.bytes,
  createdAt: environments.createdAt,
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

/** The entity that an environment itself is in its snapshot. */
export function settingsEntity(
  environment: string,
  signingSecret: string,
  draft: EnvironmentDraft,
): EntityWrite {
  const { refreshSeconds, keepContexts, contextKeys } = draft
  const text = settingsText({ refreshSeconds, signingSecret, keepContexts, contextKeys })
  return { environment, kind: 'settings', key: SETTINGS_KEY, text }
}

type NewSegment = Segment & { readonly description: string }

/** What a new environment starts out with, and that it is still so when it is made. */
type Beginnings = {
  readonly configurations: readonly (NewConfiguration & { readonly definition: StoredFlag })[]
  readonly segments: readonly NewSegment[]
  readonly guard: Guard
}

/** A number that every change of any flag's definition raises, and nothing lowers. */
const flagsState = sql`(SELECT count(*) FROM ${revisions} WHERE ${eq(revisions.kind, 'flag')})`

/** The version of an environment; without one, a text that no version is. */
const versionOf = (environment: string | undefined) =>
  sql`coalesce((SELECT version FROM ${environments} WHERE ${eq(environments.key, environment ?? '')}), '-')`

async function loadBeginnings(
  database: D1Database,
  environment: string,
  copyFrom: string | undefined,
): Promise<Beginnings> {
  const db = drizzle(database)
  // What was so before anything is read must be so when it is written.
  const state = await db.get<{ flags: number; version: string | number }>(
    sql`SELECT ${flagsState} AS flags, ${versionOf(copyFrom)} AS version`,
  )
  const all = await db.select(flagColumns).from(flags).orderBy(asc(flags.key))
  const source = copyFrom ?? ''
  const copied = await db
    .select({ flag: flagConfigurations.flag, configuration: flagConfigurations.configuration })
    .from(flagConfigurations)
    .where(eq(flagConfigurations.environment, source))
  const configurationOf = new Map<string, FlagConfiguration>(
    copied.map(({ flag, configuration }) => [flag, configuration]),
  )
  return {
    configurations: all.map((definition) => ({
      flag: definition.key,
      environment,
      configuration: configurationOf.get(definition.key) ?? initialConfiguration(definition),
      definition,
    })),
    segments: await db.select().from(segments).where(eq(segments.environment, source)),
    guard: {
      column: 'fresh',
      holds: sql`(${flagsState}, ${versionOf(copyFrom)}) = (${state.flags}, ${state.version})`,
    },
  }
}

function segmentInserts(environment: string, copied: readonly NewSegment[], now: number): Statement[] {
  const rows = copied.map(({ key, description, condition, included, excluded }) => [
    key,
    description,
    condition && JSON.stringify(condition),
    JSON.stringify(included),
    JSON.stringify(excluded),
  ])
  return toChunks(rows).map(
    (chunk) => sql`INSERT INTO ${segments}
      (environment, key, description, condition, included, excluded, revision, updated_at)
      SELECT ${environment}, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4,
        1 + coalesce((SELECT max(revision) FROM ${revisions}
          WHERE kind = 'segment' AND environment = ${environment} AND key = value ->> 0), 0), ${now}
      FROM json_each(${chunk})`,
  )
}

/** The rows and entities of an environment's beginnings. */
export function beginningsOf(
  environment: string,
  { configurations, segments: copied }: Pick<Beginnings, 'configurations' | 'segments'>,
  now: number,
): Pick<Change, 'writes' | 'entities' | 'revisions'> {
  const written: RevisionWrite[] = [
    ...configurations.map(
      ({ flag, configuration }) =>
        ({ kind: 'configuration', environment, key: flag, body: configuration }) as const,
    ),
    ...copied.map(
      ({ key, description, condition, included, excluded }) =>
        ({
          kind: 'segment',
          environment,
          key,
          body: { description, condition, included, excluded },
        }) as const,
    ),
  ]
  return {
    writes: [...configurationInserts(configurations, now), ...segmentInserts(environment, copied, now)],
    entities: [
      ...copied.map((segment) => segmentEntity(environment, segment)),
      ...configurations
        .filter(({ definition }) => definition.archivedAt === null)
        .map(({ definition, configuration }) => flagEntity(definition, environment, configuration)),
    ],
    revisions: written,
  }
}

const ownRevision = (key: string) => ({ kind: 'environment', environment: key, key: '' }) as const

/** The row of a new environment: its versions go on where those of one before it ended. */
export function environmentInsert(
  key: string,
  draft: EnvironmentDraft,
  signingSecret: string,
  now: number,
): Statement {
  const { name, refreshSeconds, keepContexts, contextKeys } = draft
  return sql`INSERT INTO ${environments} (key, name, version, revision, bytes, refresh_seconds, signing_secret,
      protected, keep_contexts, context_keys, created_at)
    VALUES (${key}, ${name},
      coalesce((SELECT max(version) FROM ${history} WHERE ${eq(history.environment, key)}), 0),
      ${nextRevision(ownRevision(key))}, 0, ${refreshSeconds}, ${signingSecret},
      ${Number(draft.protected)}, ${Number(keepContexts)}, ${JSON.stringify(contextKeys)}, ${now})`
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
    entities: [settingsEntity(key, signingSecret, draft), ...beginnings.entities],
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
    .select({ signingSecret: environments.signingSecret })
    .from(environments)
    .where(own)
    .get()
  if (!stored) return err({ reason: 'stale' })
  return ok({
    action: 'environment.save',
    target: { kind: 'environment', key },
    guards: [isAtRevision(sql`${environments}`, own, revision)],
    writes: [
      db
        .update(environments)
        .set({ ...draft, revision: nextRevision(ownRevision(key)) })
        .where(own),
    ],
    entities: [settingsEntity(key, stored.signingSecret, draft)],
    revisions: [{ ...ownRevision(key), body: draft }],
  })
}

/**
 * Deletes an environment with all that it holds; its history stays. The hub learns of it as of any publication, and
 * a new environment of the same key gets nothing of what this one held.
 */
export async function planEnvironmentDelete(
  database: D1Database,
  { environment: key, revision }: Extract<Operation, { kind: 'environment.delete' }>,
  author: { readonly actor: string; readonly comment: string },
  now: number,
): Promise<Result<Change, SaveError>> {
  const stored = await loadEnvironment(database, key)
  if (!stored) return err({ reason: 'not_found', what: `environment "${key}"` })
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
    guards: [isAtRevision(sql`${environments}`, eq(environments.key, key), revision)],
    writes: [
      sql`INSERT INTO ${history} (environment, version, kind, key, body, actor, comment, at)
        SELECT environment, (SELECT version + 1 FROM ${environments} WHERE ${eq(environments.key, key)}), kind, key,
          NULL, ${author.actor}, ${author.comment}, ${now}
        FROM (SELECT environment, kind, key, body, max(version) FROM ${history} WHERE environment = ${key}
          GROUP BY kind, key) WHERE body IS NOT NULL`,
      sql`INSERT INTO ${outbox} (kind, environment, version, created_at)
        SELECT 'publish', key, version + 1, ${now} FROM ${environments} WHERE ${eq(environments.key, key)}`,
      gone('configuration', 'flag', flagConfigurations),
      gone('segment', 'key', segments),
      db.delete(references).where(eq(references.environment, key)),
      db.delete(flagConfigurations).where(eq(flagConfigurations.environment, key)),
      db.delete(segments).where(eq(segments.environment, key)),
      db.delete(keys).where(eq(keys.environment, key)),
      db.delete(environments).where(and(eq(environments.key, key))),
    ],
    entities: [],
    revisions: [{ ...ownRevision(key), body: null }],
    gone: key,
  })
}
