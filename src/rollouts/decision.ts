// What is to be done, and why. Made by decide.ts, carried out by the conductor.
import type { Progress } from './progress.ts'

/** Why something is done or not done: stable codes, each with a sentence in words. */
export type Reason = {
  readonly code: ReasonCode
  readonly words: string
  /** The guardrail, signal, gate or stage that it is about. */
  readonly subject?: string
}

export type ReasonCode =
  // Rolling back.
  | 'guard_broken'
  | 'signal_failed'
  | 'treatment_silent'
  | 'too_few_units'
  | 'by_hand'
  | 'step_over'
  // Holding.
  | 'not_published'
  | 'hold_not_over'
  | 'extended'
  | 'sample_ratio'
  | 'all_silent'
  | 'unread'
  | 'not_read_yet'
  | 'approval_missing'
  | 'gate_missing'
  | 'gate_failed'
  | 'signal_hold'
  | 'outside_window'
  | 'not_shown_safe'
  | 'waiting_for_start'
  | 'waiting_for_others'
  | 'paused'
  | 'guard_pause'
  // Advancing.
  | 'hold_over'
  | 'shown_safe'
  | 'start'
  | 'frozen'
  | 'last_stage_over'
  | 'watch_over'
  | 'look_due'
  | 'nothing_to_do'

/** What is done. */
export type Deed =
  /** Nothing: it holds, or waits. */
  | 'hold'
  /** The first stage, or the next one, is granted. */
  | 'advance'
  /** A value that a guardrail compares with is frozen; nothing else changes. */
  | 'freeze'
  /** The publication of what was granted is known. */
  | 'confirm'
  /** By hand: it begins as soon as it may; it waits for a second person first where it must. */
  | 'schedule'
  | 'approve'
  | 'pause'
  | 'resume'
  | 'set_percentage'
  | 'cancel'
  /** A rollback begins, goes a step further, or straight to nothing. */
  | 'rollback'
  | 'complete'
  /** The watch is over: what is granted becomes the flag's own configuration. */
  | 'finish'
  /** A rollout that is watched was looked at. */
  | 'look'

/** What was decided: what is done, why, what the progress is then, and what people are told of. */
export type Decision = {
  readonly deed: Deed
  readonly reason: Reason
  /** The progress as it is after the deed; the same object when nothing changes. */
  readonly progress: Progress
  /** For a stage that is left: whether it could have found, and did not find, what it looked for. */
  readonly proven: boolean | null
  /** What people are told, beside the deed itself: a guard that only notifies, a hold that lasts. */
  readonly notices: readonly Reason[]
}
