// Flags and their configurations as the database holds them.
import { and, asc, eq } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { FlagConfiguration, FlagDefinition } from '../engine/flag.ts'
import type { FlagNotes } from './operation.ts'
import { environments, flagConfigurations, flags } from './tables.ts'

/** A flag as it is stored. */
export type StoredFlag = FlagDefinition &
  FlagNotes & {
    readonly revision: number
    /** Milliseconds since 1970; null: it is not archived. */
    readonly archivedAt: number | null
    readonly createdAt: number
    readonly updatedAt: number
  }

/** The columns of a flag as people see it. */
export const flagColumns = {
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
  archivedAt: flags.archivedAt,
  createdAt: flags.createdAt,
  updatedAt: flags.updatedAt,
}

/** One flag; undefined when there is none of that key. */
export async function loadFlag(database: D1Database, key: string): Promise<StoredFlag | undefined> {
  return drizzle(database).select(flagColumns).from(flags).where(eq(flags.key, key)).get()
}

/** A flag's configuration in one environment as it is stored. */
export type StoredConfiguration = {
  readonly flag: string
  readonly environment: string
  readonly configuration: FlagConfiguration
  readonly revision: number
  /** Milliseconds since 1970. */
  readonly updatedAt: number
}

const configurationColumns = {
  flag: flagConfigurations.flag,
  environment: flagConfigurations.environment,
  configuration: flagConfigurations.configuration,
  revision: flagConfigurations.revision,
  updatedAt: flagConfigurations.updatedAt,
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

/** A flag in one environment, which may be one that does not exist. */
export type FlagInEnvironment = {
  readonly flag: StoredFlag
  readonly configuration: StoredConfiguration | undefined
  /** Whether changes of the environment need a second person; undefined when there is no such environment. */
  readonly isProtected: boolean | undefined
}

/** One flag and what it is in one environment, by one query; undefined when there is no such flag. */
export async function loadFlagIn(
  database: D1Database,
  flag: string,
  environment: string,
): Promise<FlagInEnvironment | undefined> {
  const row = await drizzle(database)
    .select({
      flag: flagColumns,
      configuration: configurationColumns,
      environment: { isProtected: environments.protected },
    })
    .from(flags)
    .leftJoin(
      flagConfigurations,
      and(eq(flagConfigurations.flag, flags.key), eq(flagConfigurations.environment, environment)),
    )
    .leftJoin(environments, eq(environments.key, environment))
    .where(eq(flags.key, flag))
    .get()
  return (
    row && {
      flag: row.flag,
      configuration: row.configuration ?? undefined,
      isProtected: row.environment?.isProtected,
    }
  )
}

/** A flag's configurations in all environments, by environment. */
export async function loadConfigurations(database: D1Database, flag: string): Promise<StoredConfiguration[]> {
  return drizzle(database)
    .select(configurationColumns)
    .from(flagConfigurations)
    .where(eq(flagConfigurations.flag, flag))
    .orderBy(asc(flagConfigurations.environment))
}
