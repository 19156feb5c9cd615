// What happens next to a rollout, and why. Pure: it changes nothing, and the clock is an argument. Precedence: roll
// back, then hold, then advance.
import type { Decision, Reason } from './decision.ts'
import { sayDuration } from './durations.ts'
import { tell } from './notices.ts'
import type { Observations } from './observations.ts'
import {
  behind,
  closed,
  early,
  held,
  isProven,
  outside,
  pausing,
  stopped,
  tooFew,
  uncounted,
  unjudged,
  unproven,
  unpublished,
  unread,
} from './obstacles.ts'
import type { Plan } from './plan.ts'
import type { Progress } from './progress.ts'
import {
  advanced,
  confirmed,
  freezable,
  frozen,
  instantAfter,
  type Retreat,
  takenBack,
} from './progress-steps.ts'
import { brokenGuards, calledRetreat, guardReason, guardSubject } from './retreats.ts'

const NOTHING: Reason = { code: 'nothing_to_do', words: 'there is nothing to do' }

/** Nothing is done, unless a value can be frozen that a guardrail has been waiting for; people may be told. */
function hold(
  plan: Plan,
  progress: Progress,
  observations: Observations,
  reason: Reason,
  at: number,
): Decision {
  const { notices, progress: told } = tell(plan, progress, observations, reason, at)
  const isLive = progress.stage >= 0 && (progress.state === 'running' || progress.state === 'paused')
  const values = isLive ? freezable(plan, progress, observations, 'missing') : {}
  const names = Object.keys(values)
  if (names.length === 0) return { deed: 'hold', reason, progress: told, proven: null, notices }
  const words = `what ${names.join(', ')} is compared with is known now`
  const why: Reason = { code: 'frozen', words }
  return { deed: 'freeze', reason: why, progress: frozen(told, values), proven: null, notices }
}

/** A rollback, or its next step. */
export function retreat(
  plan: Plan,
  progress: Progress,
  call: Retreat & { readonly reason: Reason },
  at: number,
): Decision {
  const { reason } = call
  return {
    deed: 'rollback',
    reason,
    progress: takenBack(plan, progress, call, at),
    proven: null,
    notices: [],
  }
}

/** The stage that comes next. Those that last no time and ask nothing are passed through, where nothing is watched. */
function destination(plan: Plan, progress: Progress): number {
  const { stages, guardrails } = plan
  let place = progress.stage + 1
  for (; guardrails.length === 0; place++) {
    const stage = stages[place]
    const next = stages[place + 1]
    if (!stage || stage.holdMs > 0 || stage.minUnits > 0) break
    if (!next || next.approval || next.gates.length > 0) break
  }
  return place
}

/** The next stage is granted; behind the last one, the rollout is complete. */
export function goOn(
  plan: Plan,
  progress: Progress,
  observations: Observations,
  reason: Reason,
  at: number,
): Decision {
  const proven = progress.stage < 0 ? null : isProven(plan, progress, observations)
  if (progress.stage < plan.stages.length - 1) {
    const stage = destination(plan, progress)
    const name = plan.stages[stage]?.name ?? ''
    const why = { ...reason, words: `${reason.words}: "${name}" begins` }
    return {
      deed: 'advance',
      reason: why,
      progress: advanced(plan, progress, stage, observations, at),
      proven,
      notices: [],
    }
  }
  const isWatched = plan.watch.length > 0
  const ended: Progress = {
    ...progress,
    state: isWatched ? 'watching' : 'done',
    pausedAt: null,
    endedAt: at,
    lookedAt: null,
  }
  const deed = isWatched ? 'complete' : 'finish'
  return {
    deed,
    reason: { ...reason, code: reason.code === 'by_hand' ? 'by_hand' : 'last_stage_over' },
    progress: ended,
    proven,
    notices: [],
  }
}

/** What keeps the first stage from being granted. */
function beginning(plan: Plan, progress: Progress, observations: Observations, at: number): Reason | null {
  return (
    early(plan, at) ??
    behind(observations) ??
    stopped(plan, progress, observations) ??
    closed(plan, progress, observations, at) ??
    outside(plan, at)
  )
}

/** A rollout that waits to begin. */
export function begin(plan: Plan, progress: Progress, observations: Observations, at: number): Decision {
  const obstacle = beginning(plan, progress, observations, at)
  if (obstacle) return hold(plan, progress, observations, obstacle, at)
  return goOn(plan, progress, observations, { code: 'start', words: 'it starts' }, at)
}

function pause(plan: Plan, progress: Progress, observations: Observations, at: number): Decision | undefined {
  const broken = brokenGuards(plan, progress, observations, ['pause']).map((one) => ({
    subject: `paused:${guardSubject(one)}`,
    reason: { ...guardReason(plan, one), code: 'guard_pause' } as const,
  }))
  // Once: whoever resumes has seen it.
  const first = broken.find(({ subject }) => progress.told[subject] === undefined)
  if (!first) return undefined
  const told = { ...progress.told, ...Object.fromEntries(broken.map(({ subject }) => [subject, at])) }
  return {
    deed: 'pause',
    reason: first.reason,
    progress: { ...progress, state: 'paused', pausedAt: at, told },
    proven: null,
    notices: [],
  }
}

