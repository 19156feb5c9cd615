import { env } from 'cloudflare:workers'
import { base64url, exportSPKI, SignJWT, UnsecuredJWT } from 'jose'
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { accessIssuer, clearKeys, type Issuer, oidcIssuer, verifyJwt } from '../../src/access/jwt.ts'
import { makeSigningKey, type SigningKey, serveOutside, sign } from '../support/identity-provider.ts'
import { moveClock, silenceLogs, silent, stopClock } from '../support/worker.ts'

const NOW = 1_772_366_400_000
const SECONDS = NOW / 1_000
const JWKS_URL = 'https://id.example/keys'

const ISSUER: Issuer = {
  kind: 'oidc',
  issuer: 'https://id.example',
  audience: 'rampart',
  jwksUrl: JWKS_URL,
  algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'],
}
const CLAIMS = { iss: 'https://id.example', aud: 'rampart', sub: 'ada', exp: SECONDS + 300 }

const INVALID = { ok: false, error: 'invalid' }
const EXPIRED = { ok: false, error: 'expired' }
const UNAVAILABLE = { ok: false, error: 'unavailable' }

const outside = serveOutside()
silenceLogs()

let key: SigningKey
let stranger: SigningKey

beforeAll(async () => {
  stopClock()
  key = await makeSigningKey('k1')
  stranger = await makeSigningKey('k1')
})

beforeEach(() => {
  clearKeys()
  outside.answers[JWKS_URL] = { keys: [key.jwk] }
})

const verify = (token: string, issuer = ISSUER, now = NOW) => verifyJwt(token, issuer, now)
const encode = (value: unknown) => base64url.encode(JSON.stringify(value))

describe('a JWT', () => {
  it('is believed with all that it says', async () => {
    expect(await verify(await sign(CLAIMS, key))).toEqual({ ok: true, value: CLAIMS })
  })

  it.each(['RS256', 'PS256', 'ES256', 'EdDSA'])('may be signed with %s', async (alg) => {
    const other = await makeSigningKey('other', alg)
    outside.answers[JWKS_URL] = { keys: [key.jwk, other.jwk] }
    expect(await verify(await sign(CLAIMS, other))).toEqual({ ok: true, value: CLAIMS })
  })

  it.each<[string, object, object]>([
    ['for another audience', { aud: 'other' }, INVALID],
    ['for no audience', { aud: undefined }, INVALID],
    ['for an audience that only begins alike', { aud: 'rampart-staging' }, INVALID],
    ['for an audience in other letters', { aud: 'Rampart' }, INVALID],
    ['for others alone', { aud: ['a', 'b'] }, INVALID],
    ['for several, this one among them', { aud: ['a', 'rampart'] }, { ok: true }],
    ['of another issuer', { iss: 'https://evil.example' }, INVALID],
    ['of no issuer', { iss: undefined }, INVALID],
    ['of an issuer with a slash more', { iss: 'https://id.example/' }, INVALID],
    ['of several issuers', { iss: ['https://id.example', 'https://evil.example'] }, INVALID],
    ['without an end', { exp: undefined }, INVALID],
    ['with an end that is no number', { exp: '9999999999' }, INVALID],
    ['that ends later', { exp: SECONDS + 1 }, { ok: true }],
    ['that ended just now', { exp: SECONDS - 29 }, { ok: true }],
    ['that ended 30 s ago', { exp: SECONDS - 30 }, EXPIRED],
    ['that ended long ago', { exp: SECONDS - 3_600 }, EXPIRED],
    ['that ended long ago, for another audience', { exp: SECONDS - 3_600, aud: 'other' }, INVALID],
    ['that begins in 30 s', { nbf: SECONDS + 30 }, { ok: true }],
    ['that begins in 31 s', { nbf: SECONDS + 31 }, INVALID],
    ['with a beginning that is no number', { nbf: 'now' }, INVALID],
  ])('%s', async (_, claims, expected) => {
    expect(await verify(await sign({ ...CLAIMS, ...claims }, key))).toMatchObject(expected)
  })

  it.each<[string, object, object]>([
    ['JWT', { typ: 'JWT' }, { ok: true }],
    ['an access token', { typ: 'at+jwt' }, { ok: true }],
    ['an access token, in full', { typ: 'application/at+jwt' }, { ok: true }],
    ['nothing', { typ: undefined }, { ok: true }],
    ['a logout token', { typ: 'logout+jwt' }, INVALID],
    ['a security event', { typ: 'secevent+jwt' }, INVALID],
    ['something that is critical and not known', { crit: ['x'], x: 1 }, INVALID],
  ])('that calls itself %s', async (_, header, expected) => {
    // jose signs no header that it does not know itself.
    const head = encode({ alg: 'RS256', kid: 'k1', ...header })
    const content = `${head}.${encode(CLAIMS)}`
    const signature = await crypto.subtle.sign(
      'RSASSA-PKCS1-v1_5',
      key.privateKey,
      new TextEncoder().encode(content),
    )
    const token = `${content}.${base64url.encode(new Uint8Array(signature))}`
    expect(await verify(token)).toMatchObject(expected)
  })
})

