import {
  createScheduledController,
  evictDurableObject,
  runDurableObjectAlarm,
  runInDurableObject,
} from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Bindings } from '../../src/bindings.ts'
import { type CheckLoad, nextCheckInterval } from '../../src/catalog/check-interval.ts'
import { type Hub, hubOf, latestKey, versionKey } from '../../src/catalog/hub-protocol.ts'
import { readSnapshotText } from '../../src/engine/snapshot-text.ts'
import worker from '../../src/index.ts'
import { changed } from '../support/catalog.ts'
import { emptyDatabase } from '../support/database.ts'
import { REMADE_SETTINGS, remakeEnvironment, removeEnvironment } from '../support/environments.ts'
import {
  api,
  configure,
  createEnvironment,
  createFlag,
  createKey,
  createSegment,
  from,
  HUB_DOWN,
  makeRequest,
  moveClock,
  ON_OFF,
  override,
  putConfiguration,
  putFlag,
  read,
  serve,
  silenceLogs,
  silent,
  stopClock,
  uniqueName,
  unreachable,
  withDatabase,
  withHub,
  withKv,
} from '../support/worker.ts'

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000

let environment = ''
/** The revision of the flag `a` in the environment. */
let revision = 0

const hub = () => hubOf(env, environment)
const stub = () => env.HUB.getByName(environment)

silenceLogs()

beforeAll(() => {
  stopClock()
  moveClock(HOUR_MS)
})

/** An environment at version 2 with the flag `a`, switched on; of it KV has version 1. */
beforeEach(async () => {
  await emptyDatabase()
  await createFlag('a')
  environment = await createEnvironment()
  await configure(environment, 'a')
  revision = 2
})

/** The next version of the environment. */
async function change(): Promise<void> {
  await configure(environment, 'a', { fallthrough: { variant: revision % 2 ? 'on' : 'off' } }, revision)
  revision++
}

const textOf = (variant: string) =>
  JSON.stringify({
    type: 'boolean',
    variants: ON_OFF,
    clientVisible: false,
    enabled: true,
    offVariant: null,
    fallthrough: { variant },
  })

async function inKv(key = latestKey(environment)) {
  const { value, metadata } = await env.SNAPSHOTS.getWithMetadata<{ version: number }>(key, 'text')
  const read = value === null ? undefined : readSnapshotText(value)
  return { metadata, version: read?.ok ? read.value.version : undefined }
}

const outboxOf = async (of = environment) => {
  const { results } = await env.DB.prepare(
    'SELECT version FROM outbox WHERE environment = ? ORDER BY version',
  )
    .bind(of)
    .all<{ version: number }>()
  return results.map(({ version }) => version)
}

/** Lets the hub run with bindings of the test's own, until it is evicted. */
async function rebind(bindings: Bindings): Promise<void> {
  await runInDurableObject(stub(), (instance) => Reflect.set(instance, 'env', bindings))
}

const alarmAt = () => runInDurableObject(stub(), (_, state) => state.storage.getAlarm())

async function runAlarm(): Promise<boolean> {
  return runDurableObjectAlarm(stub())
}

/** A KV that writes down which versions are put. */
function watchPuts(before: () => Promise<void> = async () => {}) {
  const puts: number[] = []
  const put = async (key: string, text: string, options: { metadata?: { version: number } }) => {
    puts.push(options.metadata?.version ?? 0)
    await before()
    await env.SNAPSHOTS.put(key, text, options)
  }
  return { puts, bindings: withKv(env, { put }) }
}

/** Lets the hub's next reading of the database have its answer at once, and come to its end when it is opened. */
async function slowReading() {
  const reading = Promise.withResolvers<void>()
  const opened = Promise.withResolvers<void>()
  const withSession = () => {
    const session = env.DB.withSession('first-primary')
    const batch = async (statements: D1PreparedStatement[]) => {
      const answered = await session.batch(statements)
      reading.resolve()
      await opened.promise
      return answered
    }
    return override(session, { batch })
  }
  await rebind(withDatabase(env, { withSession }))
  return { reading: reading.promise, open: () => opened.resolve() }
}

