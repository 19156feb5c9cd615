import { env } from 'cloudflare:workers'
import { Webhook } from 'standardwebhooks'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { deliverDue } from '../../src/notifications/deliver.ts'
import { BINDINGS, call, refusalOf } from '../support/access.ts'
import { createActor } from '../support/actors.ts'
import { createChannel, makeNotice, owe } from '../support/channels.ts'
import { auditAfter, auditEnd, overtaken, rows } from '../support/database.ts'
import { receive } from '../support/receiver.ts'
import { createEnvironment, field, from, silenceLogs, uniqueName } from '../support/worker.ts'

const receiver = receive()
silenceLogs()

const PATH_SECRET = 'T024BE7LH-path-secret'
const TARGET = `https://hooks.example.com/services/${PATH_SECRET}?token=query-secret`
const DRAFT = {
  kind: 'webhook',
  name: 'On call',
  target: TARGET,
  events: ['rollout.rolled_back', 'incident.opened'],
}

let environment: string

beforeEach(async () => {
  await env.DB.prepare('DELETE FROM deliveries').run()
  environment = await createEnvironment()
})

const make = (draft: object = {}, bindings = BINDINGS) =>
  call('POST', '/channels', { json: { environment, ...DRAFT, ...draft }, bindings })

describe('a channel', () => {
  it('is made with a secret that is shown once, and a target that never is', async () => {
    const made = await make({ comment: 'For the night' })
    expect(made.status).toBe(201)
    expect(made.headers.get('etag')).toBe('"1"')
    const { secret, ...shown } = Object(made.body)
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    expect(shown).toEqual({
      id: expect.stringMatching(/^channel-[0-9a-f]{12}$/),
      environment,
      kind: 'webhook',
      name: 'On call',
      target: 'https://hooks.example.com/…',
      events: ['rollout.rolled_back', 'incident.opened'],
      enabled: true,
      revision: 1,
      createdAt: expect.any(Number),
      updatedAt: shown.createdAt,
    })
    const found = await call('GET', `/channels/${shown.id}`)
    expect([found.body, found.headers.get('etag')]).toEqual([shown, '"1"'])
    const listed = await call('GET', `/channels?environment=${environment}`)
    expect(listed.body).toEqual({ channels: [shown], nextCursor: null })
  })

  it.each([
    ['slack', {}],
    ['email', { target: 'ada@example.com' }],
  ])('of kind %s has no secret', async (kind, more) => {
    const mailing = { ...BINDINGS, EMAIL: env.EMAIL ?? { send: vi.fn() }, EMAIL_FROM: 'rampart@example.com' }
    const { status, body } = await make({ kind, ...more }, mailing)
    expect([status, field(body, 'secret')]).toEqual([201, undefined])
    const rotated = await call('POST', `/channels/${field(body, 'id')}/rotate`, {
      json: {},
      headers: from(1),
    })
    expect(refusalOf(rotated)).toEqual([409, 'no_secret'])
  })

  it.each([
    [{ target: 'hooks' }, 422, 'malformed_target'],
    [{ target: 'http://hooks.example.com/' }, 422, 'insecure_target'],
    [{ target: 'https://ada:pw@hooks.example.com/' }, 422, 'credentials_in_target'],
    [{ target: 'https://0x7f.1/' }, 422, 'private_target'],
    [{ target: 'https://①②⑦.0.0.1/' }, 422, 'private_target'],
    [{ target: 'https://[::ffff:169.254.169.254]/' }, 422, 'private_target'],
    [{ kind: 'slack', target: 'https://localhost/' }, 422, 'private_target'],
    [{ kind: 'email', target: 'ada@example.com' }, 422, 'email_not_configured'],
    [{ environment: 'nowhere' }, 404, 'not_found'],
    [{ kind: 'pigeon' }, 400, 'malformed'],
    [{ events: [] }, 400, 'malformed'],
    [{ events: ['test'] }, 400, 'malformed'],
    [{ events: ['rollout.exploded'] }, 400, 'malformed'],
    [{ name: '' }, 400, 'malformed'],
    [{ secret: 'mine' }, 400, 'malformed'],
  ])('is refused with %j: %i %s', async (draft, status, code) => {
    const refused = await make(draft)
    expect(refusalOf(refused)).toEqual([status, code])
    expect(JSON.stringify(refused.body)).not.toContain(PATH_SECRET)
    expect(await rows('SELECT id FROM channels WHERE environment = ?', environment)).toEqual([])
  })

  it('may lead to a private address where the operator allows it', async () => {
    const { status } = await make(
      { target: 'http://127.0.0.1:9/' },
      { ...BINDINGS, ALLOW_PRIVATE_WEBHOOKS: 'true' },
    )
    expect(status).toBe(201)
  })

  it('is not made in an environment that is deleted meanwhile', async () => {
    const bindings = overtaken(() =>
      env.DB.prepare('DELETE FROM environments WHERE key = ?').bind(environment).run(),
    )
    expect(refusalOf(await make({}, bindings))).toEqual([404, 'not_found'])
    expect(await rows('SELECT id FROM channels WHERE environment = ?', environment)).toEqual([])
  })

  it('is one of at most 50', async () => {
    await env.DB.prepare(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
        INSERT INTO channels SELECT ?1 || i, ?1, 'slack', 'x', 'https://a.example/', '', '[]', 1, 1, 0, 0 FROM n`,
    )
      .bind(environment)
      .run()
    expect(refusalOf(await make())).toEqual([422, 'too_many'])
  })

  it('is changed from the revision that one has read, and keeps its target where none is given', async () => {
    const { id } = await createChannel(environment, { target: TARGET })
    const change = { name: 'Renamed', events: ['incident.opened'], enabled: false }
    const saved = await call('PUT', `/channels/${id}`, { json: change, headers: from(1) })
    expect([saved.status, saved.headers.get('etag')]).toEqual([200, '"2"'])
    expect(saved.body).toMatchObject({ ...change, target: 'https://hooks.example.com/…', revision: 2 })
    expect(await rows('SELECT target FROM channels WHERE id = ?', id)).toEqual([{ target: TARGET }])
    const stale = await call('PUT', `/channels/${id}`, { json: change, headers: from(1) })
    expect(refusalOf(stale)).toEqual([412, 'stale'])
    const moved = await call('PUT', `/channels/${id}`, {
      json: { ...change, target: 'https://10.0.0.1/' },
      headers: from(2),
    })
    expect(refusalOf(moved)).toEqual([422, 'private_target'])
  })

  it('is deleted with what it was to be told', async () => {
    const { id } = await createChannel(environment)
    const other = await createChannel(environment)
    await owe(makeNotice(environment))
    expect(refusalOf(await call('DELETE', `/channels/${id}`, { headers: from(7) }))).toEqual([412, 'stale'])
    expect((await call('DELETE', `/channels/${id}`, { headers: from(1) })).status).toBe(200)
    expect(refusalOf(await call('GET', `/channels/${id}`))).toEqual([404, 'not_found'])
    expect(await rows('SELECT channel FROM deliveries WHERE environment = ?', environment)).toEqual([
      { channel: other.id },
    ])
  })

  it('signs with another secret once that is rotated', async () => {
    const { id, secret } = await createChannel(environment)
    const rotated = await call('POST', `/channels/${id}/rotate`, { json: {}, headers: from(1) })
    const next = String(field(rotated.body, 'secret'))
    expect([rotated.status, field(rotated.body, 'revision'), next === secret]).toEqual([200, 2, false])
    const now = Date.now()
    await owe(makeNotice(environment, { at: now }))
    await deliverDue(BINDINGS, now)
    const [{ body, headers } = { body: '', headers: {} }] = receiver.received
    expect(() => new Webhook(secret).verify(body, headers)).toThrow()
    expect(new Webhook(next).verify(body, headers)).toBeTruthy()
  })
})

describe('a list', () => {
  it('has pages', async () => {
    const made = [
      await createChannel(environment),
      await createChannel(environment),
      await createChannel(environment),
    ]
    const ids: string[] = []
    let path = `/channels?environment=${environment}&limit=2`
    for (let page = 0; page < 3; page++) {
      const { body } = await call('GET', path)
      ids.push(...(field(body, 'channels') as { id: string }[]).map(({ id }) => id))
      const cursor = field(body, 'nextCursor')
      if (cursor === null) break
      path = `/channels?environment=${environment}&limit=2&cursor=${cursor}`
    }
    expect(ids).toEqual(made.map(({ id }) => id).sort())
  })

  it('holds what its reader reaches, and shows a viewer where each leads and no more', async () => {
    const { id } = await createChannel(environment, { target: TARGET })
    const hidden = await createChannel(await createEnvironment())
    const viewer = await createActor({ role: 'viewer', environments: [environment] })
    const { body } = await call('GET', '/channels', { as: viewer })
    expect(body).toMatchObject({
      channels: [{ id, target: 'https://hooks.example.com/…' }],
      nextCursor: null,
    })
    expect(refusalOf(await call('GET', `/channels/${hidden.id}`, { as: viewer }))).toEqual([404, 'not_found'])
    expect(
      refusalOf(await call('GET', `/channels?environment=${hidden.environment}`, { as: viewer })),
    ).toEqual([403, 'wrong_environment'])
  })
})

describe('a test message', () => {
  const test = (id: string, headers = {}) => call('POST', `/channels/${id}/test`, { json: {}, headers })

  it('goes out at once, signed, and tells what came back', async () => {
    receiver.answer(() => new Response('thanks'))
    const { id, secret } = await createChannel(environment)
    expect((await test(id)).body).toEqual({ sent: true, status: 200, error: '', answer: 'thanks' })
    const [{ body, headers } = { body: '', headers: {} }] = receiver.received
    expect(new Webhook(secret).verify(body, headers)).toMatchObject({ type: 'test', data: { environment } })
  })

  it('tells of a refusal what the receiver said, up to 1 KiB', async () => {
    receiver.answer(() => new Response('x'.repeat(5_000), { status: 403 }))
    const { id } = await createChannel(environment)
    expect((await test(id)).body).toEqual({
      sent: false,
      status: 403,
      error: 'answered 403',
      answer: 'x'.repeat(1_024),
    })
  })

  it('goes to a channel that is off, too, and leaves it as it is', async () => {
    receiver.answer(() => new Response('', { status: 410 }))
    const { id } = await createChannel(environment, { enabled: false })
    expect((await test(id)).body).toMatchObject({ sent: false, status: 410 })
    expect((await call('GET', `/channels/${id}`)).body).toMatchObject({ enabled: false, revision: 1 })
  })

  it('is sent once however often the request is repeated', async () => {
    const { id } = await createChannel(environment)
    const headers = { 'idempotency-key': '0197f3c2-6b1e-7c3a-9f52-2f6f5f6f1a10' }
    const answers = [await test(id, headers), await test(id, headers)]
    expect(answers.map(({ body }) => body)).toEqual([answers[0]?.body, answers[0]?.body])
    expect(receiver.received).toHaveLength(1)
  })
})

describe('deliveries', () => {
  it('are listed by state, newest first, and what was given up can be tried again', async () => {
    receiver.answer(() => new Response('', { status: 410 }))
    const { id } = await createChannel(environment)
    const now = Date.now()
    const [first, second] = [makeNotice(environment, { at: now }), makeNotice(environment, { at: now })]
    await owe(first)
    await deliverDue(BINDINGS, now)
    await call('PUT', `/channels/${id}`, {
      json: { name: 'Back', events: ['rollout.rolled_back'] },
      headers: from(2),
    })
    await owe(second)
    const all = await call('GET', `/channels/${id}/deliveries`)
    expect(all.body).toMatchObject({
      deliveries: [
        { notice: second.id, state: 'due', attempts: 0, nextAt: now, finishedAt: null },
        {
          notice: first.id,
          state: 'dead',
          attempts: 1,
          nextAt: null,
          lastError: 'answered 410',
          finishedAt: now,
        },
      ],
      nextCursor: null,
    })
    const dead = await call('GET', `/channels/${id}/deliveries?state=dead`)
    const [{ id: delivery } = { id: 0 }] = field(dead.body, 'deliveries') as { id: number }[]

    const retry = () => call('POST', `/channels/${id}/deliveries/${delivery}/retry`, { json: {} })
    receiver.answer(() => new Response('ok'))
    expect((await retry()).body).toMatchObject({ state: 'due', attempts: 0, finishedAt: null })
    expect(refusalOf(await retry())).toEqual([409, 'not_dead'])
    const sent = await call('GET', `/channels/${id}/deliveries?state=sent`)
    expect(field(sent.body, 'deliveries')).toHaveLength(2)
  })

  it.each(['0', '99999999', 'one', '9'.repeat(30)])('of another number are not found: %s', async (number) => {
    const { id } = await createChannel(environment)
    const refused = await call('POST', `/channels/${id}/deliveries/${number}/retry`, { json: {} })
    expect(refusalOf(refused)).toEqual([404, 'not_found'])
  })

  it('of another channel are not found', async () => {
    const { id } = await createChannel(environment)
    const other = await createChannel(environment)
    await owe(makeNotice(environment))
    const [row] = await rows<{ id: number }>('SELECT id FROM deliveries WHERE channel = ?', id)
    const refused = await call('POST', `/channels/${other.id}/deliveries/${row?.id}/retry`, { json: {} })
    expect(refusalOf(refused)).toEqual([404, 'not_found'])
  })
})

it('tells targets and secrets to nobody: no answer, no audit, no log, no error', async () => {
  const told: unknown[] = []
  for (const level of ['log', 'warn', 'error'] as const) {
    vi.spyOn(console, level).mockImplementation((...line) => void told.push(line))
  }
  // As receivers do that repeat what they were sent.
  receiver.answer(
    ({ url, headers }) => new Response(`no ${url} for ${headers['webhook-signature']}`, { status: 404 }),
  )
  const end = await auditEnd()
  const { id, secret } = await createChannel(environment, { target: TARGET })
  const next = `https://hooks.example.com/${uniqueName('moved')}/other-secret`
  const change = { name: 'Moved', events: ['rollout.rolled_back'] }
  const asked = [
    () => call('POST', `/channels/${id}/test`, { json: {} }),
    () => call('PUT', `/channels/${id}`, { json: { ...change, target: next }, headers: from(1) }),
    () => call('PUT', `/channels/${id}`, { json: { ...change, target: `${TARGET} ` }, headers: from(9) }),
    () => call('POST', `/channels/${id}/test`, { json: {} }),
    () => call('GET', `/channels/${id}/deliveries`),
    () => call('GET', `/channels?environment=${environment}`),
    () => call('GET', `/audit?environment=${environment}`),
    () => call('DELETE', `/channels/${id}`, { headers: from(2) }),
  ]
  const now = Date.now()
  await owe(makeNotice(environment, { at: now }))
  await deliverDue(BINDINGS, now)
  receiver.answer(({ url }) => Promise.reject(new TypeError(`fetch ${url} failed with ${secret}`)))
  await deliverDue(BINDINGS, now + 10_000)
  told.push(await rows('SELECT last_error, body FROM deliveries WHERE environment = ?', environment))
  for (const ask of asked) told.push((await ask()).body)
  told.push(await auditAfter(end))
  vi.spyOn(console, 'log').mockRestore()
  const text = JSON.stringify(told)
  expect(text).toContain('channel.test')
  expect(text).toContain('notice not delivered')
  for (const hidden of [PATH_SECRET, 'query-secret', 'other-secret', secret, secret.slice('whsec_'.length)]) {
    expect(text).not.toContain(hidden)
  }
})
