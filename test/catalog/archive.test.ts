import { beforeEach, describe, expect, it } from 'vitest'
import { refusalOf } from '../support/actors.ts'
import { auditAfter, auditEnd, emptyDatabase, rows } from '../support/database.ts'
import {
  type Answer,
  api,
  configure,
  createEnvironment,
  createFlag,
  createKey,
  createSegment,
  evaluate,
  evaluateAll,
  field,
  from,
  putConfiguration,
  putFlag,
  warm,
} from '../support/worker.ts'

const IN_STAFF = {
  offVariant: 'off',
  rules: [{ id: 'staff', when: { segment: 'staff' }, serve: { variant: 'on' } }],
  fallthrough: {
    split: {
      weights: [
        { variant: 'on', weight: 50 },
        { variant: 'off', weight: 50 },
      ],
      by: 'targetingKey',
      seed: 'seed-1',
    },
  },
}
const needing = (flag: string, variants = ['on']) => ({ prerequisites: [{ flag, variants }] })

let [first, second] = ['', '']
let [firstKey, secondKey] = ['', '']

beforeEach(async () => {
  await emptyDatabase()
  first = await createEnvironment()
  second = await createEnvironment()
  await createFlag('a', { tags: ['x'] })
  await createFlag('b')
  await createSegment(first, 'staff', { included: ['ada'] })
  await configure(first, 'a', IN_STAFF)
  await configure(second, 'a')
  await configure(first, 'b')
  firstKey = (await createKey(first)).key
  secondKey = (await createKey(second)).key
})

const archive = (flag: string, revision = 1, body: object = {}) =>
  api('POST', `/flags/${flag}/archive`, body, from(revision))
const unarchive = (flag: string, revision = 2, body: object = {}) =>
  api('POST', `/flags/${flag}/unarchive`, body, from(revision))
const configurationOf = async (flag: string, environment = first) =>
  (await api('GET', `/flags/${flag}/environments/${environment}`)).body
const deleteSegment = () => api('DELETE', `/environments/${first}/segments/staff`, undefined, from(1))

async function keysIn(query: string): Promise<unknown[]> {
  const { body } = await api('GET', `/flags${query}`)
  return (field(body, 'flags') as object[]).map((flag) => field(flag, 'key'))
}

/** What the edge answers to some people, of everything it has. */
async function answersIn(environment: string, key: string): Promise<unknown[]> {
  await warm(environment)
  const people = ['ada', 'bob', 'eve', 'joe'].map(async (targetingKey) => {
    const { body } = await evaluateAll(key, { targetingKey })
    return (field(body, 'flags') as object[]).map((flag) => [
      field(flag, 'key'),
      field(flag, 'reason'),
      field(flag, 'value'),
    ])
  })
  return Promise.all(people)
}

async function succeed(answer: Promise<Answer>): Promise<unknown> {
  const { status, body } = await answer
  expect([status, body]).toEqual([200, expect.anything()])
  return body
}

