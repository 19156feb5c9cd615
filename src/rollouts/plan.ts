// What is to happen to a flag, as data: stages, what watches over them, and what follows when the watch goes off.
import type { Condition } from '../engine/flag.ts'

/** What a stage waits for from outside: a signal of that kind that passed, no older than `maxAgeMs`. */
export type Gate = { readonly name: string; readonly maxAgeMs: number | null }

/** A step of a rollout. Stages before it stay granted. */
export type Stage = {
  readonly name: string
  /** null: everyone. */
  readonly audience: Condition | null
  /** 0 to 100, in steps of 0.001. */
  readonly percentage: number
  /** How long it lasts at least, from its publication, in milliseconds. */
  readonly holdMs: number
  /** Treated units that it needs before the next one; 0: none. */
  readonly minUnits: number
  /** Whether somebody must approve it before it begins. */
  readonly approval: boolean
  /** What must have passed before it begins. */
  readonly gates: readonly Gate[]
}

/** What is done when a guardrail is broken. */
export type GuardAction = 'rollback' | 'pause' | 'notify' | 'would-roll-back'

/** How a rollout is taken back: at once, step by step, or only for the audience that went bad. */
export type RollbackMode = 'immediate' | 'gradual' | 'partial'

/** How a guardrail compares. */
export type GuardTest =
  /**
   * Treatment against control: by units hit (conversion, error, count), by the share of units above the control's frozen
   * quantile (latency), or by means over units (mean, ratio, resource). Worse by more than `tolerance` breaks it.
   */
  | { readonly kind: 'regression'; readonly tolerance: number; readonly quantile: number | null }
  /**
   * Treatment against a limit: the share of units hit (conversion, error, count), the quantile of observations (latency,
   * resource) or the mean over units that had anything to tell (mean, ratio). `literal`: as a runbook has it, over a
   * window, without statistics.
   */
  | {
      readonly kind: 'threshold'
      readonly side: 'above' | 'below'
      readonly limit: number
      readonly quantile: number | null
      readonly literal: { readonly windowMs: number } | null
    }

/** What watches over a rollout. A guardrail of mode `partial` is judged for each audience by itself. */
export type Guardrail = {
  /** Its name within the plan: `checkout-error-1`. */
  readonly id: string
  readonly metric: string
  readonly test: GuardTest
  readonly action: GuardAction
  readonly mode: RollbackMode
}

/** What a signal from outside does when it failed. */
export type SignalRule = {
  readonly kind: string
  readonly action: 'rollback' | 'hold'
  readonly mode: Exclude<RollbackMode, 'partial'>
}

/** Hours in which a rollout may advance. */
export type AdvanceWindow = {
  /** 1 is Monday, 7 Sunday. */
  readonly days: readonly number[]
  /** Minutes of the day, in `timeZone`; `to` may be smaller, for windows over midnight. */
  readonly from: number
  readonly to: number
  /** An IANA name. */
  readonly timeZone: string
}

/** A plan that has been checked: everything that it names exists, percentages rise within each audience. */
export type Plan = {
  readonly flag: string
  readonly environment: string
  readonly variant: string
  /** The attribute that is bucketed. */
  readonly by: string
  /** 1 to 60, over at most 30 audiences. */
  readonly stages: readonly Stage[]
  /** The probability that any of its guardrails takes it back falsely, in (0, 0.5). */
  readonly alpha: number
  readonly guardrails: readonly Guardrail[]
  /** Of a gradual rollback: percentages downwards, ending in 0, and how long each lasts. */
  readonly rollback: { readonly steps: readonly number[]; readonly holdMs: number }
  readonly advanceWhen: 'clock' | 'shown-safe'
  readonly whenTooFew: 'hold' | 'extend' | 'advance' | 'rollback'
  readonly exposure: 'use' | 'assignment'
  /** How long a unit stays in the risk set without an exposure, in milliseconds. */
  readonly windowMs: number
  /** After the last stage: for how long it is looked at how often. Empty: not at all. */
  readonly watch: readonly { readonly forMs: number; readonly everyMs: number }[]
  readonly signals: readonly SignalRule[]
  /** When it begins, in milliseconds since 1970; null: when somebody starts it. */
  readonly startAt: number | null
  /** Empty: at any time. */
  readonly windows: readonly AdvanceWindow[]
  /** Rollouts that must be done before it begins, by id. */
  readonly after: readonly string[]
  /** Attributes whose values are kept of each unit, at most 8. */
  readonly slices: readonly string[]
  /** Whether a flag that gives the variant to some units already goes on from there. */
  readonly takeOver: boolean
}

/** An audience of a plan, in order of first appearance: its place is its bit in a stratum. */
export type Audience = { readonly name: string; readonly condition: Condition | null }
