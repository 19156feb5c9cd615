import { beforeEach, describe, expect, it } from 'vitest'
import { apiAs, createActor, refusalOf } from '../support/actors.ts'
import { emptyDatabase } from '../support/database.ts'
import {
  type Answer,
  api,
  configure,
  createEnvironment,
  createFlag,
  createKey,
  createSegment,
  evaluate,
  field,
  from,
  moveClock,
  ON_OFF,
  putConfiguration,
  putFlag,
  putSegment,
  stopClock,
  warm,
} from '../support/worker.ts'

const split = (on: number, seed?: string) => ({
  split: {
    weights: [
      { variant: 'on', weight: on },
      { variant: 'off', weight: 100 - on },
    ],
    by: 'targetingKey',
    ...(seed === undefined ? {} : { seed }),
  },
})
const ON = { enabled: true, offVariant: null, fallthrough: { variant: 'on' } }

let [first, second] = ['', '']

beforeEach(async () => {
  stopClock()
  await emptyDatabase()
  first = await createEnvironment()
  second = await createEnvironment()
})

type Revision = {
  readonly kind: string
  readonly environment: string
  readonly revision: number
  readonly at: number
  readonly differences: readonly { readonly path: string; readonly kind: string; readonly text: string }[]
}

async function historyOf(path: string, token = 'test-admin') {
  const { status, body } = await apiAs(token, 'GET', path)
  expect(status).toBe(200)
  return {
    revisions: field(body, 'revisions') as readonly Revision[],
    nextCursor: field(body, 'nextCursor') as string | null,
  }
}

const flagHistory = async (query = '') => (await historyOf(`/flags/a/history${query}`)).revisions
const configurationHistory = async () =>
  (await flagHistory(`?environment=${first}`)).filter(({ kind }) => kind === 'configuration')
const textsOf = ({ differences }: Revision) => differences.map(({ text }) => text)
const configurationOf = async (flag = 'a', environment = first) =>
  (await api('GET', `/flags/${flag}/environments/${environment}`)).body
const segmentPath = () => `/environments/${first}/segments/staff`
const deleteFlag = (revision: number) => api('DELETE', '/flags/a', undefined, from(revision))

function restore(what: object, revision: number, path = '/flags/a'): Promise<Answer> {
  moveClock(1)
  return api('POST', `${path}/restore`, what, from(revision))
}

async function succeed(answer: Promise<Answer>): Promise<unknown> {
  const { status, body } = await answer
  expect([status, body]).toEqual([200, expect.anything()])
  return body
}

