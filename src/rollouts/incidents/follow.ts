// Follows incidents every minute: how far the safe version has spread, whether the rollback helped, who has looked.
import { and, asc, eq, inArray, isNotNull, isNull, lte, or, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { Bindings } from '../../bindings.ts'
import { hubOf } from '../../catalog/hub-protocol.ts'
import type { Metric } from '../../catalog/measurement.ts'
import { metricColumns } from '../../catalog/metric-store.ts'
import { publishAll } from '../../catalog/publish.ts'
import { metrics as metricTable } from '../../catalog/tables.ts'
import type { Author } from '../../ledger/author.ts'
import type { SeriesCell } from '../../telemetry/counting/series.ts'
import { askShards } from '../../telemetry/reading/ask-shards.ts'
import type { Progress, RolloutState } from '../progress.ts'
import { incidents, rollouts } from '../tables.ts'
import { commitIncidents, type IncidentChange } from './commit-incidents.ts'
import type { Incident } from './incident-store.ts'
import { nextOf } from './next-of-incident.ts'
import { isReplaced, retire } from './retirement.ts'
import { safeBy } from './spreading.ts'
import { type Verdict, verify } from './verification.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
/** How much is done in one tick; the rest waits a minute. */
const MAX_INCIDENTS = 100
const MAX_ENVIRONMENTS = 6
/** How far back it is looked for what was before. */
const BEFORE_MS = HOUR_MS

/** An incident that something may have to be done about, and how its rollout stands; nulls: it is about none. */
type Work = {
  readonly incident: Incident
  readonly state: RolloutState | null
  readonly progress: Progress | null
  readonly replaced: number
}

/** What is known in one environment. */
type Ground = {
  readonly cells: readonly SeriesCell[]
  readonly partial: boolean
  readonly metrics: ReadonlyMap<string, Metric>
}

function isVerifying({ verification, safeVersion }: Incident): boolean {
  return verification === 'pending' && safeVersion !== null
}

async function loadWork(database: D1Database, now: number): Promise<readonly Work[]> {
  const { id, environment, flag, progress } = rollouts
  const ended = sql`${progress} ->> 'endedAt'`
  return drizzle(database)
    .select({
      incident: incidents,
      state: rollouts.state,
      progress: rollouts.progress,
      replaced: sql<number>`${isReplaced(sql`${id}`, sql`${environment}`, sql`${flag}`, ended)}`,
    })
    .from(incidents)
    .leftJoin(rollouts, eq(rollouts.id, incidents.rollout))
    .where(
      and(
        inArray(incidents.state, ['open', 'acknowledged']),
        or(
          and(eq(incidents.verification, 'pending'), isNotNull(incidents.safeVersion)),
          and(eq(incidents.state, 'open'), isNull(incidents.escalatedAt), lte(incidents.acknowledgeBy, now)),
        ),
      ),
    )
    .orderBy(asc(incidents.createdAt))
    .limit(MAX_INCIDENTS)
}

/** When the version that is safe was committed: with the last step of a rollback. */
function committedAt({ incident, state, progress }: Work): number {
  return state === 'rolled_back' ? (progress?.endedAt ?? incident.committedAt) : incident.committedAt
}

/** From when to when what was before is looked at: from the beginning of a minute, which is what is counted by. */
function beforeOf({ facts, detectedAt }: Incident): { readonly from: number; readonly to: number } {
  const from = Math.max(facts.stage?.since ?? 0, detectedAt - BEFORE_MS)
  return { from: Math.floor(from / MINUTE_MS) * MINUTE_MS, to: detectedAt }
}

async function loadMetrics(database: D1Database, keys: readonly string[]): Promise<Map<string, Metric>> {
  if (keys.length === 0) return new Map()
  const rows = await drizzle(database)
    .select(metricColumns)
    .from(metricTable)
    .where(sql`${metricTable.key} IN (SELECT value FROM json_each(${JSON.stringify(keys)}))`)
  return new Map(rows.map((row) => [row.key, row]))
}

/** Reads what the verifications of one environment need: each shard is asked once. */
async function loadGround(
  bindings: Bindings,
  environment: string,
  verifying: readonly Incident[],
  now: number,
): Promise<Ground> {
  if (verifying.length === 0) return { cells: [], partial: false, metrics: new Map() }
  const keys = new Set(verifying.flatMap(({ facts }) => facts.guards.map(({ metric }) => metric)))
  const flags = new Set(verifying.map(({ flag }) => flag))
  const [flag] = flags
  const from = Math.min(...verifying.map((incident) => beforeOf(incident).from))
  const query = {
    step: 'minute',
    from,
    to: Math.ceil(now / MINUTE_MS) * MINUTE_MS,
    ...(flags.size === 1 && flag !== undefined ? { flag } : {}),
    ...(keys.size === 0 ? { metric: null } : {}),
  } as const
  const [{ answers, partial }, metrics] = await Promise.all([
    askShards(bindings, environment, (shard) => shard.series(query)),
    loadMetrics(bindings.DB, [...keys]),
  ])
  return { cells: answers.flat(), partial, metrics }
}

function judge(work: Work, safeAt: number | null, ground: Ground, now: number): Verdict {
  const { incident, replaced } = work
  const { rollout, facts } = incident
  if (replaced === 1) {
    return { state: 'none', words: 'Not verified: another rollout of the flag has begun since.' }
  }
  return verify(
    {
      ...ground,
      rollout: rollout ?? '',
      variant: facts.variant ?? '',
      epoch: facts.epoch ?? 0,
      audiences: facts.audiences,
      guards: facts.guards,
      before: beforeOf(incident),
      since: safeAt ?? committedAt(work),
    },
    now,
  )
}

/** Follows the incidents of one environment. */
async function followIn(
  bindings: Bindings,
  environment: string,
  works: readonly Work[],
  now: number,
): Promise<void> {
  const verifying = works.map(({ incident }) => incident).filter(isVerifying)
  const [propagation, ground] = await Promise.all([
    verifying.some(({ safeAt }) => safeAt === null) ? hubOf(bindings, environment).propagation() : null,
    loadGround(bindings, environment, verifying, now),
  ])
  const changes: IncidentChange[] = []
  const over: Work[] = []
  for (const work of works) {
    const { incident } = work
    const { safeVersion, safeAt } = incident
    const spread = safeVersion !== null && safeAt === null ? safeBy(safeVersion, propagation, now) : null
    const verdict = isVerifying(incident) ? judge(work, spread?.at ?? safeAt, ground, now) : null
    const change = nextOf(incident, { safe: spread, verdict }, now)
    if (!change) continue
    changes.push(change)
    const isOver = change.after.verification !== 'pending' && incident.verification === 'pending'
    if (isOver && work.state === 'rolled_back' && work.replaced === 0) over.push(work)
  }
  const [first, ...others] = changes
  if (!first) return
  const author: Author = { actor: 'clock', via: 'tick', comment: '', now, requestId: `tick-${now}` }
  const retiring = over.flatMap(({ incident: { rollout, flag }, progress }) =>
    rollout === null ? [] : [{ id: rollout, environment, flag, endedAt: progress?.endedAt ?? now }],
  )
  const committed = await commitIncidents(
    bindings.DB,
    environment,
    [first, ...others],
    author,
    retire(retiring),
  )
  // Somebody was quicker: the next minute looks again.
  if (committed.ok) await publishAll(bindings, committed.value)
  else console.warn('incidents not followed', { environment, reason: committed.error.reason })
}

/**
 * Follows all incidents that something is still expected of: safe, verified, acknowledged in time. What it costs depends
 * on the environments that have any, of which some are done in each minute, in turn.
 */
export async function followIncidents(bindings: Bindings, now: number): Promise<void> {
  const works = [...Map.groupBy(await loadWork(bindings.DB, now), ({ incident }) => incident.environment)]
  const first =
    works.length > MAX_ENVIRONMENTS ? (Math.floor(now / MINUTE_MS) * MAX_ENVIRONMENTS) % works.length : 0
  const turn = [...works.slice(first), ...works.slice(0, first)].slice(0, MAX_ENVIRONMENTS)
  for (const [environment, some] of turn) {
    try {
      await followIn(bindings, environment, some, now)
    } catch (error) {
      console.error('incidents not followed', { environment, error: String(error) })
    }
  }
}
