import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { hubOf } from '../../src/catalog/hub-protocol.ts'
import { apiAs, createActor, refusalOf } from '../support/actors.ts'
import { auditAfter, auditEnd, CONFIGURED, dump, emptyDatabase, rows } from '../support/database.ts'
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
  ON_OFF,
  putFlag,
  putSegment,
  silenceLogs,
  warm,
} from '../support/worker.ts'

const ADA = 'ada@example.com'
const GRACE = 'grace@example.com'

const split = (on: number) => ({
  split: {
    weights: [
      { variant: 'on', weight: on },
      { variant: 'off', weight: 100 - on },
    ],
    by: 'targetingKey',
    seed: 'seed-of-checkout',
  },
})
const TENTH = { enabled: true, offVariant: 'off', fallthrough: split(10) }
const MORE_VARIANTS = [...ON_OFF, { name: 'later', value: false }]

/** The protected environment, and one that is not. */
let target = ''
let open = ''
/** A developer, an administrator who is the same person, and a releaser. */
let ada = ''
let adaAsAdmin = ''
let grace = ''

const ofTarget = (path = '') => `/environments/${target}${path}`
const checkout = () => `/flags/checkout/environments/${target}`

silenceLogs()

beforeEach(async () => {
  await emptyDatabase()
  target = await createEnvironment()
  open = await createEnvironment()
  await createFlag('checkout', { description: 'first' })
  await createFlag('banner')
  await createFlag('old')
  await configure(target, 'checkout', TENTH)
  await configure(target, 'checkout', { ...TENTH, fallthrough: split(20), allowMoves: true }, 2)
  await configure(open, 'checkout', { enabled: true, fallthrough: { variant: 'off' } })
  await createSegment(target, 'staff', { included: ['ada'] })
  await putSegment(target, 'staff', { included: ['ada', 'grace'] }, 1)
  await putFlag('checkout', { description: 'second', variants: MORE_VARIANTS }, 1)
  await api('POST', '/flags/old/archive', {}, from(1))
  await api('PUT', ofTarget(), { name: 'Target', protected: true }, from(1))
  ada = await createActor({ owner: ADA })
  adaAsAdmin = await createActor({ owner: ADA, role: 'admin' })
  grace = await createActor({ owner: GRACE, role: 'releaser' })
})

const requestOf = (answer: Answer) => field(answer.body, 'changeRequest')
const idOf = (answer: Answer) => String(field(requestOf(answer), 'id'))
const decide = (token: string, id: string, decision: string, comment = '') =>
  apiAs(token, 'POST', `/change-requests/${id}/${decision}`, { comment })
const stateOf = async (id: string) => field((await api('GET', `/change-requests/${id}`)).body, 'state')
const saveCheckout = (token: string, on = 25, revision = 3) =>
  apiAs(token, 'PUT', checkout(), { ...TENTH, fallthrough: split(on), allowMoves: true }, from(revision))
const lastRow = async (table: string) =>
  Number((await rows(`SELECT coalesce(max(rowid), 0) AS id FROM ${table}`))[0]?.id)

