import { describe, expect, it } from 'vitest'
import { parseEmail, parseMemberId, toIdentity } from '../../src/access/identity.ts'

const KELVIN = '\u212a'

describe('who somebody is', () => {
  it.each<[string, 'access' | 'oidc', { readonly [name: string]: unknown }, string | undefined]>([
    [
      'an e-mail that Access has checked',
      'access',
      { email: 'ada@example.com', sub: 'u1' },
      'ada@example.com',
    ],
    ['an e-mail in small letters', 'access', { email: 'Ada@Example.COM' }, 'ada@example.com'],
    [
      'an e-mail that its issuer has checked',
      'oidc',
      { email: 'ada@example.com', email_verified: true },
      'ada@example.com',
    ],
    [
      'an e-mail, checked in words',
      'oidc',
      { email: 'ada@example.com', email_verified: 'true' },
      'ada@example.com',
    ],
    [
      'not an e-mail of which the issuer says nothing',
      'oidc',
      { email: 'ada@example.com', sub: 'u1' },
      'sub:u1',
    ],
    [
      'not an e-mail that was not checked',
      'oidc',
      { email: 'ada@example.com', email_verified: false, sub: 'u1' },
      'sub:u1',
    ],
    [
      'not an e-mail that was not checked, in words',
      'oidc',
      { email: 'ada@example.com', email_verified: 'false', sub: 'u1' },
      'sub:u1',
    ],
    [
      'not an e-mail that is checked in other words',
      'oidc',
      { email: 'ada@example.com', email_verified: 1, sub: 'u1' },
      'sub:u1',
    ],
    [
      'not an e-mail that Access says was not checked',
      'access',
      { email: 'ada@example.com', email_verified: false, sub: 'u1' },
      'sub:u1',
    ],
    ['nobody when that is all', 'oidc', { email: 'ada@example.com' }, undefined],
    ['a service of Access', 'access', { common_name: 'ci.access', sub: '' }, 'service:ci.access'],
    [
      'a person rather than a service',
      'access',
      { email: 'ada@example.com', common_name: 'ci' },
      'ada@example.com',
    ],
    ['no service of another issuer', 'oidc', { common_name: 'ci', sub: 'u1' }, 'sub:u1'],
    ['a subject', 'oidc', { sub: 'u1' }, 'sub:u1'],
    ['a subject, and not the administrator', 'oidc', { sub: 'admin' }, 'sub:admin'],
    ['a subject, and not whose e-mail it is', 'oidc', { sub: 'ada@example.com' }, 'sub:ada@example.com'],
    ['a subject, and not the service of that name', 'oidc', { sub: 'service:ci' }, 'sub:service:ci'],
    ['a subject, where the e-mail is none', 'access', { email: 'groups:admins@x', sub: 'u1' }, 'sub:u1'],
    ['a subject, where the e-mail is a list', 'access', { email: ['ada@example.com'], sub: 'u1' }, 'sub:u1'],
    ['nobody without a name', 'access', {}, undefined],
    ['nobody with an empty name', 'access', { sub: '', email: '', common_name: '' }, undefined],
    ['nobody with a name that is a number', 'oidc', { sub: 7 }, undefined],
    ['nobody with a name without end', 'oidc', { sub: 's'.repeat(257) }, undefined],
  ])('is %s (%s)', (_, kind, claims, id) => {
    expect(toIdentity(claims, kind)?.id).toBe(id)
  })

  it.each([
    [{ name: 'Ada', email: 'ada@example.com' }, 'Ada'],
    [{ email: 'ada@example.com' }, 'ada@example.com'],
    [{ common_name: 'ci' }, 'service:ci'],
    [{ name: 7, sub: 'u1' }, 'sub:u1'],
  ])('is shown by a name: %j', (claims, name) => {
    expect(toIdentity(claims, 'access')?.name).toBe(name)
  })
})

