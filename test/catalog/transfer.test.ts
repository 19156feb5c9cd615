import { applyD1Migrations, listDurableObjectIds, reset, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { clearAuthentication } from '../../src/access/authenticate.ts'
import { openEnvironment } from '../../src/catalog/environment-snapshot.ts'
import { hubOf } from '../../src/catalog/hub-protocol.ts'
import { snapshotCache } from '../../src/delivery/snapshot-cache.ts'
import { apiAs, createActor, refusalOf } from '../support/actors.ts'
import { auditAfter, auditEnd, dump, rows } from '../support/database.ts'
import { CLIENT_KEY, demoContexts, SERVER_KEY, seedDemo } from '../support/demo.ts'
import { putMetric } from '../support/measurements.ts'
import {
  api,
  ask,
  BULK,
  configure,
  createEnvironment,
  createFlag,
  createKey,
  evaluate,
  field,
  from,
  moveClock,
  ON_OFF,
  putConfiguration,
  putFlag,
  silenceLogs,
  stopClock,
  warm,
} from '../support/worker.ts'

type Document = {
  exportedAt: number
  environments: { key: string; segments: object[]; keys: { id: string }[] }[]
  flags: { key: string; configurations: { [environment: string]: object | undefined } }[]
  metrics: { key: string }[]
  members: object[]
  tokens: object[]
}

silenceLogs()

/** A new deployment: nothing in the database, no hub, nothing in KV, an isolate that has just begun. */
async function redeploy(): Promise<void> {
  // An alarm that comes while everything is taken away would find itself without its object.
  for (const id of await listDurableObjectIds(env.HUB)) {
    await runInDurableObject(env.HUB.get(id), (_, { storage }) => storage.deleteAlarm())
  }
  await reset()
  await applyD1Migrations(env.DB, env.MIGRATIONS)
  snapshotCache.clear()
  clearAuthentication()
}

beforeEach(async () => {
  stopClock()
  await redeploy()
})

const importAll = (document: unknown, token = 'test-admin') => apiAs(token, 'POST', '/import', document)

async function exportAll(): Promise<Document> {
  const { status, body } = await api('GET', '/export')
  expect(status).toBe(200)
  return body as Document
}

/** A deployment with one flag in one environment, as a document. */
async function exportSmall(): Promise<Document> {
  const environment = await createEnvironment()
  await createFlag('a')
  await configure(environment, 'a')
  await api('PUT', `/environments/${environment}/segments/staff`, { included: ['ada'] }, from(0))
  await putMetric('sold', { kind: 'count' })
  await createKey(environment)
  const document = await exportAll()
  await redeploy()
  return document
}

/** The bodies of bulk answers, without the version and the stream's token, which a deployment makes itself. */
async function bulkBodies(contexts: readonly object[], key: string, environment: string) {
  await warm(environment)
  const bodies: string[] = []
  for (const context of contexts) {
    const { status, headers, body } = await ask(BULK, { key, json: { context } })
    expect(status).toBe(200)
    const text = JSON.stringify(body)
      .replaceAll(/"version":"\d+"/g, '')
      .replace(/token=[^"]+/, '')
    bodies.push(`${headers.get('etag')} ${text}`)
  }
  return bodies
}

describe('a deployment that was exported and imported', () => {
  const CONTEXTS = demoContexts(300)

  it('answers the same to everybody, under the same keys', async () => {
    await seedDemo()
    const answers = async () => ({
      production: await bulkBodies(CONTEXTS, SERVER_KEY, 'production'),
      staging: await bulkBodies(CONTEXTS, 'rp_server_staging_demo', 'staging'),
      client: await bulkBodies(CONTEXTS.slice(0, 20), CLIENT_KEY, 'production'),
    })
    const before = await answers()
    // What is compared must differ from one customer to another, or the comparison says little.
    expect(new Set(before.production).size).toBeGreaterThan(30)
    const document = await exportAll()

    await redeploy()
    expect((await evaluate(SERVER_KEY, 'dark-mode', {})).status).toBe(401)
    snapshotCache.clear()
    expect(await importAll(document)).toMatchObject({
      status: 200,
      body: {
        environments: {
          production: { version: 1, published: true },
          staging: { version: 1, published: true },
        },
      },
    })
    expect(await answers()).toEqual(before)
  }, 60_000)

  it('is exported as the same document again', async () => {
    await seedDemo()
    await putFlag('legacy-importer', { type: 'boolean', owner: 'x', temporary: true, metadata: { a: 1 } }, 1)
    await api('POST', '/flags/legacy-importer/archive', {}, from(2))
    const { id } = await createKey('staging')
    await api('DELETE', `/environments/staging/keys/${id}`)
    const rotated = await createKey('production', 'client')
    await api('POST', `/environments/production/keys/${rotated.id}/rotate`, {})
    const publicKey = { kty: 'EC', crv: 'P-256', x: 'eA', y: 'eQ' }
    const draft = { name: 'Stage', protected: true, keepContexts: true, contextKeys: [publicKey], shards: 5 }
    await api('PUT', '/environments/staging', draft, from(1))
    await putMetric('sold', { kind: 'count' })
    const owned = {
      description: 'Money',
      tags: ['a'],
      owner: 'ada',
      goodDirection: 'down',
      preExposure: true,
    }
    await putMetric('basket', { kind: 'ratio', denominator: 'visit', unit: 'company', cap: 0.5, ...owned })
    await createActor({ role: 'releaser', environments: ['production'] })
    await rows(
      `INSERT INTO members (id, name, role, environments, revision, created_at, updated_at)
        VALUES ('ada@example.com', 'Ada', 'developer', '["staging"]', 3, 1, 2), ('groups:x', 'X', 'viewer', NULL, 1, 1, 1)`,
    )
    const document = await exportAll()
    await redeploy()
    expect((await importAll(document)).status).toBe(200)
    moveClock(1_000)
    expect(await exportAll()).toEqual({ ...document, exportedAt: document.exportedAt + 1_000 })
  })

  it('lets in whom the old one let in, and keeps out whom it kept out', async () => {
    const environment = await createEnvironment()
    await createFlag('a')
    const [good, revoked, rotated] = [
      await createKey(environment),
      await createKey(environment),
      await createKey(environment),
    ]
    await api('DELETE', `/environments/${environment}/keys/${revoked.id}`)
    await api('POST', `/environments/${environment}/keys/${rotated.id}/rotate`, { overlapSeconds: 3_600 })
    const [token, revokedToken] = [await createActor({ owner: 'ada@example.com' }), await createActor()]
    await rows("UPDATE tokens SET revoked_at = 1 WHERE owner <> 'ada@example.com'")
    const document = await exportAll()
    await redeploy()
    await importAll(document)
    await warm(environment)
    const statuses = async () =>
      Promise.all([good, revoked, rotated].map(async ({ key }) => (await evaluate(key, 'a', {})).status))
    expect(await statuses()).toEqual([200, 401, 200])
    moveClock(3_600_000)
    await warm(environment)
    expect(await statuses()).toEqual([200, 401, 401])
    expect((await apiAs(token, 'GET', '/flags')).status).toBe(200)
    expect((await apiAs(revokedToken, 'GET', '/flags')).status).toBe(401)
  })

  it('goes on as any other: searched, changed, held to what names what', async () => {
    await seedDemo()
    const document = await exportAll()
    await redeploy()
    await importAll(document)
    const { body } = await api('GET', '/flags?search=one%20page&environment=production&enabled=true')
    expect((field(body, 'flags') as object[]).map((flag) => field(flag, 'key'))).toEqual(['new-checkout'])
    const remove = (path: string) => api('DELETE', path, undefined, from(1))
    expect(refusalOf(await remove('/flags/new-checkout'))).toEqual([409, 'still_referenced'])
    expect(refusalOf(await remove('/environments/production/segments/insiders'))).toEqual([
      409,
      'still_referenced',
    ])
    expect(await putConfiguration('production', 'dark-mode', { enabled: false })).toMatchObject({
      ...{
        status: 200,
        body: { revision: 2, environments: { production: { version: 2, published: true } } },
      },
    })
    const history = await api('GET', '/flags/dark-mode/history?environment=production')
    expect(field(history.body, 'revisions')).toMatchObject([
      { revision: 2 },
      { revision: 1 },
      { revision: 1 },
    ])
  })

  it('counts what it counted, with as many shards', async () => {
    const environment = await createEnvironment({ shards: 6 })
    await putMetric('sold', { kind: 'count', cap: 9 })
    const counted = async () => {
      const opened = openEnvironment(environment, (await hubOf(env, environment).whole()) ?? '')
      return opened.ok ? [opened.value.metrics, opened.value.settings.layouts] : expect.fail()
    }
    const before = await counted()
    const document = await exportAll()
    await redeploy()
    expect((await importAll(document)).status).toBe(200)
    expect(await counted()).toEqual(before)
    expect((await putMetric('sold', { kind: 'count', cap: 8 }, 1)).body).toMatchObject({ revision: 2 })
    const { body } = await api('GET', '/metrics/sold/history')
    expect(field(body, 'revisions')).toMatchObject([
      { differences: [{ text: 'cap is now 8 (was 9)' }] },
      { comment: 'import', revision: 1 },
    ])
  })

  it('had no metrics and two shards, where it was exported before there were any', async () => {
    const document = await exportSmall()
    for (const part of [document, ...document.environments]) {
      Reflect.deleteProperty(part, 'metrics')
      Reflect.deleteProperty(part, 'shards')
    }
    expect((await importAll(document)).status).toBe(200)
    expect(await exportAll()).toMatchObject({ metrics: [], environments: [{ shards: 2 }] })
  })

  it('keeps an archived flag archived, in its history too', async () => {
    await createEnvironment()
    await createFlag('a')
    await api('POST', '/flags/a/archive', {}, from(1))
    const document = await exportAll()
    await redeploy()
    await importAll(document)
    expect((await api('POST', '/flags/a/unarchive', {}, from(1))).status).toBe(200)
    const revisions = field((await api('GET', '/flags/a/history')).body, 'revisions') as object[]
    const newest = revisions.find((revision) => field(revision, 'revision') === 2)
    expect(newest).toMatchObject({ kind: 'flag', differences: [{ text: 'no longer archived' }] })
  })

  it('is written down as one deed', async () => {
    const document = await exportSmall()
    const head = await auditEnd()
    await importAll(document)
    const key = document.environments[0]?.key
    expect(await auditAfter(head)).toMatchObject([
      {
        ...{ actor: 'admin', action: 'import', target_kind: 'deployment', environments: `{"${key}":1}` },
        details: { exportedAt: document.exportedAt, flags: 1, metrics: 1 },
      },
    ])
  })

  it('may be large: 2,000 flags in 3 environments', async () => {
    const names = ['one', 'two', 'three']
    for (const name of names) await api('PUT', `/environments/${name}`, { name }, from(0))
    const { key } = await createKey('two')
    const configuration = (index: number) => ({
      ...{ enabled: index % 2 === 0, offVariant: 'off', prerequisites: [], targets: [] },
      rules: [{ id: 'r', when: { attribute: 'x', op: 'equals', values: [index] }, serve: { variant: 'on' } }],
      fallthrough: { variant: 'off' },
    })
    const flags = Array.from({ length: 2_000 }, (_, index) => ({
      ...{ key: `flag-${String(index).padStart(4, '0')}`, type: 'boolean', variants: ON_OFF, metadata: {} },
      ...{ clientVisible: false, description: `Number ${index}`, tags: ['t'], owner: 'o', temporary: false },
      ...{
        archivedAt: null,
        configurations: Object.fromEntries(names.map((name) => [name, configuration(index)])),
      },
    }))
    const document = { ...(await exportAll()), flags }
    await redeploy()
    expect(await importAll(document)).toMatchObject({
      status: 200,
      body: { environments: { three: { version: 1 } } },
    })
    expect(await exportAll()).toEqual(document)
    await warm('two')
    expect((await evaluate(key, 'flag-1998', { x: 1998 })).body).toMatchObject({ variant: 'on' })
    expect(await rows('SELECT count(*) AS number FROM flag_configurations')).toEqual([{ number: 6_000 }])
  }, 60_000)
})

describe('an import', () => {
  it.each(['environment', 'flag', 'metric'])(
    'is refused where there is an %s already, and changes nothing',
    async (what) => {
      const document = await exportSmall()
      if (what === 'metric') await putMetric('b')
      else await (what === 'flag' ? createFlag('b') : createEnvironment())
      const before = await dump()
      expect(refusalOf(await importAll(document))).toEqual([409, 'not_empty'])
      expect(await dump()).toEqual(before)
    },
  )

  it('does not happen twice', async () => {
    const document = await exportSmall()
    const statuses = (await Promise.all([importAll(document), importAll(document)])).map(
      ({ status }) => status,
    )
    expect(statuses.toSorted()).toEqual([200, 409])
    expect(refusalOf(await importAll(document))).toEqual([409, 'not_empty'])
  })

  it.each<[role: 'viewer' | 'developer' | 'releaser' | 'admin', environments: string[] | null, code: string]>(
    [
      ['viewer', null, 'forbidden'],
      ['developer', null, 'forbidden'],
      ['releaser', null, 'forbidden'],
      ['admin', ['production'], 'wrong_environment'],
    ],
  )('is not for a %s of %s, nor is an export', async (role, environments, code) => {
    const token = await createActor({ role, environments })
    const document = await exportAll()
    expect(refusalOf(await importAll(document, token))).toEqual([403, code])
    expect(refusalOf(await apiAs(token, 'GET', '/export'))).toEqual([403, code])
  })

  type Spoil = (document: Document) => unknown
  const firstEnvironment = ({ environments }: Document) => environments[0] ?? expect.fail()
  const firstFlag = ({ flags }: Document) => flags[0] ?? expect.fail()
  const configurationsOf = (document: Document) => firstFlag(document).configurations
  const nameOf = (document: Document) => firstEnvironment(document).key
  const spoilConfiguration = (document: Document, fields: object) => {
    const all = configurationsOf(document)
    all[nameOf(document)] = { ...all[nameOf(document)], ...fields }
  }

  it.each<[name: string, path: string, spoil: Spoil]>([
    ['another format', 'format', (document) => Object.assign(document, { format: 'other' })],
    ['an unknown version', 'formatVersion', (document) => Object.assign(document, { formatVersion: 2 })],
    ['no version', 'formatVersion', (document) => Reflect.deleteProperty(document, 'formatVersion')],
    ['no flags', 'flags', (document) => Reflect.deleteProperty(document, 'flags')],
    ['a field that is none', '', (document) => Object.assign(document, { more: 1 })],
    [
      'an environment of no key',
      'environments.0.key',
      (document) => Object.assign(firstEnvironment(document), { key: 'A' }),
    ],
    [
      'a hash that is none',
      'environments.0.keys.0.hash',
      (document) => Object.assign(firstEnvironment(document).keys[0] ?? expect.fail(), { hash: 'x' }),
    ],
    ['a flag of no key', 'flags.0.key', (document) => Object.assign(firstFlag(document), { key: '..' })],
    [
      'a metric of no key',
      'metrics.0.key',
      ({ metrics: [metric = expect.fail()] }) => Object.assign(metric, { key: '' }),
    ],
    ['a flag of no type', 'flags.0.type', (document) => Object.assign(firstFlag(document), { type: 'text' })],
  ])('is not understood with %s', async (_, path, spoil) => {
    const document = await exportSmall()
    spoil(document)
    const answer = await importAll(document)
    expect(refusalOf(answer)).toEqual([400, 'malformed'])
    expect(field(field(answer.body, 'error'), 'details')).toMatchObject([{ path }])
  })

  it.each<[name: string, path: string, rule: string, spoil: Spoil]>([
    [
      'an environment twice',
      'environments[1].key',
      'duplicate',
      (document) => document.environments.push({ ...firstEnvironment(document), keys: [] }),
    ],
    ['a flag twice', 'flags[1].key', 'duplicate', (document) => document.flags.push(firstFlag(document))],
    ['a metric twice', 'metrics[1].key', 'duplicate', ({ metrics }) => metrics.push(...metrics)],
    [
      'a metric that is not right',
      'metrics[0].cap',
      'limit',
      ({ metrics: [metric = expect.fail()] }) => Object.assign(metric, { cap: -1 }),
    ],
    [
      'more metrics than there may be',
      'metrics',
      'limit',
      ({ metrics }) => {
        const more = Array.from({ length: 500 }, (_, i) => ({ ...metrics[0], key: `metric-${i}` }))
        metrics.push(...more)
      },
    ],
    [
      'a segment twice',
      'environments[0].segments[1].key',
      'duplicate',
      (document) => {
        const { segments } = firstEnvironment(document)
        segments.push(...segments)
      },
    ],
    [
      'a key twice',
      'environments[0].keys[1].id',
      'duplicate',
      (document) => {
        const { keys } = firstEnvironment(document)
        keys.push(...keys)
      },
    ],
    [
      'a flag without variants',
      'flags[0].variants',
      'limit',
      (document) => Object.assign(firstFlag(document), { variants: [] }),
    ],
    [
      'no configuration for an environment',
      'flags[0].configurations.ENV',
      'type',
      (document) => Reflect.deleteProperty(configurationsOf(document), nameOf(document)),
    ],
    [
      'a configuration for an environment that is not there',
      'flags[0].configurations.other',
      'unknown_field',
      (document) => Object.assign(configurationsOf(document), { other: { enabled: false } }),
    ],
    [
      'a variant that is none',
      'flags[0].configurations.ENV.fallthrough.variant',
      'unknown_variant',
      (document) => spoilConfiguration(document, { fallthrough: { variant: 'none' } }),
    ],
    [
      'a misspelt field',
      'flags[0].configurations.ENV.enabeld',
      'unknown_field',
      (document) => spoilConfiguration(document, { enabeld: true }),
    ],
    [
      'a segment whose condition is none',
      'environments[0].segments[0].condition.op',
      'type',
      (document) =>
        Object.assign(firstEnvironment(document).segments[0] ?? {}, {
          condition: { attribute: 'x', op: 'is', values: [] },
        }),
    ],
  ])('says where it is wrong: %s', async (_, path, rule, spoil) => {
    const document = await exportSmall()
    spoil(document)
    const answer = await importAll(document)
    expect(refusalOf(answer)).toEqual([422, 'invalid'])
    const details = field(field(answer.body, 'error'), 'details')
    expect(details).toMatchObject([{ path: path.replace('ENV', nameOf(document)), rule }])
    expect(await rows('SELECT * FROM environments')).toEqual([])
  })

  const naming = (segment: string) => ({
    rules: [{ id: 'r', when: { segment }, serve: { variant: 'on' } }],
  })
  it.each<[name: string, refusal: readonly [number, string], spoil: Spoil]>([
    [
      'a segment that is not there',
      [422, 'unknown_reference'],
      (document) => spoilConfiguration(document, naming('none')),
    ],
    [
      'a prerequisite that is not there',
      [422, 'unknown_reference'],
      (document) => spoilConfiguration(document, { prerequisites: [{ flag: 'none', variants: ['on'] }] }),
    ],
    [
      'a flag that needs itself',
      [422, 'reference_cycle'],
      (document) => spoilConfiguration(document, { prerequisites: [{ flag: 'a', variants: ['on'] }] }),
    ],
    [
      'a flag that is too large',
      [413, 'too_large'],
      (document) => spoilConfiguration(document, { targets: [{ variant: 'on', units: manyUnits(300_000) }] }),
    ],
    [
      'a segment that is too large',
      [413, 'too_large'],
      (document) =>
        Object.assign(firstEnvironment(document).segments[0] ?? {}, { included: manyUnits(1_100_000) }),
    ],
  ])('is refused with %s, and leaves nothing', async (_, refusal, spoil) => {
    const document = await exportSmall()
    spoil(document)
    const before = await dump()
    expect(refusalOf(await importAll(document))).toEqual(refusal)
    expect(await dump()).toEqual(before)
  })
})

/** Different units that take at least so many bytes. */
function manyUnits(bytes: number): string[] {
  return Array.from({ length: Math.ceil(bytes / 200) }, (_, index) => `${index}-`.padEnd(200, 'x'))
}
