import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Bindings } from '../../src/bindings.ts'
import { hubOf, latestKey } from '../../src/catalog/hub-protocol.ts'
import { readSnapshotText } from '../../src/engine/snapshot-text.ts'
import { apiWith, changed, needing, OK, serving, status } from '../support/catalog.ts'
import { dump, emptyDatabase, rows } from '../support/database.ts'
import { runTick } from '../support/tick.ts'
import {
  api,
  configure,
  createEnvironment,
  createFlag,
  createKey,
  createSegment,
  from,
  HUB_DOWN,
  moveClock,
  ON_OFF,
  silenceLogs,
  silent,
  stopClock,
  unreachable,
  withDatabase,
  withHub,
  withKv,
} from '../support/worker.ts'

const REPEATABLE = 'a-key-that-nobody-guesses'
const SWITCHED_ON = { enabled: true, fallthrough: { variant: 'on' } }

let environment = ''
const configuration = () => `/flags/a/environments/${environment}`

/** An environment at version 3, with the flag `a`, switched off, and the segment `s`; published. */
async function setUp(): Promise<void> {
  await emptyDatabase()
  environment = await createEnvironment()
  await createFlag('a')
  await createSegment(environment, 's')
  moveClock(1_000)
  await hubOf(env, environment).publish()
  moveClock(1_000)
}

const dueVersions = async () => {
  const due = await rows<{ version: number }>(
    "SELECT version FROM outbox WHERE kind = 'publish' AND environment = ? ORDER BY version",
    environment,
  )
  return due.map(({ version }) => version)
}

async function versionInKv(): Promise<number | undefined> {
  const read = readSnapshotText((await env.SNAPSHOTS.get(latestKey(environment))) ?? '')
  return read.ok ? read.value.version : undefined
}

async function tick(): Promise<void> {
  moveClock(60_000)
  await runTick()
}

/** Lets the hub run with bindings of the test's own. */
async function rebind(bindings: Bindings): Promise<void> {
  const hub = env.HUB.getByName(environment)
  await runInDurableObject(hub, (instance) => Reflect.set(instance, 'env', bindings))
}

stopClock()
silenceLogs()

afterEach(async () => {
  expect(await rows('SELECT * FROM guard')).toEqual([])
})

describe('a change that is committed and not published', () => {
  beforeEach(setUp)

  it('because the hub cannot be reached says so, and the next tick publishes it', async () => {
    const bindings = withHub(env, HUB_DOWN)
    const answer = await apiWith(bindings, 'PUT', configuration(), SWITCHED_ON, from(1))
    expect([answer.status, answer.body]).toEqual([200, changed(2, environment, 4, false)])
    expect([await dueVersions(), await versionInKv()]).toEqual([[4], 3])
    await tick()
    expect([await dueVersions(), await versionInKv()]).toEqual([[], 4])
    expect(await hubOf(env, environment).whole()).toContain('"version":4')
  })

  it('because its process ended in between is published by the next tick', async () => {
    void apiWith(withHub(env, { publish: silent }), 'PUT', configuration(), SWITCHED_ON, from(1))
    await vi.waitFor(async () => expect(await dueVersions()).toEqual([4]))
    expect(await versionInKv()).toBe(3)
    await tick()
    expect([await dueVersions(), await versionInKv()]).toEqual([[], 4])
  })

  it.each([
    ['its alarm', async () => void (await runDurableObjectAlarm(env.HUB.getByName(environment)))],
    ['the tick', tick],
  ])('because KV refuses it says so, and is put by %s', async (_, again) => {
    await rebind(withKv(env, { put: unreachable }))
    expect((await api('PUT', configuration(), SWITCHED_ON, from(1))).body).toEqual(
      changed(2, environment, 4, false),
    )
    moveClock(2_000)
    await again()
    expect([await dueVersions(), await versionInKv()]).toEqual([[4], 3])
    await rebind(env)
    moveClock(4_000)
    await again()
    expect([await dueVersions(), await versionInKv()]).toEqual([[], 4])
  })
})

