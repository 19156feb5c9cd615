import { env } from 'cloudflare:workers'
import { beforeAll, describe, expect, it } from 'vitest'
import { hashKey } from '../../src/access/key.ts'
import { readSnapshotText } from '../../src/engine/snapshot-text.ts'
import { emptyDatabase } from '../support/database.ts'
import {
  api,
  ask,
  BULK,
  configure,
  createEnvironment,
  createFlag,
  createKey,
  evaluate,
  evaluateAll,
  field,
  HUB_DOWN,
  KV_DOWN,
  makeRequest,
  moveClock,
  override,
  read,
  record,
  SINGLE,
  serve,
  silenceLogs,
  warm,
  withHub,
  withKv,
} from '../support/worker.ts'

const CLIENT = { clientVisible: true }
const ATTRIBUTES = { country: 'IE', region: 'Leinster', city: 'Dublin', continent: 'EU', colo: 'DUB' }

/** Keys that a URL can carry only when it is written with care. */
const KEYS: readonly string[] = [
  'checkout',
  'team/checkout/new',
  '/leading',
  'trailing/',
  '/',
  'a b',
  'a  b',
  'new 🛒 checkout',
  '👩‍👩‍👧‍👦',
  'a%20b',
  '%',
  '100%',
  '%zz',
  '100% sure',
  '100%🛒',
  '%ü%',
  '"quoted" and \'quoted\'',
  '..a',
  'a..',
  '...',
  'a/../b',
  'a/./b',
  'Größe',
  'переключатель',
  '旗',
  'question?mark=1&b#fragment',
  'back\\slash',
  '<b>{x}|^`',
  'semi;colon,comma=+$@!~*()',
  '__proto__',
  'constructor',
  'evaluate/flags',
  'x'.repeat(200),
  '🛒'.repeat(100),
]