describe('a forger', () => {
  it('cannot sign with a key of their own under a known name', async () => {
    expect(await verify(await sign(CLAIMS, stranger))).toEqual(INVALID)
  })

  it.each([
    ['in the header', (jwk: object) => ({ jwk })],
    ['at an address', () => ({ jku: 'https://evil.example/keys' })],
  ])('cannot bring a key %s', async (_, header) => {
    outside.answers['https://evil.example/keys'] = { keys: [stranger.jwk] }
    const token = await sign(CLAIMS, stranger, header(stranger.jwk))
    expect(await verify(token)).toEqual(INVALID)
    expect(outside.calls).toEqual([JWKS_URL])
  })

  it('cannot leave the signature out', async () => {
    const unsigned = new UnsecuredJWT(CLAIMS).encode()
    const signed = await sign(CLAIMS, key)
    const [head, body] = signed.split('.')
    const none = encode({ alg: 'none', kid: 'k1' })
    for (const token of [unsigned, `${none}.${body}.`, `${head}.${body}.`, `${head}.${body}.AAAA`]) {
      expect(await verify(token)).toEqual(INVALID)
    }
  })

  it('cannot change what was signed', async () => {
    const [head, , signature] = (await sign(CLAIMS, key)).split('.')
    expect(await verify(`${head}.${encode({ ...CLAIMS, sub: 'root' })}.${signature}`)).toEqual(INVALID)
  })

  it.each([
    ['in PEM', async () => new TextEncoder().encode(await exportSPKI(key.publicKey))],
    ['as it is published', async () => new TextEncoder().encode(JSON.stringify(key.jwk))],
    ['as its modulus', async () => base64url.decode(key.jwk.n ?? '')],
  ])('cannot take the public key, %s, for a shared secret', async (_, secretOf) => {
    const secret = await secretOf()
    for (const kid of ['k1', 'shared']) {
      const token = await new SignJWT(CLAIMS).setProtectedHeader({ alg: 'HS256', kid }).sign(secret)
      expect(await verify(token)).toEqual(INVALID)
    }
  })

  it('cannot use a shared secret even where one is published', async () => {
    const secret = crypto.getRandomValues(new Uint8Array(32))
    const jwk = { kty: 'oct', k: base64url.encode(secret), kid: 'shared', alg: 'HS256', use: 'sig' }
    outside.answers[JWKS_URL] = { keys: [key.jwk, jwk] }
    const token = await new SignJWT(CLAIMS).setProtectedHeader({ alg: 'HS256', kid: 'shared' }).sign(secret)
    expect(await verify(token)).toEqual(INVALID)
  })

  it('cannot use an algorithm that the issuer is not known for', async () => {
    const other = await makeSigningKey('other', 'ES256')
    outside.answers[JWKS_URL] = { keys: [other.jwk] }
    const token = await sign(CLAIMS, other)
    expect(await verify(token, { ...ISSUER, algorithms: ['RS256'] })).toEqual(INVALID)
  })

  it.each(['', '.', '..', 'a.b.c', '....', 'é.é.é', `${'a'.repeat(20_000)}.b.c`])(
    'gets nothing out of rubbish: %#',
    async (token) => {
      expect(await verify(token)).toEqual(INVALID)
    },
  )

  it('cannot make a token so long that reading it costs', async () => {
    const token = await sign({ ...CLAIMS, padding: 'x'.repeat(16_384) }, key)
    expect(await verify(token)).toEqual(INVALID)
    expect(outside.calls).toEqual([])
  })
})

