// Fire drills and backtests of a rollout: loaded, rehearsed, and kept with what came of them.
import { and, desc, eq, lt, or } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { randomHex } from '../access/key.ts'
import type { Bindings } from '../bindings.ts'
import type { SaveError } from '../catalog/save-error.ts'
import { err, ok, type Result } from '../engine/result.ts'
import type { Author } from '../ledger/author.ts'
import type { GuardBlock } from '../telemetry/counting/blocks.ts'
import { loadBlocks } from '../telemetry/reading/blocks.ts'
import { backtest } from './backtest.ts'
import { commitBeside } from './drafts.ts'
import { type DrillError, type DrillTraffic, rehearse } from './drill.ts'
import type { Ground } from './evidence/processes.ts'
import { audiencesOf } from './grants.ts'
import { loadMetricsOf } from './plan-ground.ts'
import type { Rollout } from './rollout.ts'
import { rolloutDrills } from './tables.ts'

const HOUR_MS = 3_600_000

/** How far back blocks are read at most, an hour a time. */
const MAX_HOURS = 12

/** What is kept of a drill or a backtest. */
export type KeptDrill = Omit<typeof rolloutDrills.$inferSelect, 'rollout'>

/** What is rehearsed, as people ask for it. */
export type DrillDraft = {
  readonly guardrail: string
  readonly size: number
  /** Names; undefined: the present stage, all audiences. */
  readonly stage?: string | undefined
  readonly audience?: string | undefined
  /** What is expected of traffic; undefined: the counts of the last hour. */
  readonly expected?:
    | { readonly unitsPerMinute: number; readonly rate: number; readonly forMs: number }
    | undefined
  readonly seed: number
}

async function loadBlocksOf(
  bindings: Bindings,
  { id, plan }: Pick<Rollout, 'id' | 'plan'>,
  from: number,
  to: number,
): Promise<readonly GuardBlock[]> {
  const blocks: GuardBlock[] = []
  let next = from
  for (let hour = 0; hour < MAX_HOURS && next < to; hour++) {
    const found = await loadBlocks(bindings, plan.environment, { from: next, measurements: [id] })
    blocks.push(...found.blocks)
    if (found.through <= next) break
    next = found.through
  }
  return blocks.filter(({ start }) => start < to)
}

async function groundOf(database: D1Database, { plan, progress }: Rollout): Promise<Ground> {
  return { plan, progress, audiences: audiencesOf(plan), metrics: await loadMetricsOf(database, plan) }
}

async function keep(
  database: D1Database,
  rollout: Rollout,
  kept: Pick<KeptDrill, 'kind' | 'request' | 'result'>,
  author: Author,
): Promise<Result<KeptDrill, SaveError>> {
  const drill: KeptDrill = { id: randomHex(8), at: author.now, actor: author.actor, ...kept }
  const write = drizzle(database)
    .insert(rolloutDrills)
    .values({ ...drill, rollout: rollout.id })
  const committed = await commitBeside(
    database,
    {
      action: `rollout.${kept.kind}`,
      rollout,
      guards: [],
      writes: [write],
      answer: { status: 201, body: drill, shows: [] },
    },
    author,
  )
  return committed.ok ? ok(drill) : committed
}

/** Rehearses a regression of a rollout's counts, and keeps what came of it. */
export async function holdDrill(
  bindings: Bindings,
  rollout: Rollout,
  draft: DrillDraft,
  author: Author,
): Promise<Result<KeptDrill, SaveError | DrillError | { readonly reason: 'unknown_audience' }>> {
  const ground = await groundOf(bindings.DB, rollout)
  const { now } = author
  const stage =
    draft.stage === undefined ? null : rollout.plan.stages.findIndex(({ name }) => name === draft.stage)
  const audience =
    draft.audience === undefined ? null : ground.audiences.findIndex(({ name }) => name === draft.audience)
  if (audience === -1) return err({ reason: 'unknown_audience' })
  const traffic: DrillTraffic = draft.expected
    ? { kind: 'assumed', ...draft.expected }
    : { kind: 'blocks', blocks: await loadBlocksOf(bindings, rollout, now - HOUR_MS, now) }
  const { guardrail, size, seed } = draft
  const rehearsed = rehearse(ground, null, { stage, guardrail, audience, size, traffic, seed }, now)
  if (!rehearsed.ok) return rehearsed
  const kept = { kind: 'drill', request: { ...draft }, result: { ...rehearsed.value } } as const
  return keep(bindings.DB, rollout, kept, author)
}

/** Replays a rollout's guardrails over what was counted in the past, and keeps what came of it. */
export async function holdBacktest(
  bindings: Bindings,
  rollout: Rollout,
  of: Rollout,
  { from, to }: { readonly from: number; readonly to: number },
  author: Author,
): Promise<Result<KeptDrill, SaveError>> {
  const [ground, blocks] = await Promise.all([
    groundOf(bindings.DB, rollout),
    loadBlocksOf(bindings, of, from, to),
  ])
  const result = backtest(ground, { blocks, epochs: [of.progress] })
  const request = { of: of.id, from, to }
  return keep(bindings.DB, rollout, { kind: 'backtest', request, result: { ...result } }, author)
}

/** A page of what was rehearsed, newest first, below the one at `after`. */
export async function listDrills(
  database: D1Database,
  rollout: string,
  which: KeptDrill['kind'],
  limit: number,
  after?: { readonly at: number; readonly id: string },
): Promise<readonly KeptDrill[]> {
  const { id, kind, at, actor, request, result } = rolloutDrills
  const below = after && or(lt(at, after.at), and(eq(at, after.at), lt(id, after.id)))
  return drizzle(database)
    .select({ id, kind, at, actor, request, result })
    .from(rolloutDrills)
    .where(and(eq(rolloutDrills.rollout, rollout), eq(kind, which), below))
    .orderBy(desc(at), desc(id))
    .limit(limit)
}