/** What a URL changes or cuts off when a key stands in it as it is. */
const OLD_CLIENTS_CANNOT = /[?#\\]|(^|\/)\.\.?(\/|$)/

let environment = ''
let server = ''
let client = ''
let version = ''

const FLAGS: { readonly [key: string]: object } = {
  bool: { ...CLIENT, metadata: { team: 'web', priority: 2, beta: true } },
  text: {
    type: 'string',
    variants: [
      { name: 'warm', value: 'Grüße 👋' },
      { name: 'none', value: '' },
    ],
  },
  number: {
    type: 'number',
    variants: [
      { name: 'zero', value: 0 },
      { name: 'half', value: 0.5 },
    ],
  },
  object: {
    type: 'object',
    variants: [{ name: 'theme', value: { colors: ['red', null], depth: { on: false } } }],
  },
  targeted: {},
  'single-target': {},
  split: CLIENT,
  'off-without': {},
  'off-with': {},
  blocked: {},
  geographic: CLIENT,
  hidden: {},
}

/** Leaves these flags and no others; an environment that is made then has exactly them. */
async function createFlags(keys: readonly string[] = Object.keys(FLAGS)): Promise<void> {
  await emptyDatabase()
  for (const key of keys) await createFlag(key, FLAGS[key])
}

beforeAll(async () => {
  await createFlags()
  environment = await createEnvironment()
  await configure(environment, 'bool')
  await configure(environment, 'text', { fallthrough: { variant: 'warm' } })
  await configure(environment, 'number', { fallthrough: { variant: 'zero' } })
  await configure(environment, 'object', { fallthrough: { variant: 'theme' } })
  await configure(environment, 'targeted', {
    rules: [
      {
        id: 'irish',
        when: { attribute: 'country', op: 'equals', values: ['IE'] },
        serve: { variant: 'off' },
      },
    ],
  })
  await configure(environment, 'single-target', { targets: [{ variant: 'off', units: ['ada'] }] })
  await configure(environment, 'split', {
    fallthrough: { split: { weights: [{ variant: 'on', weight: 1 }], seed: 'seed' } },
  })
  await configure(environment, 'off-without', { enabled: false })
  await configure(environment, 'off-with', { enabled: false, offVariant: 'off' })
  await configure(environment, 'blocked', { prerequisites: [{ flag: 'off-with', variants: ['on'] }] })
  await configure(environment, 'geographic', {
    rules: [
      {
        id: 'irish',
        when: { attribute: 'cf.country', op: 'equals', values: ['IE'] },
        serve: { variant: 'on' },
      },
    ],
    fallthrough: { variant: 'off' },
  })
  await configure(environment, 'hidden')
  server = (await createKey(environment, 'server')).key
  client = (await createKey(environment, 'client')).key
  await warm(environment)
  const { headers } = await evaluate(server, 'bool')
  version = headers.get('x-rampart-version') ?? ''
})

/** What stands in the metadata of every flag. */
const set = () => ({ flagSetId: environment, version })

describe('a single evaluation', () => {
  it.each([
    ['a boolean', 'bool', { reason: 'STATIC', variant: 'on', value: true }],
    ['a string', 'text', { reason: 'STATIC', variant: 'warm', value: 'Grüße 👋' }],
    ['a number, even 0', 'number', { reason: 'STATIC', variant: 'zero', value: 0 }],
    [
      'an object',
      'object',
      { reason: 'STATIC', variant: 'theme', value: { colors: ['red', null], depth: { on: false } } },
    ],
    ['what a rule serves', 'targeted', { reason: 'TARGETING_MATCH', variant: 'off', value: false }],
    [
      'what a single target is given',
      'single-target',
      { reason: 'TARGETING_MATCH', variant: 'off', value: false },
    ],
    ['what a split serves', 'split', { reason: 'SPLIT', variant: 'on', value: true }],
    ['the off variant of a disabled flag', 'off-with', { reason: 'DISABLED', variant: 'off', value: false }],
    [
      'neither value nor variant for a disabled flag without an off variant',
      'off-without',
      { reason: 'DISABLED' },
    ],
  ])('answers %s', async (_, flag, expected) => {
    const { status, body } = await evaluate(server, flag, { targetingKey: 'ada', country: 'IE' })
    const metadata = flag === 'bool' ? { team: 'web', priority: 2, beta: true, ...set() } : set()
    expect({ status, body }).toEqual({ status: 200, body: { key: flag, ...expected, metadata } })
  })

  it.each([
    ['no rule matches', 'targeted', { reason: 'DEFAULT', variant: 'on', value: true, metadata: {} }],
    ['a prerequisite is not met', 'blocked', { reason: 'DEFAULT', metadata: { prerequisite: 'off-with' } }],
  ])('says DEFAULT when %s', async (_, flag, expected) => {
    const { status, body } = await evaluate(server, flag, { targetingKey: 'bob', country: 'FR' })
    const metadata = { ...expected.metadata, ...set() }
    expect({ status, body }).toEqual({ status: 200, body: { key: flag, ...expected, metadata } })
  })

  it('answers in a content type that clients take for JSON, never to be cached', async () => {
    const { headers } = await evaluate(server, 'bool')
    expect(headers.get('content-type')).toMatch(/application\/[^+]*[+]?(json);?.*/i)
    expect(headers.get('cache-control')).toBe('no-store')
  })

  it.each([
    ['an empty body', {}],
    ['an empty body that claims to be JSON', { headers: { 'content-type': 'application/json' } }],
    ['no context', { json: {} }],
    ['an empty context', { json: { context: {} } }],
    ['a context without a targeting key', { json: { context: { country: 'FR' } } }],
    ['other members beside the context', { json: { context: {}, flags: ['x'] } }],
    ['a body without a content type', { body: new Blob(['{"context":{}}']).stream() }],
    [
      'a content type that was appended to',
      { body: '{}', headers: { 'content-type': 'application/json; charset=utf-8, application/json' } },
    ],
    [
      'a content type of JSON by another name',
      { body: '{}', headers: { 'content-type': 'application/ld+JSON' } },
    ],
  ])('takes %s', async (_, sending) => {
    const { status, body } = await ask(`${SINGLE}targeted`, { key: server, ...sending })
    expect({ status, body }).toEqual({
      status: 200,
      body: { key: 'targeted', reason: 'DEFAULT', variant: 'on', value: true, metadata: set() },
    })
  })

  it('says FLAG_NOT_FOUND with the key of a flag that does not exist', async () => {
    const { status, body } = await evaluate(server, 'no such flag')
    expect({ status, body }).toEqual({
      status: 404,
      body: {
        key: 'no such flag',
        errorCode: 'FLAG_NOT_FOUND',
        errorDetails: 'there is no flag of that key',
        metadata: set(),
      },
    })
  })

  it.each([
    ['no context', undefined],
    ['no targeting key', { country: 'IE' }],
    ['an empty targeting key', { targetingKey: '' }],
  ])('says TARGETING_KEY_MISSING when a split has %s', async (_, context) => {
    const { status, body } = await evaluate(server, 'split', context)
    expect({ status, body }).toEqual({
      status: 400,
      body: {
        key: 'split',
        errorCode: 'TARGETING_KEY_MISSING',
        errorDetails: 'the flag is split by an attribute that the context lacks',
        metadata: set(),
      },
    })
  })

  it('carries the version and the headers that pages may read on every answer from a snapshot', async () => {
    const answers = [
      await evaluate(server, 'bool'),
      await evaluate(server, 'nothing'),
      await evaluate(server, 'split'),
      await evaluate(server, 'bool', undefined, { body: '{', headers: {} }),
      await ask(`${SINGLE}bool`, { key: server, body: 'x', headers: { 'content-type': 'text/plain' } }),
      await evaluateAll(server),
      await ask('/v1/snapshot', { method: 'GET', key: client }),
    ]
    const seen = answers.map(({ status, headers }) => [
      status,
      headers.get('x-rampart-version'),
      headers.get('access-control-allow-origin'),
      headers.get('access-control-expose-headers'),
    ])
    const shared = [version, '*', 'ETag, Retry-After, X-Rampart-Version']
    expect(seen).toEqual([200, 404, 400, 200, 415, 200, 403].map((status) => [status, ...shared]))
  })
})

describe('a flag key', () => {
  beforeAll(async () => {
    await emptyDatabase()
    for (const [index, key] of KEYS.entries()) {
      await createFlag(key, { type: 'string', variants: [{ name: 'on', value: `value ${index}` }] })
    }
    environment = await createEnvironment()
    for (const key of KEYS) await configure(environment, key)
    server = (await createKey(environment)).key
    await warm(environment)
  })

  it.each(KEYS.map((key, index) => ({ key, index })))('may be $key', async ({ key, index }) => {
    const { status, body } = await evaluate(server, key)
    expect({ status, key: field(body, 'key'), value: field(body, 'value') }).toEqual({
      status: 200,
      key,
      value: `value ${index}`,
    })
  })

  it.each(KEYS.map((key, index) => ({ key, index })).filter(({ key }) => !OLD_CLIENTS_CANNOT.test(key)))(
    'may be $key, sent as it is',
    async ({ key, index }) => {
      const { status, body } = await ask(SINGLE + key, { key: server })
      // The one path that two keys share: it means what it decodes to when there is such a flag.
      const [wanted, value] = key === 'a%20b' ? ['a b', KEYS.indexOf('a b')] : [key, index]
      expect({ status, key: field(body, 'key'), value: field(body, 'value') }).toEqual({
        status: 200,
        key: wanted,
        value: `value ${value}`,
      })
    },
  )

  it('may look encoded when it is sent as it is and nothing has the decoded key', async () => {
    await emptyDatabase()
    await createFlag('a%20b')
    const alone = await createEnvironment()
    await configure(alone, 'a%20b')
    const { key } = await createKey(alone)
    const { status, body } = await ask(`${SINGLE}a%20b`, { key })
    expect({ status, key: field(body, 'key') }).toEqual({ status: 200, key: 'a%20b' })
  })

  it('stands in a bulk answer as it is, in code-unit order', async () => {
    const { body } = await evaluateAll(server)
    const flags = field(body, 'flags')
    const keys = Array.isArray(flags) ? flags.map((flag) => field(flag, 'key')) : []
    expect(keys).toEqual([...KEYS].sort((a, b) => (a < b ? -1 : 1)))
  })
})

describe('a bulk evaluation', () => {
  let all: string
  let everything: string

  beforeAll(async () => {
    await createFlags(['bool', 'text', 'number', 'object', 'off-without', 'split'])
    all = await createEnvironment()
    await configure(all, 'bool')
    await configure(all, 'text', { fallthrough: { variant: 'none' } })
    await configure(all, 'number', { fallthrough: { variant: 'half' } })
    await configure(all, 'object', { fallthrough: { variant: 'theme' } })
    await configure(all, 'off-without', { enabled: false })
    await configure(all, 'split', {
      fallthrough: { split: { weights: [{ variant: 'on', weight: 1 }], seed: 'seed' } },
    })
    everything = (await createKey(all)).key
    await warm(all)
  })

  it('answers every flag, each with its own success or failure', async () => {
    const { status, headers, body } = await evaluateAll(everything)
    const metadata = { flagSetId: all, version: headers.get('x-rampart-version') }
    expect({ status, flags: field(body, 'flags'), metadata: field(body, 'metadata') }).toEqual({
      status: 200,
      metadata,
      flags: [
        {
          key: 'bool',
          reason: 'STATIC',
          variant: 'on',
          value: true,
          metadata: { team: 'web', priority: 2, beta: true, ...metadata },
        },
        { key: 'number', reason: 'STATIC', variant: 'half', value: 0.5, metadata },
        {
          key: 'object',
          reason: 'STATIC',
          variant: 'theme',
          value: { colors: ['red', null], depth: { on: false } },
          metadata,
        },
        { key: 'off-without', reason: 'DISABLED', metadata },
        {
          key: 'split',
          errorCode: 'TARGETING_KEY_MISSING',
          errorDetails: 'the flag is split by an attribute that the context lacks',
          metadata,
        },
        { key: 'text', reason: 'STATIC', variant: 'none', value: '', metadata },
      ],
    })
  })

  it.each([
    ['an empty body', {}],
    ['no context', { json: {} }],
    ['an empty context', { json: { context: {} } }],
  ])('takes %s', async (_, sending) => {
    const { status, body } = await ask(BULK, { key: everything, ...sending })
    const flags = field(body, 'flags')
    expect([status, Array.isArray(flags) ? flags.length : flags]).toEqual([200, 6])
  })

  it('has an empty list where there are no flags', async () => {
    await emptyDatabase()
    const empty = await createEnvironment()
    const { key } = await createKey(empty)
    const { status, body } = await evaluateAll(key)
    expect([status, field(body, 'flags')]).toEqual([200, []])
  })

  it('says where changes are told of, without the key and below the same origin', async () => {
    const { body } = await evaluateAll(everything)
    expect(field(body, 'eventStreams')).toEqual([
      {
        type: 'sse',
        endpoint: { requestUri: expect.stringMatching(/^\/ofrep\/v1\/stream\?token=[\w.-]+$/) },
      },
    ])
    expect(JSON.stringify(body)).not.toContain(everything)
  })
})

describe('an ETag', () => {
  let own: string
  let key: string

  async function etagOf(context?: unknown, headers = {}): Promise<string> {
    const answer = await evaluateAll(key, context, { headers })
    return answer.headers.get('etag') ?? ''
  }

  beforeAll(async () => {
    await createFlags()
    own = await createEnvironment()
    await configure(own, 'targeted', {
      rules: [
        {
          id: 'irish',
          when: { attribute: 'country', op: 'equals', values: ['IE'] },
          serve: { variant: 'off' },
        },
      ],
    })
    await configure(own, 'single-target', { targets: [{ variant: 'off', units: ['ada'] }] })
    key = (await createKey(own)).key
    await warm(own)
  })

  it('makes the answer 304 and empty while the result is the same', async () => {
    const etag = await etagOf({ country: 'IE' })
    const { status, headers, body } = await evaluateAll(
      key,
      { country: 'IE' },
      { headers: { 'if-none-match': etag } },
    )
    expect({ status, body, etag: headers.get('etag') }).toEqual({ status: 304, body: null, etag })
    expect(headers.get('access-control-allow-origin')).toBe('*')
    expect(headers.get('access-control-expose-headers')).toBe('ETag, Retry-After, X-Rampart-Version')
  })

  it.each([
    ['made weak on the way', (etag: string) => `W/${etag}`],
    ['in a list', (etag: string) => `"other", ${etag} , W/"another"`],
    ['weak in a list', (etag: string) => `"other",W/${etag}`],
  ])('is known again %s', async (_, write) => {
    const etag = await etagOf()
    const { status } = await evaluateAll(key, undefined, { headers: { 'if-none-match': write(etag) } })
    expect(status).toBe(304)
  })

  it.each([
    ['another one', () => '"other"'],
    ['a part of it', (etag: string) => `${etag.slice(0, -2)}"`],
    ['more than it', (etag: string) => `${etag.slice(0, -1)}0"`],
    ['it without its quotes', (etag: string) => etag.slice(1, -1)],
    ['nothing', () => ''],
  ])('is not taken for %s', async (_, write) => {
    const etag = await etagOf()
    const answer = await evaluateAll(key, undefined, { headers: { 'if-none-match': write(etag) } })
    expect([answer.status, answer.headers.get('etag')]).toEqual([200, etag])
  })

  it('is another one for a context with another result, so that a stale one is no false 304', async () => {
    const stale = await etagOf({ country: 'FR' })
    const answer = await evaluateAll(key, { country: 'IE' }, { headers: { 'if-none-match': stale } })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('etag')).not.toBe(stale)
  })

  it('is the same for another context with the same result', async () => {
    expect(await etagOf({ country: 'FR', plan: 'free' })).toBe(await etagOf({ country: 'DE' }))
  })

  it('is the same at a newer version with the same result, and that 304 carries the newer version', async () => {
    const before = await evaluateAll(key)
    const etag = before.headers.get('etag') ?? ''
    await configure(own, 'single-target', { targets: [{ variant: 'off', units: ['ada', 'grace'] }] }, 2)
    await warm(own)
    const after = await evaluateAll(key, undefined, { headers: { 'if-none-match': etag } })
    expect([after.status, after.headers.get('etag')]).toEqual([304, etag])
    expect(Number(after.headers.get('x-rampart-version'))).toBe(
      Number(before.headers.get('x-rampart-version')) + 1,
    )
  })

  it('is another one once a result has changed', async () => {
    const etag = await etagOf()
    await configure(own, 'single-target', { fallthrough: { variant: 'off' } }, 3)
    await warm(own)
    const answer = await evaluateAll(key, undefined, { headers: { 'if-none-match': etag } })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('etag')).not.toBe(etag)
  })

  it('is another one in the next epoch of stream tokens, because a 304 cannot bring a new token', async () => {
    const etag = await etagOf()
    moveClock(6 * 3_600_000)
    await warm(own)
    const answer = await evaluateAll(key, undefined, { headers: { 'if-none-match': etag } })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('etag')).not.toBe(etag)
  })
})