describe('publishing', () => {
  it('puts the whole snapshot in KV, with its version beside it', async () => {
    const { id, key } = await createKey(environment, 'client')
    await createSegment(environment, 'staff', { included: ['ada'] })
    moveClock(1_000)
    expect(await hub().publish()).toEqual({ version: 4, published: true })
    const { value, metadata } = await env.SNAPSHOTS.getWithMetadata(latestKey(environment))
    expect(metadata).toEqual({ version: 4 })
    expect(value).toBe(await hub().whole())
    expect(value).not.toContain(key)
    expect(readSnapshotText(value ?? '')).toEqual({
      ok: true,
      value: {
        environment,
        version: 4,
        sections: {
          flags: new Map([['a', textOf('on')]]),
          segments: new Map([
            ['staff', JSON.stringify({ condition: null, included: ['ada'], excluded: [] })],
          ]),
          rollouts: new Map(),
          metrics: new Map(),
          measurements: new Map(),
          keys: new Map([[id, expect.stringMatching(/^\{"kind":"client","hash":"[0-9a-f]{64}"\}$/)]]),
          settings: new Map([
            [
              'environment',
              expect.stringMatching(/^\{"refreshSeconds":30,"signingSecret":"[0-9a-f]{64}"\}$/),
            ],
          ]),
        },
      },
    })
  })

  it('puts at most once a second; later changes ride along, and KV ends at the newest', async () => {
    const { puts, bindings } = watchPuts()
    await rebind(bindings)
    for (let i = 0; i < 5; i++) await change()
    expect([await inKv(), puts, await outboxOf()]).toEqual([
      { metadata: { version: 1 }, version: 1 },
      [],
      [2, 3, 4, 5, 6, 7],
    ])
    expect(await alarmAt()).toBe(Date.now() + 1_000)
    moveClock(1_000)
    expect(await runAlarm()).toBe(true)
    expect([await inKv(), puts, await outboxOf(), await alarmAt()]).toEqual([
      { metadata: { version: 7 }, version: 7 },
      [7],
      [],
      null,
    ])
    moveClock(1_000)
    await change()
    expect([puts, await outboxOf()]).toEqual([[7, 8], []])
  })

  it('does not put again what is there', async () => {
    moveClock(1_000)
    await hub().publish()
    const { puts, bindings } = watchPuts()
    await rebind(bindings)
    moveClock(1_000)
    expect([await hub().publish(), puts]).toEqual([{ version: 2, published: true }, []])
  })

  it('that KV refuses is said to the writer, kept in the outbox, and tried again ever more rarely', async () => {
    moveClock(1_000)
    await rebind(withKv(env, { put: unreachable }))
    const { body } = await putConfiguration(environment, 'a', {}, revision)
    expect(body).toEqual(changed(3, environment, 3, false))
    expect(await hub().newer({ version: 2 })).toMatchObject({ version: 3, delta: { to: 3 } })
    expect([await inKv(), await outboxOf()]).toEqual([{ metadata: { version: 1 }, version: 1 }, [2, 3]])
    const delays: number[] = []
    for (let i = 0; i < 7; i++) {
      const delay = Number(await alarmAt()) - Date.now()
      delays.push(delay)
      moveClock(delay)
      expect(await runAlarm()).toBe(true)
    }
    expect(delays).toEqual([2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
    await rebind(env)
    moveClock(60_000)
    expect(await runAlarm()).toBe(true)
    expect([await inKv(), await outboxOf(), await alarmAt()]).toEqual([
      { metadata: { version: 3 }, version: 3 },
      [],
      null,
    ])
    await rebind(withKv(env, { put: unreachable }))
    moveClock(1_000)
    await configure(environment, 'a', {}, 3)
    expect(Number(await alarmAt()) - Date.now()).toBe(2_000)
  })

  it('never puts an older version over a newer one while puts take long', async () => {
    let open = false
    const { puts, bindings } = watchPuts(async () => {
      while (!open) await scheduler.wait(5)
    })
    await rebind(bindings)
    moveClock(1_000)
    const slow = change()
    await vi.waitFor(() => expect(puts).toEqual([3]))
    moveClock(10_000)
    expect((await putConfiguration(environment, 'a', { fallthrough: { variant: 'on' } }, 3)).body).toEqual(
      changed(4, environment, 4),
    )
    expect(await runAlarm()).toBe(true)
    expect(puts).toEqual([3])
    open = true
    await slow
    expect(await inKv()).toEqual({ metadata: { version: 3 }, version: 3 })
    moveClock(1_000)
    expect(await runAlarm()).toBe(true)
    expect([puts, await inKv(), await outboxOf()]).toEqual([
      [3, 4],
      { metadata: { version: 4 }, version: 4 },
      [],
    ])
  })

  it('by many writers at once ends at the newest, and never goes back on the way', async () => {
    const { puts, bindings } = watchPuts(async () => {
      moveClock(1_000)
    })
    await rebind(bindings)
    moveClock(1_000)
    const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => putFlag(`flag-${i}`)))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    moveClock(1_000)
    await runAlarm()
    expect(await hub().newer({ version: 14 })).toMatchObject({ version: 14, delta: null })
    expect([await inKv(), await outboxOf()]).toEqual([{ metadata: { version: 14 }, version: 14 }, []])
    expect(puts).toEqual([...new Set(puts)].sort((a, b) => a - b))
  })
})

