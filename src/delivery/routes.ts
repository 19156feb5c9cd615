// The evaluation plane over HTTP. Handlers load, evaluate and answer; what an answer looks like is ofrep.ts.
import { type Context, Hono } from 'hono'
import { isLimited, LIMITED_RETRY_SECONDS } from '../access/sign-in-limit.ts'
import type { Bindings } from '../bindings.ts'
import { isExpired } from '../catalog/entities.ts'
import type { EvaluationContext } from '../engine/context.ts'
import { evaluate, evaluateAll } from '../engine/evaluate.ts'
import { ok } from '../engine/result.ts'
import { reporter } from '../telemetry/isolate/reporter.ts'
import { authenticate, type Caller, type Denial, deny } from './authenticate.ts'
import { countRequest } from './evaluation-limit.ts'
import { type RequestFault, readContext, withEdgeAttributes } from './evaluation-request.ts'
import { flagKeysOf, SINGLE_PREFIX } from './flag-path.ts'
import { matchesEtag, statusOf, toBulk, writeError, writeSingle } from './ofrep.ts'
import { shownTo } from './shown.ts'
import { knownContext, verifyContext } from './signed-context.ts'
import { snapshotCache, type View, type WaitUntil } from './snapshot-cache.ts'
import { openStream } from './stream.ts'
import {
  epochOf,
  knownStreamToken,
  parseStreamToken,
  signStreamToken,
  verifyStreamToken,
} from './stream-token.ts'

type Environment = { Bindings: Bindings }

const PREFLIGHT_SECONDS = 86_400
const UNAVAILABLE_RETRY_SECONDS = 1
const EXPOSED_HEADERS = 'ETag, Retry-After, X-Rampart-Version'

type ResponseHeaders = { readonly [name: string]: string }

function headersFor(view: View | undefined, more: ResponseHeaders = {}): ResponseHeaders {
  return {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    'access-control-allow-origin': '*',
    'access-control-expose-headers': EXPOSED_HEADERS,
    ...(view ? { 'x-rampart-version': String(view.environment.flags.version) } : {}),
    ...more,
  }
}

/** Asks a caller to come back after some seconds. */
function later(
  status: 429 | 503,
  seconds: number,
  details: string,
  key: string | undefined,
  view: View | undefined,
): Response {
  const headers = headersFor(view, { 'retry-after': String(seconds) })
  return new Response(writeError('GENERAL', details, key), { status, headers })
}

function tooMany(seconds: number, key: string | undefined, view: View): Response {
  return later(429, seconds, 'too many evaluations with this key', key, view)
}

function denied(denial: Denial, key: string | undefined): Response {
  if (denial === 'unauthorized') return new Response(null, { status: 401, headers: headersFor(undefined) })
  return denial === 'limited'
    ? later(429, LIMITED_RETRY_SECONDS, 'too many failed attempts', key, undefined)
    : later(503, UNAVAILABLE_RETRY_SECONDS, 'no snapshot can be reached', key, undefined)
}

function faulty(fault: RequestFault, key: string | undefined, view: View): Response {
  const body = writeError(fault.errorCode, fault.errorDetails, key)
  return new Response(body, { status: fault.status, headers: headersFor(view) })
}

function waitUntilOf(c: Context<Environment>): WaitUntil {
  return (work) => c.executionCtx.waitUntil(work)
}

function contextFor({ key }: Caller, context: EvaluationContext, request: Request): EvaluationContext {
  return key.kind === 'client' ? withEdgeAttributes(context, request) : context
}

function visibilityFor({ key }: Caller): 'all' | 'client' {
  return key.kind === 'client' ? 'client' : 'all'
}

