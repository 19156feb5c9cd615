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
export const SEGMENT = 'beta'
export const SPARE_SEGMENT = 'unused'
/** Metrics by what is done to them; the first has two revisions. */
export const METRIC = 'checkout-error'
export const SPARE_METRIC = 'unused'
/** A measurement that runs in every environment. */
export const MEASUREMENT = 'running'
export const MEMBER = 'grace@example.com'
export const TOKEN_ID = '0a1b2c3d4e5f'

const SECRET = '00112233445566778899aabbccddeeff'
export const EXPIRED_TOKEN = `rp_token_0123456789ab_${SECRET}`
export const REVOKED_TOKEN = `rp_token_ba9876543210_${SECRET}`
export const UNKNOWN_TOKEN = `rp_token_ffffffffffff_${SECRET}`

export type Fixture = {
  /** By environment. */
  readonly keys: { readonly [environment: string]: string }
  /** Change requests that wait for a second person, by environment. */
  readonly changeRequests: { readonly [environment: string]: string }
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

/** Fills an empty deployment. */
export async function createFixture(): Promise<Fixture> {
  for (const environment of ENVIRONMENTS) await put(`/environments/${environment}`, { name: environment })
  for (const flag of [FLAG, BASE, SPARE, ARCHIVED]) {
    const notes = { description: 'A flag', tags: ['shop'], owner: 'team', metadata: { tier: 1 } }
    await put(`/flags/${encodeURIComponent(flag)}`, { type: 'boolean', variants: ON_OFF, ...notes })
  }
  await done(call('POST', `/flags/${ARCHIVED}/archive`, { json: {}, headers: from(1) }))
  const filled: (readonly [string, readonly [key: string, changeRequest: string]])[] = []
  for (const environment of ENVIRONMENTS) filled.push([environment, await fillEnvironment(environment)])
  await put(`/metrics/${METRIC}`, { event: 'error', kind: 'error' })
  await put(`/metrics/${METRIC}`, { event: 'checkout-error', kind: 'error' }, 1)
  await put(`/metrics/${SPARE_METRIC}`, { event: 'pay', kind: 'conversion' })
  for (const environment of ENVIRONMENTS) {
    await measure(environment, { flag: BASE, id: MEASUREMENT, metrics: [] })
  }
  await put(`/members/${MEMBER}`, { name: 'Grace', role: 'releaser', environments: null })
  await writeToken(`rp_token_${TOKEN_ID}_${SECRET}`, TOKEN_ID, null, null)
  await writeToken(EXPIRED_TOKEN, '0123456789ab', 2, null)
  await writeToken(REVOKED_TOKEN, 'ba9876543210', null, 2)
  await protect(GUARDED)
  // Hubs are to have published, so that nothing changes by itself any more.
  for (const environment of ENVIRONMENTS) await flushKv(environment)
  return {
    keys: Object.fromEntries(filled.map(([environment, [key]]) => [environment, key])),
    changeRequests: Object.fromEntries(filled.map(([environment, [, id]]) => [environment, id])),
  }
}