describe('a key', () => {
  silenceLogs()

  let other: string

  beforeAll(async () => {
    other = await createEnvironment()
    await configure(other, 'bool')
  })

  it.each([
    ['as a bearer token', (key: string) => ({ authorization: `Bearer ${key}` })],
    ['as a bearer token in other letters', (key: string) => ({ authorization: `bearer   ${key} ` })],
    ['in X-API-Key', (key: string) => ({ 'x-api-key': key })],
    [
      'in X-API-Key beside credentials of another kind',
      (key: string) => ({ 'x-api-key': key, authorization: 'Basic YTpi' }),
    ],
  ])('is taken %s', async (_, headers) => {
    const { key } = await createKey(other)
    await warm(other)
    const { status } = await ask(`${SINGLE}bool`, { headers: headers(key) })
    expect(status).toBe(200)
  })

  it.each([
    ['of nobody', () => `rp_server_${other}_${'0'.repeat(32)}`],
    ['of an environment that does not exist', () => `rp_server_nowhere_${'0'.repeat(32)}`],
    [
      'of another environment, under this name',
      async () => {
        const { key } = await createKey(await createEnvironment())
        return `rp_server_${other}_${key.slice(key.lastIndexOf('_') + 1)}`
      },
    ],
    ['of the other kind', async () => (await createKey(other)).key.replace('_server_', '_client_')],
    ['that is none', () => 'test-admin'],
    [
      'that was revoked',
      async () => {
        const { id, key } = await createKey(other)
        await warm(other)
        expect((await evaluate(key, 'bool')).status).toBe(200)
        await api('DELETE', `/environments/${other}/keys/${id}`)
        return key
      },
    ],
  ])('%s is refused with 401 and no body, everywhere', async (_, make) => {
    const key = await make()
    await warm(other)
    const answers = [
      await evaluate(key, 'bool'),
      await evaluateAll(key),
      await ask('/v1/snapshot', { method: 'GET', key }),
      await ask(BULK, { headers: { 'x-api-key': key } }),
    ]
    expect(answers.map(({ status, body }) => [status, body])).toEqual(answers.map(() => [401, null]))
    expect(answers.map(({ headers }) => headers.get('access-control-allow-origin'))).toEqual(
      answers.map(() => '*'),
    )
  })

  it('is needed', async () => {
    const answers = [
      await ask(`${SINGLE}bool`),
      await ask(BULK),
      await ask('/v1/snapshot', { method: 'GET' }),
    ]
    expect(answers.map(({ status, body }) => [status, body])).toEqual(answers.map(() => [401, null]))
  })

  it('whose record is of another kind than it says is refused, the second time too', async () => {
    const key = `rp_client_${other}_borrowed`
    const hash = await hashKey(key)
    await api('POST', `/environments/${other}/keys`, { kind: 'server', name: 'test', hash })
    await warm(other)
    expect((await evaluate(key, 'bool')).status).toBe(401)
    expect((await evaluate(key, 'bool')).status).toBe(401)
  })

  it('may be made elsewhere and let in by its hash', async () => {
    const key = `rp_server_${other}_${'A1'.repeat(32)}`
    const hash = await hashKey(key)
    const made = await api('POST', `/environments/${other}/keys`, { kind: 'server', name: 'test', hash })
    expect(field(made.body, 'key')).toBeUndefined()
    await warm(other)
    expect((await evaluate(key, 'bool')).status).toBe(200)
  })

  it('is dead at the edge once it is revoked, also for who has used it before', async () => {
    const { id, key } = await createKey(other)
    await warm(other)
    expect((await evaluate(key, 'bool')).status).toBe(200)
    await api('DELETE', `/environments/${other}/keys/${id}`)
    await warm(other)
    expect((await evaluate(key, 'bool')).status).toBe(401)
  })

  it('that was revoked is refused by the very answer that learns of it', async () => {
    const { id, key } = await createKey(other)
    await warm(other)
    const { headers } = await evaluateAll(key)
    await api('DELETE', `/environments/${other}/keys/${id}`)
    const newer = Number(headers.get('x-rampart-version')) + 1
    expect((await ask(`${BULK}?flagConfigEtag=${newer}`, { key, json: {} })).status).toBe(401)
  })

  it('made a moment ago is known although the snapshot in memory is older', async () => {
    await warm(other)
    moveClock(1_000)
    const { key } = await createKey(other)
    expect((await evaluate(key, 'bool')).status).toBe(200)
  })

  it('that fails is counted against its address, and one that does not is not', async () => {
    const { key } = await createKey(other)
    await warm(other)
    const { bindings, calls } = record(env)
    const good = await serve(makeRequest(`${SINGLE}bool`, { key }), bindings)
    await good.settled()
    expect([good.response.status, calls]).toEqual([200, []])
    const asked: unknown[] = []
    const limit = async (options: unknown) => {
      asked.push(options)
      return { success: true }
    }
    const counting = { ...env, SIGN_IN_LIMIT: override(env.SIGN_IN_LIMIT, { limit }) }
    const bad = makeRequest(`${SINGLE}bool`, { key: 'wrong', headers: { 'cf-connecting-ip': '192.0.2.1' } })
    const { response, settled } = await serve(bad, counting)
    await settled()
    expect([response.status, asked]).toEqual([401, [{ key: 'evaluation:192.0.2.1' }]])
  })

  it.each([
    ['single', `${SINGLE}bool`, { key: 'bool' }],
    ['bulk', BULK, {}],
  ])('that failed too often is answered 429 with whole seconds to wait: %s', async (_, path, named) => {
    const limit = async () => ({ success: false })
    const limited = { ...env, SIGN_IN_LIMIT: override(env.SIGN_IN_LIMIT, { limit }) }
    const { response } = await serve(makeRequest(path, { key: 'wrong', json: {} }), limited)
    const { status, headers, body } = await read(response)
    expect({ status, body, retry: headers.get('retry-after') }).toEqual({
      status: 429,
      body: { ...named, errorCode: 'GENERAL', errorDetails: 'too many failed attempts' },
      retry: '60',
    })
    expect(headers.get('access-control-expose-headers')).toBe('ETag, Retry-After, X-Rampart-Version')
  })

  it('that failed too often makes nothing load for a minute, whatever it names, and hinders no known key', async () => {
    const { key } = await createKey(other)
    await warm(other)
    await evaluateAll(key)
    const headers = { 'cf-connecting-ip': '192.0.2.9' }
    const limit = async () => ({ success: false })
    const limited = { ...env, SIGN_IN_LIMIT: override(env.SIGN_IN_LIMIT, { limit }) }
    await serve(makeRequest(BULK, { key: 'wrong', headers, json: {} }), limited)
    const { bindings, calls } = record(env)
    const statuses = async () => {
      const requests = [
        makeRequest(BULK, { key: 'rp_server_nowhere-1_x', headers, json: {} }),
        makeRequest('/ofrep/v1/stream?token=nowhere-2.key.1.x', { method: 'GET', headers }),
        makeRequest(BULK, { key, headers, json: {} }),
      ]
      const answers = []
      for (const request of requests) {
        const { response, settled } = await serve(request, bindings)
        answers.push(response.status)
        await settled()
      }
      return answers
    }
    expect([await statuses(), calls]).toEqual([[429, 429, 200], []])
    moveClock(60_000)
    expect(await statuses()).toEqual([401, 401, 200])
    expect(calls.length).toBeGreaterThan(0)
  })

  it('is refused, and nothing breaks, when attempts cannot be counted', async () => {
    const limit = () => Promise.reject(new Error('the limiter is down'))
    const broken = { ...env, SIGN_IN_LIMIT: override(env.SIGN_IN_LIMIT, { limit }) }
    const { response } = await serve(makeRequest(BULK, { key: 'wrong', json: {} }), broken)
    expect([response.status, await response.text()]).toEqual([401, ''])
  })
})

