import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { hubOf } from '../../src/catalog/hub-protocol.ts'
import { apiAs, createActor, refusalOf } from '../support/actors.ts'
import { auditAfter, auditEnd, CONFIGURED, dump, emptyDatabase, rows } from '../support/database.ts'
import { runTick } from '../support/tick.ts'
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
  HUB_DOWN,
  moveClock,
  ON_OFF,
  putConfiguration,
  putFlag,
  putSegment,
  silenceLogs,
  stopClock,
  unreachable,
  warm,
  withDatabase,
  withHub,
} from '../support/worker.ts'

const HOUR = 3_600_000
const ADA = 'ada@example.com'
const ON = { enabled: true, offVariant: 'off', fallthrough: { variant: 'on' } }
const OTHER = { ...ON, fallthrough: { variant: 'off' } }

let environment = ''
let other = ''
let ada = ''

silenceLogs()

beforeEach(async () => {
  stopClock()
  await emptyDatabase()
  environment = await createEnvironment()
  other = await createEnvironment()
  for (const flag of ['a', 'b', 'old']) await createFlag(flag)
  await configure(environment, 'a', OTHER)
  await configure(environment, 'a', ON, 2)
  await configure(other, 'a', OTHER)
  await putFlag('a', { description: 'second' }, 1)
  await api('POST', '/flags/old/archive', {}, from(1))
  await createSegment(environment, 'staff', { included: ['ada'] })
  await putSegment(environment, 'staff', { included: ['ada', 'grace'] }, 1)
  ada = await createActor({ owner: ADA, role: 'admin' })
})

const later = (milliseconds = HOUR) => new Date(Date.now() + milliseconds).toISOString()
const ofEnvironment = (path = '') => `/environments/${environment}${path}`
const configurationOf = (flag: string) => `/flags/${flag}/environments/${environment}`
const shown = (id: string) => api('GET', `/change-requests/${id}`)
const stateOf = async (id: string) => field((await shown(id)).body, 'state')

function idOf({ status, body }: Answer): string {
  expect(status).toBe(202)
  return String(field(field(body, 'changeRequest'), 'id'))
}

/** Asks, as Ada, for a configuration at a later time; its id. */
const schedule = async (flag: string, draft: object, revision: number, applyAt = later()) =>
  idOf(await apiAs(ada, 'PUT', configurationOf(flag), { ...draft, applyAt }, from(revision)))
const actionsAfter = async (head: number) =>
  (await auditAfter(head)).map(({ actor, action }) => [actor, action])

/** That the hubs have what the database has, and that KV gets it with the next minute. */
async function expectPublished(): Promise<void> {
  moveClock(60_000)
  await runTick()
  const owed = 'SELECT * FROM outbox WHERE environment IN (SELECT key FROM environments)'
  expect(await rows(owed)).toEqual([])
  for (const { key, version } of await rows('SELECT key, version FROM environments')) {
    expect(await hubOf(env, String(key)).propagation()).toMatchObject({ version })
  }
}

type Kind = {
  readonly method: string
  readonly path: () => string
  readonly revision: number
  readonly draft?: () => object
  /** The audit's word. */
  readonly action: string
  /** What is there when it is done; where, unless it is the path. */
  readonly expected: object | 404
  readonly at?: () => string
}

