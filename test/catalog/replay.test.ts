import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { apiAs, createActor } from '../support/actors.ts'
import { archive, changed, OK, serving, status } from '../support/catalog.ts'
import { dump, emptyDatabase, rows } from '../support/database.ts'
import { runTick } from '../support/tick.ts'
import {
  type Answer,
  api,
  createEnvironment,
  createFlag,
  createKey,
  createSegment,
  field,
  from,
  moveClock,
  ON_OFF,
  silenceLogs,
  stopClock,
} from '../support/worker.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS
const SWITCHED_ON = { enabled: true, fallthrough: { variant: 'on' } }
const REPEATABLE = 'a-key-that-nobody-guesses'

type Request = {
  readonly method: string
  readonly path: string
  readonly json?: unknown
  readonly headers?: { readonly [name: string]: string }
}

let environment = ''
let keyId = ''
let waitingId = ''
let grace = ''

const configuration = () => `/flags/a/environments/${environment}`
const keys = () => `/environments/${environment}/keys`

/** Two environments with flags, a segment and a key; of one of them a change waits. */
async function setUp(): Promise<void> {
  await emptyDatabase()
  environment = await createEnvironment()
  await createFlag('a')
  await createFlag('old')
  await archive('old', 1)
  await createSegment(environment, 's')
  keyId = (await createKey(environment)).id
  grace = await createActor({ owner: 'grace', role: 'releaser' })
  const guarded = await createEnvironment({ protected: true })
  const { body } = await apiAs(grace, 'PUT', `/flags/a/environments/${guarded}`, SWITCHED_ON, from(1))
  waitingId = String(field(field(body, 'changeRequest'), 'id'))
  // What waits goes on waiting; nothing else has to.
  await env.DB.prepare('UPDATE environments SET protected = 0').run()
  // Whatever is published from now on is put in KV at once.
  moveClock(1_000)
}

function send({ method, path, json, headers }: Request, key = REPEATABLE): Promise<Answer> {
  return api(method, path, json, { ...headers, 'idempotency-key': key })
}

const isReplayed = ({ headers }: Answer) => headers.get('idempotency-replayed')
const seen = ({ status, headers, body }: Answer) => ({ status, etag: headers.get('etag'), body })
const keptRows = () => rows('SELECT * FROM idempotency_keys')

stopClock()
silenceLogs()
beforeEach(setUp)

const save = (): Request => ({
  method: 'PUT',
  path: configuration(),
  json: SWITCHED_ON,
  headers: from(1),
})

const REQUESTS: readonly (readonly [name: string, status: number, request: () => Request])[] = [
  [
    'makes a flag',
    200,
    () => ({
      method: 'PUT',
      path: '/flags/b',
      json: { type: 'boolean', variants: ON_OFF },
      headers: from(0),
    }),
  ],
  [
    'changes notes of a flag',
    200,
    () => ({ method: 'PATCH', path: '/flags/a', json: { description: 'x' }, headers: from(1) }),
  ],
  ['archives a flag', 200, () => ({ method: 'POST', path: '/flags/a/archive', json: {}, headers: from(1) })],
  ['deletes a flag', 200, () => ({ method: 'DELETE', path: '/flags/a?comment=why', headers: from(1) })],
  ['changes a configuration', 200, save],
  [
    'changes a part of a configuration',
    200,
    () => ({ method: 'PATCH', path: configuration(), json: { enabled: true }, headers: from(1) }),
  ],
  [
    'makes a segment',
    200,
    () => ({ method: 'PUT', path: `/environments/${environment}/segments/t`, json: {}, headers: from(0) }),
  ],
  [
    'makes an environment',
    200,
    () => ({
      method: 'PUT',
      path: '/environments/new',
      json: { name: 'x', copyFrom: environment },
      headers: from(0),
    }),
  ],
  ['makes a key', 201, () => ({ method: 'POST', path: keys(), json: { kind: 'client', name: 'x' } })],
  ['replaces a key', 201, () => ({ method: 'POST', path: `${keys()}/${keyId}/rotate`, json: {} })],
  ['revokes a key', 200, () => ({ method: 'DELETE', path: `${keys()}/${keyId}` })],
  [
    'waits for its time',
    202,
    () => ({ ...save(), json: { ...SWITCHED_ON, applyAt: '2100-01-01T00:00:00Z' } }),
  ],
  [
    'approves what waits',
    200,
    () => ({ method: 'POST', path: `/change-requests/${waitingId}/approve`, json: { comment: 'good' } }),
  ],
  [
    'rejects what waits',
    200,
    () => ({ method: 'POST', path: `/change-requests/${waitingId}/reject`, json: { comment: 'no' } }),
  ],
]

