import { env } from 'cloudflare:workers'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { knownContext, MAX_SIGNED_CONTEXT } from '../../src/delivery/signed-context.ts'
import { snapshotCache } from '../../src/delivery/snapshot-cache.ts'
import { saveSettings } from '../support/entities.ts'
import {
  ask,
  BULK,
  configure,
  createEnvironment,
  createFlag,
  createKey,
  evaluate,
  evaluateAll,
  field,
  makeFlags,
  makeRequest,
  moveClock,
  read,
  SINGLE,
  serve,
  stopClock,
  warm,
} from '../support/worker.ts'

const DAY = 86_400
/** What a hub answers for ten minutes after a change. */
const CHECK_MS = 5_000

type Claims = { readonly [claim: string]: unknown }
type Header = { readonly alg?: string; readonly kid?: string | undefined }
type Pair = { readonly privateKey: CryptoKey; readonly jwk: { readonly [member: string]: unknown } }

async function makePair(alg: string, kid?: string): Promise<Pair> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = await exportJWK(publicKey)
  return { privateKey, jwk: kid === undefined ? { ...jwk } : { ...jwk, kid } }
}

let environment = ''
let client = { id: '', key: '' }
let server = { id: '', key: '' }
let own: Pair
let stranger: Pair
let p384: Pair

type Having = { readonly when?: object; readonly targets?: readonly object[] }

/** Each flag is on for whoever has what it is named after. */
const FLAGS = {
  ada: { targets: [{ variant: 'on', units: ['ada'] }] },
  eve: { targets: [{ variant: 'on', units: ['eve'] }] },
  pro: { when: { attribute: 'plan', op: 'equals', values: ['pro'] } },
  admin: { when: { attribute: 'admin', op: 'exists', values: [] } },
  jwt: { when: { attribute: 'signedContext', op: 'exists', values: [] } },
  claims: {
    when: {
      any: ['sub', 'aud', 'exp', 'context'].map((attribute) => ({ attribute, op: 'exists', values: [] })),
    },
  },
  irish: { when: { attribute: 'cf.country', op: 'equals', values: ['IE'] } },
}

async function setUp(contextKeys: readonly Pair['jwk'][]): Promise<void> {
  environment = await createEnvironment()
  for (const [flag, { when, targets = [] }] of Object.entries<Having>(FLAGS)) {
    const rules = when === undefined ? [] : [{ id: 'has', when, serve: { variant: 'on' } }]
    await configure(environment, flag, { rules, targets, fallthrough: { variant: 'off' } })
  }
  client = await createKey(environment, 'client')
  server = await createKey(environment, 'server')
  await saveSettings(environment, { contextKeys })
  await warm(environment)
}

beforeAll(async () => {
  stopClock()
  for (const flag of Object.keys(FLAGS)) await createFlag(flag, { clientVisible: true })
  own = await makePair('ES256', 'one')
  stranger = await makePair('ES256', 'one')
  p384 = await makePair('ES384', 'large')
})

const seconds = () => Math.floor(Date.now() / 1_000)

/** Ada's claims for an hour, or others. */
const claimsOf = (more: Claims = {}): Claims => ({
  sub: 'ada',
  aud: `rampart/${environment}`,
  iat: seconds(),
  exp: seconds() + 3_600,
  context: { plan: 'pro' },
  ...more,
})

/** A JWT; a claim that is undefined is left out, and a kid too. */
function sign(more: Claims = {}, pair: Pair = own, header: Header = {}): Promise<string> {
  const { alg = 'ES256', kid } = { kid: 'one', ...header }
  const protectedHeader = kid === undefined ? { alg } : { alg, kid }
  return new SignJWT({ ...claimsOf(more) }).setProtectedHeader(protectedHeader).sign(pair.privateKey)
}

const base64Url = (bytes: Uint8Array): string =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
const part = (value: unknown) => base64Url(new TextEncoder().encode(JSON.stringify(value)))