describe('an archived flag', () => {
  it('is at no edge, and is back as it was', async () => {
    const before = [await answersIn(first, firstKey), await answersIn(second, secondKey)]
    const configurations = [await configurationOf('a'), await configurationOf('a', second)]
    expect(await succeed(archive('a'))).toMatchObject({
      revision: 2,
      environments: { [first]: { published: true }, [second]: { published: true } },
    })
    for (const [environment, key] of [
      [first, firstKey],
      [second, secondKey],
    ] as const) {
      expect(
        (await answersIn(environment, key)).flat().map((flag) => Reflect.get(Object(flag), 0)),
      ).not.toContain('a')
      expect(await evaluate(key, 'a', {})).toMatchObject({
        status: 404,
        body: { errorCode: 'FLAG_NOT_FOUND' },
      })
    }
    expect([await configurationOf('a'), await configurationOf('a', second)]).toEqual(configurations)

    expect(await succeed(unarchive('a'))).toMatchObject({ revision: 3 })
    expect([await answersIn(first, firstKey), await answersIn(second, secondKey)]).toEqual(before)
    expect([await configurationOf('a'), await configurationOf('a', second)]).toEqual(configurations)
  })

  it('is listed among the archived alone', async () => {
    await succeed(archive('a'))
    expect(await keysIn('')).toEqual(['b'])
    expect(await keysIn('?archived=false')).toEqual(['b'])
    expect(await keysIn('?archived=true')).toEqual(['a'])
    expect(await keysIn('?archived=true&tag=x')).toEqual(['a'])
    expect((await api('GET', '/flags/a')).body).toMatchObject({
      archivedAt: expect.any(Number),
      environments: { [first]: { enabled: true }, [second]: { enabled: true } },
    })
    await succeed(unarchive('a'))
    expect(await keysIn('?archived=true')).toEqual([])
    expect(await keysIn('')).toEqual(['a', 'b'])
    expect((await api('GET', '/flags/a')).body).toMatchObject({ archivedAt: null })
  })

  it.each<[name: string, ask: () => Promise<Answer>]>([
    ['saved', () => putConfiguration(first, 'a', {}, 2)],
    ['patched', () => api('PATCH', `/flags/a/environments/${first}`, { enabled: false }, from(2))],
    [
      'switched off in an emergency',
      () => api('PATCH', `/flags/a/environments/${first}`, { enabled: false, emergency: true }, from(2)),
    ],
    ['copied', () => api('POST', '/flags/a/copy', { from: second, to: first }, from(2))],
    ['restored', () => api('POST', '/flags/a/restore', { environment: first, revision: 1 }, from(2))],
    ['saved later', () => putConfiguration(first, 'a', { applyAt: '2100-01-01T00:00:00Z' }, 2)],
    [
      'previewed',
      () =>
        api('POST', `/flags/a/environments/${first}/preview`, {
          enabled: true,
          fallthrough: { variant: 'on' },
        }),
    ],
  ])('has configurations that are not %s', async (_, ask) => {
    await succeed(archive('a'))
    const before = await configurationOf('a')
    expect(refusalOf(await ask())).toEqual([409, 'archived'])
    expect(await configurationOf('a')).toEqual(before)
  })

  it('has a definition that may change, which no environment notices', async () => {
    await succeed(archive('a'))
    const versions = 'SELECT key, version FROM environments ORDER BY key'
    const before = await rows(versions)
    expect(await succeed(putFlag('a', { description: 'still here', clientVisible: true }, 2))).toEqual({
      revision: 3,
      environments: {},
    })
    expect(await rows(versions)).toEqual(before)
    expect((await api('GET', '/flags/a')).body).toMatchObject({ archivedAt: expect.any(Number) })
    await succeed(unarchive('a', 3))
    expect((await api('GET', '/flags/a')).body).toMatchObject({ clientVisible: true, archivedAt: null })
  })

  it('is not archived twice, nor brought back when it is there', async () => {
    expect(refusalOf(await unarchive('a', 1))).toEqual([412, 'stale'])
    await succeed(archive('a'))
    expect(refusalOf(await archive('a', 2))).toEqual([409, 'archived'])
    expect(refusalOf(await unarchive('a', 1))).toEqual([412, 'stale'])
  })

  it.each([
    ['without its revision', {}, [428, 'revision_required']],
    ['at an old revision', from(2), [412, 'stale']],
  ])('is not archived %s', async (_, headers, refusal) => {
    expect(refusalOf(await api('POST', '/flags/a/archive', {}, headers))).toEqual(refusal)
  })

  it('cannot be one that does not exist', async () => {
    expect(refusalOf(await archive('none'))).toEqual([404, 'not_found'])
    expect(refusalOf(await unarchive('none'))).toEqual([404, 'not_found'])
  })

  it('may be deleted, with its configurations', async () => {
    await succeed(archive('a'))
    await succeed(api('DELETE', '/flags/a', undefined, from(2)))
    expect(await rows("SELECT environment FROM flag_configurations WHERE flag = 'a'")).toEqual([])
    expect(refusalOf(await unarchive('a', 3))).toEqual([404, 'not_found'])
    await createFlag('a')
    expect((await api('GET', '/flags/a')).body).toMatchObject({ revision: 4, archivedAt: null })
  })

  it('is in an environment that is made meanwhile, once it is back', async () => {
    await succeed(archive('a'))
    const copy = await createEnvironment({ copyFrom: first })
    const { key } = await createKey(copy)
    expect(await configurationOf('a', copy)).toMatchObject({ ...IN_STAFF, enabled: true })
    await warm(copy)
    expect((await evaluate(key, 'a', {})).status).toBe(404)
    await succeed(unarchive('a'))
    expect(await answersIn(copy, key)).toEqual(await answersIn(first, firstKey))
  })

  it('says in history and audit when it went, and why', async () => {
    const head = await auditEnd()
    await succeed(archive('a', 1, { comment: 'not needed' }))
    await succeed(putFlag('a', { description: 'noted', tags: ['x'] }, 2))
    await succeed(unarchive('a', 3, { comment: 'needed' }))
    const { body } = await api('GET', '/flags/a/history?limit=3')
    const told = (field(body, 'revisions') as object[]).map((revision) => [
      field(revision, 'revision'),
      field(revision, 'comment'),
      (field(revision, 'differences') as object[]).map((difference) => field(difference, 'text')),
    ])
    expect(told).toEqual([
      [4, 'needed', ['no longer archived']],
      [3, '', ['description is now "noted"']],
      [2, 'not needed', ['archived: it is at no edge now']],
    ])
    expect(await auditAfter(head)).toMatchObject([
      { action: 'flag.archive', target_key: 'a', comment: 'not needed' },
      { action: 'flag.save' },
      { action: 'flag.unarchive', target_key: 'a', comment: 'needed' },
    ])
  })
})

