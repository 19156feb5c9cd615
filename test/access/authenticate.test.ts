import { env } from 'cloudflare:workers'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { authenticate, clearAuthentication } from '../../src/access/authenticate.ts'
import { createKey, hashKey } from '../../src/access/key.ts'
import { type MemberDraft, memberRemoval, memberSave } from '../../src/access/members.ts'
import { createToken, type Token, tokenCreation, tokenRevocation } from '../../src/access/tokens.ts'
import type { Bindings } from '../../src/bindings.ts'
import { commit } from '../support/batch.ts'
import { makeSigningKey, type SigningKey, serveOutside, sign } from '../support/identity-provider.ts'
import {
  makeRequest,
  moveClock,
  ORIGIN,
  record,
  silenceLogs,
  stopClock,
  uniqueName,
  unreachable,
  withDatabase,
} from '../support/worker.ts'

const NOW = 1_772_366_400_000
const SECONDS = NOW / 1_000

const ACCESS_ISSUER = 'https://acme.cloudflareaccess.com'
const ACCESS_KEYS = `${ACCESS_ISSUER}/cdn-cgi/access/certs`
const OIDC_ISSUER = 'https://id.example'
const OIDC_KEYS = 'https://id.example/keys'
const BINDINGS: Bindings = {
  ...env,
  ACCESS_TEAM: 'acme',
  ACCESS_AUDIENCE: 'tag',
  OIDC_ISSUER,
  OIDC_AUDIENCE: 'rampart',
  OIDC_JWKS_URL: OIDC_KEYS,
}

const ADMIN = { ok: true, value: { id: 'admin', via: 'admin', role: 'admin', environments: null } }
const refusal = (error: string) => ({ ok: false, error })

const outside = serveOutside()
silenceLogs()

let accessKey: SigningKey
let oidcKey: SigningKey

beforeAll(async () => {
  stopClock()
  accessKey = await makeSigningKey('a1')
  oidcKey = await makeSigningKey('o1', 'ES256')
})

beforeEach(() => {
  clearAuthentication()
  outside.answers[ACCESS_KEYS] = { keys: [accessKey.jwk] }
  outside.answers[OIDC_KEYS] = { keys: [oidcKey.jwk] }
})

type Headers = { readonly [name: string]: string }
type Asking = { readonly method?: string; readonly bindings?: Bindings; readonly now?: number }

function ask(headers: Headers, { method = 'GET', bindings = BINDINGS, now = NOW }: Asking = {}) {
  return authenticate(makeRequest('/api/v1/me', { method, headers }), bindings, now)
}

const bearer = (token: string): Headers => ({ authorization: `Bearer ${token}` })
const assertion = (token: string): Headers => ({ 'cf-access-jwt-assertion': token })

const accessJwt = (claims: object) =>
  sign({ iss: ACCESS_ISSUER, aud: ['tag'], exp: SECONDS + 300, type: 'app', ...claims }, accessKey)
const oidcJwt = (claims: object) =>
  sign({ iss: OIDC_ISSUER, aud: 'rampart', exp: SECONDS + 300, ...claims }, oidcKey)

async function addMember(overrides: Partial<MemberDraft> = {}): Promise<string> {
  const id = `${uniqueName('ada')}@example.com`
  const draft: MemberDraft = { id, name: 'Ada', role: 'developer', environments: null, ...overrides }
  await commit(memberSave(draft, 0, NOW))
  return draft.id
}

async function issue(overrides: Partial<Token> = {}) {
  const { id, text } = createToken()
  const token: Token = {
    id,
    name: 'ci',
    owner: 'ci',
    role: 'releaser',
    environments: ['staging'],
    createdBy: 'admin',
    createdAt: NOW,
    expiresAt: null,
    revokedAt: null,
    ...overrides,
  }
  await commit({ writes: tokenCreation(token, await hashKey(text)) })
  return { id, text }
}

const queriesIn = (calls: readonly string[]) => calls.filter((call) => call.startsWith('DB.prepare')).length

