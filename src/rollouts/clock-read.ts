// What a tick reads of what was counted: all shards, as many pages of an hour as it may ask for.
import type { Bindings } from '../bindings.ts'
import { BLOCK_MS } from '../telemetry/counting/blocks.ts'
import type { ArmTotals } from '../telemetry/counting/totals.ts'
import { type Observed, observeShards } from '../telemetry/reading/observe-shards.ts'
import { type Held, newHeld, takeIn } from './clock-evidence.ts'
import type { Loaded } from './clock-load.ts'
import { quantileQueries, type Sketches, toSketches } from './clock-quantiles.ts'
import type { Said } from './clock-store.ts'
import type { Spent } from './conductor.ts'
import type { Ground } from './evidence/processes.ts'
import { audiencesOf } from './grants.ts'
import type { Rollout } from './rollout.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
/** Shards keep blocks for three days. */
const OLDEST_MS = 71 * HOUR_MS
/** How many calls to shards a tick makes at most, where one page does not take more; as many again are for its proof. */
const MAX_SHARD_CALLS = 8

/** What a clock has in memory beside its disk. */
export type Memory = {
  /** By the rollout's id. */
  readonly held: ReadonlyMap<string, Held>
  /** What was last written down of why a rollout is held, by its id. */
  readonly said: ReadonlyMap<string, Said>
  /** Sums over units, by rollout, as they were last read. */
  readonly totals: ReadonlyMap<string, readonly ArmTotals[]>
  readonly sketches: Sketches
  /** When those were read. */
  readonly sketchedAt: number
  /** Since when a shard could not be read; null: all can be. */
  readonly unreadSince: number | null
  /** Rollouts whose last step could not be carried out: they are kept apart, so that they do not hold up the others. */
  readonly failed: ReadonlySet<string>
}

/** The ground of a rollout's evidence. */
export function groundOf({ plan, progress }: Rollout, { metrics }: Loaded): Ground {
  return { plan, audiences: audiencesOf(plan), progress, metrics }
}

function isCounted({ progress: { state, startedAt } }: Rollout): boolean {
  return startedAt !== null && state !== 'scheduled'
}

/** Means are judged by sums over units, which blocks do not hold. */
function needsTotals({ plan }: Rollout, { metrics }: Loaded): boolean {
  return plan.guardrails.some(({ metric, test }) => {
    const kind = metrics.get(metric)?.kind
    return test.quantile === null && (kind === 'mean' || kind === 'ratio' || kind === 'resource')
  })
}

/** Whether there is anything to read: what is only watched is read once an hour. */
function isReadDue(counted: readonly Rollout[], held: Memory['held'], now: number): boolean {
  return counted.some(({ id, progress }) => {
    const through = held.get(id)?.evidence.through ?? 0
    return progress.state !== 'watching' || now - through >= HOUR_MS
  })
}

/** A page; null when a shard could not be read. */
type Ask = (from: number, isFirst: boolean) => Promise<Observed | null>

/** Takes pages in until what is read is what there is, or a tick's share has been asked for. */
async function readPages(
  counted: readonly Rollout[],
  loaded: Loaded,
  memory: Memory,
  ask: Ask,
  isSketching: boolean,
  now: number,
): Promise<Memory> {
  const held = new Map(memory.held)
  for (const { id, progress } of counted) {
    if (!held.has(id)) held.set(id, newHeld(progress.startedAt ?? now))
  }
  let { totals, sketches, sketchedAt } = memory
  let { unreadSince } = memory
  const since = Math.min(...counted.map(({ id }) => held.get(id)?.evidence.through ?? now))
  let from = Math.floor(Math.max(since, now - OLDEST_MS) / BLOCK_MS) * BLOCK_MS
  const pages = Math.max(1, Math.floor(MAX_SHARD_CALLS / loaded.shards))
  for (let page = 0; page < pages; page++) {
    const observed = await ask(from, page === 0)
    if (!observed) {
      unreadSince ??= now
      break
    }
    unreadSince = null
    const { through } = observed.blocks
    const blocks = Map.groupBy(observed.blocks.blocks, ({ measurement }) => measurement)
    ;({ totals } = observed)
    if (isSketching && page === 0) [sketches, sketchedAt] = [toSketches(observed.series), now]
    for (const rollout of counted) {
      const { id } = rollout
      const one = held.get(id)
      const own = { through, blocks: blocks.get(id) ?? [] }
      if (one) held.set(id, takeIn(one, groundOf(rollout, loaded), own, totals.get(id)))
    }
    // A page that is not full is the last.
    if (through < from + HOUR_MS) break
    from = through
  }
  return { ...memory, held, totals, sketches, sketchedAt, unreadSince }
}

/** Reads what has closed since, and all that is needed beside it, in one call to each shard. */
export async function readCounts(
  bindings: Bindings,
  environment: string,
  loaded: Loaded,
  memory: Memory,
  now: number,
  spent: Spent,
): Promise<Memory> {
  const live = new Set(loaded.rollouts.map(({ id }) => id))
  const held = new Map([...memory.held].filter(([id]) => live.has(id)))
  const said = new Map([...memory.said].filter(([id]) => live.has(id)))
  const counted = loaded.rollouts.filter(isCounted)
  const series = now - memory.sketchedAt < MINUTE_MS ? [] : quantileQueries(loaded.rollouts, now)
  if (series.length === 0 && !isReadDue(counted, held, now)) return { ...memory, held, said }
  const totals = counted.filter((rollout) => needsTotals(rollout, loaded)).map(({ id }) => id)
  const ask: Ask = async (from, isFirst) => {
    spent.calls += loaded.shards
    const query = { blocks: { from }, totals, series: isFirst ? series : [] }
    try {
      return await observeShards(bindings, environment, loaded.shards, query)
    } catch (error) {
      console.warn('event shard not read by a clock', { environment, error: String(error) })
      return null
    }
  }
  return readPages(counted, loaded, { ...memory, held, said }, ask, series.length > 0, now)
}
