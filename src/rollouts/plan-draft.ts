// A plan as people write it: everything that a plan has, with spans of time as texts (`90s`, `10m`, `24h`, `7d`) and
// whatever has a default left out. docs/rollout-plans.md has every field.
import type { Condition } from '../engine/flag.ts'
import type { GuardAction, RollbackMode } from './plan.ts'

export type StageDraft = {
  readonly name?: string
  readonly audience?: Condition | null
  readonly percentage: number
  readonly hold: string
  readonly minUnits?: number
  readonly approval?: boolean
  readonly gates?: readonly (string | { readonly name: string; readonly maxAge?: string })[]
}

export type GuardrailDraft = {
  readonly id?: string
  readonly metric: string
  readonly test: 'regression' | 'threshold'
  readonly tolerance?: number
  readonly quantile?: number
  readonly above?: number
  readonly below?: number
  readonly literal?: boolean
  readonly window?: string
  readonly action?: GuardAction
  readonly mode?: RollbackMode
}

export type WindowDraft = {
  readonly days?: readonly number[]
  readonly from: string
  readonly to: string
  readonly timeZone?: string
}

export type PlanDraft = {
  readonly flag: string
  readonly environment: string
  readonly variant: string
  readonly by?: string
  readonly stages: readonly StageDraft[]
  readonly alpha?: number
  readonly guardrails?: readonly GuardrailDraft[]
  readonly rollback?: { readonly steps?: readonly number[]; readonly hold?: string }
  readonly advanceWhen?: 'clock' | 'shown-safe'
  readonly whenTooFew?: 'hold' | 'extend' | 'advance' | 'rollback'
  readonly exposure?: 'use' | 'assignment'
  readonly window?: string
  readonly watch?: readonly { readonly for: string; readonly every: string }[]
  readonly signals?: readonly {
    readonly kind: string
    readonly action?: 'rollback' | 'hold'
    readonly mode?: 'immediate' | 'gradual'
  }[]
  readonly startAt?: string | null
  readonly windows?: readonly WindowDraft[]
  readonly after?: readonly string[]
  readonly slices?: readonly string[]
  readonly takeOver?: boolean
}
