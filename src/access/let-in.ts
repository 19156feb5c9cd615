import type { Context, MiddlewareHandler } from 'hono'
import { type Refusal, refuse } from '../http/problem.ts'
import { type AuthenticationError, authenticate } from './authenticate.ts'
import type { Management } from './management.ts'
import { countFailure, isLimited, LIMITED_RETRY_SECONDS } from './sign-in-limit.ts'

const LIMITED: Refusal = { status: 429, code: 'limited', message: 'too many failed attempts: wait a minute' }
const UNAUTHORIZED: Refusal = { status: 401, code: 'unauthorized', message: 'a valid token is needed' }

const REFUSALS: { readonly [error in AuthenticationError]: Refusal } = {
  missing: UNAUTHORIZED,
  invalid: UNAUTHORIZED,
  expired: { status: 401, code: 'expired', message: 'the token is no longer valid' },
  unavailable: {
    status: 503,
    code: 'unavailable',
    message: 'the identity provider cannot be reached: try again',
  },
  no_member: { status: 403, code: 'no_member', message: 'you are known, and a member of nothing here' },
  cross_site: { status: 403, code: 'cross_site', message: 'a page of another site may not do this' },
}

function refuseLimited(c: Context<Management>) {
  c.header('retry-after', String(LIMITED_RETRY_SECONDS))
  return refuse(c, LIMITED)
}

/** Lets in whom it recognises, and counts guesses against their address. */
export const letIn: MiddlewareHandler<Management> = async (c, next) => {
  c.set('requestId', c.req.header('cf-ray') ?? crypto.randomUUID())
  const now = Date.now()
  if (isLimited(c.req.raw, 'management', now)) return refuseLimited(c)
  const recognised = await authenticate(c.req.raw, c.env, now)
  if (recognised.ok) {
    c.set('actor', recognised.value)
    return next()
  }
  const { error } = recognised
  // Who says nothing guesses nothing: a dashboard that is opened without an identity would count for its whole office.
  const isTooOften = error === 'invalid' && (await countFailure(c.env, c.req.raw, 'management'))
  return isTooOften ? refuseLimited(c) : refuse(c, REFUSALS[error])
}