describe('in a protected environment', () => {
  type Kind = {
    readonly kind: string
    readonly ask: (token: string) => Promise<Answer>
    /** The audit's word, where it is not the operation's. */
    readonly action?: string
    readonly admin?: true
    /** What is there once it is approved, and was not before. */
    readonly path: () => string
    readonly expected: object | 404
    /** Whether it concerns every environment. */
    readonly everywhere?: true
  }
  const body = (draft: object) => ({ ...draft, comment: 'please' })
  const KINDS: { readonly [name: string]: Kind } = {
    'a configuration': {
      kind: 'configuration.save',
      ask: (token) =>
        apiAs(token, 'PUT', checkout(), body({ ...TENTH, fallthrough: { variant: 'on' } }), from(3)),
      path: checkout,
      expected: { fallthrough: { variant: 'on' }, revision: 4 },
    },
    'a part of a configuration': {
      kind: 'configuration.save',
      ask: (token) => apiAs(token, 'PATCH', checkout(), body({ enabled: false }), from(3)),
      path: checkout,
      expected: { enabled: false, fallthrough: split(20), revision: 4 },
    },
    'a copied configuration': {
      kind: 'configuration.save',
      ask: (token) => apiAs(token, 'POST', '/flags/checkout/copy', body({ from: open, to: target }), from(3)),
      path: checkout,
      expected: { enabled: true, fallthrough: { variant: 'off' }, revision: 4 },
    },
    'a restored configuration': {
      kind: 'configuration.save',
      ask: (token) =>
        apiAs(
          token,
          'POST',
          '/flags/checkout/restore',
          body({ environment: target, revision: 2, allowMoves: true }),
          from(3),
        ),
      path: checkout,
      expected: { fallthrough: split(10), revision: 4 },
    },
    'a new segment': {
      kind: 'segment.save',
      action: 'segment.create',
      ask: (token) => apiAs(token, 'PUT', ofTarget('/segments/new'), body({ included: ['x'] }), from(0)),
      path: () => ofTarget('/segments/new'),
      expected: { included: ['x'], revision: 1 },
    },
    'a segment': {
      kind: 'segment.save',
      ask: (token) => apiAs(token, 'PUT', ofTarget('/segments/staff'), body({ included: ['x'] }), from(2)),
      path: () => ofTarget('/segments/staff'),
      expected: { included: ['x'], revision: 3 },
    },
    'a restored segment': {
      kind: 'segment.save',
      ask: (token) =>
        apiAs(token, 'POST', ofTarget('/segments/staff/restore'), body({ revision: 1 }), from(2)),
      path: () => ofTarget('/segments/staff'),
      expected: { included: ['ada'], revision: 3 },
    },
    'the end of a segment': {
      kind: 'segment.delete',
      ask: (token) => apiAs(token, 'DELETE', ofTarget('/segments/staff?comment=please'), undefined, from(2)),
      path: () => ofTarget('/segments/staff'),
      expected: 404,
    },
    'the environment itself': {
      kind: 'environment.save',
      admin: true,
      ask: (token) => apiAs(token, 'PUT', ofTarget(), body({ name: 'Open', protected: false }), from(2)),
      path: ofTarget,
      expected: { name: 'Open', protected: false, revision: 3 },
    },
    'the end of the environment': {
      kind: 'environment.delete',
      admin: true,
      ask: (token) => apiAs(token, 'DELETE', `${ofTarget()}?comment=please`, undefined, from(2)),
      path: ofTarget,
      expected: 404,
    },
    "a flag's definition": {
      kind: 'flag.save',
      everywhere: true,
      ask: (token) =>
        apiAs(token, 'PUT', '/flags/checkout', body({ type: 'boolean', variants: ON_OFF }), from(2)),
      path: () => '/flags/checkout',
      expected: { variants: ON_OFF, revision: 3 },
    },
    "a part of a flag's definition": {
      kind: 'flag.save',
      everywhere: true,
      ask: (token) => apiAs(token, 'PATCH', '/flags/checkout', body({ clientVisible: true }), from(2)),
      path: () => '/flags/checkout',
      expected: { clientVisible: true, description: 'second', revision: 3 },
    },
    'a restored definition': {
      kind: 'flag.save',
      everywhere: true,
      ask: (token) => apiAs(token, 'POST', '/flags/checkout/restore', body({ revision: 1 }), from(2)),
      path: () => '/flags/checkout',
      expected: { description: 'first', variants: ON_OFF, revision: 3 },
    },
    'the archiving of a flag': {
      kind: 'flag.archive',
      everywhere: true,
      ask: (token) => apiAs(token, 'POST', '/flags/banner/archive', body({}), from(1)),
      path: () => '/flags/banner',
      expected: { archivedAt: expect.any(Number), revision: 2 },
    },
    'the return of an archived flag': {
      kind: 'flag.unarchive',
      everywhere: true,
      ask: (token) => apiAs(token, 'POST', '/flags/old/unarchive', body({}), from(2)),
      path: () => '/flags/old',
      expected: { archivedAt: null, revision: 3 },
    },
    'the end of a flag': {
      kind: 'flag.delete',
      everywhere: true,
      ask: (token) => apiAs(token, 'DELETE', '/flags/banner?comment=please', undefined, from(1)),
      path: () => '/flags/banner',
      expected: 404,
    },
    'the end of an archived flag': {
      kind: 'flag.delete',
      everywhere: true,
      ask: (token) => apiAs(token, 'DELETE', '/flags/old?comment=please', undefined, from(2)),
      path: () => '/flags/old',
      expected: 404,
    },
  }

  it.each(Object.entries(KINDS))('%s waits for a second person, and is then done', async (_, row) => {
    const { kind, ask, action = kind, admin, path, expected, everywhere } = row
    const author = admin ? adaAsAdmin : ada
    const concerned = everywhere ? [open, target].sort() : [target]
    const before = await dump(...CONFIGURED)
    const { version } = await hubOf(env, target).publish()
    const [head, revision, history] = [await auditEnd(), await lastRow('revisions'), await lastRow('history')]

    const asked = await ask(author)
    expect(asked).toMatchObject({
      status: 202,
      body: {
        changeRequest: {
          operation: { kind },
          state: 'awaiting_approval',
          author: { id: ADA, via: expect.stringMatching(/^token:/), role: admin ? 'admin' : 'developer' },
          comment: 'please',
          applyAt: null,
          decidedBy: null,
          stale: false,
        },
      },
    })
    expect([...Object(requestOf(asked)).environments].sort()).toEqual(concerned)
    expect(await dump(...CONFIGURED)).toEqual(before)
    expect(await hubOf(env, target).publish()).toEqual({ version, published: true })
    expect((await api('GET', `/change-requests/${idOf(asked)}`)).body).toEqual(requestOf(asked))

    const approved = await decide(grace, idOf(asked), 'approve', 'looks good')
    expect(approved).toMatchObject({
      status: 200,
      body: {
        changeRequest: {
          state: 'applied',
          decidedBy: { id: GRACE },
          decision: 'looks good',
          decidedAt: expect.any(Number),
          finishedAt: expect.any(Number),
          failure: null,
          stale: false,
        },
      },
    })
    const there = await api('GET', path())
    if (expected === 404) expect(there.status).toBe(404)
    else expect(there.body).toMatchObject(expected)

    const written = { actor: ADA, comment: 'please' }
    const revisions = 'SELECT DISTINCT actor, comment FROM revisions WHERE rowid > ?'
    expect(await rows(revisions, revision)).toEqual([written])
    const entities = 'SELECT DISTINCT actor, comment FROM history WHERE rowid > ?'
    expect(await rows(entities, history)).toEqual(
      action === 'flag.delete' && path() === '/flags/old' ? [] : [written],
    )
    const audited = await auditAfter(head)
    expect(audited.map(({ actor, action, comment }) => [actor, action, comment])).toEqual([
      [ADA, 'change_request.create', 'please'],
      [ADA, action, 'please'],
      [GRACE, 'change_request.approve', 'looks good'],
    ])
    expect(audited[1]).toMatchObject({ details: { changeRequest: idOf(asked), approvedBy: GRACE } })
    expect(audited[2]).toMatchObject({
      target_kind: 'change_request',
      target_key: idOf(asked),
      details: { operation: kind, author: ADA },
    })
  })

  it.each<
    [name: string, role: 'developer' | 'releaser', ask: (token: string) => Promise<Answer>, status: number]
  >([
    [
      'a new flag, which is off everywhere',
      'developer',
      (token) => apiAs(token, 'PUT', '/flags/new', { type: 'boolean', variants: ON_OFF }, from(0)),
      200,
    ],
    [
      "a flag's notes",
      'developer',
      (token) =>
        apiAs(
          token,
          'PATCH',
          '/flags/checkout',
          { description: 'third', tags: ['a'], owner: 'b', temporary: true },
          from(2),
        ),
      200,
    ],
    [
      'a key',
      'releaser',
      (token) => apiAs(token, 'POST', ofTarget('/keys'), { kind: 'server', name: 'Shop' }),
      201,
    ],
    [
      'an emergency',
      'releaser',
      (token) => apiAs(token, 'PATCH', checkout(), { enabled: false, emergency: true }, from(3)),
      200,
    ],
    [
      'the configuration of an environment that is not protected',
      'developer',
      (token) => apiAs(token, 'PATCH', `/flags/checkout/environments/${open}`, { enabled: false }, from(2)),
      200,
    ],
  ])('%s waits for nobody', async (_, role, ask, status) => {
    const answer = await ask(await createActor({ role }))
    expect(answer.status).toBe(status)
    expect(await rows('SELECT id FROM change_requests')).toEqual([])
  })

  it('an emergency switches off, is called so, and leaves the rest as it is', async () => {
    const head = await auditEnd()
    await apiAs(grace, 'PATCH', checkout(), { enabled: false, emergency: true, comment: 'fire' }, from(3))
    expect((await api('GET', checkout())).body).toMatchObject({
      ...TENTH,
      enabled: false,
      fallthrough: split(20),
    })
    expect(await auditAfter(head)).toMatchObject([
      { actor: GRACE, action: 'configuration.switch_off', comment: 'fire' },
    ])
  })

  it.each([
    ['switches on', { enabled: true }],
    ['changes the off variant', { enabled: false, offVariant: null }],
    ['changes the fallthrough', { enabled: false, fallthrough: { variant: 'off' } }],
    ['adds a target', { enabled: false, targets: [{ variant: 'on', units: ['x'] }] }],
    [
      'adds a rule',
      { enabled: false, rules: [{ id: 'r', when: { segment: 'staff' }, serve: { variant: 'on' } }] },
    ],
    ['adds a prerequisite', { enabled: false, prerequisites: [{ flag: 'banner', variants: ['on'] }] }],
  ])('an emergency that %s is none', async (_, changes) => {
    const answer = await apiAs(grace, 'PATCH', checkout(), { ...changes, emergency: true }, from(3))
    expect(refusalOf(answer)).toEqual([422, 'not_only_off'])
  })

  it.each([
    ['an emergency', () => apiAs(ada, 'PATCH', checkout(), { enabled: false, emergency: true }, from(3))],
    ['a key', () => apiAs(ada, 'POST', ofTarget('/keys'), { kind: 'server', name: 'Shop' })],
  ])('%s needs a releaser', async (_, ask) => {
    expect(refusalOf(await ask())).toEqual([403, 'forbidden'])
  })
})