describe("an issuer's keys", () => {
  it('are read once and kept', async () => {
    const token = await sign(CLAIMS, key)
    for (let i = 0; i < 5; i++) expect((await verify(token)).ok).toBe(true)
    expect(outside.calls).toEqual([JWKS_URL])
  })

  it('are read once for requests that come together', async () => {
    const token = await sign(CLAIMS, key)
    const results = await Promise.all(Array.from({ length: 20 }, () => verify(token)))
    expect(results.every(({ ok }) => ok)).toBe(true)
    expect(outside.calls).toEqual([JWKS_URL])
  })

  it('are read again after ten minutes, so that a key which was withdrawn is believed no longer', async () => {
    const token = await sign(CLAIMS, key)
    expect((await verify(token)).ok).toBe(true)
    const successor = await makeSigningKey('k2')
    outside.answers[JWKS_URL] = { keys: [successor.jwk] }
    moveClock(599_999)
    expect((await verify(token)).ok).toBe(true)
    moveClock(1)
    expect(await verify(token)).toEqual(INVALID)
    expect(outside.calls).toHaveLength(2)
  })

  it('may rotate: the old one holds, a new one is fetched when it is met', async () => {
    const old = await sign(CLAIMS, key)
    expect((await verify(old)).ok).toBe(true)
    const successor = await makeSigningKey('k2')
    outside.answers[JWKS_URL] = { keys: [key.jwk, successor.jwk] }
    const fresh = await sign(CLAIMS, successor)
    moveClock(29_999)
    expect(await verify(fresh)).toEqual(INVALID)
    moveClock(1)
    const results = await Promise.all([verify(fresh), verify(old), verify(fresh), verify(fresh)])
    expect(results.map(({ ok }) => ok)).toEqual([true, true, true, true])
    expect(outside.calls).toHaveLength(2)
  })

  it('are not read again for every name that somebody makes up', async () => {
    const known = await sign(CLAIMS, key)
    expect((await verify(known)).ok).toBe(true)
    const forge = (i: number) => sign(CLAIMS, { ...stranger, kid: `made-up-${i}` })
    for (let i = 0; i < 10; i++) expect(await verify(await forge(i))).toEqual(INVALID)
    expect(outside.calls).toHaveLength(1)
    moveClock(30_000)
    const forged = await Promise.all(Array.from({ length: 10 }, (_, i) => forge(i)))
    const results = await Promise.all(forged.map((token) => verify(token)))
    expect(results).toEqual(forged.map(() => INVALID))
    expect(outside.calls).toHaveLength(2)
    expect((await verify(known)).ok).toBe(true)
  })

  const FAULTS: readonly (readonly [string, () => Response | Promise<Response>])[] = [
    ['the network is down', () => Promise.reject(new TypeError('network connection lost'))],
    ['the provider fails', () => new Response('oops', { status: 500 })],
    ['the provider says where else to look', () => Response.redirect('https://evil.example/keys')],
    ['the provider has nothing', () => new Response(null, { status: 204 })],
    ['the answer is a page', () => new Response('<html>')],
    ['the answer is no key set', () => Response.json({ keys: 'none' })],
    ['the answer is nothing', () => Response.json(null)],
  ]

  it.each(FAULTS)('cannot be had when %s; once they can, all is well', async (_, fault) => {
    const token = await sign(CLAIMS, key)
    outside.answers['https://evil.example/keys'] = { keys: [key.jwk] }
    outside.answers[JWKS_URL] = fault
    expect(await verify(token)).toEqual(UNAVAILABLE)
    outside.answers[JWKS_URL] = { keys: [key.jwk] }
    moveClock(4_999)
    expect(await verify(token)).toEqual(UNAVAILABLE)
    expect(outside.calls).toEqual([JWKS_URL])
    moveClock(1)
    expect((await verify(token)).ok).toBe(true)
  })

  it('are waited for no longer than 5 s, by whoever asks', async () => {
    const token = await sign(CLAIMS, key)
    outside.answers[JWKS_URL] = silent
    const start = performance.now()
    expect(await Promise.all([verify(token), verify(token)])).toEqual([UNAVAILABLE, UNAVAILABLE])
    expect(performance.now() - start).toBeGreaterThan(4_500)
    expect(performance.now() - start).toBeLessThan(7_500)
    expect(outside.calls).toEqual([JWKS_URL])
  }, 15_000)

  it('are waited for no longer than 5 s when the answer stops halfway', async () => {
    const token = await sign(CLAIMS, key)
    outside.answers[JWKS_URL] = () => new Response(new ReadableStream({ pull: silent }))
    expect(await verify(token)).toEqual(UNAVAILABLE)
  }, 15_000)

  it('are fetched by another when the request that fetched them was cut off', async () => {
    const token = await sign(CLAIMS, key)
    outside.answers[JWKS_URL] = silent
    // Neither its fetch nor its timer ever ends.
    const abandoned = vi.spyOn(globalThis, 'setTimeout').mockReturnThis()
    void verify(token)
    abandoned.mockRestore()
    expect(outside.calls).toHaveLength(1)
    outside.answers[JWKS_URL] = { keys: [key.jwk] }
    moveClock(5_000)
    expect((await verify(token)).ok).toBe(true)
  })

  it('that are held go on holding when the provider fails over a made-up name', async () => {
    const known = await sign(CLAIMS, key)
    expect((await verify(known)).ok).toBe(true)
    outside.answers[JWKS_URL] = () => new Response(null, { status: 503 })
    moveClock(30_000)
    expect(await verify(await sign(CLAIMS, { ...stranger, kid: 'made-up' }))).toEqual(UNAVAILABLE)
    expect((await verify(known)).ok).toBe(true)
  })

  it('may hold one that cannot be read, beside the others', async () => {
    outside.answers[JWKS_URL] = {
      keys: [{ kty: 'RSA', kid: 'broken', alg: 'RS256', n: '!', e: 'AQAB' }, key.jwk],
    }
    expect((await verify(await sign(CLAIMS, key))).ok).toBe(true)
    expect(await verify(await sign(CLAIMS, { ...stranger, kid: 'broken' }))).toEqual(INVALID)
  })
})

