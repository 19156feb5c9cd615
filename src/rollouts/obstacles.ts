// What keeps a rollout from going on. Pure. Each is asked in turn; the first that stands in the way is the reason.
import { BLOCK_MS } from '../telemetry/counting/blocks.ts'
import { isWithinWindows } from './advance-windows.ts'
import type { Reason } from './decision.ts'
import { sayDuration } from './durations.ts'
import { audiencesOf, grantedPercentage, reachedAudiences } from './grants.ts'
import type { Observations } from './observations.ts'
import type { Gate, Guardrail, Plan, Stage } from './plan.ts'
import type { Progress } from './progress.ts'
import { heldFor } from './progress-steps.ts'
import { brokenGuards, guardReason, newestSignal, signalReason } from './retreats.ts'

/** For how long something may be unread before nothing goes on. */
const UNREAD_MS = 30_000

/** How much older than now what was read may be: blocks end every ten seconds, and are read at the next tick. */
const STALE_MS = UNREAD_MS + 2 * BLOCK_MS

/** Whether a stage is judged by what is counted. */
function needsReading({ guardrails }: Plan, stage: Stage | undefined): boolean {
  return guardrails.length > 0 || (stage?.minUnits ?? 0) > 0
}

/** A part of what is counted has not been read for too long. */
export function unread({ unreadSince }: Observations, at: number): Reason | null {
  if (unreadSince === null || at - unreadSince <= UNREAD_MS) return null
  const words = `a part of the counts could not be read for ${sayDuration(at - unreadSince)}`
  return { code: 'unread', words }
}

/** The stage is judged by what is counted, and that is not known up to now. */
export function unjudged(
  plan: Plan,
  progress: Progress,
  { reading }: Observations,
  at: number,
): Reason | null {
  if (!needsReading(plan, plan.stages[progress.stage])) return null
  if (!reading || reading.through < (progress.publishedAt ?? 0)) {
    return { code: 'not_read_yet', words: 'nothing of this stage has been read yet' }
  }
  const age = at - reading.through
  return age <= STALE_MS ? null : { code: 'unread', words: `what was read ends ${sayDuration(age)} ago` }
}

/** The counts themselves say that something is wrong with them, or that nobody is left to count. */
export function uncounted({ reading }: Observations): Reason | null {
  if (reading?.sampleRatio.mismatch) return { code: 'sample_ratio', words: reading.sampleRatio.words }
  if (reading?.life.verdict === 'all_silent') return { code: 'all_silent', words: reading.life.words }
  return null
}

/** A guardrail that pauses is still broken. */
export function pausing(plan: Plan, progress: Progress, observations: Observations): Reason | null {
  const [broken] = brokenGuards(plan, progress, observations, ['pause'])
  return broken ? { ...guardReason(plan, broken), code: 'guard_pause' } : null
}

/** A signal of the plan's says that it must not go on; before the first stage, one that would take it back does too. */
export function stopped(plan: Plan, progress: Progress, observations: Observations): Reason | null {
  for (const { kind, action } of plan.signals) {
    const signal = newestSignal(observations, kind)
    if (!signal || signal.passed) continue
    if (action === 'hold' || progress.stage < 0) return signalReason('signal_hold', signal)
  }
  return null
}

/** The edge does not have the present stage yet. */
export function unpublished({ publishedAt }: Progress): Reason | null {
  if (publishedAt !== null) return null
  return { code: 'not_published', words: 'the edge does not have what was granted yet' }
}

function fewUnits(plan: Plan, { stage }: Progress, { reading }: Observations): number | undefined {
  const units = reading?.units.treatment ?? 0
  return units < (plan.stages[stage]?.minUnits ?? 0) ? units : undefined
}

/** The present stage has not lasted as long as it must. */
export function held(plan: Plan, progress: Progress, observations: Observations, at: number): Reason | null {
  const holdMs = plan.stages[progress.stage]?.holdMs ?? 0
  const lasted = heldFor(progress, at) ?? 0
  if (lasted < holdMs) {
    return { code: 'hold_not_over', words: `the stage holds for another ${sayDuration(holdMs - lasted)}` }
  }
  const units = progress.extended ? fewUnits(plan, progress, observations) : undefined
  if (units === undefined || lasted >= 2 * holdMs) return null
  const words = `too few units (${units}), so the stage holds for another ${sayDuration(2 * holdMs - lasted)}`
  return { code: 'extended', words }
}

/** The stage has had its time and too few units. */
export function tooFew(plan: Plan, progress: Progress, observations: Observations): Reason | null {
  const units = fewUnits(plan, progress, observations)
  if (units === undefined) return null
  const needed = plan.stages[progress.stage]?.minUnits ?? 0
  return {
    code: 'too_few_units',
    words: `${units} units had the variant in this stage, and it needs ${needed}`,
  }
}

