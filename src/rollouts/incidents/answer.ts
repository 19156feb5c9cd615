// What the routes of incidents have in common: whom they know, how a change is answered, what is shown.
import type { z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { type Role, reaches } from '../../access/actor.ts'
import { authorOf, type Management, refusalFor } from '../../access/management.ts'
import { publishAll } from '../../catalog/publish.ts'
import { toRefusal } from '../../catalog/refusals.ts'
import { notFound } from '../../catalog/routes/answer.ts'
import { err, ok, type Result } from '../../engine/result.ts'
import { type Refusal, refuse } from '../../http/problem.ts'
import { listDecisions } from '../rollout-store.ts'
import { type Beside, commitIncidents, type IncidentChange } from './commit-incidents.ts'
import type { IncidentDeedError } from './incident-deeds.ts'
import { type Incident, loadIncident, loadNotes } from './incident-store.ts'
import type { incident } from './schemas.ts'
import { durationsOf, type Moment, timelineOf } from './timeline.ts'

/** How many decisions of its rollout stand in an incident's timeline. */
const MAX_DECISIONS = 200

const DEED_REFUSALS: { readonly [reason in IncidentDeedError['reason']]: string } = {
  already_acknowledged: 'somebody looks after it already',
  resolved: 'it is resolved',
  rolling_back: 'the rollback still goes on',
}

type Shown = z.output<typeof incident>

/** An incident as it is shown. */
export function shown(row: Incident): Shown {
  const { facts, reason: why, ...rest } = row
  const { epoch: _, audiences: __, guards, ...known } = facts
  return {
    ...rest,
    reason: { code: why.code, words: why.words, subject: why.subject ?? null },
    facts: {
      ...known,
      shares: [...known.shares],
      guards: guards.map(({ test: _, audience, ...guard }) => ({
        ...guard,
        audience: audience?.name ?? null,
      })),
    },
    durations: durationsOf(row),
  }
}

/** An incident that an actor sees, and for which they have the role; or why not. */
export async function findIncident(
  c: Context<Management>,
  id: string,
  needed: Role,
): Promise<Result<Incident, Refusal>> {
  const found = await loadIncident(c.env.DB, id)
  // Who does not reach it is not told that it is there.
  if (!found || !reaches(c.var.actor, found.environment)) return err(notFound(`incident "${id}"`))
  const refusal = refusalFor(c.var.actor, needed)
  return refusal ? err(refusal) : ok(found)
}

/** Everything that happened around an incident. */
export async function loadTimeline(database: D1Database, { id, rollout }: Incident): Promise<Moment[]> {
  const [notes, decisions] = await Promise.all([
    loadNotes(database, id),
    rollout === null ? [] : listDecisions(database, rollout, MAX_DECISIONS),
  ])
  return timelineOf(notes, decisions)
}

/** Carries out what becomes of an incident, and answers with it. */
export async function carryOut(
  c: Context<Management>,
  change: IncidentChange,
  comment: string,
  beside: Beside = {},
) {
  const { before } = change
  const author = authorOf(c, comment)
  const after = { ...change.after, revision: before.revision + 1, updatedAt: author.now }
  const answer = { status: 200, body: shown(after), shows: [] } as const
  const committed = await commitIncidents(c.env.DB, before.environment, [change], author, {
    ...beside,
    answer,
  })
  if (!committed.ok) return refuse(c, toRefusal(committed.error))
  await publishAll(c.env, committed.value)
  return c.json(shown(after), 200, { etag: `"${after.revision}"` })
}

/** Why nothing was done, as an answer. */
export function deedRefusal({ reason: code }: IncidentDeedError): Refusal {
  return { status: 409, code, message: DEED_REFUSALS[code] }
}