/** A JWT by HMAC, with whatever header and secret. */
async function signByHmac(header: object, secret: string): Promise<string> {
  const signed = `${part(header)}.${part(claimsOf())}`
  const encoder = new TextEncoder()
  const algorithm = { name: 'HMAC', hash: 'SHA-256' }
  const key = await crypto.subtle.importKey('raw', encoder.encode(secret), algorithm, false, ['sign'])
  const signature = await crypto.subtle.sign('HMAC', key, encoder.encode(signed))
  return `${signed}.${base64Url(new Uint8Array(signature))}`
}

/** The flags that are on for a client. */
async function onFor(context: unknown, cf: { readonly [name: string]: string } = {}): Promise<string[]> {
  const { status, body } = await evaluateAll(client.key, context, { cf })
  expect(status).toBe(200)
  const flags = [field(body, 'flags')].flat()
  return flags.filter((flag) => field(flag, 'value') === true).map((flag) => String(field(flag, 'key')))
}

describe('a signed context', () => {
  beforeAll(() => setUp([own.jwk]))

  it('is all that a client is evaluated with, besides what the edge knows of it', async () => {
    const signedContext = await sign()
    const beside = { plan: 'free', admin: true, sub: 'eve', cf: { country: 'IE' }, 'cf.country': 'IE' }
    expect([
      await onFor({ targetingKey: 'ada', signedContext }),
      await onFor({ signedContext }),
      await onFor({ targetingKey: 'ada', signedContext, ...beside }),
      await onFor({ signedContext }, { country: 'IE' }),
    ]).toEqual([
      ['ada', 'pro'],
      ['ada', 'pro'],
      ['ada', 'pro'],
      ['ada', 'irish', 'pro'],
    ])
  })

  it.each<[string, Claims, readonly string[]]>([
    ['no attributes', { context: undefined }, ['ada']],
    ['a cf', { context: { cf: { country: 'IE' }, 'cf.country': 'IE' } }, ['ada']],
    ['another targetingKey', { context: { targetingKey: 'eve' } }, ['ada']],
    ['a signedContext of its own', { context: { signedContext: 'x' } }, ['ada', 'jwt']],
    ['another sub', { sub: 'eve' }, ['eve', 'pro']],
  ])('with %s is taken at its word, except of the edge and the subject', async (_, claims, expected) => {
    expect(await onFor({ signedContext: await sign(claims) }, { country: 'FR' })).toEqual(expected)
  })

  it('is taken by single evaluations as by bulk ones, the second time as the first', async () => {
    const signedContext = await sign()
    const answers = []
    for (let i = 0; i < 2; i++) {
      for (const flag of ['ada', 'admin']) {
        const { status, body } = await evaluate(client.key, flag, { signedContext, admin: true })
        answers.push([status, field(body, 'value')])
      }
    }
    expect(answers).toEqual([
      [200, true],
      [200, false],
      [200, true],
      [200, false],
    ])
  })

  it.each<[string, () => Promise<string>]>([
    ['it expired 29 seconds ago', () => sign({ iat: undefined, exp: seconds() - 29 })],
    ['it lives for exactly a day', () => sign({ exp: seconds() + DAY })],
    ['it does not say since when it lives', () => sign({ iat: undefined, exp: seconds() + 30 * DAY })],
    ['it begins in 29 seconds', () => sign({ nbf: seconds() + 29 })],
    ['it is meant for others too', () => sign({ aud: ['shop', `rampart/${environment}`] })],
    ['it names no key', () => sign({}, own, { kid: undefined })],
    [
      'it is as long as may be',
      async () => {
        const short = (await sign({ context: { plan: 'pro', x: '' } })).length
        const x = 'x'.repeat(Math.floor(((MAX_SIGNED_CONTEXT - short) * 3) / 4))
        const token = await sign({ context: { plan: 'pro', x } })
        expect(token.length).toBeGreaterThan(MAX_SIGNED_CONTEXT - 4)
        return token
      },
    ],
  ])('is good although %s', async (_, make) => {
    expect(await onFor({ signedContext: await make() })).toEqual(['ada', 'pro'])
  })

  it('is not asked of server keys, nor of service bindings', async () => {
    const context = { targetingKey: 'ada', admin: true }
    const answer = await evaluate(server.key, 'admin', context)
    const { flags } = makeFlags(environment, env)
    expect([
      answer.status,
      field(answer.body, 'value'),
      await flags.getBooleanValue('admin', false, context),
    ]).toEqual([200, true, true])
  })

  it('is needed neither by the stream nor where a client may not look anyway', async () => {
    const { body } = await evaluateAll(client.key, { signedContext: await sign() })
    const [stream] = [field(body, 'eventStreams')].flat()
    const path = String(field(field(stream, 'endpoint'), 'requestUri'))
    const { response } = await serve(makeRequest(path, { method: 'GET' }), env)
    await response.body?.cancel()
    const snapshot = await ask('/v1/snapshot', { method: 'GET', key: client.key })
    expect([response.status, snapshot.status]).toEqual([200, 403])
  })
})