describe('history', () => {
  it('says of every revision who, when, why, where, and what changed', async () => {
    const start = Date.now()
    const ada = await createActor({ owner: 'ada@example.com', role: 'admin' })
    await createFlag('a', { comment: 'begin' })
    moveClock(1_000)
    const draft = {
      type: 'boolean',
      variants: ON_OFF,
      description: 'The checkout',
      owner: 'web',
      comment: 'told',
    }
    await apiAs(ada, 'PUT', '/flags/a', draft, from(1))
    moveClock(1_000)
    const configuration = { ...ON, rules: [], comment: 'everybody' }
    await apiAs(ada, 'PUT', `/flags/a/environments/${first}`, configuration, from(1))

    const revisions = await flagHistory()
    expect(revisions).toHaveLength(5)
    expect(revisions.slice(0, 2)).toEqual([
      {
        ...{ kind: 'configuration', environment: first, key: 'a', revision: 2, actor: 'ada@example.com' },
        ...{ comment: 'everybody', at: start + 2_000, environments: { [first]: 3 } },
        differences: [{ path: 'enabled', kind: 'changed', before: false, after: true, text: 'switched on' }],
      },
      {
        ...{ kind: 'flag', environment: '', key: 'a', revision: 2, actor: 'ada@example.com' },
        ...{ comment: 'told', at: start + 1_000, environments: {} },
        differences: [
          {
            path: 'description',
            kind: 'added',
            after: 'The checkout',
            text: 'description is now "The checkout"',
          },
          { path: 'owner', kind: 'added', after: 'web', text: 'owner is now "web"' },
        ],
      },
    ])
    const created = revisions.slice(2)
    expect(created.map(({ kind, environment }) => [kind, environment]).toSorted()).toEqual([
      ['configuration', first],
      ['configuration', second],
      ['flag', ''],
    ])
    for (const revision of created) {
      expect(revision).toMatchObject({ actor: 'admin', comment: 'begin', revision: 1, at: start })
      expect(revision).toMatchObject({ environments: { [first]: 2, [second]: 2 } })
      expect(textsOf(revision)[0]).toBe('created')
    }
  })

  it('tells of a segment what people changed of it', async () => {
    await createSegment(first, 'staff', { included: ['ada'] })
    await putSegment(first, 'staff', { included: ['ada', 'bob'], description: 'us' }, 1)
    await api('DELETE', segmentPath(), undefined, from(2))
    const { revisions } = await historyOf(`${segmentPath()}/history`)
    expect(revisions.map((revision) => [revision.revision, textsOf(revision)])).toEqual([
      [3, ['deleted']],
      [2, ['description is now "us"', '1 unit now included: bob']],
      [1, ['created', '1 unit now included: ada']],
    ])
  })

  it.each([
    ['of a flag', '/flags/none/history'],
    ['of a segment', () => `/environments/${first}/segments/none/history`],
  ])('is not found %s that never was', async (_, path) => {
    const answer = await api('GET', typeof path === 'string' ? path : path())
    expect(refusalOf(answer)).toEqual([404, 'not_found'])
  })

  it('is paged, though everything happened in one instant', async () => {
    await createFlag('a')
    for (let revision = 1; revision < 4; revision++) {
      await configure(first, 'a', { ...ON, enabled: revision % 2 === 0 }, revision)
      await configure(second, 'a', { ...ON, enabled: revision % 2 === 0 }, revision)
      await putFlag('a', { description: `${revision}` }, revision)
    }
    const whole = await flagHistory()
    expect(whole).toHaveLength(12)
    expect(new Set(whole.map(({ at }) => at)).size).toBe(1)
    for (const limit of [1, 5, 11, 12]) {
      const seen: Revision[] = []
      for (let cursor: string | null = ''; cursor !== null; ) {
        const query: string = cursor === '' ? '' : `&cursor=${cursor}`
        const page = await historyOf(`/flags/a/history?limit=${limit}${query}`)
        expect(page.revisions.length).toBeLessThanOrEqual(limit)
        seen.push(...page.revisions)
        cursor = page.nextCursor
      }
      expect(seen).toEqual(whole)
    }
  })

  it('keeps its place in the pages while more happens', async () => {
    await createFlag('a')
    const before = await flagHistory()
    const { revisions, nextCursor } = await historyOf('/flags/a/history?limit=1')
    await configure(first, 'a', ON)
    moveClock(1_000)
    await putFlag('a', { description: 'more' }, 1)
    const rest = await historyOf(`/flags/a/history?limit=200&cursor=${nextCursor}`)
    const own = [...revisions, ...rest.revisions].filter(({ revision }) => revision === 1)
    expect(own).toEqual(before)
  })

  it.each(['limit=0', 'limit=201', 'cursor=none', 'environment=A'])(
    'does not understand %s',
    async (query) => {
      await createFlag('a')
      expect(refusalOf(await api('GET', `/flags/a/history?${query}`))).toEqual([400, 'malformed'])
    },
  )

  it('of one environment leaves out the others', async () => {
    await createFlag('a')
    await configure(first, 'a', ON)
    await configure(second, 'a', ON)
    const shown = (await flagHistory(`?environment=${first}`)).map(({ environment }) => environment)
    expect(shown.toSorted()).toEqual(['', first, first])
  })

  it('hides the configurations of environments that are not reached', async () => {
    await createFlag('a')
    await configure(first, 'a', ON)
    await configure(second, 'a', ON)
    const token = await createActor({ role: 'viewer', environments: [first] })
    const shown = await historyOf('/flags/a/history', token)
    expect(shown.revisions.map(({ environment }) => environment).toSorted()).toEqual(['', first, first])
    const beyond = await apiAs(token, 'GET', `/flags/a/history?environment=${second}`)
    expect(refusalOf(beyond)).toEqual([403, 'wrong_environment'])
    const segment = await apiAs(token, 'GET', `/environments/${second}/segments/staff/history`)
    expect(refusalOf(segment)).toEqual([403, 'wrong_environment'])
  })

  it('goes on with its numbers after a deletion', async () => {
    await createFlag('a')
    await configure(first, 'a', ON)
    await succeed(deleteFlag(1))
    expect(await flagHistory()).not.toEqual([])
    await createFlag('a', { description: 'again' })
    expect((await api('GET', '/flags/a')).body).toMatchObject({ revision: 3 })
    expect(await configurationOf()).toMatchObject({ revision: 4, enabled: false })
    expect((await configurationHistory()).map((entry) => [entry.revision, textsOf(entry)[0]])).toEqual([
      [4, 'created'],
      [3, 'deleted'],
      [2, 'switched on'],
      [1, 'created'],
    ])
  })
})