describe('the bootstrap secret', () => {
  it.each(['Bearer test-admin', 'bearer   test-admin  '])(
    'is the administrator everywhere: %j',
    async (authorization) => {
      const { bindings, calls } = record(BINDINGS)
      expect(await ask({ authorization }, { bindings })).toEqual(ADMIN)
      expect(calls).toEqual([])
    },
  )

  it.each(['test-admi', 'test-admin2', 'TEST-ADMIN', 'undefined', 'x'.repeat(10)])(
    'is not %j',
    async (token) => {
      expect(await ask(bearer(token))).toEqual(refusal('invalid'))
    },
  )

  it.each([undefined, ''])('is nobody while it is %j', async (secret) => {
    const { ADMIN_TOKEN: _own, ...others } = BINDINGS
    const bindings = secret === undefined ? others : { ...others, ADMIN_TOKEN: secret }
    expect(await ask(bearer('test-admin'), { bindings })).toEqual(refusal('invalid'))
    expect(await ask(bearer('undefined'), { bindings })).toEqual(refusal('invalid'))
    expect(await ask({ authorization: 'Bearer ' }, { bindings })).toEqual(refusal('missing'))
  })

  it.each(['a.b.c', `rp_token_0123456789ab_${'0'.repeat(32)}`])(
    'may look like anything: %j',
    async (secret) => {
      expect(await ask(bearer(secret), { bindings: { ...BINDINGS, ADMIN_TOKEN: secret } })).toEqual(ADMIN)
    },
  )

  it('needs neither the database nor an identity provider', async () => {
    const bindings = withDatabase(BINDINGS, { prepare: unreachable, batch: unreachable })
    outside.answers[ACCESS_KEYS] = unreachable
    expect(
      await ask({ ...bearer('test-admin'), ...assertion('a.b.c') }, { bindings, method: 'POST' }),
    ).toEqual(ADMIN)
  })
})

describe('nobody', () => {
  it.each<[string, Headers, string]>([
    ['without a word', {}, 'missing'],
    ['with an empty token', { authorization: 'Bearer ' }, 'missing'],
    ['with another scheme', { authorization: 'Basic test-admin' }, 'missing'],
    ['with the token where keys go', { 'x-api-key': 'test-admin' }, 'missing'],
    ['with two tokens', { authorization: 'Bearer test-admin, Bearer test-admin' }, 'missing'],
    ['with an evaluation key', bearer(createKey('server', 'production')), 'invalid'],
    ['with half a management token', bearer('rp_token_0123456789ab'), 'invalid'],
    ['with a management token that was never made', bearer(createToken().text), 'invalid'],
    ['with rubbish for a JWT', bearer('a.b.c'), 'invalid'],
    ['with rubbish from Access', assertion('a.b.c'), 'invalid'],
    ['with nothing from Access', assertion(''), 'invalid'],
  ])('acts %s', async (_, headers, error) => {
    expect(await ask(headers)).toEqual(refusal(error))
  })

  it('is let in by a good identity of Access beside a bad token', async () => {
    const email = await addMember()
    const headers = { ...bearer('rubbish'), ...assertion(await accessJwt({ email })) }
    expect(await ask(headers)).toEqual(refusal('invalid'))
  })
})

