import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Grant } from '../../src/access/actor.ts'
import { clearAuthentication } from '../../src/access/authenticate.ts'
import { listAudit } from '../../src/ledger/audit.ts'
import { call, refusalOf, serveIdentities } from '../support/access.ts'
import { field, moveClock, silenceLogs, stopClock, uniqueName } from '../support/worker.ts'

silenceLogs()
const { join } = serveIdentities()

beforeEach(() => {
  stopClock()
  clearAuthentication()
})

const DRAFT = { name: 'ci', role: 'developer', environments: ['staging'] }

const post = (draft: object = {}, as?: string, headers = {}) =>
  call('POST', '/tokens', { json: { ...DRAFT, ...draft }, headers, ...(as === undefined ? {} : { as }) })

/** Issues a token that must be granted. */
async function issue(draft: object = {}, as?: string) {
  const { status, body } = await post(draft, as)
  expect(status).toBe(201)
  return { id: String(field(body, 'id')), text: String(field(body, 'token')), body }
}

const lastEntry = async () => (await listAudit(env.DB, {}, 1, undefined))[0]
const statusOf = async (token: string) => (await call('GET', '/me', { as: token })).status

describe('a token', () => {
  it('is issued to oneself, shown once, and written down', async () => {
    const { email, jwt } = await join('releaser', ['production', 'staging'])
    const { id, text, body } = await issue({ environments: ['staging'], comment: 'for the build' }, jwt)
    const stored = {
      id,
      name: 'ci',
      owner: email,
      role: 'developer',
      environments: ['staging'],
      createdBy: email,
      createdAt: Date.now(),
      expiresAt: null,
      revokedAt: null,
    }
    expect(body).toEqual({ ...stored, token: text })
    expect(text).toMatch(new RegExp(`^rp_token_${id}_[0-9a-f]{32}$`))
    expect((await call('GET', '/me', { as: text })).body).toEqual({
      id: email,
      via: `token:${id}`,
      role: 'developer',
      environments: ['staging'],
    })
    expect((await call('GET', '/tokens', { as: jwt })).body).toEqual({ tokens: [stored], nextCursor: null })
    const entry = await lastEntry()
    expect(entry).toMatchObject({
      at: stored.createdAt,
      actor: email,
      via: 'jwt',
      action: 'token.create',
      targetKind: 'token',
      targetKey: id,
      environments: {},
      comment: 'for the build',
      details: { name: 'ci', owner: email, role: 'developer', environments: ['staging'], expiresAt: null },
    })
    expect(JSON.stringify(entry)).not.toContain(text.slice(-32))
  })

  it('reaches each environment that it names once', async () => {
    const { body } = await issue({ environments: ['b', 'a', 'b'] })
    expect(field(body, 'environments')).toEqual(['a', 'b'])
  })

  it.each<[string, object, readonly [number, string]]>([
    ['with a higher role', { role: 'releaser' }, [403, 'forbidden']],
    ['with the highest role', { role: 'admin' }, [403, 'forbidden']],
    ['for an environment more', { environments: ['staging', 'test'] }, [403, 'wrong_environment']],
    ['for all environments', { environments: null }, [403, 'wrong_environment']],
    ['for somebody else', { owner: 'bob@example.com' }, [403, 'forbidden']],
    ['for the administrator', { owner: 'admin' }, [403, 'forbidden']],
    ['that ended before', { expiresAt: '2020-01-01T00:00:00Z' }, [422, 'in_the_past']],
    ['that ends now', { expiresAt: () => new Date(Date.now()) }, [422, 'in_the_past']],
    [
      'that ends in more than ten years',
      { expiresAt: () => new Date(Date.now() + 315_360_000_001) },
      [422, 'too_far_ahead'],
    ],
    ['that ends twice', { expiresInSeconds: 1, expiresAt: '2099-01-01T00:00:00Z' }, [400, 'malformed']],
    ['that ends at once', { expiresInSeconds: 0 }, [400, 'malformed']],
    ['that lives too long', { expiresInSeconds: 315_360_001 }, [400, 'malformed']],
    ['that ends at no instant', { expiresAt: 'tomorrow' }, [400, 'malformed']],
    ['without a name', { name: '' }, [400, 'malformed']],
    ['with a made-up role', { role: 'owner' }, [400, 'malformed']],
    ['for what is no environment', { environments: ['Staging'] }, [400, 'malformed']],
    ['without saying where', { environments: undefined }, [400, 'malformed']],
    ['for an owner who looks like another', { owner: 'ada\u200b@example.com' }, [400, 'malformed']],
    ['for nobody', { owner: '' }, [400, 'malformed']],
    ['with what is not known', { secret: 'x' }, [400, 'malformed']],
  ])('is not issued %s', async (_, draft, expected) => {
    const { jwt } = await join('developer', ['production', 'staging'])
    const before = await lastEntry()
    const made = Object.entries(draft).map(([name, value]) => [
      name,
      typeof value === 'function' ? value().toISOString() : value,
    ])
    expect(refusalOf(await post(Object.fromEntries(made), jwt))).toEqual(expected)
    expect((await call('GET', '/tokens', { as: jwt })).body).toEqual({ tokens: [], nextCursor: null })
    expect(await lastEntry()).toEqual(before)
  })

  it('is not issued for somebody else by an administrator of some environments', async () => {
    const { jwt } = await join('admin', ['staging'])
    const answer = await post({ owner: 'bob@example.com' }, jwt)
    expect(refusalOf(answer)).toEqual([403, 'wrong_environment'])
  })

  it('is not issued by a token, whatever that may', async () => {
    const { jwt } = await join('admin')
    for (const as of ['test-admin', jwt]) {
      const { text } = await issue({ role: 'admin', environments: null }, as)
      expect(refusalOf(await post({ role: 'viewer' }, text))).toEqual([403, 'needs_person'])
    }
  })

  it.each([
    ['Ada@Example.COM', 'ada@example.com'],
    ['service:ci', 'service:ci'],
    ['groups:Release Owners', 'groups:Release Owners'],
    ['nightly-build', 'nightly-build'],
  ])('is issued for %s by an administrator', async (owner, expected) => {
    const { body } = await issue({ owner })
    expect([field(body, 'owner'), field(body, 'createdBy')]).toEqual([expected, 'admin'])
  })

  it('is issued for no more than its owner may', async () => {
    const { email } = await join('viewer', ['staging'])
    const { text } = await issue({ owner: email, role: 'admin', environments: null })
    const { body } = await call('GET', '/me', { as: text })
    expect([field(body, 'role'), field(body, 'environments')]).toEqual(['viewer', ['staging']])
  })

  it.each([
    ['after so many seconds', () => ({ expiresInSeconds: 90 })],
    ['at an instant', () => ({ expiresAt: new Date(Date.now() + 90_000).toISOString() })],
  ])('ends %s', async (_, life) => {
    const { text, body } = await issue(life())
    expect(field(body, 'expiresAt')).toBe(Date.now() + 90_000)
    moveClock(89_999)
    expect(await statusOf(text)).toBe(200)
    moveClock(1)
    expect(refusalOf(await call('GET', '/me', { as: text }))).toEqual([401, 'expired'])
  })

  it('may live for ten years', async () => {
    const inTenYears = Date.now() + 315_360_000_000
    const seconds = await issue({ expiresInSeconds: 315_360_000 })
    const instant = await issue({ expiresAt: new Date(inTenYears).toISOString() })
    expect(field(seconds.body, 'expiresAt')).toBe(inTenYears)
    expect(field(instant.body, 'expiresAt')).toBe(inTenYears)
  })

  it('is issued once, and shown again, when the request is repeated', async () => {
    const { jwt } = await join('developer')
    const headers = { 'idempotency-key': crypto.randomUUID() }
    const first = await post({}, jwt, headers)
    const again = await post({}, jwt, headers)
    expect([first.status, again.status]).toEqual([201, 201])
    expect(again.body).toEqual(first.body)
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect(field((await call('GET', '/tokens', { as: jwt })).body, 'tokens')).toHaveLength(1)
    expect(refusalOf(await post({ name: 'other' }, jwt, headers))).toEqual([422, 'idempotency_key_reused'])
    const { results } = await env.DB.prepare('SELECT * FROM idempotency_keys').all()
    expect(JSON.stringify(results)).not.toContain(String(field(first.body, 'token')).slice(-32))
  })

  it('is issued once when the same request comes twice at once', async () => {
    const { jwt } = await join('developer')
    const headers = { 'idempotency-key': crypto.randomUUID() }
    const answers = await Promise.all([post({}, jwt, headers), post({}, jwt, headers)])
    expect(answers.map(({ status }) => status)).toEqual([201, 201])
    expect(answers[0]?.body).toEqual(answers[1]?.body)
    expect(field((await call('GET', '/tokens', { as: jwt })).body, 'tokens')).toHaveLength(1)
  })
})

