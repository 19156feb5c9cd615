// What people are told while a rollout goes on, beside what is done to it. Pure.
import type { Reason, ReasonCode } from './decision.ts'
import type { Observations } from './observations.ts'
import type { Plan } from './plan.ts'
import type { Progress } from './progress.ts'
import { holdSubject } from './progress-steps.ts'
import { brokenGuards, guardReason, guardSubject } from './retreats.ts'

const HOUR_MS = 3_600_000

/** How often people are told of a guardrail that only notifies, and of what holds a stage up. */
const GUARD_NOTICE_MS = HOUR_MS
const HOLD_NOTICE_MS = 24 * HOUR_MS

/** Holds that somebody may have to do something about; the others end by themselves. */
const TOLD_HOLDS: readonly ReasonCode[] = [
  'unread',
  'sample_ratio',
  'all_silent',
  'signal_hold',
  'too_few_units',
  'approval_missing',
  'gate_missing',
  'gate_failed',
]

/** What people are told, and the progress that remembers it; the same one when there is nothing to tell. */
export type Told = { readonly notices: readonly Reason[]; readonly progress: Progress }

/** Tells people of guardrails that only notify, and of the hold. */
export function tell(
  plan: Plan,
  progress: Progress,
  observations: Observations,
  hold: Reason | null,
  at: number,
): Told {
  const due: { readonly subject: string; readonly reason: Reason }[] = []
  const isDue = (subject: string, everyMs: number) => {
    const last = progress.told[subject]
    return last === undefined || at - last >= everyMs
  }
  for (const broken of brokenGuards(plan, progress, observations, ['notify', 'would-roll-back'])) {
    const subject = guardSubject(broken)
    if (isDue(subject, GUARD_NOTICE_MS)) due.push({ subject, reason: guardReason(plan, broken) })
  }
  if (hold && TOLD_HOLDS.includes(hold.code)) {
    const subject = holdSubject(hold.code)
    if (isDue(subject, HOLD_NOTICE_MS)) due.push({ subject, reason: hold })
  }
  if (due.length === 0) return { notices: [], progress }
  const told = Object.fromEntries(due.map(({ subject }) => [subject, at]))
  return {
    notices: due.map(({ reason }) => reason),
    progress: { ...progress, told: { ...progress.told, ...told } },
  }
}
