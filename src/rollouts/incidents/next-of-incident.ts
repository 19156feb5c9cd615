// What follows for an incident at an instant: safe, verified, or told to more people. Pure: the clock is an argument.
import type { Notice, NoticeKind } from '../../notifications/notification.ts'
import { sayDuration } from '../durations.ts'
import type { IncidentChange } from './commit-incidents.ts'
import type { Incident } from './incident-store.ts'
import type { Safe } from './spreading.ts'
import type { Verdict } from './verification.ts'
import { sayInstant, sayShare } from './words.ts'

/** What is known of an incident now; null: nothing new. */
export type Findings = { readonly safe: Safe | null; readonly verdict: Verdict | null }

/** What people are told of an incident. */
export function noticeOf(
  { id, environment, flag, rollout, title, facts, detectedAt, committedAt, safeAt }: Incident,
  kind: NoticeKind,
  about: string,
  text: string,
  at: number,
): Notice {
  return {
    id: `${id}-${about}`,
    environment,
    kind,
    title,
    text,
    path: `/incidents/${id}`,
    facts: {
      ...{ incident: id, rollout, flag, environment, variant: facts.variant, affected: facts.affected },
      ...{ detectedAt, committedAt, safeAt, about },
    },
    at,
  }
}

function saySafe({ at, unreportedShare }: Safe, committedAt: number): string {
  const took = sayDuration(Math.max(0, at - committedAt))
  const missing =
    unreportedShare > 0
      ? `${sayShare(unreportedShare)} of the traffic that was expected then is not reported`
      : 'all that was expected is reported'
  return `99 % of the reported traffic was on the safe version at ${sayInstant(at)}, ${took} after it was committed; ${missing}.`
}

/** What becomes of an incident; undefined: nothing. */
export function nextOf(
  before: Incident,
  { safe, verdict }: Findings,
  now: number,
): IncidentChange | undefined {
  let after = before
  const notes: string[] = []
  const notices: Notice[] = []
  const tell = (kind: NoticeKind, about: string, words: string) => {
    notes.push(words)
    notices.push(noticeOf(after, kind, about, words, now))
  }
  if (safe && before.safeAt === null) {
    const { at, seconds, unreportedShare } = safe
    // The hub's clock and the writer's may differ.
    const safeAt = Math.max(at, before.committedAt)
    after = { ...after, safeAt, facts: { ...after.facts, safe: { seconds, unreportedShare } } }
    tell('incident.safe', 'safe', saySafe({ ...safe, at: safeAt }, before.committedAt))
  }
  if (verdict && verdict.state !== 'pending') {
    const { state, words } = verdict
    after = { ...after, verification: state, facts: { ...after.facts, verified: words } }
    if (state === 'failed') after = { ...after, escalatedAt: after.escalatedAt ?? now }
    if (state === 'none') notes.push(words)
    else if (state === 'verified') tell('incident.verified', state, words)
    else tell('incident.escalated', 'unverified', words)
  }
  if (before.state === 'open' && after.escalatedAt === null && now >= before.acknowledgeBy) {
    after = { ...after, escalatedAt: now }
    const within = sayDuration(before.acknowledgeBy - before.createdAt)
    tell('incident.escalated', 'escalated', `Nobody has acknowledged it within ${within}.`)
  }
  if (after === before) return undefined
  const { safeAt, verification, escalatedAt } = after
  return {
    ...{ before, after, notes, notices },
    action: 'incident.follow',
    details: { notes, safeAt, verification, escalatedAt },
  }
}
