import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import type { Actor, Grant } from '../../src/access/actor.ts'
import { hashKey } from '../../src/access/key.ts'
import { memberRemoval, memberSave } from '../../src/access/members.ts'
import {
  createToken,
  grantOfToken,
  isLive,
  listTokens,
  loadToken,
  mayIssue,
  parseToken,
  type Token,
  type TokenDraft,
  tokenCreation,
  tokenRevocation,
} from '../../src/access/tokens.ts'
import { commit } from '../support/batch.ts'
import { uniqueName } from '../support/worker.ts'

const NOW = 1_772_366_400_000

function makeToken(overrides: Partial<Token> = {}): Token {
  return {
    id: createToken().id,
    name: 'ci',
    owner: 'ada@example.com',
    role: 'developer',
    environments: null,
    createdBy: 'ada@example.com',
    createdAt: NOW,
    expiresAt: null,
    revokedAt: null,
    ...overrides,
  }
}

/** Stores a new token; its hash, and what is stored. */
async function issue(overrides: Partial<Token> = {}) {
  const { id, text } = createToken()
  const token = makeToken({ id, ...overrides })
  const hash = await hashKey(text)
  await commit({ writes: tokenCreation(token, hash) })
  return { token, hash, text }
}

describe("a token's text", () => {
  it('is made of 128 random bits and names its id', () => {
    const created = Array.from({ length: 100 }, createToken)
    expect(new Set(created.map(({ text }) => text.slice(-32))).size).toBe(100)
    expect(new Set(created.map(({ id }) => id)).size).toBe(100)
    for (const { id, text } of created) {
      expect(text).toMatch(/^rp_token_[0-9a-f]{12}_[0-9a-f]{32}$/)
      expect(parseToken(text)).toEqual({ id })
    }
  })

  const SECRET = '0'.repeat(32)
  it.each([
    '',
    'rp_token_',
    `rp_token_${SECRET}`,
    `rp_token_0123456789a_${SECRET}`,
    `rp_token_0123456789abc_${SECRET}`,
    `rp_token_0123456789AB_${SECRET}`,
    `rp_token_0123456789ab_${SECRET}0`,
    `rp_token_0123456789ab_${SECRET.slice(1)}`,
    `rp_token_0123456789ab_${SECRET}\n`,
    ` rp_token_0123456789ab_${SECRET}`,
    `rp_server_production_${SECRET}`,
  ])('is nothing else: %j', (text) => {
    expect(parseToken(text)).toBeUndefined()
  })
})

describe('a token', () => {
  it.each<[string, Partial<Token>, boolean]>([
    ['that never ends', {}, true],
    ['that ends later', { expiresAt: NOW + 1 }, true],
    ['that ends now', { expiresAt: NOW }, false],
    ['that has ended', { expiresAt: NOW - 1 }, false],
    ['that was revoked', { revokedAt: NOW - 1 }, false],
    ['that was revoked before its end', { revokedAt: NOW - 1, expiresAt: NOW + 1 }, false],
  ])('%s is live: %s', (_, overrides, expected) => {
    expect(isLive(makeToken(overrides), NOW)).toBe(expected)
  })

  it('is found by the hash of its text, and in no other way', async () => {
    const { token, hash, text } = await issue({ environments: ['staging'], expiresAt: NOW + 1 })
    expect(await loadToken(env.DB, hash)).toEqual({ token, ownerGrant: undefined })
    expect(await loadToken(env.DB, text)).toBeUndefined()
    expect(await loadToken(env.DB, token.id)).toBeUndefined()
    const { results } = await env.DB.prepare('SELECT * FROM tokens').all()
    expect(JSON.stringify(results)).not.toContain(text.slice(-32))
  })

  it('is revoked once', async () => {
    const { token, hash } = await issue()
    expect(await commit(tokenRevocation(token.id, NOW + 1))).toBe(true)
    expect((await loadToken(env.DB, hash))?.token).toEqual({ ...token, revokedAt: NOW + 1 })
    expect(await commit(tokenRevocation(token.id, NOW + 2))).toBe(false)
    expect((await loadToken(env.DB, hash))?.token.revokedAt).toBe(NOW + 1)
    expect(await commit(tokenRevocation('0123456789ab', NOW))).toBe(false)
  })

  it('ends with the member that it acts for', async () => {
    const owner = `${uniqueName('ada')}@example.com`
    await commit(memberSave({ id: owner, name: 'Ada', role: 'admin', environments: null }, 0, NOW))
    const own = await issue({ owner })
    const ended = await issue({ owner, revokedAt: NOW })
    const other = await issue()
    expect(await commit(memberRemoval(owner, 1, NOW + 1))).toBe(true)
    const revokedAt = async (hash: string) => (await loadToken(env.DB, hash))?.token.revokedAt
    expect([await revokedAt(own.hash), await revokedAt(ended.hash), await revokedAt(other.hash)]).toEqual([
      NOW + 1,
      NOW,
      null,
    ])
  })

  it('is listed by id, a part at a time, of everybody or of one owner, without its hash', async () => {
    await env.DB.exec('DELETE FROM tokens')
    const ids = ['00000000000a', '00000000000b', '00000000000c']
    const tokens = ids.map((id, i) =>
      makeToken({ id, owner: i === 1 ? 'bob@example.com' : 'ada@example.com' }),
    )
    for (const token of tokens) await commit({ writes: tokenCreation(token, `hash of ${token.id}`) })
    const [a, b, c] = tokens
    expect(await listTokens(env.DB, { after: '', limit: 2 })).toEqual([a, b])
    expect(await listTokens(env.DB, { after: '00000000000b', limit: 2 })).toEqual([c])
    expect(await listTokens(env.DB, { after: '', limit: 9 }, 'ada@example.com')).toEqual([a, c])
  })
})