describe('a request that is sent again with its Idempotency-Key', () => {
  it.each(REQUESTS)(
    'and %s is answered with %d as it was before, and done once',
    async (_, code, request) => {
      const asked = request()
      const first = await send(asked)
      expect([first.status, isReplayed(first)]).toEqual([code, null])
      const before = await dump()
      const second = await send(asked)
      expect([seen(second), isReplayed(second)]).toEqual([seen(first), 'true'])
      expect(await dump()).toEqual(before)
    },
  )

  it('and deletes an environment is answered as it was before, and done once', async () => {
    const asked = { method: 'DELETE', path: `/environments/${environment}`, headers: from(1) }
    const first = await send(asked)
    expect([first.status, first.body]).toEqual([200, changed(0, environment, 0)])
    const before = await dump()
    const second = await send(asked)
    expect([seen(second), isReplayed(second)]).toEqual([seen(first), 'true'])
    expect(await dump()).toEqual(before)
  })

  it.each(REQUESTS)(
    'at the same moment and %s is answered with %d twice, and done once',
    async (_, code, request) => {
      const asked = request()
      const before = await rows('SELECT id FROM audit')
      const answers = await Promise.all(Array.from({ length: 5 }, () => send(asked)))
      const [first] = answers
      expect(first?.status).toBe(code)
      const withoutHubs = (answer: Answer) => JSON.parse(JSON.stringify(seen(answer)))
      expect(answers.map(withoutHubs)).toEqual(answers.map(() => first && withoutHubs(first)))
      expect(answers.map(isReplayed).sort()).toEqual([null, 'true', 'true', 'true', 'true'])
      expect((await rows('SELECT id FROM audit')).length - before.length).toBeLessThanOrEqual(
        asked.path.includes('approve') ? 2 : 1,
      )
      expect(await keptRows()).toHaveLength(1)
    },
  )

  it('is published by it, where that failed before', async () => {
    await send(save())
    const due = () => rows('SELECT version FROM outbox WHERE environment = ?', environment)
    await env.DB.prepare(
      "INSERT INTO outbox (kind, environment, version, created_at) VALUES ('publish', ?, 1, 0)",
    )
      .bind(environment)
      .run()
    expect(await due()).toEqual([{ version: 1 }])
    expect((await send(save())).body).toEqual(changed(2, environment, 7))
    expect(await due()).toEqual([])
  })
})

