import { env } from 'cloudflare:workers'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { flagText, segmentText } from '../../src/catalog/entities.ts'
import { MAX_ENVIRONMENT_BYTES, MAX_FLAG_BYTES, MAX_SEGMENT_BYTES } from '../../src/catalog/limits.ts'
import {
  type Answer,
  api,
  ask,
  configure,
  createEnvironment,
  createFlag,
  createKey,
  createSegment,
  field,
  from,
  HUB_DOWN,
  makeRequest,
  ON_OFF,
  putConfiguration,
  putFlag,
  putSegment,
  read,
  serve,
  silenceLogs,
  withDatabase,
  withHub,
} from '../support/worker.ts'

const TABLES = [
  'guard',
  'outbox',
  'environments',
  'flags',
  'flag_configurations',
  'segments',
  'keys',
  'history',
  'entity_references',
]

/** Everything that is stored; of the outbox, which empties itself, how much was ever put in. */
async function dump(): Promise<unknown> {
  const queries = TABLES.map((table) =>
    table === 'outbox' ? "SELECT seq FROM sqlite_sequence WHERE name = 'outbox'" : `SELECT * FROM ${table}`,
  )
  const tables = await env.DB.batch(queries.map((query) => env.DB.prepare(query)))
  return Object.fromEntries(TABLES.map((table, i) => [table, tables[i]?.results]))
}

async function rows(query: string, ...values: unknown[]): Promise<unknown[]> {
  const { results } = await env.DB.prepare(query)
    .bind(...values)
    .all()
  return results
}

/** What went into the history of the environment: version, kind, key, and whether it is a tombstone. */
const historyOf = () =>
  rows(
    'SELECT version, kind, key, body IS NULL AS gone FROM history WHERE environment = ? ORDER BY version, kind, key',
    environment,
  )

let environment = ''

/** A deployment with one environment and nothing else. */
async function setUp(): Promise<void> {
  await env.DB.batch(TABLES.map((table) => env.DB.prepare(`DELETE FROM ${table}`)))
  environment = await createEnvironment()
}

silenceLogs()

afterEach(async () => {
  expect(await rows('SELECT * FROM guard')).toEqual([])
})

const status = ({ status, body }: Answer) => [status, field(field(body, 'error'), 'code')]
const deleteFlag = (flag: string, revision: number) =>
  api('DELETE', `/flags/${flag}`, undefined, from(revision))
const deleteSegment = (segment: string, revision: number) =>
  api('DELETE', `/environments/${environment}/segments/${segment}`, undefined, from(revision))
const needing = (flag: string) => ({ prerequisites: [{ flag, variants: ['on'] }] })
const within = (segment: string) => ({ condition: { segment } })
const serving = (segment: string) => ({
  rules: [{ id: 'in', when: { any: [{ not: { segment } }] }, serve: { variant: 'on' } }],
})

