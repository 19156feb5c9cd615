import { env, exports } from 'cloudflare:workers'
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { snapshotCache } from '../../src/delivery/snapshot-cache.ts'
import { epochOf, parseStreamToken, signStreamToken } from '../../src/delivery/stream-token.ts'
import { saveExpiry } from '../support/entities.ts'
import {
  api,
  ask,
  configure,
  createEnvironment,
  createFlag,
  createKey,
  evaluateAll,
  field,
  makeRequest,
  moveClock,
  record,
  serve,
  warm,
} from '../support/worker.ts'

const HOUR_MS = 3_600_000
const PATH = '/ofrep/v1/stream?token='

let environment = ''
let key: { readonly id: string; readonly key: string }
let token = ''

/** The token in the address of a bulk answer's stream. */
async function tokenOf(evaluationKey: string): Promise<string> {
  const { body } = await evaluateAll(evaluationKey)
  const [stream] = [field(body, 'eventStreams')].flat()
  const uri = String(field(field(stream, 'endpoint'), 'requestUri'))
  expect(uri.startsWith(PATH)).toBe(true)
  return uri.slice(PATH.length)
}

beforeAll(() => createFlag('a'))

/** An environment with the flag `a`, at version 3, and a key of it. */
async function setUp(): Promise<void> {
  environment = await createEnvironment()
  await configure(environment, 'a')
  key = await createKey(environment)
  await warm(environment)
  token = await tokenOf(key.key)
}

const opened: ReadableStreamDefaultReader<Uint8Array>[] = []

afterEach(async () => {
  await Promise.all(opened.splice(0).map((reader) => reader.cancel()))
})

/** Opens a stream; `next` reads it message by message, as they stand between empty lines. */
async function open(headers: { readonly [name: string]: string } = {}) {
  return follow(await exports.default.fetch(makeRequest(PATH + token, { method: 'GET', headers })))
}

function follow(response: Response) {
  if (!response.body) throw new Error(`no stream: ${response.status}`)
  const reader = response.body.getReader()
  opened.push(reader)
  const decoder = new TextDecoder()
  let text = ''
  /** The next message; undefined at the end of the stream. */
  async function next(): Promise<string | undefined> {
    for (;;) {
      const end = text.indexOf('\n\n')
      if (end >= 0) {
        const message = text.slice(0, end)
        text = text.slice(end + 2)
        return message
      }
      const { done, value } = await reader.read()
      if (done) return undefined
      text += decoder.decode(value, { stream: true })
    }
  }
  return { response, next }
}

/** A change notice, read. */
function parse(message: string | undefined) {
  const lines = (message ?? '').split('\n')
  const [id, event, data] = ['id: ', 'event: ', 'data: '].map((name) =>
    lines.find((line) => line.startsWith(name))?.slice(name.length),
  )
  return { lines: lines.length, id, event, data: data === undefined ? undefined : JSON.parse(data) }
}

function notice(version: number) {
  const data = { type: 'refetchEvaluation', etag: String(version), lastModified: expect.any(Number) }
  return { lines: 3, id: String(version), event: 'message', data }
}

