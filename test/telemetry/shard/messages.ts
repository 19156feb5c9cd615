// Messages as shards get them, with valid defaults.

import type { CountingPlan } from '../../../src/telemetry/counting-plan.ts'
import { encodeBatch } from '../../../src/telemetry/events/batch-codec.ts'
import { createBatchId } from '../../../src/telemetry/events/batch-id.ts'
import type { ShardEvent } from '../../../src/telemetry/events/event.ts'
import type { ShardMessage, Tallied } from '../../../src/telemetry/shard-protocol.ts'

export const PLAN: CountingPlan = { version: 1, fingerprint: 'one', metrics: [], measurements: [] }

export function makeEvent(event: Partial<ShardEvent> = {}): ShardEvent {
  return {
    kind: 'track',
    name: 'order',
    flag: '',
    variant: '',
    unitKind: 'user',
    unit: 'unit-of-16-bytes',
    tag: null,
    trusted: true,
    automatic: false,
    primary: true,
    home: true,
    value: Number.NaN,
    at: Date.now(),
    slices: null,
    ...event,
  }
}

/** A message with events, under an id of its own. */
export function makeMessage(
  events: readonly ShardEvent[] = [makeEvent()],
  message: Partial<ShardMessage> = {},
): ShardMessage {
  return {
    id: createBatchId(Date.now()).bytes,
    plan: { version: PLAN.version, fingerprint: PLAN.fingerprint },
    events: events.length > 0 ? encodeBatch(events) : new Uint8Array(),
    tallied: null,
    ...message,
  }
}

/** A message with what an isolate has counted, and no events. */
export function makeTallies(tallied: Tallied): ShardMessage {
  return makeMessage([], { tallied })
}
