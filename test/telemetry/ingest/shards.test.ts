// Batches all the way to the shards' disks: retries after faults of one shard, and what clients cannot bring about.
import { env } from 'cloudflare:workers'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Bindings } from '../../../src/bindings.ts'
import { openEnvironment } from '../../../src/catalog/environment-snapshot.ts'
import { hubOf } from '../../../src/catalog/hub-protocol.ts'
import type { CountingPlan } from '../../../src/telemetry/counting-plan.ts'
import { signTag } from '../../../src/telemetry/events/tag.ts'
import {
  type Shard,
  type ShardMessage,
  shardName,
  shardOf,
  shardsOf,
} from '../../../src/telemetry/shard-protocol.ts'
import { makeBatch, send } from '../../support/events.ts'
import { measure } from '../../support/measurements.ts'
import {
  createEnvironment,
  createFlag,
  createKey,
  silenceLogs,
  stopClock,
  uniqueName,
  unreachable,
  warm,
  withShards,
} from '../../support/worker.ts'

let environment = ''
let measurement = ''
let server = ''
let client = ''

silenceLogs()
beforeAll(async () => {
  stopClock()
  await createFlag('checkout')
})

beforeEach(async () => {
  environment = await createEnvironment()
  measurement = await measure(environment, {
    flag: 'checkout',
    metrics: [{ key: uniqueName('failure'), event: 'failure', kind: 'error' }],
  })
  server = (await createKey(environment)).key
  client = (await createKey(environment, 'client')).key
  await warm(environment)
})

/** How often a name was counted, over all shards. */
async function countOf(name: string): Promise<number> {
  const names = await Promise.all(shardsOf(env, environment).map((shard) => shard.names()))
  return names.flat().reduce((sum, seen) => sum + (seen.name === name ? seen.count : 0), 0)
}

/** Units and those of them that were hit, over all shards. */
async function hits(): Promise<{ units: number; hits: number }> {
  const parts = await Promise.all(shardsOf(env, environment).map((shard) => shard.totals(measurement)))
  const sums = { units: 0, hits: 0 }
  for (const { units, metrics } of parts.flat()) {
    sums.units += units
    for (const moments of metrics.values()) sums.hits += moments.hits
  }
  return sums
}

/** Enough units that both shards have some. */
const UNITS = Array.from({ length: 40 }, (_, i) => `unit-${i}`)

type Take = (shard: Shard, message: ShardMessage, plan?: CountingPlan) => Promise<unknown>

/** Bindings whose second shard takes messages in a way of its own. */
function withSecond(take: Take): Bindings {
  const second = shardOf(env, environment, 1)
  const ownTake = (message: ShardMessage, plan?: CountingPlan) => take(second, message, plan)
  return withShards(env, (name) => (name === shardName(environment, 1) ? { take: ownTake } : {}))
}

describe('a batch that is sent again counts once', () => {
  it.each<[string, Take]>([
    ['after a shard was out of reach', unreachable],
    [
      'after the answer of a shard was lost',
      async (...[shard, message, plan]) => {
        await shard.take(message, plan)
        return unreachable()
      },
    ],
  ])('%s', async (_, take) => {
    const events = UNITS.map((unit) => ({
      kind: 'track',
      name: 'purchase',
      unit: { user: unit, company: 7 },
    }))
    const json = makeBatch([...events, { kind: 'track' }])
    const statuses: number[] = []
    for (const bindings of [withSecond(take), withSecond(take), env, env]) {
      statuses.push((await send(bindings, { key: server, json })).status)
    }
    expect(statuses).toEqual([503, 503, 202, 202])
    expect(await countOf('purchase')).toBe(UNITS.length)
  })

  it('while it is still being taken', async () => {
    const events = UNITS.map((unit) => ({ kind: 'track', name: 'purchase', unit }))
    const json = makeBatch(events)
    const answers = await Promise.all(Array.from({ length: 10 }, () => send(env, { key: server, json })))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]))
    expect(await countOf('purchase')).toBe(UNITS.length)
  })
})

describe('a client', () => {
  const failure = { kind: 'measure', name: 'failure', value: 1 }

  async function expose(): Promise<void> {
    const tag = `${measurement}.0.1.t`
    const events = UNITS.map((unit) => ({ kind: 'exposure', flag: 'checkout', variant: 'on', unit, tag }))
    expect(await send(env, { key: server, json: makeBatch(events) })).toMatchObject({ status: 202 })
    expect(await hits()).toEqual({ units: UNITS.length, hits: 0 })
  }

  async function sign(unit: string): Promise<string> {
    const opened = openEnvironment(environment, (await hubOf(env, environment).whole()) ?? '')
    if (!opened.ok) throw new Error(opened.error)
    return signTag(opened.value, `${measurement}.0.1.t`, unit, Date.now())
  }

  it("cannot make a stranger's units fail, whatever it floods them with", async () => {
    await expose()
    const [own, tag] = [await sign('mallory'), `${measurement}.0.1.t`]
    const forged = UNITS.flatMap((unit) =>
      [undefined, tag, own, `${own}x`].map((tag) => ({ ...failure, unit, tag })),
    )
    expect((await send(env, { key: client, json: makeBatch(forged) })).body).toMatchObject({
      accepted: forged.length,
    })
    expect([await countOf('failure'), await hits()]).toEqual([
      forged.length,
      { units: UNITS.length, hits: 0 },
    ])
  })

  it('fails for itself under its own tag', async () => {
    await expose()
    const events = [{ ...failure, unit: 'unit-3', tag: await sign('unit-3') }]
    await send(env, { key: client, json: makeBatch(events) })
    expect(await hits()).toEqual({ units: UNITS.length, hits: 1 })
  })
})
