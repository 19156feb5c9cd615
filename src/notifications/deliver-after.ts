import type { MiddlewareHandler } from 'hono'
import type { Management } from '../access/management.ts'
import { deliverDue } from './deliver.ts'

/** Sends what a change has told people as soon as it is answered, without waiting for the next minute. */
export const deliverAfter: MiddlewareHandler<Management> = async (c, next) => {
  await next()
  if (c.req.method === 'GET' || !c.res.ok) return
  const delivered = deliverDue(c.env, Date.now()).catch((error: unknown) => {
    console.error('notices not delivered', { error: String(error) })
  })
  c.executionCtx.waitUntil(delivered)
}