describe('a change', () => {
  beforeEach(setUp)

  it('is written as a whole: the rows, their history, the new version; and then it is published', async () => {
    expect((await putFlag('a', { description: 'first', comment: 'for a test' })).body).toEqual({
      [environment]: { version: 2, published: true },
    })
    const answer = await putConfiguration(environment, 'a', { comment: 'on' }, 1)
    expect(answer.body).toEqual({ [environment]: { version: 3, published: true } })
    expect(await api('GET', '/flags/a')).toMatchObject({
      status: 200,
      body: {
        key: 'a',
        type: 'boolean',
        variants: ON_OFF,
        metadata: {},
        clientVisible: false,
        description: 'first',
        tags: [],
        owner: '',
        temporary: false,
        revision: 1,
      },
    })
    expect((await api('GET', `/flags/a/environments/${environment}`)).body).toEqual({
      enabled: true,
      offVariant: null,
      prerequisites: [],
      targets: [],
      rules: [],
      fallthrough: { variant: 'on' },
      revision: 2,
    })
    const history = await rows(
      'SELECT version, kind, key, body, actor, comment FROM history WHERE environment = ? AND version > 1',
      environment,
    )
    const text = (enabled: boolean) =>
      JSON.stringify({
        type: 'boolean',
        variants: ON_OFF,
        clientVisible: false,
        enabled,
        offVariant: null,
        fallthrough: { variant: 'on' },
      })
    const common = { kind: 'flags', key: 'a', actor: 'admin' }
    expect(history).toEqual([
      { version: 2, ...common, body: text(false), comment: 'for a test' },
      { version: 3, ...common, body: text(true), comment: 'on' },
    ])
  })

  it('of what a flag is belongs to every environment, at once', async () => {
    await createFlag('a')
    const other = await createEnvironment()
    await configure(other, 'a')
    const { body } = await putFlag('a', { clientVisible: true }, 1)
    expect(body).toEqual({
      [environment]: { version: 3, published: true },
      [other]: { version: 3, published: true },
    })
    const texts = await rows("SELECT environment, body FROM history WHERE version = 3 AND kind = 'flags'")
    expect(texts).toHaveLength(2)
    for (const row of texts) expect(String(field(row, 'body'))).toContain('"clientVisible":true')
  })

  it('weighs the environment by the newest text of all that it holds', async () => {
    await createFlag('a', { type: 'string', variants: [{ name: 'on', value: 'Grüße 👋' }] })
    await createSegment(environment, 's', { included: ['ü'.repeat(100)] })
    await configure(environment, 'a', serving('s'), 1)
    await createKey(environment)
    await putSegment(environment, 's', { included: ['u'] }, 1)
    await createFlag('b')
    await deleteFlag('b', 1)
    const weights = await rows(
      `SELECT bytes, (SELECT sum(octet_length(body)) FROM history AS h WHERE environment = environments.key
        AND version = (SELECT max(version) FROM history WHERE environment = h.environment AND kind = h.kind
          AND key = h.key)) AS newest FROM environments`,
    )
    expect(weights).toHaveLength(1)
    expect(field(weights[0], 'bytes')).toBe(field(weights[0], 'newest'))
  })

  it('that deletes leaves a tombstone, and the same key can be made anew', async () => {
    await createFlag('a')
    expect((await deleteFlag('a', 1)).body).toEqual({ [environment]: { version: 3, published: true } })
    await createFlag('a')
    expect(await historyOf()).toEqual([
      { version: 1, kind: 'settings', key: 'environment', gone: 0 },
      { version: 2, kind: 'flags', key: 'a', gone: 0 },
      { version: 3, kind: 'flags', key: 'a', gone: 1 },
      { version: 4, kind: 'flags', key: 'a', gone: 0 },
    ])
    expect(field((await api('GET', '/flags/a')).body, 'revision')).toBe(1)
  })

  it('that the hub does not learn of is committed, says so, and stays in the outbox', async () => {
    await createFlag('a')
    const request = makeRequest(`/api/v1/flags/a/environments/${environment}`, {
      method: 'PUT',
      headers: { authorization: 'Bearer test-admin', 'if-match': '1' },
      json: { enabled: true, fallthrough: { variant: 'on' } },
    })
    const { response } = await serve(request, withHub(env, HUB_DOWN))
    const answer = await read(response)
    expect([answer.status, answer.body]).toEqual([200, { [environment]: { version: 3, published: false } }])
    expect(await rows('SELECT kind, environment, version FROM outbox WHERE version = 3')).toEqual([
      { kind: 'publish', environment, version: 3 },
    ])
  })
})