describe('a stream', () => {
  beforeEach(setUp)

  it('says at once which version there is, and where to come back after it ends', async () => {
    const before = Math.floor(Date.now() / 1_000)
    const { response, next } = await open()
    const [, retry] = /^retry: (\d+)$/.exec((await next()) ?? '') ?? []
    expect(Number(retry)).toBeGreaterThanOrEqual(1_000)
    expect(Number(retry)).toBeLessThan(5_000)
    const first = parse(await next())
    expect(first).toEqual(notice(3))
    expect(first.data.lastModified).toBeGreaterThanOrEqual(before)
    expect(first.data.lastModified).toBeLessThanOrEqual(Math.floor(Date.now() / 1_000))
    const headers = ['content-type', 'cache-control', 'access-control-allow-origin', 'x-rampart-version']
    expect([response.status, ...headers.map((name) => response.headers.get(name))]).toEqual([
      200,
      'text/event-stream',
      'no-store',
      '*',
      '3',
    ])
  })

  it('says so too when the client has last heard of an older version', async () => {
    const { next } = await open({ 'last-event-id': '2' })
    await next()
    expect(parse(await next()).id).toBe('3')
  })

  it('says nothing new to a client that has heard of this version, until there is one', async () => {
    const { next } = await open({ 'last-event-id': '3' })
    await next()
    await configure(environment, 'a', { fallthrough: { variant: 'off' } }, 2)
    moveClock(5_000)
    expect(parse(await next())).toEqual(notice(4))
    await configure(environment, 'a', { fallthrough: { variant: 'on' } }, 3)
    moveClock(5_000)
    expect(parse(await next())).toEqual(notice(5))
  })

  it('says of a version that the isolate has learned of otherwise within a second', async () => {
    const { next } = await open({ 'last-event-id': '3' })
    await next()
    await configure(environment, 'a', { fallthrough: { variant: 'off' } }, 2)
    await warm(environment)
    const started = performance.now()
    expect(parse(await next()).id).toBe('4')
    expect(performance.now() - started).toBeLessThan(2_500)
  })

  it('asks the hub itself when nobody else does, no more than every five seconds', async () => {
    const { bindings, calls } = record(env)
    const request = makeRequest(PATH + token, { method: 'GET', headers: { 'last-event-id': '3' } })
    const { next } = follow((await serve(request, bindings)).response)
    await next()
    expect(calls).toEqual([])
    moveClock(5_000)
    await vi.waitFor(() => expect(calls).toEqual(['HUB.newer']), 3_000)
    await scheduler.wait(1_200)
    expect(calls).toEqual(['HUB.newer'])
    moveClock(5_000)
    await vi.waitFor(() => expect(calls).toEqual(['HUB.newer', 'HUB.newer']), 3_000)
  })

  it('gives a sign of life after a quarter of a minute, and ends after four minutes', async () => {
    const { next } = await open({ 'last-event-id': '3' })
    await next()
    moveClock(15_000)
    expect(await next()).toBe(': still here')
    moveClock(225_000)
    expect(await next()).toBeUndefined()
  })

  it('ends at its next look once its key has ended', async () => {
    await saveExpiry(environment, key, Date.now() + 10_000)
    await warm(environment)
    const { next } = await open({ 'last-event-id': '4' })
    await next()
    moveClock(10_000)
    const started = performance.now()
    expect(await next()).toBeUndefined()
    expect(performance.now() - started).toBeLessThan(2_500)
  })

  it.each([
    ['revoked', () => api('DELETE', `/environments/${environment}/keys/${key.id}`)],
    ['made to end', () => saveExpiry(environment, key, Date.now())],
  ])('ends, and says nothing more, once its key is %s', async (_, change) => {
    const { next } = await open({ 'last-event-id': '3' })
    await next()
    await change()
    await warm(environment)
    expect(await next()).toBeUndefined()
  })

  it('can be opened again where it ended, and misses nothing', async () => {
    const first = await open()
    await first.next()
    const { id } = parse(await first.next())
    moveClock(240_000)
    await configure(environment, 'a', { fallthrough: { variant: 'off' } }, 2)
    let message = await first.next()
    while (message !== undefined) message = await first.next()
    const second = await open({ 'last-event-id': id ?? '' })
    await second.next()
    expect(parse(await second.next())).toEqual(notice(4))
  })

  it('leads to the evaluation that it announces', async () => {
    const { next } = await open({ 'last-event-id': '3' })
    await next()
    await configure(environment, 'a', { fallthrough: { variant: 'off' } }, 2)
    moveClock(5_000)
    const { etag, lastModified } = parse(await next()).data
    const hint = `flagConfigEtag=${etag}&flagConfigLastModified=${lastModified}`
    const { status, headers, body } = await ask(`/ofrep/v1/evaluate/flags?${hint}`, {
      key: key.key,
      json: {},
    })
    const [flag] = [field(body, 'flags')].flat()
    expect([status, headers.get('x-rampart-version'), field(flag, 'value')]).toEqual([200, '4', false])
  })
})

