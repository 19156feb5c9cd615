// Metrics: defined once, in every environment, and fixed while they are watched.
import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { hubOf } from '../../src/catalog/hub-protocol.ts'
import { readSnapshotText } from '../../src/engine/snapshot-text.ts'
import { apiAs, createActor } from '../support/actors.ts'
import { apiWith, deleteEnvironment, OK, status } from '../support/catalog.ts'
import { auditAfter, auditEnd, dump, emptyDatabase, overtaken, rows } from '../support/database.ts'
import { endMeasurement, measure, putMetric } from '../support/measurements.ts'
import { api, createEnvironment, createFlag, field, from, silenceLogs } from '../support/worker.ts'

silenceLogs()

beforeEach(emptyDatabase)

const get = (key: string) => api('GET', `/metrics/${key}`)
const remove = (key: string, revision = 1) => api('DELETE', `/metrics/${key}`, undefined, from(revision))
const problemsOf = (body: unknown) =>
  Object(field(field(body, 'error'), 'details')).map(({ path, rule }: { path: string; rule: string }) => [
    path,
    rule,
  ])

/** The metrics of an environment's snapshot, by key. */
async function published(environment: string): Promise<{ readonly [key: string]: unknown }> {
  const read = readSnapshotText((await hubOf(env, environment).whole()) ?? '')
  if (!read.ok) throw new Error(read.error)
  const texts = [...(read.value.sections.metrics ?? [])]
  return Object.fromEntries(texts.map(([key, text]) => [key, JSON.parse(text)]))
}

const ERRORS = { event: 'error', kind: 'error', description: 'It broke', tags: ['shop'], owner: 'team' }

/** An error as whoever counts sees it. */
const COUNTED = {
  ...{ event: 'error', kind: 'error', denominator: null, unit: 'user', goodDirection: 'down', cap: null },
  preExposure: false,
}

describe('a metric', () => {
  it('is in every environment, also in one that is made later, and goes with it', async () => {
    const first = await createEnvironment()
    const made = await putMetric('checkout.error', ERRORS)
    expect([made.status, made.headers.get('etag'), made.body]).toEqual([
      200,
      '"1"',
      { revision: 1, environments: { [first]: { version: 2, published: true } } },
    ])
    const second = await createEnvironment()
    expect(await published(first)).toEqual({ 'checkout.error': COUNTED })
    expect(await published(second)).toEqual({ 'checkout.error': COUNTED })
    expect((await deleteEnvironment(first)).status).toBe(200)
    expect(await published(second)).toEqual({ 'checkout.error': COUNTED })
    const removed = await remove('checkout.error')
    expect([removed.status, removed.body]).toEqual([
      200,
      { revision: 0, environments: { [second]: { version: 2, published: true } } },
    ])
    expect(await published(second)).toEqual({})
  })

  it('is shown as it was saved', async () => {
    await putMetric('checkout.error', ERRORS)
    const { status, headers, body } = await get('checkout.error')
    expect([status, headers.get('etag'), body]).toEqual([
      200,
      '"1"',
      {
        key: 'checkout.error',
        ...COUNTED,
        ...{ description: 'It broke', tags: ['shop'], owner: 'team', revision: 1 },
        ...{ createdAt: expect.any(Number), updatedAt: expect.any(Number) },
      },
    ])
  })

  it.each([
    ['conversion', 'up'],
    ['count', 'up'],
    ['mean', 'up'],
    ['ratio', 'up'],
    ['error', 'down'],
    ['latency', 'down'],
    ['resource', 'down'],
  ])('of the kind %s is good when it goes %s, unless it says else', async (kind, direction) => {
    const denominator = kind === 'ratio' ? 'visit' : null
    const other = direction === 'up' ? 'down' : 'up'
    await putMetric('metric', { kind, denominator })
    expect((await get('metric')).body).toMatchObject({ kind, goodDirection: direction })
    await putMetric('metric', { kind, denominator, goodDirection: other }, 1)
    expect((await get('metric')).body).toMatchObject({ goodDirection: other })
  })

  it('that says something new of itself alone touches no environment', async () => {
    const environment = await createEnvironment()
    await putMetric('metric', { kind: 'error' })
    const noted = await putMetric('metric', { kind: 'error', description: 'Broken', tags: ['a'] }, 1)
    expect([noted.status, noted.body]).toEqual([200, { revision: 2, environments: {} }])
    const counted = await putMetric('metric', { kind: 'error', preExposure: true }, 2)
    expect(counted.body).toEqual({
      revision: 3,
      environments: { [environment]: { version: 3, published: true } },
    })
  })

  it('that is unusual is stored and published as it was sent', async () => {
    const environment = await createEnvironment()
    const draft = {
      ...{ event: `é"\n'; DROP TABLE metrics`, kind: 'ratio', denominator: '🙂'.repeat(100), unit: 'a.b' },
      ...{ goodDirection: 'up', cap: 0.1, preExposure: true },
    }
    expect((await putMetric('A1._-', draft)).status).toBe(200)
    expect(await published(environment)).toEqual({ 'A1._-': draft })
    expect((await get('A1._-')).body).toMatchObject(draft)
  })
})

