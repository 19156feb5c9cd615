import type { Context } from 'hono'

/** The body of every error of the management API. */
export type ProblemBody = {
  readonly error: {
    /** Stable: programs may depend on it. */
    readonly code: string
    readonly message: string
    readonly requestId: string
    readonly details?: unknown
  }
}

/** The statuses that a refusal can have. */
export type RefusalStatus = 400 | 401 | 403 | 404 | 409 | 412 | 413 | 422 | 428 | 429 | 500

/** A refusal, before it is an answer. */
export type Refusal = {
  readonly status: RefusalStatus
  readonly code: string
  readonly message: string
  readonly details?: unknown
}

/** Answers a refusal in the one shape that all management errors have. */
export function refuse(c: Context, { status, code, message, details }: Refusal) {
  const requestId = c.req.header('cf-ray') ?? crypto.randomUUID()
  const body: ProblemBody = {
    error: { code, message, requestId, ...(details === undefined ? {} : { details }) },
  }
  return c.json(body, status)
}