describe('a split', () => {
  beforeEach(setUp)

  const split = (seed?: string) => ({
    split: { weights: [{ variant: 'on', weight: 1 }], ...(seed === undefined ? {} : { seed }) },
  })
  const seedsOf = async () => {
    const { body } = await api('GET', `/flags/a/environments/${environment}`)
    const rules = [field(body, 'rules')].flat()
    return [field(body, 'fallthrough'), ...rules.map((rule) => field(rule, 'serve'))].map((serve) =>
      field(field(serve, 'split'), 'seed'),
    )
  }
  const rule = (id: string) => ({
    id,
    when: { attribute: 'a', op: 'exists', values: [] },
    serve: split(),
  })

  it('gets a seed of its own where it names none, and keeps it through every edit', async () => {
    await createFlag('a')
    await configure(environment, 'a', { fallthrough: split(), rules: [rule('one'), rule('two')] }, 1)
    const seeds = await seedsOf()
    expect(seeds).toEqual(seeds.map(() => expect.stringMatching(/^[0-9a-f]{15}$/)))
    expect(new Set(seeds).size).toBe(3)
    await configure(environment, 'a', { fallthrough: split(), rules: [rule('two'), rule('one')] }, 2)
    expect(await seedsOf()).toEqual([seeds[0], seeds[2], seeds[1]])
    await configure(environment, 'a', { fallthrough: split('mine'), rules: [rule('three')] }, 3)
    const [own, third] = await seedsOf()
    expect(own).toBe('mine')
    expect(seeds).not.toContain(third)
  })
})

describe('writers that race', () => {
  beforeEach(setUp)

  it('for one configuration: one wins, the others are told, and no half of theirs is there', async () => {
    await createFlag('a')
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        putConfiguration(environment, 'a', { targets: [{ variant: 'on', units: [`writer-${i}`] }] }, 1),
      ),
    )
    const winner = answers.findIndex(({ status }) => status === 200)
    expect(answers.map(status)).toEqual(
      answers.map((_, i) => (i === winner ? [200, undefined] : [412, 'stale'])),
    )
    const { body } = await api('GET', `/flags/a/environments/${environment}`)
    expect([field(body, 'targets'), field(body, 'revision')]).toEqual([
      [{ variant: 'on', units: [`writer-${winner}`] }],
      2,
    ])
    expect(await historyOf()).toEqual([
      { version: 1, kind: 'settings', key: 'environment', gone: 0 },
      { version: 2, kind: 'flags', key: 'a', gone: 0 },
      { version: 3, kind: 'flags', key: 'a', gone: 0 },
    ])
  })

  it('for different flags all win, and the versions have no gap', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => putFlag(`flag-${i}`)))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    const versions = answers.map(({ body }) => field(field(body, environment), 'version'))
    expect(versions.map(Number).sort((a, b) => a - b)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    const history = await rows('SELECT version FROM history ORDER BY version')
    expect(history.map((row) => field(row, 'version'))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
  })

  it('for one new flag: one makes it', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) => putFlag('a', { owner: `owner-${i}` })),
    )
    const winner = answers.findIndex(({ status }) => status === 200)
    expect(answers.map(status)).toEqual(
      answers.map((_, i) => (i === winner ? [200, undefined] : [412, 'stale'])),
    )
    expect(field((await api('GET', '/flags/a')).body, 'owner')).toBe(`owner-${winner}`)
  })

  it('for one new environment: one makes it', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) => api('PUT', '/environments/new', { name: `name ${i}` })),
    )
    const winner = answers.findIndex(({ status }) => status === 200)
    expect(answers.map(status)).toEqual(
      answers.map((_, i) => (i === winner ? [200, undefined] : [409, 'exists'])),
    )
    expect(await rows("SELECT name, version FROM environments WHERE key = 'new'")).toEqual([
      { name: `name ${winner}`, version: 1 },
    ])
  })

  it('for the definition of a flag and its configuration do not mix', async () => {
    await createFlag('a')
    const answers = await Promise.all([
      putFlag('a', { variants: [...ON_OFF, { name: 'yes', value: true }] }, 1),
      putConfiguration(environment, 'a', { fallthrough: { variant: 'off' } }, 1),
    ])
    const outcomes = answers.map(({ status }) => status).sort()
    expect([
      [200, 200],
      [200, 412],
    ]).toContainEqual(outcomes)
    const [newest] = await rows("SELECT body FROM history WHERE kind = 'flags' ORDER BY version DESC LIMIT 1")
    const text = String(field(newest, 'body'))
    const flag = await api('GET', '/flags/a')
    const configuration = await api('GET', `/flags/a/environments/${environment}`)
    expect(JSON.parse(text)).toMatchObject({
      variants: field(flag.body, 'variants'),
      fallthrough: field(configuration.body, 'fallthrough'),
    })
  })

  it.each([
    [
      'prerequisites',
      async () => {
        await createFlag('a')
        await createFlag('b')
      },
      () => [
        putConfiguration(environment, 'a', needing('b'), 1),
        putConfiguration(environment, 'b', needing('a'), 1),
      ],
    ],
    [
      'segments',
      async () => {
        await createSegment(environment, 'a')
        await createSegment(environment, 'b')
      },
      () => [putSegment(environment, 'a', within('b'), 1), putSegment(environment, 'b', within('a'), 1)],
    ],
  ])('to close a circle of %s together: one is refused', async (_, prepare, race) => {
    await prepare()
    const answers = await Promise.all(race())
    expect(answers.map(status).sort()).toEqual([
      [200, undefined],
      [422, 'reference_cycle'],
    ])
    expect(await rows('SELECT * FROM entity_references')).toHaveLength(1)
  })

  it('to name a segment and to delete it: one is refused', async () => {
    await createFlag('a')
    await createSegment(environment, 's')
    const [named, deleted] = await Promise.all([
      putConfiguration(environment, 'a', serving('s'), 1),
      deleteSegment('s', 1),
    ])
    expect([
      [200, undefined, 409, 'still_referenced'],
      [422, 'unknown_reference', 200, undefined],
    ]).toContainEqual([...status(named), ...status(deleted)])
  })

  /** The database, where somebody else is quicker between what a change reads and what it writes. */
  function overtaken(act: () => Promise<void>) {
    let acted = false
    return withDatabase(env, {
      batch: async (statements: D1PreparedStatement[]) => {
        if (!acted) {
          acted = true
          await act()
        }
        return env.DB.batch(statements)
      },
    })
  }

  it('for a configuration do not write what was made from an older definition', async () => {
    await createFlag('a')
    const request = makeRequest(`/api/v1/flags/a/environments/${environment}`, {
      method: 'PUT',
      headers: { authorization: 'Bearer test-admin', 'if-match': '1' },
      json: { enabled: true, fallthrough: { variant: 'on' } },
    })
    const variants = [...ON_OFF, { name: 'yes', value: true }]
    const { response } = await serve(
      request,
      overtaken(async () => {
        expect((await putFlag('a', { variants }, 1)).status).toBe(200)
      }),
    )
    expect(status(await read(response))).toEqual([412, 'stale'])
  })

  it.each([
    ['deleted', 'DELETE', undefined],
    ['changed', 'PUT', { type: 'boolean', variants: ON_OFF, clientVisible: true }],
  ])('leave no environment behind when a flag is %s while one more gets it', async (_, method, json) => {
    await createFlag('a')
    const late = await createEnvironment()
    const headers = { authorization: 'Bearer test-admin', 'if-match': '1' }
    const request = makeRequest('/api/v1/flags/a', {
      method,
      headers,
      ...(json === undefined ? {} : { json }),
    })
    const { response } = await serve(
      request,
      overtaken(() => configure(late, 'a')),
    )
    expect(status(await read(response))).toEqual([412, 'stale'])
    expect(
      await rows(
        'SELECT version, kind, body IS NULL AS gone FROM history WHERE environment = ? ORDER BY version',
        late,
      ),
    ).toEqual([
      { version: 1, kind: 'settings', gone: 0 },
      { version: 2, kind: 'flags', gone: 0 },
    ])
  })
})

