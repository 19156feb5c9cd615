// What takes a rollout back, and what pauses it. Pure.
import type { Reason } from './decision.ts'
import { audiencesOf } from './grants.ts'
import type { GuardReading, Observations, Signal } from './observations.ts'
import type { GuardAction, Guardrail, Plan } from './plan.ts'
import type { Progress } from './progress.ts'
import type { Retreat } from './progress-steps.ts'

/** A guardrail that is broken, for one audience or for all. */
export type Broken = { readonly guardrail: Guardrail; readonly reading: GuardReading }

/** A retreat that is called for. */
export type Call = Retreat & { readonly reason: Reason }

/** The guardrails of some actions that are broken; those of audiences that were taken back already are left out. */
export function brokenGuards(
  plan: Plan,
  { blocked }: Progress,
  { reading }: Observations,
  actions: readonly GuardAction[],
): readonly Broken[] {
  return (reading?.guards ?? []).flatMap((guard): Broken[] => {
    const guardrail = plan.guardrails.find(({ id }) => id === guard.guardrail)
    if (guard.verdict !== 'broken' || !guardrail || !actions.includes(guardrail.action)) return []
    if (guard.audience !== null && blocked.includes(guard.audience)) return []
    return [{ guardrail, reading: guard }]
  })
}

/** Under which name it is kept when a guardrail last had something done or said. */
export function guardSubject({ guardrail, reading }: Broken): string {
  return reading.audience === null ? `guard:${guardrail.id}` : `guard:${guardrail.id}:${reading.audience}`
}

/** Why a guardrail has something done. */
export function guardReason(plan: Plan, { guardrail, reading }: Broken): Reason {
  const { id, metric } = guardrail
  const place = reading.audience === null ? undefined : audiencesOf(plan)[reading.audience]
  const where = place ? ` among "${place.name}"` : ''
  return { code: 'guard_broken', subject: id, words: `${metric}${where}: ${reading.words}` }
}

/** The newest signal of a kind; undefined when there is none. */
export function newestSignal({ signals }: Observations, kind: string): Signal | undefined {
  return signals.reduce<Signal | undefined>(
    (newest, signal) => (signal.kind === kind && (!newest || signal.at > newest.at) ? signal : newest),
    undefined,
  )
}

function saySignal({ author, note }: Signal): string {
  return note === '' ? `failed, says ${author}` : `failed, says ${author}: ${note}`
}

/** Why a signal of the plan's that failed has something done. */
export function signalReason(code: 'signal_failed' | 'signal_hold' | 'gate_failed', signal: Signal): Reason {
  return { code, subject: signal.kind, words: `"${signal.kind}" ${saySignal(signal)}` }
}

function guardCalls(plan: Plan, progress: Progress, observations: Observations): Call[] {
  return brokenGuards(plan, progress, observations, ['rollback']).map((broken) => {
    const { guardrail, reading } = broken
    const isPart = guardrail.mode === 'partial' && reading.audience !== null
    return {
      mode: guardrail.mode === 'partial' && !isPart ? 'immediate' : guardrail.mode,
      audiences: isPart && reading.audience !== null ? [reading.audience] : null,
      cause: guardrail.id,
      reason: guardReason(plan, broken),
    }
  })
}

function signalCalls(plan: Plan, observations: Observations): Call[] {
  return plan.signals.flatMap(({ kind, action, mode }): Call[] => {
    const signal = newestSignal(observations, kind)
    if (action !== 'rollback' || !signal || signal.passed) return []
    return [{ mode, audiences: null, cause: kind, reason: signalReason('signal_failed', signal) }]
  })
}

function silenceCalls({ reading }: Observations): Call[] {
  if (reading?.life.verdict !== 'treatment_silent') return []
  const reason: Reason = { code: 'treatment_silent', words: reading.life.words }
  return [{ mode: 'immediate', audiences: null, cause: reason.code, reason }]
}

const MODES = ['immediate', 'gradual', 'partial'] as const

/** The strictest retreat that something calls for; partial ones together. undefined: nothing does. */
export function calledRetreat(plan: Plan, progress: Progress, observations: Observations): Call | undefined {
  const calls = [
    ...guardCalls(plan, progress, observations),
    ...silenceCalls(observations),
    ...signalCalls(plan, observations),
  ].sort((a, b) => MODES.indexOf(a.mode) - MODES.indexOf(b.mode))
  const [first] = calls
  if (first?.mode !== 'partial') return first
  return { ...first, audiences: calls.flatMap(({ audiences }) => audiences ?? []) }
}