describe('an Idempotency-Key', () => {
  it.each<[string, Partial<Request>]>([
    ['of another body', { json: { ...SWITCHED_ON, comment: 'x' } }],
    ['from another revision', { headers: from(2) }],
    ['at another place', { path: '/flags/old/archive' }],
    ['with another query', { path: '/flags/a?x=1' }],
    ['by another method', { method: 'PATCH' }],
  ])('that was used for a request is refused for one %s, which is not done', async (_, other) => {
    expect(status(await send(save()))).toEqual(OK)
    const before = await dump()
    expect(status(await send({ ...save(), ...other }))).toEqual([422, 'idempotency_key_reused'])
    expect(await dump()).toEqual(before)
  })

  it('that two different requests have at the same moment serves one of them', async () => {
    const answers = await Promise.all(
      ['x', 'y'].map((name) => send({ method: 'POST', path: keys(), json: { kind: 'client', name } })),
    )
    expect(answers.map(status).sort()).toEqual([
      [201, undefined],
      [422, 'idempotency_key_reused'],
    ])
    expect(await keptRows()).toHaveLength(1)
  })

  it('is its own actor’s: the same one of somebody else is another request', async () => {
    const asked: Request = { method: 'POST', path: keys(), json: { kind: 'client', name: 'x' } }
    const mine = await send(asked)
    const theirs = await send({ ...asked, headers: { authorization: `Bearer ${grace}` } })
    expect([theirs.status, isReplayed(theirs)]).toEqual([201, null])
    expect(field(theirs.body, 'id')).not.toBe(field(mine.body, 'id'))
    // The same person with another token is the same actor.
    const other = await createActor({ owner: 'grace' })
    const again = await send({ ...asked, headers: { authorization: `Bearer ${other}` } })
    expect([seen(again), isReplayed(again)]).toEqual([seen(theirs), 'true'])
  })

  it('means nothing to a question', async () => {
    for (const key of [REPEATABLE, 'x']) {
      const answer = await send({ method: 'GET', path: configuration() }, key)
      expect([answer.status, isReplayed(answer)]).toEqual([200, null])
    }
    expect(await keptRows()).toEqual([])
  })

  it('is remembered for a day, and forgotten by the tick after that', async () => {
    const first = await send(save())
    moveClock(DAY_MS)
    await runTick()
    expect(seen(await send(save()))).toEqual(seen(first))
    moveClock(1)
    await runTick()
    expect(await keptRows()).toEqual([])
    expect(status(await send(save()))).toEqual([412, 'stale'])
  })

  it.each([
    ['of 15 characters', 'x'.repeat(15)],
    ['of 201 characters', 'x'.repeat(201)],
    ['of nothing', ''],
    ['with a space inside', 'a key with spaces'],
    ['with letters beyond ASCII', 'schlüssel-schlüssel'],
  ])('%s is refused, and nothing is done', async (_, key) => {
    const before = await dump()
    expect(status(await send(save(), key))).toEqual([400, 'malformed'])
    expect(await dump()).toEqual(before)
  })

  it.each([
    ['of 16 characters', '!234567890abcde~'],
    ['of 200 characters', 'x'.repeat(200)],
    ['that is a UUID', '0197f3c2-6b1e-7c3a-9f52-2f6f5f6f1a10'],
  ])('%s is taken', async (_, key) => {
    expect(status(await send(save(), key))).toEqual(OK)
    expect(isReplayed(await send(save(), key))).toBe('true')
  })

  it('leaves neither itself nor what is shown once behind, in any table', async () => {
    const { body } = await send({ method: 'POST', path: keys(), json: { kind: 'server', name: 'x' } })
    const key = String(field(body, 'key'))
    const secret = key.slice(key.lastIndexOf('_') + 1)
    expect(secret).toMatch(/^[0-9a-f]{32}$/)
    const stored = JSON.stringify(await dump())
    const base64 = (text: string) => btoa(text).replace(/=*$/, '')
    for (const hidden of [secret, base64(secret), base64(key), REPEATABLE, base64(REPEATABLE)]) {
      expect(stored).not.toContain(hidden)
    }
    const [kept] = await rows<Record<string, unknown>>('SELECT * FROM idempotency_keys')
    expect(kept).toEqual({
      id: expect.stringMatching(/^[\w+/]{43}=$/),
      fingerprint: expect.stringMatching(/^[\w+/]{43}=$/),
      status: 201,
      answer: expect.stringMatching(/^[\w+/]{16}\.[\w+/]+=*$/),
      environments: JSON.stringify({ [environment]: 7 }),
      revision: 0,
      created_at: Date.now(),
    })
  })
})

describe('a refused request with an Idempotency-Key', () => {
  it.each<[string, readonly unknown[], () => Request, () => Promise<unknown>]>([
    [
      'because it names what is not there',
      [422, 'unknown_reference'],
      () => ({ ...save(), json: { ...SWITCHED_ON, ...serving('t') } }),
      () => createSegment(environment, 't'),
    ],
    [
      'because it is not there',
      [404, 'not_found'],
      () => ({ method: 'PATCH', path: '/flags/b', json: { owner: 'ada' }, headers: from(1) }),
      () => createFlag('b'),
    ],
    [
      'because its revision is still to come',
      [412, 'stale'],
      () => ({ ...save(), headers: from(2) }),
      () => api('PUT', configuration(), SWITCHED_ON, from(1)),
    ],
  ])('leaves nothing, and is done when it is sent again: %s', async (_, refusal, request, mend) => {
    const before = await dump()
    expect(status(await send(request()))).toEqual(refusal)
    expect(await dump()).toEqual(before)
    await mend()
    const answer = await send(request())
    expect([status(answer), isReplayed(answer)]).toEqual([OK, null])
    expect(isReplayed(await send(request()))).toBe('true')
  })
})