it('a metric may have a key of 100 characters and an event of 200', async () => {
  expect(status(await putMetric('k'.repeat(100), { event: 'e'.repeat(200) }))).toEqual(OK)
})

describe('a metric is refused', () => {
  it.each<[string, object, readonly (readonly string[])[]]>([
    ['without an event', { event: '' }, [['event', 'limit']]],
    ['with an event of 201 characters', { event: 'e'.repeat(201) }, [['event', 'limit']]],
    ['as a ratio of nothing', { kind: 'ratio' }, [['denominator', 'type']]],
    ['as a ratio of an empty name', { kind: 'ratio', denominator: '' }, [['denominator', 'limit']]],
    ['with a denominator that it has no use for', { denominator: 'visit' }, [['denominator', 'type']]],
    ['with a cap of nothing', { kind: 'count', cap: 0 }, [['cap', 'limit']]],
    ['with a cap below nothing', { kind: 'mean', cap: -1 }, [['cap', 'limit']]],
    ['with a cap on a conversion', { cap: 1 }, [['cap', 'type']]],
    ['with a cap on a latency', { kind: 'latency', cap: 1 }, [['cap', 'type']]],
    ['for an attribute instead of a kind of unit', { unit: 'company.id' }, [['unit', 'type']]],
    ['for the targeting key', { unit: 'targetingKey' }, [['unit', 'type']]],
    ['for no unit', { unit: '' }, [['unit', 'limit']]],
    [
      'for all of it at once',
      { event: '', kind: 'error', denominator: 'x', cap: 1 },
      [
        ['event', 'limit'],
        ['denominator', 'type'],
        ['cap', 'type'],
      ],
    ],
  ])('%s', async (_, draft, problems) => {
    const before = await dump()
    const { status, body } = await putMetric('metric', draft)
    expect([status, field(field(body, 'error'), 'code'), problemsOf(body)]).toEqual([
      422,
      'invalid',
      problems,
    ])
    expect(await dump()).toEqual(before)
  })

  it.each([
    ['a kind that there is not', 'metric', { kind: 'median' }],
    ['a cap that is no number', 'metric', { kind: 'count', cap: '1' }],
    ['a direction that is none', 'metric', { goodDirection: 'left' }],
    ['a field that is not known', 'metric', { window: 1 }],
    ['a key with a blank', 'a%20b', {}],
    ['a key that is a way up', '..%2Fflags', {}],
    ['a key that begins with a dot', '.a', {}],
    ['a key of 101 characters', 'k'.repeat(101), {}],
  ])('with %s', async (_, key, draft) => {
    expect(status(await putMetric(key, draft))).toEqual([400, 'malformed'])
  })

  describe('as the 501st', () => {
    beforeEach(async () => {
      await env.DB.prepare(
        `INSERT INTO metrics (key, event, kind, unit, good_direction, pre_exposure, description, tags, owner, search,
          revision, created_at, updated_at)
        SELECT 'filled-' || value, 'e', 'count', 'user', 'up', 0, '', '[]', '', '', 1, 0, 0 FROM json_each(?)`,
      )
        .bind(JSON.stringify(Array.from({ length: 499 }, (_, i) => i)))
        .run()
    })

    it('and as nothing less', async () => {
      expect(status(await putMetric('last'))).toEqual(OK)
      expect(status(await putMetric('more'))).toEqual([422, 'too_many'])
      expect(status(await putMetric('last', { event: 'other' }, 1))).toEqual(OK)
    })

    it('also when the 500th comes in between', async () => {
      const bindings = overtaken(() => putMetric('quicker'))
      const late = await apiWith(bindings, 'PUT', '/metrics/late', { event: 'e', kind: 'count' }, from(0))
      expect(status(late)).toEqual([412, 'stale'])
      expect(await rows('SELECT count(*) AS count FROM metrics')).toEqual([{ count: 500 }])
    })
  })
})