const NEEDED = 'the context must have a signedContext, which is a JWT'
const NO_JWT = 'the signedContext is no JWT'
const ALG = "the signedContext's alg must be one of ES256, RS256, PS256, EdDSA"
const SIGNATURE = 'the signedContext is signed by no key of this environment'
const EXP = 'the signedContext must have an exp in seconds'
const EXPIRED = 'the signedContext has expired'
const LIFETIME = 'the signedContext must expire within 24 hours of its iat'
const TOO_EARLY = 'the signedContext is not valid yet'
const SUB = "the signedContext's sub must be a text that is not empty"
const CONTEXT = "the signedContext's context must be an object"
const SUBJECT = "the targetingKey must be the signedContext's sub"

/** What stands in a context's place, or the JWT in it, and what is said of it. */
const ATTACKS: readonly (readonly [name: string, make: () => unknown, details: string])[] = [
  ['no context', () => undefined, NEEDED],
  ['a context that is not signed', () => ({ targetingKey: 'ada', plan: 'pro' }), NEEDED],
  ['a number', () => ({ signedContext: 1 }), NEEDED],
  ['null', () => ({ signedContext: null }), NEEDED],
  ['a list of one that is good', async () => ({ signedContext: [await sign()] }), NEEDED],
  ['nothing', () => '', NO_JWT],
  ['no JWT', () => 'ada', NO_JWT],
  ['dots', () => '..', NO_JWT],
  ['a header that is no JSON', () => 'e30x.e30.e30', NO_JWT],
  [
    'a hundred thousand characters',
    () => 'x'.repeat(100_000),
    'the signedContext must have at most 8192 characters',
  ],
  [
    'one that is good but too long',
    () => sign({ context: { plan: 'pro', x: 'x'.repeat(6_144) } }),
    'the signedContext must have at most 8192 characters',
  ],
  ['alg none', () => `${part({ alg: 'none' })}.${part(claimsOf())}.`, ALG],
  ['alg NONE with a kid', () => `${part({ alg: 'NONE', kid: 'one' })}.${part(claimsOf())}.`, ALG],
  ['no alg', () => `${part({ kid: 'one' })}.${part(claimsOf())}.AAAA`, ALG],
  ['HS256 by the public key', () => signByHmac({ alg: 'HS256', kid: 'one' }, JSON.stringify(own.jwk)), ALG],
  [
    'HS256 by a part of the public key',
    () => signByHmac({ alg: 'HS256', kid: 'one' }, String(own.jwk.x)),
    ALG,
  ],
  [
    'ES256 in name, an HMAC in fact',
    () => signByHmac({ alg: 'ES256', kid: 'one' }, JSON.stringify(own.jwk)),
    SIGNATURE,
  ],
  ['ES384 by a key that is there', () => sign({}, p384, { alg: 'ES384', kid: 'large' }), ALG],
  ['a key that nobody knows', () => sign({}, stranger), SIGNATURE],
  ['a key that nobody knows, unnamed', () => sign({}, stranger, { kid: undefined }), SIGNATURE],
  ['the right key by another name', () => sign({}, own, { kid: 'two' }), SIGNATURE],
  [
    'a key that it brings along',
    async () => {
      const header = { alg: 'ES256', kid: 'one', jwk: stranger.jwk }
      return new SignJWT({ ...claimsOf() }).setProtectedHeader(header).sign(stranger.privateKey)
    },
    SIGNATURE,
  ],
  [
    'an extension that must be understood',
    () => {
      const header = { alg: 'ES256', kid: 'one', crit: ['x'], x: 1 }
      return new SignJWT({ ...claimsOf() })
        .setProtectedHeader(header)
        .sign(own.privateKey, { crit: { x: true } })
    },
    SIGNATURE,
  ],
  [
    'another payload',
    async () => {
      const [header, , signature] = (await sign()).split('.')
      return `${header}.${part(claimsOf({ context: { plan: 'pro', admin: true } }))}.${signature}`
    },
    SIGNATURE,
  ],
  [
    'another header',
    async () => {
      const [, payload, signature] = (await sign()).split('.')
      return `${part({ alg: 'ES256' })}.${payload}.${signature}`
    },
    SIGNATURE,
  ],
  ['no signature', async () => (await sign()).replace(/[^.]+$/, ''), SIGNATURE],
  ['a signature of zeros', async () => (await sign()).replace(/[^.]+$/, 'A'.repeat(86)), SIGNATURE],
  ['a part too many', async () => `${await sign()}.e30`, NO_JWT],
  [
    'a payload that is no object',
    () => {
      const signing = new SignJWT({})
      return signing.setProtectedHeader({ alg: 'ES256', kid: 'one' }).sign(own.privateKey)
    },
    'AUD',
  ],
  ['another environment', () => sign({ aud: 'rampart/elsewhere' }), 'AUD'],
  ['an environment whose name begins alike', () => sign({ aud: `rampart/${environment}0` }), 'AUD'],
  ['a list with its name inside a text', () => sign({ aud: [`x rampart/${environment}`] }), 'AUD'],
  ['an empty list of audiences', () => sign({ aud: [] }), 'AUD'],
  ['no audience', () => sign({ aud: undefined }), 'AUD'],
  ['no exp', () => sign({ exp: undefined }), EXP],
  ['an exp that is a text', () => sign({ exp: String(seconds() + 60) }), EXP],
  ['an exp of 31 seconds ago', () => sign({ iat: undefined, exp: seconds() - 31 }), EXPIRED],
  ['an exp of long ago', () => sign({ iat: 0, exp: 1 }), EXPIRED],
  ['an exp of exactly 30 seconds ago', () => sign({ exp: seconds() - 30 }), EXPIRED],
  ['a life of a day and a second', () => sign({ exp: seconds() + DAY + 1 }), LIFETIME],
  ['an iat that is a text', () => sign({ iat: String(seconds()) }), LIFETIME],
  ['an nbf in 31 seconds', () => sign({ nbf: seconds() + 31 }), TOO_EARLY],
  ['an nbf that is a text', () => sign({ nbf: '0' }), TOO_EARLY],
  ['no sub', () => sign({ sub: undefined }), SUB],
  ['an empty sub', () => sign({ sub: '' }), SUB],
  ['a sub that is a number', () => sign({ sub: 7 }), SUB],
  ['attributes that are a text', () => sign({ context: 'pro' }), CONTEXT],
  ['attributes that are a list', () => sign({ context: [{ plan: 'pro' }] }), CONTEXT],
  ['attributes that are null', () => sign({ context: null }), CONTEXT],
  ["somebody else's", async () => ({ targetingKey: 'eve', signedContext: await sign() }), SUBJECT],
  ['one for nobody in particular', async () => ({ targetingKey: '', signedContext: await sign() }), SUBJECT],
]

