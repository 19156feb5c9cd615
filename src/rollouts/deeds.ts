// What people do to a rollout by hand. Pure: each answers what is then done, or why it cannot be. Who may, and who must
// be asked a second time, is decided before.
import { isPercentage } from '../engine/parse-flag.ts'
import { err, ok, type Result } from '../engine/result.ts'
import { begin, finish, goOn, retreat } from './decide.ts'
import type { Decision, Deed, Reason } from './decision.ts'
import { audienceAt, audiencesOf, grantedPercentage, plannedPercentage } from './grants.ts'
import type { Observations } from './observations.ts'
import { behind, closed, stopped, unpublished } from './obstacles.ts'
import type { Plan, RollbackMode } from './plan.ts'
import type { Progress, RolloutState } from './progress.ts'
import { confirmed, instantAfter, regranted } from './progress-steps.ts'
import { calledRetreat } from './retreats.ts'

/** Why a deed cannot be done. */
export type DeedError =
  | {
      readonly reason: 'wrong_state'
      readonly state: RolloutState
      readonly allowed: readonly RolloutState[]
    }
  /** Something stands in the way that nobody can wave aside. */
  | { readonly reason: 'obstacle'; readonly obstacle: Reason }
  | { readonly reason: 'unknown_stage'; readonly stage: number }
  | { readonly reason: 'unknown_audience'; readonly audience: number }
  | { readonly reason: 'percentage_out_of_range'; readonly from: number; readonly to: number }
  /** The last stage has been reached: there is nothing to advance to. */
  | { readonly reason: 'no_stage_left' }
  /** Stages are left: it advances through them before it is complete. */
  | { readonly reason: 'stages_left'; readonly left: number }

type Outcome = Result<Decision, DeedError>

function byHand(words: string): Reason {
  return { code: 'by_hand', words }
}

function done(deed: Deed, words: string, progress: Progress): Outcome {
  return ok({ deed, reason: byHand(words), progress, proven: null, notices: [] })
}

function wrongState({ state }: Progress, allowed: readonly RolloutState[]): Result<never, DeedError> {
  return err({ reason: 'wrong_state', state, allowed })
}

function isIn({ state }: Progress, allowed: readonly RolloutState[]): boolean {
  return allowed.includes(state)
}

function beginOrSchedule(plan: Plan, progress: Progress, observations: Observations, at: number): Decision {
  const scheduled: Progress = { ...progress, state: 'scheduled' }
  const decision = begin(plan, scheduled, observations, at)
  return decision.deed === 'hold' ? { ...decision, deed: 'schedule' } : decision
}

/**
 * Starts a draft: its first stage is granted if nothing stands before it, else it is scheduled and begins as soon as it
 * may. Where a second person must agree, it waits for that.
 */
export function start(
  plan: Plan,
  progress: Progress,
  { observations, needsApproval }: { readonly observations: Observations; readonly needsApproval: boolean },
  now: number,
): Outcome {
  if (!isIn(progress, ['draft'])) return wrongState(progress, ['draft'])
  if (!needsApproval) return ok(beginOrSchedule(plan, progress, observations, instantAfter(progress, now)))
  const waiting: Progress = { ...progress, state: 'awaiting_approval' }
  const reason: Reason = { code: 'approval_missing', words: 'its start waits for a second person' }
  return ok({ deed: 'schedule', reason, progress: waiting, proven: null, notices: [reason] })
}

/** Stops the clock of a rollout: what is granted stays, and is watched. */
export function pause(_plan: Plan, progress: Progress, now: number): Outcome {
  if (!isIn(progress, ['scheduled', 'running'])) return wrongState(progress, ['scheduled', 'running'])
  return done('pause', 'paused', { ...progress, state: 'paused', pausedAt: instantAfter(progress, now) })
}

/** Lets a paused rollout go on: its hold goes on from where it stood. */
export function resume(_plan: Plan, progress: Progress, observations: Observations, now: number): Outcome {
  if (!isIn(progress, ['paused'])) return wrongState(progress, ['paused'])
  // What was published during the pause holds from then on: no tick after it could tell how much of that was a pause.
  const known = confirmed(progress, observations)
  const { stage, pausedAt, pausedMs, publishedAt } = known
  const at = instantAfter(progress, now)
  // A hold that has not begun was not interrupted.
  const paused = publishedAt === null ? 0 : at - (pausedAt ?? at)
  return done('resume', 'goes on', {
    ...known,
    state: stage < 0 ? 'scheduled' : 'running',
    pausedAt: null,
    pausedMs: pausedMs + paused,
  })
}

/**
 * Approves a stage that comes; or the start, of a rollout that waits for it, which then begins as soon as it may.
 * @param stage the stage's place; null: the next one
 */
export function approve(
  plan: Plan,
  progress: Progress,
  { stage, observations }: { readonly stage: number | null; readonly observations: Observations },
  now: number,
): Outcome {
  const allowed: readonly RolloutState[] = ['awaiting_approval', 'scheduled', 'running', 'paused']
  if (!isIn(progress, allowed)) return wrongState(progress, allowed)
  const place = stage ?? progress.stage + 1
  const found = plan.stages[place]
  if (!found || place <= progress.stage) return err({ reason: 'unknown_stage', stage: place })
  const approved = [...new Set([...progress.approved, place])].sort((a, b) => a - b)
  const next = { ...progress, approved }
  if (progress.state === 'awaiting_approval' && place === 0) {
    return ok(beginOrSchedule(plan, next, observations, instantAfter(progress, now)))
  }
  return done('approve', `"${found.name}" is approved`, next)
}

