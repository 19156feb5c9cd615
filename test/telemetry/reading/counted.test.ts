// What is sent to /v1/events, read again through the management API: of two shards, which readers put together.
import { env, exports } from 'cloudflare:workers'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Bindings } from '../../../src/bindings.ts'
import { shardName, shardOf, shardsOf } from '../../../src/telemetry/shard-protocol.ts'
import { apiAs, createActor } from '../../support/actors.ts'
import { EVENTS, makeBatch } from '../../support/events.ts'
import { measure } from '../../support/measurements.ts'
import { runTick } from '../../support/tick.ts'
import {
  type Answer,
  api,
  ask,
  createEnvironment,
  createFlag,
  createKey,
  field,
  from,
  makeRequest,
  moveClock,
  putFlag,
  read,
  serve,
  silenceLogs,
  stopClock,
  unreachable,
  warm,
  withShards,
} from '../../support/worker.ts'
import { makeMessage, makeTallies, PLAN } from '../shard/messages.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const UNITS = 40

const METRICS = [
  { key: 'orders' },
  { key: 'load', kind: 'latency', bounds: [100] },
  { key: 'crashes', kind: 'error' },
] as const

silenceLogs()

let environment = ''
let server = ''
let start = 0

const armOf = (unit: number) => (unit % 4 === 0 ? 't' : 'c')
const variantOf = (unit: number) => (unit % 4 === 0 ? 'on' : 'off')
const nameOf = (unit: number) => `unit-${unit}`

/** What units do: all are exposed; every other one of them buys; each loads once, in as many milliseconds as it is. */
function deedsOf(unit: number): object[] {
  const tag = `counted.0.1.${armOf(unit)}`
  const own = { unit: nameOf(unit) }
  return [
    { kind: 'exposure', flag: 'checkout', variant: variantOf(unit), tag, ...own },
    ...(unit % 2 === 0 ? [{ kind: 'track', name: 'orders', ...own }] : []),
    { kind: 'measure', name: 'load', value: unit + 81, ...own },
  ]
}

const unitsWhere = (holds: (unit: number) => boolean) =>
  Array.from({ length: UNITS }, (_, unit) => unit).filter(holds)

const inArm = (arm: string) => unitsWhere((unit) => armOf(unit) === arm)

async function sendEvents(events: readonly object[], key = server): Promise<void> {
  const { status, body } = await ask(EVENTS, { key, json: makeBatch(events) })
  expect([status, body]).toEqual([202, { accepted: events.length, rejected: [] }])
}

const path = (rest: string) => `/environments/${environment}/${rest}`
const measurement = (rest: string) => path(`measurements/counted/${rest}`)

async function get(place: string): Promise<unknown> {
  const { status, body } = await api('GET', place)
  expect([status, field(body, 'error')]).toEqual([200, undefined])
  return body
}

async function getText(place: string): Promise<string> {
  const headers = { authorization: 'Bearer test-admin' }
  const response = await exports.default.fetch(makeRequest(`/api/v1${place}`, { method: 'GET', headers }))
  expect(response.status).toBe(200)
  return response.text()
}

async function getWith(bindings: Bindings, place: string, method = 'GET', json?: object): Promise<Answer> {
  const headers = { authorization: 'Bearer test-admin' }
  const request = makeRequest(`/api/v1${place}`, { method, headers, ...(json ? { json } : {}) })
  return read((await serve(request, bindings)).response)
}

/** Bindings of which the second shard fails. */
const withOne = (...methods: readonly string[]) =>
  withShards(env, (name) =>
    name === shardName(environment, 1)
      ? Object.fromEntries(methods.map((method) => [method, unreachable]))
      : {},
  )

beforeAll(async () => {
  stopClock()
  // At the beginning of a block, minute and hour, on a day of its own.
  moveClock(DAY_MS + 12 * HOUR_MS - (Date.now() % DAY_MS))
  start = Date.now()
  await createFlag('checkout')
  environment = await createEnvironment()
  server = (await createKey(environment)).key
  await measure(environment, { flag: 'checkout', id: 'counted', metrics: METRICS })
  await sendEvents(unitsWhere(() => true).flatMap(deedsOf))
  moveClock(20_000)
  await sendEvents([
    { kind: 'track', name: 'crashes', unit: nameOf(0) },
    { kind: 'track', name: 'crashes', unit: 'a stranger' },
    { kind: 'track', name: 'unheard-of', unit: nameOf(1) },
  ])
  moveClock(20_000)
})