describe('a management token', () => {
  it('acts for its owner with what it was issued for', async () => {
    const { id, text } = await issue()
    expect(await ask(bearer(text))).toEqual({
      ok: true,
      value: {
        id: 'ci',
        via: `token:${id}`,
        issuedBy: 'admin',
        role: 'releaser',
        environments: ['staging'],
      },
    })
  })

  it('acts for a member with no more than the member may', async () => {
    const owner = await addMember({ role: 'viewer', environments: ['staging', 'production'] })
    const { id, text } = await issue({ owner, role: 'admin', environments: null })
    expect(await ask(bearer(text))).toEqual({
      ok: true,
      value: {
        id: owner,
        via: `token:${id}`,
        issuedBy: 'admin',
        role: 'viewer',
        environments: ['staging', 'production'],
      },
    })
  })

  it('is known by the whole of its text', async () => {
    const { text } = await issue()
    const other = text.endsWith('0') ? `${text.slice(0, -1)}1` : `${text.slice(0, -1)}0`
    expect(await ask(bearer(other))).toEqual(refusal('invalid'))
    expect(await ask(bearer(text.toUpperCase()))).toEqual(refusal('invalid'))
  })

  it('ends at its time, remembered or not', async () => {
    const { text } = await issue({ expiresAt: NOW + 1_000 })
    expect((await ask(bearer(text), { now: NOW + 999 })).ok).toBe(true)
    expect(await ask(bearer(text), { now: NOW + 1_000 })).toEqual(refusal('expired'))
    clearAuthentication()
    expect(await ask(bearer(text), { now: NOW + 1_000 })).toEqual(refusal('expired'))
  })

  it('ends within 5 s of being revoked, however often it is used', async () => {
    const { id, text } = await issue()
    expect((await ask(bearer(text))).ok).toBe(true)
    await commit(tokenRevocation(id, NOW))
    for (const later of [1, 1_000, 2_500, 4_999]) {
      expect((await ask(bearer(text), { now: NOW + later })).ok).toBe(true)
    }
    expect(await ask(bearer(text), { now: NOW + 5_000 })).toEqual(refusal('invalid'))
  })

  it('ends at once where it was revoked', async () => {
    const { id, text } = await issue()
    expect((await ask(bearer(text))).ok).toBe(true)
    await commit(tokenRevocation(id, NOW))
    clearAuthentication()
    expect(await ask(bearer(text))).toEqual(refusal('invalid'))
  })

  it('is read once in 5 s', async () => {
    const { text } = await issue()
    const { bindings, calls } = record(BINDINGS)
    for (const later of [0, 1, 4_999, 5_000, 9_999]) await ask(bearer(text), { bindings, now: NOW + later })
    expect(queriesIn(calls)).toBe(2)
  })

  it('works as soon as it is made, although its text was tried before', async () => {
    const { id, text } = createToken()
    expect(await ask(bearer(text))).toEqual(refusal('invalid'))
    const token = { id, name: 'ci', owner: 'ci', role: 'viewer', environments: null } as const
    const life = { createdBy: 'admin', createdAt: NOW, expiresAt: null, revokedAt: null }
    await commit({ writes: tokenCreation({ ...token, ...life }, await hashKey(text)) })
    expect((await ask(bearer(text))).ok).toBe(true)
  })

  it('is still remembered after many others were tried', async () => {
    const { text } = await issue()
    await ask(bearer(text))
    const { bindings, calls } = record(BINDINGS)
    for (let i = 0; i < 5; i++) await ask(bearer(createToken().text), { bindings })
    expect(queriesIn(calls)).toBe(5)
    await ask(bearer(text), { bindings })
    expect(queriesIn(calls)).toBe(5)
  })
})

