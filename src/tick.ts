// What the cron does every minute. Each part is on its own: one that fails leaves the others theirs, and its work to
// the next minute.
import { currentActor } from './access/standing.ts'
import type { Bindings } from './bindings.ts'
import { applyDue } from './catalog/change-requests.ts'
import { clearDue } from './catalog/clearing.ts'
import { publishAll, publishDue } from './catalog/publish.ts'
import { markStale } from './catalog/stale-flags.ts'
import { isStillAuthorised } from './catalog/submit.ts'
import { sealAudit } from './ledger/audit.ts'
import { forgetAnswers } from './ledger/idempotency.ts'
import { deliverDue } from './notifications/deliver.ts'
import { rolloutAttachments } from './rollouts/attachments.ts'
import { clearEnvironment } from './rollouts/clear-environment.ts'
import { tickClocks } from './rollouts/cron.ts'
import { digests } from './rollouts/incidents/digests.ts'
import { followIncidents } from './rollouts/incidents/follow.ts'
import { reportLooks } from './rollouts/watch-looks.ts'
import { loadContexts, loadFlagActivity } from './telemetry/reading/usage.ts'

const STALE_EVERY_MINUTES = 60

async function applyScheduled(bindings: Bindings, now: number): Promise<void> {
  const workbench = {
    database: bindings.DB,
    contexts: (environment: string) => loadContexts(bindings, environment),
    attached: rolloutAttachments,
  }
  const tick = { actor: 'tick', via: 'tick', comment: '', now, requestId: `tick-${now}` }
  const committed = await applyDue(
    workbench,
    async (author, request) => {
      const actor = await currentActor(bindings.DB, author, now, request.createdAt)
      return actor !== undefined && (await isStillAuthorised(bindings.DB, actor, request))
    },
    tick,
  )
  for (const { versions } of committed) await publishAll(bindings, versions)
}

async function seal({ DB }: Bindings): Promise<void> {
  const head = await sealAudit(DB)
  // Written down outside the database, it is what the chain can be held to: see docs/security.md.
  if (head) console.log('audit sealed', head)
}

/** Does what is due. */
export async function tick(bindings: Bindings, now: number): Promise<void> {
  const parts: readonly (readonly [name: string, work: () => Promise<unknown>])[] = [
    ['scheduled changes', () => applyScheduled(bindings, now)],
    ['publications', () => publishDue(bindings)],
    ['rollouts', () => tickClocks(bindings, now)],
    ['incidents', () => followIncidents(bindings, now)],
    ['looks', () => reportLooks(bindings)],
    ['digests', () => digests(bindings, now)],
    ['counts of deleted environments', () => clearDue(bindings, now, clearEnvironment)],
    ['audit', () => seal(bindings)],
    ['idempotency', () => forgetAnswers(bindings.DB, now)],
    ...(Math.floor(now / 60_000) % STALE_EVERY_MINUTES === 0
      ? ([
          ['stale flags', () => markStale(bindings.DB, (key) => loadFlagActivity(bindings, key), now)],
        ] as const)
      : []),
    // Receivers may take their time.
    ['notifications', () => deliverDue(bindings, now)],
  ]
  for (const [name, work] of parts) {
    try {
      await work()
    } catch (error) {
      console.error('tick: a part failed', { name, error: String(error) })
    }
  }
}
