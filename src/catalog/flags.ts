import { and, eq, type SQL, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { FlagConfiguration, FlagDefinition } from '../engine/flag.ts'
import { parseFlagConfiguration, parseFlagDefinition } from '../engine/parse-flag.ts'
import type { Problem } from '../engine/problem.ts'
import { err, ok, type Result } from '../engine/result.ts'
import type { Guard } from '../ledger/commit.ts'
import type { Attachments } from './attachments.ts'
import {
  areConfigurationsAt,
  type Change,
  type EntityWrite,
  isAtRevision,
  nextRevision,
  type RevisionWrite,
} from './change.ts'
import { flagText } from './entities.ts'
import { areEnvironments, loadEnvironmentKeys } from './every-environment.ts'
import { configurationInserts, flagEntity, initialConfiguration, isTooLarge } from './flag-entity.ts'
import { loadConfigurations, loadFlag, type StoredConfiguration, type StoredFlag } from './flag-store.ts'
import { MAX_FLAG_BYTES } from './limits.ts'
import type { FlagDraft, FlagNotes } from './operation.ts'
import type { SaveError } from './save-error.ts'
import { flagConfigurations, flags, references } from './tables.ts'
import { typeChange } from './type-change.ts'

/** What people change of a flag, as its revisions hold it. */
export function toFlagDraft(flag: FlagDefinition & FlagNotes): FlagDraft {
  const { type, variants, metadata, clientVisible, description, tags, owner, temporary } = flag
  return { type, variants, metadata, clientVisible, description, tags, owner, temporary }
}

/** What is searched when a flag is looked for. */
export function searchText(key: string, { description, owner, tags }: FlagNotes): string {
  return [key, description, owner, ...tags].join(' ').toLowerCase()
}

/** A flag as its revisions hold it. */
export function revisionBody(flag: FlagDefinition & FlagNotes, archived: boolean): object {
  return { ...toFlagDraft(flag), ...(archived ? { archived } : {}) }
}

const revisionOf = (key: string) => ({ kind: 'flag', environment: '', key }) as const

function isFlagAt(key: string, revision: number): Guard {
  return isAtRevision(sql`${flags}`, eq(flags.key, key), revision)
}

function problemsIn(
  configurations: readonly StoredConfiguration[],
  definition: FlagDefinition,
): readonly Problem[] {
  return configurations.flatMap(({ environment, configuration }) => {
    const parsed = parseFlagConfiguration(configuration, definition)
    if (parsed.ok) return []
    return parsed.error.map((problem) => ({ ...problem, path: `${environment}: ${problem.path}` }))
  })
}

function flagValues(draft: FlagDraft, key: string, now: number) {
  return { ...toFlagDraft({ key, ...draft }), search: searchText(key, draft), updatedAt: now }
}

async function planFlagCreation(
  database: D1Database,
  key: string,
  draft: FlagDraft,
  definition: FlagDefinition,
  now: number,
): Promise<Result<Change, SaveError>> {
  const db = drizzle(database)
  const all = await loadEnvironmentKeys(database)
  const configuration = initialConfiguration(definition)
  const entities = all.map((environment) => flagEntity(definition, environment, configuration))
  if (isTooLarge(entities)) return err({ reason: 'too_large', limit: MAX_FLAG_BYTES })
  const configured = all.map((environment) => ({ flag: key, environment, configuration }))
  return ok({
    action: 'flag.create',
    target: { kind: 'flag', key },
    guards: [isFlagAt(key, 0), areEnvironments(all)],
    writes: [
      db.insert(flags).values({
        key,
        ...flagValues(draft, key, now),
        revision: nextRevision(revisionOf(key)),
        createdAt: now,
      }),
      ...configurationInserts(configured, now),
    ],
    entities,
    revisions: [
      { ...revisionOf(key), body: toFlagDraft({ key, ...draft }) },
      ...configurationRevisions(configured),
    ],
  })
}

function configurationRevisions(
  configured: readonly { flag: string; environment: string; configuration: FlagConfiguration | null }[],
): RevisionWrite[] {
  return configured.map(({ flag, environment, configuration }) => ({
    kind: 'configuration',
    environment,
    key: flag,
    body: configuration,
  }))
}

/**
 * Makes a flag (`revision` 0), switched off in every environment, or changes what it is in all of them at once.
 * Environments whose edge is not concerned (a new description, say) are not touched.
 */
export async function planFlagSave(
  database: D1Database,
  key: string,
  draft: FlagDraft,
  revision: number,
  now: number,
): Promise<Result<Change, SaveError>> {
  const { description: _, tags: __, owner: ___, temporary: ____, ...defined } = draft
  const parsed = parseFlagDefinition(key, defined)
  if (!parsed.ok) return err({ reason: 'invalid', problems: parsed.error })
  const definition = parsed.value
  if (revision === 0) return planFlagCreation(database, key, draft, definition, now)
  const before = await loadFlag(database, key)
  if (!before) return err({ reason: 'stale' })
  const configurations = await loadConfigurations(database, key)
  const problems = [
    ...typeChange(before, definition, configurations),
    ...problemsIn(configurations, definition),
  ]
  if (problems.length > 0) return err({ reason: 'invalid', problems })
  const concerned = configurations.filter(
    ({ configuration }) =>
      before.archivedAt === null && flagText(before, configuration) !== flagText(definition, configuration),
  )
  const entities = concerned.map(({ environment, configuration }) =>
    flagEntity(definition, environment, configuration),
  )
  if (isTooLarge(entities)) return err({ reason: 'too_large', limit: MAX_FLAG_BYTES })
  return ok({
    action: 'flag.save',
    target: { kind: 'flag', key },
    guards: [isFlagAt(key, revision), areConfigurationsAt(key, configurations)],
    writes: [
      drizzle(database)
        .update(flags)
        .set({ ...flagValues(draft, key, now), revision: nextRevision(revisionOf(key)) })
        .where(eq(flags.key, key)),
    ],
    entities,
    revisions: [{ ...revisionOf(key), body: revisionBody({ key, ...draft }, before.archivedAt !== null) }],
  })
}

type Whole = { readonly flag: StoredFlag; readonly configurations: readonly StoredConfiguration[] }

/** What is removed; `granted`: the environments in which an ended rollout still grants something. */
type Removal = Whole & { readonly granted: readonly string[] }

async function loadWhole(database: D1Database, key: string): Promise<Result<Whole, SaveError>> {
  const [flag, configurations] = await Promise.all([
    loadFlag(database, key),
    loadConfigurations(database, key),
  ])
  return flag ? ok({ flag, configurations }) : err({ reason: 'not_found', what: `flag "${key}"` })
}

/** Where grants stand that an ended rollout has left. */
async function loadGranted(database: D1Database, key: string): Promise<readonly string[]> {
  const rows = await drizzle(database)
    .selectDistinct({ environment: references.environment })
    .from(references)
    .where(and(eq(references.fromKind, 'rollouts'), eq(references.fromKey, key)))
  return rows.map(({ environment }) => environment)
}

async function loadForRemoval(
  database: D1Database,
  key: string,
  { running }: Attachments,
): Promise<Result<Removal, SaveError>> {
  const [loaded, rollouts, granted] = await Promise.all([
    loadWhole(database, key),
    running(database, { flag: key }),
    loadGranted(database, key),
  ])
  if (!loaded.ok) return loaded
  return rollouts.length > 0 ? err({ reason: 'rollout_running', rollouts }) : ok({ ...loaded.value, granted })
}

function tombstones({ flag, configurations, granted }: Removal): EntityWrite[] {
  if (flag.archivedAt !== null) return []
  const { key } = flag
  return [
    ...configurations.map(({ environment }) => ({ environment, kind: 'flags', key, text: null }) as const),
    ...granted.map((environment) => ({ environment, kind: 'rollouts', key, text: null }) as const),
  ]
}

/** Deletes a flag in every environment; refused while it is a prerequisite of another, or a rollout goes on. */
export async function planFlagDelete(
  database: D1Database,
  key: string,
  revision: number,
  attached: Attachments,
): Promise<Result<Change, SaveError>> {
  const loaded = await loadForRemoval(database, key, attached)
  if (!loaded.ok) return loaded
  const db = drizzle(database)
  const { configurations } = loaded.value
  return ok({
    action: 'flag.delete',
    target: { kind: 'flag', key },
    guards: [
      isFlagAt(key, revision),
      areConfigurationsAt(key, configurations),
      attached.isIdle({ flag: key }),
    ],
    writes: [
      db.delete(flagConfigurations).where(eq(flagConfigurations.flag, key)),
      db.delete(flags).where(eq(flags.key, key)),
    ],
    entities: tombstones(loaded.value),
    revisions: [
      { ...revisionOf(key), body: null },
      ...configurationRevisions(
        configurations.map(({ environment }) => ({ flag: key, environment, configuration: null })),
      ),
    ],
  })
}

function archiving(key: string, archivedAt: number | null, now: number): SQL {
  return sql`UPDATE ${flags} SET archived_at = ${archivedAt}, updated_at = ${now},
    revision = ${nextRevision(revisionOf(key))} WHERE ${eq(flags.key, key)}`
}

/**
 * Takes a flag from every edge, and keeps what it was; what an ended rollout still granted goes. Refused while a rollout
 * goes on.
 */
export async function planFlagArchive(
  database: D1Database,
  key: string,
  revision: number,
  attached: Attachments,
  now: number,
): Promise<Result<Change, SaveError>> {
  const loaded = await loadForRemoval(database, key, attached)
  if (!loaded.ok) return loaded
  const { flag, configurations } = loaded.value
  if (flag.archivedAt !== null) return err({ reason: 'archived' })
  return ok({
    action: 'flag.archive',
    target: { kind: 'flag', key },
    guards: [
      isFlagAt(key, revision),
      areConfigurationsAt(key, configurations),
      attached.isIdle({ flag: key }),
    ],
    writes: [archiving(key, now, now)],
    entities: tombstones(loaded.value),
    revisions: [{ ...revisionOf(key), body: revisionBody(flag, true) }],
  })
}

/** Brings an archived flag back to every edge, as it was. */
export async function planFlagUnarchive(
  database: D1Database,
  key: string,
  revision: number,
  now: number,
): Promise<Result<Change, SaveError>> {
  const loaded = await loadWhole(database, key)
  if (!loaded.ok) return loaded
  const { flag, configurations } = loaded.value
  if (flag.archivedAt === null) return err({ reason: 'stale' })
  return ok({
    action: 'flag.unarchive',
    target: { kind: 'flag', key },
    guards: [isFlagAt(key, revision), areConfigurationsAt(key, configurations)],
    writes: [archiving(key, null, now)],
    entities: configurations.map(({ environment, configuration }) =>
      flagEntity(flag, environment, configuration),
    ),
    revisions: [{ ...revisionOf(key), body: revisionBody(flag, false) }],
  })
}
