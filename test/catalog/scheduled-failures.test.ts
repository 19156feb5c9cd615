import { beforeEach, describe, expect, it } from 'vitest'
import { apiAs, createActor, refusalOf } from '../support/actors.ts'
import { auditAfter, auditEnd, CONFIGURED, dump, emptyDatabase, rows } from '../support/database.ts'
import { runTick } from '../support/tick.ts'
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
  ON_OFF,
  putFlag,
  silenceLogs,
  stopClock,
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
  for (const flag of ['a', 'b']) await createFlag(flag)
  await configure(environment, 'a', OTHER)
  await configure(environment, 'a', ON, 2)
  await createSegment(environment, 'staff')
  ada = await createActor({ owner: ADA, role: 'admin' })
})

const later = (milliseconds = HOUR) => new Date(Date.now() + milliseconds).toISOString()
const ofEnvironment = (path = '') => `/environments/${environment}${path}`
const configurationOf = (flag: string) => `/flags/${flag}/environments/${environment}`
const shown = (id: string) => api('GET', `/change-requests/${id}`)
const stateOf = async (id: string) => field((await shown(id)).body, 'state')
const decide = (token: string, id: string, decision: string) =>
  apiAs(token, 'POST', `/change-requests/${id}/${decision}`, {})

function idOf({ status, body }: Answer): string {
  expect(status).toBe(202)
  return String(field(field(body, 'changeRequest'), 'id'))
}

/** Asks, as Ada, for a configuration at a later time; its id. */
const schedule = async (flag: string, draft: object, revision: number, applyAt = later()) =>
  idOf(await apiAs(ada, 'PUT', configurationOf(flag), { ...draft, applyAt }, from(revision)))

describe('more changes than the tick takes at once', () => {
  it('are all applied, but for those that throw, which hold up nobody', async () => {
    const units = (count: number) => Array.from({ length: count }, (_, index) => `segment-${index}`)
    for (const segment of units(60)) {
      const body = { included: ['karl'], applyAt: later() }
      idOf(await apiAs(ada, 'PUT', ofEnvironment(`/segments/${segment}`), body, from(0)))
    }
    // What no release has written makes the tick throw.
    await rows(
      `UPDATE change_requests SET operation = json_set(operation, '$.draft', NULL)
        WHERE operation ->> 'segment' IN ('segment-3', 'segment-55')`,
    )
    moveClock(HOUR)
    await runTick()
    const left = await rows(
      "SELECT operation ->> 'segment' AS segment FROM change_requests WHERE state = 'scheduled'",
    )
    expect(left).toEqual([{ segment: 'segment-3' }, { segment: 'segment-55' }])
    const made = await rows("SELECT count(*) AS made FROM segments WHERE key LIKE 'segment-%'")
    expect(made).toEqual([{ made: 58 }])
  })
})

