import { createExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { openEnvironment } from '../../../src/catalog/environment-snapshot.ts'
import { hubOf } from '../../../src/catalog/hub-protocol.ts'
import { authenticate, keyOf } from '../../../src/delivery/authenticate.ts'
import { countRequest } from '../../../src/delivery/evaluation-limit.ts'
import { planOf } from '../../../src/telemetry/counting-plan.ts'
import { createEventRoutes } from '../../../src/telemetry/events/event-routes.ts'
import { signTag } from '../../../src/telemetry/events/tag.ts'
import { createUnitHasher, shardIndexOf } from '../../../src/telemetry/events/unit.ts'
import type { Taken } from '../../../src/telemetry/shard-protocol.ts'
import { EVENTS, gzip, listening, makeBatch, makeBatchId, send } from '../../support/events.ts'
import { measure } from '../../support/measurements.ts'
import {
  ask,
  createEnvironment,
  createFlag,
  createKey,
  makeRequest,
  override,
  read,
  silenceLogs,
  silent,
  stopClock,
  unreachable,
  warm,
} from '../../support/worker.ts'

const HOUR_MS = 3_600_000
const MIB = 1024 * 1024
const TRACK = { kind: 'track', name: 'purchase', unit: 'ada' }
const TEXT = { 'content-type': 'text/plain;charset=UTF-8' }
const JSON_TYPE = { 'content-type': 'application/json' }

let environment = ''
let server = ''
let client = ''
let measurement = ''

silenceLogs()
beforeAll(async () => {
  stopClock()
  await createFlag('checkout')
  environment = await createEnvironment()
  server = (await createKey(environment)).key
  client = (await createKey(environment, 'client')).key
  measurement = await measure(environment, {
    flag: 'checkout',
    metrics: [{ key: 'load', kind: 'latency' }],
    slices: ['plan', 'cf.country', 'device.class'],
  })
  await warm(environment)
})

async function snapshot() {
  const opened = openEnvironment(environment, (await hubOf(env, environment).whole()) ?? '')
  if (!opened.ok) throw new Error(opened.error)
  return opened.value
}

describe('events', () => {
  it('reach the homes of their units, and are answered when they are there', async () => {
    const { bindings, told } = listening()
    const at = Date.now() - HOUR_MS
    const events = [
      { kind: 'exposure', flag: 'checkout', variant: 'on', unit: 'ada', at: new Date(at).toISOString() },
      { kind: 'track', name: 'purchase', unit: { company: 7, user: 'bob' }, value: 9.5 },
      { kind: 'measure', name: 'load', value: 120, flag: 'checkout', variant: 'on' },
    ]
    const { status, headers, body } = await send(bindings, { key: server, json: makeBatch(events) })
    expect([status, body]).toEqual([202, { accepted: 3, rejected: [] }])
    const { settings, version } = await snapshot()
    const known = ['content-type', 'cache-control', 'access-control-allow-origin', 'x-rampart-version']
    expect(known.map((name) => headers.get(name))).toEqual([
      'application/json',
      'no-store',
      '*',
      String(version),
    ])

    const hash = createUnitHasher(settings.signingSecret)
    const empty = { name: '', flag: '', variant: '', tag: null, automatic: false, slices: null }
    const flag = { flag: 'checkout', variant: 'on' }
    const sent = { ...empty, trusted: true, primary: true, home: true, at: Date.now(), value: Number.NaN }
    const unitOf = (kind: string, name: string) => ({ unitKind: kind, unit: hash(kind, name) })
    const copies = told.flatMap(({ events }) => events)
    expect(copies).toHaveLength(4)
    expect(copies).toEqual(
      expect.arrayContaining([
        { ...sent, ...flag, ...unitOf('user', 'ada'), kind: 'exposure', at },
        { ...sent, ...unitOf('company', '7'), kind: 'track', name: 'purchase', value: 9.5 },
        { ...sent, ...unitOf('user', 'bob'), kind: 'track', name: 'purchase', value: 9.5, primary: false },
        {
          ...sent,
          ...flag,
          kind: 'measure',
          name: 'load',
          value: 120,
          unitKind: '',
          unit: null,
          home: false,
        },
      ]),
    )
    for (const { shard, events } of told) {
      for (const { unit } of events) {
        if (unit !== null) expect(shard).toBe(`${environment}:${shardIndexOf(unit, 2)}`)
      }
    }
  })

  it('are checked each by itself', async () => {
    const { bindings, told } = listening()
    const events = [TRACK, { ...TRACK, name: '' }, 7, { kind: 'measure', name: 'load', value: -1 }]
    const { status, body } = await send(bindings, { key: server, json: makeBatch(events) })
    expect([status, body]).toEqual([
      202,
      {
        accepted: 1,
        rejected: [
          { index: 1, code: 'invalid_name', message: 'the name must be a text of 1 to 200 characters' },
          { index: 2, code: 'invalid_event', message: 'an event must be an object' },
          { index: 3, code: 'negative_latency', message: 'the value is a latency, which is not negative' },
        ],
      },
    ])
    expect(told.flatMap(({ events }) => events)).toHaveLength(1)
  })

  it('that are all refused trouble no shard', async () => {
    const { bindings, told } = listening()
    const { status, body } = await send(bindings, { key: server, json: makeBatch([{}]) })
    expect([status, body, told]).toEqual([202, expect.objectContaining({ accepted: 0 }), []])
  })

  it('of a client are believed under a tag that its unit was given, and in what the edge knows', async () => {
    const { bindings, told } = listening()
    const tag = signTag(await snapshot(), `${measurement}.0.1.t`, 'ada', Date.now())
    const exposure = { kind: 'exposure', flag: 'checkout', variant: 'on', unit: 'ada', tag }
    const attributes = { plan: 'pro', 'cf.country': 'FR', device: { class: 'desktop' } }
    const events = [{ ...exposure, attributes }, TRACK, { ...TRACK, unit: 'bob', tag }]
    const headers = { 'user-agent': 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Mobile/15E148' }
    await send(bindings, { key: client, json: makeBatch(events), headers, cf: { country: 'DE' } })
    const copies = told.flatMap(({ events }) => events)
    expect(copies).toHaveLength(3)
    expect(copies).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          trusted: true,
          tag: { id: measurement, stage: 0, stratum: '1', arm: 't' },
          slices: ['pro', 'DE', 'mobile'],
        }),
        expect.objectContaining({ kind: 'track', trusted: false, tag: null }),
        expect.objectContaining({ kind: 'track', trusted: false, tag: null }),
      ]),
    )
  })
})