describe('an issuer whose keys must be found', () => {
  const DISCOVERED: Issuer = { ...ISSUER, jwksUrl: null }
  const DISCOVERY_URL = 'https://id.example/.well-known/openid-configuration'
  const DOCUMENT = { issuer: 'https://id.example', jwks_uri: JWKS_URL }

  it('is asked once where they are', async () => {
    outside.answers[DISCOVERY_URL] = DOCUMENT
    const token = await sign(CLAIMS, key)
    for (let i = 0; i < 3; i++) expect((await verify(token, DISCOVERED)).ok).toBe(true)
    expect(outside.calls).toEqual([DISCOVERY_URL, JWKS_URL])
  })

  it('may have a path, and a slash at its end', async () => {
    const issuer = 'https://id.example/realms/shop/'
    outside.answers['https://id.example/realms/shop/.well-known/openid-configuration'] = {
      issuer,
      jwks_uri: JWKS_URL,
    }
    const token = await sign({ ...CLAIMS, iss: issuer }, key)
    expect((await verify(token, { ...DISCOVERED, issuer })).ok).toBe(true)
  })

  it.each<[string, object]>([
    ['speaks for another issuer', { ...DOCUMENT, issuer: 'https://evil.example' }],
    ['speaks for almost the same issuer', { ...DOCUMENT, issuer: 'https://id.example/' }],
    ['speaks for nobody', { jwks_uri: JWKS_URL }],
    ['names no keys', { issuer: 'https://id.example' }],
    ['names keys that travel in the clear', { ...DOCUMENT, jwks_uri: 'http://id.example/keys' }],
    ['names keys that are no address', { ...DOCUMENT, jwks_uri: 'keys' }],
  ])('is not believed when its document %s', async (_, document) => {
    outside.answers[DISCOVERY_URL] = document
    expect(await verify(await sign(CLAIMS, key), DISCOVERED)).toEqual(UNAVAILABLE)
    expect(outside.calls).toEqual([DISCOVERY_URL])
  })
})

