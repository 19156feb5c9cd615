import type { Refusal, RefusalStatus } from '../http/problem.ts'
import type { CommitError } from '../ledger/commit.ts'
import type { SaveError } from './save-error.ts'

const PLAIN: { readonly [reason in CommitError['reason']]: readonly [RefusalStatus, string] } = {
  stale: [412, 'it has changed since, or exists already: read it again'],
  exists: [409, 'it exists already'],
  unknown_reference: [422, 'it names something that does not exist in this environment'],
  unknown_variant: [422, 'a prerequisite or a rollout would name a variant that its flag does not have'],
  reference_cycle: [422, 'its segments or prerequisites lead back to it'],
  nested_too_deep: [422, 'segments and prerequisites would lead on through more than 10 others'],
  still_referenced: [409, 'something else still names it'],
  environment_too_large: [413, 'the environment would be larger than 20 MiB'],
  not_pending: [409, 'it waits no longer'],
  not_empty: [409, 'the deployment is not empty'],
  repeated: [409, 'the same request is being answered already'],
}

/** How a change that was not taken is answered. */
export function toRefusal(error: SaveError): Refusal {
  const { reason: code } = error
  switch (error.reason) {
    case 'not_found':
      return { status: 404, code, message: `there is no ${error.what}` }
    case 'invalid':
      return { status: 422, code, message: 'it is not valid', details: error.problems }
    case 'too_large':
      return { status: 413, code, message: `it is larger than ${error.limit} bytes` }
    case 'too_many':
      return { status: 422, code, message: `there may be at most ${error.limit} ${error.what}` }
    case 'metric_in_use': {
      const named = error.users.map(({ id, kind, environment }) => `the ${kind} ${id} in ${environment}`)
      const message = `what is watched stays as it is: ${named.join(', ')}`
      return { status: 409, code, message, details: error.users }
    }
    case 'rollout_running': {
      const named = error.rollouts.map(({ id, flag, environment }) => `${id} of "${flag}" in ${environment}`)
      const message = `a rollout goes on: ${named.join(', ')}`
      return { status: 409, code, message, details: error.rollouts }
    }
    case 'archived':
      return { status: 409, code, message: 'the flag is archived' }
    case 'not_only_off':
      return { status: 422, code, message: 'an emergency may switch the flag off and change nothing else' }
    case 'moves_units': {
      const { share } = error.preview.moved
      const units = share > 0 ? `${(share * 100).toPrecision(3)} % of the units` : 'some units'
      const message = `${units} would get another variant: say allowMoves if they may`
      return { status: 409, code, message, details: error.preview }
    }
    default: {
      const [status, message] = PLAIN[error.reason]
      return { status, code, message }
    }
  }
}
