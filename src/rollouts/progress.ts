// How far a rollout has come: what `decide` changes, and what is stored beside the plan.
import type { RollbackMode } from './plan.ts'

/**
 * `scheduled` waits for its instant or for other rollouts; `completed` has served its last stage for as long as it
 * holds; `watching` is looked at more and more rarely; `done`, `rolled_back` and `cancelled` are ends.
 */
export type RolloutState =
  | 'draft'
  | 'awaiting_approval'
  | 'scheduled'
  | 'running'
  | 'paused'
  | 'rolling_back'
  | 'rolled_back'
  | 'watching'
  | 'done'
  | 'cancelled'

/** States in which a rollout has grants at the edge, or may get them without anybody's doing. */
export const LIVE_STATES: readonly RolloutState[] = [
  'scheduled',
  'running',
  'paused',
  'rolling_back',
  'watching',
]

/** A rollback that goes on. */
export type Descent = {
  readonly mode: RollbackMode
  /** Audiences that are taken back, by their places; null: all. */
  readonly audiences: readonly number[] | null
  /** The most that is served to anybody: a step of the plan's. */
  readonly ceiling: number
  /** Which guardrail, signal or person began it. */
  readonly cause: string
}

/** How far a rollout has come. Instants are milliseconds since 1970. */
export type Progress = {
  readonly state: RolloutState
  /** The place of the present stage in the plan; -1 before the first. */
  readonly stage: number
  /** The number in the tags: rises at every change of what is granted or frozen. */
  readonly epoch: number
  /** When the first stage was granted; null before. */
  readonly startedAt: number | null
  /** When the present stage was granted: committed. */
  readonly grantedAt: number | null
  /** The version of the environment that granted it; null before, and until whoever commits a grant writes it in. */
  readonly grantedVersion: number | null
  /** Since when the edge has it; holds count from here. null: it has not. */
  readonly publishedAt: number | null
  /** How long it was paused in this stage, and since when it is; holds do not count pauses. */
  readonly pausedMs: number
  readonly pausedAt: number | null
  /** Whether the hold of this stage was extended already, because there were too few units. */
  readonly extended: boolean
  /** Stages that somebody has approved, by their places. */
  readonly approved: readonly number[]
  /** Percentages that somebody has set by hand, by the audience's place; the plan's again once a later stage has more. */
  readonly overrides: { readonly [audience: string]: number }
  /** Audiences that were taken back, by their places. */
  readonly blocked: readonly number[]
  readonly descent: Descent | null
  /** Values that latency guards compare with, by guardrail: the control's quantile before this stage. */
  readonly frozen: { readonly [guardrail: string]: number }
  /** When it was rolled back, completed, or ended otherwise. */
  readonly endedAt: number | null
  /** Of a rollout that is watched: when it was last looked at. */
  readonly lookedAt: number | null
  /** What was told last, by subject, so that nothing is told every ten seconds. */
  readonly told: { readonly [subject: string]: number }
}

/** The progress of a rollout that nobody has started. */
export function newProgress(): Progress {
  return {
    state: 'draft',
    stage: -1,
    epoch: 0,
    startedAt: null,
    grantedAt: null,
    grantedVersion: null,
    publishedAt: null,
    pausedMs: 0,
    pausedAt: null,
    extended: false,
    approved: [],
    overrides: {},
    blocked: [],
    descent: null,
    frozen: {},
    endedAt: null,
    lookedAt: null,
    told: {},
  }
}
