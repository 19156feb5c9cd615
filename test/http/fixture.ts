// A small deployment in which every management route can be asked for something.
import { env } from 'cloudflare:workers'
import { hashKey } from '../../src/access/key.ts'
import { call, refusalOf } from '../support/access.ts'
import { measure } from '../support/measurements.ts'
import { type Answer, flushKv, from, ON_OFF } from '../support/worker.ts'

/** Where actors of the tests may act, where a second person is needed, and where they may not. */
export const OWN = 'development'
export const GUARDED = 'production'
export const ELSEWHERE = 'elsewhere'
export const ENVIRONMENTS = [OWN, GUARDED, ELSEWHERE] as const
export type Environment = (typeof ENVIRONMENTS)[number]

/** Flags and segments by what is done to them; each configuration has two revisions, the segment too. */
export const FLAG = 'checkout/new'
export const BASE = 'base'
export const SPARE = 'spare'
export const ARCHIVED = 'archived'
/** A rollout of it goes on. */
export const RAMPED = 'ramped'
export const SEGMENT = 'beta'
export const SPARE_SEGMENT = 'unused'
/** Metrics by what is done to them; the first has two revisions. */
export const METRIC = 'checkout-error'
export const SPARE_METRIC = 'unused'
/** A measurement that runs in every environment. */
export const MEASUREMENT = 'running'
export const MEMBER = 'grace@example.com'
export const TOKEN_ID = '0a1b2c3d4e5f'

/** Deliveries that were given up, by environment. */
export const DELIVERIES: { readonly [environment: string]: string } = {
  [OWN]: '1',
  [GUARDED]: '2',
  [ELSEWHERE]: '3',
}

const SECRET = '00112233445566778899aabbccddeeff'
export const EXPIRED_TOKEN = `rp_token_0123456789ab_${SECRET}`
export const REVOKED_TOKEN = `rp_token_ba9876543210_${SECRET}`
export const UNKNOWN_TOKEN = `rp_token_ffffffffffff_${SECRET}`

export type Fixture = {
  /** By environment. */
  readonly keys: { readonly [environment: string]: string }
  /** Change requests that wait for a second person, by environment. */
  readonly changeRequests: { readonly [environment: string]: string }
  /** Webhooks with a delivery that was given up, by environment. */
  readonly channels: { readonly [environment: string]: string }
  /** Incidents that were opened by hand, by environment. */
  readonly incidents: { readonly [environment: string]: string }
  /** Rollouts by how far they have come, by environment. */
  readonly rollouts: { readonly [environment: string]: Rollouts }
}

/** The last one was taken back, by the decision of that number. */
export type Rollouts = {
  readonly [name in 'draft' | 'running' | 'ended' | 'decision']: string
}

async function done(answer: Promise<Answer>): Promise<{ readonly [field: string]: unknown }> {
  const { status, body } = await answer
  if (status >= 300) throw new Error(`refused: ${refusalOf({ status, body, headers: new Headers() })}`)
  return Object(body)
}

const put = (path: string, json: object, revision = 0) =>
  done(call('PUT', path, { json, headers: from(revision) }))

async function writeToken(text: string, id: string, expiresAt: number | null, revokedAt: number | null) {
  await env.DB.prepare(
    `INSERT INTO tokens (id, name, hash, owner, role, environments, created_by, created_at, expires_at, revoked_at)
      VALUES (?, 'CI', ?, ?, 'admin', NULL, ?, 1, ?, ?)`,
  )
    .bind(id, await hashKey(text), MEMBER, MEMBER, expiresAt, revokedAt)
    .run()
}

/** Lets environments need a second person, or not. */
export async function protect(...keys: readonly string[]): Promise<void> {
  await env.DB.prepare('UPDATE environments SET protected = key IN (SELECT value FROM json_each(?))')
    .bind(JSON.stringify(keys))
    .run()
}

async function fillEnvironment(environment: string): Promise<readonly [key: string, changeRequest: string]> {
  const segment = { condition: { attribute: 'beta', op: 'equals', values: [true] }, included: ['ada'] }
  await put(`/environments/${environment}/segments/${SEGMENT}`, { included: ['ada'] })
  await put(`/environments/${environment}/segments/${SEGMENT}`, segment, 1)
  await put(`/environments/${environment}/segments/${SPARE_SEGMENT}`, {})
  const configuration = {
    enabled: true,
    offVariant: 'off',
    prerequisites: [{ flag: BASE, variants: ['on', 'off'] }],
    targets: [{ variant: 'on', units: ['ada'] }],
    rules: [{ id: 'beta', description: 'Friends', when: { segment: SEGMENT }, serve: { variant: 'on' } }],
    fallthrough: {
      split: {
        weights: [
          { variant: 'on', weight: 1 },
          { variant: 'off', weight: 3 },
        ],
      },
    },
  }
  const place = `/flags/${encodeURIComponent(FLAG)}/environments/${environment}`
  await put(place, configuration, 1)
  const key = await done(
    call('POST', `/environments/${environment}/keys`, { json: { kind: 'server', name: 'Shop' } }),
  )
  await protect(environment)
  const switchedOn = { enabled: true, fallthrough: { variant: 'on' } }
  const waiting = await done(
    call('PUT', `/flags/${BASE}/environments/${environment}`, { json: switchedOn, headers: from(1) }),
  )
  await protect()
  return [String(key.id), String(Object(waiting.changeRequest).id)]
}