describe('a client key', () => {
  let visible: string
  let pages: string

  beforeAll(async () => {
    visible = await createEnvironment()
    await configure(visible, 'bool')
    await configure(visible, 'geographic', {
      rules: [
        {
          id: 'irish',
          when: { attribute: 'cf.country', op: 'equals', values: ['IE'] },
          serve: { variant: 'on' },
        },
      ],
      fallthrough: { variant: 'off' },
    })
    await configure(visible, 'hidden')
    await configure(visible, 'split', { prerequisites: [{ flag: 'hidden', variants: ['off'] }] })
    pages = (await createKey(visible, 'client')).key
    await warm(visible)
  })

  it('sees a flag that is visible to clients', async () => {
    const { status, body } = await evaluate(pages, 'bool')
    expect([status, field(body, 'value')]).toEqual([200, true])
  })

  it('is answered for a hidden flag as for one that does not exist', async () => {
    const hidden = await evaluate(pages, 'hidden')
    const missing = await evaluate(pages, 'missing')
    expect([hidden.status, missing.status]).toEqual([404, 404])
    expect(hidden.body).toEqual({ ...Object(missing.body), key: 'hidden' })
    expect([...hidden.headers]).toEqual([...missing.headers])
  })

  it('has no hidden flags in a bulk answer', async () => {
    const { body } = await evaluateAll(pages)
    const flags = field(body, 'flags')
    expect(Array.isArray(flags) ? flags.map((flag) => field(flag, 'key')) : flags).toEqual([
      'bool',
      'geographic',
      'split',
    ])
  })

  it('is not told the name of a hidden flag that another one depends on', async () => {
    const single = await evaluate(pages, 'split')
    const bulk = await evaluateAll(pages)
    expect(single.body).toEqual({
      key: 'split',
      reason: 'DEFAULT',
      metadata: { flagSetId: visible, version: single.headers.get('x-rampart-version') },
    })
    expect(JSON.stringify(bulk.body)).not.toContain('hidden')
  })

  it.each([
    ['knows where the request comes from', { country: 'IE' }, undefined, true],
    ['does not believe what a context says of it', { country: 'FR' }, { cf: { country: 'IE' } }, false],
    ['does not believe a path either', { country: 'FR' }, { 'cf.country': 'IE' }, false],
    ['does not fall back on what a context says', {}, { cf: { country: 'IE' }, 'cf.country': 'IE' }, false],
    ['is not misled by what it knows better', ATTRIBUTES, { cf: null, 'cf.country': 'FR' }, true],
  ])('%s', async (_, cf, context, expected) => {
    const { response } = await serve(
      makeRequest(`${SINGLE}geographic`, { key: pages, json: { context }, cf }),
      env,
    )
    const { body } = await read(response)
    expect(field(body, 'value')).toBe(expected)
  })

  it('may not have the snapshot', async () => {
    const { status, body } = await ask('/v1/snapshot', { method: 'GET', key: pages })
    expect([status, body]).toEqual([403, null])
  })
})

