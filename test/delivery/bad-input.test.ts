import { env } from 'cloudflare:workers'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
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
  makeRequest,
  SINGLE,
  serve,
  warm,
} from '../support/worker.ts'

const MAX_REQUEST_BYTES = 524_288
const JSON_TYPE = { 'content-type': 'application/json' }

let environment = ''
let server = ''
let client = ''

/** Only somebody who is in the condition's audience is served `on`. */
const admitting = (attribute: string, op: string, values: readonly unknown[]) => ({
  rules: [{ id: 'in', when: { attribute, op, values }, serve: { variant: 'on' } }],
  fallthrough: { variant: 'off' },
})

beforeAll(async () => {
  const flags = {
    open: {},
    admin: admitting('admin', 'equals', [true]),
    prototype: admitting('__proto__', 'exists', []),
    inherited: admitting('constructor.name', 'exists', []),
    deep: admitting('a.a.a', 'exists', []),
    wide: admitting('attribute9999', 'equals', [9999]),
    accented: admitting('name', 'equals', ['Zoë 👋']),
  }
  for (const flag of Object.keys(flags)) await createFlag(flag, { clientVisible: true })
  await createFlag('top-secret-flag')
  environment = await createEnvironment()
  for (const [flag, configuration] of Object.entries(flags)) await configure(environment, flag, configuration)
  await configure(environment, 'top-secret-flag')
  server = (await createKey(environment, 'server')).key
  client = (await createKey(environment, 'client')).key
  await warm(environment)
})

/** Whatever came in, the isolate answers the next request. */
afterEach(async () => {
  const { status, body } = await evaluate(server, 'open', { targetingKey: 'ada' })
  expect([status, field(body, 'value')]).toEqual([200, true])
})

/** A body of exactly so many bytes. */
function padded(bytes: number): string {
  const frame = '{"context":{"padding":""}}'
  return frame.replace('""', `"${'x'.repeat(bytes - frame.length)}"`)
}

/** The same bytes in pieces, without a length said beforehand. */
function streamed(text: string, piece = 65_536): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text)
  let sent = 0
  return new ReadableStream({
    pull(controller) {
      if (sent >= bytes.length) return controller.close()
      controller.enqueue(bytes.slice(sent, sent + piece))
      sent += piece
    },
  })
}

/** JSON that nests so many objects. */
function nested(levels: number): string {
  return `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`
}

const NO_JSON = { status: 400, errorCode: 'PARSE_ERROR', errorDetails: 'the body is no JSON' }
const NO_OBJECT = { status: 400, errorCode: 'PARSE_ERROR', errorDetails: 'the body must be an object' }
const NO_CONTEXT = {
  status: 400,
  errorCode: 'INVALID_CONTEXT',
  errorDetails: 'the context must be an object',
}
const NO_TEXT = { status: 400, errorCode: 'INVALID_CONTEXT', errorDetails: 'the targetingKey must be a text' }
const TOO_LARGE = {
  status: 413,
  errorCode: 'INVALID_CONTEXT',
  errorDetails: 'the request must have at most 524288 bytes',
}
const WRONG_TYPE = { status: 415, errorCode: 'PARSE_ERROR', errorDetails: 'the content type must be JSON' }

