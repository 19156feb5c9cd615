// The part of a hundred thousand odd bodies that goes over HTTP to the shards' disks; most are in
// ../events/odd-bodies.test.ts.
import { env } from 'cloudflare:workers'
import { beforeAll, expect, it } from 'vitest'
import { shardsOf } from '../../../src/telemetry/shard-protocol.ts'
import { createRandom, makeOddBody, type Random, spoil } from '../../support/event-bodies.ts'
import { EVENTS, gzip, makeBatchId } from '../../support/events.ts'
import { measure } from '../../support/measurements.ts'
import {
  type Answer,
  createEnvironment,
  createFlag,
  createKey,
  field,
  makeRequest,
  read,
  serve,
  silenceLogs,
  warm,
} from '../../support/worker.ts'

const REQUESTS = 3_000
const AT_ONCE = 20
const SEED = 7
const DAY_MS = 86_400_000

let environment = ''
let keys = { server: '', client: '' }

silenceLogs()
beforeAll(async () => {
  await createFlag('flag-1')
  environment = await createEnvironment()
  keys = {
    server: (await createKey(environment)).key,
    client: (await createKey(environment, 'client')).key,
  }
  await measure(environment, { id: 'r1', flag: 'flag-1', metrics: [{ key: 'load', kind: 'latency' }] })
  await warm(environment)
})

/** What is sent, and sent again where it must be. */
async function makeSending(random: Random) {
  const text = makeOddBody(random, makeBatchId(), Date.now())
  const roll = random()
  if (roll < 0.2) {
    const body = text.replace('{', `{"key":"${keys.client}",`)
    return { body, headers: { 'content-type': 'text/plain' } }
  }
  const key = random() < 0.5 ? keys.server : keys.client
  const headers = { 'content-type': 'application/json' }
  if (roll < 0.5) return { key, headers, body: text }
  const plain = new TextEncoder().encode(text)
  if (roll < 0.7) return { key, headers, body: spoil(plain, random) }
  const packed = await gzip(roll < 0.85 ? plain : spoil(plain, random))
  const body = roll < 0.95 ? packed : spoil(packed, random)
  return { key, headers: { ...headers, 'content-encoding': 'gzip' }, body }
}

/** Sends until there is an answer that stays, as clients do; now and then twice, as clients do that were cut off. */
async function deliver(random: Random): Promise<Answer> {
  const sending = await makeSending(random)
  let again = random() < 0.1 ? 1 : 0
  for (let tries = 0; tries < 20; tries++) {
    const answer = await read((await serve(makeRequest(EVENTS, sending), env)).response)
    const { code } = Object(field(answer.body, 'error'))
    if (code === 'overloaded' || again-- > 0) continue
    return answer
  }
  throw new Error('never an answer that stays')
}

/** How many events the shards have counted. */
async function countAll(): Promise<number> {
  const day = Math.floor(Date.now() / DAY_MS) * DAY_MS
  const query = { from: day - 3 * DAY_MS, to: day + 2 * DAY_MS, step: 'day', metric: null } as const
  const counts = shardsOf(env, environment).map(async (shard) => {
    const [exposures, names] = await Promise.all([shard.series(query), shard.names()])
    return [...exposures, ...names].reduce((sum, { count }) => sum + count, 0)
  })
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
}

it('never fails, and counts what it was answered as accepted, once', async () => {
  const random = createRandom(SEED)
  const statuses = new Map<number, number>()
  let accepted = 0
  for (let sent = 0; sent < REQUESTS; sent += AT_ONCE) {
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => deliver(random)))
    for (const { status, body } of answers) {
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      if (status === 202) accepted += Number(field(body, 'accepted'))
    }
  }
  expect([...statuses.keys()].filter((status) => ![202, 400, 401, 409, 413].includes(status))).toEqual([])
  expect(statuses.get(202)).toBeGreaterThan(REQUESTS / 4)
  expect(statuses.get(400)).toBeGreaterThan(REQUESTS / 10)
  expect(await countAll()).toBe(accepted)
}, 120_000)