async function evaluateSingle(c: Context<Environment>): Promise<Response> {
  const request = c.req.raw
  const candidates = flagKeysOf(new URL(request.url).pathname)
  const waitUntil = waitUntilOf(c)
  const now = Date.now()
  const caller = await authenticate(c.env, request, now, waitUntil)
  if (!caller.ok) return denied(caller.error, candidates[0])
  const { view } = caller.value
  const { flags } = view.environment
  const key = candidates.find((candidate) => flags.has(candidate)) ?? candidates[0] ?? ''
  const waitSeconds = countRequest(c.env, caller.value.key, now, waitUntil)
  if (waitSeconds > 0) return tooMany(waitSeconds, key, view)
  const parsed = await readContext(request)
  if (!parsed.ok) return faulty(parsed.error, key, view)
  const trusted =
    knownContext(caller.value.key, view.environment, parsed.value, now) ??
    (await verifyContext(view.environment, parsed.value, now))
  if (!trusted.ok) return faulty(trusted.error, key, view)
  const context = contextFor(caller.value, trusted.value, request)
  const evaluation = evaluate(flags, key, context, now, visibilityFor(caller.value))
  snapshotCache.settle(c.env, flags, 1, waitUntil)
  const isUse = caller.value.key.kind === 'server'
  reporter.settle(c.env, view.environment, { evaluations: [evaluation], context, isUse }, waitUntil)
  return new Response(writeSingle(shownTo(caller.value, evaluation, view.environment, now), view), {
    status: statusOf(evaluation),
    headers: headersFor(view),
  })
}

/** What a client says that it has heard of: it must not be answered with anything older. */
function freshnessHint(
  url: URL,
  now: number,
): { readonly version: number; readonly changedAt: number } | undefined {
  const version = /\d{1,15}/.exec(url.searchParams.get('flagConfigEtag') ?? '')?.[0]
  const modified = url.searchParams.get('flagConfigLastModified')
  if (version === undefined && modified === null) return undefined
  const changedAt =
    modified === null ? 0 : /^\d+$/.test(modified) ? Number(modified) * 1_000 : Date.parse(modified)
  // An instant that lies ahead says nothing; waiting for it would never end.
  return {
    version: Number(version ?? 0),
    changedAt: Number.isNaN(changedAt) ? 0 : Math.min(changedAt, now),
  }
}

async function evaluateBulk(c: Context<Environment>): Promise<Response> {
  const request = c.req.raw
  const waitUntil = waitUntilOf(c)
  const now = Date.now()
  const caller = await authenticate(c.env, request, now, waitUntil)
  if (!caller.ok) return denied(caller.error, undefined)
  let { key, view } = caller.value
  const waitSeconds = countRequest(c.env, key, now, waitUntil)
  if (waitSeconds > 0) return tooMany(waitSeconds, undefined, view)
  const parsed = await readContext(request)
  if (!parsed.ok) return faulty(parsed.error, undefined, view)
  const hint = request.url.includes('?') ? freshnessHint(new URL(request.url), now) : undefined
  if (hint) {
    const fresh = await snapshotCache.acquireAtLeast(
      c.env,
      view.environment.flags.environment,
      hint,
      waitUntil,
    )
    if (!fresh.ok) return denied(fresh.error === 'missing' ? 'unauthorized' : 'unavailable', undefined)
    view = fresh.value
    const current = view.environment.keys.get(key.id)
    if (!current || isExpired(current, now)) return denied('unauthorized', undefined)
    key = current
  }
  const { environment } = view
  const trusted =
    knownContext(key, environment, parsed.value, now) ?? (await verifyContext(environment, parsed.value, now))
  if (!trusted.ok) return faulty(trusted.error, undefined, view)
  const epoch = epochOf(now)
  const token = knownStreamToken(environment, key, epoch) ?? (await signStreamToken(environment, key, epoch))
  const context = contextFor(caller.value, trusted.value, request)
  const evaluations = evaluateAll(environment.flags, context, now, visibilityFor(caller.value))
  const shown =
    key.kind === 'server'
      ? evaluations
      : evaluations.map((evaluation) => shownTo(caller.value, evaluation, environment, now))
  const { fingerprint, write } = toBulk(shown, view)
  snapshotCache.settle(c.env, environment.flags, evaluations.length, waitUntil)
  reporter.settle(c.env, environment, { evaluations, context, isUse: false }, waitUntil)
  const etag = `"${fingerprint}-${epoch.toString(36)}"`
  const headers = headersFor(view, { etag })
  if (matchesEtag(request.headers.get('if-none-match'), etag)) {
    return new Response(null, { status: 304, headers })
  }
  return new Response(write(`/ofrep/v1/stream?token=${token}`), { headers })
}