describe('a database that fails', () => {
  beforeEach(setUp)

  const INTERNAL = {
    status: 500,
    body: {
      error: {
        code: 'internal',
        message: 'something went wrong; the log knows more',
        requestId: expect.any(String),
      },
    },
  }

  type Deed = (bindings: Bindings) => ReturnType<typeof api>

  const DEEDS: readonly (readonly [name: string, deed: Deed])[] = [
    [
      'a configuration',
      (b) =>
        apiWith(b, 'PUT', configuration(), { ...SWITCHED_ON, ...serving('s'), ...needing('b') }, from(1)),
    ],
    [
      'what a flag is',
      (b) =>
        apiWith(b, 'PUT', '/flags/a', { type: 'boolean', variants: ON_OFF, clientVisible: true }, from(1)),
    ],
    ['a new flag', (b) => apiWith(b, 'PUT', '/flags/c', { type: 'boolean', variants: ON_OFF }, from(0))],
    ['an archived flag', (b) => apiWith(b, 'POST', '/flags/a/archive', {}, from(1))],
    ['a deleted flag', (b) => apiWith(b, 'DELETE', '/flags/a', undefined, from(1))],
    [
      'a segment',
      (b) => apiWith(b, 'PUT', `/environments/${environment}/segments/s`, { included: ['ada'] }, from(1)),
    ],
    [
      'a copied environment',
      (b) => apiWith(b, 'PUT', '/environments/new', { name: 'new', copyFrom: environment }, from(0)),
    ],
    [
      'a deleted environment',
      (b) => apiWith(b, 'DELETE', `/environments/${environment}`, undefined, from(1)),
    ],
    ['a key', (b) => apiWith(b, 'POST', `/environments/${environment}/keys`, { kind: 'client', name: 'x' })],
    [
      'a change that waits',
      (b) => apiWith(b, 'PUT', configuration(), { ...SWITCHED_ON, applyAt: '2100-01-01T00:00:00Z' }, from(1)),
    ],
    [
      'a request that can be repeated',
      (b) => apiWith(b, 'PUT', configuration(), SWITCHED_ON, { ...from(1), 'idempotency-key': REPEATABLE }),
    ],
  ]

  it.each(DEEDS)(
    'in the middle of %s leaves nothing of it, wherever it fails, and nobody is told why',
    async (_, deed) => {
      await createFlag('b')
      await createKey(environment)
      await createEnvironment()
      await configure(environment, 'b', serving('s'))
      const before = await dump()
      const fault = () => env.DB.prepare('SELECT abs(-9223372036854775807 - 1)')
      let statements = 1
      for (let position = 0; position <= statements; position++) {
        const batch = (given: D1PreparedStatement[]) => {
          statements = given.length
          return env.DB.batch([...given.slice(0, position), fault(), ...given.slice(position)])
        }
        const { status, body } = await deed(withDatabase(env, { batch }))
        expect([position, { status, body }]).toEqual([position, INTERNAL])
        expect([position, await dump()]).toEqual([position, before])
      }
      expect(statements).toBeGreaterThanOrEqual(4)
      expect((await deed(env)).status).toBeLessThan(300)
      expect(await dump()).not.toEqual(before)
    },
  )

  /** The database, which commits and then cannot say so; what it is asked after that, it answers or not. */
  function speechless(after: 'answers' | 'is down') {
    let committed = false
    return withDatabase(env, {
      batch: async (statements: D1PreparedStatement[]) => {
        await env.DB.batch(statements)
        committed = true
        throw new Error('D1_ERROR: Network connection lost.')
      },
      prepare: (query: string) => {
        if (committed && after === 'is down') throw new Error('D1_ERROR: Network connection lost.')
        return env.DB.prepare(query)
      },
    })
  }

  const WRITES: readonly (readonly [
    name: string,
    write: (b: Bindings) => ReturnType<typeof api>,
    answer: unknown,
  ])[] = [
    [
      'a configuration',
      (b) => apiWith(b, 'PUT', configuration(), SWITCHED_ON, { ...from(1), 'idempotency-key': REPEATABLE }),
      { revision: 2 },
    ],
    [
      'a deletion',
      (b) => apiWith(b, 'DELETE', '/flags/a', undefined, { ...from(1), 'idempotency-key': REPEATABLE }),
      { revision: 0 },
    ],
    [
      'a key',
      (b) =>
        apiWith(
          b,
          'POST',
          `/environments/${environment}/keys`,
          { kind: 'client', name: 'x' },
          { 'idempotency-key': REPEATABLE },
        ),
      { key: expect.stringMatching(/^rp_client_/) },
    ],
  ]

  it.each(WRITES)(
    'after it has committed %s answers what it did when it is asked again, and does nothing twice',
    async (_, write, answer) => {
      const first = await write(speechless('is down'))
      expect({ status: first.status, body: first.body }).toEqual(INTERNAL)
      const before = await dump()
      expect(await dueVersions()).toEqual([4])
      const second = await write(env)
      expect(second.headers.get('idempotency-replayed')).toBe('true')
      expect([second.status < 300, second.body]).toEqual([true, expect.objectContaining(Object(answer))])
      expect(second.body).toMatchObject({ environments: { [environment]: { version: 4, published: true } } })
      const third = await write(env)
      expect([third.status, third.body]).toEqual([second.status, second.body])
      expect([await dump(), await dueVersions(), await versionInKv()]).toEqual([before, [], 4])
    },
  )

  it.each(WRITES)(
    'after it has committed %s, and answers again, is asked what it did before anybody is told',
    async (_, write, answer) => {
      const { status, headers, body } = await write(speechless('answers'))
      expect([status < 300, headers.get('idempotency-replayed'), body]).toEqual([
        true,
        'true',
        expect.objectContaining(Object(answer)),
      ])
      expect(
        await rows('SELECT max(version) AS version FROM history WHERE environment = ?', environment),
      ).toEqual([{ version: 4 }])
      expect(await versionInKv()).toBe(4)
    },
  )

  it('after it has committed what cannot be repeated leaves the client to read it again', async () => {
    const write = (b: Bindings) => apiWith(b, 'PUT', configuration(), SWITCHED_ON, from(1))
    expect(status(await write(speechless('answers')))).toEqual([500, 'internal'])
    const before = await dump()
    expect(status(await write(env))).toEqual([412, 'stale'])
    expect(await dump()).toEqual(before)
    expect((await api('GET', configuration())).body).toMatchObject({ enabled: true, revision: 2 })
    await tick()
    expect(await versionInKv()).toBe(4)
    expect(status(await apiWith(env, 'PUT', configuration(), SWITCHED_ON, from(2)))).toEqual(OK)
  })
})