async function fillChannel(environment: Environment): Promise<string> {
  const json = {
    environment,
    kind: 'webhook',
    name: 'On call',
    target: 'https://hooks.example.com/rampart',
    events: ['rollout.rolled_back'],
  }
  const { id } = await done(call('POST', '/channels', { json }))
  const body = JSON.stringify({ kind: 'rollout.rolled_back', title: 'Rolled back' })
  await env.DB.prepare(
    `INSERT INTO deliveries (id, channel, environment, notice, body, state, attempts, next_at, last_error, created_at, finished_at)
      VALUES (?, ?, ?, 'n1', ?, 'dead', 28, 1, 'answered 503', 1, 2)`,
  )
    .bind(DELIVERIES[environment], id, environment, body)
    .run()
  return String(id)
}

async function openIncident(environment: Environment): Promise<string> {
  const json = { environment, flag: BASE, title: 'Declined', words: 'Cards are declined' }
  const { id } = await done(call('POST', '/incidents', { json }))
  return String(id)
}

async function planRollout(environment: Environment): Promise<string> {
  const stages = [10, 50, 100].map((percentage) => ({ percentage, hold: '1h' }))
  const plan = {
    environment,
    flag: RAMPED,
    variant: 'on',
    stages,
    guardrails: [{ metric: 'ramp-error', test: 'regression' }],
  }
  const { id } = await done(call('POST', '/rollouts', { json: { plan } }))
  return String(id)
}

async function startRollout(environment: Environment): Promise<string> {
  const id = await planRollout(environment)
  await done(call('POST', `/rollouts/${id}/start`, { json: { force: true } }))
  return id
}

async function fillRollouts(environment: Environment): Promise<Rollouts> {
  const configuration = { enabled: true, fallthrough: { variant: 'off' } }
  await put(`/flags/${RAMPED}/environments/${environment}`, configuration, 1)
  const ended = await startRollout(environment)
  await done(call('POST', `/rollouts/${ended}/rollback`, { json: {} }))
  const timeline = await done(call('GET', `/rollouts/${ended}/timeline`))
  const [newest] = Array.from<unknown>(Object(timeline.decisions))
  const running = await startRollout(environment)
  return { draft: await planRollout(environment), running, ended, decision: String(Object(newest).id) }
}

/** Fills an empty deployment. */
export async function createFixture(): Promise<Fixture> {
  for (const environment of ENVIRONMENTS) await put(`/environments/${environment}`, { name: environment })
  for (const flag of [FLAG, BASE, SPARE, ARCHIVED, RAMPED]) {
    const notes = { description: 'A flag', tags: ['shop'], owner: 'team', metadata: { tier: 1 } }
    await put(`/flags/${encodeURIComponent(flag)}`, { type: 'boolean', variants: ON_OFF, ...notes })
  }
  await done(call('POST', `/flags/${ARCHIVED}/archive`, { json: {}, headers: from(1) }))
  const filled: (readonly [string, readonly [key: string, changeRequest: string]])[] = []
  for (const environment of ENVIRONMENTS) filled.push([environment, await fillEnvironment(environment)])
  await put(`/metrics/${METRIC}`, { event: 'error', kind: 'error' })
  await put(`/metrics/${METRIC}`, { event: 'checkout-error', kind: 'error' }, 1)
  await put('/metrics/ramp-error', { event: 'ramp-error', kind: 'error' })
  await put(`/metrics/${SPARE_METRIC}`, { event: 'pay', kind: 'conversion' })
  for (const environment of ENVIRONMENTS) {
    await measure(environment, { flag: BASE, id: MEASUREMENT, metrics: [] })
  }
  await put(`/members/${MEMBER}`, { name: 'Grace', role: 'releaser', environments: null })
  await writeToken(`rp_token_${TOKEN_ID}_${SECRET}`, TOKEN_ID, null, null)
  await writeToken(EXPIRED_TOKEN, '0123456789ab', 2, null)
  await writeToken(REVOKED_TOKEN, 'ba9876543210', null, 2)
  const channels: (readonly [string, string])[] = []
  for (const environment of ENVIRONMENTS) channels.push([environment, await fillChannel(environment)])
  const incidents: (readonly [string, string])[] = []
  for (const environment of ENVIRONMENTS) incidents.push([environment, await openIncident(environment)])
  const rollouts: (readonly [string, Rollouts])[] = []
  for (const environment of ENVIRONMENTS) rollouts.push([environment, await fillRollouts(environment)])
  await protect(GUARDED)
  // Hubs are to have published, so that nothing changes by itself any more.
  for (const environment of ENVIRONMENTS) await flushKv(environment)
  return {
    keys: Object.fromEntries(filled.map(([environment, [key]]) => [environment, key])),
    changeRequests: Object.fromEntries(filled.map(([environment, [, id]]) => [environment, id])),
    channels: Object.fromEntries(channels),
    incidents: Object.fromEntries(incidents),
    rollouts: Object.fromEntries(rollouts),
  }
}