const REFUSED: readonly (readonly [
  name: string,
  sending: { readonly body: () => BodyInit; readonly headers?: { readonly [name: string]: string } },
  expected: { readonly status: number; readonly errorCode: string; readonly errorDetails: string },
])[] = [
  ['JSON that breaks off', { body: () => '{"context":' }, NO_JSON],
  ['no JSON', { body: () => 'targetingKey=ada' }, NO_JSON],
  ['JSON with a comma too many', { body: () => '{"context":{},}' }, NO_JSON],
  ['bytes that are no text', { body: () => new Uint8Array([0xff, 0xfe, 0x00, 0x7b]) }, NO_JSON],
  ['a NUL', { body: () => '\0' }, NO_JSON],
  ['100,000 brackets', { body: () => '['.repeat(100_000) }, NO_JSON],
  ['an array', { body: () => '[]' }, NO_OBJECT],
  ['null', { body: () => 'null' }, NO_OBJECT],
  ['a text', { body: () => '"context"' }, NO_OBJECT],
  ['a number', { body: () => '1e999' }, NO_OBJECT],
  ['a context that is an array', { body: () => '{"context":[]}' }, NO_CONTEXT],
  ['a context that is null', { body: () => '{"context":null}' }, NO_CONTEXT],
  ['a context that is a text', { body: () => '{"context":"ada"}' }, NO_CONTEXT],
  ['a context that is a number', { body: () => '{"context":1}' }, NO_CONTEXT],
  ['a context that is a boolean', { body: () => '{"context":true}' }, NO_CONTEXT],
  ['a targeting key that is a number', { body: () => '{"context":{"targetingKey":1}}' }, NO_TEXT],
  ['a targeting key that is null', { body: () => '{"context":{"targetingKey":null}}' }, NO_TEXT],
  ['a targeting key that is an object', { body: () => '{"context":{"targetingKey":{}}}' }, NO_TEXT],
  ['a targeting key that is a list', { body: () => '{"context":{"targetingKey":["ada"]}}' }, NO_TEXT],
  ['a megabyte of context', { body: () => padded(1_048_576) }, TOO_LARGE],
  ['a byte more than may be', { body: () => padded(MAX_REQUEST_BYTES + 1) }, TOO_LARGE],
  ['a megabyte without its length', { body: () => streamed(padded(1_048_576)) }, TOO_LARGE],
  [
    'a byte more than may be, without its length',
    { body: () => streamed(padded(MAX_REQUEST_BYTES + 1)) },
    TOO_LARGE,
  ],
  ['plain text', { body: () => '{}', headers: { 'content-type': 'text/plain' } }, WRONG_TYPE],
  [
    'a form',
    { body: () => 'a=b', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
    WRONG_TYPE,
  ],
  ['JSONP', { body: () => '{}', headers: { 'content-type': 'application/jsonp' } }, WRONG_TYPE],
  ['a page', { body: () => '<html>', headers: { 'content-type': 'text/html' } }, WRONG_TYPE],
]

// Whole bodies are compared: nothing else stands in them, no stack and no other flag's name.
describe('a body that cannot be evaluated', () => {
  it.each(REFUSED)('%s: single', async (_, { body: make, headers = JSON_TYPE }, { status, ...failure }) => {
    const answer = await ask(`${SINGLE}open`, { key: server, body: make(), headers })
    expect({ status: answer.status, body: answer.body }).toEqual({
      status,
      body: { key: 'open', ...failure },
    })
  })

  it.each(REFUSED)('%s: bulk', async (_, { body: make, headers = JSON_TYPE }, { status, ...failure }) => {
    const answer = await ask(BULK, { key: client, body: make(), headers })
    expect({ status: answer.status, body: answer.body }).toEqual({ status, body: failure })
  })
})

describe('a body that says that it is too large', () => {
  it.each([`${SINGLE}open`, BULK])('is refused before it is read: %s', async (path) => {
    let pulls = 0
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          pulls++
          controller.enqueue(new Uint8Array(65_536))
        },
      },
      { highWaterMark: 0 },
    )
    const headers = { ...JSON_TYPE, 'content-length': '1048576' }
    const { response } = await serve(makeRequest(path, { key: server, body, headers }), env)
    await response.body?.cancel()
    expect([response.status, pulls]).toEqual([413, 0])
  })
})

describe('a body that is unusual', () => {
  const attributes = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`attribute${i}`, i]))

  it.each([
    ['as much as may be', () => padded(MAX_REQUEST_BYTES), 'open', true],
    ['as much as may be, without its length', () => streamed(padded(MAX_REQUEST_BYTES)), 'open', true],
    ['10,000 attributes', () => JSON.stringify({ context: attributes }), 'wide', true],
    ['100 levels', () => `{"context":${nested(100)}}`, 'deep', true],
    ['50,000 levels', () => `{"context":${nested(50_000)}}`, 'deep', true],
    ['50,000 lists', () => `{"context":{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}}`, 'deep', false],
    ['a __proto__ with attributes', () => '{"context":{"__proto__":{"admin":true}}}', 'admin', false],
    [
      'a constructor with a prototype',
      () => '{"context":{"constructor":{"prototype":{"admin":true}}}}',
      'admin',
      false,
    ],
    ['a __proto__ beside the context', () => '{"__proto__":{"context":{"admin":true}}}', 'admin', false],
    ['a __proto__ of its own', () => '{"context":{"__proto__":{"a":1}}}', 'prototype', true],
    ['no __proto__ of its own', () => '{"context":{"a":1}}', 'prototype', false],
    ['no constructor of its own', () => '{"context":{"a":1}}', 'inherited', false],
    ['an attribute without a name', () => '{"context":{"":{"":1},"admin":true}}', 'admin', true],
    ['the same attribute twice', () => '{"context":{"admin":false,"admin":true}}', 'admin', true],
    ['numbers beyond all bounds', () => '{"context":{"admin":1e999,"b":-1e999}}', 'admin', false],
    ['half a surrogate', () => '{"context":{"targetingKey":"\\ud83d","name":"\\udc4b"}}', 'accented', false],
    [
      'letters that are cut between pieces',
      () => streamed('{"context":{"name":"Zoë 👋"}}', 1),
      'accented',
      true,
    ],
  ])('is evaluated: %s', async (_, make, flag, expected) => {
    for (const key of [server, client]) {
      const { status, body } = await ask(SINGLE + flag, { key, body: make(), headers: JSON_TYPE })
      expect([status, field(body, 'value')]).toEqual([200, expected])
      const bulk = await ask(BULK, { key, body: make(), headers: JSON_TYPE })
      const flags = field(bulk.body, 'flags')
      const found = Array.isArray(flags) ? flags.find((entry) => field(entry, 'key') === flag) : undefined
      expect([bulk.status, field(found, 'value')]).toEqual([200, expected])
    }
    expect(Reflect.get({}, 'admin')).toBeUndefined()
  })
})