describe('a server key', () => {
  it('is believed what it says of the place', async () => {
    const geographic = await createEnvironment()
    await configure(geographic, 'geographic', {
      rules: [
        {
          id: 'irish',
          when: { attribute: 'cf.country', op: 'equals', values: ['IE'] },
          serve: { variant: 'on' },
        },
      ],
      fallthrough: { variant: 'off' },
    })
    const { key } = await createKey(geographic)
    const values = []
    for (const context of [{ cf: { country: 'IE' } }, { 'cf.country': 'IE' }, {}]) {
      const request = makeRequest(`${SINGLE}geographic`, { key, json: { context }, cf: { country: 'IE' } })
      values.push(field((await read((await serve(request, env)).response)).body, 'value'))
    }
    expect(values).toEqual([true, true, false])
  })
})

describe('the snapshot', () => {
  it('is what the engine needs and nothing else, with an ETag', async () => {
    await createFlags(['bool'])
    const small = await createEnvironment()
    await configure(small, 'bool')
    const { id, key } = await createKey(small)
    await warm(small)
    const { response } = await serve(makeRequest('/v1/snapshot', { method: 'GET', key }), env)
    const text = await response.text()
    const parsed = readSnapshotText(text)
    expect(parsed).toEqual({
      ok: true,
      value: {
        environment: small,
        version: 3,
        sections: {
          flags: new Map([
            [
              'bool',
              JSON.stringify({
                type: 'boolean',
                variants: [
                  { name: 'on', value: true },
                  { name: 'off', value: false },
                ],
                metadata: { team: 'web', priority: 2, beta: true },
                clientVisible: true,
                enabled: true,
                offVariant: null,
                fallthrough: { variant: 'on' },
              }),
            ],
          ]),
          segments: new Map(),
          rollouts: new Map(),
        },
      },
    })
    expect(text).not.toContain(id)
    expect([
      response.status,
      response.headers.get('etag'),
      response.headers.get('x-rampart-version'),
    ]).toEqual([200, `"${small}-3"`, '3'])
    const again = await ask('/v1/snapshot', {
      method: 'GET',
      key,
      headers: { 'if-none-match': `W/"${small}-3"` },
    })
    expect([again.status, again.body, again.headers.get('etag')]).toEqual([304, null, `"${small}-3"`])
    await configure(small, 'bool', { fallthrough: { variant: 'off' } }, 2)
    await warm(small)
    const changed = await ask('/v1/snapshot', {
      method: 'GET',
      key,
      headers: { 'if-none-match': `"${small}-4"` },
    })
    expect([changed.status, changed.headers.get('etag')]).toEqual([304, `"${small}-4"`])
  })
})

