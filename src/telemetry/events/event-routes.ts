// Events over HTTP. Who may send them is found out by whoever mounts these routes: keys are the delivery's.
import { type Context, Hono } from 'hono'
import { parseKey } from '../../access/key.ts'
import { isLimited, LIMITED_RETRY_SECONDS } from '../../access/sign-in-limit.ts'
import type { Bindings } from '../../bindings.ts'
import type { KeyRecord } from '../../catalog/entities.ts'
import type { EnvironmentSnapshot } from '../../catalog/environment-snapshot.ts'
import { err, type Result } from '../../engine/result.ts'
import { edgeAttributesOf } from './enrichment.ts'
import { type BodyFault, readBatch } from './event-body.ts'
import { type Batch, type Ingested, ingest } from './ingest.ts'

type WaitUntil = (work: Promise<unknown>) => void

/** Who sends events, and to which environment. */
type Caller = { readonly key: KeyRecord; readonly view: { readonly environment: EnvironmentSnapshot } }

/** How callers are let in. */
export type Admission = {
  /** Finds out who has a key; counts against the request's address if nobody has. */
  readonly authenticate: (
    bindings: Bindings,
    request: Request,
    now: number,
    waitUntil: WaitUntil,
    key: string | undefined,
  ) => Promise<Result<Caller, 'unauthorized' | 'limited' | 'unavailable'>>
  /** The key that a request's headers carry. */
  readonly keyOf: (headers: Headers) => string | undefined
  /** Counts a request of a key: 0 when it may be answered, else after how many seconds it may ask again. */
  readonly countRequest: (bindings: Bindings, key: KeyRecord, now: number, waitUntil: WaitUntil) => number
}

const OVERLOADED_RETRY_SECONDS = 5
const UNAVAILABLE_RETRY_SECONDS = 1

const STATUSES = {
  malformed: 400,
  unauthorized: 401,
  batch_expired: 409,
  too_large: 413,
  unsupported: 415,
  limited: 429,
  overloaded: 429,
  internal: 500,
  unavailable: 503,
} as const

type Code = keyof typeof STATUSES

function respond(
  status: number,
  body: object,
  caller: Caller | undefined,
  retryAfter: number | undefined,
): Response {
  return Response.json(body, {
    status,
    headers: {
      'cache-control': 'no-store',
      'access-control-allow-origin': '*',
      'access-control-expose-headers': 'Retry-After, X-Rampart-Version',
      ...(caller ? { 'x-rampart-version': String(caller.view.environment.flags.version) } : {}),
      ...(retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }),
    },
  })
}

function refuse(code: Code, message: string, caller?: Caller, retryAfter?: number): Response {
  return respond(STATUSES[code], { error: { code, message } }, caller, retryAfter)
}

function refuseBody({ code, message }: BodyFault, caller: Caller | undefined): Response {
  return refuse(code, message, caller)
}

function deny(denial: 'unauthorized' | 'limited' | 'unavailable'): Response {
  if (denial === 'unauthorized') {
    return refuse(denial, 'a server key or a client key is needed; in the body, a client key')
  }
  return denial === 'limited'
    ? refuse(denial, 'too many failed attempts', undefined, LIMITED_RETRY_SECONDS)
    : refuse(denial, 'no snapshot can be reached', undefined, UNAVAILABLE_RETRY_SECONDS)
}

function answer(ingested: Ingested, caller: Caller): Response {
  switch (ingested.outcome) {
    case 'accepted': {
      const { accepted, rejected } = ingested
      return respond(202, { accepted, rejected }, caller, undefined)
    }
    case 'expired':
      return refuse('batch_expired', 'the id is too old to tell whether it was counted before', caller)
    case 'overloaded':
      return refuse(
        'overloaded',
        'too many events; send these again with the same id',
        caller,
        OVERLOADED_RETRY_SECONDS,
      )
    case 'unavailable':
      return refuse(
        'unavailable',
        'not all events are on disk; send them again with the same id',
        caller,
        UNAVAILABLE_RETRY_SECONDS,
      )
  }
}

/** `POST /v1/events`. */
export function createEventRoutes({ authenticate, keyOf, countRequest }: Admission) {
  async function take(c: Context<{ Bindings: Bindings }>): Promise<Response> {
    const request = c.req.raw
    const now = Date.now()
    const waitUntil: WaitUntil = (work) => c.executionCtx.waitUntil(work)

    const admit = async (key: string | undefined): Promise<Result<Caller, Response>> => {
      const caller = await authenticate(c.env, request, now, waitUntil, key)
      if (!caller.ok) return err(deny(caller.error))
      const seconds = countRequest(c.env, caller.value.key, now, waitUntil)
      if (seconds === 0) return caller
      return err(refuse('limited', 'too many requests with this key', caller.value, seconds))
    }
    const count = async (caller: Caller, batch: Batch): Promise<Response> => {
      const { key, view } = caller
      const sender = { key, edge: key.kind === 'client' ? edgeAttributesOf(request) : null }
      return answer(await ingest(c.env, view.environment, sender, batch, now), caller)
    }

    const inHeaders = keyOf(request.headers)
    if (inHeaders !== undefined) {
      const caller = await admit(inHeaders)
      if (!caller.ok) return caller.error
      const batch = await readBatch(request, now)
      return batch.ok ? count(caller.value, batch.value) : refuseBody(batch.error, caller.value)
    }
    if (isLimited(request, 'evaluation', now)) return deny('limited')
    const batch = await readBatch(request, now)
    if (!batch.ok) return refuseBody(batch.error, undefined)
    const { key = '' } = batch.value
    // A server key has no business in a page, which alone cannot send headers.
    const caller = await admit(parseKey(key)?.kind === 'client' ? key : undefined)
    return caller.ok ? count(caller.value, batch.value) : caller.error
  }

  return new Hono<{ Bindings: Bindings }>().post('/v1/events', take).onError((error) => {
    console.error('events failed', { error: error.stack ?? String(error) })
    return refuse('internal', 'something went wrong; the log knows more')
  })
}
