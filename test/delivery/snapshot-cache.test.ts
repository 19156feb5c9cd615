import { evictDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Bindings } from '../../src/bindings.ts'
import { hubOf, latestKey, type NewerRequest } from '../../src/catalog/hub-protocol.ts'
import { SnapshotCache, snapshotCache } from '../../src/delivery/snapshot-cache.ts'
import { evaluate as decide } from '../../src/engine/evaluate.ts'
import { emptyDatabase } from '../support/database.ts'
import { remakeEnvironment, removeEnvironment } from '../support/environments.ts'
import {
  type Answer,
  api,
  BULK,
  configure,
  createEnvironment,
  createFlag,
  createKey,
  field,
  flushKv,
  HUB_DOWN,
  KV_DOWN,
  makeFlags,
  makeRequest,
  moveClock,
  read,
  record,
  SINGLE,
  serve,
  silenceLogs,
  silent,
  stopClock,
  unreachable,
  warm,
  withHub,
  withKv,
  withReadings,
} from '../support/worker.ts'

const HOUR_MS = 3_600_000
const MAX_UNCONFIRMED_MS = 60_000
const MAX_WAIT_MS = 300
const LEASE_MS = 2_500
/** What a hub answers for ten minutes after a change. */
const CHECK_MS = 5_000

let environment = ''
let key = ''
/** The revision of the flag `a` in the environment. */
let revision = 0

silenceLogs()

/** An environment where `a` and `b` are on, in KV as it is in the hub; nothing of it is in memory. */
async function setUp(): Promise<void> {
  await emptyDatabase()
  await createFlag('a')
  await createFlag('b')
  environment = await createEnvironment()
  await configure(environment, 'a')
  await configure(environment, 'b')
  key = (await createKey(environment)).key
  revision = 2
  await flushKv(environment)
}

/** Turns `a` off, and on again: its next version. */
async function change(): Promise<void> {
  const variant = revision % 2 === 0 ? 'off' : 'on'
  await configure(environment, 'a', { fallthrough: { variant } }, revision)
  revision++
}

const V = 4
const hub = () => hubOf(env, environment)
const textInKv = async () => (await env.SNAPSHOTS.get(latestKey(environment))) ?? ''

/** A cache with a clock of its own, asked as the routes ask it. */
function makeCache(bindings: Bindings = env) {
  const pending: Promise<unknown>[] = []
  let now = 1_000_000_000_000
  const recorded = record(bindings)
  const cache = new SnapshotCache(() => now)
  const waitUntil = (work: Promise<unknown>) => void pending.push(work)

  async function get(via: Bindings = recorded.bindings) {
    const present = cache.view(environment)
    const acquired = present ? undefined : await cache.acquire(via, environment, waitUntil)
    const view = present ?? (acquired?.ok ? acquired.value : undefined)
    if (!view) return acquired?.ok === false ? acquired.error : undefined
    const { flags } = view.environment
    const evaluation = decide(flags, 'a', {}, now)
    cache.settle(via, flags, 1, waitUntil)
    const value = evaluation.reason === 'ERROR' ? evaluation.errorCode : evaluation.value
    return { version: flags.version, value, stale: view.stale }
  }

  return {
    cache,
    get,
    waitUntil,
    move: (milliseconds: number) => {
      now += milliseconds
    },
    /** What was asked since it was last looked at. */
    calls: () => recorded.calls.splice(0),
    settled: async () => {
      while (pending.length > 0) await pending.shift()
    },
    /** Forgets what goes on after the answers, as a request that is cut off does. */
    cutOff: () => void pending.splice(0),
  }
}

/** A cache that holds the newest version, confirmed just now by the hub. */
async function makeWarmCache() {
  const made = makeCache()
  await made.get()
  await made.settled()
  made.calls()
  return made
}

const single = () => makeRequest(`${SINGLE}a`, { key, json: {} })
const bulk = (query = '') => makeRequest(BULK + query, { key, json: {} })

/** A single answer's value, version and whether it is stale. */
function told({ status, headers, body }: Answer) {
  const { value, metadata } = Object(body)
  return {
    status,
    value,
    version: Number(headers.get('x-rampart-version')),
    stale: field(metadata, 'stale') ?? false,
  }
}

/** Asks the whole Worker; `before` is what it asked before the answer, `after` what it asked then. */
async function observe(request: Request, bindings: Bindings) {
  const { bindings: recorded, calls } = record(bindings)
  const started = performance.now()
  const { response, settled } = await serve(request, recorded)
  const before = calls.splice(0)
  const milliseconds = performance.now() - started
  const answer = await read(response)
  await settled()
  return { answer, before, after: calls, milliseconds }
}

