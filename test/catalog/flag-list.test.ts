import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { apiAs, createActor, refusalOf } from '../support/actors.ts'
import { emptyDatabase, rows } from '../support/database.ts'
import { api, configure, createEnvironment, createFlag, field, from, silenceLogs } from '../support/worker.ts'

type Listed = { readonly key: string; readonly environments: { readonly [environment: string]: object } }

silenceLogs()

async function list(query: string, token = 'test-admin') {
  const { status, body } = await apiAs(token, 'GET', `/flags?${query}`)
  expect([query, status]).toEqual([query, 200])
  const flags = field(body, 'flags') as readonly Listed[]
  return { flags, keys: flags.map(({ key }) => key), nextCursor: field(body, 'nextCursor') as string | null }
}

const keysOf = async (query: string) => (await list(query)).keys
const deleteFlag = (flag: string) => api('DELETE', `/flags/${flag}`, undefined, from(1))

/** All pages, one after the other; `between` happens between any two. */
async function pagesOf(limit: number, between: (page: number) => Promise<unknown> = async () => {}) {
  const pages: string[][] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page = await list(`limit=${limit}${cursor === '' ? '' : `&cursor=${cursor}`}`)
    pages.push(page.keys)
    cursor = page.nextCursor
    await between(pages.length)
  }
  return pages
}

describe('pages of flags', () => {
  const KEYS = ['A', 'a', 'a b', 'a/b', 'b', 'ä', '日本']

  beforeEach(async () => {
    await emptyDatabase()
    for (const key of KEYS.toReversed()) await createFlag(key)
  })

  it('are ordered by key, and hold each flag once', async () => {
    // By code points, as the database compares.
    expect(await keysOf('')).toEqual(KEYS)
    for (const limit of [1, 2, 3, 6, 7, 200]) {
      const pages = await pagesOf(limit)
      expect(pages.flat()).toEqual(KEYS)
      expect(pages).toHaveLength(Math.ceil(KEYS.length / limit))
    }
  })

  it('are none where there is no flag', async () => {
    await emptyDatabase()
    expect(await list('')).toEqual({ flags: [], keys: [], nextCursor: null })
  })

  it('keep their place while flags come and go', async () => {
    const pages = await pagesOf(2, async (page) => {
      if (page === 1) {
        await createFlag('AA')
        await createFlag('a c')
        await deleteFlag('a')
        await deleteFlag('b')
      }
    })
    expect(pages.flat()).toEqual(['A', 'a', 'a b', 'a c', 'a/b', 'ä', '日本'])
  })

  it('keep their place when the flag where they stopped is deleted', async () => {
    const { nextCursor } = await list('limit=2')
    await deleteFlag('a')
    expect(await keysOf(`limit=2&cursor=${nextCursor}`)).toEqual(['a b', 'a/b'])
  })

  it('keep to the filter', async () => {
    await api('PATCH', '/flags/b', { tags: ['x'] }, from(1))
    await api('PATCH', '/flags/a', { tags: ['x'] }, from(1))
    const { keys, nextCursor } = await list('tag=x&limit=1')
    expect(keys).toEqual(['a'])
    expect(await list(`tag=x&limit=1&cursor=${nextCursor}`)).toMatchObject({ keys: ['b'], nextCursor: null })
  })

  it('have 50 flags unless the request says', async () => {
    for (let index = 0; index < 51 - KEYS.length; index++) await createFlag(`more-${index}`)
    const page = await list('')
    expect(page.keys).toHaveLength(50)
    expect(await list(`cursor=${page.nextCursor}`)).toMatchObject({ keys: ['日本'], nextCursor: null })
  })

  it.each([
    'limit=0',
    'limit=201',
    'limit=-1',
    'limit=1.5',
    'limit=many',
    'cursor=',
    'cursor=none',
    'cursor=W10x',
  ])('are not understood with %s', async (query) => {
    expect(refusalOf(await api('GET', `/flags?${query}`))).toEqual([400, 'malformed'])
  })
})