describe('pages of another origin', () => {
  it.each([`${SINGLE}bool`, `${SINGLE}team%2Fcheckout`, BULK, '/ofrep/v1/stream', '/v1/snapshot'])(
    'may ask %s, with whatever headers they want to send, and need not ask again for a day',
    async (path) => {
      const { status, headers, body } = await ask(path, {
        method: 'OPTIONS',
        headers: {
          origin: 'https://shop.example',
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization,content-type,if-none-match,x-of-their-own',
        },
      })
      const named = [
        'access-control-allow-origin',
        'access-control-allow-methods',
        'access-control-allow-headers',
        'access-control-max-age',
      ].map((name) => headers.get(name))
      expect({ status, body, named }).toEqual({
        status: 204,
        body: null,
        named: [
          '*',
          'GET, POST, OPTIONS',
          'authorization,content-type,if-none-match,x-of-their-own',
          '86400',
        ],
      })
    },
  )

  it('are told what they may send when they do not say what they want', async () => {
    const { headers } = await ask(BULK, { method: 'OPTIONS' })
    expect(headers.get('access-control-allow-headers')).toBe(
      'Content-Type, Authorization, X-API-Key, If-None-Match',
    )
  })
})

describe('an answer that cannot be given', () => {
  silenceLogs()

  const dark = () => withHub(withKv(env, KV_DOWN), HUB_DOWN)

  it.each([
    ['single', `${SINGLE}a%20flag`, { key: 'a flag' }],
    ['bulk', BULK, {}],
  ])("is 503 in the protocol's own shape, with whole seconds to wait: %s", async (_, path, named) => {
    const cold = await createEnvironment()
    const { key } = await createKey(cold)
    const { response } = await serve(makeRequest(path, { key, json: {} }), dark())
    const { status, headers, body } = await read(response)
    expect({ status, body, retry: headers.get('retry-after') }).toEqual({
      status: 503,
      body: { ...named, errorCode: 'GENERAL', errorDetails: 'no snapshot can be reached' },
      retry: '1',
    })
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect(headers.get('access-control-allow-origin')).toBe('*')
  })

  it.each([
    ['single', `${SINGLE}a%20flag`, { key: 'a flag' }],
    ['bulk', BULK, {}],
  ])(
    "because of a defect is 500 in the protocol's own shape and does not say why: %s",
    async (_, path, named) => {
      const broken = new ReadableStream({
        start: (controller) => controller.error(new Error('secret detail')),
      })
      const { response } = await serve(makeRequest(path, { key: server, body: broken }), env)
      const { status, headers, body } = await read(response)
      expect({ status, body }).toEqual({
        status: 500,
        body: {
          ...named,
          errorCode: 'GENERAL',
          errorDetails: 'something went wrong; the log knows more',
        },
      })
      expect(headers.get('access-control-allow-origin')).toBe('*')
    },
  )
})
