import { env } from 'cloudflare:workers'
import { Webhook } from 'standardwebhooks'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { Bindings } from '../../src/bindings.ts'
import { prepare } from '../../src/ledger/statement.ts'
import { deliverDue } from '../../src/notifications/deliver.ts'
import { belongings } from '../../src/notifications/outbox.ts'
import { MAX_ATTEMPTS, retryDelay } from '../../src/notifications/retry-delay.ts'
import { AT, createChannel, deliveriesOf, makeNotice, owe } from '../support/channels.ts'
import { auditAfter, auditEnd, rows } from '../support/database.ts'
import { receive } from '../support/receiver.ts'
import { createEnvironment, silenceLogs, withDatabase } from '../support/worker.ts'

const DAY_MS = 86_400_000

const receiver = receive()
silenceLogs()

const BINDINGS: Bindings = { ...env, PUBLIC_URL: 'https://rampart.example.com' }

let environment: string

beforeEach(async () => {
  await env.DB.prepare('DELETE FROM deliveries').run()
  environment = await createEnvironment()
})

const deliver = (now: number, bindings = BINDINGS) => deliverDue(bindings, now)

describe('what is owed', () => {
  it('is one delivery for each channel that is on and wants it', async () => {
    const wanting = await createChannel(environment)
    await createChannel(environment, { events: ['incident.opened'] })
    await createChannel(environment, { enabled: false })
    await createChannel(await createEnvironment())
    await owe(makeNotice(environment))
    expect((await deliveriesOf(environment)).map(({ channel, state }) => [channel, state])).toEqual([
      [wanting.id, 'due'],
    ])
  })

  it('stays one however often it is given', async () => {
    await createChannel(environment)
    const notice = makeNotice(environment)
    await owe(notice, notice)
    await deliver(AT)
    await owe({ ...notice, title: 'Told again' })
    await deliver(AT + DAY_MS)
    expect(receiver.received).toHaveLength(1)
    expect(await deliveriesOf(environment)).toHaveLength(1)
  })

  it('goes with its environment', async () => {
    await createChannel(environment)
    const other = await createEnvironment()
    await createChannel(other)
    await owe(makeNotice(environment), makeNotice(other))
    await env.DB.batch(belongings(environment).map((statement) => prepare(env.DB, statement)))
    expect(await deliveriesOf(environment)).toEqual([])
    expect(await rows('SELECT id FROM channels WHERE environment = ?', environment)).toEqual([])
    expect(await deliveriesOf(other)).toHaveLength(1)
  })
})