describe('credentials that are none', () => {
  it.each([
    ['nothing after Bearer', 'Bearer'],
    ['spaces after Bearer', 'Bearer     '],
    ['another scheme', 'Basic cnBfc2VydmVyOg=='],
    ['the administrator', 'Bearer test-admin'],
    ['two keys', 'Bearer rp_server_a_b, Bearer rp_server_c_d'],
    ['a key of an odd kind', 'Bearer rp_admin_production_0123'],
    ['a key without a secret', 'Bearer rp_server_production_'],
    ['a key without an environment', 'Bearer rp_server__0123'],
    ['a name in upper case', 'Bearer rp_server_PRODUCTION_0123'],
    ['a path', 'Bearer rp_server_../../production_0123'],
    ['a name that objects have', 'Bearer rp_server_constructor_0123'],
    ['a __proto__', 'Bearer rp_server___proto___0123'],
    ['quotes', `Bearer "rp_server_production_0123"`],
    ['percent signs', 'Bearer rp_server_production_%00%0d%0a'],
    ['SQL', "Bearer rp_server_production_' OR 1=1 --"],
    ['a hundred thousand characters', `Bearer rp_server_production_${'0'.repeat(100_000)}`],
    ['a hundred thousand spaces', `Bearer ${' '.repeat(100_000)}x`],
  ])('are refused with 401 and no body: %s', async (_, authorization) => {
    const answers = [
      await ask(`${SINGLE}open`, { json: {}, headers: { authorization } }),
      await ask(BULK, { json: {}, headers: { authorization } }),
      await ask('/v1/snapshot', { method: 'GET', headers: { authorization } }),
      await ask(BULK, { json: {}, headers: { 'x-api-key': authorization.replace('Bearer ', '') } }),
    ]
    expect(answers.map(({ status, body }) => [status, body])).toEqual(answers.map(() => [401, null]))
  })
})

describe('everything else in a request', () => {
  it.each([
    ['a header of 100,000 characters', { 'x-filler': 'x'.repeat(100_000) }],
    ['an If-None-Match of 100,000 characters', { 'if-none-match': 'W/"x", '.repeat(14_000) }],
    ['a wild If-None-Match', { 'if-none-match': ',,,"\\",W/W/""' }],
    ['an origin that is none', { origin: 'null' }],
  ])('may be odd: %s', async (_, headers) => {
    const { status } = await evaluateAll(server, { targetingKey: 'ada' }, { headers })
    expect(status).toBe(200)
  })

  it.each([
    'flagConfigEtag=%',
    'flagConfigEtag=constructor',
    'flagConfigEtag=-1',
    `flagConfigEtag=${'9'.repeat(400)}`,
    'flagConfigEtag=1&flagConfigEtag=2',
    'flagConfigLastModified=yesterday',
    'flagConfigLastModified=-1',
    `flagConfigLastModified=${'9'.repeat(400)}`,
    'flagConfigLastModified=9999-12-31T23:59:59Z',
    'flagConfigLastModified=+275760-09-13T00:00:00.001Z',
    'flagConfigEtag=&flagConfigLastModified=',
    '%%%=%ff',
  ])('may be a freshness hint that says nothing: %s', async (query) => {
    const { status } = await ask(`${BULK}?${query}`, { key: server, json: {} })
    expect(status).toBe(200)
  })

  it.each([
    ['%', '%'],
    ['%E0%A4%A', '%E0%A4%A'],
    ['%FF', '%FF'],
    ['%00', '\0'],
    ['%0d%0aset-cookie:%20a=b', '\r\nset-cookie: a=b'],
    ['%2e%2e%2f%2e%2e%2fsecret', '../../secret'],
    ['%22%3E%3Cscript%3E', '"><script>'],
    ['', ''],
    ['x'.repeat(10_000), 'x'.repeat(10_000)],
  ])('may be a path that names no flag: %s', async (path, key) => {
    const { status, body } = await ask(SINGLE + path, { key: server, json: {} })
    expect({ status, body }).toEqual({
      status: 404,
      body: {
        key,
        errorCode: 'FLAG_NOT_FOUND',
        errorDetails: 'there is no flag of that key',
        metadata: { flagSetId: environment, version: expect.any(String) },
      },
    })
  })

  it.each([
    ['GET', `${SINGLE}open`],
    ['PUT', BULK],
    ['POST', '/ofrep/v1/configuration'],
    ['POST', `${SINGLE}..`],
    ['POST', '/v1/snapshot'],
    ['GET', '/v1/events/../../etc/passwd'],
  ])('may be what is not there: %s %s', async (method, path) => {
    const { status, body } = await ask(path, { method, key: server })
    expect({ status, body }).toEqual({
      status: 404,
      body: { error: { code: 'not_found', message: 'there is nothing here', requestId: expect.any(String) } },
    })
  })
})
