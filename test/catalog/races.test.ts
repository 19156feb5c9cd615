import { env } from 'cloudflare:workers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { hubOf } from '../../src/catalog/hub-protocol.ts'
import { readSnapshotText } from '../../src/engine/snapshot-text.ts'
import { apiAs, createActor } from '../support/actors.ts'
import {
  apiWith,
  deleteEnvironment,
  deleteFlag,
  deleteSegment,
  needing,
  OK,
  serving,
  status,
  within,
} from '../support/catalog.ts'
import { auditEnd, dump, emptyDatabase, overtaken, rows } from '../support/database.ts'
import {
  type Answer,
  api,
  configure,
  createEnvironment,
  createFlag,
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

/** What went into the history of an environment: version, kind, key, and whether it is a tombstone. */
const historyOf = (of: string) =>
  rows(
    'SELECT version, kind, key, body IS NULL AS gone FROM history WHERE environment = ? ORDER BY version, kind, key',
    of,
  )

/** Tries until it is not too late, as a client does: ever more patiently, and not all at once. */
async function persist(attempt: () => Promise<Answer>): Promise<Answer> {
  for (let failures = 0; ; failures++) {
    const answer = await attempt()
    if (answer.status === 200) return answer
    expect(status(answer)).toEqual([412, 'stale'])
    await scheduler.wait(Math.random() * Math.min(2_000, 20 * 2 ** failures))
  }
}

silenceLogs()

afterEach(async () => {
  expect(await rows('SELECT * FROM guard')).toEqual([])
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
    expect(answers.map(status)).toEqual(answers.map((_, i) => (i === winner ? OK : [412, 'stale'])))
    const { body } = await api('GET', `/flags/a/environments/${environment}`)
    expect([field(body, 'targets'), field(body, 'revision')]).toEqual([
      [{ variant: 'on', units: [`writer-${winner}`] }],
      2,
    ])
    expect(await historyOf(environment)).toEqual([
      { version: 1, kind: 'settings', key: 'environment', gone: 0 },
      { version: 2, kind: 'flags', key: 'a', gone: 0 },
      { version: 3, kind: 'flags', key: 'a', gone: 0 },
    ])
    const stored = JSON.stringify(await dump())
    const left = answers.flatMap((_, i) => (stored.includes(`writer-${i}\\"`) ? [i] : []))
    expect(left).toEqual([winner])
  })

  it('for different flags all win, and the versions have no gap', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => putFlag(`flag-${i}`)))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    const versions = answers.map(({ body }) =>
      field(field(field(body, 'environments'), environment), 'version'),
    )
    expect(versions.map(Number).sort((a, b) => a - b)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    const history = await rows('SELECT version FROM history ORDER BY version')
    expect(history.map((row) => field(row, 'version'))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
  })

  it('for one new flag: one makes it', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) => putFlag('a', { owner: `owner-${i}` })),
    )
    const winner = answers.findIndex(({ status }) => status === 200)
    expect(answers.map(status)).toEqual(answers.map((_, i) => (i === winner ? OK : [412, 'stale'])))
    expect(field((await api('GET', '/flags/a')).body, 'owner')).toBe(`owner-${winner}`)
  })

  it('for one new environment: one makes it', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) => api('PUT', '/environments/new', { name: `name ${i}` }, from(0))),
    )
    const winner = answers.findIndex(({ status }) => status === 200)
    expect(answers.map(status)).toEqual(answers.map((_, i) => (i === winner ? OK : [412, 'stale'])))
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
      deleteSegment(environment, 's', 1),
    ])
    expect([
      [200, undefined, 409, 'still_referenced'],
      [422, 'unknown_reference', 200, undefined],
    ]).toContainEqual([...status(named), ...status(deleted)])
  })

  it('to need a variant and to take it away: one is refused', async () => {
    await createFlag('a')
    await createFlag('b')
    const [needed, taken] = await Promise.all([
      putConfiguration(environment, 'b', needing('a', 'off'), 1),
      putFlag('a', { variants: ON_OFF.slice(0, 1) }, 1),
    ])
    expect([
      [OK, [422, 'unknown_variant']],
      [[422, 'unknown_variant'], OK],
    ]).toContainEqual([status(needed), status(taken)])
  })

  it('to approve a change and to cancel it: one wins', async () => {
    await createFlag('a')
    await api('PUT', `/environments/${environment}`, { name: 'x', protected: true }, from(1))
    const waiting = await putConfiguration(environment, 'a')
    expect(waiting.status).toBe(202)
    const path = `/change-requests/${field(field(waiting.body, 'changeRequest'), 'id')}`
    const before = await historyOf(environment)
    const releaser = await createActor({ role: 'releaser' })
    const [approved, cancelled] = await Promise.all([
      apiAs(releaser, 'POST', `${path}/approve`, {}),
      api('POST', `${path}/cancel`, {}),
    ])
    const state = field((await api('GET', path)).body, 'state')
    const deeds = await rows(
      "SELECT action FROM audit WHERE action LIKE 'change_request.%' ORDER BY id DESC LIMIT 2",
    )
    const history = await historyOf(environment)
    expect([
      {
        answers: [OK, [409, 'not_pending']],
        state: 'applied',
        deeds: [{ action: 'change_request.approve' }, { action: 'change_request.create' }],
        history: [...before, { version: 4, kind: 'flags', key: 'a', gone: 0 }],
      },
      {
        answers: [[409, 'not_pending'], OK],
        state: 'cancelled',
        deeds: [{ action: 'change_request.cancel' }, { action: 'change_request.create' }],
        history: before,
      },
    ]).toContainEqual({ answers: [status(approved), status(cancelled)], state, deeds, history })
  })

  it('to make environments and flags: every flag is in every environment', async () => {
    const environments = Array.from({ length: 5 }, (_, i) => `env-${i}`)
    const flags = Array.from({ length: 10 }, (_, i) => `flag-${i}`)
    await Promise.all([
      ...environments.map((key) => persist(() => api('PUT', `/environments/${key}`, { name: key }, from(0)))),
      ...flags.map((key) => persist(() => putFlag(key))),
    ])
    for (const of of [environment, ...environments]) {
      const configured = await rows(
        'SELECT flag, revision FROM flag_configurations WHERE environment = ? ORDER BY flag',
        of,
      )
      expect([of, configured]).toEqual([of, flags.map((flag) => ({ flag, revision: 1 }))])
      const read = readSnapshotText((await hubOf(env, of).whole()) ?? '')
      expect(read.ok && [...(read.value.sections.flags?.keys() ?? [])].sort()).toEqual(flags)
    }
  })

  it('for one flag, two hundred at once: each succeeds once, and leaves exactly what it did', async () => {
    const other = await createEnvironment()
    await createFlag('a')
    const begin = await auditEnd()
    const places = [environment, other]
    const writers = Array.from({ length: 200 }, (_, i) => ({
      name: `writer-${i}`,
      // A definition belongs to both environments, a configuration to one of them.
      place: [...places, undefined][i % 3],
    }))
    const write = async ({ name, place }: (typeof writers)[number]) => {
      const path = place === undefined ? '/flags/a' : `/flags/a/environments/${place}`
      const current = await api('GET', path)
      const revision = Number(field(current.body, 'revision'))
      return place === undefined
        ? putFlag('a', { metadata: { name }, comment: name }, revision)
        : putConfiguration(
            place,
            'a',
            { targets: [{ variant: 'on', units: [name] }], comment: name },
            revision,
          )
    }
    const answers = await Promise.all(writers.map((writer) => persist(() => write(writer))))

    const kindOf = (place: string | undefined) =>
      place === undefined ? { kind: 'flag', environment: '' } : { kind: 'configuration', environment: place }
    const versionsIn = (body: unknown) =>
      Object.fromEntries(
        places.flatMap((place) => {
          const version = field(field(field(body, 'environments'), place), 'version')
          return version === undefined ? [] : [[place, version]]
        }),
      )
    const byName = (a: { comment: string }, b: { comment: string }) => (a.comment < b.comment ? -1 : 1)
    const expected = writers.map(({ name, place }, i) => ({
      comment: name,
      ...kindOf(place),
      revision: field(answers[i]?.body, 'revision'),
      environments: versionsIn(answers[i]?.body),
    }))
    for (const { kind, environments } of expected) {
      expect(Object.keys(environments)).toHaveLength(kind === 'flag' ? 2 : 1)
    }

    type Kept = { comment: string; environments: string }
    const parse = <T extends Kept>(kept: readonly T[]) =>
      kept.map((row) => ({ ...row, environments: JSON.parse(row.environments) })).sort(byName)
    const revisions = await rows<Kept>(
      "SELECT comment, kind, environment, revision, environments FROM revisions WHERE comment LIKE 'writer-%'",
    )
    expect(parse(revisions)).toEqual([...expected].sort(byName))
    const audit = await rows<Kept>('SELECT comment, action, environments FROM audit WHERE id > ?', begin)
    expect(parse(audit)).toEqual(
      expected
        .map(({ comment, kind, environments }) => ({ comment, action: `${kind}.save`, environments }))
        .sort(byName),
    )
    for (const place of places) {
      const history = await rows<{ comment: string; version: number }>(
        "SELECT comment, version FROM history WHERE environment = ? AND key = 'a' AND comment LIKE 'writer-%' ORDER BY version",
        place,
      )
      const touching = expected.filter(({ environments }) => place in environments)
      expect([...history].sort(byName)).toEqual(
        touching.map(({ comment, environments }) => ({ comment, version: environments[place] })).sort(byName),
      )
      const first = Number(history[0]?.version)
      expect(history.map(({ version }) => version)).toEqual(touching.map((_, i) => first + i))
      expect(await rows('SELECT version FROM environments WHERE key = ?', place)).toEqual([
        { version: first + touching.length - 1 },
      ])
    }
    for (const place of [...places, undefined]) {
      const { kind, environment: of } = kindOf(place)
      const numbers = expected.filter((row) => row.environment === of).map(({ revision }) => Number(revision))
      expect([kind, numbers.sort((a, b) => a - b)]).toEqual([kind, numbers.map((_, i) => i + 2)])
    }
    const last = await rows<{ body: string }>(
      "SELECT body FROM history WHERE environment = ? AND key = 'a' ORDER BY version DESC LIMIT 1",
      environment,
    )
    const definition = await api('GET', '/flags/a')
    const configuration = await api('GET', `/flags/a/environments/${environment}`)
    expect(JSON.parse(last[0]?.body ?? '')).toMatchObject({
      metadata: field(definition.body, 'metadata'),
      targets: field(configuration.body, 'targets'),
    })
  }, 120_000)
})

