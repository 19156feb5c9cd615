// What a digest says: what rollouts did in a day or a week, and what went wrong. Pure.
import type { Notice } from '../../notifications/notification.ts'
import type { Deed, Reason, ReasonCode } from '../decision.ts'
import { sayDuration } from '../durations.ts'
import type { Incident } from './incident-store.ts'
import { durationsOf } from './timeline.ts'
import { sayInstant } from './words.ts'

/** What was decided about a rollout in the time that a digest is about, in order. */
export type DigestedRollout = {
  readonly id: string
  readonly flag: string
  readonly variant: string
  /** The name of the stage that it is at; null before the first. */
  readonly stage: string | null
  readonly decisions: readonly { readonly deed: Deed; readonly reason: Reason }[]
}

/** What a digest is made of. Instants are milliseconds since 1970; `to` is not included. */
export type DigestGround = {
  readonly kind: 'digest.daily' | 'report.weekly'
  readonly environment: string
  readonly from: number
  readonly to: number
  readonly rollouts: readonly DigestedRollout[]
  /** Those that were opened in that time, or are still open. */
  readonly incidents: readonly Incident[]
}

/** Holds that end by themselves. */
const QUIET: readonly ReasonCode[] = ['hold_not_over', 'not_published', 'paused', 'nothing_to_do']

function sayRollout({ flag, variant, stage, decisions }: DigestedRollout): string {
  const count = (deed: Deed) => decisions.filter((decision) => decision.deed === deed).length
  const begun = decisions.some(({ deed, reason }) => deed === 'advance' && reason.code === 'start')
  const advances = count('advance') - Number(begun)
  const back = decisions.find(({ deed }) => deed === 'rollback')
  const last = decisions.at(-1)
  const parts = [
    ...(begun ? ['started'] : []),
    ...(advances > 0 ? [`went on ${advances === 1 ? 'once' : `${advances} times`}`] : []),
    ...(count('pause') > 0 ? ['was paused'] : []),
    ...(back ? [`was taken back: ${back.reason.words}`] : []),
    ...(count('complete') > 0 ? ['is complete'] : []),
    ...(count('finish') > 0 ? ['is done'] : []),
    ...(last?.deed === 'hold' && !QUIET.includes(last.reason.code) ? [`is held: ${last.reason.words}`] : []),
  ]
  const where = stage === null ? '' : ` (stage "${stage}")`
  return `- ${flag}, "${variant}"${where}: ${parts.length > 0 ? parts.join('; ') : 'ran'}.`
}

function median(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null).sort((a, b) => a - b)
  return known[Math.floor((known.length - 1) / 2)] ?? null
}

function sayIncident(incident: Incident): string {
  const { title, state, verification, id } = incident
  const { detectMs, commitMs, safeMs } = durationsOf(incident)
  const took = [
    ...(detectMs === null ? [] : [`detected after ${sayDuration(detectMs)}`]),
    `committed after ${sayDuration(commitMs)}`,
    ...(safeMs === null ? [] : [`safe after ${sayDuration(safeMs)}`]),
  ]
  return `- ${title} (${id}): ${state}, verification ${verification}; ${took.join(', ')}.`
}

/** Composes a digest; undefined: nothing happened that a day's digest would be about. */
export function digestOf(ground: DigestGround, at: number): Notice | undefined {
  const { kind, environment, from, to, rollouts, incidents } = ground
  const isDaily = kind === 'digest.daily'
  const isEmpty = rollouts.length === 0 && incidents.length === 0
  if (isEmpty && isDaily) return undefined
  const span = `${sayInstant(from)} to ${sayInstant(to)}`
  const opened = incidents.filter(({ createdAt }) => createdAt >= from && createdAt < to)
  const open = incidents.filter(({ state }) => state !== 'resolved')
  const counted = (deed: Deed) =>
    rollouts.filter(({ decisions }) => decisions.some((decision) => decision.deed === deed)).length
  const times = opened.map(durationsOf)
  const lines = [
    ...(rollouts.length > 0 ? ['Rollouts:'] : []),
    ...rollouts.map(sayRollout),
    ...(incidents.length > 0 ? ['Incidents:'] : []),
    ...incidents.map(sayIncident),
  ]
  return {
    id: `${kind}-${environment}-${from}`,
    environment,
    kind,
    title: `${environment}: rollouts of the ${isDaily ? 'day' : 'week'}`,
    text: isEmpty
      ? `Nothing ran, and nothing went wrong, from ${span}.`
      : [`From ${span}.`, ...lines].join('\n'),
    path: '/rollouts',
    facts: {
      environment,
      from,
      to,
      rollouts: rollouts.length,
      advanced: counted('advance'),
      rolledBack: counted('rollback'),
      completed: counted('complete') + counted('finish'),
      incidentsOpened: opened.length,
      incidentsOpen: open.length,
      medianDetectMs: median(times.map(({ detectMs }) => detectMs)),
      medianCommitMs: median(times.map(({ commitMs }) => commitMs)),
      medianSafeMs: median(times.map(({ safeMs }) => safeMs)),
    },
    at,
  }
}
