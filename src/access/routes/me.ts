import { createRoute } from '@hono/zod-openapi'
import { createRouter } from '../../http/router.ts'
import { json, refusedWith } from '../../http/schemas.ts'
import type { Management } from '../management.ts'
import { me } from '../schemas.ts'

/** Who one is here. */
export function createMeRoutes() {
  return createRouter<Management>().openapi(
    createRoute({
      method: 'get',
      path: '/api/v1/me',
      operationId: 'getMe',
      tags: ['Access'],
      summary: 'Who you are here, and what you may do',
      responses: { 200: json(me, 'You.'), ...refusedWith() },
    }),
    (c) => {
      const { id, via, role, environments } = c.var.actor
      return c.json({ id, via, role, environments }, 200)
    },
  )
}
