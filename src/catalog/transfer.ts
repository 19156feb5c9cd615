// A whole deployment as one document, and an empty one filled from it: the same flags answer the same to everybody,
// and the same keys open them. History, audit and what waits stay behind.
import { asc, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { randomHex } from '../access/key.ts'
import { members, tokens } from '../access/tables.ts'
import type { FlagConfiguration } from '../engine/flag.ts'
import { err, ok, type Result } from '../engine/result.ts'
import type { Statement } from '../ledger/statement.ts'
import { beginningsOf } from './beginnings.ts'
import type { Change, EntityWrite, RevisionWrite } from './change.ts'
import { toChunks } from './chunks.ts'
import { keyText } from './entities.ts'
import { environmentInsert, settingsEntity } from './environments.ts'
import {
  type Checked,
  checkExport,
  EXPORT_FORMAT,
  EXPORT_VERSION,
  type Export,
  type ExportedKey,
} from './export-document.ts'
import { isTooLarge } from './flag-entity.ts'
import { flagColumns } from './flag-store.ts'
import { revisionBody, searchText, toFlagDraft } from './flags.ts'
import { initialLayouts } from './layouts.ts'
import { MAX_FLAG_BYTES, MAX_SEGMENT_BYTES } from './limits.ts'
import { metricColumns } from './metric-store.ts'
import { metricInserts, toMetricDraft } from './metrics.ts'
import type { SegmentDraft } from './operation.ts'
import type { SaveError } from './save-error.ts'
import { isSegmentTooLarge } from './segments.ts'
import { environments, flagConfigurations, flags, keys, metrics, segments } from './tables.ts'

/** Reads everything in one batch, so that it belongs together. */
export async function exportAll(database: D1Database, now: number): Promise<Export> {
  const db = drizzle(database)
  const [all, allFlags, configurations, allSegments, allKeys, allMetrics, allMembers, allTokens] =
    await db.batch([
      db.select().from(environments).orderBy(asc(environments.key)),
      db.select(flagColumns).from(flags).orderBy(asc(flags.key)),
      db.select().from(flagConfigurations).orderBy(asc(flagConfigurations.environment)),
      db.select().from(segments).orderBy(asc(segments.key)),
      db.select().from(keys).orderBy(asc(keys.createdAt), asc(keys.id)),
      db.select(metricColumns).from(metrics).orderBy(asc(metrics.key)),
      db.select().from(members).orderBy(asc(members.id)),
      db.select().from(tokens).orderBy(asc(tokens.createdAt), asc(tokens.id)),
    ])
  const configurationsOf = new Map<string, { [environment: string]: FlagConfiguration }>()
  for (const { flag, environment, configuration } of configurations) {
    const known = configurationsOf.get(flag) ?? {}
    known[environment] = configuration
    configurationsOf.set(flag, known)
  }
  return {
    format: EXPORT_FORMAT,
    formatVersion: EXPORT_VERSION,
    exportedAt: now,
    environments: all.map(({ key, name, refreshSeconds, keepContexts, contextKeys, shards, ...rest }) => ({
      key,
      name,
      refreshSeconds,
      protected: rest.protected,
      keepContexts,
      contextKeys,
      shards,
      segments: allSegments
        .filter(({ environment }) => environment === key)
        .map(({ key, description, condition, included, excluded }) => ({
          key,
          description,
          // Json, as it was parsed from.
          condition: condition as SegmentDraft['condition'],
          included,
          excluded,
        })),
      keys: allKeys
        .filter(({ environment }) => environment === key)
        .map(({ environment: _, ...exported }) => exported),
    })),
    flags: allFlags.map((flag) => ({
      key: flag.key,
      ...toFlagDraft(flag),
      archivedAt: flag.archivedAt,
      configurations: configurationsOf.get(flag.key) ?? {},
    })),
    metrics: allMetrics.map((metric) => ({ key: metric.key, ...toMetricDraft(metric) })),
    members: allMembers,
    tokens: allTokens,
  }
}

function flagInserts(all: Checked['flags'], now: number): Statement[] {
  const rows = all.map((flag) => [
    flag.key,
    flag.type,
    JSON.stringify(flag.variants),
    JSON.stringify(flag.metadata),
    Number(flag.clientVisible),
    flag.description,
    JSON.stringify(flag.tags),
    flag.owner,
    Number(flag.temporary),
    searchText(flag.key, flag),
    flag.archivedAt,
  ])
  return toChunks(rows).map(
    (
      chunk,
    ) => sql`INSERT INTO ${flags} (key, type, variants, metadata, client_visible, description, tags, owner,
        temporary, search, archived_at, revision, created_at, updated_at)
      SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
        value ->> 8, value ->> 9, value ->> 10, 1 + coalesce((SELECT max(revision) FROM revisions
          WHERE kind = 'flag' AND environment = '' AND key = value ->> 0), 0), ${now}, ${now}
      FROM json_each(${chunk})`,
  )
}

function keyInserts(environment: string, exported: readonly ExportedKey[]): Statement[] {
  const rows = exported.map(({ id, kind, name, hash, createdAt, expiresAt, revokedAt }) => [
    id,
    kind,
    name,
    hash,
    createdAt,
    expiresAt,
    revokedAt,
  ])
  return toChunks(rows).map(
    (chunk) => sql`INSERT INTO ${keys} (environment, id, kind, name, hash, created_at, expires_at, revoked_at)
      SELECT ${environment}, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
      FROM json_each(${chunk})`,
  )
}

function keyEntities(environment: string, exported: readonly ExportedKey[]): EntityWrite[] {
  return exported
    .filter(({ revokedAt }) => revokedAt === null)
    .map(({ id, kind, hash, expiresAt }) => ({
      environment,
      kind: 'keys',
      key: id,
      text: keyText({ id, kind, hash, ...(expiresAt === null ? {} : { expiresAt }) }),
    }))
}

function memberInserts(all: Export['members']): Statement[] {
  const rows = all.map(({ id, name, role, environments, revision, createdAt, updatedAt }) => [
    id,
    name,
    role,
    environments && JSON.stringify(environments),
    revision,
    createdAt,
    updatedAt,
  ])
  return toChunks(rows).map(
    (chunk) => sql`INSERT OR IGNORE INTO ${members}
        (id, name, role, environments, revision, created_at, updated_at)
      SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
      FROM json_each(${chunk})`,
  )
}

function tokenInserts(all: Export['tokens']): Statement[] {
  const rows = all.map((token) => [
    token.id,
    token.name,
    token.hash,
    token.owner,
    token.role,
    token.environments && JSON.stringify(token.environments),
    token.createdBy,
    token.createdAt,
    token.expiresAt,
    token.revokedAt,
  ])
  return toChunks(rows).map(
    (chunk) => sql`INSERT OR IGNORE INTO ${tokens}
        (id, name, hash, owner, role, environments, created_by, created_at, expires_at, revoked_at)
      SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
        value ->> 8, value ->> 9
      FROM json_each(${chunk})`,
  )
}

/** Fills an empty deployment: all of it, or nothing. */
export function planImport(document: Export, now: number): Result<Change, SaveError> {
  const checked = checkExport(document, now)
  if (!checked.ok) return err({ reason: 'invalid', problems: checked.error })
  const writes: Statement[] = [
    ...flagInserts(checked.value.flags, now),
    ...metricInserts(checked.value.metrics, now),
  ]
  const entities: EntityWrite[] = []
  const revisions: RevisionWrite[] = [
    ...checked.value.flags.map(
      (flag): RevisionWrite => ({
        kind: 'flag',
        environment: '',
        key: flag.key,
        body: revisionBody(flag, flag.archivedAt !== null),
      }),
    ),
    ...checked.value.metrics.map(
      (metric): RevisionWrite => ({
        kind: 'metric',
        environment: '',
        key: metric.key,
        body: toMetricDraft(metric),
      }),
    ),
  ]
  for (const exported of document.environments) {
    const { key: environment, segments: _, keys: exportedKeys, ...draft } = exported
    const signingSecret = randomHex(32)
    const beginnings = beginningsOf(
      environment,
      {
        configurations: checked.value.flags.flatMap((definition) => {
          const configuration = definition.configurations[environment]
          return configuration ? [{ flag: definition.key, environment, configuration, definition }] : []
        }),
        segments: checked.value.segments.get(environment) ?? [],
        metrics: checked.value.metrics,
      },
      now,
    )
    writes.push(
      environmentInsert(environment, draft, signingSecret, now),
      ...beginnings.writes,
      ...keyInserts(environment, exportedKeys),
    )
    entities.push(
      settingsEntity(environment, signingSecret, draft, initialLayouts(draft.shards)),
      ...beginnings.entities,
      ...keyEntities(environment, exportedKeys),
    )
    revisions.push({ kind: 'environment', environment, key: '', body: draft }, ...beginnings.revisions)
  }
  if (isTooLarge(entities.filter(({ kind }) => kind === 'flags'))) {
    return err({ reason: 'too_large', limit: MAX_FLAG_BYTES })
  }
  if (entities.some((entity) => entity.kind === 'segments' && isSegmentTooLarge(entity))) {
    return err({ reason: 'too_large', limit: MAX_SEGMENT_BYTES })
  }
  writes.push(
    // Whoever imports may have had to let themselves in first.
    ...memberInserts(document.members),
    ...tokenInserts(document.tokens),
  )
  const counted = [environments, flags, metrics].map((table) => sql`NOT EXISTS (SELECT 1 FROM ${table})`)
  return ok({
    action: 'import',
    target: { kind: 'deployment', key: '' },
    details: {
      exportedAt: document.exportedAt,
      flags: document.flags.length,
      metrics: document.metrics.length,
    },
    guards: counted.map((holds) => ({ column: 'empty', holds })),
    writes,
    entities,
    revisions,
    answer: { status: 200, body: {}, shows: ['environments'] },
  })
}
