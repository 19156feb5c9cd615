// The HTTP map: each group of routes in one line.
import { Hono } from 'hono'
import type { Bindings } from './bindings.ts'
import { authenticate, keyOf } from './delivery/authenticate.ts'
import { countRequest } from './delivery/evaluation-limit.ts'
import { answerFault, delivery, isDeliveryPath } from './delivery/routes.ts'
import { refuseThrown, refuseUnknown } from './http/problem.ts'
import type { createManagement } from './management.ts'
import { createEventRoutes } from './telemetry/events/event-routes.ts'

/** The management API as a typed client sees it: `hc<AppType>('/')`. */
export type AppType = ReturnType<typeof createManagement>

let management: AppType | undefined

/** The management routes, built at their first use: an isolate that only evaluates never loads them. */
async function managementRoutes(): Promise<AppType> {
  const { createManagement } = await import('./management.ts')
  management ??= createManagement()
  return management
}

async function manage(request: Request, bindings: Bindings, context: ExecutionContext): Promise<Response> {
  return (await managementRoutes()).fetch(request, bindings, context)
}

export const app = new Hono<{ Bindings: Bindings }>()
  .route('/', delivery)
  .route('/', createEventRoutes({ authenticate, keyOf, countRequest }))
  .get('/healthz', (c) => c.json({ status: 'ok' }))
  .get('/openapi.json', (c) => manage(c.req.raw, c.env, c.executionCtx as ExecutionContext))
  .all('/api/*', (c) => manage(c.req.raw, c.env, c.executionCtx as ExecutionContext))
  .notFound(refuseUnknown)
  .onError((error, c) => (isDeliveryPath(c.req.path) ? answerFault(error, c) : refuseThrown(error, c)))
