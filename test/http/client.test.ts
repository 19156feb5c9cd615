// A client that is typed by the API: what it takes for granted is checked by the compiler, and by one road through
// the Worker.
import { exports } from 'cloudflare:workers'
import { hc, type InferRequestType, type InferResponseType } from 'hono/client'
import { expect, expectTypeOf, it } from 'vitest'
import type { AppType } from '../../src/app.ts'
import { createEnvironment, ORIGIN, uniqueName } from '../support/worker.ts'

const client = hc<AppType>(ORIGIN, {
  headers: { authorization: 'Bearer test-admin' },
  fetch: (input: RequestInfo | URL, init?: RequestInit) => exports.default.fetch(new Request(input, init)),
})
const { flags, environments } = client.api.v1
const flag = flags[':flag']
const configuration = flag.environments[':environment']

it('knows what a route takes', () => {
  type Saving = InferRequestType<typeof configuration.$put>
  expectTypeOf<Saving['param']>().toEqualTypeOf<{ flag: string; environment: string }>()
  expectTypeOf<Saving['header']>().toEqualTypeOf<{
    'if-match'?: string | undefined
    'if-none-match'?: string | undefined
  }>()
  expectTypeOf<Saving['json']['enabled']>().toEqualTypeOf<boolean>()
  expectTypeOf<Saving['json']['allowMoves']>().toEqualTypeOf<boolean | undefined>()
  type FlagType = 'boolean' | 'string' | 'number' | 'object'
  expectTypeOf<InferRequestType<typeof flag.$put>['json']['type']>().toEqualTypeOf<FlagType>()
})

it('knows what a route answers', () => {
  type Flag = InferResponseType<typeof flag.$get, 200>
  expectTypeOf<Flag['type']>().toEqualTypeOf<'boolean' | 'string' | 'number' | 'object'>()
  expectTypeOf<Flag['archivedAt']>().toEqualTypeOf<number | null>()
  expectTypeOf<Flag['owner']>().toEqualTypeOf<string>()
  type Saved = InferResponseType<typeof flag.$put, 200>
  expectTypeOf<Saved['environments'][string]>().toEqualTypeOf<{ version: number; published: boolean }>()
  type Waiting = InferResponseType<typeof flag.$put, 202>
  expectTypeOf<Waiting['changeRequest']['applyAt']>().toEqualTypeOf<number | null>()
  type Refused = InferResponseType<typeof flag.$put, 412>
  expectTypeOf<Refused['error']['code']>().toEqualTypeOf<string>()
})

it('makes a flag, finds it, and is told why not', async () => {
  const environment = await createEnvironment()
  const key = uniqueName('checkout')
  const request = {
    param: { flag: key },
    header: { 'if-none-match': '*' },
    json: { type: 'boolean' as const, variants: [{ name: 'on', value: true }] },
  }
  const made = await flag.$put(request)
  if (made.status !== 200) throw new Error(`not made: ${made.status}`)
  const { revision, environments: versions } = await made.json()
  expect([revision, versions[environment]]).toEqual([1, { version: 2, published: true }])

  const found = await configuration.$get({ param: { flag: key, environment } })
  if (found.status !== 200) throw new Error(`not found: ${found.status}`)
  expect((await found.json()).enabled).toBe(false)

  const again = await flag.$put(request)
  if (again.status !== 412) throw new Error(`not refused: ${again.status}`)
  expect((await again.json()).error.code).toBe('stale')

  const listed = await environments.$get()
  if (listed.status !== 200) throw new Error(`not listed: ${listed.status}`)
  expect((await listed.json()).environments.map((one) => one.key)).toContain(environment)
})
