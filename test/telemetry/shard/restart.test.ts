import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import fc from 'fast-check'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Measurement, Metric } from '../../../src/catalog/measurement.ts'
import type { CountingPlan } from '../../../src/telemetry/counting-plan.ts'
import type { ShardEvent } from '../../../src/telemetry/events/event.ts'
import { type Shard, type ShardMessage, shardName, shardOf } from '../../../src/telemetry/shard-protocol.ts'
import { moveClock, stopClock, uniqueName } from '../../support/worker.ts'
import { readDisk } from './disk.ts'
import { makeEvent, makeMessage } from './messages.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

const metric = (key: string, kind: Metric['kind']): Metric => ({
  key,
  event: key,
  kind,
  denominator: null,
  unit: 'user',
  goodDirection: 'up',
  cap: null,
  preExposure: key === 'order',
})

const METRICS = [metric('order', 'conversion'), metric('revenue', 'mean'), metric('latency', 'latency')]

const rollout = (stage: number): Measurement => ({
  id: 'rollout',
  flag: 'checkout',
  kind: 'rollout',
  by: 'targetingKey',
  stage,
  shards: 1,
  windowMs: 2 * MINUTE_MS,
  exposure: 'use',
  metrics: METRICS.map(({ key }) => ({ metric: key, bounds: key === 'latency' ? [100] : [] })),
  slices: [],
})

const planAt = (stage: number): CountingPlan => ({
  version: stage + 1,
  fingerprint: `stage ${stage}`,
  metrics: METRICS,
  measurements: [rollout(stage)],
})

const unitOf = (index: number) => `unit-${String(index).padStart(6, '0')}-abcd`.slice(0, 16)

/** An event as a small random choice, so that units meet stages, arms and metrics again and again. */
const choice = fc.record({
  unit: fc.nat(25),
  name: fc.constantFrom('exposure', 'exposure', 'order', 'revenue', 'latency', 'unknown'),
  stage: fc.nat(2),
  arm: fc.constantFrom('t', 't', 'c'),
  value: fc.integer({ min: 0, max: 300 }),
  late: fc.constantFrom(0, 0, 0, 5_000, HOUR_MS),
})

function eventOf({
  unit,
  name,
  stage,
  value,
  late,
  arm,
}: typeof choice extends fc.Arbitrary<infer T> ? T : never) {
  const isExposure = name === 'exposure'
  // As a rule, a unit is always in the same arm.
  const own = unit % 3 === 0 ? arm : unit % 2 === 0 ? 't' : 'c'
  return makeEvent({
    kind: isExposure ? 'exposure' : 'track',
    name: isExposure ? '' : name,
    flag: isExposure ? 'checkout' : '',
    variant: isExposure ? (own === 't' ? 'on' : 'off') : '',
    unit: unitOf(unit),
    tag: isExposure || value % 3 === 0 ? { id: 'rollout', stage, stratum: '0', arm: own } : null,
    value: isExposure ? Number.NaN : value,
    at: Date.now() - late,
  })
}

const step = fc.record({
  batches: fc.array(fc.array(choice, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 4 }),
  wait: fc.constantFrom(0, 900, 10_000, 61_000),
  stage: fc.constantFrom(null, null, null, null, 0, 1, 2),
  after: fc.constantFrom('nothing', 'nothing', 'restart', 'fold', 'fold and restart'),
})

/** Lets a shard take messages in one commit. */
function takeTogether(environment: string, messages: readonly ShardMessage[], plan: CountingPlan) {
  return runInDurableObject(env.EVENTS.getByName(shardName(environment, 0)), (instance) => {
    const shard = instance as unknown as Shard
    return Promise.all(messages.map((message) => shard.take(message, plan)))
  })
}

const fold = (environment: string) => runDurableObjectAlarm(env.EVENTS.getByName(shardName(environment, 0)))
const evict = (environment: string) => evictDurableObject(env.EVENTS.getByName(shardName(environment, 0)))

async function everything(environment: string) {
  const shard = shardOf(env, environment, 0)
  const now = Date.now()
  const journey = {
    measurement: 'rollout',
    metric: 'order',
    days: [1],
    of: null,
    features: [],
    now,
    cursor: null,
  }
  const byJson = (list: readonly unknown[]) => list.map((one) => JSON.stringify(one)).sort()
  const totals = await shard.totals('rollout')
  const {
    databaseBytes: _,
    rowsWritten: __,
    logRecords: ___,
    logBytes: ____,
    ...status
  } = await shard.status()
  const blocks = []
  for (let from = now - 4 * HOUR_MS; from < now; ) {
    const part = await shard.blocks({ from })
    blocks.push(...part.blocks)
    if (part.through <= from) break
    from = part.through
  }
  return {
    blocks,
    totals: byJson(totals.map((arm) => ({ ...arm, metrics: [...arm.metrics] }))),
    minutes: byJson(await shard.series({ from: now - 3 * HOUR_MS, to: now + MINUTE_MS, step: 'minute' })),
    hours: byJson(await shard.series({ from: now - 5 * HOUR_MS, to: now + HOUR_MS, step: 'hour' })),
    days: byJson(await shard.series({ from: now - 2 * DAY_MS, to: now + DAY_MS, step: 'day' })),
    names: byJson(await shard.names()),
    journey: byJson((await shard.journey({ ...journey, total: 'events' })).counts),
    status,
  }
}