describe('series', () => {
  const range = () => `from=${new Date(start).toISOString()}&step=minute`

  it('are by arm, whichever shard counted', async () => {
    const body = await get(path(`series?${range()}&metric=orders&by=arm`))
    const seen = Object(field(body, 'series')).map((one: object) => [
      field(one, 'flag'),
      field(one, 'arm'),
      field(field(one, 'total'), 'count'),
      field(field(one, 'total'), 'units'),
    ])
    const buyers = (arm: string) => inArm(arm).filter((unit) => unit % 2 === 0).length
    expect(seen).toEqual([
      ['', '', UNITS / 2, expect.any(Number)],
      ['checkout', 'c', buyers('c'), buyers('c')],
      ['checkout', 't', buyers('t'), buyers('t')],
    ])
    expect(body).toMatchObject({ step: 'minute', from: start, to: start + MINUTE_MS, partial: false })
  })

  it('have exposures alone, by variant', async () => {
    const body = await get(path(`series?${range()}&of=exposures&by=variant`))
    const seen = Object(field(body, 'series')).map((one: object) => [
      field(one, 'metric'),
      field(one, 'variant'),
      field(field(one, 'total'), 'count'),
    ])
    expect(seen).toEqual([
      [null, 'off', inArm('c').length],
      [null, 'on', inArm('t').length],
    ])
  })

  it('have quantiles of the values of all shards', async () => {
    const body = await get(path(`series?${range()}&metric=load`))
    const [overall] = Object(field(body, 'series'))
    const { p50, mean, count } = Object(field(overall, 'total'))
    expect([count, mean]).toEqual([UNITS, 100.5])
    expect(Math.abs(p50 / 100 - 1)).toBeLessThanOrEqual(0.01)
  })

  it('are a table too', async () => {
    const text = await getText(path(`series?${range()}&metric=crashes&format=csv`))
    const at = new Date(start).toISOString()
    expect(text.split('\r\n')).toEqual([
      'start,metric,flag,variant,measurement,stage,stratum,arm,count,perMinute,sum,mean,p50,p95,p99,units',
      expect.stringMatching(`^${at},crashes,,,,,,,2,2,0,,,,,`),
      expect.stringMatching(`^${at},crashes,checkout,,,,,,1,1,0,,,,,`),
      '',
    ])
  })

  it.each([
    ['that ends before it begins', 'from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z', 'empty_range'],
    ['of too many minutes', 'step=minute&from=2026-01-01T00:00:00Z', 'range_too_long'],
    ['of too many days', 'step=day&from=2020-01-01T00:00:00Z', 'range_too_long'],
  ])('refuse a range %s', async (_name, query, code) => {
    const { status, body } = await api('GET', path(`series?${query}`))
    expect([status, field(field(body, 'error'), 'code')]).toEqual([422, code])
  })

  it.each([
    [20_000, 200, undefined],
    [20_001, 422, 'too_many_points'],
  ])('answer no more than can be shown: of %i points, %i', async (points, expected, code) => {
    const counts = { count: 1, sum: 0, squares: 0, denominator: 0, units: 0, sketch: null }
    const arm = { measurement: '', stage: 0, stratum: '', arm: '' }
    const cells = Array.from({ length: points }, (_, index) => {
      return { start, metric: 'orders', flag: 'checkout', variant: `v${index}`, ...arm, ...counts }
    })
    const crowded = withShards(env, () => ({ series: async () => cells }))
    const { status, body } = await getWith(crowded, path(`series?${range()}&by=variant`))
    expect([status, field(field(body, 'error'), 'code')]).toEqual([expected, code])
  })

  it('say when a shard did not answer', async () => {
    const { status, body } = await getWith(withOne('series'), path(`series?${range()}`))
    expect([status, field(body, 'partial')]).toEqual([200, true])
  })
})

it('adds up totals by arm', async () => {
  const body = await get(measurement('totals'))
  const expected = (['c', 't'] as const).map((arm) => {
    const units = inArm(arm)
    const buyers = units.filter((unit) => unit % 2 === 0).length
    const load = units.reduce((sum, unit) => sum + unit + 81, 0)
    return {
      stage: 0,
      stratum: '1',
      arm,
      units: units.length,
      firsts: units.length,
      mixed: 0,
      metrics: expect.arrayContaining([
        expect.objectContaining({ metric: 'orders', hits: buyers, y: buyers, yy: buyers }),
        expect.objectContaining({ metric: 'load', hits: units.length, y: load }),
      ]),
    }
  })
  expect(body).toEqual({ arms: expected, partial: false })
})

