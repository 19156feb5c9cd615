// Channels and notices, with valid defaults.
import { env } from 'cloudflare:workers'
import type { Bindings } from '../../src/bindings.ts'
import { prepare } from '../../src/ledger/statement.ts'
import type { Notice } from '../../src/notifications/notification.ts'
import { noticeStatements } from '../../src/notifications/outbox.ts'
import { call } from './access.ts'
import { field, uniqueName } from './worker.ts'

export const AT = Date.UTC(2026, 10, 21, 4, 30)

export type NewChannel = { readonly id: string; readonly secret: string; readonly environment: string }

/** Makes a channel: a webhook that is told of rollbacks unless said. */
export async function createChannel(
  environment: string,
  draft: { readonly [field: string]: unknown } = {},
  bindings?: Bindings,
): Promise<NewChannel> {
  const name = uniqueName('channel')
  const json = {
    environment,
    kind: 'webhook',
    name,
    target: `https://hooks.example.com/${name}/path-secret`,
    events: ['rollout.rolled_back'],
    ...draft,
  }
  const { status, body } = await call('POST', '/channels', { json, ...(bindings ? { bindings } : {}) })
  if (status !== 201) throw new Error(`no channel: ${status} ${JSON.stringify(body)}`)
  return { id: String(field(body, 'id')), secret: String(field(body, 'secret') ?? ''), environment }
}

export function makeNotice(environment: string, others: Partial<Notice> = {}): Notice {
  return {
    id: uniqueName('notice'),
    environment,
    kind: 'rollout.rolled_back',
    title: 'new-checkout was rolled back',
    text: 'Treated 14 of 900, control 31 of 8,100.',
    path: '/rollouts/7k2m4p9q1r3s',
    facts: { flag: 'new-checkout' },
    at: AT,
    ...others,
  }
}

/** Owes notices, as a decision's batch does. */
export async function owe(...notices: readonly Notice[]): Promise<void> {
  const statements = notices.flatMap((notice) => noticeStatements(notice))
  await env.DB.batch(statements.map((statement) => prepare(env.DB, statement)))
}

export type DeliveryRow = {
  readonly id: number
  readonly channel: string
  readonly notice: string
  readonly state: string
  readonly attempts: number
  readonly next_at: number
  readonly last_error: string
  readonly finished_at: number | null
}

/** What an environment's channels are owed, oldest first. */
export async function deliveriesOf(environment: string): Promise<readonly DeliveryRow[]> {
  const { results } = await env.DB.prepare('SELECT * FROM deliveries WHERE environment = ? ORDER BY id')
    .bind(environment)
    .all<DeliveryRow>()
  return results
}
