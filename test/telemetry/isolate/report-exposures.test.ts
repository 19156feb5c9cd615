import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { toHex } from '../../../src/access/key.ts'
import type { Resolution } from '../../../src/engine/evaluation.ts'
import { decodeBatch } from '../../../src/telemetry/events/batch-codec.ts'
import type { ShardEvent } from '../../../src/telemetry/events/event.ts'
import { createUnitHasher, shardIndexOf } from '../../../src/telemetry/events/unit.ts'
import { type ShardMessage, shardName, shardOf, type Taken } from '../../../src/telemetry/shard-protocol.ts'
import { type Answering, makeIsolate, on } from '../../support/isolate.ts'
import { makeMeasurement } from '../../support/measurement.ts'
import { silenceLogs, uniqueName, unreachable, withShards } from '../../support/worker.ts'

const HOLD_MS = 15_000
const GATHER_MS = 1_000
const TRIP_MS = 5_000
const LEASE_MS = 2_500
const FULL = 2_000
const MAX_UNSENT = 10_000

/** One shard, so that each sending is one trip. */
const ONE_SHARD = { layouts: [{ since: 0, shards: 1 }] }

const hash = createUnitHasher('secret')

let environment = ''

silenceLogs()
// A second is nothing that a test waits for either.
vi.spyOn(scheduler, 'wait').mockImplementation(async () => {})

beforeEach(() => {
  environment = uniqueName('environment')
})

type Sent = { readonly shard: string; readonly id: string; readonly message: ShardMessage }

/** Bindings whose shards write down what comes, and answer what a test says. */
function watchShards(answer: (shard: string) => Promise<Taken> = async () => 'counted') {
  const sent: Sent[] = []
  const bindings = withShards(env, (shard) => ({
    take: (message: ShardMessage) => {
      sent.push({ shard, id: toHex(message.id), message })
      return answer(shard)
    },
  }))
  return { sent, bindings }
}

function eventsOf({ message: { events } }: Sent): ShardEvent[] {
  return events.byteLength === 0 ? [] : decodeBatch(events)
}

function exposureOf(unit: string, tag = 'r1.1.1.t'): Resolution {
  const assignment = { tag, by: 'targetingKey', unit }
  return { flagKey: 'checkout', reason: 'SPLIT', variant: 'on', value: true, metadata: {}, assignment }
}

/** The use of a measured flag by some units. */
function exposing(units: readonly string[], more: Answering = {}): Answering {
  return {
    evaluations: units.map((unit) => exposureOf(unit)),
    settings: ONE_SHARD,
    measurements: [makeMeasurement({ shards: 1 })],
    ...more,
  }
}