describe('a body', () => {
  const batch = () => JSON.stringify(makeBatch([TRACK]))
  const accepted = { accepted: 1, rejected: [] }

  it('may be packed', async () => {
    const { bindings, told } = listening()
    const headers = { ...JSON_TYPE, 'content-encoding': 'gzip' }
    const events = Array.from({ length: 5_000 }, () => ({ ...TRACK, unit: 'x'.repeat(100) }))
    const body = await gzip(JSON.stringify(makeBatch(events)))
    const { status, body: answered } = await send(bindings, { key: server, headers, body })
    expect([status, answered]).toEqual([202, { accepted: 5_000, rejected: [] }])
    expect(told.flatMap(({ events }) => events)).toHaveLength(5_000)
  })

  it('of a page that cannot send headers holds its key', async () => {
    const { bindings } = listening()
    for (const headers of [TEXT, JSON_TYPE, {}]) {
      const body = JSON.stringify(makeBatch([TRACK], { key: client }))
      expect(await send(bindings, { headers, body })).toMatchObject({ status: 202, body: accepted })
    }
  })

  it.each([
    ['a server key', () => ({ key: server })],
    ['a key that is not known', () => ({ key: `${client}0` })],
    ['a key that is no text', () => ({ key: [client] })],
    ['no key', () => ({})],
  ])('that holds %s lets nobody in', async (_, more) => {
    const { bindings, told } = listening()
    const body = JSON.stringify(makeBatch([TRACK], more()))
    const answer = await send(bindings, { headers: TEXT, body })
    expect([answer.status, answer.body, told]).toEqual([
      401,
      {
        error: {
          code: 'unauthorized',
          message: 'a server key or a client key is needed; in the body, a client key',
        },
      },
      [],
    ])
  })

  it('does not say who it is of where a header does', async () => {
    const { bindings } = listening()
    const body = JSON.stringify(makeBatch([TRACK], { key: client }))
    expect((await send(bindings, { key: `${server}0`, headers: TEXT, body })).status).toBe(401)
    expect((await send(bindings, { key: server, headers: TEXT, body })).status).toBe(202)
  })

  it.each<[string, number, string, () => RequestInit['body'] | Promise<Uint8Array>, object?]>([
    ['nothing', 400, 'malformed', () => ''],
    ['no JSON', 400, 'malformed', () => '{'],
    ['no object', 400, 'malformed', () => '[]'],
    ['no id', 400, 'malformed', () => JSON.stringify({ events: [TRACK] })],
    ['an id that is none', 400, 'malformed', () => JSON.stringify({ id: 'x', events: [TRACK] })],
    ['an id that is a number', 400, 'malformed', () => JSON.stringify({ id: 1, events: [TRACK] })],
    [
      'an id from more than ten minutes ahead',
      400,
      'malformed',
      () => JSON.stringify({ id: makeBatchId(Date.now() + 10 * 60_000 + 1), events: [TRACK] }),
    ],
    ['no events', 400, 'malformed', () => JSON.stringify(makeBatch([]))],
    ['events that are no list', 400, 'malformed', () => JSON.stringify({ id: makeBatchId(), events: {} })],
    ['NaN', 400, 'malformed', () => batch().replace('"ada"', 'NaN')],
    ['5,001 events', 413, 'too_large', () => JSON.stringify(makeBatch(Array(5_001).fill(TRACK)))],
    ['more than a mebibyte', 413, 'too_large', () => 'x'.repeat(MIB + 1)],
    [
      'more than a mebibyte, of unknown length',
      413,
      'too_large',
      () => new Response('x'.repeat(MIB + 1)).body,
    ],
    ['something else than text', 415, 'unsupported', batch, { 'content-type': 'application/cbor' }],
    ['another packing', 415, 'unsupported', batch, { 'content-encoding': 'br' }],
    ['what is not packed', 400, 'malformed', batch, { 'content-encoding': 'gzip' }],
    ['nothing packed', 400, 'malformed', () => '', { 'content-encoding': 'gzip' }],
    [
      'what is cut off',
      400,
      'malformed',
      async () => (await gzip(batch())).slice(0, -9),
      { 'content-encoding': 'gzip' },
    ],
    [
      'what is damaged',
      400,
      'malformed',
      async () => (await gzip(batch())).map((byte, i) => (i === 30 ? byte ^ 0xff : byte)),
      { 'content-encoding': 'gzip' },
    ],
    [
      'what unpacks to a hundred times the limit',
      413,
      'too_large',
      () => gzip(new Uint8Array(100 * MIB)),
      { 'content-encoding': 'gzip' },
    ],
  ])('is refused that holds %s', async (_, status, code, body, headers = {}) => {
    const { bindings, told } = listening()
    const sending = { key: server, headers: { ...JSON_TYPE, ...headers }, body: (await body()) ?? '' }
    const answer = await send(bindings, sending)
    expect([answer.status, answer.body, told]).toEqual([
      status,
      { error: { code, message: expect.stringMatching(/^(the|there) /) } },
      [],
    ])
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
    expect(answer.headers.get('x-rampart-version')).toMatch(/^\d+$/)
  })

  it('may be as deep as it is long', async () => {
    const { bindings } = listening()
    const depth = 500_000
    const attributes = `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`
    const event = { kind: 'exposure', flag: 'checkout', variant: 'on', unit: 'ada', attributes: 0 }
    const body = JSON.stringify(makeBatch([event, TRACK])).replace(
      '"attributes":0',
      `"attributes":${attributes}`,
    )
    expect(await send(bindings, { key: server, headers: JSON_TYPE, body })).toMatchObject({
      status: 202,
      body: { accepted: 2 },
    })
  })

  it('of exactly a mebibyte is read', async () => {
    const { bindings } = listening()
    const text = batch()
    const body = text + ' '.repeat(MIB - text.length)
    expect((await send(bindings, { key: server, headers: JSON_TYPE, body })).status).toBe(202)
  })

  it('without a known sender is refused for what it is', async () => {
    const { bindings } = listening()
    expect(await send(bindings, { headers: TEXT, body: '{' })).toMatchObject({
      status: 400,
      body: { error: { code: 'malformed' } },
    })
  })
})