describe('a restored definition', () => {
  beforeEach(async () => {
    await createFlag('a', { description: 'first', tags: ['x'] })
    await putFlag('a', { description: 'second', clientVisible: true }, 1)
  })

  it('is what it was, as a new revision', async () => {
    const before = (await configurationHistory()).length
    expect(await succeed(restore({ revision: 1, comment: 'back' }, 2))).toMatchObject({ revision: 3 })
    expect((await api('GET', '/flags/a')).body).toMatchObject({
      ...{ description: 'first', tags: ['x'], clientVisible: false, revision: 3 },
    })
    expect((await flagHistory())[0]).toMatchObject({ kind: 'flag', revision: 3, comment: 'back' })
    expect(await configurationHistory()).toHaveLength(before)
  })

  it('brings a deleted flag back, switched off', async () => {
    await configure(first, 'a', ON)
    await succeed(deleteFlag(2))
    expect(await succeed(restore({ revision: 2 }, 0))).toMatchObject({ revision: 4 })
    expect((await api('GET', '/flags/a')).body).toMatchObject({ description: 'second', clientVisible: true })
    expect(await configurationOf()).toMatchObject({ enabled: false })
  })

  it('must still fit what is configured', async () => {
    await putFlag('a', { variants: [...ON_OFF, { name: 'later', value: true }] }, 2)
    await configure(first, 'a', { ...ON, fallthrough: { variant: 'later' } })
    expect(refusalOf(await restore({ revision: 1 }, 3))).toEqual([422, 'invalid'])
  })

  it.each<[name: string, what: object, revision: number | undefined, refusal: unknown]>([
    ['of an unknown revision', { revision: 9 }, 2, [404, 'not_found']],
    ['of the deletion', { revision: 3 }, 4, [409, 'deleted']],
    ['from an old revision', { revision: 1 }, 1, [412, 'stale']],
    ['from no revision', { revision: 1 }, undefined, [428, 'revision_required']],
    ['of no number', { revision: 0 }, 2, [400, 'malformed']],
  ])('is refused %s', async (name, what, revision, refusal) => {
    if (name.includes('deletion')) {
      await succeed(deleteFlag(2))
      await createFlag('a')
    }
    const headers = revision === undefined ? {} : from(revision)
    expect(refusalOf(await api('POST', '/flags/a/restore', what, headers))).toEqual(refusal)
  })

  it('needs the right to change it', async () => {
    const viewer = await createActor({ role: 'viewer' })
    expect(refusalOf(await apiAs(viewer, 'POST', '/flags/a/restore', { revision: 1 }, from(2)))).toEqual([
      ...[403, 'forbidden'],
    ])
    const limited = await createActor({ environments: [first] })
    expect(refusalOf(await apiAs(limited, 'POST', '/flags/a/restore', { revision: 1 }, from(2)))).toEqual([
      ...[403, 'wrong_environment'],
    ])
  })
})

