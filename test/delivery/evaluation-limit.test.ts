import { env } from 'cloudflare:workers'
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Bindings } from '../../src/bindings.ts'
import { countRequest } from '../../src/delivery/evaluation-limit.ts'
import { snapshotCache } from '../../src/delivery/snapshot-cache.ts'
import {
  BULK,
  configure,
  createEnvironment,
  createFlag,
  createKey,
  makeFlags,
  makeRequest,
  moveClock,
  override,
  read,
  SINGLE,
  serve,
  silenceLogs,
  silent,
  stopClock,
  unreachable,
  warm,
} from '../support/worker.ts'

const WINDOW_MS = 10_000
const JSON_TYPE = { 'content-type': 'application/json' }

let environment = ''
let key: { readonly id: string; readonly key: string }

silenceLogs()
beforeAll(() => createFlag('a'))

/** Each test has a key of its own, and begins where a window of the limit does. */
beforeEach(async () => {
  stopClock()
  moveClock(WINDOW_MS - (Date.now() % WINDOW_MS))
  environment = await createEnvironment()
  await configure(environment, 'a')
  key = await createKey(environment)
  await warm(environment)
})

/** Bindings whose limit answers what it is told, and what it was asked. */
function limiting(limit: () => Promise<{ success: boolean }>) {
  const asked: unknown[] = []
  const asking = (options: unknown) => {
    asked.push(options)
    return limit()
  }
  const bindings: Bindings = { ...env, EVALUATION_LIMIT: override(env.EVALUATION_LIMIT, { limit: asking }) }
  return { bindings, asked }
}

const allow = async () => ({ success: true })
const refuse = async () => ({ success: false })

const single = (by = key.key) => makeRequest(`${SINGLE}a`, { key: by, json: {} })
const bulk = (by = key.key) => makeRequest(BULK, { key: by, json: {} })

async function statusOf(request: Request, bindings: Bindings): Promise<number> {
  const { response, settled } = await serve(request, bindings)
  await response.body?.cancel()
  await settled()
  return response.status
}

/** Counts as many requests of a key without sending them: a unit of the limit is a thousand. */
async function count(requests: number, bindings: Bindings, id = key.id): Promise<void> {
  const record = snapshotCache.view(environment)?.environment.keys.get(id)
  if (!record) throw new Error('the key is not in memory')
  const pending: Promise<unknown>[] = []
  for (let i = 0; i < requests; i++) {
    expect(countRequest(bindings, record, Date.now(), (work) => void pending.push(work))).toBe(0)
  }
  await Promise.all(pending)
}

/** Sends as many requests, one after the other; the statuses that came back. */
async function send(count: number, bindings: Bindings, make: () => Request = single): Promise<Set<number>> {
  const statuses = new Set<number>()
  for (let i = 0; i < count; i++) statuses.add(await statusOf(make(), bindings))
  return statuses
}

describe('evaluation requests', () => {
  it.each([
    ['single', single, 200],
    ['bulk', bulk, 200],
    [
      'with a body that is no JSON',
      () => makeRequest(BULK, { key: key.key, body: '{', headers: JSON_TYPE }),
      400,
    ],
    ['of no flag', () => makeRequest(`${SINGLE}b`, { key: key.key }), 404],
  ])('are counted by key, a thousand at a time: %s', async (_, make, status) => {
    const { bindings, asked } = limiting(allow)
    await count(996, bindings)
    expect([await send(3, bindings, make), asked]).toEqual([new Set([status]), []])
    await send(1, bindings, make)
    expect(asked).toEqual([{ key: key.id }])
    await count(996, bindings)
    await send(3, bindings, make)
    expect(asked).toHaveLength(1)
    await send(1, bindings, make)
    expect(asked).toEqual([{ key: key.id }, { key: key.id }])
  })

  it('are counted together, whichever they are, and apart for each key', async () => {
    const other = await createKey(environment)
    await warm(environment)
    const { bindings, asked } = limiting(allow)
    await count(990, bindings)
    await send(5, bindings)
    await count(990, bindings, other.id)
    await send(9, bindings, () => bulk(other.key))
    expect(asked).toEqual([])
    await send(5, bindings, bulk)
    expect(asked).toEqual([{ key: key.id }])
    await send(1, bindings, () => single(other.key))
    expect(asked).toEqual([{ key: key.id }, { key: other.id }])
  })

  it.each([
    ['the snapshot', () => makeRequest('/v1/snapshot', { method: 'GET', key: key.key })],
    ['a request with a wrong key', () => bulk(`${key.key}0`)],
  ])('are not those of %s', async (_, make) => {
    const { bindings, asked } = limiting(allow)
    await count(999, bindings)
    await send(3, bindings, make)
    expect(asked).toEqual([])
    await send(1, bindings)
    expect(asked).toHaveLength(1)
  })

  it('are not those that come over a service binding', async () => {
    const { bindings, asked } = limiting(allow)
    const { flags, settled } = makeFlags(environment, bindings)
    await count(999, bindings)
    for (let i = 0; i < 3; i++) await flags.getBooleanValue('a', false)
    await settled()
    expect(asked).toEqual([])
    await send(1, bindings)
    expect(asked).toHaveLength(1)
  })

  it('wait for no limit, even one that never answers', async () => {
    const { bindings, asked } = limiting(silent)
    await count(999, bindings)
    const { response } = await serve(single(), bindings)
    expect(response.status).toBe(200)
    await vi.waitFor(() => expect(asked).toHaveLength(1))
    expect((await serve(single(), bindings)).response.status).toBe(200)
  })

  it('are all let in while the limit cannot be asked', async () => {
    const { bindings, asked } = limiting(unreachable)
    for (const units of [1, 2]) {
      await count(999, bindings)
      expect([await send(1, bindings), asked.length]).toEqual([new Set([200]), units])
    }
    expect(await send(1, bindings)).toEqual(new Set([200]))
  })
})