describe('a change whose ground moves between what it reads and what it writes', () => {
  beforeEach(setUp)

  it('of a configuration is not made from an older definition', async () => {
    await createFlag('a')
    const variants = [...ON_OFF, { name: 'yes', value: true }]
    const bindings = overtaken(async () => {
      expect((await putFlag('a', { variants }, 1)).status).toBe(200)
    })
    const json = { enabled: true, fallthrough: { variant: 'on' } }
    const answer = await apiWith(bindings, 'PUT', `/flags/a/environments/${environment}`, json, from(1))
    expect(status(answer)).toEqual([412, 'stale'])
  })

  it.each([
    ['deleted', 'DELETE', undefined],
    ['changed', 'PUT', { type: 'boolean', variants: ON_OFF, clientVisible: true }],
  ])('leaves no environment behind when a flag is %s while one more gets it', async (_, method, json) => {
    await createFlag('a')
    let late = ''
    const bindings = overtaken(async () => {
      late = await createEnvironment()
    })
    expect(status(await apiWith(bindings, method, '/flags/a', json, from(1)))).toEqual([412, 'stale'])
    expect(await historyOf(late)).toEqual([
      { version: 1, kind: 'flags', key: 'a', gone: 0 },
      { version: 1, kind: 'settings', key: 'environment', gone: 0 },
    ])
  })

  it.each<[string, () => Promise<unknown>]>([
    ['is one more', () => createEnvironment()],
    ['is one fewer', () => deleteEnvironment(environment)],
    [
      'is one in the place of another',
      async () => {
        await deleteEnvironment(environment)
        await createEnvironment()
      },
    ],
  ])('makes no flag when there %s environment meanwhile', async (_, act) => {
    const json = { type: 'boolean', variants: ON_OFF }
    expect(status(await apiWith(overtaken(act), 'PUT', '/flags/a', json, from(0)))).toEqual([412, 'stale'])
    expect([await rows('SELECT * FROM flags'), await rows('SELECT * FROM flag_configurations')]).toEqual([
      [],
      [],
    ])
  })

  it.each<[string, () => Promise<unknown>]>([
    ['made', () => createFlag('b')],
    ['deleted', () => deleteFlag('a', 1)],
    ['changed', () => putFlag('a', { description: 'x' }, 1)],
    [
      'made in the place of another',
      async () => {
        await deleteFlag('a', 1)
        await createFlag('b')
        // As if by an isolate whose clock is a little behind.
        await env.DB.prepare("UPDATE flags SET updated_at = 1 WHERE key = 'b'").run()
      },
    ],
  ])('makes no environment when a flag is %s meanwhile', async (_, act) => {
    await createFlag('a')
    await env.DB.prepare('UPDATE flags SET updated_at = 1').run()
    const answer = await apiWith(overtaken(act), 'PUT', '/environments/new', { name: 'x' }, from(0))
    expect(status(answer)).toEqual([412, 'stale'])
    expect(await rows("SELECT key FROM environments WHERE key = 'new'")).toEqual([])
    expect(await rows("SELECT * FROM flag_configurations WHERE environment = 'new'")).toEqual([])
  })

  it('copies no environment as it was before', async () => {
    await createFlag('a')
    const bindings = overtaken(() => configure(environment, 'a'))
    const draft = { name: 'x', copyFrom: environment }
    expect(status(await apiWith(bindings, 'PUT', '/environments/new', draft, from(0)))).toEqual([
      412,
      'stale',
    ])
  })

  it('is not made without a second person once the environment is protected', async () => {
    await createFlag('a')
    const protect = () => api('PUT', `/environments/${environment}`, { name: 'x', protected: true }, from(1))
    const json = { enabled: true, fallthrough: { variant: 'on' } }
    const path = `/flags/a/environments/${environment}`
    expect(status(await apiWith(overtaken(protect), 'PUT', path, json, from(1)))).toEqual([412, 'stale'])
    expect((await api('PUT', path, json, from(1))).status).toBe(202)
    expect((await api('GET', path)).body).toMatchObject({ enabled: false, revision: 1 })
  })

  it.each<[string, string, (of: string) => string, unknown, number]>([
    ['segment', 'PUT', (of) => `/environments/${of}/segments/s`, {}, 0],
    ['key', 'POST', (of) => `/environments/${of}/keys`, { kind: 'server', name: 'x' }, 0],
    [
      'configuration',
      'PUT',
      (of) => `/flags/a/environments/${of}`,
      { enabled: true, fallthrough: { variant: 'on' } },
      1,
    ],
    [
      'configuration, as if there were none,',
      'PUT',
      (of) => `/flags/a/environments/${of}`,
      { enabled: true, fallthrough: { variant: 'on' } },
      0,
    ],
  ])('leaves no %s in an environment that is deleted meanwhile', async (_, method, path, json, revision) => {
    await createFlag('a')
    const bindings = overtaken(() => deleteEnvironment(environment))
    const answer = await apiWith(bindings, method, path(environment), json, from(revision))
    expect(status(answer)).toEqual([412, 'stale'])
    for (const table of ['segments', 'keys', 'flag_configurations']) {
      expect([table, await rows(`SELECT * FROM ${table}`)]).toEqual([table, []])
    }
  })
})