describe('a token may do', () => {
  const grant = (role: Grant['role'], environments: Grant['environments'] = null): Grant => ({
    role,
    environments,
  })

  it.each<[string, Grant, Grant | undefined, Grant]>([
    ['what it was issued for', grant('releaser', ['a']), undefined, grant('releaser', ['a'])],
    ['no more than its owner', grant('admin'), grant('viewer', ['a']), grant('viewer', ['a'])],
    ['only signal when it was issued for that', grant('signaller'), grant('developer'), grant('signaller')],
    [
      'nothing when it may only signal and its owner only read',
      grant('signaller'),
      grant('viewer'),
      grant('signaller', []),
    ],
    [
      'nothing when it may only read and its owner only signal',
      grant('viewer'),
      grant('signaller'),
      grant('signaller', []),
    ],
    ['no more than itself', grant('viewer', ['a']), grant('admin'), grant('viewer', ['a'])],
    [
      'what both may',
      grant('developer', ['a', 'b']),
      grant('releaser', ['b', 'c']),
      grant('developer', ['b']),
    ],
    [
      'nothing anywhere when they share nothing',
      grant('admin', ['a']),
      grant('admin', ['b']),
      grant('admin', []),
    ],
    ['nothing anywhere when its owner may nowhere', grant('admin'), grant('admin', []), grant('admin', [])],
  ])('%s', (_, own, ownerGrant, expected) => {
    expect(grantOfToken({ token: makeToken(own), ownerGrant })).toEqual(expected)
  })

  it('what its owner is still allowed', async () => {
    const owner = `${uniqueName('ada')}@example.com`
    const { token, hash } = await issue({ owner, role: 'admin' })
    await commit(memberSave({ id: owner, name: 'Ada', role: 'viewer', environments: ['staging'] }, 0, NOW))
    expect(await loadToken(env.DB, hash)).toEqual({ token, ownerGrant: grant('viewer', ['staging']) })
  })
})

describe('a token is issued', () => {
  const ADA: Actor = { id: 'ada@example.com', via: 'jwt', role: 'developer', environments: ['a', 'b'] }
  const ADMIN: Actor = { id: 'admin', via: 'admin', role: 'admin', environments: null }
  const DRAFT: TokenDraft = {
    name: 'ci',
    owner: 'ada@example.com',
    role: 'developer',
    environments: ['a'],
    expiresAt: null,
  }

  it.each<[string, Partial<Actor>, Partial<TokenDraft>, string]>([
    ['with as much', {}, { environments: ['b', 'a'] }, 'yes'],
    ['with less', {}, { role: 'viewer', environments: [] }, 'yes'],
    ['by somebody who may everywhere', { environments: null }, { environments: null }, 'yes'],
    ['that may only signal', {}, { role: 'signaller' }, 'yes'],
    ['that may only signal, by a viewer', { role: 'viewer' }, { role: 'signaller' }, 'role'],
    ['with a higher role', {}, { role: 'releaser' }, 'role'],
    ['with the highest role', { role: 'releaser' }, { role: 'admin' }, 'role'],
    ['with one environment more', {}, { environments: ['a', 'c'] }, 'environment'],
    ['with all environments', {}, { environments: null }, 'environment'],
    ['by somebody who may nowhere', { environments: [] }, {}, 'environment'],
    ['for somebody else', {}, { owner: 'bob@example.com' }, 'owner'],
    ['for somebody else by a releaser', { role: 'releaser' }, { owner: 'bob@example.com' }, 'owner'],
    ['for the administrator', {}, { owner: 'admin' }, 'owner'],
    [
      'for somebody else by an administrator',
      { role: 'admin', environments: null },
      { owner: 'bob@example.com' },
      'yes',
    ],
    [
      'for somebody else by an administrator of some environments',
      { role: 'admin' },
      { owner: 'bob@example.com' },
      'owner',
    ],
    [
      'by an administrator of some environments, for all',
      { role: 'admin' },
      { environments: null },
      'environment',
    ],
  ])('%s', (_, creator, draft, expected) => {
    expect(mayIssue({ ...ADA, ...creator }, { ...DRAFT, ...draft })).toBe(expected)
  })

  it('with anything by the bootstrap secret', () => {
    expect(mayIssue(ADMIN, { ...DRAFT, role: 'admin', environments: null })).toBe('yes')
  })
})