describe('the tick', () => {
  /** Commits a change whose writer ends before it can publish. */
  async function commitOnly(of: string): Promise<void> {
    const request = makeRequest(`/api/v1/flags/a/environments/${of}`, {
      method: 'PUT',
      headers: { authorization: 'Bearer test-admin', 'if-match': '2' },
      json: { enabled: true, fallthrough: { variant: 'off' } },
    })
    const { response } = await serve(request, withHub(env, HUB_DOWN))
    expect((await read(response)).body).toEqual(changed(3, of, 3, false))
  }

  async function tick(bindings: Bindings = env): Promise<void> {
    await worker.scheduled(createScheduledController(), bindings)
  }

  it('publishes what was committed and never published', async () => {
    await commitOnly(environment)
    expect(await hub().newer({ version: 2 })).toMatchObject({ version: 2, delta: null })
    moveClock(1_000)
    await tick()
    expect([await inKv(), await outboxOf()]).toEqual([{ metadata: { version: 3 }, version: 3 }, []])
    expect(await hub().newer({ version: 2 })).toMatchObject({
      version: 3,
      delta: {
        from: 2,
        to: 3,
        changes: [{ kind: 'flags', key: 'a', text: textOf('off') }],
      },
    })
  })

  it('publishes what it can when one hub cannot be reached, and the rest with the next', async () => {
    const other = await createEnvironment()
    await configure(other, 'a')
    await commitOnly(environment)
    await commitOnly(other)
    moveClock(1_000)
    const getByName = (name: string) =>
      name === other ? override(env.HUB.getByName(name), HUB_DOWN) : env.HUB.getByName(name)
    await tick({ ...env, HUB: override(env.HUB, { getByName }) })
    expect([await outboxOf(), await outboxOf(other)]).toEqual([[], [2, 3]])
    await tick()
    expect([await outboxOf(), await outboxOf(other)]).toEqual([[], []])
    expect(await inKv(latestKey(other))).toEqual({ metadata: { version: 3 }, version: 3 })
  })

  it('has nothing to do when all is published', async () => {
    moveClock(1_000)
    await tick()
    const { puts, bindings } = watchPuts()
    await rebind(bindings)
    moveClock(1_000)
    await tick()
    expect([puts, await outboxOf()]).toEqual([[], []])
  })
})

describe('what is newer', () => {
  it('is nothing for an isolate that has all', async () => {
    const nothing = { version: 2, nextCheckMs: 5_000, delta: null }
    expect(await hub().newer({ version: 2 })).toEqual(nothing)
    expect(await hub().newer({ version: 9 })).toEqual(nothing)
  })

  it('is each thing that has changed, once, as it is now, in the order of the changes', async () => {
    await change()
    await createSegment(environment, 'staff', { included: ['ada'] })
    const { id } = await createKey(environment)
    await change()
    const segment = {
      kind: 'segments',
      key: 'staff',
      text: JSON.stringify({ condition: null, included: ['ada'], excluded: [] }),
    }
    const key = { kind: 'keys', key: id, text: expect.stringContaining('"server"') }
    const flag = { kind: 'flags', key: 'a', text: textOf('on') }
    expect(await hub().newer({ version: 2 })).toEqual({
      version: 6,
      nextCheckMs: 5_000,
      delta: { from: 2, to: 6, changes: [segment, key, flag] },
    })
    expect((await hub().newer({ version: 4 })).delta).toEqual({
      from: 4,
      to: 6,
      changes: [key, flag],
    })
  })

  it('has a tombstone for what was deleted, and for a key that was revoked', async () => {
    const { id } = await createKey(environment)
    await api('DELETE', '/flags/a', undefined, { 'if-match': '1' })
    await api('DELETE', `/environments/${environment}/keys/${id}`)
    expect((await hub().newer({ version: 2 })).delta).toEqual({
      from: 2,
      to: 5,
      changes: [
        { kind: 'flags', key: 'a', text: null },
        { kind: 'keys', key: id, text: null },
      ],
    })
  })

  it('is the whole for an isolate that has nothing, under a key of that version which expires after a day', async () => {
    expect(await hub().newer({ version: 0 })).toEqual({
      version: 2,
      nextCheckMs: 5_000,
      delta: 'whole',
    })
    const name = versionKey(environment, 2)
    expect(await env.SNAPSHOTS.get(name)).toBe(await hub().whole())
    const { keys } = await env.SNAPSHOTS.list({ prefix: name })
    const expiresIn = Number(keys[0]?.expiration) - performance.timeOrigin / 1_000 - performance.now() / 1_000
    expect(Math.abs(expiresIn - 86_400)).toBeLessThan(60)
  })

  it('is a delta up to 256 KiB and the whole beyond', async () => {
    const long = (letter: string) => ({
      type: 'string',
      variants: [{ name: 'on', value: letter.repeat(130_900) }],
    })
    await putFlag('long', long('x'))
    await putFlag('longer', long('y'))
    expect((await hub().newer({ version: 2 })).delta).toMatchObject({ from: 2, to: 4 })
    await change()
    expect((await hub().newer({ version: 2 })).delta).toBe('whole')
    expect(await inKv(versionKey(environment, 5))).toMatchObject({ version: 5 })
    expect((await hub().newer({ version: 3 })).delta).toMatchObject({ from: 3, to: 5 })
  })

  it.each([
    ['refuses', unreachable],
    ['does not answer', silent],
  ])('is told although KV %s the whole', async (_, put) => {
    await rebind(withKv(env, { put }))
    const started = performance.now()
    expect(await hub().newer({ version: 0 })).toEqual({
      version: 2,
      nextCheckMs: 5_000,
      delta: 'whole',
    })
    expect(performance.now() - started).toBeLessThan(2_500)
    expect(await env.SNAPSHOTS.get(versionKey(environment, 2))).toBeNull()
    await evictDurableObject(stub())
  })

  it('is everything, however much that is', async () => {
    await env.DB.prepare(
      `INSERT INTO history (environment, version, kind, key, body, actor, comment, at)
        WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1200)
        SELECT ?, 3, 'flags', printf('many-%04d', n), ?, 'test', '', 0 FROM numbers`,
    )
      .bind(environment, textOf('on'))
      .run()
    await env.DB.prepare('UPDATE environments SET version = 3').run()
    await hub().publish()
    const read = readSnapshotText((await hub().whole()) ?? '')
    expect(read.ok && [read.value.version, read.value.sections.flags?.size]).toEqual([3, 1_201])
  })
})