beforeAll(stopClock)

beforeEach(() => {
  moveClock(DAY_MS + 12 * HOUR_MS - (Date.now() % DAY_MS))
})

describe('a shard that is restarted at any moment', () => {
  it('knows what one knows that never was', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25, size: 'max' }), async (steps) => {
        const [calm, shaken] = [uniqueName('environment'), uniqueName('environment')]
        let stage = 0
        for (const { batches, wait, stage: next, after } of steps) {
          stage = Math.max(stage, next ?? 0)
          const plan = planAt(stage)
          const messages = batches.map((batch) =>
            makeMessage(batch.map(eventOf) as ShardEvent[], { plan: { ...plan } }),
          )
          for (const environment of [calm, shaken]) await takeTogether(environment, messages, plan)
          if (after.startsWith('fold')) await fold(shaken)
          if (after.endsWith('restart')) await evict(shaken)
          moveClock(wait)
        }
        moveClock(30_000)
        expect(await everything(shaken)).toEqual(await everything(calm))
      }),
      { numRuns: 12 },
    )
  }, 60_000)

  it('shows closed blocks that never change afterwards', async () => {
    const environment = uniqueName('environment')
    const from = Date.now() - (Date.now() % 10_000)
    const shard = shardOf(env, environment, 0)
    const expose = (unit: number) =>
      takeTogether(
        environment,
        [makeMessage([eventOf({ unit, name: 'exposure', stage: 0, arm: 't', value: 0, late: 0 })])],
        planAt(0),
      )
    await expose(2)
    moveClock(11_999)
    expect(await shard.blocks({ from })).toEqual({ through: from, blocks: [], before: [] })
    moveClock(1)
    const closed = await shard.blocks({ from })
    expect([closed.through, closed.blocks.length]).toEqual([from + 10_000, 1])
    await expose(4)
    await evict(environment)
    await expose(6)
    moveClock(HOUR_MS)
    await fold(environment)
    const later = await shard.blocks({ from })
    expect(later.blocks.filter(({ start }) => start < closed.through)).toEqual(closed.blocks)
    expect(later.blocks.length).toBeGreaterThan(1)
  })
})

describe('a unit that is erased', () => {
  it('is nowhere on disk, in no sum and in no journey any more', async () => {
    const environment = uniqueName('environment')
    const shard = shardOf(env, environment, 0)
    const id = 'erase me, please'
    const others = [0, 1, 2].map((unit) =>
      eventOf({ unit, name: 'exposure', stage: 0, arm: 't', value: 0, late: 0 }),
    )
    const own = [
      eventOf({ unit: 4, name: 'exposure', stage: 0, arm: 't', value: 0, late: 0 }),
      eventOf({ unit: 4, name: 'revenue', stage: 0, arm: 't', value: 30, late: 0 }),
    ].map((event) => ({ ...event, unit: id }))
    const isOnDisk = () =>
      runInDurableObject(env.EVENTS.getByName(shardName(environment, 0)), (_, { storage }) =>
        [id, btoa(id)].some((text) => readDisk(storage.sql).includes(text)),
      )
    await takeTogether(environment, [makeMessage([...others, ...own])], planAt(0))
    await fold(environment)
    await takeTogether(environment, [makeMessage(own)], planAt(0))
    expect([await isOnDisk(), (await shard.status()).units]).toEqual([true, 4])

    expect(await shard.erase(id)).toBe(true)
    expect([await isOnDisk(), (await shard.status()).units]).toEqual([false, 3])
    await evict(environment)
    const units = (await shard.totals('rollout')).map((arm) => arm.units)
    expect([await isOnDisk(), units.reduce((sum, count) => sum + count, 0)]).toEqual([false, 3])
    expect(await shard.erase(id)).toBe(false)
  })
})