describe('sending', () => {
  it('signs a webhook so that the published library verifies it', async () => {
    const channel = await createChannel(environment)
    const now = Date.now()
    const notice = makeNotice(environment, { at: now })
    await owe(notice)
    await deliver(now)
    const [received] = receiver.received
    if (!received) throw new Error('nothing was sent')
    expect(new Webhook(channel.secret).verify(received.body, received.headers)).toMatchObject({
      type: 'rollout.rolled_back',
      data: { title: notice.title, url: 'https://rampart.example.com/rollouts/7k2m4p9q1r3s' },
    })
    expect(received.headers).toMatchObject({
      'webhook-id': notice.id,
      'webhook-timestamp': String(Math.floor(now / 1_000)),
      'content-type': 'application/json',
    })
    expect(received.redirect).toBe('manual')
    expect(await deliveriesOf(environment)).toMatchObject([
      { state: 'sent', attempts: 1, last_error: '', finished_at: now },
    ])
  })

  it('sends Slack blocks with buttons, unsigned', async () => {
    await createChannel(environment, { kind: 'slack', events: ['rollout.approval_needed'] })
    await owe(makeNotice(environment, { kind: 'rollout.approval_needed', title: 'Stage 2 waits' }))
    await deliver(AT)
    const [received] = receiver.received
    expect(JSON.parse(received?.body ?? '{}')).toMatchObject({
      text: 'Stage 2 waits',
      blocks: [
        {},
        {},
        {},
        {
          type: 'actions',
          elements: [
            { url: 'https://rampart.example.com/rollouts/7k2m4p9q1r3s' },
            { url: 'https://rampart.example.com/rollouts/7k2m4p9q1r3s#approve' },
          ],
        },
      ],
    })
    expect(received?.headers).not.toHaveProperty('webhook-signature')
  })

  it('sends e-mail by the binding, where there is one', async () => {
    const mails: unknown[] = []
    const send = async (mail: unknown) => {
      mails.push(mail)
      return { messageId: '1' }
    }
    const mailing = { ...BINDINGS, EMAIL: { send }, EMAIL_FROM: 'rampart@example.com' }
    await createChannel(environment, { kind: 'email', target: 'ada@example.com' }, mailing)
    await owe(makeNotice(environment), makeNotice(environment))
    await deliver(AT, mailing)
    expect(mails).toHaveLength(2)
    expect(mails[0]).toMatchObject({
      from: 'rampart@example.com',
      to: 'ada@example.com',
      subject: `[${environment}] new-checkout was rolled back`,
      text: expect.stringContaining('Treated 14 of 900'),
    })
    expect((await deliveriesOf(environment)).map(({ state }) => state)).toEqual(['sent', 'sent'])
  })

  it.each([
    ['the binding is gone', BINDINGS, 'e-mail is not configured'],
    [
      'the platform refuses, with a code',
      mailFailing(Object.assign(new Error('ada@example.com'), { code: 'E_RECIPIENT_NOT_ALLOWED' })),
      'the e-mail was not taken: E_RECIPIENT_NOT_ALLOWED',
    ],
    [
      'the platform refuses in words, which may name the address',
      mailFailing(new Error('ada@example.com is not verified')),
      'the e-mail was not taken',
    ],
  ])('tries an e-mail again when %s', async (_, bindings, error) => {
    await createChannel(environment, { kind: 'email', target: 'ada@example.com' }, mailFailing(new Error()))
    await owe(makeNotice(environment))
    await deliver(AT, bindings)
    expect(await deliveriesOf(environment)).toMatchObject([{ state: 'due', last_error: error }])
  })

  it('sends at most 20 at a call, the longest due first', async () => {
    await createChannel(environment)
    const notices = Array.from({ length: 23 }, (_, index) => makeNotice(environment, { at: AT - index }))
    await owe(...notices)
    await deliver(AT)
    expect(receiver.received).toHaveLength(20)
    const idsOf = (some: typeof notices) => some.map(({ id }) => id).sort()
    expect(receiver.received.map(({ headers }) => headers['webhook-id']).sort()).toEqual(
      idsOf(notices.slice(3)),
    )
    await deliver(AT)
    expect(receiver.received).toHaveLength(23)
  })

  it('has at most 5 under way at once', async () => {
    let underWay = 0
    let most = 0
    receiver.answer(async () => {
      underWay++
      most = Math.max(most, underWay)
      await scheduler.wait(0)
      underWay--
      return new Response('ok')
    })
    await createChannel(environment)
    await owe(...Array.from({ length: 12 }, () => makeNotice(environment)))
    await deliver(AT)
    expect(receiver.received).toHaveLength(12)
    expect(most).toBeGreaterThan(1)
    expect(most).toBeLessThanOrEqual(5)
  })
})

function mailFailing(error: Error): Bindings {
  return { ...BINDINGS, EMAIL: { send: () => Promise.reject(error) }, EMAIL_FROM: 'rampart@example.com' }
}