describe('an environment that does not exist', () => {
  it('has nothing, and asking for it leaves nothing behind', async () => {
    environment = uniqueName('nowhere')
    expect([
      await hub().newer({ version: 0 }),
      await hub().newer({ version: 3 }),
      await hub().whole(),
      await hub().publish(),
    ]).toEqual([
      { version: 0, nextCheckMs: 30_000, delta: null },
      { version: 0, nextCheckMs: 30_000, delta: null },
      null,
      { version: 0, published: false },
    ])
    const left = await runInDurableObject(stub(), async (_, { storage }) => ({
      tables: storage.sql
        .exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'")
        .toArray(),
      keys: [...(await storage.list()).keys()],
      alarm: await storage.getAlarm(),
    }))
    expect(left).toEqual({ tables: [], keys: [], alarm: null })
    expect(await env.SNAPSHOTS.list({ prefix: latestKey(environment) })).toMatchObject({ keys: [] })
  })

  it('is found as soon as it does', async () => {
    const name = uniqueName('soon')
    expect(await hubOf(env, name).whole()).toBeNull()
    await api('PUT', `/environments/${name}`, { name }, from(0))
    expect(await hubOf(env, name).newer({ version: 0 })).toMatchObject({ version: 1 })
  })
})

describe('a hub', () => {
  it('that was evicted goes on where it was', async () => {
    await change()
    const before = await hub().newer({ version: 1 })
    await evictDurableObject(stub())
    expect(await hub().newer({ version: 1 })).toEqual(before)
  })

  it('keeps what is newer when a slow reading of the database comes to its end', async () => {
    const { reading, open } = await slowReading()
    const slow = change()
    await reading
    await rebind(env)
    await configure(environment, 'a', { fallthrough: { variant: 'on' }, offVariant: 'off' }, 3)
    const newest = await hub().newer({ version: 2 })
    expect(newest).toMatchObject({ version: 4, delta: { changes: [{ key: 'a' }] } })
    open()
    await slow
    expect(await hub().newer({ version: 2 })).toEqual(newest)
  })

  it('answers isolates while the database cannot be read, and publishes what was written when it can', async () => {
    const down = () => {
      throw new Error('the database is down')
    }
    await rebind(withDatabase(env, { withSession: down }))
    const { body } = await putConfiguration(environment, 'a', { fallthrough: { variant: 'off' } }, 2)
    expect(body).toEqual(changed(3, environment, 3, false))
    expect(await hub().newer({ version: 1 })).toMatchObject({ version: 2, delta: { to: 2 } })
    await rebind(env)
    moveClock(1_000)
    expect(await hub().publish()).toEqual({ version: 3, published: true })
    expect(await outboxOf()).toEqual([])
  })

  it('that has lost everything reads it again from the database, and puts it in KV again', async () => {
    await change()
    moveClock(1_000)
    await runAlarm()
    const before = [await hub().whole(), await hub().newer({ version: 1 })]
    await runInDurableObject(stub(), async (_, { storage }) => {
      await storage.deleteAlarm()
      await storage.deleteAll()
    })
    await evictDurableObject(stub())
    const { puts, bindings } = watchPuts()
    await rebind(bindings)
    expect(await hub().newer({ version: 3 })).toEqual({
      version: 3,
      nextCheckMs: 5_000,
      delta: null,
    })
    expect([await hub().whole(), await hub().newer({ version: 1 })]).toEqual(before)
    expect([await hub().publish(), puts, await inKv()]).toEqual([
      { version: 3, published: true },
      [3],
      { metadata: { version: 3 }, version: 3 },
    ])
  })

  it.each([
    ['text that is no JSON', 'flags', 'a', '{"type"'],
    ['a flag of no type', 'flags', 'a', '{}'],
    ['a flag that serves a variant that it has not', 'flags', 'a', textOf('maybe')],
    ['a new flag that cannot be read', 'flags', 'new', 'null'],
    [
      'a segment with an expression that is none',
      'segments',
      'staff',
      '{"condition":{"attribute":"a","op":"matches","values":["("]},"included":[],"excluded":[]}',
    ],
  ])(
    'keeps the last good one of what is bad, and publishes everything else: %s',
    async (_, kind, key, body) => {
      await createSegment(environment, 'staff')
      moveClock(1_000)
      await runAlarm()
      const good = (await hub().whole()) ?? ''
      const bad = [
        env.DB.prepare(
          "INSERT INTO history (environment, version, kind, key, body, actor, comment, at) VALUES (?, 4, ?, ?, ?, 'test', '', 0)",
        ).bind(environment, kind, key, body),
        env.DB.prepare('UPDATE environments SET version = 4'),
      ]
      await env.DB.batch(bad)
      moveClock(1_000)
      const answer = await putConfiguration(environment, 'a', { fallthrough: { variant: 'off' } }, revision)
      expect(answer.body).toEqual(changed(3, environment, 5))
      expect(await hub().newer({ version: 3 })).toEqual({
        version: 5,
        nextCheckMs: 5_000,
        delta: { from: 3, to: 5, changes: [{ kind: 'flags', key: 'a', text: textOf('off') }] },
      })
      const expected = good.replace('"version":3', '"version":5').replace(textOf('on'), textOf('off'))
      expect([await hub().whole(), await env.SNAPSHOTS.get(latestKey(environment))]).toEqual([
        expected,
        expected,
      ])
    },
  )
})