describe('the age of a snapshot', () => {
  beforeEach(setUp)

  it.each([
    ['used without asking anybody up to the interval that the hub gave', CHECK_MS, [], [], V],
    ['used as it is beyond that, and asked about after the answer', CHECK_MS + 1, [], ['HUB.newer'], V],
    ['used as it is up to a minute', MAX_UNCONFIRMED_MS, [], ['HUB.newer'], V],
    ['asked about before the answer beyond a minute', MAX_UNCONFIRMED_MS + 1, ['HUB.newer'], [], V + 1],
  ])('decides: it is %s', async (_, age, before, after, version) => {
    const { get, move, calls, settled } = await makeWarmCache()
    await change()
    move(age)
    const answer = await get()
    expect({ answer, before: calls() }).toEqual({
      answer: { version, value: version === V, stale: false },
      before,
    })
    await settled()
    expect(calls()).toEqual(after)
  })

  it('is that of the last confirmation, also when nothing has changed', async () => {
    const { get, move, calls, settled } = await makeWarmCache()
    for (let i = 0; i < 3; i++) {
      move(CHECK_MS + 1)
      await get()
      await settled()
      expect(calls()).toEqual(['HUB.newer'])
      await get()
      await settled()
      expect(calls()).toEqual([])
    }
  })

  it('beyond a minute costs an answer a moment, which then says that it is stale', async () => {
    await warm(environment)
    moveClock(MAX_UNCONFIRMED_MS + 1_000)
    const hanging = withReadings(withHub(env, { newer: silent }), silent)
    const answers = await Promise.all(
      [1, 2, 3].map(async () => {
        const { bindings, calls } = record(hanging)
        const started = performance.now()
        const { response } = await serve(single(), bindings)
        const milliseconds = performance.now() - started
        return { milliseconds, calls: [...calls], told: told(await read(response)) }
      }),
    )
    expect(answers.map(({ told, calls }) => [told, calls])).toEqual([
      [{ status: 200, value: true, version: V, stale: true }, ['HUB.newer']],
      [{ status: 200, value: true, version: V, stale: true }, []],
      [{ status: 200, value: true, version: V, stale: true }, []],
    ])
    for (const { milliseconds } of answers) {
      expect(milliseconds).toBeGreaterThanOrEqual(MAX_WAIT_MS - 10)
      expect(milliseconds).toBeLessThan(2 * MAX_WAIT_MS)
    }
  })
})

describe('on the road of an evaluation', () => {
  beforeEach(setUp)

  const ROADS: readonly (readonly [road: string, ask: (bindings: Bindings) => Promise<unknown>])[] = [
    ['a single evaluation', async (bindings) => (await serve(single(), bindings)).response.status],
    ['a bulk evaluation', async (bindings) => (await serve(bulk(), bindings)).response.status],
    [
      'a call from another Worker',
      async (bindings) => {
        const value = await makeFlags(environment, bindings).flags.getBooleanValue('a', false)
        return value ? 200 : 500
      },
    ],
    [
      'all flags for another Worker',
      async (bindings) => {
        const all = await makeFlags(environment, bindings).flags.getAll()
        return Object.keys(all).length === 2 ? 200 : 500
      },
    ],
  ]

  it.each(ROADS)('nothing is asked of anybody while the snapshot is young: %s', async (_, ask) => {
    await warm(environment)
    await ask(env)
    const { bindings, calls } = record(env)
    expect([await ask(bindings), calls]).toEqual([200, []])
    await scheduler.wait(20)
    expect(calls).toEqual([])
  })

  it.each(ROADS)('nothing is asked before the answer up to a minute: %s', async (_, ask) => {
    await warm(environment)
    await ask(env)
    moveClock(MAX_UNCONFIRMED_MS - 1_000)
    const { bindings, calls } = record(env)
    expect([await ask(bindings), calls]).toEqual([200, []])
    await vi.waitFor(() => expect(calls).toEqual(['HUB.newer']))
  })

  it('a cold start asks KV, which may be behind, and then the hub', async () => {
    const { answer, before, after } = await observe(single(), env)
    expect(told(answer)).toEqual({ status: 200, value: true, version: V, stale: false })
    expect({ before, after }).toEqual({ before: [`KV.read snapshot:${environment}`, 'HUB.newer'], after: [] })
  })

  it('a cold start from a KV that is behind answers with what is new', async () => {
    const old = await textInKv()
    await change()
    const { answer } = await observe(
      single(),
      withReadings(env, async () => old),
    )
    expect(told(answer)).toEqual({ status: 200, value: false, version: V + 1, stale: false })
  })
})