describe('claims', () => {
  it('let two who deliver at once never send the same', async () => {
    await createChannel(environment)
    await owe(...Array.from({ length: 10 }, () => makeNotice(environment)))
    await Promise.all([deliver(AT), deliver(AT), deliver(AT)])
    const ids = receiver.received.map(({ headers }) => headers['webhook-id'])
    expect(ids).toHaveLength(10)
    expect(new Set(ids).size).toBe(10)
  })

  it('run out when whoever claimed has ended, and what was sent is sent again under its id', async () => {
    await createChannel(environment)
    const notice = makeNotice(environment)
    await owe(notice)
    const dying = withDatabase(BINDINGS, { batch: () => Promise.reject(new Error('D1_ERROR: ended')) })
    await expect(deliver(AT, dying)).rejects.toThrow('ended')
    await deliver(AT + 119_999)
    expect(receiver.received).toHaveLength(1)
    await deliver(AT + 120_000)
    expect(receiver.received.map(({ headers }) => headers['webhook-id'])).toEqual([notice.id, notice.id])
    expect(await deliveriesOf(environment)).toMatchObject([{ state: 'sent', attempts: 2 }])
  })

  it('keep one who is late from saying what became of what was claimed anew', async () => {
    await createChannel(environment)
    await owe(makeNotice(environment))
    receiver.answer(async () => {
      receiver.answer(() => new Response('ok'))
      await deliver(AT + 120_000)
      return new Response('too late', { status: 500 })
    })
    await deliver(AT)
    expect(await deliveriesOf(environment)).toMatchObject([{ state: 'sent', attempts: 2, last_error: '' }])
  })
})

describe('a failure', () => {
  it.each([
    ['a server error', () => new Response('', { status: 503 }), 'answered 503'],
    ['a client error', () => new Response('', { status: 404 }), 'answered 404'],
    ['too many requests', () => new Response('', { status: 429 }), 'answered 429'],
    [
      'a redirect, which is not followed',
      () => new Response(null, { status: 302, headers: { location: 'https://169.254.169.254/' } }),
      'answered 302: redirects are not followed',
    ],
    [
      'a connection that breaks',
      () => Promise.reject(new TypeError('fetch https://hooks.example.com/path-secret failed')),
      'not reached',
    ],
  ])('is %s: tried again in 10 seconds', async (_, answer, error) => {
    receiver.answer(answer)
    await createChannel(environment)
    await owe(makeNotice(environment))
    await deliver(AT)
    expect(receiver.received).toHaveLength(1)
    expect(await deliveriesOf(environment)).toMatchObject([
      { state: 'due', attempts: 1, next_at: AT + 10_000, last_error: error, finished_at: null },
    ])
  })

  it('is no answer within 10 seconds', async () => {
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(AbortSignal.abort())
    receiver.answer((_, signal) => {
      signal.throwIfAborted()
      return new Response('ok')
    })
    await createChannel(environment)
    await owe(makeNotice(environment))
    await deliver(AT)
    expect(timeout).toHaveBeenCalledWith(10_000)
    timeout.mockRestore()
    expect(await deliveriesOf(environment)).toMatchObject([{ last_error: 'no answer within 10 seconds' }])
  })

  it('is none when the answer never ends: no more than its beginning is read', async () => {
    let pulled = 0
    const endless = () =>
      new ReadableStream({
        pull(controller) {
          pulled++
          controller.enqueue(new Uint8Array(512))
        },
      })
    receiver.answer(() => new Response(endless()))
    await createChannel(environment)
    await owe(makeNotice(environment))
    await deliver(AT)
    expect(pulled).toBeLessThan(10)
    expect(await deliveriesOf(environment)).toMatchObject([{ state: 'sent' }])
  })

  it('is tried less and less often, and given up after a day', async () => {
    receiver.answer(() => new Response('', { status: 500 }))
    await createChannel(environment)
    await owe(makeNotice(environment))
    let now = AT
    for (let attempts = 1; attempts < MAX_ATTEMPTS; attempts++) {
      await deliver(now)
      const [row] = await deliveriesOf(environment)
      expect(row).toMatchObject({ state: 'due', attempts, next_at: now + (retryDelay(attempts) ?? 0) })
      now = row?.next_at ?? 0
    }
    await deliver(now)
    expect(now - AT).toBeLessThanOrEqual(DAY_MS)
    expect(await deliveriesOf(environment)).toMatchObject([
      { state: 'dead', attempts: MAX_ATTEMPTS, last_error: 'answered 500', finished_at: now },
    ])
    await deliver(now + DAY_MS)
    expect(receiver.received).toHaveLength(MAX_ATTEMPTS)
  })

  it('that says "gone" switches the channel off, and the audit says so', async () => {
    receiver.answer(() => new Response('', { status: 410 }))
    const channel = await createChannel(environment)
    await owe(makeNotice(environment))
    const end = await auditEnd()
    await deliver(AT)
    expect(await rows('SELECT enabled, revision FROM channels WHERE id = ?', channel.id)).toEqual([
      { enabled: 0, revision: 2 },
    ])
    expect(await deliveriesOf(environment)).toMatchObject([{ state: 'dead', last_error: 'answered 410' }])
    expect(await auditAfter(end)).toMatchObject([
      {
        actor: 'outbox',
        via: 'tick',
        action: 'channel.disable',
        target_kind: 'channel',
        target_key: channel.id,
      },
    ])
  })

  it('is known before anything is sent where the channel was switched off meanwhile', async () => {
    const channel = await createChannel(environment)
    await owe(makeNotice(environment))
    await env.DB.prepare('UPDATE channels SET enabled = 0 WHERE id = ?').bind(channel.id).run()
    await deliver(AT)
    expect(receiver.received).toEqual([])
    expect(await deliveriesOf(environment)).toMatchObject([
      { state: 'dead', last_error: 'the channel is off' },
    ])
  })

  it('is known before anything is sent where the operator allows private addresses no more', async () => {
    const open = { ...BINDINGS, ALLOW_PRIVATE_WEBHOOKS: 'true' }
    await createChannel(environment, { target: 'http://127.0.0.1:9/hook' }, open)
    await owe(makeNotice(environment))
    await deliver(AT)
    expect(receiver.received).toEqual([])
    expect(await deliveriesOf(environment)).toMatchObject([
      { state: 'due', last_error: 'the target is not https' },
    ])
    await deliver(AT + 10_000, open)
    expect(receiver.received.map(({ url }) => url)).toEqual(['http://127.0.0.1:9/hook'])
  })

  it('of one channel keeps nothing from the others', async () => {
    const good = await createChannel(environment)
    const bad = await createChannel(environment)
    receiver.answer(({ body, headers }) => {
      const own = new Webhook(bad.secret)
      try {
        own.verify(body, headers)
        return new Response('', { status: 500 })
      } catch {
        return new Response('ok')
      }
    })
    const now = Date.now()
    await owe(makeNotice(environment, { at: now }))
    await deliver(now)
    const states = new Map((await deliveriesOf(environment)).map(({ channel, state }) => [channel, state]))
    expect([states.get(good.id), states.get(bad.id)]).toEqual(['sent', 'due'])
  })
})

