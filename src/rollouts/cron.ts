// What the cron does for rollouts every minute: each clock ticks, whatever has become of its own alarm, and people are
// told of one that had stopped.
import type { Bindings } from '../bindings.ts'
import { withTimeout } from '../http/with-timeout.ts'
import { prepare } from '../ledger/statement.ts'
import type { Notice } from '../notifications/notification.ts'
import { noticeStatements } from '../notifications/outbox.ts'
import { type ClockStatus, clockOf } from './clock-protocol.ts'
import { loadLiveEnvironments } from './rollout-store.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
/** A clock that has rollouts and has not ticked for so long has stopped. */
const STOPPED_MS = 2 * MINUTE_MS
const TICK_TIMEOUT_MS = 20_000
const STATUS_TIMEOUT_MS = 2_000

function stoppedNotice(environment: string, since: number | null, now: number): Notice {
  const when = since === null ? 'It cannot be reached.' : `It last did at ${new Date(since).toISOString()}.`
  return {
    // Once an hour.
    id: `clock-stopped-${environment}-${Math.floor(now / HOUR_MS)}`,
    environment,
    kind: 'clock.stopped',
    title: `${environment}: the clock of the rollouts had stopped`,
    text: `Nobody decided about the rollouts of ${environment} when it was due. ${when}\nWhile a clock stands, nothing advances and nothing is taken back by itself.`,
    path: '/rollouts',
    facts: { environment, tickedAt: since },
    at: now,
  }
}

/** How a clock is; null when it does not answer. */
async function statusOf(bindings: Bindings, environment: string): Promise<ClockStatus | null> {
  try {
    return await withTimeout(clockOf(bindings, environment).status(), STATUS_TIMEOUT_MS)
  } catch {
    return null
  }
}

async function tickClock(bindings: Bindings, environment: string, now: number): Promise<void> {
  const before = await statusOf(bindings, environment)
  let answered = true
  try {
    await withTimeout(clockOf(bindings, environment).tick(now), TICK_TIMEOUT_MS)
  } catch (error) {
    answered = false
    console.error('rollout clock did not tick', { environment, error: String(error) })
  }
  const isLate = before !== null && before.rollouts > 0 && now - before.tickedAt > STOPPED_MS
  if (!isLate && (before !== null || answered)) return
  console.error('rollout clock had stopped', { environment, tickedAt: before?.tickedAt ?? null })
  const notice = stoppedNotice(environment, before?.tickedAt ?? null, now)
  await bindings.DB.batch(noticeStatements(notice).map((statement) => prepare(bindings.DB, statement)))
}

/** Lets the clock of every environment tick in which rollouts are live. One that fails leaves the others theirs. */
export async function tickClocks(bindings: Bindings, now: number): Promise<void> {
  const environments = await loadLiveEnvironments(bindings.DB)
  const ticks = await Promise.allSettled(
    environments.map((environment) => tickClock(bindings, environment, now)),
  )
  for (const tick of ticks) if (tick.status === 'rejected') throw tick.reason
}
