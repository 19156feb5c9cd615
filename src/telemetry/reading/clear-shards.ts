// How what was counted in an environment is forgotten altogether.
import type { Bindings } from '../../bindings.ts'
import { withTimeout } from '../../http/with-timeout.ts'
import { SHARD_TIMEOUT_MS, shardsOf } from '../shard-protocol.ts'

/** Clears the first so many shards of an environment; throws when one does not answer. */
export async function clearShards(bindings: Bindings, environment: string, count: number): Promise<void> {
  const shards = shardsOf(bindings, environment, count)
  await Promise.all(shards.map((shard) => withTimeout(shard.clear(), SHARD_TIMEOUT_MS)))
}