/** Flags that need each other, c → b → a, and segments that name each other, u → t → s. */
async function setUpReferences(): Promise<void> {
  await setUp()
  await createFlag('a')
  await createFlag('b')
  await createFlag('c')
  await createSegment(environment, 's')
  await createSegment(environment, 't', within('s'))
  await createSegment(environment, 'u', within('t'))
  await configure(environment, 'b', needing('a'), 1)
  await configure(environment, 'c', needing('b'), 1)
  await createEnvironment()
}

describe('a change that is refused', () => {
  // Each leaves no trace, so that one deployment is enough for all of them.
  beforeAll(setUpReferences)

  const REFUSED: readonly (readonly [
    name: string,
    code: number,
    reason: string,
    act: () => Promise<Answer>,
  ])[] = [
    ['of an older revision', 412, 'stale', () => putConfiguration(environment, 'b', {}, 1)],
    ['of a revision that is still to come', 412, 'stale', () => putConfiguration(environment, 'b', {}, 3)],
    ['of a definition of an older revision', 412, 'stale', () => putFlag('a', {}, 2)],
    ['of a segment of an older revision', 412, 'stale', () => putSegment(environment, 's', {}, 2)],
    ['to make a flag that there is', 412, 'stale', () => putFlag('a')],
    ['to make a configuration that there is', 412, 'stale', () => putConfiguration(environment, 'a')],
    ['to make a segment that there is', 412, 'stale', () => putSegment(environment, 's')],
    [
      'to make an environment that there is',
      409,
      'exists',
      () => api('PUT', `/environments/${environment}`, { name: 'x' }),
    ],
    ['to delete a flag of an older revision', 412, 'stale', () => deleteFlag('c', 2)],
    ['to delete a segment of an older revision', 412, 'stale', () => deleteSegment('u', 2)],
    [
      'to name a segment that does not exist',
      422,
      'unknown_reference',
      () => putConfiguration(environment, 'a', serving('x'), 1),
    ],
    [
      'of a segment, to name one that does not exist',
      422,
      'unknown_reference',
      () => putSegment(environment, 's', within('x'), 1),
    ],
    [
      'to need a flag that does not exist',
      422,
      'unknown_reference',
      () => putConfiguration(environment, 'a', needing('x'), 1),
    ],
    ['to need itself', 422, 'reference_cycle', () => putConfiguration(environment, 'a', needing('a'), 1)],
    [
      'to need what needs it',
      422,
      'reference_cycle',
      () => putConfiguration(environment, 'a', needing('b'), 1),
    ],
    [
      'to need what needs it in the end',
      422,
      'reference_cycle',
      () => putConfiguration(environment, 'a', needing('c'), 1),
    ],
    [
      'of a segment, to name itself',
      422,
      'reference_cycle',
      () => putSegment(environment, 's', within('s'), 1),
    ],
    [
      'of a segment, to name what names it',
      422,
      'reference_cycle',
      () => putSegment(environment, 's', within('t'), 1),
    ],
    [
      'of a segment, to name what names it in the end',
      422,
      'reference_cycle',
      () => putSegment(environment, 's', within('u'), 1),
    ],
    ['to delete a flag that another needs', 409, 'still_referenced', () => deleteFlag('a', 1)],
    ['to delete a segment that another names', 409, 'still_referenced', () => deleteSegment('s', 1)],
    [
      'to serve a variant that does not exist',
      422,
      'invalid',
      () => putConfiguration(environment, 'a', { fallthrough: { variant: 'x' } }, 1),
    ],
    [
      'to take away a variant that is served',
      422,
      'invalid',
      () => putFlag('a', { variants: [{ name: 'off', value: false }] }, 1),
    ],
    ['of a flag that does not exist', 404, 'not_found', () => putConfiguration(environment, 'x', {}, 1)],
    ['in an environment that does not exist', 404, 'not_found', () => putConfiguration('nowhere', 'a')],
    [
      'of a segment in an environment that does not exist',
      404,
      'not_found',
      () => putSegment('nowhere', 's'),
    ],
    [
      'to make a key where there is no environment',
      404,
      'not_found',
      () => api('POST', '/environments/nowhere/keys', { kind: 'server', name: 'x' }),
    ],
    ['to delete a flag that does not exist', 404, 'not_found', () => deleteFlag('x', 1)],
    ['to delete a segment that does not exist', 404, 'not_found', () => deleteSegment('x', 1)],
    ['to delete a segment that was never there', 404, 'not_found', () => deleteSegment('x', 0)],
    [
      'to revoke a key that does not exist',
      404,
      'not_found',
      () => api('DELETE', `/environments/${environment}/keys/x`),
    ],
    [
      'without saying what it was made from',
      428,
      'revision_required',
      () => api('PUT', '/flags/a', { type: 'boolean', variants: ON_OFF }),
    ],
    [
      'to delete without saying what it was made from',
      428,
      'revision_required',
      () => api('DELETE', '/flags/c'),
    ],
    [
      'of a revision that is none',
      428,
      'revision_required',
      () => api('PUT', '/flags/a', { type: 'boolean', variants: ON_OFF }, { 'if-match': '*' }),
    ],
    ['with a member that is not known', 400, 'malformed', () => putFlag('d', { colour: 'red' })],
    ['without what it must have', 400, 'malformed', () => api('PUT', '/flags/d', {}, from(0))],
    ['of a key that no flag can have', 400, 'malformed', () => putFlag('x'.repeat(201))],
    [
      'of a name that no environment can have',
      400,
      'malformed',
      () => api('PUT', '/environments/Production', { name: 'x' }),
    ],
    [
      'in JSON that breaks off',
      400,
      'malformed',
      () =>
        ask('/api/v1/flags/d', {
          method: 'PUT',
          body: '{"type":',
          headers: { authorization: 'Bearer test-admin', 'content-type': 'application/json', ...from(0) },
        }),
    ],
    [
      'in another content type',
      415,
      'malformed',
      () =>
        ask('/api/v1/flags/d', {
          method: 'PUT',
          body: 'type=boolean',
          headers: { authorization: 'Bearer test-admin', 'content-type': 'text/plain', ...from(0) },
        }),
    ],
    [
      'by nobody',
      401,
      'unauthorized',
      () =>
        ask('/api/v1/flags/d', {
          method: 'PUT',
          json: { type: 'boolean', variants: ON_OFF },
          headers: from(0),
        }),
    ],
    [
      'at a place that is none',
      404,
      'not_found',
      () => api('PUT', '/flag/d', { type: 'boolean', variants: ON_OFF }),
    ],
  ]

  it.each(REFUSED)('%s, is %d %s and leaves no trace', async (_, code, reason, act) => {
    const before = await dump()
    const { status, body } = await act()
    expect({ status, body }).toEqual({
      status: code,
      body: {
        error: {
          code: reason,
          message: expect.stringMatching(/^[^A-Z]/),
          requestId: expect.any(String),
          ...(reason === 'invalid' || (reason === 'malformed' && 'details' in Object(field(body, 'error')))
            ? { details: expect.any(Array) }
            : {}),
        },
      },
    })
    expect(await dump()).toEqual(before)
  })
})