describe('a key beyond its limit', () => {
  /** Uses a key up: its thousandth request is still answered. */
  async function useUp(bindings: Bindings): Promise<void> {
    await count(999, bindings)
    expect(await send(1, bindings)).toEqual(new Set([200]))
  }

  it.each([
    ['single', single, { key: 'a' }],
    ['bulk', bulk, {}],
  ])('is refused in OFREP, with whole seconds to wait: %s', async (_, make, named) => {
    const { bindings } = limiting(refuse)
    await useUp(bindings)
    const version = (await serve(makeRequest('/v1/snapshot', { method: 'GET', key: key.key }), env)).response
      .headers
    const { status, headers, body } = await read((await serve(make(), bindings)).response)
    expect({ status, body }).toEqual({
      status: 429,
      body: { ...named, errorCode: 'GENERAL', errorDetails: 'too many evaluations with this key' },
    })
    const sent = ['retry-after', 'content-type', 'cache-control', 'access-control-allow-origin']
    expect(sent.map((name) => headers.get(name))).toEqual([
      '10',
      'application/json; charset=utf-8',
      'no-store',
      '*',
    ])
    const exposed = ['access-control-expose-headers', 'x-rampart-version']
    expect(exposed.map((name) => headers.get(name))).toEqual(exposed.map((name) => version.get(name)))
  })

  it.each([
    [0, 429, '10'],
    [1, 429, '10'],
    [9_000, 429, '1'],
    [9_999, 429, '1'],
    [10_000, 200, null],
  ])('is refused until the window is over: %i ms into it', async (elapsed, status, seconds) => {
    const { bindings } = limiting(refuse)
    await useUp(bindings)
    moveClock(elapsed)
    const { response } = await serve(bulk(), bindings)
    expect([response.status, response.headers.get('retry-after')]).toEqual([status, seconds])
  })

  it('is refused only from the answer of the limit on, to the end of that window', async () => {
    moveClock(7_500)
    const { bindings } = limiting(refuse)
    await useUp(bindings)
    const { response } = await serve(single(), bindings)
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '3'])
    moveClock(2_500)
    expect(await statusOf(single(), bindings)).toBe(200)
  })

  it('makes nobody ask while it is refused, and is counted on afterwards', async () => {
    const { bindings, asked } = limiting(refuse)
    await useUp(bindings)
    expect(await send(3, bindings)).toEqual(new Set([429]))
    expect(asked).toHaveLength(1)
    moveClock(WINDOW_MS)
    await useUp(bindings)
    expect(asked).toHaveLength(2)
    expect(await send(1, bindings)).toEqual(new Set([429]))
  })

  it('hinders no other key, and may still fetch the snapshot', async () => {
    const other = await createKey(environment)
    await warm(environment)
    const { bindings } = limiting(refuse)
    await useUp(bindings)
    expect([
      await statusOf(bulk(), bindings),
      await statusOf(bulk(other.key), bindings),
      await statusOf(makeRequest('/v1/snapshot', { method: 'GET', key: key.key }), bindings),
    ]).toEqual([429, 200, 200])
  })

  it('is refused by the limit that wrangler.toml binds, after a hundred thousands', async () => {
    for (let unit = 0; unit < 100; unit++) await env.EVALUATION_LIMIT.limit({ key: key.id })
    await useUp(env)
    expect(await statusOf(single(), env)).toBe(429)
  })
})
