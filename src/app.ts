// The HTTP map: each group of routes in one line.
import { Hono } from 'hono'
import type { Bindings } from './bindings.ts'
import type { createCatalogRoutes } from './catalog/routes.ts'
import { answerFault, delivery, isDeliveryPath } from './delivery/routes.ts'
import { refuseThrown, refuseUnknown } from './http/problem.ts'

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
  .notFound(refuseUnknown)
  .onError((error, c) => (isDeliveryPath(c.req.path) ? answerFault(error, c) : refuseThrown(error, c)))
