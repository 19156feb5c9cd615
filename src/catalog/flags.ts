import { and, asc, eq, type SQL, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { FlagConfiguration, FlagDefinition } from '../engine/flag.ts'
import { parseFlagConfiguration, parseFlagDefinition } from '../engine/parse-flag.ts'
import type { Problem } from '../engine/problem.ts'
import { flagReferences } from '../engine/references.ts'
import { err, type Result } from '../engine/result.ts'
import {
  type ChangeError,
  commitChange,
  type EntityWrite,
  isAtRevision,
  type Pointer,
  type Versions,
} from './change.ts'
import { flagText } from './entities.ts'
import { type Author, listEnvironments } from './environments.ts'
import { MAX_FLAG_BYTES } from './limits.ts'
import { createSeed, withSeeds } from './seeds.ts'
import { flagConfigurations, flags } from './tables.ts'

/** What people keep beside a flag's definition. */
export type FlagNotes = {
  readonly description: string
  readonly tags: readonly string[]
  readonly owner: string
  readonly temporary: boolean
}

/** A flag as it is stored. */
export type StoredFlag = FlagDefinition & FlagNotes & { readonly revision: number }

/** A flag's configuration in one environment as it is stored. */
export type StoredConfiguration = {
  readonly flag: string
  readonly environment: string
  readonly configuration: FlagConfiguration
  readonly revision: number
}

/** Why a draft of a flag, a configuration or a segment was not taken. */
export type SaveError =
  | ChangeError
  | { readonly reason: 'not_found'; readonly what: string }
  | { readonly reason: 'invalid'; readonly problems: readonly Problem[] }
  | { readonly reason: 'too_large'; readonly limit: number }

const flagColumns = {
  key: flags.key,
  type: flags.type,
  variants: flags.variants,
  metadata: flags.metadata,
  clientVisible: flags.clientVisible,
  description: flags.description,
  tags: flags.tags,
  owner: flags.owner,
  temporary: flags.temporary,
  revision: flags.revision,
}

/** All flags, by key. */
export async function listFlags(database: D1Database): Promise<StoredFlag[]> {
  return drizzle(database).select(flagColumns).from(flags).orderBy(asc(flags.key))
}

/** One flag; undefined when there is none of that key. */
export async function loadFlag(database: D1Database, key: string): Promise<StoredFlag | undefined> {
  return drizzle(database).select(flagColumns).from(flags).where(eq(flags.key, key)).get()
}

const configurationColumns = {
  flag: flagConfigurations.flag,
  environment: flagConfigurations.environment,
  configuration: flagConfigurations.configuration,
  revision: flagConfigurations.revision,
}

/** A flag's configuration in one environment; undefined when there is none. */
export async function loadConfiguration(
  database: D1Database,
  flag: string,
  environment: string,
): Promise<StoredConfiguration | undefined> {
  return drizzle(database)
    .select(configurationColumns)
    .from(flagConfigurations)
    .where(and(eq(flagConfigurations.flag, flag), eq(flagConfigurations.environment, environment)))
    .get()
}

function pointersOf(configuration: FlagConfiguration): Pointer[] {
  const { flags: prerequisites, segments } = flagReferences(configuration, null)
  return [
    ...prerequisites.map((key) => ({ kind: 'flags', key }) as const),
    ...segments.map((key) => ({ kind: 'segments', key }) as const),
  ]
}

function flagEntity(
  definition: FlagDefinition,
  environment: string,
  configuration: FlagConfiguration,
): EntityWrite {
  return {
    environment,
    kind: 'flags',
    key: definition.key,
    text: flagText(definition, configuration),
    pointsAt: pointersOf(configuration),
  }
}

function isTooLarge(entities: readonly EntityWrite[]): boolean {
  return entities.some(({ text }) => new TextEncoder().encode(text ?? '').length > MAX_FLAG_BYTES)
}

/** How a flag starts out in every environment: off, and the caller's default applies. */
function initialConfiguration({ variants }: FlagDefinition): FlagConfiguration {
  return {
    enabled: false,
    offVariant: null,
    prerequisites: [],
    targets: [],
    rules: [],
    fallthrough: { variant: variants[0]?.name ?? '' },
  }
}

/** A guard: the flag is configured in so many environments, so that a change of all of them leaves none behind. */
function isConfiguredIn(key: string, environments: number): SQL {
  return sql`SELECT (SELECT count(*) FROM ${flagConfigurations} WHERE ${eq(flagConfigurations.flag, key)}) = ${environments}`
}

/**
 * Makes a flag (`revision` 0), switched off in every environment, or changes what it is in all of them at once.
 * @param revision the revision that the draft was made from
 */
export async function saveFlag(
  database: D1Database,
  key: string,
  draft: unknown,
  notes: FlagNotes,
  revision: number,
  author: Author,
): Promise<Result<Versions, SaveError>> {
  const definition = parseFlagDefinition(key, draft)
  if (!definition.ok) return err({ reason: 'invalid', problems: definition.error })
  const { type, variants, metadata, clientVisible } = definition.value
  const db = drizzle(database)
  const stored = await db
    .select(configurationColumns)
    .from(flagConfigurations)
    .where(eq(flagConfigurations.flag, key))
  const configurations =
    revision === 0
      ? (await listEnvironments(database)).map(({ key: environment }) => ({
          environment,
          configuration: initialConfiguration(definition.value),
          revision: 0,
        }))
      : stored
  for (const { environment, configuration } of configurations) {
    const parsed = parseFlagConfiguration(configuration, definition.value)
    if (parsed.ok) continue
    const problems = parsed.error.map((problem) => ({ ...problem, path: `${environment}: ${problem.path}` }))
    return err({ reason: 'invalid', problems })
  }
  const entities = configurations.map(({ environment, configuration }) =>
    flagEntity(definition.value, environment, configuration),
  )
  if (isTooLarge(entities)) return err({ reason: 'too_large', limit: MAX_FLAG_BYTES })
  const values = { type, variants, metadata, clientVisible, ...notes, updatedAt: author.now }
  return commitChange(database, {
    ...author,
    guards: [
      isAtRevision(sql`${flags}`, eq(flags.key, key), revision),
      isConfiguredIn(key, stored.length),
      ...configurations.map((configuration) =>
        isAtRevision(
          sql`${flagConfigurations}`,
          and(
            eq(flagConfigurations.flag, key),
            eq(flagConfigurations.environment, configuration.environment),
          ),
          configuration.revision,
        ),
      ),
    ],
    writes: [
      db
        .insert(flags)
        .values({ key, ...values, revision: 1, createdAt: author.now })
        .onConflictDoUpdate({ target: flags.key, set: { ...values, revision: sql`${flags.revision} + 1` } }),
      ...(revision === 0
        ? configurations.map(({ environment, configuration }) =>
            db
              .insert(flagConfigurations)
              .values({ flag: key, environment, configuration, revision: 1, updatedAt: author.now }),
          )
        : []),
    ],
    entities,
  })
}

/** Changes what a flag is in one environment. */
export async function saveConfiguration(
  database: D1Database,
  key: string,
  environment: string,
  draft: unknown,
  revision: number,
  author: Author,
): Promise<Result<Versions, SaveError>> {
  const flag = await loadFlag(database, key)
  if (!flag) return err({ reason: 'not_found', what: `flag "${key}"` })
  const current = await loadConfiguration(database, key, environment)
  const parsed = parseFlagConfiguration(withSeeds(draft, current?.configuration, createSeed), flag)
  if (!parsed.ok) return err({ reason: 'invalid', problems: parsed.error })
  const configuration = parsed.value
  const entity = flagEntity(flag, environment, configuration)
  if (isTooLarge([entity])) return err({ reason: 'too_large', limit: MAX_FLAG_BYTES })
  const db = drizzle(database)
  const own = and(eq(flagConfigurations.flag, key), eq(flagConfigurations.environment, environment))
  return commitChange(database, {
    ...author,
    guards: [
      isAtRevision(sql`${flagConfigurations}`, own, revision),
      // The entity holds the definition too, so that must not have moved meanwhile.
      isAtRevision(sql`${flags}`, eq(flags.key, key), flag.revision),
    ],
    writes: [
      db
        .insert(flagConfigurations)
        .values({ flag: key, environment, configuration, revision: 1, updatedAt: author.now })
        .onConflictDoUpdate({
          target: [flagConfigurations.environment, flagConfigurations.flag],
          set: { configuration, revision: sql`${flagConfigurations.revision} + 1`, updatedAt: author.now },
        }),
    ],
    entities: [entity],
  })
}

/** Deletes a flag in every environment; refused while it is a prerequisite of another. */
export async function deleteFlag(
  database: D1Database,
  key: string,
  revision: number,
  author: Author,
): Promise<Result<Versions, SaveError>> {
  const db = drizzle(database)
  const stored = await db
    .select({ environment: flagConfigurations.environment })
    .from(flagConfigurations)
    .where(eq(flagConfigurations.flag, key))
  if (!(await loadFlag(database, key))) return err({ reason: 'not_found', what: `flag "${key}"` })
  return commitChange(database, {
    ...author,
    guards: [isAtRevision(sql`${flags}`, eq(flags.key, key), revision), isConfiguredIn(key, stored.length)],
    writes: [
      db.delete(flagConfigurations).where(eq(flagConfigurations.flag, key)),
      db.delete(flags).where(eq(flags.key, key)),
    ],
    entities: stored.map(({ environment }) => ({ environment, kind: 'flags', key, text: null })),
  })
}
