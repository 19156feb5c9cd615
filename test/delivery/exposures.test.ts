import { env } from 'cloudflare:workers'
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Bindings } from '../../src/bindings.ts'
import type { Measurement } from '../../src/catalog/measurement.ts'
import { decodeBatch } from '../../src/telemetry/events/batch-codec.ts'
import { type ShardMessage, shardsOf } from '../../src/telemetry/shard-protocol.ts'
import { measure } from '../support/measurements.ts'
import {
  BULK,
  configure,
  createEnvironment,
  createFlag,
  createKey,
  field,
  makeFlags,
  makeRequest,
  moveClock,
  read,
  SINGLE,
  serve,
  stopClock,
  warm,
  withShards,
} from '../support/worker.ts'

const MINUTE_MS = 60_000
const ADA = { targetingKey: 'ada', plan: 'pro' }

let environment = ''
let id = ''
let server = ''
let client = ''
/** What went to shards, an exposure as `checkout on 3 1 t`, and nothing for a message without any. */
let exposures: string[] = []
let messages = 0
let bindings: Bindings = env

// Exposures wait for others for a second, which no test does.
vi.spyOn(scheduler, 'wait').mockImplementation(async () => {})

beforeAll(async () => {
  await createFlag('checkout', { clientVisible: true })
  await createFlag('plain', { clientVisible: true })
  stopClock()
})

/** An environment of its own, with shards that write down what they are sent. */
async function prepare(): Promise<void> {
  environment = await createEnvironment()
  await configure(environment, 'checkout', { fallthrough: { variant: 'off' } })
  await configure(environment, 'plain')
  server = (await createKey(environment)).key
  client = (await createKey(environment, 'client')).key
  exposures = []
  messages = 0
  bindings = withShards(env, () => ({
    take: async ({ events }: ShardMessage) => {
      messages++
      for (const { flag, variant, tag, slices } of events.byteLength > 0 ? decodeBatch(events) : []) {
        exposures.push([flag, variant, tag?.stage, tag?.stratum, tag?.arm, ...(slices ?? [])].join(' '))
      }
      return 'counted'
    },
  }))
}

beforeEach(async () => {
  moveClock(MINUTE_MS - (Date.now() % MINUTE_MS))
  await prepare()
})

/** Puts `checkout` under measurement: half of everyone, in stage 3. */
async function begin(measured: Partial<Measurement> = {}): Promise<void> {
  const { exposure = 'use', slices = [] } = measured
  id = await measure(environment, {
    flag: 'checkout',
    metrics: [{ key: 'paid' }],
    stage: 3,
    exposure,
    slices,
  })
  await warm(environment)
}

async function ask(path: string, key: string, context: object = ADA): Promise<unknown> {
  const { response, settled } = await serve(makeRequest(path, { key, json: { context } }), bindings)
  const { status, body } = await read(response)
  if (status !== 200) throw new Error(`answered with ${status}`)
  await settled()
  return body
}

async function askBinding(how: 'one' | 'all'): Promise<void> {
  const { flags, settled } = makeFlags(environment, bindings)
  if (how === 'one') await flags.getBooleanValue('checkout', false, ADA)
  else await flags.getAll(ADA)
  await settled()
}

const single = `${SINGLE}checkout`

describe('an evaluation is an exposure', () => {
  it.each<[name: string, evaluating: () => Promise<unknown>, byUse: number, byAssignment: number]>([
    ['of one flag with a server key', () => ask(single, server), 1, 1],
    ['of one flag over the binding', () => askBinding('one'), 1, 1],
    ['of one flag with a client key', () => ask(single, client), 0, 1],
    ['of all flags with a server key', () => ask(BULK, server), 0, 1],
    ['of all flags over the binding', () => askBinding('all'), 0, 1],
    ['of all flags with a client key', () => ask(BULK, client), 0, 1],
    ['of a flag that is not measured', () => ask(`${SINGLE}plain`, server), 0, 0],
    ['of somebody without a unit', () => ask(single, server, { plan: 'pro' }), 0, 0],
  ])('%s', async (_, evaluating, byUse, byAssignment) => {
    await begin({ exposure: 'use' })
    await evaluating()
    expect(exposures).toHaveLength(byUse)
    await prepare()
    await begin({ exposure: 'assignment' })
    await evaluating()
    expect(exposures).toHaveLength(byAssignment)
  })

  it('once for a unit and minute, with where it stands and what is known of it', async () => {
    await begin({ slices: ['plan', 'country'] })
    const variant = field(await ask(single, server), 'variant')
    const ada = `checkout ${variant} 3 1 ${variant === 'on' ? 't' : 'c'} pro `
    await ask(single, server)
    expect(exposures).toEqual([ada])
    await ask(single, server, { targetingKey: 'bob' })
    expect(exposures).toHaveLength(2)
    moveClock(MINUTE_MS)
    await ask(single, server)
    expect([exposures.length, exposures[2]]).toEqual([3, ada])
  })
})

it('counts an exposure in the arm of its unit', async () => {
  await begin()
  bindings = env
  const arms = { t: 0, c: 0 }
  for (const unit of ['ada', 'bob', 'cleo', 'dan', 'eve', 'fay']) {
    const variant = field(await ask(single, server, { targetingKey: unit }), 'variant')
    arms[variant === 'on' ? 't' : 'c']++
  }
  const shards = shardsOf(env, environment)
  const totals = (await Promise.all(shards.map((shard) => shard.totals(id)))).flat()
  const unitsOf = (arm: string) =>
    totals.filter((one) => one.arm === arm).reduce((sum, { units }) => sum + units, 0)
  expect({ t: unitsOf('t'), c: unitsOf('c') }).toEqual(arms)
  expect(totals.every(({ stage, stratum }) => stage === 3 && stratum === '1')).toBe(true)
})

it('tells shards of no exposure where nothing is measured', async () => {
  await warm(environment)
  await ask(single, server)
  await ask(BULK, client)
  expect([messages > 0, exposures]).toEqual([true, []])
})

it('does not wait for shards that do not answer', async () => {
  await begin()
  const silent = withShards(env, () => ({ take: () => new Promise(() => {}) }))
  const { response } = await serve(makeRequest(single, { key: server, json: { context: ADA } }), silent)
  expect((await read(response)).status).toBe(200)
})
