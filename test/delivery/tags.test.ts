import { env } from 'cloudflare:workers'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { snapshotCache } from '../../src/delivery/snapshot-cache.ts'
import { createBatchId, formatBatchId } from '../../src/telemetry/events/batch-id.ts'
import { parseTag, verifyTag } from '../../src/telemetry/events/tag.ts'
import { shardsOf } from '../../src/telemetry/shard-protocol.ts'
import { measure } from '../support/measurements.ts'
import {
  type Answer,
  ask,
  configure,
  createEnvironment,
  createFlag,
  createKey,
  evaluate,
  evaluateAll,
  field,
  makeFlags,
  moveClock,
  stopClock,
  warm,
} from '../support/worker.ts'

const EPOCH_MS = 6 * 3_600_000

let environment = ''
let id = ''
let server = ''
let client = ''

beforeAll(async () => {
  await createFlag('checkout', { clientVisible: true })
  await createFlag('plain', { clientVisible: true })
  // Epochs are those of the clock: what is asked twice is asked in one.
  stopClock()
  moveClock(EPOCH_MS - (Date.now() % EPOCH_MS))
})

beforeEach(async () => {
  environment = await createEnvironment()
  await configure(environment, 'checkout', { fallthrough: { variant: 'off' } })
  await configure(environment, 'plain')
  id = await measure(environment, { flag: 'checkout', metrics: [{ key: 'paid' }], stage: 3 })
  server = (await createKey(environment)).key
  client = (await createKey(environment, 'client')).key
  await warm(environment)
})

const metadataOf = (answer: unknown) => field(answer, 'metadata')

/** The tag that one flag of a bulk answer carries. */
function tagIn(answer: Answer, flag: string): unknown {
  const flags = field(answer.body, 'flags')
  const found = Array.isArray(flags) ? flags.find((one) => field(one, 'key') === flag) : undefined
  if (found === undefined) throw new Error(`no ${flag} in ${JSON.stringify(answer.body)}`)
  return field(metadataOf(found), 'tag')
}

async function tagOf(key: string, unit: string): Promise<unknown> {
  return field(metadataOf((await evaluate(key, 'checkout', { targetingKey: unit })).body), 'tag')
}

/** What a signed tag says of a unit, by the environment's own secret. */
function verified(tag: unknown, unit: string, elapsed = 0) {
  const known = snapshotCache.view(environment)?.environment
  if (!known) throw new Error('no snapshot in memory')
  return verifyTag(known, String(tag), unit, Date.now() + elapsed)
}

describe('a measured flag', () => {
  it('tells a server key where the unit stands, alone and among all', async () => {
    const tag = await tagOf(server, 'ada')
    expect(parseTag(String(tag))).toEqual({
      id,
      stage: 3,
      stratum: '1',
      arm: expect.stringMatching(/^[tc]$/),
    })
    const all = await evaluateAll(server, { targetingKey: 'ada' })
    expect([tagIn(all, 'checkout'), tagIn(all, 'plain')]).toEqual([tag, undefined])
  })

  it('tells a client key the same, signed for the unit', async () => {
    const plain = parseTag(String(await tagOf(server, 'ada')))
    const tag = await tagOf(client, 'ada')
    expect(parseTag(String(tag))).toBeUndefined()
    expect([verified(tag, 'ada'), verified(tag, 'bob')]).toEqual([plain, undefined])
    expect([verified(tag, 'ada', 2 * EPOCH_MS - 1), verified(tag, 'ada', 2 * EPOCH_MS)]).toEqual([
      plain,
      undefined,
    ])
    const all = await evaluateAll(client, { targetingKey: 'ada' })
    expect([tagIn(all, 'checkout'), tagIn(all, 'plain')]).toEqual([tag, undefined])
  })

  it('tells a client key what is believed when it is sent back, of that unit alone', async () => {
    const tag = await tagOf(client, 'ada')
    const send = (unit: string) => {
      const event = { kind: 'exposure', flag: 'checkout', variant: 'on', unit, tag }
      const batch = { id: formatBatchId(createBatchId(Date.now())), events: [event] }
      return ask('/v1/events', { key: client, json: batch })
    }
    const counted = async () => {
      const totals = await Promise.all(shardsOf(env, environment).map((shard) => shard.totals(id)))
      return totals.flat().reduce((sum, { units }) => sum + units, 0)
    }
    expect([(await send('bob')).status, await counted()]).toEqual([202, 0])
    expect([(await send('ada')).status, await counted()]).toEqual([202, 1])
  })

  it('says nothing to somebody without a unit', async () => {
    const { status, body } = await evaluate(server, 'checkout', { country: 'IE' })
    expect([status, field(metadataOf(body), 'tag')]).toEqual([200, undefined])
  })

  it('tells other Workers the same as a server key', async () => {
    const { flags, settled } = makeFlags(environment, env)
    const context = { targetingKey: 'ada' }
    const details = await flags.getBooleanDetails('checkout', false, context)
    const all = await flags.getAll(context)
    const tag = await tagOf(server, 'ada')
    expect([details.tag, all.checkout?.tag, all.plain?.tag]).toEqual([tag, tag, undefined])
    expect(Object.keys(await flags.getBooleanDetails('plain', false, context))).not.toContain('tag')
    await settled()
  })
})

describe('the ETag of a bulk answer with tags', () => {
  const etagOf = async (key: string, unit: string) => {
    return (await evaluateAll(key, { targetingKey: unit })).headers.get('etag') ?? ''
  }

  it.each([
    ['server', () => server],
    ['client', () => client],
  ])('stays the same for all of an epoch, so that there is nothing new: %s', async (_, key) => {
    const etag = await etagOf(key(), 'ada')
    moveClock(30_000)
    const headers = { 'if-none-match': etag }
    const again = await evaluateAll(key(), { targetingKey: 'ada' }, { headers })
    expect([again.status, again.headers.get('etag')]).toEqual([304, etag])
  })

  it('is of the unit where tags are signed for it', async () => {
    const stands = async (unit: string) => tagOf(server, unit)
    const units = ['ada', 'bob', 'cleo', 'dan']
    const [first = '', ...others] = units
    const arm = await stands(first)
    const standing = await Promise.all(others.map(stands))
    const same = others[standing.indexOf(arm)]
    if (same === undefined) throw new Error('no other unit stands there')
    expect(await etagOf(server, same)).toBe(await etagOf(server, first))
    expect(await etagOf(client, same)).not.toBe(await etagOf(client, first))
  })

  it('is another in the next epoch, which brings tags that are good for longer', async () => {
    const before = await evaluateAll(client, { targetingKey: 'ada' })
    moveClock(EPOCH_MS)
    const headers = { 'if-none-match': before.headers.get('etag') ?? '' }
    const after = await evaluateAll(client, { targetingKey: 'ada' }, { headers })
    const tag = tagIn(after, 'checkout')
    expect([after.status, tag === tagIn(before, 'checkout')]).toEqual([200, false])
    expect(verified(tag, 'ada', 2 * EPOCH_MS - 120_000)).toBeDefined()
    expect(verified(tagIn(before, 'checkout'), 'ada')).toBeDefined()
  })
})
