import type { Refusal } from '../http/problem.ts'
import type { ChangeError } from './change.ts'
import type { SaveError } from './flags.ts'

function statusOf(reason: SaveError['reason']): Refusal['status'] {
  switch (reason) {
    case 'stale':
      return 412
    case 'exists':
      return 409
    case 'not_found':
      return 404
    case 'invalid':
    case 'unknown_reference':
    case 'reference_cycle':
      return 422
    case 'still_referenced':
      return 409
    case 'too_large':
    case 'environment_too_large':
      return 413
  }
}

const MESSAGES: { readonly [reason in ChangeError['reason']]: string } = {
  stale: 'it has changed since, or exists already: read it again',
  exists: 'it exists already',
  unknown_reference: 'it names a segment or a prerequisite that does not exist in this environment',
  reference_cycle: 'its segments or prerequisites lead back to it',
  still_referenced: 'something else still names it',
  environment_too_large: 'the environment would be larger than 20 MiB',
}

/** How a draft that was not taken is answered. */
export function toRefusal(error: SaveError): Refusal {
  const status = statusOf(error.reason)
  switch (error.reason) {
    case 'not_found':
      return { status, code: error.reason, message: `there is no ${error.what}` }
    case 'invalid':
      return { status, code: error.reason, message: 'it is not valid', details: error.problems }
    case 'too_large':
      return { status, code: error.reason, message: `it is larger than ${error.limit} bytes` }
    default:
      return { status, code: error.reason, message: MESSAGES[error.reason] }
  }
}