describe('what an archived flag names', () => {
  it('may go meanwhile; it then does not come back before that does', async () => {
    await succeed(archive('a'))
    await succeed(deleteSegment())
    expect(refusalOf(await unarchive('a'))).toEqual([422, 'unknown_reference'])
    expect((await api('GET', '/flags/a')).body).toMatchObject({ archivedAt: expect.any(Number), revision: 2 })
    await createSegment(first, 'staff')
    await succeed(unarchive('a'))
  })

  it('stays while it is not archived', async () => {
    expect(refusalOf(await deleteSegment())).toEqual([409, 'still_referenced'])
    await succeed(archive('a'))
    await succeed(unarchive('a'))
    expect(refusalOf(await deleteSegment())).toEqual([409, 'still_referenced'])
  })

  it('may lose the variant that it asks for, and then it does not come back', async () => {
    await succeed(
      putFlag(
        'b',
        {
          variants: [
            { name: 'on', value: true },
            { name: 'off', value: false },
            { name: 'later', value: true },
          ],
        },
        1,
      ),
    )
    await configure(first, 'a', { ...IN_STAFF, ...needing('b', ['later']) }, 2)
    await succeed(archive('a'))
    await succeed(putFlag('b', {}, 2))
    expect(refusalOf(await unarchive('a'))).toEqual([422, 'unknown_variant'])
  })

  it('may be archived too, and comes back first', async () => {
    await configure(first, 'a', { ...IN_STAFF, ...needing('b') }, 2)
    await succeed(archive('a'))
    await succeed(archive('b'))
    expect(refusalOf(await unarchive('a'))).toEqual([422, 'unknown_reference'])
    await succeed(unarchive('b'))
    await succeed(unarchive('a'))
  })

  it('may come to need it meanwhile, so that a circle would close', async () => {
    await configure(first, 'a', { ...IN_STAFF, ...needing('b') }, 2)
    await succeed(archive('a'))
    expect(refusalOf(await putConfiguration(first, 'b', needing('a'), 2))).toEqual([422, 'unknown_reference'])
  })
})

describe('a flag that another needs', () => {
  it.each([
    ['archived', () => archive('b')],
    ['deleted', () => api('DELETE', '/flags/b', undefined, from(1))],
  ])('is not %s', async (_, ask) => {
    await configure(first, 'a', { ...IN_STAFF, ...needing('b') }, 2)
    expect(refusalOf(await ask())).toEqual([409, 'still_referenced'])
    await configure(first, 'a', IN_STAFF, 3)
    expect((await ask()).status).toBe(200)
  })

  it('may be archived when the one that needs it is', async () => {
    await configure(first, 'a', { ...IN_STAFF, ...needing('b') }, 2)
    await succeed(archive('a'))
    await succeed(archive('b'))
  })
})