describe('the list of tokens', () => {
  const namesFor = async (as: string) => {
    const { body } = await call('GET', '/tokens?limit=200', { as })
    const tokens = field(body, 'tokens')
    return Array.isArray(tokens) ? tokens.map((token) => field(token, 'name')).sort() : tokens
  }

  it.each<[string, Grant['role'], Grant['environments'], boolean]>([
    ['all to an administrator', 'admin', null, true],
    ['their own to an administrator of some environments', 'admin', ['staging'], false],
    ['their own to others', 'releaser', null, false],
  ])('shows %s', async (_, role, environments, isAll) => {
    const [own, others] = [uniqueName('own'), uniqueName('other')]
    const { email, jwt } = await join(role, environments)
    await issue({ name: own, owner: email })
    await issue({ name: others })
    const names = await namesFor(jwt)
    expect(names).toContain(own)
    expect(names).toEqual(isAll ? expect.arrayContaining([own, others]) : [own])
  })

  it('comes by id, a part at a time', async () => {
    const { email, jwt } = await join('developer')
    const ids: string[] = []
    for (let i = 0; i < 5; i++) ids.push((await issue({ owner: email })).id)
    const seen: unknown[] = []
    let cursor: unknown = ''
    for (let page = 0; page < 3; page++) {
      const query = cursor === '' ? '' : `&cursor=${cursor}`
      const { status, body } = await call('GET', `/tokens?limit=2${query}`, { as: jwt })
      expect(status).toBe(200)
      const tokens = field(body, 'tokens')
      seen.push(...(Array.isArray(tokens) ? tokens.map((token) => field(token, 'id')) : []))
      cursor = field(body, 'nextCursor')
    }
    expect(seen).toEqual(ids.sort())
    expect(cursor).toBeNull()
  })

  it.each(['limit=0', 'limit=201', 'limit=x', 'cursor=x'])('is not had with %s', async (query) => {
    expect(refusalOf(await call('GET', `/tokens?${query}`))).toEqual([400, 'malformed'])
  })
})