describe('in place of a signed context', () => {
  beforeAll(() => setUp([own.jwk, p384.jwk]))

  /** A text is what stands as the JWT. */
  async function contextOf(make: () => unknown): Promise<unknown> {
    const made = await make()
    return typeof made === 'string' ? { targetingKey: 'ada', signedContext: made } : made
  }

  it.each(ATTACKS)('%s is refused, and only what failed is said', async (_, make, details) => {
    const errorDetails =
      details === 'AUD' ? `the signedContext's aud must be rampart/${environment}` : details
    const context = await contextOf(make)
    const refusal = { errorCode: 'INVALID_CONTEXT', errorDetails }
    for (let i = 0; i < 2; i++) {
      const one = await evaluate(client.key, 'ada', context)
      const all = await evaluateAll(client.key, context)
      expect([one.status, one.body, all.status, all.body]).toEqual([
        400,
        { key: 'ada', ...refusal },
        400,
        refusal,
      ])
    }
  })

  it('a targetingKey that is no text is refused as ever', async () => {
    const { status, body } = await evaluate(client.key, 'ada', {
      targetingKey: 7,
      signedContext: await sign(),
    })
    expect([status, field(body, 'errorDetails')]).toEqual([400, 'the targetingKey must be a text'])
  })

  it('an empty body is refused too', async () => {
    const answers = [await ask(BULK, { key: client.key }), await ask(`${SINGLE}ada`, { key: client.key })]
    expect(answers.map(({ status, body }) => [status, field(body, 'errorDetails')])).toEqual([
      [400, NEEDED],
      [400, NEEDED],
    ])
  })

  it('the version and the headers that pages may read stand on a refusal as well', async () => {
    const { response } = await serve(makeRequest(BULK, { key: client.key, json: {} }), env)
    const { headers } = await read(response)
    const { headers: good } = await evaluateAll(server.key)
    const names = ['x-rampart-version', 'access-control-allow-origin', 'access-control-expose-headers']
    expect(names.map((name) => headers.get(name))).toEqual(names.map((name) => good.get(name)))
  })
})