describe('a restored configuration', () => {
  const UNITS = Array.from({ length: 100 }, (_, index) => `unit-${index}`)
  const rule = (serve: object) => ({
    rules: [{ id: 'r', when: { attribute: 'x', op: 'exists', values: [] }, serve }],
  })
  const restoreConfiguration = (what: object, revision: number) =>
    restore({ environment: first, ...what }, revision)
  const seedOf = (configuration: unknown) =>
    field(field(field(configuration, 'fallthrough'), 'split'), 'seed')

  beforeEach(async () => {
    await createFlag('a')
    await configure(first, 'a', { ...ON, fallthrough: split(30) })
  })

  it('is what it was, with its seeds: everybody gets again what they had', async () => {
    const { key } = await createKey(first)
    const answers = async () => {
      await warm(first)
      const all = UNITS.map(async (targetingKey) => (await evaluate(key, 'a', { targetingKey })).body)
      return (await Promise.all(all)).map((body) => field(body, 'variant'))
    }
    const [before, configuration] = [await answers(), await configurationOf()]
    expect(new Set(before).size).toBe(2)
    await configure(first, 'a', ON, 2)
    expect(new Set(await answers()).size).toBe(1)
    expect(await succeed(restoreConfiguration({ revision: 2, comment: 'back' }, 3))).toMatchObject({
      revision: 4,
    })
    expect(await answers()).toEqual(before)
    expect(await configurationOf()).toEqual({ ...Object(configuration), revision: 4, updatedAt: Date.now() })
    expect((await flagHistory())[0]).toMatchObject({ kind: 'configuration', revision: 4, comment: 'back' })
  })

  it('keeps the seed that a place has got since, so that nobody moves by it', async () => {
    const seed = seedOf(await configurationOf())
    await configure(first, 'a', ON, 2)
    await configure(first, 'a', { ...ON, fallthrough: split(30) }, 3)
    const newSeed = seedOf(await configurationOf())
    expect(newSeed).not.toBe(seed)
    await configure(first, 'a', { ...ON, enabled: false, fallthrough: split(30) }, 4)
    await succeed(restoreConfiguration({ revision: 2 }, 5))
    expect(await configurationOf()).toMatchObject({ enabled: true, fallthrough: split(30, String(newSeed)) })
  })

  it('keeps the seeds of rules by their ids', async () => {
    await configure(first, 'a', { ...ON, ...rule(split(50)), allowMoves: true }, 2)
    await configure(first, 'a', { ...ON, ...rule({ variant: 'on' }) }, 3)
    await configure(first, 'a', { ...ON, ...rule(split(50)) }, 4)
    const now = await configurationOf()
    await succeed(restoreConfiguration({ revision: 3 }, 5))
    expect(await configurationOf()).toEqual({ ...Object(now), revision: 6, updatedAt: Date.now() })
  })

  it('is refused when units would move, unless they may', async () => {
    await configure(first, 'a', { ...ON, fallthrough: split(80), allowMoves: true }, 2)
    const refused = await restoreConfiguration({ revision: 2 }, 3)
    expect(refusalOf(refused)).toEqual([409, 'moves_units'])
    expect(field(field(refused.body, 'error'), 'details')).toMatchObject({
      moved: { share: 0.5, exact: true },
    })
    await succeed(restoreConfiguration({ revision: 2, allowMoves: true }, 3))
    expect(await configurationOf()).toMatchObject({
      fallthrough: split(30, String(seedOf(await configurationOf()))),
    })
  })

  it('is one that was before the flag was deleted and made anew', async () => {
    const before = await configurationOf()
    await succeed(deleteFlag(1))
    await createFlag('a')
    await succeed(restoreConfiguration({ revision: 2 }, 4))
    expect(await configurationOf()).toEqual({ ...Object(before), revision: 5, updatedAt: Date.now() })
  })

  it.each<[name: string, what: object, refusal: unknown]>([
    ['of an unknown revision', { revision: 9 }, [404, 'not_found']],
    [
      'of another environment, which has none of that number',
      { revision: 2, environment: 'none' },
      [404, 'not_found'],
    ],
    ['of an environment that cannot be', { revision: 2, environment: 'A' }, [400, 'malformed']],
  ])('is refused %s', async (_, what, refusal) => {
    expect(refusalOf(await restoreConfiguration(what, 2))).toEqual(refusal)
  })

  it('is refused of a revision that is its deletion', async () => {
    await succeed(deleteFlag(1))
    await createFlag('a')
    expect(refusalOf(await restoreConfiguration({ revision: 3 }, 4))).toEqual([409, 'deleted'])
  })

  it('must still be valid, and name what there is', async () => {
    await createSegment(first, 'staff')
    await configure(first, 'a', { ...ON, ...rule({ variant: 'on' }), targets: [] }, 2)
    await configure(
      first,
      'a',
      { ...ON, rules: [{ id: 's', when: { segment: 'staff' }, serve: { variant: 'on' } }] },
      3,
    )
    await configure(first, 'a', ON, 4)
    await api('DELETE', segmentPath(), undefined, from(1))
    expect(refusalOf(await restoreConfiguration({ revision: 4 }, 5))).toEqual([422, 'unknown_reference'])
    await putFlag('a', { variants: [{ name: 'on', value: true }] }, 1)
    expect(refusalOf(await restoreConfiguration({ revision: 2 }, 5))).toEqual([422, 'invalid'])
  })

  it('is not that of an environment that is not reached', async () => {
    const limited = await createActor({ environments: [second] })
    const answer = await apiAs(
      limited,
      'POST',
      '/flags/a/restore',
      { environment: first, revision: 1 },
      from(2),
    )
    expect(refusalOf(answer)).toEqual([403, 'wrong_environment'])
  })
})