describe('a change that cannot be applied when its time comes', () => {
  type Failure = {
    readonly ask?: () => Promise<string>
    readonly meddle: () => Promise<unknown>
    readonly code: string
    readonly details?: unknown
  }
  const MORE = [...ON_OFF, { name: 'later', value: true }]
  const naming = (segment: string) => ({
    rules: [{ id: 'r', when: { segment }, serve: { variant: 'on' } }],
  })
  const setToken = (column: string, value: string | number) =>
    rows(`UPDATE tokens SET ${column} = ? WHERE owner = ?`, value, ADA)
  const scheduleDeletion = async () =>
    idOf(await apiAs(ada, 'DELETE', `/flags/b?applyAt=${encodeURIComponent(later())}`, undefined, from(1)))

  const FAILURES: { readonly [name: string]: Failure } = {
    'it changed meanwhile': { meddle: () => configure(environment, 'a', OTHER, 3), code: 'stale' },
    'its flag is deleted': {
      meddle: () => api('DELETE', '/flags/a', undefined, from(1)),
      code: 'not_found',
    },
    'its flag is archived': { meddle: () => api('POST', '/flags/a/archive', {}, from(1)), code: 'archived' },
    'its environment is deleted': {
      meddle: () => api('DELETE', ofEnvironment(), undefined, from(1)),
      code: 'not_found',
    },
    'it is not valid any more': {
      ask: async () => {
        await putFlag('b', { variants: MORE }, 1)
        return schedule('b', { ...ON, fallthrough: { variant: 'later' } }, 1)
      },
      meddle: () => putFlag('b', {}, 2),
      code: 'invalid',
      details: [{ path: 'fallthrough.variant', rule: 'unknown_variant', message: expect.any(String) }],
    },
    'it names what is gone': {
      ask: () => schedule('a', { ...ON, ...naming('staff') }, 3),
      meddle: () => api('DELETE', ofEnvironment('/segments/staff'), undefined, from(1)),
      code: 'unknown_reference',
    },
    'something else names it': {
      ask: scheduleDeletion,
      meddle: () =>
        configure(environment, 'a', { ...ON, prerequisites: [{ flag: 'b', variants: ['on'] }] }, 3),
      code: 'still_referenced',
    },
    'there is another environment, which it would touch too': {
      ask: scheduleDeletion,
      meddle: () => createEnvironment(),
      code: 'stale',
    },
    'its environment is protected, and nobody approved it': {
      meddle: () => api('PUT', ofEnvironment(), { name: 'x', protected: true }, from(1)),
      code: 'not_allowed',
    },
    "its author's token is revoked": {
      meddle: () => setToken('revoked_at', Date.now()),
      code: 'not_allowed',
    },
    "its author's token has expired": {
      meddle: () => setToken('expires_at', Date.now()),
      code: 'not_allowed',
    },
    "its author's role is taken away": { meddle: () => setToken('role', 'viewer'), code: 'not_allowed' },
    'its author no longer reaches it': {
      meddle: () => setToken('environments', JSON.stringify([other])),
      code: 'not_allowed',
    },
    'its author is a member who may do less now': {
      meddle: () =>
        rows(
          `INSERT INTO members (id, name, role, environments, revision, created_at, updated_at)
            VALUES (?, 'Ada', 'viewer', NULL, 1, 0, 0)`,
          ADA,
        ),
      code: 'not_allowed',
    },
  }

  it.each(Object.entries(FAILURES))('says why, once: %s', async (_, { ask, meddle, code, details }) => {
    const id = await (ask ?? (() => schedule('a', OTHER, 3)))()
    await meddle()
    const before = await dump(...CONFIGURED)
    const head = await auditEnd()
    moveClock(HOUR)
    await runTick()
    expect((await shown(id)).body).toMatchObject({
      state: 'failed',
      finishedAt: Date.now(),
      failure: { code, message: expect.any(String), ...(details === undefined ? {} : { details }) },
      stale: false,
    })
    await runTick()
    expect(await dump(...CONFIGURED)).toEqual(before)
    expect(await auditAfter(head)).toMatchObject([
      { actor: 'tick', via: 'tick', action: 'change_request.fail', target_key: id },
    ])
    expect(refusalOf(await decide('test-admin', id, 'cancel'))).toEqual([409, 'not_pending'])
  })
})

describe('in a protected environment, a change for later', () => {
  const GRACE = 'grace@example.com'
  let grace = ''

  beforeEach(async () => {
    grace = await createActor({ owner: GRACE, role: 'releaser' })
    await api('PUT', ofEnvironment(), { name: 'x', protected: true }, from(1))
  })

  it('is approved before its time, and applied at its time', async () => {
    const head = await auditEnd()
    const id = await schedule('a', OTHER, 3)
    expect(await stateOf(id)).toBe('awaiting_approval')
    expect(await decide(grace, id, 'approve')).toMatchObject({
      body: { changeRequest: { state: 'scheduled', decidedBy: { id: GRACE } }, environments: {} },
    })
    await runTick()
    expect((await api('GET', configurationOf('a'))).body).toMatchObject({ revision: 3 })
    moveClock(HOUR)
    await runTick()
    expect((await api('GET', configurationOf('a'))).body).toMatchObject({ ...OTHER, revision: 4 })
    expect(await auditAfter(head)).toMatchObject([
      { actor: ADA, action: 'change_request.create', details: { applyAt: Date.now() } },
      { actor: GRACE, action: 'change_request.approve' },
      { actor: ADA, action: 'configuration.save', details: { changeRequest: id, approvedBy: GRACE } },
    ])
  })

  it('waits on past its time until it is approved, and is then applied at once', async () => {
    const id = await schedule('a', OTHER, 3)
    moveClock(2 * HOUR)
    await runTick()
    expect(await stateOf(id)).toBe('awaiting_approval')
    expect((await decide(grace, id, 'approve')).body).toMatchObject({ changeRequest: { state: 'applied' } })
    expect((await api('GET', configurationOf('a'))).body).toMatchObject({ ...OTHER, revision: 4 })
  })

  it.each(['its author', 'a releaser'])('is not applied once %s took it back', async (who) => {
    const id = await schedule('a', OTHER, 3)
    await decide(grace, id, 'approve')
    expect((await decide(who === 'its author' ? ada : grace, id, 'cancel')).status).toBe(200)
    moveClock(HOUR)
    await runTick()
    expect(await stateOf(id)).toBe('cancelled')
    expect((await api('GET', configurationOf('a'))).body).toMatchObject({ revision: 3 })
  })
})