describe('a token', () => {
  beforeEach(setUp)

  async function statusOf(text: string): Promise<number> {
    const response = await exports.default.fetch(makeRequest(PATH + text, { method: 'GET' }))
    await response.body?.cancel()
    return response.status
  }

  it('is good as it stands in a bulk answer, and holds neither the key nor its hash', async () => {
    expect(await statusOf(token)).toBe(200)
    const secret = key.key.slice(key.key.lastIndexOf('_') + 1)
    expect(token).not.toContain(secret)
    expect(parseStreamToken(token)).toEqual({
      environment,
      keyId: key.id,
      epoch: epochOf(Date.now()),
      signature: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
    })
  })

  it('is the same for all of an epoch and another one in the next', async () => {
    expect(await tokenOf(key.key)).toBe(token)
    moveClock(6 * HOUR_MS)
    await warm(environment)
    expect(await tokenOf(key.key)).not.toBe(token)
  })

  it('is another one for another key', async () => {
    const other = await createKey(environment, 'client')
    await warm(environment)
    expect(await tokenOf(other.key)).not.toBe(token)
  })

  it('is good for the epoch that made it and the three after it, so that coming back works', async () => {
    const seen = []
    for (let epochs = 0; epochs < 5; epochs++) {
      seen.push(await statusOf(token))
      moveClock(6 * HOUR_MS)
    }
    expect(seen).toEqual([200, 200, 200, 200, 401])
  })

  it('of an epoch that is still to come is refused, though its signature is right', async () => {
    const view = snapshotCache.view(environment)
    const record = view?.environment.keys.get(key.id)
    if (!view || !record) throw new Error('the snapshot is not there')
    const epoch = epochOf(Date.now())
    const signed = await Promise.all(
      [epoch, epoch + 1].map((each) => signStreamToken(view.environment, record, each)),
    )
    expect(signed[0]).toBe(token)
    expect(await Promise.all(signed.map(statusOf))).toEqual([200, 401])
  })

  it('is refused once its key is revoked', async () => {
    expect(await statusOf(token)).toBe(200)
    await api('DELETE', `/environments/${environment}/keys/${key.id}`)
    await warm(environment)
    expect(await statusOf(token)).toBe(401)
  })

  it('is refused once its key has ended, and good until then', async () => {
    await saveExpiry(environment, key, Date.now() + 60_000)
    await warm(environment)
    expect(await statusOf(token)).toBe(200)
    moveClock(60_000)
    expect(await statusOf(token)).toBe(401)
  })

  it('of one environment is refused by another', async () => {
    const other = await createEnvironment()
    const stranger = await createKey(other)
    await warm(other)
    const foreign = await tokenOf(stranger.key)
    const [, id, epoch, signature] = token.split('.')
    expect([
      await statusOf(`${other}.${id}.${epoch}.${signature}`),
      await statusOf(`${environment}.${foreign.split('.').slice(1).join('.')}`),
      await statusOf(foreign),
    ]).toEqual([401, 401, 200])
  })
})

describe("what stands in a token's place", () => {
  beforeAll(setUp)

  it.each([
    ['nothing', () => ''],
    ['the key itself', () => key.key],
    ['a part of it', () => token.slice(0, -1)],
    ['more than it', () => `${token}A`],
    ['another signature', () => `${token.slice(0, -43)}${'A'.repeat(43)}`],
    ['no signature', () => token.slice(0, -43)],
    ['a signature that is no base64', () => `${token.slice(0, -43)}%25%25%25`],
    ['another key', () => token.replace(/\.key-[0-9a-f]+\./, `.key-${'0'.repeat(16)}.`)],
    ['another epoch', () => token.replace(/\.(\d+)\./, (_, epoch) => `.${Number(epoch) - 1}.`)],
    ['an epoch beyond all bounds', () => token.replace(/\.\d+\./, '.999999999999.')],
    ['an epoch that is no number', () => token.replace(/\.\d+\./, '.NaN.')],
    ['an environment that cannot be', () => token.replace(/^[^.]+/, '__proto__')],
    ['an environment that does not exist', () => token.replace(/^[^.]+/, 'nowhere')],
    ['a part too many', () => `${token}.x`],
    ['dots', () => '...'],
  ])('is refused with 401 and no body: %s', async (_, make) => {
    const answer = await ask(PATH + make(), { method: 'GET' })
    expect([answer.status, answer.body]).toEqual([401, null])
  })

  it('is refused without one, even with a key', async () => {
    const answer = await ask('/ofrep/v1/stream', { method: 'GET', key: key.key })
    expect([answer.status, answer.body]).toEqual([401, null])
  })
})