describe('a refresh', () => {
  beforeEach(setUp)

  it('is one at a time under many requests, after the answers', async () => {
    const { get, move, calls, settled } = await makeWarmCache()
    await change()
    move(30_000)
    const answers = await Promise.all(Array.from({ length: 50 }, () => get()))
    await settled()
    expect(answers).toEqual(answers.map(() => ({ version: V, value: true, stale: false })))
    expect(calls()).toEqual(['HUB.newer'])
    expect(await get()).toEqual({ version: V + 1, value: false, stale: false })
  })

  it('is one at a time under many requests, before the answers', async () => {
    const { get, move, calls, settled } = await makeWarmCache()
    await change()
    move(HOUR_MS)
    const answers = await Promise.all(Array.from({ length: 50 }, () => get()))
    await settled()
    expect(answers).toEqual(answers.map(() => ({ version: V + 1, value: false, stale: false })))
    expect(calls()).toEqual(['HUB.newer'])
  })

  it('that is cut off in the middle keeps others waiting no longer than its lease', async () => {
    const { get, move, calls, cutOff, settled } = await makeWarmCache()
    await change()
    move(30_000)
    const cut = record(withReadings(withHub(env, { newer: silent }), silent))
    await get(cut.bindings)
    await vi.waitFor(() => expect(cut.calls).toEqual(['HUB.newer']))
    cutOff()
    move(LEASE_MS - 1)
    expect(await get()).toEqual({ version: V, value: true, stale: false })
    await settled()
    expect(calls()).toEqual([])
    move(1)
    await get()
    await settled()
    expect(calls()).toEqual(['HUB.newer'])
    expect(await get()).toEqual({ version: V + 1, value: false, stale: false })
  })

  it('that fails is tried again after a while, not with every request', async () => {
    const { get, move, settled } = await makeWarmCache()
    const { bindings, calls } = record(withHub(withKv(env, KV_DOWN), HUB_DOWN))
    const both = ['HUB.newer', `KV.read snapshot:${environment}`]
    move(30_000)
    await get(bindings)
    await settled()
    expect(calls.splice(0)).toEqual(both)
    move(4_999)
    await get(bindings)
    await settled()
    expect(calls.splice(0)).toEqual([])
    move(1)
    await get(bindings)
    await settled()
    expect(calls.splice(0)).toEqual(both)
  })

  it('takes over only what has changed', async () => {
    const { cache, get, move, calls, settled } = await makeWarmCache()
    const flags = cache.view(environment)?.environment.flags
    const compiled = [flags?.flag('a'), flags?.flag('b')]
    await change()
    move(30_000)
    await get()
    await settled()
    expect(calls()).toEqual(['HUB.newer'])
    expect(cache.view(environment)?.environment.flags).toBe(flags)
    expect([flags?.version, flags?.flag('b') === compiled[1], flags?.flag('a') === compiled[0]]).toEqual([
      V + 1,
      true,
      false,
    ])
  })

  it('takes what was deleted away, and keys that were revoked', async () => {
    await createFlag('gone')
    const { id } = await createKey(environment)
    const { cache, get, move, settled } = await makeWarmCache()
    const before = cache.view(environment)?.environment
    expect([before?.flags.has('gone'), before?.keys.has(id)]).toEqual([true, true])
    await api('DELETE', '/flags/gone', undefined, { 'if-match': '1' })
    await api('DELETE', `/environments/${environment}/keys/${id}`)
    move(30_000)
    await get()
    await settled()
    const after = cache.view(environment)?.environment
    expect([after?.flags.has('gone'), after?.keys.has(id), after?.keys.size]).toEqual([false, false, 1])
  })

  it('reads the snapshot of that very version from KV when too much has changed for a delta', async () => {
    const { get, move, calls, settled } = await makeWarmCache()
    await createFlag('long', { type: 'string', variants: [{ name: 'on', value: 'x'.repeat(150_000) }] })
    await createFlag('longer', { type: 'string', variants: [{ name: 'on', value: 'y'.repeat(150_000) }] })
    await change()
    move(30_000)
    await get()
    await settled()
    expect(calls()).toEqual(['HUB.newer', `KV.read snapshot:${environment}:${V + 3}`])
    expect(await get()).toEqual({ version: V + 3, value: false, stale: false })
  })

  it.each([
    ['misses', async () => null],
    ['fails', unreachable],
  ])('asks the hub for all of it when KV %s that version', async (_, fault) => {
    const { get, move, settled } = await makeWarmCache()
    await createFlag('long', { type: 'string', variants: [{ name: 'on', value: 'x'.repeat(150_000) }] })
    await createFlag('longer', { type: 'string', variants: [{ name: 'on', value: 'y'.repeat(150_000) }] })
    await change()
    move(30_000)
    const { bindings, calls } = record(withReadings(env, fault))
    await get(bindings)
    await settled()
    expect(calls).toEqual(['HUB.newer', `KV.read snapshot:${environment}:${V + 3}`, 'HUB.whole'])
    expect(await get()).toEqual({ version: V + 3, value: false, stale: false })
  })

  it('takes nothing of a delta that cannot be read, and all of the whole instead', async () => {
    const { get, move, settled } = await makeWarmCache()
    await change()
    move(30_000)
    const changes = [
      { kind: 'flags', key: 'b', text: null },
      { kind: 'flags', key: 'a', text: '{"type":"boolean"' },
    ]
    const bad = { version: V + 1, nextCheckMs: CHECK_MS, delta: { from: V, to: V + 1, changes } }
    const { bindings, calls } = record(withHub(env, { newer: async () => bad }))
    await get(bindings)
    await settled()
    expect(calls).toEqual(['HUB.newer', `KV.read snapshot:${environment}:${V + 1}`, 'HUB.whole'])
    expect(await get()).toEqual({ version: V + 1, value: false, stale: false })
  })

  it('keeps the last good snapshot when delta and whole cannot be read', async () => {
    const { cache, get, move, settled } = await makeWarmCache()
    move(30_000)
    const changes = [
      { kind: 'flags', key: 'b', text: null },
      { kind: 'keys', key: 'k', text: '{}' },
    ]
    const bad = { version: V + 1, nextCheckMs: CHECK_MS, delta: { from: V, to: V + 1, changes } }
    const rubbish = withHub(withKv(env, KV_DOWN), {
      newer: async () => bad,
      whole: async () => '{"format":1}',
    })
    await get(rubbish)
    await settled()
    expect(await get()).toEqual({ version: V, value: true, stale: false })
    expect(cache.view(environment)?.environment.flags.keys()).toEqual(['a', 'b'])
  })
})