describe('a change that names others', () => {
  beforeEach(setUpReferences)

  it('and is not valid is told where and why', async () => {
    const { body } = await putConfiguration(
      environment,
      'a',
      { fallthrough: { variant: 'x' }, targets: [{ variant: 'on', units: [1] }] },
      1,
    )
    expect(field(field(body, 'error'), 'details')).toEqual([
      { path: 'targets[0].units[0]', rule: 'type', message: 'must be a text that is not empty' },
      { path: 'fallthrough.variant', rule: 'unknown_variant', message: 'the flag has no variant "x"' },
    ])
  })

  it.each([
    ['"1"', 200],
    ['1', 200],
    ['W/"1"', 200],
    ['"2"', 412],
    ['"1", "2"', 428],
    ['', 428],
    ['one', 428],
  ])('is made from what If-Match says: %s is %d', async (revision, expected) => {
    const answer = await api(
      'PUT',
      '/flags/a',
      { type: 'boolean', variants: ON_OFF },
      { 'if-match': revision },
    )
    expect(answer.status).toBe(expected)
  })

  it('away is taken once nobody names that any more', async () => {
    await configure(environment, 'b', {}, 2)
    expect((await deleteFlag('a', 1)).status).toBe(200)
    await putSegment(environment, 't', {}, 1)
    expect((await deleteSegment('s', 1)).status).toBe(200)
  })

  it('must find them in its own environment', async () => {
    const other = await createEnvironment()
    expect(status(await putConfiguration(other, 'a', needing('b')))).toEqual([422, 'unknown_reference'])
  })
})

