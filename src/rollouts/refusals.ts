// How what was not done about a rollout is answered.
import { toRefusal } from '../catalog/refusals.ts'
import type { SaveError } from '../catalog/save-error.ts'
import type { Refusal } from '../http/problem.ts'
import type { CarryError } from './conductor.ts'
import type { DeedError } from './deeds.ts'
import type { DraftError } from './drafts.ts'
import type { FoldError } from './fold-grants.ts'
import type { TakeOverError } from './take-over.ts'

/** Why a rollout does not begin. */
export type StartError =
  | { readonly reason: 'flag_off' }
  /** No event of these metrics has ever arrived, and silence is not health. */
  | { readonly reason: 'metric_silent'; readonly metrics: readonly string[] }
  /** The flag already serves the variant to everyone. */
  | { readonly reason: 'serves_everyone' }
  | { readonly reason: FoldError }
  | { readonly reason: TakeOverError }
  /** The split is taken over with the first stage, which would have to wait. */
  | { readonly reason: 'take_over_waits'; readonly why: string }
  /** The first stage would take the variant from somebody who has it. */
  | { readonly reason: 'first_stage_below_share'; readonly percentage: number }

const START_WORDS: {
  readonly [reason in FoldError | TakeOverError | 'flag_off' | 'serves_everyone']: string
} = {
  flag_off: 'the flag is off in this environment: switch it on first',
  serves_everyone: 'the flag serves the variant to everyone already',
  fallthrough_splits:
    'an earlier rollout still grants a part, and the fallthrough splits the rest: decide what everyone gets first',
  nothing_to_take_over: 'the fallthrough gives the variant to no share of its own: leave takeOver out',
  foreign_bucketing: "the split is another system's, whose buckets a rollout cannot go on from",
  other_unit: 'the split is by another attribute than the rollout',
  middle_range: 'the range of the variant lies between others: a rollout grows from the first or the last',
}

/** Answers why a rollout does not begin. */
export function startRefusal(error: StartError): Refusal {
  const { reason: code } = error
  switch (error.reason) {
    case 'metric_silent': {
      const named = error.metrics.join(', ')
      const message = `no event has ever arrived of ${named}: connect it, or start with force`
      return { status: 409, code, message, details: error.metrics }
    }
    case 'take_over_waits':
      return {
        status: 422,
        code,
        message: `a split is taken over at once, and this would wait: ${error.why}`,
      }
    case 'first_stage_below_share': {
      const message = `the first stage must give everyone at least the ${error.percentage} % that have it`
      return { status: 422, code, message, details: { percentage: error.percentage } }
    }
    default:
      return { status: 409, code, message: START_WORDS[error.reason] }
  }
}

/** Answers why a deed was not done. */
export function deedRefusal(error: DeedError): Refusal {
  const { reason: code } = error
  switch (error.reason) {
    case 'wrong_state': {
      const message = `it is ${error.state}, and would have to be ${error.allowed.join(' or ')}`
      return { status: 409, code, message, details: { state: error.state, allowed: error.allowed } }
    }
    case 'obstacle':
      return { status: 409, code, message: error.obstacle.words, details: error.obstacle }
    case 'unknown_stage':
      return { status: 422, code, message: 'there is no such stage ahead', details: { stage: error.stage } }
    case 'unknown_audience':
      return { status: 422, code, message: 'there is no such audience to take back' }
    case 'percentage_out_of_range': {
      const message = `it must be from ${error.from} to ${error.to}, in steps of 0.001`
      return { status: 422, code, message, details: { from: error.from, to: error.to } }
    }
    case 'stages_left':
      return { status: 409, code, message: `${error.left} stages are left: advance through them` }
    case 'no_stage_left':
      return { status: 409, code, message: 'it has reached its last stage' }
  }
}

/** Answers why a step was not carried out. */
export function carryRefusal(error: CarryError): Refusal {
  if (error.reason === 'put_off') return toRefusal({ reason: 'stale' })
  // Nothing else of a step is made anew.
  if (error.reason === 'exists') return RUNNING
  return toRefusal(error)
}

const RUNNING: Refusal = {
  status: 409,
  code: 'rollout_running',
  message: 'another rollout of this flag goes on in this environment',
}

/** Answers why nothing became of a draft. */
export function draftRefusal(error: DraftError): Refusal {
  if (error.reason !== 'not_a_draft') return toRefusal(error satisfies SaveError)
  const { reason: code, state } = error
  return { status: 409, code, message: `it is ${state}: only a draft is changed`, details: { state } }
}