async function stream(c: Context<Environment>): Promise<Response> {
  const request = c.req.raw
  const waitUntil = waitUntilOf(c)
  const refused = async () => {
    const denial = await deny(c.env, request)
    return denied(denial.ok ? 'unauthorized' : denial.error, undefined)
  }
  const now = Date.now()
  const token = parseStreamToken(c.req.query('token') ?? '')
  if (!token) return refused()
  const present = snapshotCache.view(token.environment)
  if (!present && isLimited(request, 'evaluation', now)) return denied('limited', undefined)
  const acquired = present ? ok(present) : await snapshotCache.acquire(c.env, token.environment, waitUntil)
  if (!acquired.ok) return acquired.error === 'missing' ? refused() : denied('unavailable', undefined)
  const view = acquired.value
  const key = await verifyStreamToken(token, view.environment, now)
  if (!key) return refused()
  const readable = openStream({
    bindings: c.env,
    cache: snapshotCache,
    environment: token.environment,
    key,
    lastEventId: c.req.header('last-event-id') ?? null,
    waitUntil,
  })
  return new Response(readable, { headers: headersFor(view, { 'content-type': 'text/event-stream' }) })
}

async function snapshot(c: Context<Environment>): Promise<Response> {
  const waitUntil = waitUntilOf(c)
  const caller = await authenticate(c.env, c.req.raw, Date.now(), waitUntil)
  if (!caller.ok) return denied(caller.error, undefined)
  const { key, view } = caller.value
  if (key.kind !== 'server') return new Response(null, { status: 403, headers: headersFor(view) })
  const { flags } = view.environment
  const etag = `"${flags.environment}-${flags.version}"`
  const headers = headersFor(view, { etag })
  snapshotCache.settle(c.env, flags, 0, waitUntil)
  reporter.settleUncounted(c.env, view.environment, waitUntil)
  if (matchesEtag(c.req.header('if-none-match') ?? null, etag))
    return new Response(null, { status: 304, headers })
  return new Response(flags.toText(), { headers })
}

/** Answers a preflight for whatever headers the page's client wants to send: keys travel in headers, not cookies. */
function preflight(c: Context<Environment>): Response {
  const headers = new Headers({
    'access-control-allow-origin': '*',
    'access-control-allow-methods': 'GET, POST, OPTIONS',
    'access-control-allow-headers':
      c.req.header('access-control-request-headers') ??
      'Content-Type, Authorization, X-API-Key, If-None-Match',
    'access-control-max-age': String(PREFLIGHT_SECONDS),
  })
  return new Response(null, { status: 204, headers })
}

/** A defect of ours on the evaluation plane: answered in OFREP's shape, which its clients understand. */
export function answerFault(error: Error, c: Context): Response {
  const { pathname } = new URL(c.req.url)
  console.error('evaluation failed', { path: pathname, error: error.stack ?? String(error) })
  const key = pathname.startsWith(SINGLE_PREFIX) ? flagKeysOf(pathname)[0] : undefined
  const body = writeError('GENERAL', 'something went wrong; the log knows more', key)
  return new Response(body, { status: 500, headers: headersFor(undefined) })
}

/** Whether a path is on the evaluation plane. */
export function isDeliveryPath(path: string): boolean {
  return path.startsWith('/ofrep/') || path.startsWith('/v1/')
}

/** OFREP, its stream, and the snapshot for evaluating in process. */
export const delivery = new Hono<Environment>()
  .post('/ofrep/v1/evaluate/flags', evaluateBulk)
  .post(`${SINGLE_PREFIX}*`, evaluateSingle)
  .get('/ofrep/v1/stream', stream)
  .get('/v1/snapshot', snapshot)
  .options('/ofrep/*', preflight)
  .options('/v1/*', preflight)
