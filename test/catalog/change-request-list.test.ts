import { beforeEach, describe, expect, it } from 'vitest'
import { apiAs, createActor, refusalOf } from '../support/actors.ts'
import { emptyDatabase } from '../support/database.ts'
import {
  type Answer,
  api,
  configure,
  createEnvironment,
  createFlag,
  createSegment,
  field,
  from,
  moveClock,
  putConfiguration,
  putFlag,
  putSegment,
  silenceLogs,
  stopClock,
} from '../support/worker.ts'

const ON = { enabled: true, fallthrough: { variant: 'on' } }
const OFF = { enabled: false, fallthrough: { variant: 'on' } }

/** Two protected environments. */
let [first, second] = ['', '']
/** An administrator, who proposes, and a releaser. */
let [ada, grace] = ['', '']

silenceLogs()

beforeEach(async () => {
  stopClock()
  await emptyDatabase()
  first = await createEnvironment()
  second = await createEnvironment()
  for (const flag of ['a', 'b']) await createFlag(flag)
  for (const flag of ['a', 'b']) await configure(first, flag)
  await createSegment(first, 'staff')
  for (const key of [first, second]) {
    await api('PUT', `/environments/${key}`, { name: key, protected: true }, from(1))
  }
  ada = await createActor({ role: 'admin' })
  grace = await createActor({ role: 'releaser' })
})

const idOf = ({ body }: Answer) => String(field(field(body, 'changeRequest'), 'id'))
const decide = (id: string, decision: string) =>
  apiAs(grace, 'POST', `/change-requests/${id}/${decision}`, {})
const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString()

/** Asks for something; its id. */
async function ask(method: string, path: string, revision: number, draft?: object): Promise<string> {
  const answer = await apiAs(ada, method, path, draft, from(revision))
  expect(answer.status).toBe(202)
  return idOf(answer)
}

const askConfiguration = (flag: string, environment: string, revision: number, draft: object = OFF) =>
  ask('PUT', `/flags/${flag}/environments/${environment}`, revision, draft)

type Listed = { readonly id: string; readonly stale: boolean; readonly state: string }

async function list(query = '', token = grace) {
  const { status, body } = await apiAs(token, 'GET', `/change-requests?${query}`)
  expect(status).toBe(200)
  const changeRequests = field(body, 'changeRequests') as Listed[]
  return { ids: changeRequests.map(({ id }) => id), changeRequests, nextCursor: field(body, 'nextCursor') }
}

describe('the list', () => {
  it('is empty where nothing waits', async () => {
    expect(await list()).toEqual({ ids: [], changeRequests: [], nextCursor: null })
  })

  it('shows the newest first, each as it is shown alone', async () => {
    const ids: string[] = []
    for (const flag of ['a', 'b']) {
      ids.push(await askConfiguration(flag, first, 2))
      moveClock(1)
    }
    const listed = await list()
    expect(listed.ids).toEqual(ids.toReversed())
    for (const shown of listed.changeRequests) {
      expect((await apiAs(grace, 'GET', `/change-requests/${shown.id}`)).body).toEqual(shown)
    }
  })

  it('filters by state, environment and flag, and by all of them together', async () => {
    const aFirst = await askConfiguration('a', first, 2)
    const bFirst = await askConfiguration('b', first, 2)
    const aSecond = await askConfiguration('a', second, 1)
    const everywhere = await ask('POST', '/flags/b/archive', 1, {})
    const scheduled = await askConfiguration('b', second, 1, { ...OFF, applyAt: inAnHour() })
    await decide(aFirst, 'reject')
    await decide(scheduled, 'approve')
    for (const [query, expected] of [
      ['', [aFirst, bFirst, aSecond, everywhere, scheduled]],
      ['state=rejected', [aFirst]],
      ['state=awaiting_approval', [bFirst, aSecond, everywhere]],
      ['state=scheduled', [scheduled]],
      ['state=applied', []],
      [`environment=${first}`, [aFirst, bFirst, everywhere]],
      [`environment=${second}`, [aSecond, everywhere, scheduled]],
      ['environment=unknown', []],
      ['flag=a', [aFirst, aSecond]],
      [`flag=b&environment=${second}&state=awaiting_approval`, [everywhere]],
    ] as const) {
      const { ids } = await list(query)
      expect([query, ids.toSorted()]).toEqual([query, expected.toSorted()])
    }
  })

  it.each(['state=waiting', 'environment=A', 'limit=0', 'limit=201', 'cursor=none'])(
    'does not understand %s',
    async (query) => {
      expect(refusalOf(await api('GET', `/change-requests?${query}`))).toEqual([400, 'malformed'])
    },
  )

  it('pages over requests of one instant, whatever comes and goes meanwhile', async () => {
    const ids: string[] = []
    for (let revision = 0; revision < 5; revision++) {
      ids.push(await askConfiguration(revision % 2 ? 'a' : 'b', first, 2))
    }
    const seen: string[] = []
    let cursor: unknown = ''
    for (let pages = 0; cursor !== null; pages++) {
      expect(pages).toBeLessThan(4)
      const page = await list(cursor === '' ? 'limit=2' : `limit=2&cursor=${cursor}`)
      seen.push(...page.ids)
      cursor = page.nextCursor
      moveClock(1)
      await askConfiguration('a', first, 2)
    }
    expect(seen.toSorted()).toEqual(ids.toSorted())
  })

  it('fills the pages of those who do not see everything, and tells nothing of the rest', async () => {
    const own: string[] = []
    for (let index = 0; index < 6; index++) {
      const environment = index % 3 === 0 ? first : second
      const id = await askConfiguration('a', environment, environment === first ? 2 : 1)
      if (environment === first) own.push(id)
      moveClock(1)
    }
    const everywhere = await ask('POST', '/flags/b/archive', 1, {})
    const limited = await createActor({ role: 'releaser', environments: [first] })
    const page = await list('limit=1', limited)
    expect(page.ids).toEqual([own[1]])
    const last = await list(`limit=1&cursor=${page.nextCursor}`, limited)
    expect(last).toMatchObject({ ids: [own[0]], nextCursor: null })
    for (const [id, status] of [
      [own[0], 200],
      [everywhere, 404],
    ] as const) {
      expect((await apiAs(limited, 'GET', `/change-requests/${id}`)).status).toBe(status)
    }
  })
})

