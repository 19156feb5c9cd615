import type { MiddlewareHandler } from 'hono'
import { type Management, roleRefusal } from '../../access/management.ts'
import { refuse } from '../../http/problem.ts'

const SIGNALS = /^\/api\/v1\/rollouts\/[^/]+\/signals$/

/** Keeps whoever may only signal away from everything else, before it is looked at. */
export const onlySignals: MiddlewareHandler<Management> = async (c, next) => {
  if (c.var.actor.role === 'signaller' && !(c.req.method === 'POST' && SIGNALS.test(c.req.path))) {
    return refuse(c, roleRefusal('viewer'))
  }
  return next()
}