describe('how soon an isolate asks again', () => {
  const nextCheck = async () => (await hub().newer({ version: 2 })).nextCheckMs

  it.each([
    ['as the environment says', {}, 30_000],
    ['as the environment says, at most a minute', { refreshSeconds: 60 }, 60_000],
  ])('is five seconds for ten minutes after a change, then %s', async (_, draft, later) => {
    environment = await createEnvironment(draft)
    await configure(environment, 'a')
    expect(await nextCheck()).toBe(5_000)
    moveClock(10 * MINUTE_MS - 1)
    expect(await nextCheck()).toBe(5_000)
    moveClock(1)
    expect(await nextCheck()).toBe(later)
    await configure(environment, 'a', {}, 2)
    expect(await nextCheck()).toBe(5_000)
  })

  it('is never later than the environment says', async () => {
    environment = await createEnvironment({ refreshSeconds: 2 })
    await configure(environment, 'a')
    expect(await nextCheck()).toBe(2_000)
  })

  it('is five seconds for as long as a measured rollout runs', async () => {
    const rollout = (body: string | null, version: number) =>
      env.DB.batch([
        env.DB.prepare(
          "INSERT INTO history (environment, version, kind, key, body, actor, comment, at) VALUES (?, ?, 'rollouts', 'a', ?, 'test', '', 0)",
        ).bind(environment, version, body),
        env.DB.prepare('UPDATE environments SET version = ?').bind(version),
      ])
    await rollout('{"measured":true}', 3)
    await hub().publish()
    moveClock(HOUR_MS)
    expect(await nextCheck()).toBe(5_000)
    await rollout('{"measured":false}', 4)
    await hub().publish()
    moveClock(HOUR_MS)
    expect(await nextCheck()).toBe(30_000)
    await rollout('{"measured":true}', 5)
    await rollout(null, 6)
    await hub().publish()
    moveClock(HOUR_MS)
    expect(await nextCheck()).toBe(30_000)
  })

  it('is later while many ask, so that the hub answers fewer than 200 a second', async () => {
    await nextCheck()
    moveClock(1_000)
    await nextCheck()
    await Promise.all(Array.from({ length: 399 }, nextCheck))
    expect(await nextCheck()).toBe(5_000)
    moveClock(1_000)
    expect(await nextCheck()).toBe(10_025)
    moveClock(10_000)
    expect(await nextCheck()).toBe(5_000)
  })

  const load: CheckLoad = {
    refreshSeconds: 30,
    sinceChangeMs: HOUR_MS,
    watched: false,
    callsPerSecond: 0,
    currentMs: 30_000,
  }

  it.each<[string, Partial<CheckLoad>, number]>([
    ['nothing moves', {}, 30_000],
    ['something has just changed', { sinceChangeMs: 0 }, 5_000],
    ['something changed ten minutes ago', { sinceChangeMs: 10 * MINUTE_MS }, 30_000],
    ['a rollout is watched', { watched: true }, 5_000],
    ['the environment asks for more', { watched: true, refreshSeconds: 1 }, 1_000],
    ['there are 200 calls a second', { callsPerSecond: 200 }, 30_000],
    ['there are 300 calls a second', { callsPerSecond: 300 }, 45_000],
    ['there are 4,000 calls a second', { callsPerSecond: 4_000 }, 60_000],
    ['a rollout is watched under load', { watched: true, currentMs: 5_000, callsPerSecond: 1_000 }, 25_000],
    ['the load is gone', { watched: true, currentMs: 25_000, callsPerSecond: 20 }, 5_000],
  ])('follows from the load: %s', (_, given, expected) => {
    expect(nextCheckInterval({ ...load, ...given })).toBe(expected)
  })
})

const remove = () => removeEnvironment(environment)
const makeAgain = () => remakeEnvironment(environment)