it('has guard blocks of all shards as one, with risk sets carried forward', async () => {
  const body = await get(measurement(`blocks?from=${new Date(start).toISOString()}`))
  const blocks = Object(field(body, 'blocks')).map((block: object) => {
    const metrics: readonly { metric: string; x: number; n: number }[] = Object(field(block, 'metrics'))
    const of = (key: string) => metrics.filter(({ metric }) => metric === key).map(({ x, n }) => [x, n])[0]
    return [field(block, 'start'), field(block, 'arm'), field(block, 'entered'), of('orders'), of('crashes')]
  })
  const [control, treated] = [inArm('c'), inArm('t')]
  const buyers = (units: readonly number[]) => units.filter((unit) => unit % 2 === 0).length
  const left = treated.length - buyers(treated)
  expect(blocks.slice(0, 2)).toEqual([
    [start, 'c', control.length, [buyers(control), control.length], [0, control.length]],
    [start, 't', treated.length, [buyers(treated), treated.length], [0, treated.length]],
  ])
  expect(blocks.filter(([, arm]: readonly unknown[]) => arm === 't').at(-1)).toEqual([
    start + 20_000,
    't',
    0,
    left === 0 ? expect.toSatisfy((pair) => pair === undefined || pair[1] === 0) : [0, left],
    [1, treated.length],
  ])
  expect(body).toMatchObject({ from: start, through: start + 30_000, partial: false })
})

it.each([
  ['that is to come', HOUR_MS, 'empty_range'],
  ['that is not kept any more', -73 * HOUR_MS, 'range_too_long'],
])('refuses blocks from an instant %s', async (_name, away, code) => {
  const instant = new Date(Date.now() + away).toISOString()
  const { status, body } = await api('GET', measurement(`blocks?from=${instant}`))
  expect([status, field(field(body, 'error'), 'code')]).toEqual([422, code])
})

it('follows units from their exposure on', async () => {
  const body = await get(measurement('journeys?metric=orders&days=1&of=load&features=orders,load'))
  const journey = (variant: string, units: readonly number[]) => {
    const buyers = units.filter((unit) => unit % 2 === 0).length
    const share = (part: number, of: number) => ({ of, units: part, share: of === 0 ? null : part / of })
    return expect.objectContaining({
      variant,
      arm: '',
      units: units.length,
      within: [{ days: 1, ...share(0, 0) }],
      did: share(buyers, units.length),
      rate: share(buyers, units.length),
      usedSeveral: share(buyers, units.length),
    })
  }
  expect(body).toEqual({ journeys: [journey('off', inArm('c')), journey('on', inArm('t'))], partial: false })
})

it('refuses journeys of a metric that there is none of', async () => {
  const { status, body } = await api('GET', measurement('journeys?metric=unheard-of'))
  expect([status, field(field(body, 'error'), 'code')]).toEqual([422, 'unknown_metric'])
})

it('checks the connection', async () => {
  const body = await get(path('connection?flag=checkout'))
  const silent = { arriving: false, count: 0, lastAt: null }
  const arriving = (count: number) => ({ arriving: true, count, lastAt: start })
  expect(body).toMatchObject({
    environment: {
      exposures: arriving(UNITS),
      outcomes: arriving(UNITS / 2),
      errors: arriving(2),
      latencies: arriving(UNITS),
      resources: silent,
    },
    flags: [
      {
        flag: 'checkout',
        measured: true,
        arrivals: {
          exposures: { ...arriving(UNITS), notAttributed: 0 },
          errors: { ...arriving(1), notAttributed: 1 },
          latencies: { ...arriving(UNITS), notAttributed: 0 },
        },
      },
    ],
    partial: false,
  })
})

it('lists names that no metric uses, and how much came of metrics', async () => {
  const body = await get(path('event-names'))
  expect(field(body, 'unused')).toEqual([
    { name: 'unheard-of', count: 1, firstAt: start + 20_000, lastAt: start + 20_000 },
  ])
  expect(field(body, 'metrics')).toEqual(
    expect.arrayContaining([
      { metric: 'orders', event: 'orders', count: UNITS / 2, firstAt: start, lastAt: start },
    ]),
  )
})