describe('metrics', () => {
  it('are listed by key, in pages, and searched in all that they say', async () => {
    for (const key of ['b', 'a', 'c']) await putMetric(key, { event: `${key}-event`, owner: 'Team One' })
    await putMetric('d', { event: 'PAID', tags: ['Money'], description: 'What came in' })
    const keysOf = (body: unknown) => Object(field(body, 'metrics')).map(({ key }: { key: string }) => key)
    const first = await api('GET', '/metrics?limit=2')
    expect(keysOf(first.body)).toEqual(['a', 'b'])
    const next = await api('GET', `/metrics?limit=2&cursor=${field(first.body, 'nextCursor')}`)
    expect([keysOf(next.body), field(next.body, 'nextCursor')]).toEqual([['c', 'd'], null])
    const found = async (search: string) =>
      keysOf((await api('GET', `/metrics?search=${encodeURIComponent(search)}`)).body)
    expect(await found('team ONE')).toEqual(['a', 'b', 'c'])
    expect(await found('b-ev')).toEqual(['b'])
    expect(await found('paid money came')).toEqual(['d'])
    expect(await found('paid team')).toEqual([])
    expect(await found('%')).toEqual([])
  })

  it('that are made anew go on with their revisions, and remember', async () => {
    await putMetric('metric')
    await putMetric('metric', { event: 'other' }, 1)
    await remove('metric', 2)
    expect((await putMetric('metric', { event: 'third' })).body).toMatchObject({ revision: 4 })
    const { body } = await api('GET', '/metrics/metric/history')
    const entries = Object(field(body, 'revisions'))
    const told = entries.map(
      ({ revision, differences }: { revision: number; differences: { text: string }[] }) => [
        revision,
        differences.map(({ text }) => text)[0],
      ],
    )
    expect(told).toEqual([
      [4, 'created'],
      [3, 'deleted'],
      [2, 'event is now "other" (was "metric")'],
      [1, 'created'],
    ])
    const restored = await api('POST', '/metrics/metric/restore', { revision: 2 }, from(4))
    expect([restored.status, field(restored.body, 'revision')]).toEqual([200, 5])
    expect((await get('metric')).body).toMatchObject({ event: 'other' })
    expect(status(await api('POST', '/metrics/metric/restore', { revision: 3 }, from(5)))).toEqual([
      409,
      'deleted',
    ])
  })

  it('are written to the audit', async () => {
    const environment = await createEnvironment()
    const end = await auditEnd()
    await putMetric('metric', { comment: 'we sell' })
    await putMetric('metric', { event: 'other' }, 1)
    await remove('metric', 2)
    expect(await auditAfter(end)).toMatchObject([
      {
        action: 'metric.create',
        target_kind: 'metric',
        target_key: 'metric',
        comment: 'we sell',
        environments: JSON.stringify({ [environment]: 2 }),
      },
      { action: 'metric.save' },
      { action: 'metric.delete' },
    ])
  })

  it('need a second person where an environment does, but for a new one', async () => {
    await createEnvironment({ protected: true })
    const [author, approver] = [await createActor(), await createActor({ role: 'releaser' })]
    const put = (draft: object, revision: number) =>
      apiAs(author, 'PUT', '/metrics/metric', { kind: 'count', ...draft }, from(revision))
    expect((await put({ event: 'pay' }, 0)).status).toBe(200)
    const waiting = [await put({ event: 'other' }, 1), await put({ event: 'third' }, 1)]
    expect(waiting.map(({ status }) => status)).toEqual([202, 202])
    expect((await get('metric')).body).toMatchObject({ event: 'pay', revision: 1 })
    const [first, second] = waiting.map(
      ({ body }) => `/change-requests/${field(field(body, 'changeRequest'), 'id')}`,
    )
    expect((await apiAs(approver, 'POST', `${first}/approve`, {})).status).toBe(200)
    expect((await get('metric')).body).toMatchObject({ event: 'other', revision: 2 })
    expect((await api('GET', String(second))).body).toMatchObject({ stale: true })
  })

  describe('and an environment that is made at the same time', () => {
    const draft = { event: 'other', kind: 'count' }

    it.each<[string, string, object | undefined, number]>([
      ['made', 'PUT', draft, 0],
      ['changed', 'PUT', draft, 1],
      ['deleted', 'DELETE', undefined, 1],
    ])('are not %s past it', async (_, method, json, revision) => {
      await createEnvironment()
      if (revision > 0) await putMetric('metric')
      let quicker = ''
      const bindings = overtaken(async () => {
        quicker = await createEnvironment()
      })
      const late = await apiWith(bindings, method, '/metrics/metric', json, from(revision))
      expect(status(late)).toEqual([412, 'stale'])
      expect(Object.keys(await published(quicker))).toEqual(revision > 0 ? ['metric'] : [])
    })

    it('are not left out of it', async () => {
      await createEnvironment()
      const bindings = overtaken(() => putMetric('metric'))
      const late = await apiWith(bindings, 'PUT', '/environments/late', { name: 'Late' }, from(0))
      expect(status(late)).toEqual([412, 'stale'])
    })
  })
})

