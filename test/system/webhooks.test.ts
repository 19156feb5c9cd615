// Webhooks over real connections: a receiver on this machine that verifies what comes as customers' receivers do.
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { type Deployment, deploy } from './deployment.ts'

type Taken = { readonly path: string; readonly id: string; readonly verified: unknown }

let deployment: Deployment
let receiver: Server
let origin: string
let secret: string
let taken: Taken[]

function verify(body: string, { headers }: IncomingMessage): unknown {
  try {
    return new Webhook(secret).verify(body, headers as Record<string, string>)
  } catch (error) {
    return String(error)
  }
}

beforeAll(async () => {
  receiver = createServer(async (request, response) => {
    const body = await text(request)
    taken.push({
      path: request.url ?? '',
      id: String(request.headers['webhook-id']),
      verified: verify(body, request),
    })
    if (request.url === '/moved') response.writeHead(307, { location: '/elsewhere' }).end()
    else if (request.url === '/gone') response.writeHead(410).end('gone for good')
    else if (request.url === '/endless') response.write('x'.repeat(100_000))
    else response.end('thank you')
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`
  deployment = await deploy({
    variables: { ALLOW_PRIVATE_WEBHOOKS: 'true', PUBLIC_URL: 'https://rampart.example.com' },
  })
})

afterAll(async () => {
  await deployment.remove()
  receiver.closeAllConnections()
  receiver.close()
})

beforeEach(() => {
  taken = []
})

async function manage(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const response = await deployment.manage(method, path, body)
  return (await response.json()) as Record<string, unknown>
}

async function createChannel(path: string): Promise<string> {
  const channel = await manage('POST', '/api/v1/channels', {
    environment: 'production',
    kind: 'webhook',
    name: path,
    target: `${origin}${path}`,
    events: ['incident.opened'],
  })
  secret = String(channel.secret)
  return String(channel.id)
}

/** Owes a channel a notice, as the batch of an incident does. */
async function owe(channel: string): Promise<void> {
  const notice = {
    id: `incident-${channel}`,
    environment: 'production',
    kind: 'incident.opened',
    title: 'new-checkout was taken back',
    text: 'Treated 14 of 900, control 31 of 8,100.',
    path: '/rollouts/7k2m4p9q1r3s',
    facts: { flag: 'new-checkout' },
    at: Date.now(),
  }
  const database = await deployment.miniflare.getD1Database('DB', 'rampart')
  await database
    .prepare(
      `INSERT INTO deliveries (channel, environment, notice, body, state, next_at, created_at)
        VALUES (?, 'production', ?, ?, 'due', ?, ?)`,
    )
    .bind(channel, notice.id, JSON.stringify(notice), notice.at, notice.at)
    .run()
}

it('arrive by the cron, signed, and once', async () => {
  const channel = await createChannel('/hook')
  await owe(channel)
  await deployment.tick()
  await deployment.tick()
  expect(taken).toEqual([
    {
      path: '/hook',
      id: `incident-${channel}`,
      verified: {
        type: 'incident.opened',
        timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
        data: {
          environment: 'production',
          title: 'new-checkout was taken back',
          text: 'Treated 14 of 900, control 31 of 8,100.',
          url: 'https://rampart.example.com/rollouts/7k2m4p9q1r3s',
          facts: { flag: 'new-checkout' },
        },
      },
    },
  ])
})

it.each([
  ['/hook', { sent: true, status: 200, error: '', answer: 'thank you' }],
  ['/moved', { sent: false, status: 307, error: 'answered 307: redirects are not followed', answer: '' }],
  ['/gone', { sent: false, status: 410, error: 'answered 410', answer: 'gone for good' }],
  ['/endless', { sent: true, status: 200, error: '', answer: 'x'.repeat(1_024) }],
])('tell who tries them what came back: %s', async (path, outcome) => {
  const channel = await createChannel(path)
  expect(await manage('POST', `/api/v1/channels/${channel}/test`, {})).toEqual(outcome)
  expect(taken.map((one) => one.path)).toEqual([path])
})

it('tell who tries them that nobody is there', async () => {
  const channel = await createChannel('/hook')
  const current = await deployment.manage('GET', `/api/v1/channels/${channel}`)
  await deployment.manage(
    'PUT',
    `/api/v1/channels/${channel}`,
    { name: 'nobody', target: 'http://127.0.0.1:1/', events: ['incident.opened'] },
    { 'if-match': String(current.headers.get('etag')) },
  )
  expect(await manage('POST', `/api/v1/channels/${channel}/test`, {})).toMatchObject({
    sent: false,
    status: null,
    error: 'not reached',
  })
})
