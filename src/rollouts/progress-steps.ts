// The steps that a progress takes: each makes a new one. Whether a step may be taken is decided elsewhere. Pure.
import { audienceAt, audiencesOf, frozenOf, largestPercentage, reachedAudiences } from './grants.ts'
import type { Observations } from './observations.ts'
import type { Plan, RollbackMode } from './plan.ts'
import type { Progress } from './progress.ts'

/**
 * The instant that something is decided at: never earlier than what has happened already, so that a clock that goes
 * backwards makes nothing due.
 */
export function instantAfter(progress: Progress, now: number): number {
  const { startedAt, grantedAt, publishedAt, pausedAt, endedAt } = progress
  const known = [startedAt, grantedAt, publishedAt, pausedAt, endedAt].filter((at) => at !== null)
  return Math.max(now, ...known)
}

/** How long the present stage has been at the edge, without pauses; null while it is not there. */
export function heldFor({ publishedAt, pausedAt, pausedMs }: Progress, at: number): number | null {
  return publishedAt === null ? null : (pausedAt ?? at) - publishedAt - pausedMs
}

/** The progress once it is known that the edge has what was granted; the same one when that is not known or not new. */
export function confirmed(progress: Progress, { published }: Observations): Progress {
  const { state, grantedAt, grantedVersion, publishedAt, pausedAt } = progress
  if (publishedAt !== null || grantedVersion === null || grantedAt === null) return progress
  if (state !== 'running' && state !== 'paused' && state !== 'rolling_back') return progress
  if (published === null || published.version < grantedVersion) return progress
  const since = Math.max(grantedAt, published.at)
  // A hold that has not begun cannot have been interrupted.
  return {
    ...progress,
    publishedAt: since,
    pausedMs: 0,
    pausedAt: pausedAt === null ? null : Math.max(pausedAt, since),
  }
}

/** The progress with other grants, which the edge has yet to get: its hold begins anew. */
export function regranted(progress: Progress, at: number): Progress {
  return {
    ...progress,
    epoch: progress.epoch + 1,
    grantedAt: at,
    grantedVersion: null,
    publishedAt: null,
    pausedMs: 0,
    pausedAt: progress.state === 'paused' ? at : null,
    extended: false,
    told: Object.fromEntries(Object.entries(progress.told).filter(([subject]) => !isHoldSubject(subject))),
  }
}

const HOLD_SUBJECT = 'hold:'

/** Under which name it is kept when people were told last of something that holds a stage up. */
export function holdSubject(code: string): string {
  return `${HOLD_SUBJECT}${code}`
}

function isHoldSubject(subject: string): boolean {
  return subject.startsWith(HOLD_SUBJECT)
}

type Frozen = Progress['frozen']

/** The quantiles among the observations that guardrails of the plan compare with: all, or those not frozen yet. */
export function freezable(
  plan: Plan,
  progress: Progress,
  { quantiles }: Observations,
  which: 'all' | 'missing',
): Frozen {
  return Object.fromEntries(
    plan.guardrails.flatMap(({ id, test }): [string, number][] => {
      const value = Object.hasOwn(quantiles, id) ? quantiles[id] : undefined
      if (test.kind !== 'regression' || test.quantile === null) return []
      if (value === undefined || !Number.isFinite(value)) return []
      return which === 'all' || frozenOf(progress, id) === undefined ? [[id, value]] : []
    }),
  )
}

/** The progress with values frozen: tags tell from now on that events are compared with them. */
export function frozen(progress: Progress, values: Frozen): Progress {
  return { ...progress, epoch: progress.epoch + 1, frozen: { ...progress.frozen, ...values } }
}

/** Percentages set by hand that no stage reaches on the way: nobody loses the variant because a rollout goes on. */
function remainingOverrides(plan: Plan, progress: Progress, stage: number): Progress['overrides'] {
  const reaches = (audience: string, percentage: number) =>
    plan.stages.some(
      (passed, place) =>
        place > progress.stage &&
        place <= stage &&
        String(audienceAt(plan, place)) === audience &&
        passed.percentage >= percentage,
    )
  return Object.fromEntries(
    Object.entries(progress.overrides).filter(([audience, percentage]) => !reaches(audience, percentage)),
  )
}

/** The progress at a later stage. */
export function advanced(
  plan: Plan,
  progress: Progress,
  stage: number,
  observations: Observations,
  at: number,
): Progress {
  return {
    ...regranted({ ...progress, state: 'running' }, at),
    stage,
    startedAt: progress.startedAt ?? at,
    overrides: remainingOverrides(plan, progress, stage),
    frozen: { ...progress.frozen, ...freezable(plan, progress, observations, 'all') },
  }
}

/** How something is to be taken back, and why. */
export type Retreat = {
  readonly mode: RollbackMode
  /** Of a partial one: the places of the audiences that are taken back; null: all. */
  readonly audiences: readonly number[] | null
  /** Which guardrail, signal or person wants it. */
  readonly cause: string
}

function withBlocked(plan: Plan, progress: Progress, audiences: readonly number[]): Progress | undefined {
  const blocked = [...new Set([...progress.blocked, ...audiences])].sort((a, b) => a - b)
  const everyone = audiences.some((place) => audiencesOf(plan)[place]?.condition === null)
  const isAll = reachedAudiences(plan, progress).every((place) => blocked.includes(place))
  // Others keep what they have, so their hold goes on.
  return everyone || isAll ? undefined : { ...progress, blocked, epoch: progress.epoch + 1 }
}

/** The progress of a rollout that is taken back, with no more than `ceiling` per cent left to anybody. */
function lowered(progress: Progress, retreat: Retreat, ceiling: number, at: number): Progress {
  const { mode, cause } = retreat
  const isOver = ceiling === 0
  return {
    ...regranted({ ...progress, state: isOver ? 'rolled_back' : 'rolling_back' }, at),
    descent: { mode, audiences: null, ceiling, cause },
    endedAt: isOver ? at : null,
  }
}

/** The first step of a gradual rollback that is below what is granted; steps that are not are left out. */
function nextCeiling(plan: Plan, progress: Progress): number {
  const largest = largestPercentage(plan, progress)
  return plan.rollback.steps.find((step) => step < largest) ?? 0
}

/**
 * The progress once a rollback has begun, or has gone a step further. Who takes back everyone, or the last audience that
 * is left, takes back the rollout.
 */
export function takenBack(plan: Plan, progress: Progress, retreat: Retreat, at: number): Progress {
  if (retreat.mode === 'gradual') return lowered(progress, retreat, nextCeiling(plan, progress), at)
  const partly =
    retreat.mode === 'partial' && retreat.audiences
      ? withBlocked(plan, progress, retreat.audiences)
      : undefined
  return partly ?? lowered(progress, { ...retreat, mode: 'immediate' }, 0, at)
}
