// How readers ask all shards of an environment at once.
import type { Bindings } from '../../bindings.ts'
import { loadShardCount } from '../../catalog/environments.ts'
import { withTimeout } from '../../http/with-timeout.ts'
import { SHARD_TIMEOUT_MS, type Shard, shardsOf } from '../shard-protocol.ts'

/** What the shards answered that did, and whether one did not. */
export type Answers<T> = { readonly answers: readonly T[]; readonly partial: boolean }

/** Asks every shard that an environment has or had; one that does not answer in time is left out. */
export async function askShards<T>(
  bindings: Bindings,
  environment: string,
  ask: (shard: Shard, index: number) => Promise<T>,
  timeoutMs = SHARD_TIMEOUT_MS,
): Promise<Answers<T>> {
  const shards = shardsOf(bindings, environment, await loadShardCount(bindings.DB, environment))
  const settled = await Promise.allSettled(
    shards.map((shard, index) => withTimeout(ask(shard, index), timeoutMs)),
  )
  const answers = settled.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
  for (const answer of settled) {
    if (answer.status === 'rejected') {
      console.warn('event shard not reached', { environment, error: String(answer.reason) })
    }
  }
  return { answers, partial: answers.length < shards.length }
}