describe('a token is revoked', () => {
  it('by whom it acts for, at once, once, and it is written down', async () => {
    const { email, jwt } = await join('viewer')
    const { id, text, body } = await issue({ owner: email })
    expect(await statusOf(text)).toBe(200)
    moveClock(1_000)
    const { token: _text, ...stored } = Object(body)
    const revoked = { ...stored, revokedAt: Date.now() }
    const answer = await call('DELETE', `/tokens/${id}?comment=lost`, { as: jwt })
    expect([answer.status, answer.body]).toEqual([200, revoked])
    expect(refusalOf(await call('GET', '/me', { as: text }))).toEqual([401, 'unauthorized'])
    const entry = await lastEntry()
    expect(entry).toMatchObject({
      actor: email,
      action: 'token.revoke',
      targetKind: 'token',
      targetKey: id,
      comment: 'lost',
      details: { name: 'ci', owner: email },
    })

    moveClock(1_000)
    const again = await call('DELETE', `/tokens/${id}`, { as: jwt })
    expect([again.status, again.body]).toEqual([200, revoked])
    expect(await lastEntry()).toEqual(entry)
  })

  it('by itself', async () => {
    const { id, text } = await issue({ owner: 'ci', role: 'viewer' })
    expect((await call('DELETE', `/tokens/${id}`, { as: text })).status).toBe(200)
    expect(await statusOf(text)).toBe(401)
  })

  it('by an administrator', async () => {
    const { email } = await join('admin')
    const { id, text } = await issue({ owner: email })
    const { jwt } = await join('admin')
    expect((await call('DELETE', `/tokens/${id}`, { as: jwt })).status).toBe(200)
    expect(await statusOf(text)).toBe(401)
  })

  it.each<[string, Grant['role'], Grant['environments']]>([
    ['a releaser', 'releaser', null],
    ['an administrator of some environments', 'admin', ['staging']],
  ])('not by %s whom it does not act for, and who is not told that there is one', async (_, role, where) => {
    const { jwt } = await join(role, where)
    const { id, text } = await issue()
    const answer = await call('DELETE', `/tokens/${id}`, { as: jwt })
    const unknown = await call('DELETE', '/tokens/000000000000', { as: jwt })
    expect([refusalOf(answer), refusalOf(unknown)]).toEqual([
      [404, 'not_found'],
      [404, 'not_found'],
    ])
    expect(await statusOf(text)).toBe(200)
  })

  it('not when it was never issued', async () => {
    expect(refusalOf(await call('DELETE', '/tokens/000000000000'))).toEqual([404, 'not_found'])
  })

  it('as the repeated request was answered', async () => {
    const { id } = await issue()
    const headers = { 'idempotency-key': crypto.randomUUID() }
    const first = await call('DELETE', `/tokens/${id}`, { headers })
    const again = await call('DELETE', `/tokens/${id}`, { headers })
    expect(again.body).toEqual(first.body)
    expect(again.headers.get('idempotency-replayed')).toBe('true')
  })
})