describe('a version', () => {
  beforeEach(setUp)

  it.each([
    ['an older version', { version: V - 1, nextCheckMs: CHECK_MS, delta: null }, false],
    ['that it has nothing at all', { version: 0, nextCheckMs: CHECK_MS, delta: null }, false],
    [
      'a delta to an older version',
      {
        version: V - 1,
        nextCheckMs: CHECK_MS,
        delta: { from: 1, to: V - 1, changes: [{ kind: 'flags', key: 'a', text: null }] },
      },
      false,
    ],
    ['the whole of an older version', { version: V - 1, nextCheckMs: CHECK_MS, delta: 'whole' }, false],
    [
      'a delta that begins later',
      {
        version: V + 3,
        nextCheckMs: CHECK_MS,
        delta: { from: V + 2, to: V + 3, changes: [{ kind: 'flags', key: 'a', text: null }] },
      },
      true,
    ],
  ])('never goes back when the hub answers %s', async (_, newer, stale) => {
    const { get, move, settled } = await makeWarmCache()
    move(HOUR_MS)
    await get(withHub(withKv(env, KV_DOWN), { newer: async () => newer, whole: unreachable }))
    await settled()
    expect(await get()).toEqual({ version: V, value: true, stale })
  })

  it('never goes back when KV has an older one, which confirms nothing', async () => {
    const old = await textInKv()
    await change()
    const { get, move, settled } = await makeWarmCache()
    const behind = withHub(
      withReadings(env, async () => old, { version: V }),
      HUB_DOWN,
    )
    move(HOUR_MS)
    expect(await get(behind)).toEqual({ version: V + 1, value: false, stale: true })
    await settled()
    move(10_000)
    expect(await get(behind)).toEqual({ version: V + 1, value: false, stale: true })
  })

  it.each([
    ['a delta', (text: string) => ({ from: V, to: V + 1, changes: [{ kind: 'flags', key: 'a', text }] })],
    ['the whole', () => 'whole' as const],
  ])('never goes back when %s arrives after a newer one', async (_, makeDelta) => {
    const { get, move, settled } = await makeWarmCache()
    await change()
    const older = await hub().newer({ version: V })
    const text = (typeof older.delta === 'object' && older.delta?.changes[0]?.text) || ''
    const whole = await hub().whole()
    await change()
    const late = Promise.withResolvers<void>()
    const newer = async () => {
      await late.promise
      return { version: V + 1, nextCheckMs: CHECK_MS, delta: makeDelta(text) }
    }
    const slow = withHub(
      withReadings(env, async () => whole),
      { newer },
    )
    move(30_000)
    await get(slow)
    await scheduler.wait(10)
    move(LEASE_MS)
    await get()
    await vi.waitFor(async () =>
      expect(await get(slow)).toEqual({ version: V + 2, value: true, stale: false }),
    )
    late.resolve()
    await settled()
    expect(await get()).toEqual({ version: V + 2, value: true, stale: false })
  })

  it('never goes back when a first load was taken for cut off and comes after a newer one', async () => {
    const old = await textInKv()
    await change()
    await flushKv(environment)
    const { get, move, settled } = makeCache()
    const late = Promise.withResolvers<string>()
    let reads = 0
    const slowOnce = () => (reads++ === 0 ? late.promise : unreachable())
    const first = get(withReadings(withHub(env, HUB_DOWN), slowOnce))
    await scheduler.wait(10)
    move(LEASE_MS)
    expect(await get()).toEqual({ version: V + 1, value: false, stale: false })
    late.resolve(old)
    expect(await first).toEqual({ version: V + 1, value: false, stale: false })
    await settled()
  })
})

describe('when KV', () => {
  // Nothing is changed here, so that one environment is enough.
  beforeAll(setUp)
  beforeEach(() => snapshotCache.clear())

  const FAULTS: readonly (readonly [fault: string, get: (text: string) => () => Promise<string | null>])[] = [
    ['fails', () => unreachable],
    ['has nothing', () => async () => null],
    ['has an empty text', () => async () => ''],
    ['has rubbish', () => async () => '<html>502 Bad Gateway</html>'],
    ['has a text that ends in the middle', (text) => async () => text.slice(0, -10)],
    ['has a text with something after its end', (text) => async () => `${text}\n{}`],
    ['has the first line alone', (text) => async () => text.slice(0, text.indexOf('\n') + 1)],
    ['has another environment', (text) => async () => text.replace(environment, 'other')],
    ['has a format of the future', (text) => async () => text.replace('"format":1', '"format":2')],
    ['has keys that cannot be read', (text) => async () => text.replaceAll('"hash"', '"cash"')],
    ['has no settings', (text) => async () => text.replace('"refreshSeconds"', '"seconds"')],
  ]

  it.each(FAULTS)('%s, a cold start asks the hub', async (_, makeGet) => {
    const get = makeGet(await textInKv())
    const { answer, before } = await observe(single(), withReadings(env, get))
    expect([told(answer), before]).toEqual([
      { status: 200, value: true, version: V, stale: false },
      [`KV.read snapshot:${environment}`, 'HUB.whole'],
    ])
  })

  it('does not answer, a cold start asks the hub', async () => {
    const { answer, before } = await observe(single(), withReadings(env, silent))
    expect([told(answer), before]).toEqual([
      { status: 200, value: true, version: V, stale: false },
      [`KV.read snapshot:${environment}`, 'HUB.whole'],
    ])
  })

  it.each(FAULTS)('%s and the hub is down, the last good snapshot answers on', async (_, makeGet) => {
    const { get, move, settled } = await makeWarmCache()
    const inKv = makeGet(await textInKv())
    move(HOUR_MS)
    const down = withHub(withReadings(env, inKv), HUB_DOWN)
    expect(await get(down)).toEqual({ version: V, value: true, stale: true })
    await settled()
    expect(await get()).toEqual({ version: V, value: true, stale: true })
  })
})

describe('when the hub', () => {
  beforeEach(setUp)

  it('cannot be reached, KV brings what is new, and is asked again ten seconds later', async () => {
    const { get, move, settled } = await makeWarmCache()
    await change()
    await flushKv(environment)
    const { bindings, calls } = record(withHub(env, HUB_DOWN))
    const both = ['HUB.newer', `KV.read snapshot:${environment}`]
    move(30_000)
    await get(bindings)
    await settled()
    expect(calls.splice(0)).toEqual(both)
    expect(await get(bindings)).toEqual({ version: V + 1, value: false, stale: false })
    move(10_000)
    await get(bindings)
    await settled()
    expect(calls.splice(0)).toEqual([])
    move(1)
    await get(bindings)
    await settled()
    expect(calls.splice(0)).toEqual(both)
  })

  it('takes ten seconds, the answer comes from memory and then from KV', async () => {
    const { get, move, settled } = await makeWarmCache()
    await change()
    await flushKv(environment)
    const late = Promise.withResolvers<unknown>()
    const slow = withHub(env, { newer: () => late.promise })
    move(HOUR_MS)
    expect(await get(slow)).toEqual({ version: V, value: true, stale: true })
    await settled()
    expect(await get(slow)).toEqual({ version: V + 1, value: false, stale: false })
    move(10_000)
    late.resolve({ version: V, nextCheckMs: CHECK_MS, delta: null })
    await settled()
    expect(await get(slow)).toEqual({ version: V + 1, value: false, stale: false })
  })

  it('and KV are down, answers go on for hours, say that they are stale, and are right again after it', async () => {
    await warm(environment)
    const dark = withHub(withKv(env, KV_DOWN), HUB_DOWN)
    const both = ['HUB.newer', `KV.read snapshot:${environment}`]
    await change()
    for (let hours = 1; hours <= 10; hours++) {
      moveClock(HOUR_MS)
      const first = await observe(single(), dark)
      const second = await observe(bulk(), dark)
      expect([told(first.answer), first.before, first.after]).toEqual([
        { status: 200, value: true, version: V, stale: true },
        both,
        [],
      ])
      expect([second.answer.status, second.before, second.after]).toEqual([200, [], []])
      expect(field(second.answer.body, 'metadata')).toEqual({
        flagSetId: environment,
        version: String(V),
        stale: true,
      })
    }
    moveClock(5_000)
    const { answer } = await observe(single(), env)
    expect(told(answer)).toEqual({ status: 200, value: false, version: V + 1, stale: false })
  })
})