it('shows what the shards keep', async () => {
  const body = await get(path('storage'))
  const shards = Object(field(body, 'shards'))
  expect(shards.map((shard: object) => field(shard, 'shard'))).toEqual([0, 1])
  const sum = (name: string) =>
    shards.reduce((all: number, shard: object) => all + Number(field(shard, name)), 0)
  const total = Object(field(body, 'total'))
  expect([total.units, total.rowsWritten, total.databaseBytes]).toEqual([
    UNITS,
    sum('rowsWritten'),
    sum('databaseBytes'),
  ])
  expect(total.rowsWritten).toBeGreaterThan(0)
})

describe('a scrape', () => {
  it('has what was counted today', async () => {
    const text = await getText(path('prometheus'))
    const labels = `environment="${environment}"`
    expect(text.split('\n')).toEqual(
      expect.arrayContaining([
        `rampart_exposures_total{${labels},flag="checkout",variant="on"} ${inArm('t').length}`,
        `rampart_metric_events_total{${labels},metric="orders"} ${UNITS / 2}`,
        `rampart_counters_start_time_seconds{${labels}} ${(start - (start % DAY_MS)) / 1_000}`,
      ]),
    )
  })

  it('never goes down while the day lasts, and begins anew with the next', async () => {
    const countersOf = (text: string) =>
      new Map(
        [...text.matchAll(/^(rampart_[a-z_]+_total\{.*\}) (\d+)$/gm)].map(
          ([, name = '', value]) => [name, Number(value)] as const,
        ),
      )
    const before = countersOf(await getText(path('prometheus')))
    expect(before.size).toBeGreaterThan(5)
    moveClock(3 * HOUR_MS)
    await sendEvents([{ kind: 'track', name: 'orders', unit: nameOf(5), at: Date.now() - HOUR_MS }])
    const after = countersOf(await getText(path('prometheus')))
    for (const [name, value] of before) expect(after.get(name)).toBeGreaterThanOrEqual(value)
    const orders = `rampart_metric_events_total{environment="${environment}",metric="orders"}`
    expect(after.get(orders)).toBe((before.get(orders) ?? 0) + 1)
    moveClock(DAY_MS)
    expect(countersOf(await getText(path('prometheus'))).get(orders)).toBeUndefined()
  })

  it('fails when a shard does not answer, for counters do not go down', async () => {
    const { status, body } = await getWith(withOne('usage'), path('prometheus'))
    expect([status, field(field(body, 'error'), 'code')]).toEqual([503, 'unavailable'])
  })
})

describe('an erasure', () => {
  const erase = (unit: string) => api('POST', path('erasures'), { unit, comment: 'They asked' })

  async function auditRows() {
    const { body } = await api('GET', `/audit?action=unit.erase&environment=${environment}`)
    return Object(field(body, 'entries'))
  }

  it('takes a unit out of the sums, and is audited without its name', async () => {
    const { status, body } = await erase(nameOf(0))
    expect([status, body]).toEqual([200, { found: true }])
    const arms = Object(field(await get(measurement('totals')), 'arms'))
    expect(arms.map((arm: object) => field(arm, 'units'))).toEqual([inArm('c').length, inArm('t').length - 1])
    expect(field(field(await get(path('storage')), 'total'), 'units')).toBe(UNITS - 1)
    const [entry] = await auditRows()
    expect(entry).toMatchObject({
      action: 'unit.erase',
      targetKind: 'environment',
      targetKey: environment,
      comment: 'They asked',
      details: { kind: 'user', complete: true },
      environments: { [environment]: expect.any(Number) },
    })
    expect(JSON.stringify(entry)).not.toContain(nameOf(0))
  })

  it('forgets the contexts that are kept, which have names in them', async () => {
    const contexts = [{ at: Date.now(), text: JSON.stringify({ targetingKey: nameOf(1) }) }]
    const shard = shardOf(env, environment, 0)
    await shard.take(makeTallies({ minutes: new Map(), uncounted: false, contexts }))
    expect(await shard.contexts()).toEqual(contexts)
    expect((await erase(nameOf(1))).status).toBe(200)
    expect(await shard.contexts()).toEqual([])
  })

  it('finds nothing of a unit that was never there', async () => {
    const { status, body } = await erase('nobody')
    expect([status, body]).toEqual([200, { found: false }])
  })

  it('is answered again as it was under the same Idempotency-Key, and written down once', async () => {
    const before = (await auditRows()).length
    const headers = { 'idempotency-key': '0197f3c2-6b1e-7c3a-9f52-2f6f5f6f1a10' }
    const answers = []
    for (let time = 0; time < 2; time++) {
      answers.push((await api('POST', path('erasures'), { unit: nameOf(3) }, headers)).body)
    }
    expect(answers).toEqual([{ found: true }, { found: true }])
    expect(await auditRows()).toHaveLength(before + 1)
  })

  it('may be asked again where a shard did not answer', async () => {
    const json = { unit: nameOf(2) }
    const refused = await getWith(withOne('erase'), path('erasures'), 'POST', json)
    expect([refused.status, field(field(refused.body, 'error'), 'code')]).toEqual([503, 'unavailable'])
    expect((await auditRows())[0]).toMatchObject({ details: { kind: 'user', complete: false } })
    expect((await erase(nameOf(2))).status).toBe(200)
    const storage = await get(path('storage'))
    expect(field(field(storage, 'total'), 'units')).toBe(UNITS - 4)
  })
})

