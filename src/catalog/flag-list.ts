import { and, asc, eq, gt, isNotNull, isNull, type SQL, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { FlagType } from '../engine/flag.ts'
import { flagColumns, type StoredFlag } from './flag-store.ts'
import type { Staleness } from './staleness.ts'
import { flagConfigurations, flags } from './tables.ts'

/** Which flags are asked for; what is left out does not narrow. */
export type FlagFilter = {
  /** Words that key, description, owner and tags together hold. */
  readonly search?: string | undefined
  readonly tag?: string | undefined
  readonly owner?: string | undefined
  readonly type?: FlagType | undefined
  readonly temporary?: boolean | undefined
  readonly stale?: boolean | undefined
  /** Left out: those that are not. */
  readonly archived?: boolean | undefined
  /** Together with `enabled`: as it is there. */
  readonly environment?: string | undefined
  readonly enabled?: boolean | undefined
}

/** How a flag stands in one environment, in a list. */
export type FlagState = {
  readonly enabled: boolean
  readonly revision: number
  /** Milliseconds since 1970. */
  readonly updatedAt: number
}

/** A flag in a list. */
export type ListedFlag = StoredFlag & {
  readonly stale: Staleness | null
  readonly environments: { readonly [environment: string]: FlagState }
}

const MAX_WORDS = 10

function conditionsOf(filter: FlagFilter): SQL[] {
  const { search = '', tag, owner, type, temporary, stale, archived = false, environment, enabled } = filter
  const words = search.toLowerCase().split(/\s+/).filter(Boolean).slice(0, MAX_WORDS)
  return [
    archived ? isNotNull(flags.archivedAt) : isNull(flags.archivedAt),
    ...words.map((word) => sql`instr(${flags.search}, ${word}) > 0`),
    ...(tag === undefined ? [] : [sql`EXISTS (SELECT 1 FROM json_each(${flags.tags}) WHERE value = ${tag})`]),
    ...(owner === undefined ? [] : [eq(flags.owner, owner)]),
    ...(type === undefined ? [] : [eq(flags.type, type)]),
    ...(temporary === undefined ? [] : [eq(flags.temporary, temporary)]),
    ...(stale === undefined ? [] : [stale ? isNotNull(flags.stale) : isNull(flags.stale)]),
    ...(environment === undefined || enabled === undefined
      ? []
      : [
          sql`EXISTS (SELECT 1 FROM ${flagConfigurations} WHERE ${and(
            eq(flagConfigurations.environment, environment),
            eq(flagConfigurations.flag, flags.key),
            eq(flagConfigurations.enabled, enabled),
          )})`,
        ]),
  ]
}

/** How flags stand in the environments that an actor reaches; null: all. */
async function loadStates(
  database: D1Database,
  keys: readonly string[],
  reached: readonly string[] | null,
): Promise<Map<string, { [environment: string]: FlagState }>> {
  const { flag, environment, enabled, revision, updatedAt } = flagConfigurations
  const rows = await drizzle(database)
    .select({ flag, environment, enabled, revision, updatedAt })
    .from(flagConfigurations)
    .where(sql`${flag} IN (SELECT value FROM json_each(${JSON.stringify(keys)}))`)
    .orderBy(asc(environment))
  const states = new Map<string, { [environment: string]: FlagState }>()
  for (const { flag, environment, ...state } of rows) {
    if (reached !== null && !reached.includes(environment)) continue
    const known = states.get(flag) ?? {}
    known[environment] = state
    states.set(flag, known)
  }
  return states
}

/** Flags by key, after the key `after`. */
export async function listFlags(
  database: D1Database,
  filter: FlagFilter,
  reached: readonly string[] | null,
  limit: number,
  after = '',
): Promise<ListedFlag[]> {
  const rows = await drizzle(database)
    .select({ ...flagColumns, stale: flags.stale })
    .from(flags)
    .where(and(gt(flags.key, after), ...conditionsOf(filter)))
    .orderBy(asc(flags.key))
    .limit(limit)
  const keys = rows.map(({ key }) => key)
  const states = await loadStates(database, keys, reached)
  return rows.map((row) => ({ ...row, environments: states.get(row.key) ?? {} }))
}

/** One flag as a list shows it; undefined when there is none of that key. */
export async function loadListedFlag(
  database: D1Database,
  key: string,
  reached: readonly string[] | null,
): Promise<ListedFlag | undefined> {
  const [row, states] = await Promise.all([
    drizzle(database)
      .select({ ...flagColumns, stale: flags.stale })
      .from(flags)
      .where(eq(flags.key, key))
      .get(),
    loadStates(database, [key], reached),
  ])
  return row && { ...row, environments: states.get(key) ?? {} }
}
