import { Hono } from 'hono'

type Body = { readonly context?: { readonly targetingKey?: string } }

/** The least that a Worker can do for such a request: a route, the body parsed, a small answer. */
export default new Hono().post('/evaluate', async (c) => {
  const { context } = await c.req.json<Body>()
  return c.json({ key: context?.targetingKey, value: true, reason: 'STATIC', variant: 'on' })
})
