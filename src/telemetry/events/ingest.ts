// From events as they were sent to shards that have them on disk.
import type { Bindings } from '../../bindings.ts'
import type { EnvironmentSnapshot } from '../../catalog/environment-snapshot.ts'
import { shardsAt } from '../../catalog/layouts.ts'
import type { Metric } from '../../catalog/measurement.ts'
import { withTimeout } from '../../http/with-timeout.ts'
import { type CountingPlan, planOf } from '../counting-plan.ts'
import { type Shard, type ShardMessage, shardOf, type Taken } from '../shard-protocol.ts'
import { attributeEvents, type Sender } from './attribute-events.ts'
import { encodeBatch } from './batch-codec.ts'
import type { BatchId } from './batch-id.ts'
import { parseEvents, type RejectedEvent } from './parse-events.ts'
import { routeEvents } from './route-events.ts'

const SHARD_TIMEOUT_MS = 5_000
/** For how long shards remember ids at most. */
const MAX_BATCH_AGE_MS = 24 * 3_600_000

/** Events that were sent together, not yet checked. */
export type Batch = { readonly id: BatchId; readonly events: readonly unknown[] }

/**
 * What became of a batch: its good events are on disk; it is too old for anybody to know whether it was counted
 * before; or it is to be sent again with the same id, because shards have too much to do or did not answer.
 */
export type Ingested =
  | { readonly outcome: 'accepted'; readonly accepted: number; readonly rejected: readonly RejectedEvent[] }
  | { readonly outcome: 'expired' | 'overloaded' | 'unavailable' }

/** By the plan's list of metrics. */
const latencies = new WeakMap<readonly Metric[], ReadonlySet<string>>()

/** The names of events whose values are latencies. */
function latenciesOf(metrics: readonly Metric[]): ReadonlySet<string> {
  const known = latencies.get(metrics)
  if (known) return known
  const names = new Set(metrics.flatMap(({ kind, event }) => (kind === 'latency' ? [event] : [])))
  latencies.set(metrics, names)
  return names
}

async function hand(shard: Shard, message: ShardMessage, plan: CountingPlan): Promise<Taken> {
  const taken = await withTimeout(shard.take(message), SHARD_TIMEOUT_MS)
  return taken === 'plan_wanted' ? withTimeout(shard.take(message, plan), SHARD_TIMEOUT_MS) : taken
}

/**
 * Counts the events of a batch, once however often it is sent.
 * @param now milliseconds since 1970
 */
export async function ingest(
  bindings: Bindings,
  environment: EnvironmentSnapshot,
  sender: Sender,
  { id, events }: Batch,
  now: number,
): Promise<Ingested> {
  if (now - id.at > MAX_BATCH_AGE_MS) return { outcome: 'expired' }
  const plan = planOf(environment)
  const { version, fingerprint, metrics, measurements } = plan
  const parsed = parseEvents(events, latenciesOf(metrics), now)
  const attributed = attributeEvents(parsed.events, environment, sender, now)
  const routed = routeEvents(attributed, measurements, shardsAt(environment.settings.layouts, id.at), id)
  const sendings = [...routed].map(async ([place, copies]): Promise<Taken | 'unavailable'> => {
    const mark = { version, fingerprint }
    const message = { id: id.bytes, plan: mark, events: encodeBatch(copies), tallied: null }
    try {
      return await hand(shardOf(bindings, environment.flags.environment, place), message, plan)
    } catch (error) {
      console.warn('events not taken', {
        environment: environment.flags.environment,
        place,
        error: String(error),
      })
      return 'unavailable'
    }
  })
  const taken = await Promise.all(sendings)
  if (taken.every((one) => one === 'counted')) {
    return { outcome: 'accepted', accepted: parsed.events.length, rejected: parsed.rejected }
  }
  // What is too old for one shard will be for ever; the others may be asked again.
  if (taken.includes('expired')) return { outcome: 'expired' }
  return { outcome: taken.includes('overloaded') ? 'overloaded' : 'unavailable' }
}
