// What the tests of sending events share: batches, and shards that write down what they are told.
import { env } from 'cloudflare:workers'
import type { Bindings } from '../../src/bindings.ts'
import type { CountingPlan } from '../../src/telemetry/counting-plan.ts'
import { decodeBatch } from '../../src/telemetry/events/batch-codec.ts'
import { createBatchId, formatBatchId } from '../../src/telemetry/events/batch-id.ts'
import type { ShardEvent } from '../../src/telemetry/events/event.ts'
import type { ShardMessage, Taken } from '../../src/telemetry/shard-protocol.ts'
import { type Answer, makeRequest, read, serve, withShards } from './worker.ts'

export const EVENTS = '/v1/events'

/** A batch id that was made at an instant; now unless it is said. */
export function makeBatchId(at = Date.now()): string {
  return formatBatchId(createBatchId(at))
}

/** A body of events under an id of its own. */
export function makeBatch(events: readonly unknown[], more: object = {}): object {
  return { id: makeBatchId(), events, ...more }
}

/** What a shard was told. */
export type Told = {
  readonly shard: string
  readonly events: readonly ShardEvent[]
  readonly message: ShardMessage
  readonly plan: CountingPlan | undefined
}

/** Bindings whose shards write down what they are told, and answer what a test says. */
export function listening(answer: (told: Told) => Taken | Promise<Taken> = () => 'counted') {
  const told: Told[] = []
  const bindings: Bindings = withShards(env, (shard) => ({
    take: async (message: ShardMessage, plan?: CountingPlan) => {
      const one = { shard, events: decodeBatch(message.events), message, plan }
      told.push(one)
      return answer(one)
    },
  }))
  return { bindings, told }
}

type Sending = Parameters<typeof makeRequest>[1]

/** Sends a request for events to the Worker with bindings of the test's own. */
export async function send(bindings: Bindings, sending: Sending): Promise<Answer> {
  const { response, settled } = await serve(makeRequest(EVENTS, sending), bindings)
  const answer = await read(response)
  await settled()
  return answer
}

/** Packs a text. */
export async function gzip(text: string | Uint8Array): Promise<Uint8Array> {
  const packed = new Response(text).body?.pipeThrough(new CompressionStream('gzip'))
  return new Uint8Array(await new Response(packed).arrayBuffer())
}