describe('the keys of an environment', () => {
  it.each(['ES256', 'RS256', 'PS256', 'EdDSA'])('may be of %s', async (alg) => {
    const pair = await makePair(alg, alg)
    await setUp([pair.jwk])
    expect(await onFor({ signedContext: await sign({}, pair, { alg, kid: alg }) })).toEqual(['ada', 'pro'])
  })

  it('may be several, of which one by the right name or any without one will do', async () => {
    const unnamed = await makePair('EdDSA')
    await setUp([stranger.jwk, p384.jwk, unnamed.jwk, own.jwk])
    expect([
      await onFor({ signedContext: await sign() }),
      await onFor({ signedContext: await sign({}, own, { kid: undefined }) }),
      await onFor({ signedContext: await sign({}, unnamed, { alg: 'EdDSA', kid: 'whatever' }) }),
      await onFor({ signedContext: await sign({}, unnamed, { alg: 'EdDSA', kid: undefined }) }),
    ]).toEqual(Array.from({ length: 4 }, () => ['ada', 'pro']))
  })

  it('are tried up to the fifth', async () => {
    const pairs = await Promise.all(Array.from({ length: 6 }, () => makePair('ES256')))
    await setUp(pairs.map(({ jwk }) => jwk))
    const statuses = []
    for (const pair of pairs) {
      const signedContext = await sign({}, pair)
      statuses.push((await evaluateAll(client.key, { signedContext })).status)
    }
    expect(statuses).toEqual([200, 200, 200, 200, 200, 400])
  })

  it.each<[string, () => Promise<Pair['jwk']> | Pair['jwk']]>([
    ['is empty', () => ({})],
    ['is symmetric', () => ({ kty: 'oct', k: 'c2VjcmV0', alg: 'HS256' })],
    ['is meant for encryption', () => ({ ...own.jwk, use: 'enc' })],
    ['is meant for another algorithm', () => ({ ...own.jwk, alg: 'ES512' })],
    ['is broken', () => ({ ...own.jwk, x: 'AAAA' })],
    ['is private', async () => ({ ...(await exportJWK(own.privateKey)) })],
    [
      'is an RSA key of 1,024 bits',
      async () => {
        const algorithm = {
          name: 'RSASSA-PKCS1-v1_5',
          modulusLength: 1_024,
          publicExponent: new Uint8Array([1, 0, 1]),
          hash: 'SHA-256',
        }
        const pair = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
        return { ...(await exportJWK('publicKey' in pair ? pair.publicKey : pair)) }
      },
    ],
  ])('are no use where one %s, and the others still are', async (_, make) => {
    const good = await makePair('ES256', 'good')
    await setUp([await make(), good.jwk])
    const token = await sign({}, own)
    const { body } = await evaluateAll(client.key, { signedContext: token })
    expect(field(body, 'errorDetails')).toBe(SIGNATURE)
    expect(await onFor({ signedContext: await sign({}, good, { kid: 'good' }) })).toEqual(['ada', 'pro'])
  })

  it('of one say nothing in another, even where both have the same', async () => {
    await setUp([own.jwk])
    const signedContext = await sign()
    expect(await onFor({ signedContext })).toEqual(['ada', 'pro'])
    await setUp([own.jwk])
    const { body } = await evaluateAll(client.key, { signedContext })
    expect(field(body, 'errorDetails')).toBe(`the signedContext's aud must be rampart/${environment}`)
  })

  it('are none by default: a client says for itself who it is', async () => {
    await setUp([])
    expect(await onFor({ targetingKey: 'ada', admin: true, signedContext: 'x' })).toEqual([
      'ada',
      'admin',
      'jwt',
    ])
  })
})