describe('a batch', () => {
  /** Enough units that both shards have some. */
  const both = Array.from({ length: 40 }, (_, i) => ({ ...TRACK, unit: `unit-${i}` }))

  it.each<[string, (shard: string) => Taken | Promise<Taken>, number, string, string | null]>([
    ['a shard has too much to do', () => 'overloaded', 429, 'overloaded', '5'],
    ['a shard does not remember so far back', () => 'expired', 409, 'batch_expired', null],
    ['a shard fails', unreachable, 503, 'unavailable', '1'],
    ['a shard still wants the plan it was told', () => 'plan_wanted', 503, 'unavailable', '1'],
  ])('is not accepted when %s', async (_, fault, status, code, seconds) => {
    const { bindings, told } = listening(({ shard }) => (shard.endsWith(':1') ? fault(shard) : 'counted'))
    const { headers, ...answer } = await send(bindings, { key: server, json: makeBatch(both) })
    expect(answer).toEqual({ status, body: { error: { code, message: expect.any(String) } } })
    expect(headers.get('retry-after')).toBe(seconds)
    expect(new Set(told.map(({ shard }) => shard)).size).toBe(2)
  })

  it('is not accepted when a shard does not answer within 5 seconds', async () => {
    const { bindings } = listening(({ shard }) => (shard.endsWith(':1') ? silent() : 'counted'))
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const answer = send(bindings, { key: server, json: makeBatch(both) })
      await vi.advanceTimersByTimeAsync(4_999)
      const early = await Promise.race([answer, Promise.resolve('none yet')])
      await vi.advanceTimersByTimeAsync(1)
      expect([early, (await answer).status]).toEqual(['none yet', 503])
    } finally {
      vi.useRealTimers()
    }
  })

  it('goes the same way under the same id when it is sent again', async () => {
    const json = makeBatch([...both, { kind: 'measure', name: 'load', value: 1 }])
    const [first, second] = [listening(), listening()]
    await send(first.bindings, { key: server, json })
    await send(second.bindings, { key: server, json })
    expect(second.told).toEqual(first.told)
    expect(first.told).toHaveLength(2)
  })

  it('of more than 24 hours ago is expired', async () => {
    const { bindings, told } = listening()
    const at = Date.now() - 24 * HOUR_MS
    const sendFrom = (at: number) =>
      send(bindings, { key: server, json: makeBatch([TRACK], { id: makeBatchId(at) }) })
    expect(await sendFrom(at - 1)).toMatchObject({ status: 409, body: { error: { code: 'batch_expired' } } })
    expect(told).toEqual([])
    expect((await sendFrom(at)).status).toBe(202)
  })

  it('comes with the mark of the plan, and with the plan where that is wanted', async () => {
    const plan = planOf(await snapshot())
    const { version, fingerprint } = plan
    const { bindings, told } = listening(({ plan }) => (plan ? 'counted' : 'plan_wanted'))
    expect((await send(bindings, { key: server, json: makeBatch([TRACK]) })).status).toBe(202)
    expect(told).toHaveLength(2)
    expect(told.map(({ plan }) => plan)).toEqual([undefined, plan])
    expect(told.map(({ message }) => message.plan)).toEqual(Array(2).fill({ version, fingerprint }))
    expect(told[1]?.message).toEqual(told[0]?.message)
  })
})

