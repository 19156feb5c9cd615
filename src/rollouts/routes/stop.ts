import { createRoute, z } from '@hono/zod-openapi'
import { authorOf, type Management, refusalFor } from '../../access/management.ts'
import { loadEnvironment } from '../../catalog/environments.ts'
import { toRefusal } from '../../catalog/refusals.ts'
import { changed, ofFlagInEnvironment } from '../../catalog/schemas.ts'
import { refuse } from '../../http/problem.ts'
import { createRouter } from '../../http/router.ts'
import { body, changeRefusedWith, comment, json } from '../../http/schemas.ts'
import { stopFlag } from '../stop.ts'

const stopped = z
  .object({
    switchedOff: z.boolean().openapi({ description: 'false: it was off already.' }),
    rollout: z
      .string()
      .nullable()
      .openapi({ description: 'What was taken back or cancelled; null: nothing went on.', example: null }),
    environments: changed.shape.environments,
  })
  .openapi('Stopped')

/** The emergency stop. */
export function createStopRoutes() {
  return createRouter<Management>().openapi(
    createRoute({
      method: 'post',
      path: '/api/v1/flags/{flag}/environments/{environment}/stop',
      operationId: 'stopFlag',
      tags: ['Rollouts'],
      summary: 'Switch a flag off and take its rollout back, in one call that waits for nothing and nobody',
      request: { params: ofFlagInEnvironment, body: body(z.strictObject({ comment })) },
      responses: {
        200: json(stopped, 'It is off.'),
        ...changeRefusedWith({ 404: ['not_found'], 409: ['archived'], 412: ['stale'] }),
      },
    }),
    async (c) => {
      const { flag, environment } = c.req.valid('param')
      const refusal = refusalFor(c.var.actor, 'developer', environment)
      if (refusal) return refuse(c, refusal)
      const found = await loadEnvironment(c.env.DB, environment)
      const guarded = found?.protected ? refusalFor(c.var.actor, 'releaser') : undefined
      if (guarded) return refuse(c, guarded)
      const author = authorOf(c, c.req.valid('json').comment)
      const result = await stopFlag(c.env, flag, environment, author)
      return result.ok ? c.json(result.value, 200) : refuse(c, toRefusal(result.error))
    },
  )
}