/** What nobody can wave aside. */
function obstacleByHand(
  plan: Plan,
  progress: Progress,
  observations: Observations,
  at: number,
): Reason | null {
  const call = calledRetreat(plan, progress, observations)
  const before = progress.stage < 0 ? behind(observations) : unpublished(progress)
  return (
    call?.reason ??
    before ??
    stopped(plan, progress, observations) ??
    closed(plan, progress, observations, at)
  )
}

/**
 * Grants the next stage before the clock would: the hold, the units that it needs, doubts about what was counted and the
 * hours of the plan are waved aside; approvals, gates, other rollouts and what takes a rollout back are not.
 */
export function advance(plan: Plan, progress: Progress, observations: Observations, now: number): Outcome {
  const allowed: readonly RolloutState[] = ['scheduled', 'running']
  if (!isIn(progress, allowed)) return wrongState(progress, allowed)
  if (progress.stage >= plan.stages.length - 1) return err({ reason: 'no_stage_left' })
  const at = instantAfter(progress, now)
  const known = confirmed(progress, observations)
  const obstacle = obstacleByHand(plan, known, observations, at)
  if (obstacle) return err({ reason: 'obstacle', obstacle })
  return ok(goOn(plan, known, observations, byHand('advanced by hand'), at))
}

/** The most that the present stage's audience may be given by hand: never what a gate or an approval stands before. */
function mostByHand(plan: Plan, { stage, approved }: Progress): number {
  const audience = audienceAt(plan, stage)
  const planned = plannedPercentage(plan, stage, audience)
  for (let place = stage + 1; place < plan.stages.length; place++) {
    const next = plan.stages[place]
    if (!next || next.gates.length > 0 || (next.approval && !approved.includes(place))) return planned
    if (audienceAt(plan, place) === audience) return next.percentage
  }
  return planned
}

/** Gives the present stage's audience another percentage; its hold begins anew. */
export function setPercentage(plan: Plan, progress: Progress, percentage: number, now: number): Outcome {
  const allowed: readonly RolloutState[] = ['running', 'paused']
  if (!isIn(progress, allowed) || progress.stage < 0) return wrongState(progress, allowed)
  const audience = audienceAt(plan, progress.stage)
  if (progress.blocked.includes(audience)) return err({ reason: 'unknown_audience', audience })
  const to = mostByHand(plan, progress)
  if (!isPercentage(percentage) || percentage > to) {
    return err({ reason: 'percentage_out_of_range', from: 0, to })
  }
  const name = audiencesOf(plan)[audience]?.name ?? ''
  const words = `"${name}" is given ${percentage} %`
  if (percentage === grantedPercentage(plan, progress, audience)) {
    return done('set_percentage', words, progress)
  }
  const overrides = { ...progress.overrides, [audience]: percentage }
  return done('set_percentage', words, regranted({ ...progress, overrides }, instantAfter(progress, now)))
}

/**
 * Takes a rollout back, or some of its audiences. While it is being taken back step by step, it can only be taken back
 * altogether.
 * @param audiences of a partial one: their places
 */
export function rollBack(
  plan: Plan,
  progress: Progress,
  { mode, audiences }: { readonly mode: RollbackMode; readonly audiences: readonly number[] },
  now: number,
): Outcome {
  const states: readonly RolloutState[] = ['running', 'paused', 'watching']
  const allowed: readonly RolloutState[] = mode === 'immediate' ? [...states, 'rolling_back'] : states
  if (!isIn(progress, allowed) || progress.stage < 0) return wrongState(progress, allowed)
  const isPart = mode === 'partial'
  const known = audiencesOf(plan)
  const unknown = audiences.find((place) => !known[place] || progress.blocked.includes(place))
  if (isPart && unknown !== undefined) return err({ reason: 'unknown_audience', audience: unknown })
  if (isPart && audiences.length === 0) return err({ reason: 'unknown_audience', audience: -1 })
  const names = audiences.map((place) => `"${known[place]?.name}"`).join(', ')
  const reason = byHand(isPart ? `${names} taken back by hand` : 'taken back by hand')
  const call = { mode, audiences: isPart ? audiences : null, cause: reason.code, reason }
  return ok(retreat(plan, progress, call, instantAfter(progress, now)))
}

/** Ends a rollout at its last stage before its hold is over, or its watch. */
export function complete(plan: Plan, progress: Progress, observations: Observations, now: number): Outcome {
  const allowed: readonly RolloutState[] = ['running', 'paused', 'watching']
  if (!isIn(progress, allowed) || progress.stage < 0) return wrongState(progress, allowed)
  const at = instantAfter(progress, now)
  if (progress.state === 'watching') return ok(finish(progress, byHand('completed by hand'), at))
  const left = plan.stages.length - 1 - progress.stage
  if (left > 0) return err({ reason: 'stages_left', left })
  const known = confirmed(progress, observations)
  const obstacle = obstacleByHand(plan, known, observations, at)
  if (obstacle) return err({ reason: 'obstacle', obstacle })
  return ok(goOn(plan, known, observations, byHand('completed by hand'), at))
}

/** Ends a rollout that has granted nothing yet. */
export function cancel(_plan: Plan, progress: Progress, now: number): Outcome {
  const allowed: readonly RolloutState[] = ['draft', 'awaiting_approval', 'scheduled']
  const waits = progress.state === 'paused' && progress.stage < 0
  if (!isIn(progress, allowed) && !waits) return wrongState(progress, allowed)
  const endedAt = instantAfter(progress, now)
  return done('cancel', 'cancelled', { ...progress, state: 'cancelled', pausedAt: null, endedAt })
}
