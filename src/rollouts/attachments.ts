// What rollouts are to the catalog: what must not be taken from under them, and what goes with an environment.
import { and, eq, inArray, type SQL, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { Attachments, RolloutsOf } from '../catalog/attachments.ts'
import { belongings as toldOf } from '../notifications/outbox.ts'
import { LIVE_STATES, type RolloutState } from './progress.ts'
import { incidents, rollouts } from './tables.ts'

/** States in which a rollout stands on its flag, its metrics and its environment. */
export const STANDING_STATES: readonly RolloutState[] = ['awaiting_approval', ...LIVE_STATES]

function whereStanding(of: RolloutsOf): SQL | undefined {
  const isStanding = inArray(rollouts.state, [...STANDING_STATES])
  if ('environment' in of) return and(isStanding, eq(rollouts.environment, of.environment))
  if ('flag' in of) return and(isStanding, eq(rollouts.flag, of.flag))
  return and(
    isStanding,
    sql`EXISTS (SELECT 1 FROM json_each(${rollouts.plan} -> 'guardrails') WHERE value ->> 'metric' = ${of.metric})`,
  )
}

/** What the catalog is handed. */
export const rolloutAttachments: Attachments = {
  running: async (database, of) =>
    drizzle(database)
      .select({
        id: rollouts.id,
        environment: rollouts.environment,
        flag: rollouts.flag,
        state: rollouts.state,
      })
      .from(rollouts)
      .where(whereStanding(of))
      .orderBy(rollouts.environment, rollouts.id)
      .limit(10),
  isIdle: (of) => ({
    column: 'unreferenced',
    holds: sql`NOT EXISTS (SELECT 1 FROM ${rollouts} WHERE ${whereStanding(of)})`,
  }),
  // Their decisions, signals, drills and notes go with them.
  belongings: (environment) => {
    return [
      sql`DELETE FROM ${incidents} WHERE ${eq(incidents.environment, environment)}`,
      sql`DELETE FROM ${rollouts} WHERE ${eq(rollouts.environment, environment)}`,
      ...toldOf(environment),
    ]
  },
}