describe('the configuration', () => {
  const ACCESS = { ACCESS_TEAM: 'acme', ACCESS_AUDIENCE: 'tag' }
  const OIDC = { OIDC_ISSUER: 'https://id.example', OIDC_AUDIENCE: 'rampart' }

  it('of Cloudflare Access is its team and its tag', () => {
    expect(accessIssuer({ ...env, ...ACCESS })).toEqual({
      kind: 'access',
      issuer: 'https://acme.cloudflareaccess.com',
      audience: 'tag',
      jwksUrl: 'https://acme.cloudflareaccess.com/cdn-cgi/access/certs',
      algorithms: ['RS256'],
    })
  })

  it.each([
    ['nothing', {}],
    ['no audience', { ACCESS_TEAM: 'acme' }],
    ['an empty audience', { ...ACCESS, ACCESS_AUDIENCE: '' }],
    ['no team', { ACCESS_AUDIENCE: 'tag' }],
    ['a team that would lead elsewhere', { ...ACCESS, ACCESS_TEAM: 'evil.example/' }],
  ])('of Cloudflare Access is incomplete with %s', (_, settings) => {
    expect(accessIssuer({ ...env, ...settings })).toBeUndefined()
  })

  it('of an OIDC issuer never allows a shared secret', () => {
    const issuer = oidcIssuer({ ...env, ...OIDC })
    expect(issuer).toMatchObject({
      kind: 'oidc',
      issuer: 'https://id.example',
      audience: 'rampart',
      jwksUrl: null,
    })
    expect(issuer?.algorithms.filter((alg) => !/^(RS|PS|ES)(256|384|512)$|^Ed/.test(alg))).toEqual([])
  })

  it.each([
    ['nothing', {}],
    ['no audience', { OIDC_ISSUER: 'https://id.example' }],
    ['an empty audience', { ...OIDC, OIDC_AUDIENCE: '' }],
    ['no issuer', { OIDC_AUDIENCE: 'rampart' }],
    ['an issuer in the clear', { ...OIDC, OIDC_ISSUER: 'http://id.example' }],
    ['an issuer that only looks local', { ...OIDC, OIDC_ISSUER: 'http://localhost.evil.example' }],
    ['keys in the clear', { ...OIDC, OIDC_JWKS_URL: 'http://id.example/keys' }],
  ])('of an OIDC issuer is incomplete with %s', (_, settings) => {
    expect(oidcIssuer({ ...env, ...settings })).toBeUndefined()
  })

  it.each([
    ['an issuer on this machine', { ...OIDC, OIDC_ISSUER: 'http://localhost:8080/realms/dev' }, null],
    ['keys that stand elsewhere', { ...OIDC, OIDC_JWKS_URL: JWKS_URL }, JWKS_URL],
    [
      'an issuer that is no address, but whose keys have one',
      { OIDC_ISSUER: 'acme', OIDC_AUDIENCE: 'rampart', OIDC_JWKS_URL: JWKS_URL },
      JWKS_URL,
    ],
  ])('of an OIDC issuer may be %s', (_, settings, jwksUrl) => {
    expect(oidcIssuer({ ...env, ...settings })).toMatchObject({ issuer: settings.OIDC_ISSUER, jwksUrl })
  })
})
