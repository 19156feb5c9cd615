import { env } from 'cloudflare:workers'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { saveExpiry } from '../support/entities.ts'
import {
  ask,
  BULK,
  configure,
  createEnvironment,
  createFlag,
  createKey,
  evaluate,
  makeRequest,
  moveClock,
  record,
  SINGLE,
  serve,
  stopClock,
  warm,
} from '../support/worker.ts'

const HOUR_MS = 3_600_000

let environment = ''
let key: { readonly id: string; readonly key: string }

beforeAll(() => createFlag('a'))

beforeEach(async () => {
  stopClock()
  environment = await createEnvironment()
  await configure(environment, 'a')
  key = await createKey(environment)
  await warm(environment)
})

const PATHS: readonly (readonly [name: string, method: string, path: string])[] = [
  ['single', 'POST', `${SINGLE}a`],
  ['bulk', 'POST', BULK],
  ['the snapshot', 'GET', '/v1/snapshot'],
]

describe('a key that ends by itself', () => {
  it.each(PATHS)('is let in until then, and not from then on: %s', async (_, method, path) => {
    await saveExpiry(environment, key, Date.now() + HOUR_MS)
    await warm(environment)
    const status = async () => (await ask(path, { method, key: key.key })).status
    moveClock(HOUR_MS - 1)
    await warm(environment)
    expect(await status()).toBe(200)
    moveClock(1)
    expect(await status()).toBe(401)
  })

  it.each(PATHS)('is refused by an isolate that never saw it, too: %s', async (_, method, path) => {
    await saveExpiry(environment, key, Date.now())
    await warm(environment)
    const { status, body } = await ask(path, { method, key: key.key })
    expect([status, body]).toEqual([401, null])
  })

  it('is counted against its address like one that was revoked', async () => {
    await saveExpiry(environment, key, Date.now())
    await warm(environment)
    const { bindings, calls } = record(env)
    const { response, settled } = await serve(makeRequest(BULK, { key: key.key, json: {} }), bindings)
    await settled()
    expect([response.status, calls]).toEqual([401, ['SIGN_IN_LIMIT.limit']])
  })

  it('ends without anybody being asked, where it was let in a moment before', async () => {
    await saveExpiry(environment, key, Date.now() + 500)
    await warm(environment)
    const { bindings, calls } = record(env)
    const status = async () => {
      const { response, settled } = await serve(makeRequest(BULK, { key: key.key, json: {} }), bindings)
      await settled()
      return response.status
    }
    expect([await status(), calls]).toEqual([200, []])
    moveClock(500)
    expect([await status(), calls]).toEqual([401, ['SIGN_IN_LIMIT.limit']])
  })

  it('is refused by the very answer that learns that it has ended', async () => {
    const { headers } = await ask(BULK, { key: key.key, json: {} })
    await saveExpiry(environment, key, Date.now())
    const newer = Number(headers.get('x-rampart-version')) + 1
    expect((await ask(`${BULK}?flagConfigEtag=${newer}`, { key: key.key, json: {} })).status).toBe(401)
  })

  it('hinders no other key, and lives on where its end is put off', async () => {
    const other = await createKey(environment)
    await saveExpiry(environment, key, Date.now() + 1_000)
    await warm(environment)
    moveClock(1_000)
    expect((await evaluate(other.key, 'a')).status).toBe(200)
    expect((await evaluate(key.key, 'a')).status).toBe(401)
    await saveExpiry(environment, key, Date.now() + 1_000)
    await warm(environment)
    expect((await evaluate(key.key, 'a')).status).toBe(200)
  })
})
