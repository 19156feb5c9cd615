import type { Receipt } from './idempotency.ts'

/** Who changes something, why, when, and in which request. */
export type Author = {
  /** The person. */
  readonly actor: string
  /** What they were recognised by. */
  readonly via: string
  readonly comment: string
  /** Milliseconds since 1970. */
  readonly now: number
  readonly requestId: string
  /** Where the request carried an Idempotency-Key. */
  readonly receipt?: Receipt | undefined
}
