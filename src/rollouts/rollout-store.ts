// Rollouts and what was decided about them, as the database holds them.
import { and, desc, eq, inArray, lt, or, type SQL, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { LIVE_STATES, type RolloutState } from './progress.ts'
import type { Rollout } from './rollout.ts'
import { rolloutDecisions, rollouts } from './tables.ts'

export type RolloutRow = typeof rollouts.$inferSelect

/** A decision as it was written down. */
export type DecisionRow = typeof rolloutDecisions.$inferSelect

/** A decision in a list: without what it was decided from, which may be large. */
export type ListedDecision = Omit<DecisionRow, 'evidence'> & { readonly hasEvidence: boolean }

/** Which rollouts are asked for; what is left out does not narrow. */
export type RolloutFilter = {
  readonly environment?: string | undefined
  readonly flag?: string | undefined
  readonly states?: readonly RolloutState[] | undefined
  /** Those alone that somebody reaches; null: all. */
  readonly environments?: readonly string[] | null
}

/** Where a page of rollouts ended. */
export type RolloutPosition = { readonly createdAt: number; readonly id: string }

/** What a row says. */
export function toRollout(row: RolloutRow): Rollout {
  const { id, plan, seed, reversed, progress, revision, retries, createdBy, createdAt, updatedAt } = row
  const startedBy = typeof row.startedBy?.id === 'string' ? row.startedBy.id : null
  return { id, plan, seed, reversed, progress, revision, retries, createdBy, createdAt, updatedAt, startedBy }
}

/** One rollout; undefined when there is none of that id. */
export async function loadRollout(database: D1Database, id: string): Promise<Rollout | undefined> {
  const row = await drizzle(database).select().from(rollouts).where(eq(rollouts.id, id)).get()
  return row && toRollout(row)
}

/** The rollouts of an environment that have grants, or may get them without anybody's doing. */
export async function loadLive(database: D1Database, environment: string): Promise<Rollout[]> {
  const rows = await drizzle(database)
    .select()
    .from(rollouts)
    .where(and(eq(rollouts.environment, environment), inArray(rollouts.state, [...LIVE_STATES])))
    .orderBy(rollouts.id)
  return rows.map(toRollout)
}

/** The environments in which rollouts are live. */
export async function loadLiveEnvironments(database: D1Database): Promise<string[]> {
  const rows = await drizzle(database)
    .selectDistinct({ environment: rollouts.environment })
    .from(rollouts)
    .where(inArray(rollouts.state, [...LIVE_STATES]))
    .orderBy(rollouts.environment)
  return rows.map(({ environment }) => environment)
}

function conditionsOf({ environment, flag, states, environments }: RolloutFilter): SQL[] {
  return [
    ...(environment === undefined ? [] : [eq(rollouts.environment, environment)]),
    ...(flag === undefined ? [] : [eq(rollouts.flag, flag)]),
    ...(states === undefined ? [] : [inArray(rollouts.state, [...states])]),
    ...(environments === undefined || environments === null
      ? []
      : [sql`${rollouts.environment} IN (SELECT value FROM json_each(${JSON.stringify(environments)}))`]),
  ]
}

/** A page of rollouts, newest first, below the one at `after`. */
export async function listRollouts(
  database: D1Database,
  filter: RolloutFilter,
  limit: number,
  after?: RolloutPosition,
): Promise<Rollout[]> {
  const below =
    after &&
    or(
      lt(rollouts.createdAt, after.createdAt),
      and(eq(rollouts.createdAt, after.createdAt), lt(rollouts.id, after.id)),
    )
  const rows = await drizzle(database)
    .select()
    .from(rollouts)
    .where(and(...conditionsOf(filter), below))
    .orderBy(desc(rollouts.createdAt), desc(rollouts.id))
    .limit(limit)
  return rows.map(toRollout)
}

/** A page of a rollout's timeline, newest first, below the decision `before`. */
export async function listDecisions(
  database: D1Database,
  rollout: string,
  limit: number,
  before?: number,
): Promise<ListedDecision[]> {
  const { id, at, deed, reason, actor, comment, stage, epoch, proven, evidence } = rolloutDecisions
  const rows = await drizzle(database)
    .select({
      ...{ id, rollout: rolloutDecisions.rollout, at, deed, reason, actor, comment, stage, epoch, proven },
      hasEvidence: sql<number>`${evidence} IS NOT NULL`,
    })
    .from(rolloutDecisions)
    .where(
      and(eq(rolloutDecisions.rollout, rollout), ...(before === undefined ? [] : [sql`${id} < ${before}`])),
    )
    .orderBy(desc(id))
    .limit(limit)
  return rows.map((row) => ({ ...row, hasEvidence: row.hasEvidence === 1 }))
}

/** One decision with what it was decided from; undefined when the rollout has none of that number. */
export async function loadDecision(
  database: D1Database,
  rollout: string,
  id: number,
): Promise<DecisionRow | undefined> {
  return drizzle(database)
    .select()
    .from(rolloutDecisions)
    .where(and(eq(rolloutDecisions.rollout, rollout), eq(rolloutDecisions.id, id)))
    .get()
}
