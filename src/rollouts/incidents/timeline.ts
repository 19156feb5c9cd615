// Everything that happened around an incident, in order: what was noted about it, and what was decided about its
// rollout. Pure.
import type { ListedDecision } from '../rollout-store.ts'
import type { Incident, Note } from './incident-store.ts'

/** One thing that happened. */
export type Moment = {
  readonly at: number
  readonly kind: 'note' | 'decision'
  readonly actor: string
  readonly words: string
  /** Of a decision: what was done, and its number in the rollout's timeline. */
  readonly deed: string | null
  readonly decision: number | null
}

/** How long an incident took to be detected, committed, and safe; null: not known. In milliseconds. */
export type Durations = {
  readonly detectMs: number | null
  readonly commitMs: number
  readonly safeMs: number | null
  readonly acknowledgeMs: number | null
  readonly resolveMs: number | null
}

/** Decisions that say nothing of what happened. */
const SILENT = ['hold', 'confirm', 'look']

/** Notes and decisions in order of time; of one instant, decisions first. */
export function timelineOf(notes: readonly Note[], decisions: readonly ListedDecision[]): Moment[] {
  const decided = decisions
    .filter(({ deed }) => !SILENT.includes(deed))
    .sort((a, b) => a.id - b.id)
    .map(({ id, at, actor, deed, reason, comment }): Moment => {
      const words = comment === '' ? reason.words : `${reason.words}: ${comment}`
      return { at, kind: 'decision', actor, words, deed, decision: id }
    })
  const noted = notes.map(
    ({ at, actor, words }): Moment => ({ at, kind: 'note', actor, words, deed: null, decision: null }),
  )
  return [...decided, ...noted].sort((a, b) => a.at - b.at)
}

/** How long each part of an incident took. */
export function durationsOf(incident: Incident): Durations {
  const { beganAt, detectedAt, committedAt, safeAt, createdAt, acknowledgedAt, resolvedAt } = incident
  const since = (from: number | null, to: number | null) =>
    from === null || to === null ? null : Math.max(0, to - from)
  return {
    detectMs: since(beganAt, detectedAt),
    commitMs: Math.max(0, committedAt - detectedAt),
    safeMs: since(committedAt, safeAt),
    acknowledgeMs: since(createdAt, acknowledgedAt),
    resolveMs: since(createdAt, resolvedAt),
  }
}
