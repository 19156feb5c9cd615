import type { Context } from 'hono'
import { HTTPException } from 'hono/http-exception'

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
export type RefusalStatus = 400 | 401 | 403 | 404 | 409 | 412 | 413 | 415 | 422 | 428 | 429 | 500 | 503

/** A refusal, before it is an answer; `Status` says which ones it can be, as a route has to. */
export type Refusal<Status extends RefusalStatus = RefusalStatus> = {
  readonly status: Status
  readonly code: string
  readonly message: string
  readonly details?: unknown
}

/** Answers a refusal in the one shape that all management errors have. */
export function refuse<Status extends RefusalStatus>(
  c: Context,
  { status, code, message, details }: Refusal<Status>,
) {
  const known: unknown = c.get('requestId')
  const requestId = typeof known === 'string' ? known : (c.req.header('cf-ray') ?? crypto.randomUUID())
  const body: ProblemBody = {
    error: { code, message, requestId, ...(details === undefined ? {} : { details }) },
  }
  return c.json(body, status)
}

/** Answers what was thrown: a request that Hono could not read, or a defect of ours, which only the log is told of. */
export function refuseThrown(error: Error, c: Context) {
  if (error instanceof HTTPException && error.status < 500) {
    const status = error.status === 415 ? 415 : 400
    return refuse(c, { status, code: 'malformed', message: 'the request is not understood' })
  }
  console.error('request failed', { path: c.req.path, error: error.stack ?? String(error) })
  return refuse(c, { status: 500, code: 'internal', message: 'something went wrong; the log knows more' })
}

/** Answers where there is nothing. */
export function refuseUnknown(c: Context) {
  return refuse(c, { status: 404, code: 'not_found', message: 'there is nothing here' })
}