describe('retention', () => {
  it('lets units go 90 days after they were seen last, and what belongs to ended measurements at once', async () => {
    const environment = uniqueName('environment')
    const shard = shardOf(env, environment, 0)
    const expose = (unit: number) =>
      makeMessage([eventOf({ unit, name: 'exposure', stage: 0, arm: 't', value: 0, late: 0 })])
    await takeTogether(environment, [expose(1), expose(2)], planAt(0))
    moveClock(60 * DAY_MS)
    await takeTogether(environment, [expose(2)], planAt(0))
    await fold(environment)
    expect((await shard.status()).units).toBe(2)
    moveClock(31 * DAY_MS)
    await fold(environment)
    expect((await shard.status()).units).toBe(1)

    const ended = { version: 9, fingerprint: 'ended', metrics: METRICS, measurements: [] }
    await takeTogether(environment, [makeMessage([makeEvent({ unit: unitOf(3) })], { plan: ended })], ended)
    const onDisk = () =>
      runInDurableObject(env.EVENTS.getByName(shardName(environment, 0)), (_, { storage }) =>
        storage.sql.exec<{ body: string }>('SELECT body FROM pages').toArray().join(),
      )
    await fold(environment)
    expect(await onDisk()).not.toContain('"rollout"')
  })

  it('keeps minutes for three days, and hours as days after two weeks', async () => {
    const environment = uniqueName('environment')
    const shard = shardOf(env, environment, 0)
    const start = Date.now()
    const day = start - (start % DAY_MS)
    const buy = (value: number, at: number) => makeEvent({ name: 'revenue', value, at, unit: unitOf(1) })
    await takeTogether(environment, [makeMessage([buy(1, start), buy(10, start - HOUR_MS)])], planAt(0))
    const count = async (step: 'minute' | 'hour' | 'day') => {
      const cells = await shard.series({
        from: day - DAY_MS,
        to: day + 2 * DAY_MS,
        step,
        metric: 'revenue',
        flag: '',
      })
      return cells.map(({ start: at, count: events, sum }) => [at - day, events, sum])
    }
    const asDay = [[0, 2, 11]]
    const asHours = [
      [11 * HOUR_MS, 1, 10],
      [12 * HOUR_MS, 1, 1],
    ]
    expect([await count('minute'), await count('hour'), await count('day')]).toEqual([
      asHours,
      asHours,
      asDay,
    ])
    moveClock(5 * DAY_MS)
    await fold(environment)
    expect([await count('minute'), await count('hour'), await count('day')]).toEqual([[], asHours, asDay])
    moveClock(11 * DAY_MS)
    await fold(environment)
    expect([await count('minute'), await count('hour'), await count('day')]).toEqual([[], [], asDay])
    moveClock(401 * DAY_MS)
    await fold(environment)
    expect(await count('day')).toEqual([])
  })

  it('sets no alarm where nothing was ever recorded, and none for ever', async () => {
    const environment = uniqueName('environment')
    const stub = env.EVENTS.getByName(shardName(environment, 0))
    const alarmAt = () => runInDurableObject(stub, (_, { storage }) => storage.getAlarm())
    await shardOf(env, environment, 0).status()
    expect(await alarmAt()).toBeNull()
    await takeTogether(environment, [makeMessage([makeEvent({ unit: unitOf(1) })])], planAt(0))
    expect(await alarmAt()).toBe(Date.now() + DAY_MS)
    let alarms = 0
    for (let next = await alarmAt(); next !== null && alarms < 20; next = await alarmAt()) {
      moveClock(next - Date.now())
      await fold(environment)
      alarms++
    }
    // One each: after a day, when the minute, the hour, the unit and the day went.
    expect([alarms, await alarmAt()]).toEqual([5, null])
  })
})

describe('an environment', () => {
  const tables = (environment: string) =>
    runInDurableObject(env.EVENTS.getByName(shardName(environment, 0)), (_, { storage }) =>
      storage.sql
        .exec<{ name: string }>('SELECT name FROM sqlite_master')
        .toArray()
        .filter(({ name }) => !name.startsWith('_cf')),
    )

  it('that does not exist leaves nothing behind, whatever is asked of it', async () => {
    const environment = uniqueName('environment')
    const found = await everything(environment)
    expect([found.blocks, found.names, found.totals, found.days, found.status.units]).toEqual([
      [],
      [],
      [],
      [],
      0,
    ])
    expect(await tables(environment)).toEqual([])
  })

  it('that is read is not written to', async () => {
    const environment = uniqueName('environment')
    const shard = shardOf(env, environment, 0)
    const tallied = { minutes: new Map([[Date.now(), new Map()]]), uncounted: true, contexts: [] }
    await takeTogether(environment, [makeMessage([makeEvent({ unit: unitOf(1) })], { tallied })], planAt(0))
    const { rowsWritten } = await shard.status()
    const onDisk = () =>
      runInDurableObject(env.EVENTS.getByName(shardName(environment, 0)), (_, { storage }) =>
        readDisk(storage.sql),
      )
    const before = await onDisk()
    moveClock(30_000)
    await everything(environment)
    await shard.usage({ from: 0, to: Date.now(), step: 'hour' })
    await shard.activity()
    await shard.contexts()
    expect([await onDisk(), (await shard.status()).rowsWritten]).toEqual([before, rowsWritten])
  })

  it('that is deleted is forgotten altogether, and may begin anew', async () => {
    const environment = uniqueName('environment')
    const shard = shardOf(env, environment, 0)
    const message = makeMessage([makeEvent({ unit: unitOf(1) })])
    await takeTogether(environment, [message], planAt(0))
    await fold(environment)
    await shard.clear()
    expect([await tables(environment), await shard.names(), (await shard.status()).units]).toEqual([
      [],
      [],
      0,
    ])
    expect(await takeTogether(environment, [message], planAt(0))).toEqual(['counted'])
    expect((await shard.status()).units).toBe(1)
  })
})