describe('a limit', () => {
  beforeEach(setUp)

  const definition = (value: string) => ({ type: 'string' as const, variants: [{ name: 'on', value }] })
  const bytes = (text: string) => new TextEncoder().encode(text).length

  it.each([
    ['is taken', 0, [200, undefined]],
    ['plus a byte is refused', 1, [413, 'too_large']],
  ])('of a flag of 256 KiB %s', async (_, more, expected) => {
    const empty = flagText(
      { key: 'a', metadata: {}, clientVisible: false, ...definition('') },
      {
        enabled: false,
        offVariant: null,
        prerequisites: [],
        targets: [],
        rules: [],
        fallthrough: { variant: 'on' },
      },
    )
    const value = 'ü'.repeat(10).padEnd(MAX_FLAG_BYTES - bytes(empty) - 10 + more, 'x')
    expect(status(await putFlag('a', definition(value)))).toEqual(expected)
  })

  it('of a flag holds for its configuration too', async () => {
    await createFlag('a')
    const units = Array.from({ length: 300 }, (_, i) => `${i}`.padStart(1_000, '0'))
    const before = await dump()
    expect(
      status(await putConfiguration(environment, 'a', { targets: [{ variant: 'on', units }] }, 1)),
    ).toEqual([413, 'too_large'])
    expect(await dump()).toEqual(before)
  })

  it.each([
    ['is taken', 0, [200, undefined]],
    ['plus a byte is refused', 1, [413, 'too_large']],
  ])('of a segment of 1 MiB %s', async (_, more, expected) => {
    const empty = segmentText({ key: 's', condition: null, included: [''], excluded: [] })
    const included = ['x'.repeat(MAX_SEGMENT_BYTES - bytes(empty) + more)]
    expect(status(await putSegment(environment, 's', { included }))).toEqual(expected)
  })

  it('of an environment of 20 MiB holds to the byte', async () => {
    const before = await rows('SELECT bytes FROM environments')
    await createSegment(environment, 's', { included: ['x'] })
    const after = await rows('SELECT bytes FROM environments')
    const weight = Number(field(after[0], 'bytes')) - Number(field(before[0], 'bytes'))
    const fill = (bytes: number) => env.DB.prepare('UPDATE environments SET bytes = ?').bind(bytes).run()
    await fill(MAX_ENVIRONMENT_BYTES - weight + 1)
    const stored = await dump()
    expect(status(await putSegment(environment, 't', { included: ['x'] }))).toEqual([
      413,
      'environment_too_large',
    ])
    expect(await dump()).toEqual(stored)
    await fill(MAX_ENVIRONMENT_BYTES - weight)
    expect(status(await putSegment(environment, 't', { included: ['x'] }))).toEqual([200, undefined])
    expect(status(await putSegment(environment, 't', { included: ['xx'] }, 1))).toEqual([
      413,
      'environment_too_large',
    ])
    expect(status(await deleteSegment('t', 1))).toEqual([200, undefined])
  })
})