describe('a change that waits', () => {
  it('is at the edge right after its approval, and not before', async () => {
    const { key } = await createKey(target)
    const answered = async () => {
      await warm(target)
      return field((await evaluate(key, 'checkout', { targetingKey: 'unit-1' })).body, 'variant')
    }
    expect(await answered()).toBe('off')
    const asked = await apiAs(ada, 'PUT', checkout(), { ...TENTH, fallthrough: { variant: 'on' } }, from(3))
    expect(await answered()).toBe('off')
    const approved = await decide(grace, idOf(asked), 'approve')
    expect(field(approved.body, 'environments')).toEqual({
      [target]: { version: expect.any(Number), published: true },
    })
    expect(await answered()).toBe('on')
  })

  it('shows what it would do, as its preview does', async () => {
    const draft = { ...TENTH, fallthrough: split(25) }
    const asked = await apiAs(ada, 'PUT', checkout(), { ...draft, allowMoves: true }, from(3))
    const preview = field(requestOf(asked), 'preview')
    expect(preview).toEqual((await api('POST', `${checkout()}/preview`, draft)).body)
    expect(preview).toMatchObject({
      changed: { share: 0.05, exact: true },
      splits: [{ place: 'fallthrough', transitions: [{ from: 'off', to: 'on', share: 0.05 }] }],
    })
  })

  it('has no preview where no unit is concerned', async () => {
    const asked = await apiAs(ada, 'POST', '/flags/banner/archive', {}, from(1))
    expect(field(requestOf(asked), 'preview')).toBeNull()
  })

  it('is refused at once when it cannot be done', async () => {
    const draft = { enabled: true, fallthrough: { variant: 'none' } }
    expect(refusalOf(await apiAs(ada, 'PUT', checkout(), draft, from(3)))).toEqual([422, 'invalid'])
    expect(await rows('SELECT id FROM change_requests')).toEqual([])
  })

  it.each<[name: string, ask: () => Promise<Answer>]>([
    ['a configuration', () => saveCheckout(ada, 25, 2)],
    ['a new segment', () => apiAs(ada, 'PUT', ofTarget('/segments/staff'), {}, from(0))],
    ['the end of a flag', () => apiAs(ada, 'DELETE', '/flags/banner', undefined, from(2))],
    ['the environment', () => apiAs(adaAsAdmin, 'PUT', ofTarget(), { name: 'x' }, from(1))],
    [
      'what has a time of its own',
      () => apiAs(ada, 'PATCH', checkout(), { enabled: false, applyAt: '2100-01-01T00:00:00Z' }, from(2)),
    ],
  ])('is refused at once when it is stale already: %s', async (_, ask) => {
    expect(refusalOf(await ask())).toEqual([412, 'stale'])
    expect(await rows('SELECT id FROM change_requests')).toEqual([])
  })

  it.each([
    ['reject', 'rejected', () => grace],
    ['cancel', 'cancelled', () => ada],
    ['cancel', 'cancelled', () => grace],
  ])('is done no more after %s (%s)', async (decision, state, decider) => {
    const asked = await saveCheckout(ada)
    const before = await dump(...CONFIGURED)
    const head = await auditEnd()
    expect(await decide(decider(), idOf(asked), decision, 'no')).toMatchObject({
      status: 200,
      body: { changeRequest: { state, decision: 'no', stale: false }, environments: {} },
    })
    expect(await auditAfter(head)).toMatchObject([{ action: `change_request.${decision}`, comment: 'no' }])
    for (const again of ['approve', 'reject', 'cancel']) {
      expect(refusalOf(await decide(grace, idOf(asked), again))).toEqual([409, 'not_pending'])
    }
    expect(await dump(...CONFIGURED)).toEqual(before)
    expect(await stateOf(idOf(asked))).toBe(state)
  })

  it.each(
    Object.entries({
      'a configuration': () => saveCheckout(ada),
      'the end of a flag': () => apiAs(ada, 'DELETE', '/flags/banner', undefined, from(1)),
      'an archiving': () => apiAs(ada, 'POST', '/flags/banner/archive', {}, from(1)),
      'the end of a segment': () => apiAs(ada, 'DELETE', ofTarget('/segments/staff'), undefined, from(2)),
    }),
  )('is approved once: %s', async (_, ask) => {
    const id = idOf(await ask())
    expect((await decide(grace, id, 'approve')).status).toBe(200)
    for (const again of ['approve', 'reject', 'cancel']) {
      expect(refusalOf(await decide(grace, id, again))).toEqual([409, 'not_pending'])
    }
  })

  it('is applied once when two approve it at once', async () => {
    const id = idOf(await saveCheckout(ada))
    const other = await createActor({ role: 'releaser' })
    const answers = await Promise.all([decide(grace, id, 'approve'), decide(other, id, 'approve')])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
    expect((await api('GET', checkout())).body).toMatchObject({ revision: 4 })
  })

  it.each<[name: string, approver: () => Promise<string> | string, refusal: readonly [number, string]]>([
    ['its author', () => createActor({ owner: ADA, role: 'releaser' }), [403, 'own_change']],
    ['its author as administrator', () => adaAsAdmin, [403, 'own_change']],
    [
      'somebody with a token that its author has made',
      () => createActor({ role: 'releaser', issuedBy: ADA }),
      [403, 'own_change'],
    ],
    ['a developer', () => createActor(), [403, 'forbidden']],
    ['a viewer', () => createActor({ role: 'viewer' }), [403, 'forbidden']],
    [
      'a releaser of other environments, who is not told that it exists',
      () => createActor({ role: 'releaser', environments: [open] }),
      [404, 'not_found'],
    ],
  ])('cannot be decided by %s', async (_, approver, refusal) => {
    const id = idOf(await saveCheckout(ada))
    const token = await approver()
    expect(refusalOf(await decide(token, id, 'approve'))).toEqual(refusal)
    expect(refusalOf(await decide(token, id, 'reject'))).toEqual(refusal)
    expect(await stateOf(id)).toBe('awaiting_approval')
  })

  it('cannot be taken back by a colleague who may not decide about it', async () => {
    const id = idOf(await saveCheckout(ada))
    expect(refusalOf(await decide(await createActor(), id, 'cancel'))).toEqual([403, 'forbidden'])
  })

  it('takes an approver who reaches all its environments', async () => {
    const id = idOf(await apiAs(ada, 'PATCH', '/flags/checkout', { clientVisible: true }, from(2)))
    const half = await createActor({ role: 'releaser', environments: [target] })
    expect(refusalOf(await decide(half, id, 'approve'))).toEqual([404, 'not_found'])
    const whole = await createActor({ role: 'releaser', environments: [target, open] })
    expect((await decide(whole, id, 'approve')).status).toBe(200)
  })
})