describe('the route', () => {
  it('lets nobody in without a key', async () => {
    expect(await ask(EVENTS, { json: makeBatch([TRACK]) })).toMatchObject({ status: 401 })
  })

  it('answers a defect in its own shape, and says nothing of it', async () => {
    const authenticate = () => Promise.reject(new Error('a defect'))
    const routes = createEventRoutes({ authenticate, keyOf, countRequest })
    const request = makeRequest(EVENTS, { key: server, json: makeBatch([TRACK]) })
    expect(await read(await routes.fetch(request, env, createExecutionContext()))).toMatchObject({
      status: 500,
      body: { error: { code: 'internal', message: 'something went wrong; the log knows more' } },
    })
  })

  it('asks a key beyond its limit to wait, whatever it sends', async () => {
    const routes = createEventRoutes({ authenticate, keyOf, countRequest: () => 7 })
    const request = makeRequest(EVENTS, { key: server, headers: JSON_TYPE, body: '{' })
    const answer = await read(await routes.fetch(request, env, createExecutionContext()))
    expect(answer).toMatchObject({ status: 429, body: { error: { code: 'limited' } } })
    expect(answer.headers.get('retry-after')).toBe('7')
  })

  it('counts requests of a key as evaluations are counted', async () => {
    const asked: unknown[] = []
    const limit = async (options: unknown) => {
      asked.push(options)
      return { success: false }
    }
    const limited = { ...listening().bindings, EVALUATION_LIMIT: override(env.EVALUATION_LIMIT, { limit }) }
    const own = await createKey(environment)
    await warm(environment)
    const statuses: number[] = []
    for (let i = 0; i <= 1_000; i++) {
      statuses.push((await send(limited, { key: own.key, json: makeBatch([{}]) })).status)
    }
    expect([new Set(statuses.slice(0, 1_000)), statuses[1_000]]).toEqual([new Set([202]), 429])
    expect(asked).toEqual([{ key: own.id }])
  })

  it('may be asked from any page', async () => {
    const headers = { 'access-control-request-headers': 'authorization,content-encoding' }
    const { status, headers: answered } = await ask(EVENTS, { method: 'OPTIONS', headers })
    expect([status, answered.get('access-control-allow-headers')]).toEqual([
      204,
      'authorization,content-encoding',
    ])
  })
})
