// What a deed by hand is decided on: read for one rollout at the moment it is asked for.
import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { Bindings } from '../bindings.ts'
import { hubOf } from '../catalog/hub-protocol.ts'
import { withTimeout } from '../http/with-timeout.ts'
import { type ClockStatus, clockOf } from './clock-protocol.ts'
import type { Observations, Reading } from './observations.ts'
import type { Rollout } from './rollout.ts'
import { listSignals } from './signals.ts'
import { rollouts } from './tables.ts'

const ASK_TIMEOUT_MS = 2_000
const MAX_SIGNALS = 200

/** Asks something of a Durable Object that nobody waits long for; null where it does not answer. */
async function askBriefly<T>(environment: string, question: Promise<T>): Promise<T | null> {
  try {
    return await withTimeout(question, ASK_TIMEOUT_MS)
  } catch (error) {
    console.warn('hub or clock of rollouts not reached', { environment, error: String(error) })
    return null
  }
}

/** What a rollout's guards say now; null where nothing was read, or the clock does not answer. */
export async function loadReading(
  bindings: Bindings,
  { id, plan, progress }: Rollout,
): Promise<Reading | null> {
  if (progress.stage < 0) return null
  const { environment } = plan
  return askBriefly(environment, clockOf(bindings, environment).reading(id))
}

/** How an environment's clock is; null where it does not answer. */
export function loadClock(bindings: Bindings, environment: string): Promise<ClockStatus | null> {
  return askBriefly(environment, clockOf(bindings, environment).status())
}

/** Everything that a deed by hand is decided on, beside the plan and the progress. */
export async function observeNow(bindings: Bindings, rollout: Rollout, now: number): Promise<Observations> {
  const { plan } = rollout
  const { environment } = plan
  const db = drizzle(bindings.DB)
  const [reading, publication, signals, done] = await Promise.all([
    loadReading(bindings, rollout),
    rollout.progress.grantedVersion === null
      ? null
      : askBriefly(environment, hubOf(bindings, environment).publish()),
    listSignals(bindings.DB, rollout.id, MAX_SIGNALS),
    plan.after.length === 0
      ? []
      : db
          .select({ id: rollouts.id })
          .from(rollouts)
          .where(
            sql`${rollouts.id} IN (SELECT value FROM json_each(${JSON.stringify(plan.after)}))
              AND ${rollouts.state} IN ('watching', 'done')`,
          ),
  ])
  const isDone = new Set(done.map((other) => other.id))
  return {
    reading,
    unreadSince: null,
    published: publication?.published ? { version: publication.version, at: now } : null,
    signals,
    notDone: plan.after.filter((other) => !isDone.has(other)),
    quantiles: {},
  }
}