describe('a list of flags', () => {
  const TYPES = {
    boolean: [true, false],
    string: ['x', 'y'],
    number: [1, 2],
    object: [{ a: 1 }, {}],
  }
  type Type = keyof typeof TYPES
  let [first, second] = ['', '']

  const make = (key: string, type: Type, draft: object = {}) => {
    const [on, off] = TYPES[type]
    const variants = [
      { name: 'on', value: on },
      { name: 'off', value: off },
    ]
    return createFlag(key, { type, variants, ...draft })
  }

  beforeAll(async () => {
    await emptyDatabase()
    first = await createEnvironment()
    second = await createEnvironment()
    await make('checkout', 'boolean', {
      ...{ description: 'Die Übersicht über ALLES', owner: 'Team Zahlung', tags: ['Kasse', 'front page'] },
      temporary: true,
    })
    await make('Search', 'string', { description: '50 % faster_search', owner: 'search', tags: ['front'] })
    await make('limit', 'number', { tags: ['kasse'], temporary: true })
    await make('banner', 'object', { owner: 'search', description: 'it\'s a "banner" \\ über' })
    await make('old', 'boolean', { tags: ['Kasse'], temporary: true })
    await api('POST', '/flags/old/archive', {}, from(1))
    await configure(first, 'checkout')
    await configure(first, 'limit')
    await configure(second, 'limit')
    const stale = { reason: 'not_evaluated', message: 'for long', since: 1 }
    await rows("UPDATE flags SET stale = ? WHERE key IN ('banner', 'limit')", JSON.stringify(stale))
  })

  it.each<[search: string, keys: string[]]>([
    ['', ['Search', 'banner', 'checkout', 'limit']],
    ['checkout', ['checkout']],
    ['CHECKOUT', ['checkout']],
    ['heck', ['checkout']],
    ['search', ['Search', 'banner']],
    ['über', ['banner', 'checkout']],
    ['ÜBER', ['banner', 'checkout']],
    ['übersicht', ['checkout']],
    ['uber', []],
    ['zahlung', ['checkout']],
    ['kasse', ['checkout', 'limit']],
    ['front page', ['checkout']],
    ['page front', ['checkout']],
    ['  kasse \t team  ', ['checkout']],
    ['kasse search', []],
    ['%', ['Search']],
    ['_', ['Search']],
    ['50 %', ['Search']],
    ["it's", ['banner']],
    ['"banner"', ['banner']],
    ['\\', ['banner']],
    ['*', []],
    ['old', []],
    ['none', []],
    // The eleventh word is not looked for.
    ['c h e c k o u t h e none', ['checkout']],
  ])('is searched by words: %j', async (search, keys) => {
    expect(await keysOf(`search=${encodeURIComponent(search)}`)).toEqual(keys)
  })

  it('is searched by what a flag is now', async () => {
    await make('changed', 'boolean', { description: 'before' })
    await api('PATCH', '/flags/changed', { description: 'afterwards' }, from(1))
    expect(await keysOf('search=before')).toEqual([])
    expect(await keysOf('search=afterwards')).toEqual(['changed'])
    await api('DELETE', '/flags/changed', undefined, from(2))
  })

  it.each<[query: () => string, keys: string[]]>([
    [() => 'tag=kasse', ['limit']],
    [() => 'tag=Kasse', ['checkout']],
    [() => 'tag=front', ['Search']],
    [() => 'tag=front%20page', ['checkout']],
    [() => 'tag=none', []],
    [() => 'owner=search', ['Search', 'banner']],
    [() => 'owner=Search', []],
    [() => 'owner=', ['limit']],
    [() => 'type=boolean', ['checkout']],
    [() => 'type=string', ['Search']],
    [() => 'type=number', ['limit']],
    [() => 'type=object', ['banner']],
    [() => 'temporary=true', ['checkout', 'limit']],
    [() => 'temporary=false', ['Search', 'banner']],
    [() => 'stale=true', ['banner', 'limit']],
    [() => 'stale=false', ['Search', 'checkout']],
    [() => 'archived=true', ['old']],
    [() => 'archived=false', ['Search', 'banner', 'checkout', 'limit']],
    [() => `environment=${first}&enabled=true`, ['checkout', 'limit']],
    [() => `environment=${first}&enabled=false`, ['Search', 'banner']],
    [() => `environment=${second}&enabled=true`, ['limit']],
    [() => `environment=${first}`, ['Search', 'banner', 'checkout', 'limit']],
    [() => 'environment=none&enabled=false', []],
  ])('is filtered: $0', async (query, keys) => {
    expect(await keysOf(query())).toEqual(keys)
  })

  it('is filtered by any filters together as by each of them', async () => {
    const filters = [
      ...[
        'search=s',
        'tag=Kasse',
        'tag=kasse',
        'owner=search',
        'type=boolean',
        'type=number',
        'temporary=true',
      ],
      ...['temporary=false', 'stale=true', 'stale=false', `environment=${first}&enabled=true`],
    ]
    const alone = new Map<string, readonly string[]>()
    for (const filter of filters) alone.set(filter, await keysOf(filter))
    for (const [index, a] of filters.entries()) {
      for (const b of filters.slice(index + 1)) {
        if (a.split('=')[0] === b.split('=')[0]) continue
        const both = alone.get(a)?.filter((key) => alone.get(b)?.includes(key))
        expect([a, b, await keysOf(`${a}&${b}`)]).toEqual([a, b, both])
      }
    }
    const all = `search=kasse&tag=Kasse&owner=Team%20Zahlung&type=boolean&temporary=true&stale=false&archived=false`
    expect(await keysOf(`${all}&environment=${first}&enabled=true`)).toEqual(['checkout'])
    expect(await keysOf(`${all}&environment=${second}&enabled=true`)).toEqual([])
    expect(await keysOf('archived=true&tag=Kasse&temporary=true')).toEqual(['old'])
  })

  it.each([
    ...['type=text', 'temporary=perhaps', 'stale=2', 'archived=', 'enabled=on%20', 'environment=A'],
    ...[`search=${'x'.repeat(201)}`, `tag=${'x'.repeat(101)}`, `owner=${'x'.repeat(201)}`],
    // Where it is enabled must be said.
    ...['enabled=true', 'enabled=false'],
  ])('is not understood with %s', async (query) => {
    expect(refusalOf(await api('GET', `/flags?${query}`))).toEqual([400, 'malformed'])
  })

  it('shows of each flag what it is, and how it stands in each environment', async () => {
    const { flags } = await list('search=limit')
    expect(flags).toEqual([(await api('GET', '/flags/limit')).body])
    expect(flags[0]).toMatchObject({
      ...{ key: 'limit', type: 'number', temporary: true, revision: 1, archivedAt: null },
      stale: { reason: 'not_evaluated' },
      environments: {
        [first]: { enabled: true, revision: 2, updatedAt: expect.any(Number) },
        [second]: { enabled: true, revision: 2, updatedAt: expect.any(Number) },
      },
    })
    const { environments } = (await list('search=banner')).flags[0] ?? {}
    expect(environments).toMatchObject({
      [first]: { enabled: false, revision: 1 },
      [second]: { enabled: false },
    })
  })

  it('shows how flags stand where one may look, and nowhere else', async () => {
    const token = await createActor({ role: 'viewer', environments: [second] })
    const { flags, keys } = await list('', token)
    expect(keys).toEqual(['Search', 'banner', 'checkout', 'limit'])
    for (const { environments } of flags) expect(Object.keys(environments)).toEqual([second])
    const { body } = await apiAs(token, 'GET', '/flags/limit')
    expect(Object.keys(Object(field(body, 'environments')))).toEqual([second])
    expect((await list(`environment=${second}&enabled=true`, token)).keys).toEqual(['limit'])
    const beyond = await apiAs(token, 'GET', `/flags?environment=${first}&enabled=true`)
    expect(refusalOf(beyond)).toEqual([403, 'wrong_environment'])
    const nowhere = await createActor({ role: 'viewer', environments: [] })
    for (const { environments } of (await list('', nowhere)).flags) expect(environments).toEqual({})
  })
})