describe('a cold start', () => {
  beforeEach(setUp)

  it('of many requests loads once', async () => {
    const { bindings, calls } = record(env)
    const served = await Promise.all(Array.from({ length: 50 }, () => serve(single(), bindings)))
    const answers = await Promise.all(served.map(({ response }) => read(response)))
    expect(answers.map(told)).toEqual(
      answers.map(() => ({ status: 200, value: true, version: V, stale: false })),
    )
    expect(calls).toEqual([`KV.read snapshot:${environment}`, 'HUB.newer'])
  })

  it('that is cut off keeps others waiting no longer than its lease', async () => {
    const { get, move, calls, cutOff } = makeCache()
    void get(withReadings(withHub(env, HUB_DOWN), silent))
    const waiting = get()
    await scheduler.wait(20)
    expect(calls()).toEqual([])
    move(LEASE_MS)
    expect(await waiting).toEqual({ version: V, value: true, stale: false })
    expect(calls()).toEqual([`KV.read snapshot:${environment}`, 'HUB.newer'])
    cutOff()
  })

  it('that needs both KV and the hub has a lease for each', async () => {
    const whole = await hub().whole()
    const late = Promise.withResolvers<string | null>()
    const { get, move, calls, settled } = makeCache()
    const slowKv = async () => {
      move(LEASE_MS - 1)
      return null
    }
    const first = get(withHub(withReadings(env, slowKv), { whole: () => late.promise }))
    await scheduler.wait(10)
    move(LEASE_MS - 1)
    const second = get()
    await scheduler.wait(20)
    expect(calls()).toEqual([])
    late.resolve(whole)
    expect(await Promise.all([first, second])).toEqual([
      { version: V, value: true, stale: false },
      { version: V, value: true, stale: false },
    ])
    await settled()
  })

  it('of many requests with nothing to reach asks once, and once more after a second', async () => {
    const { bindings, calls } = record(withHub(withKv(env, KV_DOWN), HUB_DOWN))
    const both = [`KV.read snapshot:${environment}`, 'HUB.whole']
    const served = await Promise.all(Array.from({ length: 50 }, () => serve(single(), bindings)))
    expect(served.map(({ response }) => response.status)).toEqual(served.map(() => 503))
    expect(calls.splice(0)).toEqual(both)
    moveClock(1_000)
    expect((await serve(single(), bindings)).response.status).toBe(503)
    expect(calls.splice(0)).toEqual(both)
    moveClock(1_000)
    expect(told((await observe(single(), env)).answer)).toEqual({
      status: 200,
      value: true,
      version: V,
      stale: false,
    })
  })

  it.each([
    ['a single evaluation', () => single()],
    ['a bulk evaluation', () => bulk()],
    ['a bulk evaluation with a hint', () => bulk('?flagConfigEtag=1')],
    ['the snapshot', () => makeRequest('/v1/snapshot', { method: 'GET', key })],
    ['a stream', () => makeRequest(`/ofrep/v1/stream?token=${environment}.k.1.AAAA`, { method: 'GET' })],
  ])('with nothing to reach is answered 503: %s', async (_, makeIt) => {
    const { answer } = await observe(makeIt(), withHub(withKv(env, KV_DOWN), HUB_DOWN))
    expect([answer.status, answer.headers.get('retry-after'), field(answer.body, 'errorCode')]).toEqual([
      503,
      '1',
      'GENERAL',
    ])
  })

  it('with nothing but KV to reach answers from KV, and says that it may be stale until KV confirms it', async () => {
    const { answer } = await observe(single(), withHub(env, { newer: silent, whole: silent }))
    expect(told(answer)).toEqual({ status: 200, value: true, version: V, stale: true })
    const { answer: next } = await observe(single(), withHub(env, HUB_DOWN))
    expect(told(next)).toEqual({ status: 200, value: true, version: V, stale: false })
  })

  it('for an environment that does not exist asks once, however many ask for it', async () => {
    const nowhere = `${environment}-not`
    const stranger = `rp_server_${nowhere}_0123`
    const { bindings, calls } = record(env)
    const knock = () => serve(makeRequest(`${SINGLE}a`, { key: stranger, json: {} }), bindings)
    const served = await Promise.all(Array.from({ length: 50 }, knock))
    expect(served.map(({ response }) => response.status)).toEqual(served.map(() => 401))
    const asked = () => calls.splice(0).filter((call) => call !== 'SIGN_IN_LIMIT.limit')
    expect(asked()).toEqual([`KV.read snapshot:${nowhere}`, 'HUB.whole'])
    moveClock(9_000)
    await knock()
    expect(asked()).toEqual([])
    moveClock(1_000)
    await knock()
    expect(asked()).toEqual([`KV.read snapshot:${nowhere}`, 'HUB.whole'])
  })
})