it('is kept from nobody else by a message that cannot be written', async () => {
  await createChannel(environment)
  const [broken, whole] = [makeNotice(environment), makeNotice(environment)]
  await owe(broken, whole)
  await env.DB.prepare("UPDATE deliveries SET body = json_set(body, '$.at', 'never') WHERE notice = ?")
    .bind(broken.id)
    .run()
  await deliver(AT)
  expect((await deliveriesOf(environment)).map(({ state, last_error }) => [state, last_error])).toEqual([
    ['due', 'it could not be written: the log knows more'],
    ['sent', ''],
  ])
})

it('forgets once an hour what was sent two weeks ago, and what was given up three months ago', async () => {
  await createChannel(environment)
  await owe(makeNotice(environment), makeNotice(environment), makeNotice(environment))
  await deliver(AT)
  const [, dead, due] = await deliveriesOf(environment)
  await env.DB.prepare("UPDATE deliveries SET state = 'dead' WHERE id = ?").bind(dead?.id).run()
  await env.DB.prepare("UPDATE deliveries SET state = 'due', next_at = ? WHERE id = ?")
    .bind(AT + 1_000 * DAY_MS, due?.id)
    .run()
  const states = async () => (await deliveriesOf(environment)).map(({ state }) => state)
  const hour = Math.ceil(AT / 3_600_000) * 3_600_000
  await deliver(hour + 14 * DAY_MS - 3_600_000)
  await deliver(hour + 14 * DAY_MS + 60_000)
  expect(await states()).toEqual(['sent', 'dead', 'due'])
  await deliver(hour + 14 * DAY_MS)
  expect(await states()).toEqual(['dead', 'due'])
  await deliver(hour + 90 * DAY_MS)
  expect(await states()).toEqual(['due'])
})
