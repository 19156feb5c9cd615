// The HTTP map: each group of routes in one line.
import { Hono } from 'hono'
import type { Bindings } from './bindings.ts'
import type { createCatalogRoutes } from './catalog/routes.ts'
import { delivery } from './delivery/routes.ts'
import { refuse } from './http/problem.ts'

/** The management API as a typed client sees it: `hc<AppType>('/')`. */
export type AppType = ReturnType<typeof createCatalogRoutes>

let management: AppType | undefined

/** The management routes, built at their first use: an isolate that only evaluates never loads them. */
async function managementRoutes(): Promise<AppType> {
  const { createCatalogRoutes } = await import('./catalog/routes.ts')
  management ??= createCatalogRoutes()
  return management
}

export const app = new Hono<{ Bindings: Bindings }>()
  .route('/', delivery)
  .get('/healthz', (c) => c.json({ status: 'ok' }))
  .all('/api/*', async (c) => (await managementRoutes()).fetch(c.req.raw, c.env, c.executionCtx))
  .notFound((c) => refuse(c, { status: 404, code: 'not_found', message: 'there is nothing here' }))
  .onError((error, c) => {
    console.error('request failed', { path: c.req.path, error: error.stack ?? String(error) })
    return refuse(c, { status: 500, code: 'internal', message: 'something went wrong; the log knows more' })
  })
