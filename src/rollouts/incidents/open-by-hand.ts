// An incident that somebody opens: about a flag, and no rollout.
import type { z } from '@hono/zod-openapi'
import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { randomHex } from '../../access/key.ts'
import { versionOf } from '../../catalog/environments.ts'
import { toRefusal } from '../../catalog/refusals.ts'
import { notFound } from '../../catalog/routes/answer.ts'
import { flags } from '../../catalog/tables.ts'
import { err, ok, type Result } from '../../engine/result.ts'
import type { Refusal } from '../../http/problem.ts'
import type { Author } from '../../ledger/author.ts'
import { commit } from '../../ledger/commit.ts'
import { noticeStatements } from '../../notifications/outbox.ts'
import { incidents } from '../tables.ts'
import { shown } from './answer.ts'
import { noteStatements } from './commit-incidents.ts'
import { ACKNOWLEDGE_WITHIN_MS, NO_FACTS } from './facts.ts'
import type { Incident } from './incident-store.ts'
import { noticeOf } from './next-of-incident.ts'
import type { incidentDraft } from './schemas.ts'

type Draft = Omit<z.output<typeof incidentDraft>, 'comment'>

function toIncident({ environment, flag, title, words, beganAt }: Draft, now: number): Incident {
  return {
    ...{ id: `incident-${randomHex(6)}`, environment, flag, rollout: null, title },
    ...{ state: 'open', reason: { code: 'by_hand', words }, facts: NO_FACTS, verification: 'none' },
    beganAt: beganAt === null ? null : Math.min(now, Date.parse(beganAt)),
    ...{ detectedAt: now, committedAt: now, safeAt: null, safeVersion: null },
    acknowledgeBy: now + ACKNOWLEDGE_WITHIN_MS.ramping,
    ...{ escalatedAt: null, acknowledgedAt: null, acknowledgedBy: null },
    ...{ resolvedAt: null, resolvedBy: null, resolution: '', postMortem: '' },
    ...{ disputedBy: null, disputeNote: '', revision: 1, createdAt: now, updatedAt: now },
  }
}

/** Opens an incident about a flag in an environment, both of which there must be. */
export async function openByHand(
  database: D1Database,
  draft: Draft,
  { actor, via, comment, requestId, now, receipt }: Author,
): Promise<Result<Incident, Refusal>> {
  const { environment, flag, title, words } = draft
  const opened = toIncident(draft, now)
  const { id } = opened
  const committed = await commit(database, {
    guards: [
      { column: 'found', holds: sql`(${versionOf(environment)}) IS NOT NULL` },
      { column: 'found', holds: sql`EXISTS (SELECT 1 FROM ${flags} WHERE key = ${flag})` },
    ],
    writes: [
      drizzle(database).insert(incidents).values(opened),
      ...noteStatements([[id, words]], actor, now),
      ...noticeStatements(noticeOf(opened, 'incident.opened', 'opened', words, now)),
    ],
    entries: [
      {
        ...{ actor, via, comment, requestId, at: now, action: 'incident.open' },
        target: { kind: 'incident', key: id },
        details: { environment, flag, title },
      },
    ],
    environments: sql`json_object(${environment}, (${versionOf(environment)}))`,
    receipt,
    answer: { status: 201, body: shown(opened), shows: [] },
    read: sql`SELECT 1`,
  })
  if (committed.ok) return ok(opened)
  const { reason } = committed.error
  return err(reason === 'unknown_reference' ? notFound('such environment or flag') : toRefusal({ reason }))
}