const namesOf = (count: number, prefix = 'unit') =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`)

describe('an exposure', () => {
  it('goes to the home of its unit, and there it is all that happened', async () => {
    const isolate = makeIsolate(environment)
    const { bindings, sent } = watchShards()
    const units = namesOf(20)
    const slices = ['plan']
    const measurements = [makeMeasurement({ slices, shards: 4 })]
    const settings = { layouts: [{ since: 0, shards: 4 }] }
    isolate.answer(bindings, { ...exposing(units, { settings, measurements }), context: { plan: 'pro' } })
    await isolate.settled()
    const homes = Map.groupBy(units, (unit) => shardIndexOf(hash('user', unit), 4))
    expect(homes.size).toBeGreaterThan(1)
    const expected = [...homes].map(([home, units]): [string, ShardEvent[]] => [
      shardName(environment, home),
      units.map(
        (unit): ShardEvent => ({
          kind: 'exposure',
          name: '',
          flag: 'checkout',
          variant: 'on',
          unitKind: 'user',
          unit: hash('user', unit),
          tag: { id: 'r1', stage: 1, stratum: '1', arm: 't' },
          trusted: true,
          automatic: true,
          primary: true,
          home: true,
          value: Number.NaN,
          at: isolate.now(),
          slices: ['pro'],
        }),
      ),
    ])
    expect(new Map(sent.map((one) => [one.shard, eventsOf(one)]))).toEqual(new Map(expected))
    expect(new Set(sent.map(({ id }) => id)).size).toBe(1)
  })

  it('goes where its measurement began too, and counts as one all the same', async () => {
    const isolate = makeIsolate(environment)
    const { bindings, sent } = watchShards()
    const units = namesOf(200)
    const settings = {
      layouts: [
        { since: 0, shards: 2 },
        { since: 1, shards: 5 },
      ],
    }
    isolate.answer(bindings, exposing(units, { settings, measurements: [makeMeasurement({ shards: 2 })] }))
    await isolate.settled()
    const copies = sent.flatMap((one) => {
      return eventsOf(one).map(({ unit, primary, home }) => `${one.shard} ${unit} ${primary} ${home}`)
    })
    const expected = units.flatMap((name) => {
      const unit = hash('user', name)
      const [home, place] = [shardIndexOf(unit, 5), shardIndexOf(unit, 2)]
      const atHome = `${shardName(environment, home)} ${unit} true true`
      return place === home ? [atHome] : [atHome, `${shardName(environment, place)} ${unit} false false`]
    })
    expect(copies.sort()).toEqual(expected.sort())
  })

  it('is of the unit that its measurement goes by', async () => {
    const isolate = makeIsolate(environment)
    const { bindings, sent } = watchShards()
    const assignment = { tag: 'r1.1.1.c', by: 'company.id', unit: '42' }
    const measurements = [makeMeasurement({ by: 'company.id' })]
    isolate.answer(bindings, { evaluations: [{ ...exposureOf(''), assignment }], measurements })
    await isolate.settled()
    expect(sent.flatMap(eventsOf)).toMatchObject([{ unitKind: 'company', unit: hash('company', '42') }])
  })

  it('is counted by real shards', async () => {
    const isolate = makeIsolate(environment)
    const metric = { metric: 'paid', bounds: [] }
    const measurements = [makeMeasurement({ metrics: [metric] })]
    const evaluations = namesOf(50).map((unit) => exposureOf(unit))
    isolate.answer(env, { evaluations, measurements })
    await isolate.settled()
    const statuses = await Promise.all([0, 1].map((index) => shardOf(env, environment, index).status()))
    expect(statuses.map(({ units }) => units > 0)).toEqual([true, true])
    expect(statuses.reduce((sum, { units }) => sum + units, 0)).toBe(50)
  })
})

describe('without a measured flag', () => {
  it('nothing goes but tallies, after a quarter of a minute', async () => {
    const isolate = makeIsolate(environment)
    const { bindings, sent } = watchShards()
    const measurements = [makeMeasurement()]
    expect(isolate.answer(bindings, { evaluations: [on], measurements })).toBe(HOLD_MS)
    await isolate.settled()
    expect(sent.map(({ message }) => [message.events.byteLength, message.tallied !== null])).toEqual([
      [0, true],
    ])
  })
})

describe('the wait', () => {
  it('is a second after a silence, in which others come along', async () => {
    const isolate = makeIsolate(environment)
    const { bindings, sent } = watchShards()
    expect(isolate.answer(bindings, exposing(['ada']))).toBe(GATHER_MS)
    isolate.move(500)
    expect(isolate.answer(bindings, exposing(['bob']))).toBeUndefined()
    await isolate.settled()
    expect(sent.map((one) => eventsOf(one).length)).toEqual([2])
  })

  it('is shorter for who comes while only tallies are waited for', async () => {
    const isolate = makeIsolate(environment)
    const { bindings, sent } = watchShards()
    expect(isolate.answer(bindings, exposing([], { evaluations: [on] }))).toBe(HOLD_MS)
    isolate.move(5_000)
    expect(isolate.answer(bindings, exposing(['ada']))).toBe(GATHER_MS)
    await isolate.settled()
    expect(sent.map(({ message }) => message.tallied?.minutes.size)).toEqual([1])
  })

  it('is five seconds under steady traffic, when thirty trips and what came meanwhile are spent', async () => {
    const isolate = makeIsolate(environment)
    const { bindings, sent } = watchShards()
    const waits: number[] = []
    for (let i = 0; i < 40; i++) {
      const wait = isolate.answer(bindings, exposing([`unit-${i}`])) ?? Number.NaN
      isolate.move(wait)
      await isolate.settled()
      waits.push(Math.round(wait))
    }
    expect(waits).toEqual([...Array(37).fill(GATHER_MS), 4_000, ...Array(2).fill(TRIP_MS)])
    expect(sent).toHaveLength(40)
  })

  it('comes to two trips in ten seconds with two shards, and loses nobody', async () => {
    const isolate = makeIsolate(environment)
    const { bindings, sent } = watchShards()
    const measurements = [makeMeasurement()]
    const units = namesOf(3_600)
    let dueIn = Number.POSITIVE_INFINITY
    for (const unit of units) {
      const evaluations = [exposureOf(unit)]
      const wait = isolate.answer(bindings, { evaluations, measurements })
      dueIn = Math.min(dueIn, wait ?? Number.POSITIVE_INFINITY) - 1_000
      isolate.move(1_000)
      if (dueIn > 0) continue
      await isolate.settled()
      dueIn = Number.POSITIVE_INFINITY
    }
    await isolate.settled()
    // With what was saved up before, and the last sending after the hour.
    expect(sent.length).toBeLessThanOrEqual(2 * (3_600 / 10) + 30 + 2)
    const seen = sent.flatMap(eventsOf).map(({ unit }) => unit)
    expect(new Set(seen)).toEqual(new Set(units.map((unit) => hash('user', unit))))
    expect(seen).toHaveLength(units.length)
  })

  it('is none for two thousand', async () => {
    const isolate = makeIsolate(environment)
    const { bindings, sent } = watchShards()
    expect(isolate.answer(bindings, exposing(namesOf(FULL - 1)))).toBe(GATHER_MS)
    expect(isolate.answer(bindings, exposing(['one more']))).toBe(0)
    await isolate.settled()
    expect(sent.map((one) => eventsOf(one).length)).toEqual([FULL])
  })
})

describe('a trip', () => {
  it('that fails is made again with the same message, and holds back what came since until it has arrived', async () => {
    const isolate = makeIsolate(environment)
    const failing = watchShards(unreachable)
    isolate.answer(failing.bindings, exposing(['ada']))
    await isolate.settled()
    expect(isolate.answer(failing.bindings, exposing(['bob']))).toBe(HOLD_MS)
    await isolate.settled()
    isolate.move(HOLD_MS)
    const working = watchShards()
    isolate.answer(working.bindings, exposing(['cleo']))
    await isolate.settled()
    const [first] = failing.sent
    expect(failing.sent).toEqual([first, first])
    expect(working.sent[0]).toEqual(first)
    expect(working.sent.map((one) => eventsOf(one).map(({ unit }) => unit))).toEqual([
      [hash('user', 'ada')],
      [hash('user', 'bob'), hash('user', 'cleo')],
    ])
  })

  it('that fails to one shard is made again to that one alone', async () => {
    const isolate = makeIsolate(environment)
    const lame = shardName(environment, 0)
    const failing = watchShards((shard) => (shard === lame ? unreachable() : Promise.resolve('counted')))
    const units = exposing(namesOf(20), { settings: {}, measurements: [makeMeasurement()] })
    isolate.answer(failing.bindings, units)
    await isolate.settled()
    expect(failing.sent.map(({ shard }) => shard).sort()).toEqual([lame, shardName(environment, 1)])
    isolate.move(HOLD_MS)
    const working = watchShards()
    isolate.answer(working.bindings, { evaluations: [] })
    await isolate.settled()
    expect(working.sent).toEqual(failing.sent.filter(({ shard }) => shard === lame))
  })

  it('whose request is cut off before it begins is made by another', async () => {
    const isolate = makeIsolate(environment)
    const { bindings, sent } = watchShards()
    vi.mocked(scheduler.wait).mockImplementationOnce(() => new Promise(() => {}))
    isolate.answer(bindings, exposing(['ada']))
    isolate.cutOff()
    isolate.move(GATHER_MS + LEASE_MS - 1)
    expect(isolate.answer(bindings, exposing([]))).toBeUndefined()
    isolate.move(1)
    expect(isolate.answer(bindings, exposing([]))).toBe(0)
    await isolate.settled()
    expect(sent.map((one) => eventsOf(one).length)).toEqual([1])
  })

  it('whose request is cut off on the way is made again by another, with the same message', async () => {
    const isolate = makeIsolate(environment)
    const { bindings, sent } = watchShards(() => new Promise(() => {}))
    isolate.answer(bindings, exposing(['ada']))
    await vi.waitFor(() => expect(sent).toHaveLength(1))
    isolate.cutOff()
    const working = watchShards()
    isolate.move(HOLD_MS - 1)
    expect(isolate.answer(working.bindings, exposing([]))).toBe(1)
    isolate.cutOff()
    isolate.move(1 + LEASE_MS)
    await vi.waitFor(() => expect(working.sent).toEqual(sent))
  })
})

describe('beyond ten thousand', () => {
  it('exposures are dropped, the newest, which is told; none that is kept is lost', async () => {
    const isolate = makeIsolate(environment)
    const failing = watchShards(unreachable)
    isolate.answer(failing.bindings, exposing(namesOf(FULL)))
    await isolate.settled()
    isolate.answer(failing.bindings, exposing(namesOf(MAX_UNSENT, 'more')))
    await isolate.settled()
    isolate.move(HOLD_MS)
    const working = watchShards()
    isolate.answer(working.bindings, exposing(['too late']))
    await isolate.settled()
    const units = working.sent.flatMap(eventsOf).map(({ unit }) => unit)
    const kept = [...namesOf(FULL), ...namesOf(MAX_UNSENT - FULL, 'more')]
    expect(units).toEqual(kept.map((unit) => hash('user', unit)))
    expect(working.sent.map(({ message }) => message.tallied?.uncounted)).toEqual([false, true])
    isolate.answer(working.bindings, exposing(['too late']))
    await isolate.settled()
    expect(working.sent.slice(2).map((one) => eventsOf(one).length)).toEqual([1])
  })
})

it('tallies ride along with exposures', async () => {
  const isolate = makeIsolate(environment)
  const { bindings, sent } = watchShards()
  const units = exposing(namesOf(20), { settings: {}, measurements: [makeMeasurement()] })
  isolate.answer(bindings, { ...units, evaluations: [on, ...(units.evaluations ?? [])] })
  await isolate.settled()
  expect(sent.map(({ message }) => message.tallied !== null).sort()).toEqual([false, true])
  expect(isolate.answer(bindings, exposing([]))).toBeUndefined()
})