/** Whether some of the units that a rollout has reached are without the variant, so that there is something to compare. */
function hasControl(plan: Plan, progress: Progress): boolean {
  return reachedAudiences(plan, progress).some((place) => {
    const percentage = grantedPercentage(plan, progress, place)
    return percentage > 0 && percentage < 100
  })
}

/** Guardrails that could have stopped the stage, and can tell whether it is safe. */
function judges(plan: Plan, progress: Progress): readonly Guardrail[] {
  const compares = hasControl(plan, progress)
  return plan.guardrails.filter(
    ({ action, test }) =>
      (action === 'rollback' || action === 'pause') && (compares || test.kind === 'threshold'),
  )
}

/**
 * A guardrail that does not show the stage to be safe; undefined when all do that can tell. A limit says so as soon as
 * there is something that it is held against.
 */
function doubter(
  plan: Plan,
  progress: Progress,
  { reading }: Observations,
): { readonly guardrail: Guardrail; readonly audience: number | null } | undefined {
  const reached = reachedAudiences(plan, progress).filter((place) => !progress.blocked.includes(place))
  for (const guardrail of judges(plan, progress)) {
    const guards = (reading?.guards ?? []).filter(
      (guard) =>
        guard.guardrail === guardrail.id && (guard.audience === null || reached.includes(guard.audience)),
    )
    if (guards.length === 0) return { guardrail, audience: null }
    const found = guards.find(
      ({ shownSafe, verdict }) =>
        !shownSafe || (verdict === 'waiting' && guardrail.test.kind === 'threshold'),
    )
    if (found) return { guardrail, audience: found.audience }
  }
  return undefined
}

/** The stage is not shown to be safe, where the plan asks for that. */
export function unproven(plan: Plan, progress: Progress, observations: Observations): Reason | null {
  const found = plan.advanceWhen === 'shown-safe' ? doubter(plan, progress, observations) : undefined
  if (!found) return null
  const place = found.audience === null ? undefined : audiencesOf(plan)[found.audience]
  const words = `${found.guardrail.metric} is not shown to be safe${place ? ` among "${place.name}"` : ''} yet`
  return { code: 'not_shown_safe', subject: found.guardrail.id, words }
}

/** Whether the stage that is left had guardrails which could have found what they look for, and did not. */
export function isProven(plan: Plan, progress: Progress, observations: Observations): boolean {
  return judges(plan, progress).length > 0 && doubter(plan, progress, observations) === undefined
}

function gateObstacle({ name, maxAgeMs }: Gate, observations: Observations, at: number): Reason | null {
  const signal = newestSignal(observations, name)
  if (!signal) return { code: 'gate_missing', subject: name, words: `"${name}" has not passed yet` }
  if (!signal.passed) return signalReason('gate_failed', signal)
  if (maxAgeMs === null || at - signal.at <= maxAgeMs) return null
  const words = `"${name}" passed ${sayDuration(at - signal.at)} ago, and counts for ${sayDuration(maxAgeMs)}`
  return { code: 'gate_missing', subject: name, words }
}

/** The next stage has not been approved, or a gate before it is closed. */
export function closed(
  plan: Plan,
  progress: Progress,
  observations: Observations,
  at: number,
): Reason | null {
  const next = progress.stage + 1
  const stage = plan.stages[next]
  if (!stage) return null
  if (stage.approval && !progress.approved.includes(next)) {
    return { code: 'approval_missing', subject: stage.name, words: `"${stage.name}" waits for an approval` }
  }
  for (const gate of stage.gates) {
    const reason = gateObstacle(gate, observations, at)
    if (reason) return reason
  }
  return null
}

/** It is not an hour at which the plan lets it go on. */
export function outside({ windows }: Plan, at: number): Reason | null {
  if (isWithinWindows(windows, at)) return null
  return { code: 'outside_window', words: 'it goes on only at the hours that its plan names' }
}

/** Its instant has not come. */
export function early({ startAt }: Plan, at: number): Reason | null {
  if (startAt === null || at >= startAt) return null
  return { code: 'waiting_for_start', words: `it begins in ${sayDuration(startAt - at)}` }
}

/** Rollouts that must be done before it are not. */
export function behind({ notDone }: Observations): Reason | null {
  const [first] = notDone
  if (first === undefined) return null
  const words = `${notDone.length} ${notDone.length === 1 ? 'rollout' : 'rollouts'} must be done before it`
  return { code: 'waiting_for_others', subject: first, words }
}
