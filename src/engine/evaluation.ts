import type { FlagMetadata } from './flag.ts'
import type { Json } from './json.ts'

/** Why a flag has the variant that it has; OpenFeature's reasons. */
export type Reason = 'STATIC' | 'TARGETING_MATCH' | 'SPLIT' | 'DEFAULT' | 'DISABLED'

/** OpenFeature's error codes, as far as an evaluation can end in them. */
export type EvaluationErrorCode = 'FLAG_NOT_FOUND' | 'TARGETING_KEY_MISSING' | 'PARSE_ERROR' | 'GENERAL'

/** Where a unit stands in what measures a flag. */
export type Assignment = {
  /** Rollout (or experiment), stage, stratum and arm. */
  readonly tag: string
  /** The attribute that is bucketed, and the unit that it names. */
  readonly by: string
  readonly unit: string
}

/** A flag that was answered. Without a value (and variant) the caller's own default applies. */
export type Resolution = {
  readonly flagKey: string
  readonly reason: Reason
  readonly variant: string | undefined
  readonly value: Json | undefined
  readonly metadata: FlagMetadata
  /** Of a unit that a measured rollout decided; a resolution without one is shared by all who get it. */
  readonly assignment: Assignment | undefined
}

/** A flag that could not be answered; the others can. */
export type Failure = {
  readonly flagKey: string
  readonly reason: 'ERROR'
  readonly errorCode: EvaluationErrorCode
  readonly errorMessage: string
  readonly metadata: FlagMetadata
}

export type Evaluation = Resolution | Failure

/** Makes a failure. */
export function fail(flagKey: string, errorCode: EvaluationErrorCode, errorMessage: string): Failure {
  return { flagKey, reason: 'ERROR', errorCode, errorMessage, metadata: {} }
}