describe('deleting an environment', () => {
  /** Makes an environment in which something was counted. */
  async function createCounted(): Promise<string> {
    environment = await createEnvironment()
    server = (await createKey(environment)).key
    await sendEvents([{ kind: 'track', name: 'orders', unit: 'ada' }])
    return environment
  }

  async function namesKept(): Promise<readonly string[]> {
    const shards = shardsOf(env, environment)
    const names = await Promise.all(shards.map((shard) => shard.names()))
    return names.flat().map(({ name }) => name)
  }

  const owed = () =>
    env.DB.prepare("SELECT count(*) AS rows FROM outbox WHERE kind <> 'publish' AND environment = ?")
      .bind(environment)
      .first('rows')

  const remove = (bindings: Bindings = env) => {
    const headers = { authorization: 'Bearer test-admin', ...from(1) }
    const request = makeRequest(`/api/v1/environments/${environment}`, { method: 'DELETE', headers })
    return serve(request, bindings)
  }

  it('forgets what was counted in it, so that one made again begins with nothing', async () => {
    await createCounted()
    expect(await namesKept()).toEqual(['orders'])
    expect((await remove()).response.status).toBe(200)
    expect(await namesKept()).toEqual([])
  })

  it('forgets it when a second person lets it happen', async () => {
    await createCounted()
    const protection = { name: environment, protected: true }
    expect((await api('PUT', `/environments/${environment}`, protection, from(1))).status).toBe(200)
    const asked = await api('DELETE', `/environments/${environment}`, undefined, from(2))
    expect(asked.status).toBe(202)
    expect(await namesKept()).toEqual(['orders'])
    const grace = await createActor({ owner: 'grace@example.com', role: 'admin' })
    const id = field(field(asked.body, 'changeRequest'), 'id')
    expect((await apiAs(grace, 'POST', `/change-requests/${id}/approve`, {})).status).toBe(200)
    expect(await namesKept()).toEqual([])
  })

  it('is made good by the tick where a shard did not answer', async () => {
    await createCounted()
    const down = withShards(env, () => ({ clear: unreachable }))
    expect((await remove(down)).response.status).toBe(200)
    expect(await namesKept()).toEqual(['orders'])
    await runTick()
    expect(await namesKept()).toEqual([])
  })

  it('forgets what came late', async () => {
    await createCounted()
    await remove()
    await shardOf(env, environment, 0).take(makeMessage(), PLAN)
    expect(await namesKept()).toEqual(['order'])
    moveClock(4 * MINUTE_MS)
    await runTick()
    expect(await namesKept()).toEqual([])
    moveClock(2 * MINUTE_MS)
    await runTick()
    expect(await owed()).toBe(0)
  })

  it('leaves one that was made again alone', async () => {
    const key = await createCounted()
    await remove()
    expect((await api('PUT', `/environments/${key}`, { name: key }, from(0))).status).toBe(200)
    server = (await createKey(key)).key
    await warm(key)
    await sendEvents([{ kind: 'track', name: 'views', unit: 'grace' }])
    await runTick()
    expect(await namesKept()).toEqual(['views'])
    expect(await owed()).toBe(0)
  })
})

it('leaves usage a table of what was served', async () => {
  await putFlag('unused')
  const text = await getText(path('usage?format=csv'))
  expect(text).toBe('start,flag,of,name,evaluations\r\n')
})