const KINDS: { readonly [name: string]: Kind } = {
  'a configuration': {
    method: 'PUT',
    path: () => configurationOf('a'),
    revision: 3,
    draft: () => OTHER,
    action: 'configuration.save',
    expected: { fallthrough: { variant: 'off' }, revision: 4 },
  },
  'a part of a configuration': {
    method: 'PATCH',
    path: () => configurationOf('a'),
    revision: 3,
    draft: () => ({ enabled: false }),
    action: 'configuration.save',
    expected: { ...ON, enabled: false, revision: 4 },
  },
  'a copied configuration': {
    method: 'POST',
    path: () => '/flags/a/copy',
    revision: 3,
    at: () => configurationOf('a'),
    draft: () => ({ from: other, to: environment }),
    action: 'configuration.save',
    expected: { fallthrough: { variant: 'off' }, revision: 4 },
  },
  'a restored configuration': {
    method: 'POST',
    path: () => '/flags/a/restore',
    revision: 3,
    at: () => configurationOf('a'),
    draft: () => ({ environment, revision: 2 }),
    action: 'configuration.save',
    expected: { fallthrough: { variant: 'off' }, revision: 4 },
  },
  'a new flag': {
    method: 'PUT',
    path: () => '/flags/new',
    revision: 0,
    draft: () => ({ type: 'boolean', variants: ON_OFF }),
    action: 'flag.create',
    expected: { revision: 1 },
  },
  "a flag's definition": {
    method: 'PUT',
    path: () => '/flags/a',
    revision: 2,
    draft: () => ({ type: 'boolean', variants: ON_OFF, clientVisible: true }),
    action: 'flag.save',
    expected: { clientVisible: true, revision: 3 },
  },
  "a flag's notes": {
    method: 'PATCH',
    path: () => '/flags/a',
    revision: 2,
    draft: () => ({ owner: 'web' }),
    action: 'flag.save',
    expected: { owner: 'web', description: 'second', revision: 3 },
  },
  'a restored definition': {
    method: 'POST',
    path: () => '/flags/a/restore',
    revision: 2,
    draft: () => ({ revision: 1 }),
    action: 'flag.save',
    expected: { description: '', revision: 3 },
    at: () => '/flags/a',
  },
  'an archiving': {
    method: 'POST',
    path: () => '/flags/a/archive',
    revision: 2,
    draft: () => ({}),
    action: 'flag.archive',
    at: () => '/flags/a',
    expected: { archivedAt: expect.any(Number), revision: 3 },
  },
  'the return of an archived flag': {
    method: 'POST',
    path: () => '/flags/old/unarchive',
    revision: 2,
    draft: () => ({}),
    action: 'flag.unarchive',
    expected: { archivedAt: null, revision: 3 },
    at: () => '/flags/old',
  },
  'the end of a flag': {
    method: 'DELETE',
    path: () => '/flags/a',
    revision: 2,
    action: 'flag.delete',
    expected: 404,
  },
  'a new segment': {
    method: 'PUT',
    path: () => ofEnvironment('/segments/new'),
    revision: 0,
    draft: () => ({ included: ['x'] }),
    action: 'segment.create',
    expected: { included: ['x'], revision: 1 },
  },
  'a segment': {
    method: 'PUT',
    path: () => ofEnvironment('/segments/staff'),
    revision: 2,
    draft: () => ({ included: ['x'] }),
    action: 'segment.save',
    expected: { included: ['x'], revision: 3 },
  },
  'a restored segment': {
    method: 'POST',
    path: () => ofEnvironment('/segments/staff/restore'),
    revision: 2,
    draft: () => ({ revision: 1 }),
    at: () => ofEnvironment('/segments/staff'),
    action: 'segment.save',
    expected: { included: ['ada'], revision: 3 },
  },
  'the end of a segment': {
    method: 'DELETE',
    path: () => ofEnvironment('/segments/staff'),
    revision: 2,
    action: 'segment.delete',
    expected: 404,
  },
  'a new environment': {
    method: 'PUT',
    path: () => `${ofEnvironment()}-new`,
    revision: 0,
    draft: () => ({ name: 'New', copyFrom: environment }),
    action: 'environment.create',
    expected: { name: 'New', revision: 1 },
  },
  'an environment': {
    method: 'PUT',
    path: ofEnvironment,
    revision: 1,
    draft: () => ({ name: 'Other' }),
    action: 'environment.save',
    expected: { name: 'Other', revision: 2 },
  },
  'the end of an environment': {
    method: 'DELETE',
    path: ofEnvironment,
    revision: 1,
    action: 'environment.delete',
    expected: 404,
  },
}