describe('a JWT that was verified', () => {
  beforeEach(() => setUp([own.jwk]))

  /** What can be said of a JWT without waiting. */
  function known(signedContext: string, at = Date.now()) {
    const view = snapshotCache.view(environment)
    const record = view?.environment.keys.get(client.id)
    if (!view || !record) throw new Error('the snapshot is not there')
    return knownContext(record, view.environment, { signedContext }, at)
  }

  it('is remembered until it expires, and nothing is waited for', async () => {
    const signedContext = await sign({ exp: seconds() + 60 })
    expect(known(signedContext)).toBeUndefined()
    await evaluateAll(client.key, { signedContext })
    const until = (seconds() + 60 + 30) * 1_000
    expect([known(signedContext), known(signedContext, until - 1), known(signedContext, until)]).toEqual([
      { ok: true, value: { targetingKey: 'ada', plan: 'pro' } },
      { ok: true, value: { targetingKey: 'ada', plan: 'pro' } },
      undefined,
    ])
  })

  it('is refused once it has expired, although it is remembered', async () => {
    const signedContext = await sign({ exp: seconds() + 60 })
    const status = async () => (await evaluateAll(client.key, { signedContext })).status
    expect(await status()).toBe(200)
    moveClock(89_000)
    await warm(environment)
    expect(await status()).toBe(200)
    moveClock(1_000)
    expect(await status()).toBe(400)
  })

  it('that failed is not remembered', async () => {
    const signedContext = await sign({}, stranger)
    await evaluateAll(client.key, { signedContext })
    expect(known(signedContext)).toBeUndefined()
  })

  it('is one of a thousand: those before are verified again', async () => {
    const first = await sign({ jti: 'first' })
    const second = await sign({ jti: 'second' })
    const ask = (signedContext: string) => evaluate(client.key, 'ada', { signedContext })
    await ask(first)
    await ask(second)
    for (let i = 2; i < 1_000; i++) await ask(await sign({ jti: String(i) }))
    expect([known(first)?.ok, known(second)?.ok]).toEqual([true, true])
    await ask(await sign({ jti: 'last' }))
    expect([known(first)?.ok, known(second)?.ok]).toEqual([undefined, true])
    expect((await ask(first)).status).toBe(200)
  })

  it('is refused within the interval of the hub once its key is taken away', async () => {
    const signedContext = await sign()
    const next = await makePair('ES256', 'two')
    /** What an isolate answers that nobody but its requests refreshes. */
    const status = async (token: string) => {
      const request = makeRequest(BULK, { key: client.key, json: { context: { signedContext: token } } })
      const { response, settled } = await serve(request, env)
      await settled()
      return response.status
    }
    expect(await status(signedContext)).toBe(200)
    await saveSettings(environment, { contextKeys: [own.jwk, next.jwk] })
    await warm(environment)
    const signedNext = await sign({}, next, { kid: 'two' })
    expect([known(signedContext), await status(signedContext), await status(signedNext)]).toEqual([
      undefined,
      200,
      200,
    ])
    await saveSettings(environment, { contextKeys: [next.jwk] })
    moveClock(CHECK_MS + 1)
    // The answer that is due for news is given first; the next one has it.
    expect([await status(signedContext), await status(signedContext), await status(signedNext)]).toEqual([
      200, 400, 200,
    ])
  })

  it('is as good as none once nothing must be signed any more', async () => {
    const signedContext = await sign()
    expect(await onFor({ signedContext })).toEqual(['ada', 'pro'])
    await saveSettings(environment)
    await warm(environment)
    expect(await onFor({ targetingKey: 'eve', signedContext })).toEqual(['eve', 'jwt'])
  })
})