describe('an isolate that was idle for an hour', () => {
  beforeEach(setUp)

  it('answers its first request, and all that come with it, with what is new', async () => {
    await warm(environment)
    await change()
    moveClock(HOUR_MS)
    const { bindings, calls } = record(env)
    const served = await Promise.all(
      Array.from({ length: 20 }, (_, i) => serve(i % 2 ? single() : bulk(), bindings)),
    )
    const answers = await Promise.all(served.map(({ response }) => read(response)))
    expect(answers.map(({ headers }) => headers.get('x-rampart-version'))).toEqual(
      answers.map(() => String(V + 1)),
    )
    expect(answers.filter((_, i) => i % 2).map(told)).toEqual(
      Array.from({ length: 10 }, () => ({ status: 200, value: false, version: V + 1, stale: false })),
    )
    expect(calls).toEqual(['HUB.newer'])
  })

  it('answers another Worker with what is new', async () => {
    await warm(environment)
    await change()
    moveClock(HOUR_MS)
    expect(await makeFlags(environment, env).flags.getBooleanValue('a', true)).toBe(false)
  })

  it('knows that a key was revoked', async () => {
    const { id, key: revoked } = await createKey(environment)
    await warm(environment)
    await api('DELETE', `/environments/${environment}/keys/${id}`)
    moveClock(HOUR_MS)
    const { response } = await serve(makeRequest(`${SINGLE}a`, { key: revoked, json: {} }), env)
    expect(response.status).toBe(401)
  })
})

describe('a client that has heard of something newer', () => {
  beforeEach(setUp)

  const seconds = () => Math.floor(Date.now() / 1_000)

  it.each([
    ['its version', () => `?flagConfigEtag=${V + 1}`],
    ['its version in quotes', () => `?flagConfigEtag=%22${V + 1}%22`],
    ['its time in seconds', () => `?flagConfigLastModified=${seconds()}`],
    ['its time in words', () => `?flagConfigLastModified=${new Date(Date.now()).toISOString()}`],
    ['both', () => `?flagConfigEtag=${V + 1}&flagConfigLastModified=${seconds()}`],
  ])('by %s is not answered with anything older', async (_, query) => {
    await warm(environment)
    moveClock(2_000)
    await change()
    const { answer, before } = await observe(bulk(query()), env)
    expect([answer.status, answer.headers.get('x-rampart-version'), before]).toEqual([
      200,
      String(V + 1),
      ['HUB.newer'],
    ])
  })

  it.each([
    ['its version is there', () => `?flagConfigEtag=${V}`],
    ['an older version', () => '?flagConfigEtag=1'],
    ['its time is past', () => `?flagConfigLastModified=${seconds() - 60}`],
  ])('costs no call when %s', async (_, query) => {
    await warm(environment)
    const { answer, before, after } = await observe(bulk(query()), env)
    expect([answer.headers.get('x-rampart-version'), before, after]).toEqual([String(V), [], []])
  })

  it('is answered 503 rather than with something older when the hub cannot be reached', async () => {
    await warm(environment)
    const { answer } = await observe(bulk(`?flagConfigEtag=${V + 1}`), withHub(env, HUB_DOWN))
    expect({
      status: answer.status,
      retry: answer.headers.get('retry-after'),
      body: answer.body,
    }).toEqual({
      status: 503,
      retry: '1',
      body: { errorCode: 'GENERAL', errorDetails: 'no snapshot can be reached' },
    })
  })

  it('is answered when the hub cannot be reached but what it has heard of is there', async () => {
    await warm(environment)
    const { answer } = await observe(bulk(`?flagConfigEtag=${V}`), withHub(env, HUB_DOWN))
    expect([answer.status, answer.headers.get('x-rampart-version')]).toEqual([200, String(V)])
  })

  it('by its time is not answered from what KV alone has confirmed, which may be a minute behind', async () => {
    await warm(environment)
    moveClock(31_000)
    const { after } = await observe(single(), withHub(env, HUB_DOWN))
    expect(after).toEqual(['HUB.newer', `KV.read snapshot:${environment}`])
    const query = `?flagConfigLastModified=${seconds() - 5}`
    await change()
    const { answer, before } = await observe(bulk(query), env)
    expect([answer.headers.get('x-rampart-version'), before]).toEqual([String(V + 1), ['HUB.newer']])
  })

  it.each([
    ['version', '?flagConfigEtag=999999999999999'],
    ['time', '?flagConfigLastModified=999999999999'],
  ])('of a forged %s is answered like everybody, for one call', async (_, query) => {
    await warm(environment)
    const { answer, before, after } = await observe(bulk(query), env)
    expect([answer.status, answer.headers.get('x-rampart-version'), before, after]).toEqual([
      200,
      String(V),
      ['HUB.newer'],
      [],
    ])
  })
})

const remove = () => removeEnvironment(environment)

