// The sweep that marks flags that have had their day, so that a list can show them without asking anybody.
import { asc, eq, gt, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { listEnvironments } from './environments.ts'
import { type EnvironmentActivity, type FlagState, type Staleness, staleness } from './staleness.ts'
import { flagConfigurations, flags, history, references } from './tables.ts'

const PAGE_FLAGS = 200

async function loadStates(
  database: D1Database,
  keys: readonly string[],
): Promise<ReadonlyMap<string, readonly FlagState[]>> {
  const { flag, environment, configuration, updatedAt } = flagConfigurations
  const db = drizzle(database)
  const wanted = sql`(SELECT value FROM json_each(${JSON.stringify(keys)}))`
  const configured = await db
    .select({ flag, environment, configuration, updatedAt })
    .from(flagConfigurations)
    .where(sql`${flag} IN ${wanted}`)
  const rollouts = await db.all<{ environment: string; key: string; body: string | null; at: number }>(
    sql`SELECT environment, key, body, at, max(version) FROM ${history}
      WHERE kind = 'rollouts' AND key IN ${wanted} GROUP BY environment, key`,
  )
  const rolloutOf = new Map(rollouts.map((row) => [JSON.stringify([row.environment, row.key]), row]))
  const states = new Map<string, FlagState[]>()
  for (const row of configured) {
    const rollout = rolloutOf.get(JSON.stringify([row.environment, row.flag]))
    const known = states.get(row.flag) ?? []
    known.push({
      configuration: row.configuration,
      rollingOut: rollout !== undefined && rollout.body !== null,
      changedAt: Math.max(row.updatedAt, rollout?.at ?? 0),
    })
    states.set(row.flag, known)
  }
  return states
}

/**
 * Marks every flag that is stale, with the reason, and clears the mark of those that no longer are.
 * @param activityIn what is known of the evaluations in an environment
 */
export async function markStale(
  database: D1Database,
  activityIn: (environment: string) => Promise<EnvironmentActivity>,
  now: number,
): Promise<void> {
  const db = drizzle(database)
  const environments = await listEnvironments(database)
  const activities = await Promise.all(environments.map(({ key }) => activityIn(key)))
  const asked = await db
    .selectDistinct({ key: references.toKey })
    .from(references)
    .where(eq(references.toKind, 'flags'))
  const prerequisites = new Set(asked.map(({ key }) => key))
  let after = ''
  for (;;) {
    const { key, temporary, createdAt, archivedAt, stale } = flags
    const page = await db
      .select({ key, temporary, createdAt, archivedAt, stale })
      .from(flags)
      .where(gt(key, after))
      .orderBy(asc(key))
      .limit(PAGE_FLAGS)
    const states = await loadStates(
      database,
      page.map((flag) => flag.key),
    )
    const marks = page.flatMap((flag) => {
      const facts = {
        ...flag,
        archived: flag.archivedAt !== null,
        isPrerequisite: prerequisites.has(flag.key),
      }
      const found = staleness(facts, states.get(flag.key) ?? [], activities, now)
      return isSame(found, flag.stale) ? [] : [[flag.key, found] as const]
    })
    if (marks.length > 0) {
      const rows = JSON.stringify(marks)
      await db.run(sql`UPDATE ${flags} SET stale = (SELECT nullif(value -> 1, 'null') FROM json_each(${rows})
          WHERE value ->> 0 = ${key})
        WHERE ${key} IN (SELECT value ->> 0 FROM json_each(${rows}))`)
    }
    after = page.at(-1)?.key ?? after
    if (page.length < PAGE_FLAGS) return
  }
}

function isSame(found: Staleness | null, marked: Staleness | null): boolean {
  return JSON.stringify(found) === JSON.stringify(marked)
}
