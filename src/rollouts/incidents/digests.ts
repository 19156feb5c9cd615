// Digests of the day and reports of the week: made once each, for environments of which a channel wants them.
import { and, asc, desc, eq, gte, inArray, isNotNull, lt, ne, or, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { Bindings } from '../../bindings.ts'
import { prepare } from '../../ledger/statement.ts'
import { noticeStatements } from '../../notifications/outbox.ts'
import { channels, reportsMade } from '../../notifications/tables.ts'
import type { Deed } from '../decision.ts'
import type { RolloutState } from '../progress.ts'
import { incidents, rolloutDecisions, rollouts } from '../tables.ts'
import { type DigestedRollout, type DigestGround, digestOf } from './digest-text.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const WEEK_MS = 7 * DAY_MS
/** When they are made: at seven o'clock, UTC. */
const HOUR = 7
/** 1970 began on a Thursday: the first Monday was its fifth day. */
const FIRST_MONDAY_MS = 4 * DAY_MS

const MAX_ENVIRONMENTS = 10
const MAX_DECISIONS = 2_000
const MAX_INCIDENTS = 100

/** Decisions that people may want to hear of. */
const TOLD: readonly Deed[] = ['advance', 'hold', 'pause', 'rollback', 'complete', 'finish']

/** States in which a rollout runs, whether anything is decided or not. */
const RUNNING: readonly RolloutState[] = ['running', 'paused', 'rolling_back']

type Span = Pick<DigestGround, 'kind' | 'from' | 'to'>

/** The day and the week that ended last, at seven o'clock. */
function spansAt(now: number): readonly Span[] {
  const shifted = now - HOUR * HOUR_MS
  const day = Math.floor(shifted / DAY_MS) * DAY_MS + HOUR * HOUR_MS
  const week = Math.floor((shifted - FIRST_MONDAY_MS) / WEEK_MS) * WEEK_MS + FIRST_MONDAY_MS + HOUR * HOUR_MS
  return [
    { kind: 'digest.daily', from: day - DAY_MS, to: day },
    { kind: 'report.weekly', from: week - WEEK_MS, to: week },
  ]
}

/** Environments that have not been told of a span, and of which a channel that there was by its end wants to be. */
async function loadDue(database: D1Database, { kind, from, to }: Span): Promise<string[]> {
  const rows = await drizzle(database)
    .selectDistinct({ environment: channels.environment })
    .from(channels)
    .where(
      and(
        eq(channels.enabled, true),
        lt(channels.createdAt, to),
        sql`EXISTS (SELECT 1 FROM json_each(${channels.events}) WHERE value = ${kind})`,
        sql`NOT EXISTS (SELECT 1 FROM ${reportsMade} WHERE ${eq(reportsMade.environment, channels.environment)}
          AND ${eq(reportsMade.kind, kind)} AND ${eq(reportsMade.about, from)})`,
      ),
    )
    .orderBy(asc(channels.environment))
    .limit(MAX_ENVIRONMENTS)
  return rows.map(({ environment }) => environment)
}

/** Rollouts that were taken further in a span, or ran on; with what was decided about them in it. */
async function loadRollouts(
  database: D1Database,
  environment: string,
  { from, to }: Span,
): Promise<DigestedRollout[]> {
  const { id, flag, plan, progress, state } = rollouts
  const { deed, reason, at } = rolloutDecisions
  const rows = await drizzle(database)
    .select({ id, flag, plan, progress, deed, reason })
    .from(rollouts)
    .leftJoin(
      rolloutDecisions,
      and(eq(rolloutDecisions.rollout, id), gte(at, from), lt(at, to), inArray(deed, [...TOLD])),
    )
    .where(
      and(
        eq(rollouts.environment, environment),
        sql`${progress} ->> 'startedAt' < ${to}`,
        or(inArray(state, [...RUNNING]), and(gte(rollouts.updatedAt, from), isNotNull(deed))),
      ),
    )
    .orderBy(asc(rollouts.createdAt), asc(rolloutDecisions.id))
    .limit(MAX_DECISIONS)
  return [...Map.groupBy(rows, (row) => row.id).values()].flatMap((some): DigestedRollout[] => {
    const [first] = some
    if (!first) return []
    const { plan: planned, progress: come } = first
    const decisions = some.flatMap(({ deed: done, reason: why }) => {
      const told = TOLD.find((one) => one === done)
      return told && why ? [{ deed: told, reason: why }] : []
    })
    const stage = planned.stages[come.stage]?.name ?? null
    return [{ id: first.id, flag: first.flag, variant: planned.variant, stage, decisions }]
  })
}

async function loadGround(database: D1Database, environment: string, span: Span): Promise<DigestGround> {
  const { createdAt, state } = incidents
  const [found, wrong] = await Promise.all([
    loadRollouts(database, environment, span),
    drizzle(database)
      .select()
      .from(incidents)
      .where(
        and(
          eq(incidents.environment, environment),
          lt(createdAt, span.to),
          or(gte(createdAt, span.from), ne(state, 'resolved')),
        ),
      )
      .orderBy(desc(createdAt))
      .limit(MAX_INCIDENTS),
  ])
  return { ...span, environment, rollouts: found, incidents: wrong }
}

async function make(database: D1Database, environment: string, span: Span, now: number): Promise<void> {
  const notice = digestOf(await loadGround(database, environment, span), now)
  const statements = [
    drizzle(database).insert(reportsMade).values({ environment, kind: span.kind, about: span.from }),
    ...(notice ? noticeStatements(notice) : []),
  ]
  await database.batch(statements.map((statement) => prepare(database, statement)))
}

/**
 * Makes what is due of digests and reports, each once. A day in which nothing happened is not told of, a week is in one
 * line. Missed minutes are made good until the next one is due.
 */
export async function digests({ DB }: Bindings, now: number): Promise<void> {
  for (const span of spansAt(now)) {
    for (const environment of await loadDue(DB, span)) {
      try {
        await make(DB, environment, span, now)
      } catch (error) {
        console.warn('digest not made', { environment, kind: span.kind, error: String(error) })
      }
    }
  }
}