describe('an environment that was deleted', () => {
  beforeEach(setUp)

  const READINGS: readonly (readonly [reading: string, makeIt: () => Request])[] = [
    ['a single evaluation', () => single()],
    ['a bulk evaluation', () => bulk()],
    ['a bulk evaluation with a hint', () => bulk(`?flagConfigEtag=${V + 1}`)],
    ['the snapshot', () => makeRequest('/v1/snapshot', { method: 'GET', key })],
  ]

  it.each(READINGS)('is not answered for once the hub has said so: %s', async (_, makeIt) => {
    await warm(environment)
    await remove()
    await hub().publish()
    moveClock(MAX_UNCONFIRMED_MS + 1_000)
    expect((await observe(makeIt(), env)).answer.status).toBe(401)
    const { answer, before } = await observe(makeIt(), env)
    expect([answer.status, before]).toEqual([401, ['SIGN_IN_LIMIT.limit']])
  })

  it('is not answered for to a client whose hint makes the isolate ask', async () => {
    await warm(environment)
    await remove()
    await hub().publish()
    expect((await observe(bulk(`?flagConfigEtag=${V + 1}`), env)).answer.status).toBe(401)
  })

  it('is dropped after an answer, and has then no values for other Workers', async () => {
    await warm(environment)
    await remove()
    await hub().publish()
    moveClock(31_000)
    const { answer, after } = await observe(single(), env)
    expect([answer.status, after]).toEqual([200, ['HUB.newer']])
    expect(snapshotCache.view(environment)).toBeUndefined()
    const { flags } = makeFlags(environment, env)
    expect(await flags.getBooleanDetails('a', false)).toMatchObject({
      value: false,
      errorCode: 'PROVIDER_NOT_READY',
    })
  })

  it('is answered for while nobody says so: the hub has nothing, cannot be reached, KV has nothing', async () => {
    const { get, move, settled } = await makeWarmCache()
    const nothing = { version: 0, nextCheckMs: CHECK_MS, delta: null }
    const empty = withReadings(env, async () => null)
    for (const methods of [{ newer: async () => nothing }, HUB_DOWN]) {
      move(HOUR_MS)
      expect(await get(withHub(empty, methods))).toMatchObject({ version: V, value: true })
      await settled()
    }
  })

  it('is loaded again when it is made again', async () => {
    const { get, move, settled } = await makeWarmCache()
    await remove()
    await hub().publish()
    move(HOUR_MS)
    expect(await get()).toBe('missing')
    await settled()
    await remakeEnvironment(environment)
    await hub().publish()
    move(9_999)
    expect(await get()).toBe('missing')
    move(1)
    expect(await get()).toEqual({ version: V + 2, value: 'FLAG_NOT_FOUND', stale: false })
    await settled()
  })
})

describe('what an isolate reports', () => {
  beforeEach(setUp)

  /** Bindings whose hub writes down what it is told: version, evaluations and how long they lasted, in seconds. */
  function reporting(bindings: Bindings = env) {
    const reports: unknown[] = []
    const ids = new Set<string | undefined>()
    const newer = (request: NewerRequest) => {
      const { version, report } = request
      ids.add(report?.isolate)
      const spans = report?.entries.map((entry) => {
        return [entry.version, entry.evaluations, Math.round(entry.lastedMs / 1_000)]
      })
      reports.push([version, spans])
      return hub().newer(request)
    }
    return { reports, ids, bindings: withHub(bindings, { newer }) }
  }

  it('is how many flags it has evaluated since it last asked, at which version and for how long', async () => {
    await warm(environment)
    const { reports, ids, bindings } = reporting()
    await observe(single(), bindings)
    await observe(bulk(), bindings)
    await observe(makeRequest('/v1/snapshot', { method: 'GET', key }), bindings)
    await makeFlags(environment, bindings).flags.getBooleanValue('a', false)
    moveClock(31_000)
    await observe(single(), bindings)
    moveClock(31_000)
    await observe(bulk(), bindings)
    expect(reports).toEqual([
      [V, [[V, 5, 31]]],
      [V, [[V, 2, 0]]],
    ])
    expect([...ids]).toEqual([expect.stringMatching(/^[0-9a-f]{12}$/)])
    snapshotCache.clear()
    await observe(single(), bindings)
    expect(ids.size).toBe(2)
  })

  it('is told later when the hub could not be reached', async () => {
    await warm(environment)
    const { reports, bindings } = reporting()
    await observe(single(), bindings)
    moveClock(31_000)
    await observe(single(), withHub(env, HUB_DOWN))
    moveClock(31_000)
    await observe(single(), bindings)
    expect(reports).toEqual([
      [
        V,
        [
          [V, 2, 31],
          [V, 1, 0],
        ],
      ],
    ])
  })

  it('is told later when the request that told it was cut off', async () => {
    const { get, move, cutOff, settled } = await makeWarmCache()
    move(30_000)
    await get(withHub(env, { newer: silent }))
    await scheduler.wait(10)
    cutOff()
    move(LEASE_MS)
    const { reports, bindings } = reporting()
    await get(bindings)
    await settled()
    expect(reports).toEqual([
      [
        V,
        [
          [V, 2, 30],
          [V, 1, 0],
        ],
      ],
    ])
  })

  it('is never an evaluation of an older version as one of a newer version', async () => {
    await warm(environment)
    const { reports, bindings } = reporting()
    await observe(bulk(), bindings)
    await change()
    await flushKv(environment)
    moveClock(31_000)
    await observe(bulk(), withHub(env, HUB_DOWN))
    await observe(single(), bindings)
    moveClock(31_000)
    await observe(single(), bindings)
    expect(reports).toEqual([
      [
        V + 1,
        [
          [V, 4, 32],
          [V + 1, 2, 31],
        ],
      ],
    ])
  })

  it('is of the older version what a request answers from it although a newer one has come meanwhile', async () => {
    const { cache, get, move, waitUntil, settled } = await makeWarmCache()
    const old = cache.view(environment)?.environment.flags
    await change()
    await flushKv(environment)
    move(30_000)
    await get(withHub(env, HUB_DOWN))
    await settled()
    expect(await get()).toMatchObject({ version: V + 1 })
    if (old) cache.settle(env, old, 5, waitUntil)
    move(30_000)
    const { reports, bindings } = reporting()
    await get(bindings)
    await settled()
    expect(reports).toEqual([
      [
        V + 1,
        [
          [V, 2, 30],
          [V + 1, 2, 30],
          [V, 5, 0],
        ],
      ],
    ])
  })
})

