// Delivering what is owed. Each delivery is claimed before it is sent, so that two who deliver at once never send the
// same; whoever claims it and ends before it says what came of it leaves it to be tried again.
import { inArray, type SQL, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { Bindings } from '../bindings.ts'
import { type AuditEntry, commit } from '../ledger/commit.ts'
import type { Channel } from './channel.ts'
import { retryDelay } from './retry-delay.ts'
import { failed, type Outcome, send } from './send.ts'
import { channels, deliveries } from './tables.ts'
import { redact } from './target.ts'

/** The free plan allows 50 subrequests; a tick has other work, too. */
const MAX_SENDS = 20
/** A Worker has six connections at a time. */
const AT_ONCE = 5
/** Longer than all of them take when none is answered. */
const CLAIM_MS = 120_000
const HOUR_MS = 3_600_000
const SENT_KEPT_MS = 14 * 24 * HOUR_MS
const DEAD_KEPT_MS = 90 * 24 * HOUR_MS

type Delivery = typeof deliveries.$inferSelect

type Tried = { readonly delivery: Delivery; readonly channel: Channel | undefined; readonly outcome: Outcome }

/** Takes deliveries that are due, for as long as a claim lasts; their attempts are counted by now. */
async function claim(database: D1Database, now: number): Promise<readonly Delivery[]> {
  const due = sql`SELECT id FROM ${deliveries} WHERE state = 'due' AND next_at <= ${now} ORDER BY next_at LIMIT ${MAX_SENDS}`
  return drizzle(database)
    .update(deliveries)
    .set({ nextAt: now + CLAIM_MS, attempts: sql`attempts + 1` })
    .where(sql`id IN (${due})`)
    .returning()
}

async function loadChannels(
  database: D1Database,
  claimed: readonly Delivery[],
): Promise<ReadonlyMap<string, Channel>> {
  const ids = [...new Set(claimed.map(({ channel }) => channel))]
  const rows = await drizzle(database).select().from(channels).where(inArray(channels.id, ids))
  return new Map(rows.map((channel) => [channel.id, channel]))
}

/** Sends to a channel that is on; a defect that one message meets keeps nothing from the others. */
async function sendSafely(
  bindings: Bindings,
  channel: Channel | undefined,
  { id, body }: Delivery,
  now: number,
): Promise<Outcome> {
  if (!channel?.enabled) return failed('the channel is off')
  try {
    return await send(bindings, channel, body, now)
  } catch (error) {
    const told = error instanceof Error ? (error.stack ?? error.message) : String(error)
    console.error('notice not written', { delivery: id, error: redact(told, channel) })
    return failed('it could not be written: the log knows more')
  }
}

async function tryAll(
  bindings: Bindings,
  claimed: readonly Delivery[],
  known: ReadonlyMap<string, Channel>,
  now: number,
): Promise<readonly Tried[]> {
  const tried: Tried[] = []
  const waiting = claimed.values()
  const work = async () => {
    for (const delivery of waiting) {
      const channel = known.get(delivery.channel)
      tried.push({ delivery, channel, outcome: await sendSafely(bindings, channel, delivery, now) })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return tried
}

/** What a delivery is after it was tried, in the order in which `settlement` reads it. */
function settled({ delivery, channel, outcome }: Tried, now: number): readonly (string | number | null)[] {
  const { id, attempts, nextAt } = delivery
  if (outcome.sent) return [id, attempts, 'sent', nextAt, '', now]
  const delay = channel?.enabled && !outcome.isGone ? retryDelay(attempts) : null
  return delay === null
    ? [id, attempts, 'dead', nextAt, outcome.error, now]
    : [id, attempts, 'due', now + delay, outcome.error, null]
}

/** Leaves alone what somebody has claimed anew, because this one took too long. */
function settlement(tried: readonly Tried[], now: number): SQL {
  return sql`UPDATE ${deliveries} SET state = value ->> 2, next_at = value ->> 3, last_error = value ->> 4,
      finished_at = value ->> 5
    FROM json_each(${JSON.stringify(tried.map((one) => settled(one, now)))})
    WHERE ${deliveries.id} = value ->> 0 AND ${deliveries.attempts} = value ->> 1 AND ${deliveries.state} = 'due'`
}

function switchingOff({ id }: Channel, now: number): SQL {
  return sql`UPDATE ${channels} SET enabled = 0, revision = revision + 1, updated_at = ${now}
    WHERE id = ${id} AND enabled = 1`
}

const goneEntry = ({ id, environment, name }: Channel, now: number): AuditEntry => ({
  actor: 'outbox',
  via: 'tick',
  action: 'channel.disable',
  target: { kind: 'channel', key: id },
  comment: 'its receiver says that it is gone',
  details: { environment, name },
  requestId: `deliveries-${now}`,
  at: now,
})

async function settle(database: D1Database, tried: readonly Tried[], now: number): Promise<void> {
  const gone = new Map(
    tried.flatMap(({ channel, outcome }) =>
      channel && outcome.isGone ? [[channel.id, channel] as const] : [],
    ),
  )
  const committed = await commit(database, {
    guards: [],
    writes: [settlement(tried, now), ...[...gone.values()].map((channel) => switchingOff(channel, now))],
    entries: [...gone.values()].map((channel) => goneEntry(channel, now)),
    environments: sql`'{}'`,
    receipt: undefined,
    answer: { status: 200, body: {}, shows: [] },
    read: sql`SELECT 1`,
  })
  if (!committed.ok) throw new Error(`deliveries cannot be refused as ${committed.error.reason}`)
}

async function forget(database: D1Database, now: number): Promise<void> {
  await drizzle(database)
    .delete(deliveries)
    .where(
      sql`(state = 'sent' AND finished_at < ${now - SENT_KEPT_MS})
        OR (state = 'dead' AND finished_at < ${now - DEAD_KEPT_MS})`,
    )
}

/**
 * Sends what is due, at most 20 at a time, and forgets what is over, once an hour.
 * @param now milliseconds since 1970
 */
export async function deliverDue(bindings: Bindings, now: number): Promise<void> {
  const isFullHour = now % HOUR_MS < 60_000
  if (isFullHour) await forget(bindings.DB, now)
  const claimed = await claim(bindings.DB, now)
  if (claimed.length === 0) return
  const known = await loadChannels(bindings.DB, claimed)
  const tried = await tryAll(bindings, claimed, known, now)
  for (const { delivery, outcome } of tried) {
    if (outcome.sent) continue
    const { id, channel, attempts } = delivery
    console.warn('notice not delivered', { delivery: id, channel, attempts, error: outcome.error })
  }
  await settle(bindings.DB, tried, now)
}
