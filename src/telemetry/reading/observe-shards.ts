// What a rollout's clock reads: guard blocks and all beside them, in one call to each shard.
import type { Bindings } from '../../bindings.ts'
import { withTimeout } from '../../http/with-timeout.ts'
import type { SeriesCell } from '../counting/series.ts'
import type { ArmTotals } from '../counting/totals.ts'
import { type ObservationQuery, SHARD_TIMEOUT_MS, shardsOf } from '../shard-protocol.ts'
import { type MergedBlocks, mergeBlocks } from './blocks.ts'
import { mergeTotals } from './totals.ts'

/** What all shards together say. */
export type Observed = {
  readonly blocks: MergedBlocks
  /** By the measurement's id. */
  readonly totals: ReadonlyMap<string, readonly ArmTotals[]>
  readonly series: readonly SeriesCell[]
}

/** Asks the first so many shards of an environment. What one of them does not say is missing in all: it throws then. */
export async function observeShards(
  bindings: Bindings,
  environment: string,
  shards: number,
  query: ObservationQuery,
): Promise<Observed> {
  const parts = await Promise.all(
    shardsOf(bindings, environment, shards).map((shard) =>
      withTimeout(shard.observe(query), SHARD_TIMEOUT_MS),
    ),
  )
  return {
    blocks: mergeBlocks(parts.map(({ blocks }) => blocks)),
    totals: new Map(
      query.totals.map((id) => [id, mergeTotals(parts.map(({ totals }) => totals.get(id) ?? []))]),
    ),
    series: parts.flatMap(({ series }) => series),
  }
}