describe('a restored segment', () => {
  const path = () => segmentPath()

  beforeEach(async () => {
    await createSegment(first, 'staff', { included: ['ada'], description: 'us' })
    await putSegment(first, 'staff', { included: ['bob'] }, 1)
  })

  it('is what it was, as a new revision', async () => {
    expect(await succeed(restore({ revision: 1, comment: 'back' }, 2, path()))).toMatchObject({ revision: 3 })
    expect((await api('GET', path())).body).toMatchObject({
      included: ['ada'],
      description: 'us',
      revision: 3,
    })
    const { revisions } = await historyOf(`${path()}/history`)
    expect(revisions[0]).toMatchObject({ revision: 3, comment: 'back' })
  })

  it('comes back when it was deleted', async () => {
    await succeed(api('DELETE', path(), undefined, from(2)))
    expect(refusalOf(await restore({ revision: 3 }, 0, path()))).toEqual([409, 'deleted'])
    expect(await succeed(restore({ revision: 2 }, 0, path()))).toMatchObject({ revision: 4 })
    expect((await api('GET', path())).body).toMatchObject({ included: ['bob'], revision: 4 })
  })

  it('is refused of an unknown revision, and from an old one', async () => {
    expect(refusalOf(await restore({ revision: 9 }, 2, path()))).toEqual([404, 'not_found'])
    expect(refusalOf(await restore({ revision: 1 }, 1, path()))).toEqual([412, 'stale'])
  })

  it('must name what there is', async () => {
    await createSegment(first, 'other')
    await putSegment(first, 'staff', { condition: { segment: 'other' } }, 2)
    await putSegment(first, 'staff', {}, 3)
    await api('DELETE', `/environments/${first}/segments/other`, undefined, from(1))
    expect(refusalOf(await restore({ revision: 3 }, 4, path()))).toEqual([422, 'unknown_reference'])
  })
})

it('a change whose answer is refused leaves no revision', async () => {
  await createFlag('a')
  const before = await flagHistory()
  await putConfiguration(first, 'a', { fallthrough: { variant: 'none' } }, 1)
  await putConfiguration(first, 'a', {}, 7)
  await putFlag('a', { variants: [] }, 1)
  expect(await flagHistory()).toEqual(before)
})
