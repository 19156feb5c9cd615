import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { equalsInConstantTime } from '../../src/access/constant-time.ts'
import { createKey, hashKey, isEnvironmentKey, parseKey, randomHex, toHex } from '../../src/access/key.ts'
import type { Bindings } from '../../src/bindings.ts'
import { makeRequest, read, serve } from '../support/worker.ts'

describe('an evaluation key', () => {
  it.each([
    ['rp_server_production_0123abcd', { kind: 'server', environment: 'production' }],
    ['rp_client_production_demo', { kind: 'client', environment: 'production' }],
    ['rp_server_eu-west-1_A', { kind: 'server', environment: 'eu-west-1' }],
    [`rp_server_${'e'.repeat(40)}_${'s'.repeat(64)}`, { kind: 'server', environment: 'e'.repeat(40) }],
  ])('says of itself what it is: %s', (key, expected) => {
    expect(parseKey(key)).toEqual(expected)
  })

  it.each([
    '',
    'rp_server_production',
    'rp_server_production_',
    'rp_server__0123',
    'rp_admin_production_0123',
    'RP_server_production_0123',
    'rp_server_Production_0123',
    'rp_server_-production_0123',
    'rp_server_pro_duction_0123',
    'rp_server_production_01 23',
    'rp_server_production_0123\n',
    ' rp_server_production_0123',
    'xrp_server_production_0123',
    `rp_server_${'e'.repeat(41)}_0123`,
    `rp_server_production_${'s'.repeat(65)}`,
  ])('is nothing else: %j', (text) => {
    expect(parseKey(text)).toBeUndefined()
  })

  it('is made of 128 random bits, and reads as what it was made for', () => {
    const keys = Array.from({ length: 100 }, () => createKey('client', 'production'))
    expect(new Set(keys).size).toBe(100)
    for (const key of keys) {
      expect(key).toMatch(/^rp_client_production_[0-9a-f]{32}$/)
      expect(parseKey(key)).toEqual({ kind: 'client', environment: 'production' })
    }
  })

  it('is stored as its SHA-256', async () => {
    expect(await hashKey('rp_server_production_demo')).toBe(
      '3f1b10fb20138e6a694c1dd2caa0e77757d4550e33e58768bdd814b9b7b81e98',
    )
  })
})

describe('the name of an environment', () => {
  it.each([
    ['production', true],
    ['1', true],
    ['a-', true],
    ['e'.repeat(40), true],
    ['e'.repeat(41), false],
    ['', false],
    ['-a', false],
    ['Production', false],
    ['a_b', false],
    ['a.b', false],
    ['prödüction', false],
    ['a\n', false],
  ])('may be %j: %s', (name, expected) => {
    expect(isEnvironmentKey(name)).toBe(expected)
  })
})

describe('hex', () => {
  it('keeps every byte, with its zeros', () => {
    expect(toHex(new Uint8Array([0, 1, 15, 16, 255]))).toBe('00010f10ff')
    expect(randomHex(3)).toMatch(/^[0-9a-f]{6}$/)
  })
})

describe('a comparison in constant time', () => {
  it.each([
    ['abc', 'abc', true],
    ['', '', true],
    ['abc', 'abd', false],
    ['abc', 'abcd', false],
    ['é', 'é', true],
    ['é', 'e', false],
    ['é', 'ab', false],
  ])('of %j and %j is %s', (a, b, expected) => {
    expect(equalsInConstantTime(a, b)).toBe(expected)
  })
})

describe('the management API', () => {
  async function statusWith(headers: { readonly [name: string]: string }, bindings: Bindings = env) {
    const { response } = await serve(makeRequest('/api/v1/flags', { method: 'GET', headers }), bindings)
    const { status, body } = await read(response)
    return { status, body }
  }

  it.each([
    ['Bearer test-admin', 'as it is'],
    ['bearer test-admin', 'in small letters'],
    ['Bearer   test-admin  ', 'with spaces around it'],
  ])('lets the administrator in: %j, %s', async (authorization) => {
    expect(await statusWith({ authorization })).toEqual({
      status: 200,
      body: { flags: [], nextCursor: null },
    })
  })

  it.each<[string, { readonly [name: string]: string }]>([
    ['no token', {}],
    ['an empty token', { authorization: 'Bearer ' }],
    ['another token', { authorization: 'Bearer test-admi' }],
    ['more than the token', { authorization: 'Bearer test-admin2' }],
    ['the token in other letters', { authorization: 'Bearer TEST-ADMIN' }],
    ['the token without its scheme', { authorization: 'test-admin' }],
    ['the token of another scheme', { authorization: 'Basic test-admin' }],
    ['the token where keys go', { 'x-api-key': 'test-admin' }],
    ['an evaluation key', { authorization: `Bearer ${createKey('server', 'production')}` }],
  ])('keeps others out: %s', async (_, headers) => {
    expect(await statusWith(headers)).toEqual({
      status: 401,
      body: {
        error: { code: 'unauthorized', message: 'a valid token is needed', requestId: expect.any(String) },
      },
    })
  })

  it.each<[string, string | undefined]>([
    ['is not set', undefined],
    ['is empty', ''],
  ])("keeps everybody out while the administrator's token %s", async (_, token) => {
    const { ADMIN_TOKEN: _own, ...others } = env
    const bindings = token === undefined ? others : { ...others, ADMIN_TOKEN: token }
    const answers = await Promise.all(
      ['Bearer undefined', 'Bearer ', 'Bearer test-admin'].map((authorization) =>
        statusWith({ authorization }, bindings),
      ),
    )
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401])
  })
})
