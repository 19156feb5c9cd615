import { abortAllDurableObjects, evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { createBatchId } from '../../../src/telemetry/events/batch-id.ts'
import { type Shard, shardName, shardOf } from '../../../src/telemetry/shard-protocol.ts'
import { moveClock, silenceLogs, uniqueName } from '../../support/worker.ts'
import { makeEvent, makeMessage, PLAN } from './messages.ts'

const HOUR_MS = 3_600_000

let environment = ''
let shard: Shard

const stub = () => env.EVENTS.getByName(shardName(environment, 0))
const evict = () => evictDurableObject(stub())
const seen = async (name = 'order') => (await shard.names()).find((one) => one.name === name)?.count ?? 0

function read<T extends { [column: string]: SqlStorageValue }>(query: string): Promise<T[]> {
  return runInDurableObject(stub(), (_, { storage }) => storage.sql.exec<T>(query).toArray())
}

beforeEach(() => {
  environment = uniqueName('environment')
  shard = shardOf(env, environment, 0)
})

describe('a message', () => {
  it('is counted once, however often it is sent, over restarts too', async () => {
    const message = makeMessage()
    expect(await shard.take(message, PLAN)).toBe('counted')
    expect(await shard.take(message)).toBe('counted')
    await evict()
    expect(await shard.take(message)).toBe('counted')
    await abortAllDurableObjects()
    shard = shardOf(env, environment, 0)
    expect(await shard.take(message)).toBe('counted')
    expect(await shard.take(makeMessage())).toBe('counted')
    expect(await seen()).toBe(2)
  })

  it('is counted once when it comes twice at the same time, and both are told so', async () => {
    const message = makeMessage()
    const answers = await Promise.all([shard.take(message, PLAN), shard.take(message, PLAN)])
    expect([answers, await seen()]).toEqual([['counted', 'counted'], 1])
  })

  it('is refused when its id is older than a day', async () => {
    const old = makeMessage([makeEvent()], { id: createBatchId(Date.now() - 24 * HOUR_MS - 1).bytes })
    const young = makeMessage([makeEvent()], { id: createBatchId(Date.now() - 23 * HOUR_MS).bytes })
    expect([await shard.take(old, PLAN), await shard.take(young, PLAN)]).toEqual(['expired', 'counted'])
    moveClock(2 * HOUR_MS)
    expect([await shard.take(young), await seen()]).toEqual(['expired', 1])
  })

  it('that cannot be read is refused alone, and not written down', async () => {
    const broken = makeMessage([], { events: Uint8Array.of(250, 1, 2, 3) })
    const answers = await Promise.allSettled([
      shard.take(makeMessage(), PLAN),
      shard.take(broken, PLAN),
      shard.take(makeMessage(), PLAN),
    ])
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    await evict()
    expect(await seen()).toBe(2)
  })

  it('may be larger than a row', async () => {
    const name = 'x'.repeat(200)
    const contexts = Array.from({ length: 60 }, (_, index) => ({
      at: Date.now(),
      text: JSON.stringify({ targetingKey: `${index}`, pad: 'x'.repeat(60_000) }),
    }))
    const message = makeMessage([makeEvent({ name })], {
      tallied: { minutes: new Map(), uncounted: false, contexts },
    })
    await shard.take(message, PLAN)
    await evict()
    expect([await seen(name), await shard.contexts(), await shard.take(message)]).toEqual([
      1,
      contexts,
      'counted',
    ])
  })
})

describe('messages that come together', () => {
  it('are written as one row, and every one is answered', async () => {
    await shard.take(makeMessage(), PLAN)
    const before = await shard.status()
    const messages = Array.from({ length: 200 }, () => makeMessage())
    const answers = await runInDurableObject(stub(), (instance) => {
      const local = instance as unknown as Shard
      return Promise.all(messages.map((message) => local.take(message)))
    })
    const after = await shard.status()
    expect(new Set(answers)).toEqual(new Set(['counted']))
    expect(after.rowsWritten - before.rowsWritten).toBe(1)
    expect([await seen(), after.batches]).toEqual([201, 201])
  })

  it('are more than the shard can do at 5,000', async () => {
    await shard.take(makeMessage(), PLAN)
    const message = makeMessage()
    const answers = await runInDurableObject(stub(), (instance) => {
      const local = instance as unknown as Shard
      return Promise.all(Array.from({ length: 5_010 }, () => local.take(message)))
    })
    expect(answers.filter((answer) => answer === 'overloaded')).toHaveLength(10)
    expect([answers.filter((answer) => answer === 'counted').length, await seen()]).toEqual([5_000, 2])
  })

  it('are more than the shard can do at 8 MB', async () => {
    const message = makeMessage([], { events: new Uint8Array(1_000_000) })
    const answers = await runInDurableObject(stub(), (instance) => {
      const local = instance as unknown as Shard
      const takes = Array.from({ length: 9 }, () => local.take(message, PLAN).catch(() => 'unreadable'))
      return Promise.all(takes)
    })
    expect(answers).toEqual([...Array(8).fill('unreadable'), 'overloaded'])
  })
})

describe('the plan', () => {
  const mark = (version: number, fingerprint: string) => ({ plan: { version, fingerprint } })
  const take = (version: number, fingerprint: string) =>
    shard.take(makeMessage([makeEvent()], mark(version, fingerprint)))
  const tell = (version: number, fingerprint: string) =>
    shard.take(makeMessage([makeEvent()], mark(version, fingerprint)), { ...PLAN, version, fingerprint })

  it('is asked for when it is newer and another, and kept over a restart', async () => {
    expect(await take(1, 'one')).toBe('plan_wanted')
    expect(await tell(1, 'one')).toBe('counted')
    expect(await take(1, 'one')).toBe('counted')
    expect(await take(2, 'two')).toBe('plan_wanted')
    await evict()
    expect(await take(1, 'one')).toBe('counted')
    expect(await take(2, 'two')).toBe('plan_wanted')
    expect(await tell(2, 'two')).toBe('counted')
    expect([(await shard.status()).planVersion, await seen()]).toEqual([2, 4])
  })

  it('stays when an older one comes, as it stood at the newest version that was heard of', async () => {
    await tell(1, 'one')
    await take(5, 'one')
    await evict()
    expect([await take(3, 'three'), await tell(3, 'three'), await take(6, 'six')]).toEqual([
      'counted',
      'counted',
      'plan_wanted',
    ])
    expect((await shard.status()).planVersion).toBe(5)
  })

  it('is not needed for evaluations', async () => {
    const tallied = { minutes: new Map(), uncounted: false, contexts: null }
    expect(await shard.take(makeMessage([], { tallied }))).toBe('counted')
  })
})

describe('folding records in', () => {
  it('happens when there are 64 of them, in a handful of rows', async () => {
    await shard.take(makeMessage(), PLAN)
    for (let count = 1; count < 64; count++) await shard.take(makeMessage())
    const status = await shard.status()
    expect([status.logRecords, status.logBytes]).toEqual([0, 0])
    const rows = (await read('SELECT count(*) AS rows FROM packed'))[0]?.rows
    expect(rows).toBeLessThanOrEqual(5)
    // Besides the 64 records: tables, the alarm, and what was folded.
    expect(status.rowsWritten - 64).toBeLessThanOrEqual(16)
    await evict()
    expect([await seen(), (await shard.status()).batches]).toEqual([64, 64])
  })

  it('uses the rows of old records again', async () => {
    await shard.take(makeMessage(), PLAN)
    for (let count = 1; count < 150; count++) await shard.take(makeMessage())
    expect(await read('SELECT count(*) AS rows FROM records')).toEqual([{ rows: 64 }])
    // One row for each commit and an eighth for folding; the tables and the alarm once.
    expect((await shard.status()).rowsWritten).toBeLessThan(150 * 1.125 + 12)
    await evict()
    expect([await seen(), (await shard.status()).logRecords]).toEqual([150, 22])
  })
})

describe('a fault while writing', () => {
  silenceLogs()

  it('is answered as one, and nothing of it is counted', async () => {
    await shard.take(makeMessage(), PLAN)
    const message = makeMessage()
    await read("CREATE TRIGGER fault BEFORE INSERT ON records BEGIN SELECT RAISE(FAIL, 'no'); END")
    const [outcome] = await Promise.allSettled([shard.take(message)])
    expect(outcome.status).toBe('rejected')
    await read('DROP TRIGGER fault')
    expect([await seen(), await shard.take(message), await seen()]).toEqual([1, 'counted', 2])
  })
})
