import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { clearAuthentication } from '../../src/access/authenticate.ts'
import { clearLimited } from '../../src/access/sign-in-limit.ts'
import { BINDINGS, call, fetchApi, refusalOf, serveIdentities } from '../support/access.ts'
import {
  field,
  makeRequest,
  moveClock,
  read,
  record,
  silenceLogs,
  stopClock,
  uniqueName,
} from '../support/worker.ts'

silenceLogs()
const { jwtOf, join } = serveIdentities()

beforeEach(() => {
  stopClock()
  clearLimited()
  clearAuthentication()
})

const from = (address: string, authorization?: string) =>
  makeRequest('/api/v1/me', {
    method: 'GET',
    headers: { 'cf-connecting-ip': address, ...(authorization === undefined ? {} : { authorization }) },
  })

async function answerTo(request: Request, bindings = BINDINGS) {
  const answer = await read(await fetchApi(request, bindings))
  return { answer, refusal: refusalOf(answer), retryAfter: answer.headers.get('retry-after') }
}

describe('who is let in', () => {
  it('is told who they are: the administrator', async () => {
    const { status, body } = await call('GET', '/me')
    expect([status, body]).toEqual([200, { id: 'admin', via: 'admin', role: 'admin', environments: null }])
  })

  it('is told who they are: a member', async () => {
    const { email, jwt } = await join('releaser', ['staging', 'production', 'staging'])
    const { status, body } = await call('GET', '/me', { as: jwt })
    expect([status, body]).toEqual([
      200,
      { id: email, via: 'jwt', role: 'releaser', environments: ['production', 'staging'] },
    ])
  })

  it('is told who they are: a token', async () => {
    const json = { name: 'ci', owner: 'ci', role: 'viewer', environments: ['staging'] }
    const issued = (await call('POST', '/tokens', { json })).body
    const { status, body } = await call('GET', '/me', { as: String(field(issued, 'token')) })
    const via = `token:${field(issued, 'id')}`
    expect([status, body]).toEqual([200, { id: 'ci', via, role: 'viewer', environments: ['staging'] }])
  })
})

describe('who is kept out is told why:', () => {
  it.each<[string, string | undefined, readonly [number, string]]>([
    ['nothing says who it is', undefined, [401, 'unauthorized']],
    ['the token is wrong', 'Bearer wrong', [401, 'unauthorized']],
    ['the token is no JWT', 'Bearer a.b.c', [401, 'unauthorized']],
  ])('%s', async (_, authorization, expected) => {
    const { answer, refusal, retryAfter } = await answerTo(from(uniqueName('address'), authorization))
    expect(refusal).toEqual(expected)
    expect(answer.body).toEqual({
      error: { code: 'unauthorized', message: 'a valid token is needed', requestId: expect.any(String) },
    })
    expect(retryAfter).toBeNull()
  })

  it('somebody is known and no member', async () => {
    expect(refusalOf(await call('GET', '/me', { as: await jwtOf('nobody@example.com') }))).toEqual([
      403,
      'no_member',
    ])
  })

  it('a JWT is too old', async () => {
    const jwt = await jwtOf('nobody@example.com', { exp: 1 })
    expect(refusalOf(await call('GET', '/me', { as: jwt }))).toEqual([401, 'expired'])
  })

  it('the identity provider cannot be reached', async () => {
    const bindings = { ...BINDINGS, OIDC_JWKS_URL: 'https://id.example/nowhere' }
    const jwt = await jwtOf('nobody@example.com')
    expect(refusalOf(await call('GET', '/me', { as: jwt, bindings }))).toEqual([503, 'unavailable'])
  })

  it('a page of another site steers the browser', async () => {
    const bindings = { ...BINDINGS, ACCESS_TEAM: 'acme', ACCESS_AUDIENCE: 'tag' }
    const headers = { 'cf-access-jwt-assertion': 'a.b.c', origin: 'https://evil.example' }
    const request = makeRequest('/api/v1/tokens', { headers, json: {} })
    expect((await answerTo(request, bindings)).refusal).toEqual([403, 'cross_site'])
  })
})

describe('guesses', () => {
  it('are refused without a look after thirty, whatever they name, for a minute', async () => {
    const address = uniqueName('address')
    for (let i = 0; i < 30; i++) {
      expect((await answerTo(from(address, `Bearer wrong-${i}`))).refusal).toEqual([401, 'unauthorized'])
    }
    const oneTooMany = await answerTo(from(address, 'Bearer wrong'))
    expect([oneTooMany.refusal, oneTooMany.retryAfter]).toEqual([[429, 'limited'], '60'])

    const { bindings, calls } = record(BINDINGS)
    const right = await answerTo(from(address, 'Bearer test-admin'), bindings)
    expect([right.refusal, right.retryAfter, calls]).toEqual([[429, 'limited'], '60', []])
    expect((await answerTo(from(uniqueName('address'), 'Bearer test-admin'))).answer.status).toBe(200)

    moveClock(60_000)
    expect((await answerTo(from(address, 'Bearer test-admin'))).answer.status).toBe(200)
  })

  it.each<[string, () => Promise<string | undefined>]>([
    ['nothing', async () => undefined],
    ['an identity that is no member', () => jwtOf('nobody@example.com')],
    ['a JWT that is too old', () => jwtOf('nobody@example.com', { exp: 1 })],
    ['the right token', async () => 'test-admin'],
  ])('are not what says %s', async (_, tokenOf) => {
    const token = await tokenOf()
    const { bindings, calls } = record({ ...BINDINGS, ADMIN_TOKEN: env.ADMIN_TOKEN ?? '' })
    await answerTo(from(uniqueName('address'), token === undefined ? undefined : `Bearer ${token}`), bindings)
    expect(calls.filter((name) => name.startsWith('SIGN_IN_LIMIT'))).toEqual([])
  })

  it('are counted', async () => {
    const { bindings, calls } = record(BINDINGS)
    await answerTo(from(uniqueName('address'), 'Bearer wrong'), bindings)
    expect(calls).toEqual(['SIGN_IN_LIMIT.limit'])
  })
})