describe('an identity of Cloudflare Access', () => {
  it('is the member of its e-mail', async () => {
    const email = await addMember({ role: 'releaser', environments: ['staging'] })
    expect(await ask(assertion(await accessJwt({ email: email.toUpperCase(), sub: 'u1' })))).toEqual({
      ok: true,
      value: { id: email, via: 'jwt', role: 'releaser', environments: ['staging'] },
    })
  })

  it('is a service by its name', async () => {
    const name = uniqueName('ci')
    await addMember({ id: `common_name:${name}`, role: 'releaser' })
    expect(await ask(assertion(await accessJwt({ common_name: name, sub: '' })))).toEqual({
      ok: true,
      value: { id: `service:${name}`, via: 'jwt', role: 'releaser', environments: null },
    })
  })

  it('is a member by a group deep in its claims', async () => {
    const group = uniqueName('group')
    await addMember({ id: `custom.groups:${group}`, role: 'viewer' })
    const token = await accessJwt({ email: 'eve@example.com', custom: { groups: [group] } })
    expect(await ask(assertion(token))).toEqual({
      ok: true,
      value: { id: 'eve@example.com', via: 'jwt', role: 'viewer', environments: null },
    })
  })

  it.each<[string, object, string]>([
    ['of somebody who is no member', { email: 'nobody@example.com' }, 'no_member'],
    ['of nobody', {}, 'invalid'],
    ['that has expired', { email: 'nobody@example.com', exp: SECONDS - 31 }, 'expired'],
    ['for another application', { email: 'nobody@example.com', aud: ['other'] }, 'invalid'],
    ['of another team', { email: 'nobody@example.com', iss: 'https://evil.cloudflareaccess.com' }, 'invalid'],
  ])('%s lets nobody in', async (_, claims, error) => {
    expect(await ask(assertion(await accessJwt(claims)))).toEqual(refusal(error))
  })

  it('is not looked at while Access is not configured', async () => {
    const { ACCESS_AUDIENCE: _audience, ...bindings } = BINDINGS
    const email = await addMember()
    expect(await ask(assertion(await accessJwt({ email })), { bindings })).toEqual(refusal('missing'))
    expect(outside.calls).toEqual([])
  })

  it('counts only where Access puts it', async () => {
    const token = await accessJwt({ email: await addMember() })
    expect(await ask({ cookie: `CF_Authorization=${token}` })).toEqual(refusal('missing'))
    expect(await ask(bearer(token))).toEqual(refusal('invalid'))
  })

  it('cannot be checked while the keys cannot be had, and then can', async () => {
    const headers = assertion(await accessJwt({ email: await addMember() }))
    outside.answers[ACCESS_KEYS] = unreachable
    expect(await ask(headers)).toEqual(refusal('unavailable'))
    outside.answers[ACCESS_KEYS] = { keys: [accessKey.jwk] }
    moveClock(5_000)
    expect((await ask(headers)).ok).toBe(true)
  })

  it('loses what was taken away within 5 s, and is read once in that time', async () => {
    const email = await addMember()
    const headers = assertion(await accessJwt({ email }))
    const { bindings, calls } = record(BINDINGS)
    expect((await ask(headers, { bindings })).ok).toBe(true)
    await commit(memberRemoval(email, 1, NOW))
    for (const later of [1, 4_999]) expect((await ask(headers, { bindings, now: NOW + later })).ok).toBe(true)
    expect(queriesIn(calls)).toBe(1)
    expect(await ask(headers, { bindings, now: NOW + 5_000 })).toEqual(refusal('no_member'))
  })

  it('gains what was given at once', async () => {
    const email = `${uniqueName('new')}@example.com`
    const headers = assertion(await accessJwt({ email }))
    expect(await ask(headers)).toEqual(refusal('no_member'))
    await addMember({ id: email })
    expect((await ask(headers)).ok).toBe(true)
  })

  it('is not mistaken for one with other groups', async () => {
    const group = uniqueName('group')
    await addMember({ id: `groups:${group}`, role: 'admin' })
    const inside = assertion(await accessJwt({ email: 'eve@example.com', groups: [group] }))
    const outsideOf = assertion(await accessJwt({ email: 'eve@example.com', groups: [] }))
    expect((await ask(inside)).ok).toBe(true)
    expect(await ask(outsideOf)).toEqual(refusal('no_member'))
  })
})

describe('a JWT of the OIDC issuer', () => {
  it('is the member of its e-mail when that was checked', async () => {
    const email = await addMember({ role: 'viewer' })
    expect(await ask(bearer(await oidcJwt({ email, email_verified: true, sub: 'u1' })))).toEqual({
      ok: true,
      value: { id: email, via: 'jwt', role: 'viewer', environments: null },
    })
  })

  it.each<[string, (email: string) => object]>([
    ['an e-mail that was not checked', (email) => ({ email, email_verified: false, sub: 'u1' })],
    ['an e-mail of which nothing is said', (email) => ({ email, sub: 'u1' })],
    ['an e-mail for a subject', (email) => ({ sub: email })],
    ['an e-mail for a name', (email) => ({ name: email, preferred_username: email, sub: 'u1' })],
  ])('does not become somebody by %s', async (_, claims) => {
    const email = await addMember({ role: 'admin' })
    expect(await ask(bearer(await oidcJwt(claims(email))))).toEqual(refusal('no_member'))
  })

  it('does not become a service of Access by its name', async () => {
    const name = uniqueName('ci')
    await addMember({ id: `common_name:${name}` })
    await addMember({ id: `service:${name}` })
    const token = await oidcJwt({ common_name: name, service: name, sub: name })
    expect(await ask(bearer(token))).toEqual(refusal('no_member'))
  })

  it('counts as a bearer token alone', async () => {
    const token = await oidcJwt({ email: await addMember(), email_verified: true })
    expect(await ask(assertion(token))).toEqual(refusal('invalid'))
  })

  it('is nobody while no issuer is configured', async () => {
    const { OIDC_ISSUER: _issuer, ...bindings } = BINDINGS
    const token = await oidcJwt({ email: await addMember(), email_verified: true })
    expect(await ask(bearer(token), { bindings })).toEqual(refusal('invalid'))
    expect(outside.calls).toEqual([])
  })
})