describe('what members are matched by', () => {
  const claimsOf = (claims: { readonly [name: string]: unknown }, kind: 'access' | 'oidc' = 'oidc') =>
    toIdentity({ sub: 'u1', ...claims }, kind)?.claims

  it.each<[string, { readonly [name: string]: unknown }, readonly string[]]>([
    ['a text', { department: 'shop' }, ['department:shop']],
    ['each of several', { groups: ['a', 'b'] }, ['groups:a', 'groups:b']],
    ['a name that is an address', { 'https://example.com/roles': ['x'] }, ['https://example.com/roles:x']],
    [
      'what stands deeper',
      { custom: { groups: ['a'], team: { lead: 'b' } } },
      ['custom.groups:a', 'custom.team.lead:b'],
    ],
    ['nothing that stands too deep', { a: { b: { c: { d: 'yes', e: { f: 'no' } } } } }, ['a.b.c.d:yes']],
    [
      'texts among other things',
      { groups: ['a', 7, null, ['b'], { c: 'd' }], age: 7, on: true, no: null },
      ['groups:a'],
    ],
    [
      'nothing about the token',
      { iss: 'i', aud: ['a'], jti: 'j', nonce: 'n', sid: 's', azp: 'z', type: 'app' },
      [],
    ],
    ['nothing that looks like a service', { service: 'ci' }, []],
    ['no name of a service that people may choose', { common_name: 'ci' }, []],
    ['an e-mail as a claim, of which the issuer says nothing', { email: 'a@x' }, ['email:a@x']],
    ['no e-mail that was not checked', { email: 'a@x', email_verified: false }, []],
    [
      'nothing too long, and nothing cut',
      { groups: ['g'.repeat(249), 'g'.repeat(250)] },
      [`groups:${'g'.repeat(249)}`],
    ],
  ])('is %s', (_, claims, expected) => {
    expect(claimsOf(claims)).toEqual(['sub:u1', ...expected])
  })

  it('is the common name of a service of Access', () => {
    expect(toIdentity({ common_name: 'ci', sub: '' }, 'access')?.claims).toEqual(['common_name:ci', 'sub:'])
  })

  it('is at most 500 of them', () => {
    const groups = Array.from({ length: 600 }, (_, i) => `g${i}`)
    const claims = claimsOf({ groups })
    expect(claims).toHaveLength(500)
    expect(claims?.at(-1)).toBe('groups:g498')
  })
})

describe('an e-mail', () => {
  it.each([
    ['ada@example.com', 'ada@example.com'],
    ['ADA.Lovelace+flags@EXAMPLE.com', 'ada.lovelace+flags@example.com'],
    ['zoë@exämple.com', 'zoë@exämple.com'],
    ['ZOË@example.com', 'zoË@example.com'],
    // The Kelvin sign, which is a small k by the full rules.
    [`${KELVIN}ate@example.com`, `${KELVIN}ate@example.com`],
    ['İ@example.com', 'İ@example.com'],
  ])('%j is compared as %j', (text, expected) => {
    expect(parseEmail(text)).toBe(expected)
  })

  it.each([
    '',
    'ada',
    '@example.com',
    'ada@',
    'ada@b@example.com',
    ' ada@example.com',
    'ada@example.com\n',
    'groups:a@example.com',
    'ada@example.com:8080',
    'ad\u200ba@example.com',
    'ada\0@example.com',
    `${'a'.repeat(65)}@example.com`,
    `a@${'e'.repeat(190)}`,
  ])('is not %j', (text) => {
    expect(parseEmail(text)).toBeUndefined()
  })
})

describe("a member's id", () => {
  it.each([
    ['Ada@Example.com', 'ada@example.com'],
    ['groups:Release Owners', 'groups:Release Owners'],
    ['https://example.com/roles:admin', 'https://example.com/roles:admin'],
    ['service:ci', 'service:ci'],
    [`groups:${'g'.repeat(249)}`, `groups:${'g'.repeat(249)}`],
  ])('%j is stored as %j', (text, expected) => {
    expect(parseMemberId(text)).toBe(expected)
  })

  it.each([
    '',
    'admin',
    'groups',
    'groups:',
    ':admins',
    ' groups:a',
    'groups:a\n',
    'groups:a\u200b',
    `groups:${'g'.repeat(250)}`,
  ])('is not %j', (text) => {
    expect(parseMemberId(text)).toBeUndefined()
  })
})