const leftInHub = () =>
  runInDurableObject(stub(), (_, { storage }) =>
    storage.sql
      .exec<{ name: string }>("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'")
      .toArray()
      .map(({ name }) => name),
  )

describe('an environment that was deleted', () => {
  const GONE = { version: 0, nextCheckMs: 30_000, delta: null, gone: true }

  beforeEach(async () => {
    moveClock(1_000)
    await runAlarm()
    expect(await inKv()).toMatchObject({ version: 2 })
  })

  it('is taken out of KV, and isolates are told that it is gone', async () => {
    await remove()
    expect(await hub().newer({ version: 2 })).toMatchObject({ version: 2, delta: null })
    expect(await hub().publish()).toEqual({ version: 0, published: true })
    expect([await inKv(), await leftInHub(), await outboxOf()]).toEqual([
      { metadata: null, version: undefined },
      [],
      [],
    ])
    expect([
      await hub().newer({ version: 2 }),
      await hub().newer({ version: 1 }),
      await hub().whole(),
      await hub().propagation(),
    ]).toEqual([GONE, GONE, null, null])
    await evictDurableObject(stub())
    expect(await hub().newer({ version: 2 })).toEqual(GONE)
    expect(await hub().publish()).toEqual({ version: 0, published: true })
    expect(await leftInHub()).toEqual([])
  })

  it('is published as deleted by the tick, also by a hub that has lost everything', async () => {
    await remove()
    await runInDurableObject(stub(), (_, { storage }) => storage.deleteAll())
    await evictDurableObject(stub())
    await worker.scheduled(createScheduledController(), env)
    expect([await inKv(), await outboxOf()]).toEqual([{ metadata: null, version: undefined }, []])
  })

  it('stays due while KV refuses', async () => {
    await remove()
    await rebind(withKv(env, { delete: unreachable }))
    expect(await hub().publish()).toEqual({ version: 0, published: false })
    expect([await inKv(), await outboxOf(), await hub().newer({ version: 2 })]).toEqual([
      { metadata: { version: 2 }, version: 2 },
      [3],
      GONE,
    ])
    await rebind(env)
    await worker.scheduled(createScheduledController(), env)
    expect([await inKv(), await outboxOf()]).toEqual([{ metadata: null, version: undefined }, []])
  })

  it('does not come back by a put that takes long', async () => {
    const opened = Promise.withResolvers<void>()
    const { puts, bindings } = watchPuts(() => opened.promise)
    await rebind(bindings)
    moveClock(1_000)
    const slow = change()
    await vi.waitFor(() => expect(puts).toEqual([3]))
    await remove()
    expect(await hub().publish()).toEqual({ version: 0, published: false })
    opened.resolve()
    await slow
    expect([await inKv(), await leftInHub(), await outboxOf()]).toEqual([
      { metadata: null, version: undefined },
      [],
      [],
    ])
  })

  it.each([
    ['changes', 2],
    ['everything, by a hub that had lost it', 0],
  ])('does not come back by a slow reading of %s', async (_, known) => {
    if (known === 0) {
      await runInDurableObject(stub(), (_, { storage }) => storage.deleteAll())
      await evictDurableObject(stub())
    }
    const { reading, open } = await slowReading()
    const slow = change()
    await reading
    await rebind(env)
    await remove()
    expect(await hub().publish()).toEqual({ version: 0, published: true })
    open()
    await slow
    expect([await hub().newer({ version: 3 }), await leftInHub(), await inKv()]).toEqual([
      GONE,
      [],
      { metadata: null, version: undefined },
    ])
  })

  it('and made again goes on above the versions that it had, without what it held', async () => {
    await remove()
    await hub().publish()
    await makeAgain()
    moveClock(1_000)
    expect(await hub().publish()).toEqual({ version: 4, published: true })
    const settings = {
      kind: 'settings',
      key: 'environment',
      text: REMADE_SETTINGS,
    }
    const gone = { kind: 'flags', key: 'a', text: null }
    expect(await hub().newer({ version: 2 })).toEqual({
      version: 4,
      nextCheckMs: 5_000,
      delta: { from: 2, to: 4, changes: [gone, settings] },
    })
    const read = readSnapshotText((await env.SNAPSHOTS.get(latestKey(environment))) ?? '')
    expect(read.ok && [read.value.version, read.value.sections.flags?.size]).toEqual([4, 0])
  })

  it('and made again before the hub has heard of it is changed like any other', async () => {
    await remove()
    await makeAgain()
    moveClock(1_000)
    expect(await hub().publish()).toEqual({ version: 4, published: true })
    expect(await hub().newer({ version: 2 })).toMatchObject({
      version: 4,
      delta: { changes: [{ kind: 'flags', key: 'a', text: null }, { kind: 'settings' }] },
    })
  })

  it('and made again while a put took long ends in KV as it is now', async () => {
    const opened = Promise.withResolvers<void>()
    const { puts, bindings } = watchPuts(() => (puts.length === 1 ? opened.promise : Promise.resolve()))
    await rebind(bindings)
    moveClock(1_000)
    const slow = change()
    await vi.waitFor(() => expect(puts).toEqual([3]))
    await remove()
    await hub().publish()
    await makeAgain()
    expect(await hub().publish()).toEqual({ version: 5, published: true })
    opened.resolve()
    await slow
    moveClock(1_000)
    expect(await runAlarm()).toBe(true)
    expect([await inKv(), puts]).toEqual([{ metadata: { version: 5 }, version: 5 }, [3, 5]])
  })

  it('and made again while it is taken out of KV is published by the next tick', async () => {
    await remove()
    const deleteSlowly = async (key: string) => {
      await makeAgain()
      await env.SNAPSHOTS.delete(key)
    }
    await rebind(withKv(env, { delete: deleteSlowly }))
    expect(await hub().publish()).toEqual({ version: 0, published: true })
    expect(await outboxOf()).toEqual([3, 4])
    await rebind(env)
    await worker.scheduled(createScheduledController(), env)
    expect([await inKv(), await outboxOf()]).toEqual([{ metadata: { version: 4 }, version: 4 }, []])
  })

  it('and made again is not forgotten by a slow reading from before', async () => {
    await remove()
    const { reading, open } = await slowReading()
    const slow = hub().publish()
    await reading
    await rebind(env)
    await makeAgain()
    moveClock(1_000)
    expect(await hub().publish()).toEqual({ version: 4, published: true })
    open()
    expect(await slow).toEqual({ version: 4, published: true })
    expect([await hub().newer({ version: 4 }), await inKv()]).toEqual([
      { version: 4, nextCheckMs: 5_000, delta: null },
      { metadata: { version: 4 }, version: 4 },
    ])
  })

  it.each([
    ['that has never heard of it', 'DELETE FROM history'],
    ['that is behind what is held of it', 'DELETE FROM history WHERE version > 1'],
  ])('is not believed to be by a database %s', async (_, statement) => {
    await env.DB.batch([env.DB.prepare(statement), env.DB.prepare('DELETE FROM environments')])
    const before = await hub().whole()
    expect(await hub().publish()).toEqual({ version: 2, published: true })
    expect(await hub().newer({ version: 2 })).toMatchObject({ version: 2, delta: null })
    expect((await hub().newer({ version: 3 })).gone).toBeUndefined()
    expect([await hub().whole(), await inKv()]).toEqual([before, { metadata: { version: 2 }, version: 2 }])
    await runInDurableObject(stub(), (_, { storage }) => storage.deleteAll())
    await evictDurableObject(stub())
    expect((await hub().newer({ version: 2 })).gone).toBeUndefined()
  })

  it('is not said to be while the database cannot be read', async () => {
    const down = () => {
      throw new Error('the database is down')
    }
    await remove()
    await rebind(withDatabase(env, { withSession: down }))
    const asked = runInDurableObject(stub(), (instance) => {
      const newer: Hub['newer'] = Reflect.get(instance, 'newer').bind(instance)
      return newer({ version: 3 }).catch(String)
    })
    expect(await asked).toBe('Error: the database is down')
    expect(await hub().newer({ version: 2 })).toMatchObject({ version: 2, delta: null })
  })
})

