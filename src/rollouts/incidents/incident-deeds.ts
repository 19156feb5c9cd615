// What people do to an incident. Pure: each answers what becomes of it, or why it cannot be.
import { err, ok, type Result } from '../../engine/result.ts'
import type { IncidentChange } from './commit-incidents.ts'
import type { Incident } from './incident-store.ts'
import { noticeOf } from './next-of-incident.ts'

/** Why nothing was done. */
export type IncidentDeedError = { readonly reason: 'already_acknowledged' | 'resolved' | 'rolling_back' }

type Outcome = Result<IncidentChange, IncidentDeedError>

/** Who does it, and when. */
export type Doing = { readonly actor: string; readonly now: number }

const withWords = (begin: string, words: string) => (words === '' ? `${begin}.` : `${begin}: ${words}`)

/** Somebody looks after it from now on. */
export function acknowledge(before: Incident, comment: string, { actor, now }: Doing): Outcome {
  if (before.state === 'resolved') return err({ reason: 'resolved' })
  if (before.state === 'acknowledged') return err({ reason: 'already_acknowledged' })
  return ok({
    before,
    after: { ...before, state: 'acknowledged', acknowledgedAt: now, acknowledgedBy: actor },
    notes: [withWords('Acknowledged', comment)],
    notices: [],
    action: 'incident.acknowledge',
    details: {},
  })
}

/** It is over; what was not verified yet never will be. */
export function resolve(before: Incident, resolution: string, { actor, now }: Doing): Outcome {
  if (before.state === 'resolved') return err({ reason: 'resolved' })
  if (before.verification === 'pending' && before.safeVersion === null) return err({ reason: 'rolling_back' })
  const verification = before.verification === 'pending' ? 'none' : before.verification
  const after: Incident = {
    ...before,
    ...{ state: 'resolved', resolvedAt: now, resolvedBy: actor, resolution, verification },
    acknowledgedAt: before.acknowledgedAt ?? now,
    acknowledgedBy: before.acknowledgedBy ?? actor,
  }
  const words = withWords('Resolved', resolution)
  return ok({
    ...{ before, after, notes: [words] },
    notices: [noticeOf(after, 'incident.resolved', 'resolved', words, now)],
    action: 'incident.resolve',
    details: { resolution, verification },
  })
}

/** Something is noted about it, whatever its state. */
export function addNote(before: Incident, words: string): IncidentChange {
  return { before, after: before, notes: [words], notices: [], action: 'incident.note', details: {} }
}

/** What was learned from it, written or written anew. */
export function writePostMortem(before: Incident, postMortem: string): IncidentChange {
  return {
    before,
    after: { ...before, postMortem },
    notes: [before.postMortem === '' ? 'The post-mortem was written.' : 'The post-mortem was changed.'],
    notices: [],
    action: 'incident.post_mortem',
    details: { before: before.postMortem.length, after: postMortem.length },
  }
}