describe('another site', () => {
  const FOREIGN = { origin: 'https://evil.example' }

  it.each<[string, string, Headers, boolean]>([
    ['a program changes', 'POST', {}, true],
    ['the dashboard changes', 'POST', { origin: ORIGIN, 'sec-fetch-site': 'same-origin' }, true],
    ['the dashboard of an old browser changes', 'DELETE', { origin: ORIGIN }, true],
    ['the dashboard reads', 'GET', { 'sec-fetch-site': 'same-origin' }, true],
    ['somebody follows a link', 'GET', { 'sec-fetch-site': 'cross-site' }, true],
    [
      'another site reads, and is not shown the answer',
      'GET',
      { ...FOREIGN, 'sec-fetch-site': 'cross-site' },
      true,
    ],
    ['another site looks', 'HEAD', FOREIGN, true],
    ['another site posts', 'POST', { ...FOREIGN, 'sec-fetch-site': 'cross-site' }, false],
    ['another site posts from an old browser', 'POST', FOREIGN, false],
    ['another site posts without saying which', 'POST', { 'sec-fetch-site': 'cross-site' }, false],
    [
      'another site of the same domain posts',
      'POST',
      { origin: 'https://blog.rampart.test', 'sec-fetch-site': 'same-site' },
      false,
    ],
    [
      'another site of the same domain posts without saying which',
      'POST',
      { 'sec-fetch-site': 'same-site' },
      false,
    ],
    ['a page without an origin posts', 'POST', { origin: 'null' }, false],
    ['the same host posts in the clear', 'POST', { origin: ORIGIN.replace('https', 'http') }, false],
    ['the same host posts from another port', 'POST', { origin: `${ORIGIN}:8443` }, false],
    ['a host that begins alike posts', 'POST', { origin: `${ORIGIN}.evil.example` }, false],
    ['another site puts', 'PUT', FOREIGN, false],
    ['another site patches', 'PATCH', FOREIGN, false],
    ['another site deletes', 'DELETE', FOREIGN, false],
    ['another site opens a socket', 'GET', { ...FOREIGN, upgrade: 'websocket' }, false],
    ['the dashboard opens a socket', 'GET', { origin: ORIGIN, upgrade: 'websocket' }, true],
  ])('%s: %s %j', async (_, method, headers, isLetIn) => {
    const token = await accessJwt({ email: await addMember() })
    const result = await ask({ ...assertion(token), ...headers }, { method })
    expect(result).toMatchObject(isLetIn ? { ok: true } : refusal('cross_site'))
  })

  it('may act with a token, which no browser adds by itself', async () => {
    const headers = { ...FOREIGN, 'sec-fetch-site': 'cross-site' }
    const { text } = await issue()
    const token = await oidcJwt({ email: await addMember(), email_verified: true })
    for (const each of ['test-admin', text, token]) {
      expect((await ask({ ...bearer(each), ...headers }, { method: 'POST' })).ok).toBe(true)
    }
  })

  it('learns nothing of whether there is an identity', async () => {
    expect(await ask({ ...assertion('a.b.c'), ...FOREIGN }, { method: 'POST' })).toEqual(
      refusal('cross_site'),
    )
  })
})