describe('a change whose ground has moved', () => {
  type Moved = {
    readonly ask: () => Promise<string>
    readonly move: () => Promise<unknown>
  }
  const configurationOf = (flag: string) => `/flags/${flag}/environments/${first}`
  /** What nobody need approve: an emergency. */
  const switchOff = (flag: string) =>
    api('PATCH', configurationOf(flag), { enabled: false, emergency: true }, from(2))
  const approve = async (id: Promise<string>) => expect((await decide(await id, 'approve')).status).toBe(200)

  const MOVED: { readonly [name: string]: Moved } = {
    'a configuration': { ask: () => askConfiguration('a', first, 2), move: () => switchOff('a') },
    'a flag': {
      ask: () => ask('POST', '/flags/a/archive', 1, {}),
      move: () => putFlag('a', { description: 'other' }, 1),
    },
    'a segment': {
      ask: () => ask('DELETE', `/environments/${first}/segments/staff`, 1),
      move: () => approve(ask('PUT', `/environments/${first}/segments/staff`, 1, { included: ['x'] })),
    },
    'an environment': {
      ask: () => ask('PUT', `/environments/${first}`, 2, { name: 'Other' }),
      move: () => approve(ask('PUT', `/environments/${first}`, 2, { name: 'Another' })),
    },
    'what is new, and has been made meanwhile': {
      ask: () => ask('PUT', `/environments/${first}/segments/new`, 0, { included: ['x'] }),
      move: () => approve(ask('PUT', `/environments/${first}/segments/new`, 0, { included: ['y'] })),
    },
    'every environment, of which there is another now': {
      ask: () => ask('PATCH', '/flags/a', 1, { clientVisible: true }),
      move: () => createEnvironment({ protected: true }),
    },
    'what is new in an environment that was made anew': {
      ask: () => ask('PUT', `/environments/${first}/segments/new`, 0, { included: ['x'] }),
      move: async () => {
        await approve(ask('DELETE', `/environments/${first}`, 2))
        moveClock(1)
        expect((await api('PUT', `/environments/${first}`, { name: 'new' }, from(0))).status).toBe(200)
      },
    },
  }

  it.each(Object.entries(MOVED))('is stale, is said to be, and waits on: %s', async (_, { ask, move }) => {
    const id = await ask()
    const shown = async () => (await list()).changeRequests.find((request) => request.id === id)
    expect(await shown()).toMatchObject({ stale: false, state: 'awaiting_approval' })
    await move()
    expect(await shown()).toMatchObject({ stale: true, state: 'awaiting_approval' })
    expect(refusalOf(await decide(id, 'approve'))).toEqual([412, 'stale'])
    expect(await shown()).toMatchObject({ stale: true, state: 'awaiting_approval' })
    expect((await decide(id, 'cancel')).status).toBe(200)
    expect(await shown()).toMatchObject({ stale: false, state: 'cancelled' })
  })

  it('is not approved for later either', async () => {
    const id = await askConfiguration('a', first, 2, { ...ON, applyAt: inAnHour() })
    await switchOff('a')
    expect(refusalOf(await decide(id, 'approve'))).toEqual([412, 'stale'])
    expect((await api('GET', `/change-requests/${id}`)).body).toMatchObject({ state: 'awaiting_approval' })
  })

  it('is not stale because of what it does not stand on', async () => {
    const id = await askConfiguration('a', first, 2)
    await putConfiguration(second, 'b')
    await putSegment(second, 'staff')
    await switchOff('b')
    await createEnvironment()
    expect((await api('GET', `/change-requests/${id}`)).body).toMatchObject({ stale: false })
    expect((await decide(id, 'approve')).status).toBe(200)
  })
})
