// An event shard as it is deployed, in one isolate with who fills it: so many units, each exposed and converted.
import type { Bindings } from '../../src/bindings.ts'
import type { CountingPlan } from '../../src/telemetry/counting-plan.ts'
import { encodeBatch } from '../../src/telemetry/events/batch-codec.ts'
import { createBatchId } from '../../src/telemetry/events/batch-id.ts'
import type { ShardEvent } from '../../src/telemetry/events/event.ts'
import { createUnitHasher } from '../../src/telemetry/events/unit.ts'
import { shardOf } from '../../src/telemetry/shard-protocol.ts'

export { EventShard } from '../../src/telemetry/shard/event-shard.ts'

const BATCH = 1_000
const hash = createUnitHasher('bench')

const PLAN: CountingPlan = {
  version: 1,
  fingerprint: 'bench',
  metrics: [
    {
      key: 'completed',
      event: 'completed',
      kind: 'conversion',
      denominator: null,
      unit: 'user',
      goodDirection: 'up',
      cap: null,
      preExposure: false,
    },
  ],
  measurements: [
    {
      id: 'bench',
      flag: 'bench',
      kind: 'rollout',
      by: 'targetingKey',
      stage: 0,
      shards: 1,
      windowMs: 1_800_000,
      exposure: 'use',
      metrics: [{ metric: 'completed', bounds: [] }],
      slices: [],
    },
  ],
}

function eventsOf(number: number): ShardEvent[] {
  const arm = number % 2 === 0 ? 't' : 'c'
  const common = {
    unitKind: 'user',
    unit: hash('user', `customer-${number}`),
    tag: { id: 'bench', stage: 0, stratum: '1', arm },
    trusted: true,
    automatic: false,
    primary: true,
    home: true,
    value: Number.NaN,
    at: Date.now(),
    slices: null,
  }
  return [
    { ...common, kind: 'exposure', name: '', flag: 'bench', variant: arm === 't' ? 'on' : 'off' },
    { ...common, kind: 'track', name: 'completed', flag: '', variant: '' },
  ]
}

/** Fills the shard with so many units, from a number on; what its status then is. */
async function fill(bindings: Bindings, from: number, count: number): Promise<unknown> {
  const shard = shardOf(bindings, 'bench', 0)
  const { version, fingerprint } = PLAN
  for (let number = from; number < from + count; number += BATCH) {
    const events = Array.from({ length: BATCH }, (_, index) => eventsOf(number + index)).flat()
    const message = {
      id: createBatchId(Date.now()).bytes,
      plan: { version, fingerprint },
      events: encodeBatch(events),
      tallied: null,
    }
    const taken = await shard.take(message, PLAN)
    if (taken !== 'counted') throw new Error(`a batch was ${taken}`)
  }
  return shard.status()
}

export default {
  async fetch(request: Request, bindings: Bindings): Promise<Response> {
    const { searchParams } = new URL(request.url)
    return Response.json(
      await fill(bindings, Number(searchParams.get('from')), Number(searchParams.get('count'))),
    )
  },
}
