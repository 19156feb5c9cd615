import { env } from 'cloudflare:workers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { flagText, segmentText } from '../../src/catalog/entities.ts'
import { MAX_ENVIRONMENT_BYTES, MAX_FLAG_BYTES, MAX_SEGMENT_BYTES } from '../../src/catalog/limits.ts'
import {
  archive,
  changed,
  deleteEnvironment,
  deleteFlag,
  deleteSegment,
  needing,
  OK,
  serving,
  status,
} from '../support/catalog.ts'
import { auditEnd, dump, emptyDatabase, rows } from '../support/database.ts'
import {
  api,
  configure,
  createEnvironment,
  createFlag,
  createKey,
  createSegment,
  field,
  from,
  ON_OFF,
  putConfiguration,
  putFlag,
  putSegment,
  silenceLogs,
} from '../support/worker.ts'

let environment = ''

/** A deployment with one environment and nothing else. */
async function setUp(): Promise<void> {
  await emptyDatabase()
  environment = await createEnvironment()
}

/** What went into the history of the environment: version, kind, key, and whether it is a tombstone. */
const historyOf = () =>
  rows(
    'SELECT version, kind, key, body IS NULL AS gone FROM history WHERE environment = ? ORDER BY version, kind, key',
    environment,
  )

/** Revisions of one thing: their numbers, and whether it was deleted. */
const revisionsOf = (kind: string, key: string, of = '') =>
  rows(
    'SELECT revision, body IS NULL AS gone FROM revisions WHERE kind = ? AND key = ? AND environment = ? ORDER BY revision',
    kind,
    key,
    of,
  )

silenceLogs()

afterEach(async () => {
  expect(await rows('SELECT * FROM guard')).toEqual([])
})