it.each(Object.entries(KINDS))('%s is done at its time, once, and not before', async (_, kind) => {
  const { method, path, revision, draft, action, expected, at = path } = kind
  const applyAt = Date.now() + HOUR
  const when = new Date(applyAt).toISOString()
  const query = method === 'DELETE' ? `?comment=why&applyAt=${encodeURIComponent(when)}` : ''
  const body = draft && { ...draft(), comment: 'why', applyAt: when }
  const head = await auditEnd()
  const asked = await apiAs(ada, method, path() + query, body, from(revision))
  const id = idOf(asked)
  expect(field(asked.body, 'changeRequest')).toMatchObject({ state: 'scheduled', applyAt, decidedBy: null })
  const before = await dump(...CONFIGURED)
  moveClock(HOUR - 1)
  await runTick()
  expect(await dump(...CONFIGURED)).toEqual(before)
  expect(await stateOf(id)).toBe('scheduled')

  moveClock(1)
  await runTick()
  const there = await api('GET', at())
  if (expected === 404) expect(there.status).toBe(404)
  else expect(there.body).toMatchObject(expected)
  expect((await shown(id)).body).toMatchObject({ state: 'applied', finishedAt: applyAt, failure: null })
  const after = await dump(...CONFIGURED)
  await expectPublished()
  expect(await dump(...CONFIGURED)).toEqual(after)

  expect(await auditAfter(head)).toMatchObject([
    { actor: ADA, action: 'change_request.create', comment: 'why', at: applyAt - HOUR },
    {
      actor: ADA,
      action,
      comment: 'why',
      at: applyAt,
      details: { changeRequest: id },
    },
  ])
})

describe('the time of a change', () => {
  const instantOf = (at: number, offset: string) => {
    const [, sign, hours, minutes] = /^([+-])(\d\d):(\d\d)$/.exec(offset) ?? []
    const shift = (Number(hours) * 60 + Number(minutes)) * 60_000 * (sign === '-' ? -1 : 1)
    return new Date(at + shift).toISOString().replace('Z', offset)
  }

  it.each(['+00:00', '-00:00', '+01:00', '+05:30', '-08:00', '+14:00', '-12:00'])(
    'is an instant, wherever one says it: %s',
    async (offset) => {
      const at = Date.now() + HOUR
      const id = await schedule('a', OTHER, 3, instantOf(at, offset))
      expect((await shown(id)).body).toMatchObject({ applyAt: at })
      moveClock(HOUR - 1)
      await runTick()
      expect(await stateOf(id)).toBe('scheduled')
      moveClock(1)
      await runTick()
      expect(await stateOf(id)).toBe('applied')
    },
  )

  it.each([
    ['now', () => later(0)],
    ['a moment ago', () => later(-1)],
    ['an hour ago by its offset', () => instantOf(Date.now() - HOUR, '+14:00')],
    ['long ago', () => '1970-01-01T00:00:00Z'],
  ])('must lie ahead: %s', async (_, at) => {
    const answer = await api('PUT', configurationOf('a'), { ...OTHER, applyAt: at() }, from(3))
    expect(refusalOf(answer)).toEqual([422, 'in_the_past'])
    const deletion = await api('DELETE', `/flags/a?applyAt=${encodeURIComponent(at())}`, undefined, from(2))
    expect(refusalOf(deletion)).toEqual([422, 'in_the_past'])
    expect(await rows('SELECT id FROM change_requests')).toEqual([])
  })

  it.each([
    'tomorrow',
    '2100-01-01',
    '2100-01-01T09:00:00',
    '2100-13-01T09:00:00Z',
    '2100-01-01T25:00:00Z',
    4_102_444_800_000,
  ])('is not understood without its offset, or as anything else: %s', async (applyAt) => {
    const answer = await api('PUT', configurationOf('a'), { ...OTHER, applyAt }, from(3))
    expect(refusalOf(answer)).toEqual([400, 'malformed'])
  })
})

