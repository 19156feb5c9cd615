// OFREP 0.3 on the wire. What a resolution looks like is worked out once and kept beside it, so that a bulk answer
// is little more than joining texts.
import { murmur3 } from '../engine/bucket.ts'
import type { Evaluation, EvaluationErrorCode, Failure, Resolution } from '../engine/evaluation.ts'
import type { View } from './snapshot-cache.ts'

/** An evaluation's JSON up to where its metadata may still grow, and what it adds to an ETag. */
type Fragment = {
  readonly head: string
  readonly low: number
  readonly high: number
  /** The whole of it, with the tail that it was last written with. */
  whole: string
  tail: string
}

const fragments = new WeakMap<Resolution, Fragment>()

const HASH_LOW = 0x5f3759df
const HASH_HIGH = 0x2545f491

function hashed(head: string): Fragment {
  return { head, low: murmur3(head, HASH_LOW), high: murmur3(head, HASH_HIGH), whole: '', tail: '' }
}

function openMetadata(metadata: Resolution['metadata'], tag: string | undefined): string {
  const entries = JSON.stringify(tag === undefined ? metadata : { ...metadata, tag })
  return entries === '{}' ? '{' : `${entries.slice(0, -1)},`
}

function resolutionHead({ flagKey, value, reason, variant, metadata, assignment }: Resolution): string {
  const answer = JSON.stringify({ key: flagKey, value, reason, variant })
  return `${answer.slice(0, -1)},"metadata":${openMetadata(metadata, assignment?.tag)}`
}

function failureHead({ flagKey, errorCode, errorMessage, metadata }: Failure): string {
  const answer = JSON.stringify({ key: flagKey, errorCode, errorDetails: errorMessage })
  return `${answer.slice(0, -1)},"metadata":${openMetadata(metadata, undefined)}`
}

function fragmentOf(evaluation: Evaluation): Fragment {
  if (evaluation.reason === 'ERROR') return hashed(failureHead(evaluation))
  // A measured resolution is made anew for each unit; keeping its text would keep nothing.
  if (evaluation.assignment !== undefined) return hashed(resolutionHead(evaluation))
  const known = fragments.get(evaluation)
  if (known) return known
  const fragment = hashed(resolutionHead(evaluation))
  fragments.set(evaluation, fragment)
  return fragment
}

/** The end of every flag's metadata: which set of flags, at which version. */
function metadataTail({ environment, stale }: View): string {
  const { flags } = environment
  const known = { flagSetId: flags.environment, version: String(flags.version), ...(stale ? { stale } : {}) }
  return `${JSON.stringify(known).slice(1)}}`
}

/** The body of a single evaluation's answer. */
export function writeSingle(evaluation: Evaluation, view: View): string {
  const head = evaluation.reason === 'ERROR' ? failureHead(evaluation) : fragmentOf(evaluation).head
  return head + metadataTail(view)
}

function wholeOf(fragment: Fragment, tail: string): string {
  if (fragment.tail !== tail) {
    // Joined and not added up: an addition would be kept in its parts and put together anew for every answer.
    fragment.whole = [fragment.head, tail].join('')
    fragment.tail = tail
  }
  return fragment.whole
}

/** A bulk answer. */
export type Bulk = {
  /** Stands for the result, whatever the version. */
  readonly fingerprint: string
  /** Writes the body; a client that has the result already does not need it. */
  readonly write: (streamUri: string) => string
}

/** Makes ready what a bulk evaluation answers. */
export function toBulk(evaluations: readonly Evaluation[], view: View): Bulk {
  const parts = evaluations.map(fragmentOf)
  let low = HASH_LOW
  let high = HASH_HIGH
  for (const part of parts) {
    low = (Math.imul(low, 31) + part.low) | 0
    high = (Math.imul(high, 37) ^ part.high) | 0
  }
  return {
    fingerprint: (low >>> 0).toString(36) + (high >>> 0).toString(36).padStart(7, '0'),
    write(streamUri) {
      const tail = metadataTail(view)
      const flags = parts.map((part) => wholeOf(part, tail)).join(',')
      const streams = `"eventStreams":[{"type":"sse","endpoint":{"requestUri":${JSON.stringify(streamUri)}}}]`
      return `{"flags":[${flags}],"metadata":{${tail.slice(0, -1)},${streams}}`
    },
  }
}

/** The body that goes with an error status; clients want a key and a code on every one. */
export function writeError(
  errorCode: EvaluationErrorCode | 'INVALID_CONTEXT',
  errorDetails: string,
  key: string | undefined,
): string {
  return JSON.stringify({ key, errorCode, errorDetails })
}

/** The HTTP status of a single evaluation's answer. */
export function statusOf(evaluation: Evaluation): 200 | 400 | 404 {
  if (evaluation.reason !== 'ERROR') return 200
  return evaluation.errorCode === 'FLAG_NOT_FOUND' ? 404 : 400
}

/** Compares an If-None-Match header with an ETag, weakly: intermediaries turn strong ones into weak ones. */
export function matchesEtag(header: string | null, etag: string): boolean {
  if (header === null) return false
  return header.split(',').some((candidate) => candidate.trim().replace(/^W\//, '') === etag)
}