function run(plan: Plan, progress: Progress, observations: Observations, at: number): Decision {
  const call = calledRetreat(plan, progress, observations)
  if (call) return retreat(plan, progress, call, at)
  const rest = (reason: Reason, resting = progress) => hold(plan, resting, observations, reason, at)
  if (progress.state === 'paused') return rest({ code: 'paused', words: 'it is paused' })
  const paused = pause(plan, progress, observations, at)
  if (paused) return paused
  const obstacle =
    unread(observations, at) ??
    uncounted(observations) ??
    stopped(plan, progress, observations) ??
    pausing(plan, progress, observations) ??
    unpublished(progress) ??
    held(plan, progress, observations, at) ??
    unjudged(plan, progress, observations, at)
  if (obstacle) return rest(obstacle)
  const few = tooFew(plan, progress, observations)
  if (few && plan.whenTooFew === 'rollback') {
    return retreat(plan, progress, { mode: 'immediate', audiences: null, cause: few.code, reason: few }, at)
  }
  if (few && plan.whenTooFew === 'extend' && !progress.extended) {
    return rest({ ...few, code: 'extended' }, { ...progress, extended: true })
  }
  if (few && plan.whenTooFew !== 'advance') return rest(few)
  const isLast = progress.stage >= plan.stages.length - 1
  const doubt =
    unproven(plan, progress, observations) ??
    closed(plan, progress, observations, at) ??
    (isLast ? null : outside(plan, at))
  if (doubt) return rest(doubt)
  const reason: Reason = isProven(plan, progress, observations)
    ? { code: 'shown_safe', words: 'the hold is over, and what is watched is shown to be no worse' }
    : { code: 'hold_over', words: 'the hold is over' }
  return goOn(plan, progress, observations, reason, at)
}

function descend(plan: Plan, progress: Progress, observations: Observations, at: number): Decision {
  const { descent, publishedAt, grantedAt } = progress
  const call = calledRetreat(plan, progress, observations)
  if (call?.mode === 'immediate') return retreat(plan, progress, call, at)
  // A rollback does not wait for a publication that is not told of.
  const left = (publishedAt ?? grantedAt ?? at) + plan.rollback.holdMs - at
  if (left > 0) {
    const words = `the next step of the rollback follows in ${sayDuration(left)}`
    return hold(plan, progress, observations, { code: 'hold_not_over', words }, at)
  }
  const reason: Reason = { code: 'step_over', words: 'the rollback goes a step further' }
  const cause = descent?.cause ?? reason.code
  return retreat(plan, progress, { mode: 'gradual', audiences: null, cause, reason }, at)
}

/** How often a rollout is looked at, so long after it was completed; undefined once that is over. */
function spanAt({ watch }: Plan, elapsed: number): Plan['watch'][number] | undefined {
  let end = 0
  return watch.find(({ forMs }) => {
    end += forMs
    return elapsed < end
  })
}

function watch(plan: Plan, progress: Progress, observations: Observations, at: number): Decision {
  const call = calledRetreat(plan, progress, observations)
  if (call) return retreat(plan, progress, call, at)
  const { endedAt, lookedAt } = progress
  const since = endedAt ?? at
  const span = spanAt(plan, at - since)
  if (!span) return finish(progress, { code: 'watch_over', words: 'the watch is over' }, at)
  const decision = hold(plan, progress, observations, NOTHING, at)
  if (at - (lookedAt ?? since) < span.everyMs) return decision
  const reason: Reason = { code: 'look_due', words: `it is looked at every ${sayDuration(span.everyMs)}` }
  return { ...decision, deed: 'look', reason, progress: { ...decision.progress, lookedAt: at } }
}

/** What is granted becomes the flag's own. */
export function finish(progress: Progress, reason: Reason, at: number): Decision {
  return {
    deed: 'finish',
    reason,
    progress: { ...progress, state: 'done', endedAt: at },
    proven: null,
    notices: [],
  }
}

function decideAt(plan: Plan, progress: Progress, observations: Observations, at: number): Decision {
  switch (progress.state) {
    case 'scheduled':
      return begin(plan, progress, observations, at)
    case 'running':
    case 'paused':
      return progress.stage < 0
        ? hold(plan, progress, observations, { code: 'paused', words: 'it is paused' }, at)
        : run(plan, progress, observations, at)
    case 'rolling_back':
      return descend(plan, progress, observations, at)
    case 'watching':
      return watch(plan, progress, observations, at)
    default:
      return { deed: 'hold', reason: NOTHING, progress, proven: null, notices: [] }
  }
}

/**
 * Decides what happens next to a rollout. Total, and safe to ask at any time: who asks twice before the first answer was
 * carried out gets the same answer.
 * @param now milliseconds since 1970; one that is earlier than what has happened already makes nothing due
 */
export function decide(plan: Plan, progress: Progress, observations: Observations, now: number): Decision {
  const at = instantAfter(progress, now)
  const known = confirmed(progress, observations)
  const decision = decideAt(plan, known, observations, at)
  return decision.deed === 'hold' && known !== progress ? { ...decision, deed: 'confirm' } : decision
}