describe('a change', () => {
  beforeEach(setUp)

  it('is written as a whole: the rows, their history, the new version; and then it is published', async () => {
    const before = await auditEnd()
    expect((await putFlag('a', { description: 'first', comment: 'for a test' })).body).toEqual(
      changed(1, environment, 2),
    )
    const answer = await putConfiguration(environment, 'a', { comment: 'on' }, 1)
    expect([answer.headers.get('etag'), answer.body]).toEqual(['"2"', changed(2, environment, 3)])
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
        archivedAt: null,
        environments: { [environment]: { enabled: true, revision: 2, updatedAt: expect.any(Number) } },
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
      updatedAt: expect.any(Number),
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
    expect(
      await rows(
        'SELECT actor, via, action, target_kind, target_key, environments, comment, details, hash FROM audit WHERE id > ?',
        before,
      ),
    ).toEqual([
      {
        actor: 'admin',
        via: 'admin',
        action: 'flag.create',
        target_kind: 'flag',
        target_key: 'a',
        environments: JSON.stringify({ [environment]: 2 }),
        comment: 'for a test',
        details: '{}',
        hash: null,
      },
      {
        actor: 'admin',
        via: 'admin',
        action: 'configuration.save',
        target_kind: 'flag',
        target_key: 'a',
        environments: JSON.stringify({ [environment]: 3 }),
        comment: 'on',
        details: '{}',
        hash: null,
      },
    ])
    const kept = await rows<{ body: string }>(
      "SELECT kind, environment, revision, body, actor, comment, environments FROM revisions WHERE key = 'a' ORDER BY kind, revision",
    )
    const initial = {
      enabled: false,
      offVariant: null,
      prerequisites: [],
      targets: [],
      rules: [],
      fallthrough: { variant: 'on' },
    }
    const definition = {
      type: 'boolean',
      variants: ON_OFF,
      metadata: {},
      clientVisible: false,
      description: 'first',
      tags: [],
      owner: '',
      temporary: false,
    }
    const at = (version: number) => ({ environments: JSON.stringify({ [environment]: version }) })
    expect(kept.map((row) => ({ ...row, body: JSON.parse(row.body) }))).toEqual([
      {
        kind: 'configuration',
        environment,
        revision: 1,
        body: initial,
        actor: 'admin',
        comment: 'for a test',
        ...at(2),
      },
      {
        kind: 'configuration',
        environment,
        revision: 2,
        body: { ...initial, enabled: true },
        actor: 'admin',
        comment: 'on',
        ...at(3),
      },
      {
        kind: 'flag',
        environment: '',
        revision: 1,
        body: definition,
        actor: 'admin',
        comment: 'for a test',
        ...at(2),
      },
    ])
  })

  it('of what a flag is belongs to every environment, at once', async () => {
    await createFlag('a')
    const other = await createEnvironment()
    await configure(other, 'a')
    const { body } = await putFlag('a', { clientVisible: true }, 1)
    expect(body).toEqual({
      revision: 2,
      environments: {
        [environment]: { version: 3, published: true },
        [other]: { version: 3, published: true },
      },
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
    expect((await deleteFlag('a', 1)).body).toEqual(changed(0, environment, 3))
    expect((await putFlag('a')).body).toEqual(changed(3, environment, 4))
    expect(await historyOf()).toEqual([
      { version: 1, kind: 'settings', key: 'environment', gone: 0 },
      { version: 2, kind: 'flags', key: 'a', gone: 0 },
      { version: 3, kind: 'flags', key: 'a', gone: 1 },
      { version: 4, kind: 'flags', key: 'a', gone: 0 },
    ])
    const revisions = [
      { revision: 1, gone: 0 },
      { revision: 2, gone: 1 },
      { revision: 3, gone: 0 },
    ]
    expect(await revisionsOf('flag', 'a')).toEqual(revisions)
    expect(await revisionsOf('configuration', 'a', environment)).toEqual(revisions)
    expect(status(await putFlag('a', { clientVisible: true }, 1))).toEqual([412, 'stale'])
    expect(status(await putConfiguration(environment, 'a', {}, 1))).toEqual([412, 'stale'])
    expect((await putConfiguration(environment, 'a', {}, 3)).body).toEqual(changed(4, environment, 5))
  })

  it('of a segment goes on counting when it is deleted and made anew', async () => {
    await createSegment(environment, 's')
    expect((await deleteSegment(environment, 's', 1)).body).toEqual(changed(0, environment, 3))
    expect((await putSegment(environment, 's')).body).toEqual(changed(3, environment, 4))
    expect(status(await putSegment(environment, 's', {}, 1))).toEqual([412, 'stale'])
    expect(await revisionsOf('segment', 's', environment)).toEqual([
      { revision: 1, gone: 0 },
      { revision: 2, gone: 1 },
      { revision: 3, gone: 0 },
    ])
  })

  it('of what the edge does not see touches no environment', async () => {
    await createFlag('a')
    const before = await rows('SELECT * FROM environments')
    const history = await historyOf()
    const answer = await putFlag(
      'a',
      { description: 'new', tags: ['t'], owner: 'ada', temporary: true, comment: 'why' },
      1,
    )
    expect([answer.status, answer.body]).toEqual([200, { revision: 2, environments: {} }])
    expect([await rows('SELECT * FROM environments'), await historyOf()]).toEqual([before, history])
    expect(await rows('SELECT environments, comment FROM audit ORDER BY id DESC LIMIT 1')).toEqual([
      { environments: '{}', comment: 'why' },
    ])
    expect((await putFlag('a', { metadata: { team: 'x' } }, 2)).body).toEqual(changed(3, environment, 3))
  })

  it('of an archived flag touches no environment, and comes to the edge with it', async () => {
    await createFlag('a')
    await configure(environment, 'a')
    expect((await archive('a', 1)).body).toEqual(changed(2, environment, 4))
    expect((await putFlag('a', { clientVisible: true }, 2)).body).toEqual({ revision: 3, environments: {} })
    expect((await archive('a', 3, 'unarchive')).body).toEqual(changed(4, environment, 5))
    const [row] = await rows("SELECT body FROM history WHERE kind = 'flags' ORDER BY version DESC LIMIT 1")
    expect(JSON.parse(String(field(row, 'body')))).toMatchObject({ clientVisible: true, enabled: true })
  })

  it('that makes a key is answered with it once, and keeps its hash alone', async () => {
    const answer = await api('POST', `/environments/${environment}/keys`, { kind: 'client', name: 'shop' })
    expect([answer.status, answer.body]).toEqual([
      201,
      {
        id: expect.stringMatching(/^key-[0-9a-f]{16}$/),
        key: expect.stringMatching(new RegExp(`^rp_client_${environment}_[0-9a-f]{32}$`)),
        environments: { [environment]: { version: 2, published: true } },
      },
    ])
    expect(JSON.stringify(await dump())).not.toContain(String(field(answer.body, 'key')))
  })
})

describe('an environment', () => {
  beforeEach(setUp)

  const configurationIn = async (of: string, flag: string) => {
    const { body } = await api('GET', `/flags/${flag}/environments/${of}`)
    const { updatedAt: _, ...rest } = Object(body)
    return rest
  }
  const off = (variant: string) => ({
    enabled: false,
    offVariant: null,
    prerequisites: [],
    targets: [],
    rules: [],
    fallthrough: { variant },
    revision: 1,
  })

  it('that is new has every flag, switched off, at its first revision and version', async () => {
    await createFlag('a')
    await createFlag('b', { type: 'string', variants: [{ name: 'x', value: 'x' }] })
    await configure(environment, 'a')
    await createSegment(environment, 's')
    const answer = await api('PUT', '/environments/new', { name: 'New' }, from(0))
    expect([answer.headers.get('etag'), answer.body]).toEqual(['"1"', changed(1, 'new', 1)])
    expect([await configurationIn('new', 'a'), await configurationIn('new', 'b')]).toEqual([
      off('on'),
      off('x'),
    ])
    expect(
      await rows("SELECT version, kind, key FROM history WHERE environment = 'new' ORDER BY kind, key"),
    ).toEqual([
      { version: 1, kind: 'flags', key: 'a' },
      { version: 1, kind: 'flags', key: 'b' },
      { version: 1, kind: 'settings', key: 'environment' },
    ])
    expect(field((await api('GET', '/environments/new/segments')).body, 'segments')).toEqual([])
  })

  it('that is new is as the one that it is copied from, and lives its own life', async () => {
    await createFlag('a')
    await createFlag('b')
    await createSegment(environment, 's', { included: ['ada'], description: 'who' })
    await configure(environment, 'a', { ...serving('s'), ...needing('b') })
    const draft = { name: 'New', copyFrom: environment, refreshSeconds: 5 }
    expect((await api('PUT', '/environments/new', draft, from(0))).body).toEqual(changed(1, 'new', 1))
    const { revision: _, ...source } = await configurationIn(environment, 'a')
    expect(await configurationIn('new', 'a')).toEqual({ ...source, revision: 1 })
    expect((await api('GET', '/environments/new/segments/s')).body).toEqual({
      key: 's',
      description: 'who',
      condition: null,
      included: ['ada'],
      excluded: [],
      revision: 1,
      updatedAt: expect.any(Number),
    })
    const references =
      'SELECT from_key, to_kind, to_key, variants FROM entity_references WHERE environment = ? ORDER BY to_key'
    expect(await rows(references, 'new')).toEqual(await rows(references, environment))
    expect(status(await deleteSegment('new', 's', 1))).toEqual([409, 'still_referenced'])
    expect((await configureIn('new')).body).toEqual(changed(2, 'new', 2))
    expect(status(await deleteSegment('new', 's', 1))).toEqual(OK)
    expect(await configurationIn(environment, 'a')).toMatchObject({ revision: 2, rules: [{ id: 'in' }] })
  })
  const configureIn = (of: string) => putConfiguration(of, 'a', {}, 1)

  it('that is changed says from what, and touches nothing else', async () => {
    await createFlag('a')
    const path = `/environments/${environment}`
    const draft = { name: 'Other', refreshSeconds: 5, keepContexts: true }
    expect(status(await api('PUT', path, draft))).toEqual([428, 'revision_required'])
    expect((await api('PUT', path, draft, from(1))).body).toEqual(changed(2, environment, 3))
    expect(status(await api('PUT', path, draft, from(1)))).toEqual([412, 'stale'])
    expect((await api('GET', path)).body).toMatchObject({
      ...draft,
      key: environment,
      version: 3,
      revision: 2,
    })
    expect(await historyOf()).toEqual([
      { version: 1, kind: 'settings', key: 'environment', gone: 0 },
      { version: 2, kind: 'flags', key: 'a', gone: 0 },
      { version: 3, kind: 'settings', key: 'environment', gone: 0 },
    ])
  })

  it('that is deleted leaves tombstones alone, and one made anew goes on from there with none of it', async () => {
    await createFlag('a')
    await createFlag('b')
    await createSegment(environment, 's')
    await configure(environment, 'a', { ...serving('s'), ...needing('b') })
    await createKey(environment)
    expect((await deleteEnvironment(environment)).body).toEqual(changed(0, environment, 0))
    for (const table of ['flag_configurations', 'segments', 'keys', 'entity_references', 'environments']) {
      expect([table, await rows(`SELECT * FROM ${table}`)]).toEqual([table, []])
    }
    const dead = await historyOf()
    expect(dead.slice(-5)).toEqual([
      { version: 7, kind: 'flags', key: 'a', gone: 1 },
      { version: 7, kind: 'flags', key: 'b', gone: 1 },
      { version: 7, kind: 'keys', key: expect.any(String), gone: 1 },
      { version: 7, kind: 'segments', key: 's', gone: 1 },
      { version: 7, kind: 'settings', key: 'environment', gone: 1 },
    ])
    expect(await rows('SELECT action, environments, details FROM audit ORDER BY id DESC LIMIT 1')).toEqual([
      {
        action: 'environment.delete',
        environments: JSON.stringify({ [environment]: 0 }),
        details: '{"version":6}',
      },
    ])
    expect((await api('PUT', `/environments/${environment}`, { name: 'Again' }, from(0))).body).toEqual(
      changed(3, environment, 8),
    )
    expect(await configurationIn(environment, 'a')).toEqual({ ...off('on'), revision: 4 })
    expect(await configurationIn(environment, 'b')).toEqual({ ...off('on'), revision: 3 })
    expect(await revisionsOf('segment', 's', environment)).toEqual([
      { revision: 1, gone: 0 },
      { revision: 2, gone: 1 },
    ])
    const [weight] = await rows<{ bytes: number; newest: number }>(
      `SELECT bytes, (SELECT sum(octet_length(body)) FROM history WHERE environment = environments.key AND version = 8) AS newest
        FROM environments`,
    )
    expect(weight?.bytes).toBe(weight?.newest)
  })
})

describe('a split', () => {
  beforeEach(setUp)

  const split = (seed?: unknown) => ({
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
    await configure(environment, 'a', { fallthrough: split(seeds[0]), rules: [rule('three')] }, 3)
    const [kept, third] = await seedsOf()
    expect(kept).toBe(seeds[0])
    expect(third).toMatch(/^[0-9a-f]{15}$/)
    expect(seeds).not.toContain(third)
    await configure(environment, 'a', { fallthrough: { variant: 'on' } }, 4)
    await configure(environment, 'a', { fallthrough: split('mine') }, 5)
    expect(await seedsOf()).toEqual(['mine'])
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
    expect(status(await deleteSegment(environment, 't', 1))).toEqual([200, undefined])
  })
})