describe('how a change spreads', () => {
  beforeAll(stopClock)
  beforeEach(setUp)

  /** Isolates with clocks of their own, which answer so many flags every second. */
  function makeIsolates<Name extends string>(rates: { readonly [name in Name]: number }) {
    const isolates = new Map<string, ReturnType<typeof makeCache>>()
    return {
      /** Lets a second pass, and each isolate that has started answer at its end. */
      async second(bindings?: Bindings) {
        moveClock(1_000)
        for (const [name, { get, move, settled }] of isolates) {
          move(1_000)
          await Promise.all(Array.from({ length: rates[name as Name] }, () => get(bindings)))
          await settled()
        }
      },
      async start(name: Name) {
        const made = makeCache()
        made.move(isolates.size * 98_765_432)
        isolates.set(name, made)
        await made.get()
        await made.settled()
      },
    }
  }

  const propagation = async () => {
    const spread = await hub().propagation()
    if (!spread) throw new Error('there was no change')
    return spread
  }

  it('is seen in each second, whenever isolates ask and whatever their clocks say', async () => {
    const { start, second } = makeIsolates({ a: 1, b: 2, c: 17 })
    // Each asks every six seconds: with its first answer that comes more than five seconds after it has last asked.
    const starts = { 0: 'a', 2: 'b', 4: 'c' } as const
    for (let at = 0; at <= 24; at++) {
      if (at > 0) await second()
      if (at === 0 || at === 2 || at === 4) await start(starts[at])
      if (at === 13) await change()
    }
    // What is answered at the ends of six seconds is told as a span of five: 1.2, 2.4 and 20.4 a second.
    const { timeline, reached, isolates, sharesAt, ...rest } = await propagation()
    const expected = [
      // `a` asks five seconds after the change, `b` one second after it, and `c` three.
      [24, 0],
      [21.6, 0],
      [24, 0.1],
      [3.6, 2 / 3],
      [24, 0.95],
      [22.8, 1],
      [24, 1],
      [21.6, 1],
      [21.6, 1],
      [1.2, 1],
      [1.2, 1],
    ]
    expect(timeline.map(({ evaluations, share }) => [evaluations, share])).toEqual(
      expected.map(([evaluations = 0, share = 0]) => [
        expect.closeTo(evaluations, 9),
        expect.closeTo(share, 9),
      ]),
    )
    expect(rest).toMatchObject({ version: V + 1, reportedEvaluations: expect.closeTo(189.6, 9) })
    const seconds = [reached.half, reached.p90, reached.p99, reached.all].map((share) => share?.second)
    expect([seconds, isolates]).toEqual([[3, 4, 5, 5], { known: 3, current: 3, lost: 0 }])
    expect(sharesAt.slice(0, 3).map(({ share }) => share)).toEqual([0, 1, 1])
    expect(timeline.map(({ unreportedShare }) => unreportedShare > 0)).toEqual(
      expected.map((_, second) => second >= 7),
    )
  })

  it('counts a report once whose answer was lost', async () => {
    const { start, second } = makeIsolates({ a: 3 })
    await start('a')
    await change()
    const newer = async (request: NewerRequest) => {
      await hub().newer(request)
      throw new Error('the connection was lost')
    }
    for (let i = 0; i < 6; i++) await second(withHub(env, { newer }))
    expect((await propagation()).reportedEvaluations).toBeCloseTo(1 + 6 * 3, 9)
    // KV has confirmed the old version, so that the hub is asked again after more than ten seconds.
    for (let i = 0; i < 11; i++) await second()
    const { reportedEvaluations, reached } = await propagation()
    expect([reportedEvaluations, reached.half]).toEqual([expect.closeTo(1 + 17 * 3, 9), null])
  })

  it('is known although the hub was evicted', async () => {
    const { start, second } = makeIsolates({ a: 3 })
    // What is reported within five seconds of what was last written waits, and is lost with the hub.
    moveClock(5_000)
    await start('a')
    await change()
    for (let i = 0; i < 6; i++) await second()
    const before = await propagation()
    expect([before.reportedEvaluations, before.isolates]).toEqual([
      expect.closeTo(1 + 6 * 3, 9),
      { known: 1, current: 0, lost: 0 },
    ])
    await evictDurableObject(env.HUB.getByName(environment))
    expect(await propagation()).toEqual(before)
    for (let i = 0; i < 6; i++) await second()
    const after = await propagation()
    expect([after.reportedEvaluations, after.isolates, after.reached.all?.second]).toEqual([
      expect.closeTo(1 + 12 * 3, 9),
      { known: 1, current: 1, lost: 0 },
      7,
    ])
  })

  it('is told rightly afterwards by isolates that got it from KV because the hub was down', async () => {
    const { start, second } = makeIsolates({ a: 3 })
    await start('a')
    await change()
    // Takes a second, so that all that the isolate answers is a second later than it is for itself.
    await flushKv(environment)
    for (let i = 0; i < 10; i++) await second(withHub(env, HUB_DOWN))
    expect((await propagation()).reportedEvaluations).toBe(0)
    for (let i = 0; i < 7; i++) await second()
    const { timeline, isolates, reached } = await propagation()
    expect(timeline.map(({ evaluations, share }) => [evaluations, share])).toEqual([
      [0, null],
      ...[1, 2, 3, 4, 5, 6].map(() => [expect.closeTo((1 + 6 * 3) / 6, 9), 0]),
      [0, null],
      ...[8, 9, 10, 11, 12, 13, 14, 15, 16, 17].map(() => [expect.closeTo((11 * 3) / 10, 9), 1]),
    ])
    expect([isolates, reached.all]).toEqual([
      { known: 1, current: 1, lost: 0 },
      { second: 8, unreportedShare: 0 },
    ])
  })
})