describe('the tick', () => {
  it('applies a change once, even when two ticks run at once', async () => {
    const id = await schedule('a', OTHER, 3)
    const head = await auditEnd()
    moveClock(HOUR)
    await Promise.all([runTick(), runTick()])
    expect(await stateOf(id)).toBe('applied')
    expect((await api('GET', configurationOf('a'))).body).toMatchObject({ revision: 4 })
    expect(await actionsAfter(head)).toEqual([[ADA, 'configuration.save']])
    await expectPublished()
  })

  it('applies what was due while no tick came', async () => {
    const id = await schedule('a', OTHER, 3)
    moveClock(24 * HOUR)
    await runTick()
    expect((await shown(id)).body).toMatchObject({ state: 'applied', finishedAt: Date.now() })
  })

  it('dates what it changes when it changes it, however late the cron is', async () => {
    const scheduledTime = Date.now() + HOUR
    await schedule('a', OTHER, 3)
    moveClock(HOUR + 90_000)
    await putConfiguration(environment, 'b')
    await runTick(env, scheduledTime)
    const dates = await rows('SELECT at FROM history WHERE environment = ? ORDER BY version', environment)
    expect(dates).toEqual(dates.toSorted((a, b) => Number(a.at) - Number(b.at)))
  })

  it('is at the edge when it is applied', async () => {
    const { key } = await createKey(environment)
    const answered = async () => {
      await warm(environment)
      return field((await evaluate(key, 'a', {})).body, 'variant')
    }
    await schedule('a', OTHER, 3)
    expect(await answered()).toBe('on')
    moveClock(HOUR)
    await runTick()
    expect(await answered()).toBe('off')
  })

  it('publishes what a tick before it had no time to', async () => {
    const id = await schedule('a', OTHER, 3)
    const before = (await hubOf(env, environment).publish()).version
    moveClock(HOUR)
    await runTick(withHub(env, HUB_DOWN))
    expect(await stateOf(id)).toBe('applied')
    expect(await hubOf(env, environment).propagation()).toMatchObject({ version: before })
    await runTick()
    expect(await hubOf(env, environment).propagation()).toMatchObject({ version: before + 1 })
    await expectPublished()
  })

  it('tries again what the database did not take', async () => {
    const id = await schedule('a', OTHER, 3)
    moveClock(HOUR)
    await runTick(withDatabase(env, { batch: unreachable }))
    expect(await stateOf(id)).toBe('scheduled')
    await runTick()
    expect(await stateOf(id)).toBe('applied')
  })

  it('applies what is due in order, so that one can stand on another', async () => {
    const chain = [1, 2, 3, 4, 5]
    const ids: string[] = []
    for (const link of chain.toReversed()) {
      const condition = link === 1 ? null : { segment: `link-${link - 1}` }
      const draft = { condition, applyAt: later(link * 1_000) }
      const asked = await apiAs(ada, 'PUT', ofEnvironment(`/segments/link-${link}`), draft, from(0))
      ids.push(idOf(asked))
    }
    const head = await auditEnd()
    moveClock(HOUR)
    await runTick()
    expect(await Promise.all(ids.map(stateOf))).toEqual(chain.map(() => 'applied'))
    const created = (await auditAfter(head)).map(({ target_key }) => target_key)
    expect(created).toEqual(chain.map((link) => `link-${link}`))
  })

  it('applies of many at one instant the one that was asked for first; the others are stale', async () => {
    const applyAt = later()
    const ids: string[] = []
    for (let index = 0; index < 5; index++) {
      ids.push(await schedule('a', index === 0 ? OTHER : { ...ON, enabled: false }, 3, applyAt))
      moveClock(1)
    }
    moveClock(HOUR)
    await runTick()
    expect(await Promise.all(ids.map(stateOf))).toEqual(['applied', ...Array(4).fill('failed')])
    expect((await api('GET', configurationOf('a'))).body).toMatchObject({ ...OTHER, revision: 4 })
  })

  it('is not held up by what cannot be applied', async () => {
    const failing = await schedule('a', OTHER, 3)
    await configure(environment, 'a', OTHER, 3)
    const next = await schedule('b', ON, 1, later(HOUR + 1))
    moveClock(HOUR + 1)
    await runTick()
    expect([await stateOf(failing), await stateOf(next)]).toEqual(['failed', 'applied'])
  })
})