describe('a database that fails', () => {
  beforeEach(setUp)

  const change = () =>
    makeRequest(`/api/v1/flags/a/environments/${environment}`, {
      method: 'PUT',
      headers: { authorization: 'Bearer test-admin', 'if-match': '1' },
      json: { enabled: true, fallthrough: { variant: 'on' }, ...serving('s') },
    })

  it('in the middle of a change leaves nothing of it, wherever it fails, and nobody is told why', async () => {
    await createFlag('a')
    await createSegment(environment, 's')
    const before = await dump()
    const fault = () => env.DB.prepare('SELECT abs(-9223372036854775807 - 1)')
    let statements = 1
    for (let position = 0; position <= statements; position++) {
      const batch = (given: D1PreparedStatement[]) => {
        statements = given.length
        return env.DB.batch([...given.slice(0, position), fault(), ...given.slice(position)])
      }
      const { response } = await serve(change(), withDatabase(env, { batch }))
      const { status, body } = await read(response)
      expect({ status, body }).toEqual({
        status: 500,
        body: {
          error: {
            code: 'internal',
            message: 'something went wrong; the log knows more',
            requestId: expect.any(String),
          },
        },
      })
      expect(await dump()).toEqual(before)
    }
    expect(statements).toBeGreaterThan(10)
    expect((await serve(change(), env)).response.status).toBe(200)
  })
})