describe('a metric that is watched', () => {
  const watch = async (draft: object = {}) => {
    const environment = await createEnvironment()
    await createFlag('flag')
    await putMetric('metric', { kind: 'count', ...draft })
    const id = await measure(environment, { flag: 'flag', id: 'one', metrics: [{ key: 'metric' }] })
    return { environment, id }
  }

  it.each([
    ['another event', { event: 'other' }],
    ['another kind', { kind: 'mean' }],
    ['another unit', { unit: 'company' }],
    ['a cap', { cap: 3 }],
  ])('does not get %s, and says who watches it', async (_, draft) => {
    const { environment } = await watch()
    const before = await dump()
    const answer = await putMetric('metric', { kind: 'count', ...draft }, 1)
    expect(status(answer)).toEqual([409, 'metric_in_use'])
    expect(field(field(answer.body, 'error'), 'details')).toEqual([
      { environment, flag: 'flag', id: 'one', kind: 'rollout' },
    ])
    expect(await dump()).toEqual(before)
  })

  it('stands in the way of no other', async () => {
    await watch()
    await putMetric('other')
    expect(status(await putMetric('other', { kind: 'error' }, 1))).toEqual(OK)
    expect(status(await remove('other', 2))).toEqual(OK)
  })

  it('does not get another denominator', async () => {
    await watch({ kind: 'ratio', denominator: 'visit' })
    const answer = await putMetric('metric', { kind: 'ratio', denominator: 'view' }, 1)
    expect(status(answer)).toEqual([409, 'metric_in_use'])
  })

  it('may be described, and looked at the other way round', async () => {
    await watch()
    const draft = { kind: 'count', goodDirection: 'down', description: 'Calls', preExposure: true }
    expect(status(await putMetric('metric', draft, 1))).toEqual(OK)
  })

  it('is deleted once it no longer is', async () => {
    const { environment, id } = await watch()
    expect(status(await remove('metric'))).toEqual([409, 'metric_in_use'])
    await endMeasurement(environment, id, 'flag')
    expect(status(await remove('metric'))).toEqual(OK)
  })

  it('is neither deleted nor changed by who has not seen that it is', async () => {
    const environment = await createEnvironment()
    await createFlag('flag')
    await putMetric('metric', { kind: 'count' })
    const bindings = () =>
      overtaken(() => measure(environment, { flag: 'flag', id: 'one', metrics: [{ key: 'metric' }] }))
    const removed = await apiWith(bindings(), 'DELETE', '/metrics/metric', undefined, from(1))
    expect(status(removed)).toEqual([409, 'still_referenced'])
    await endMeasurement(environment, 'one', 'flag')
    const draft = { event: 'other', kind: 'count' }
    const changed = await apiWith(bindings(), 'PUT', '/metrics/metric', draft, from(1))
    expect(status(changed)).toEqual([409, 'still_referenced'])
    expect(await published(environment)).toMatchObject({ metric: { event: 'metric' } })
  })
})