describe('many isolates at once', () => {
  it('that are too far behind share one put of the whole', async () => {
    let puts = 0
    const opened = Promise.withResolvers<void>()
    const put = async (...values: Parameters<KVNamespace['put']>) => {
      puts++
      await opened.promise
      await env.SNAPSHOTS.put(...values)
    }
    await rebind(withKv(env, { put }))
    const asked = Promise.all(Array.from({ length: 20 }, () => hub().newer({ version: 0 })))
    await vi.waitFor(() => expect(puts).toBe(1))
    opened.resolve()
    expect(await asked).toHaveLength(20)
    await hub().newer({ version: 0 })
    expect([puts, (await inKv(versionKey(environment, 2))).version]).toEqual([1, 2])
    await change()
    await hub().newer({ version: 0 })
    expect([puts, (await inKv(versionKey(environment, 3))).version]).toEqual([2, 3])
  })
})

describe('propagation', () => {
  type Span = readonly [
    sequence: number,
    version: number,
    evaluations: number,
    endedMsAgo: number,
    lastedMs: number,
  ]

  const report = (isolate: string, version: number, spans: readonly Span[] = []) =>
    hub().newer({
      version,
      report: {
        isolate,
        entries: spans.map(([sequence, version, evaluations, endedMsAgo, lastedMs]) => {
          return { sequence, version, evaluations, endedMsAgo, lastedMs }
        }),
        withheldMs: 0,
      },
    })

  const shares = async () =>
    (await hub().propagation())?.timeline.map(({ share, unreportedShare }) => [share, unreportedShare])

  const keptText = () =>
    runInDurableObject(stub(), (_, { storage }) =>
      storage.sql
        .exec<{ text: string }>('SELECT text FROM propagation')
        .toArray()
        .map(({ text }) => text),
    )

  /** Version 3, six seconds ago; one isolate had it after a second, the other has said nothing since. */
  async function spreadHalf(): Promise<void> {
    const steps: [isolate: string, spans: Span[], thenMs: number][] = [
      ['a', [], 5_000],
      ['b', [], 10_000],
      ['a', [[1, 2, 150, 0, 15_000]], 5_000],
      ['b', [[1, 2, 150, 0, 15_000]], 5_000],
    ]
    moveClock(5_000)
    for (const [isolate, spans, thenMs] of steps) {
      await report(isolate, 2, spans)
      moveClock(thenMs)
    }
    await change()
    moveClock(6_000)
    await report('a', 3, [
      [2, 2, 160, 5_000, 16_000],
      [3, 3, 50, 0, 5_000],
    ])
  }

  it('is what isolates have answered at which version in each second after the change', async () => {
    await spreadHalf()
    const now = Date.now()
    expect(await hub().propagation()).toEqual({
      version: 3,
      committedAt: now - 6_000,
      changedAt: now - 6_000,
      publishedAt: now - 6_000,
      listenedMs: 30_000,
      reportedEvaluations: 60,
      timeline: [
        { second: 0, evaluations: 10, share: 0, unreportedShare: 0.5 },
        ...[1, 2, 3, 4, 5].map((second) => ({ second, evaluations: 10, share: 1, unreportedShare: 0.5 })),
      ],
      sharesAt: [
        ...[1, 5].map((second) => ({ second, share: 1, unreportedShare: 0.5 })),
        ...[10, 30, 60].map((second) => ({ second, share: null, unreportedShare: null })),
      ],
      reached: {
        half: { second: 1, unreportedShare: 0.5 },
        p90: { second: 1, unreportedShare: 0.5 },
        p99: { second: 1, unreportedShare: 0.5 },
        all: { second: 1, unreportedShare: 0.5 },
      },
      isolates: { known: 2, current: 1, lost: 0 },
      previous: expect.objectContaining({ version: 2, isolates: { known: 2, current: 2, lost: 0 } }),
    })
    await report('b', 2, [[2, 2, 110, 0, 11_000]])
    expect(await shares()).toEqual([[0, 0], ...[1, 2, 3, 4, 5].map(() => [0.5, 0])])
    expect((await hub().propagation())?.reached).toMatchObject({ half: { second: 1 }, p90: null })
  })

  it('says when KV took the change that rode along', async () => {
    await change()
    expect((await hub().propagation())?.publishedAt).toBeNull()
    moveClock(1_000)
    await runAlarm()
    expect((await hub().propagation())?.publishedAt).toBe(Date.now())
  })

  it('of an environment that has none is null', async () => {
    expect(await hubOf(env, uniqueName('nowhere')).propagation()).toBeNull()
  })

  it('is not broken by rubbish', async () => {
    const before = await hub().propagation()
    for (const rubbish of [5, 'x', [], { isolate: 7, entries: [] }, { isolate: 'a', entries: [{}, null] }]) {
      const request = { version: 2, report: rubbish as never }
      expect(await hub().newer(request)).toEqual({ version: 2, nextCheckMs: 5_000, delta: null })
    }
    const after = await hub().propagation()
    expect([after?.reportedEvaluations, after?.timeline]).toEqual([0, before?.timeline])
  })

  it('is kept when the hub is evicted, and goes on from there', async () => {
    await spreadHalf()
    moveClock(5_000)
    await report('b', 3, [[2, 2, 150, 1_000, 15_000]])
    const before = await hub().propagation()
    expect(before?.reportedEvaluations).toBe(160)
    await evictDurableObject(stub())
    expect(await hub().propagation()).toEqual(before)
    await report('b', 3, [
      [2, 2, 150, 1_000, 15_000],
      [3, 3, 10, 0, 1_000],
    ])
    expect((await hub().propagation())?.reportedEvaluations).toBe(170)
  })

  it('is written at most every five seconds, also what comes last, and nothing after ten minutes', async () => {
    await change()
    const [first] = await keptText()
    await report('a', 3, [[1, 3, 1, 0, 0]])
    await report('b', 3, [[1, 3, 1, 0, 0]])
    expect(await keptText()).toEqual([first])
    await vi.waitFor(async () => expect(await keptText()).not.toEqual([first]), { timeout: 10_000 })
    const before = await hub().propagation()
    await evictDurableObject(stub())
    expect([await hub().propagation(), before?.isolates.known]).toEqual([before, 2])
    const second = await keptText()
    moveClock(10 * MINUTE_MS)
    await report('a', 3, [[2, 3, 1, 0, 0]])
    expect(await keptText()).toEqual(second)
  }, 15_000)

  it('of a hub that was evicted later ends as it would have', async () => {
    await spreadHalf()
    moveClock(10 * MINUTE_MS)
    const ended = await hub().propagation()
    expect(ended?.isolates).toEqual({ known: 2, current: 1, lost: 2 })
    await evictDurableObject(stub())
    moveClock(HOUR_MS)
    await report('c', 3, [[1, 3, 5, 0, 0]])
    expect(await hub().propagation()).toEqual(ended)
  })
})
