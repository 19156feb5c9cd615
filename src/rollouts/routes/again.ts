import { createRoute, z } from '@hono/zod-openapi'
import { authorOf, type Management, refusalFor } from '../../access/management.ts'
import { toRefusal } from '../../catalog/refusals.ts'
import { refuse } from '../../http/problem.ts'
import { createRouter } from '../../http/router.ts'
import { body, changeRefusedWith, comment, json } from '../../http/schemas.ts'
import { disputeRollback } from '../dispute.ts'
import { findReached } from '../perform.ts'
import { deedRefusal } from '../refusals.ts'
import { retryRollout } from '../retry.ts'
import { ofRollout, rollout } from '../schemas.ts'

const disputed = z
  .object({
    incident: z.string().openapi({ example: '0a1b2c3d4e5f-3' }),
    disputedBy: z.string().openapi({ example: 'ada@example.com' }),
  })
  .openapi('Disputed')

/** What follows a rollback: trying again, or saying that it was a false alarm. */
export function createAgainRoutes() {
  return createRouter<Management>()
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/rollouts/{id}/retry',
        operationId: 'retryRollout',
        tags: ['Rollouts'],
        summary: 'Plan a rollout anew that was taken back: same units, fresh evidence, from a chosen stage',
        request: {
          params: ofRollout,
          body: body(
            z.strictObject({
              stage: z
                .string()
                .optional()
                .openapi({ description: 'The stage to begin with; left out: the first.', example: '10 %' }),
              comment,
            }),
          ),
        },
        responses: {
          201: json(rollout, 'A draft, to be started.'),
          ...changeRefusedWith({
            404: ['not_found'],
            409: ['wrong_state', 'archived'],
            412: ['stale'],
            422: ['invalid', 'unknown_stage'],
          }),
        },
      }),
      async (c) => {
        const refusal = refusalFor(c.var.actor, 'releaser')
        if (refusal) return refuse(c, refusal)
        const found = await findReached(c.env.DB, c.var.actor, c.req.valid('param').id)
        if (!found.ok) return refuse(c, found.error)
        const { stage, comment } = c.req.valid('json')
        const again = await retryRollout(c.env.DB, found.value, stage, authorOf(c, comment))
        if (again.ok) {
          // Mutable only in its type.
          return c.json(again.value.body as unknown as z.output<typeof rollout>, 201, { etag: '"1"' })
        }
        const { error } = again
        const isDeed = error.reason === 'wrong_state' || error.reason === 'unknown_stage'
        return refuse(c, isDeed ? deedRefusal(error) : toRefusal(error))
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/rollouts/{id}/dispute',
        operationId: 'disputeRollback',
        tags: ['Rollouts'],
        summary: 'Call the last rollback a false alarm: it is kept with its incident, and undoes nothing',
        request: { params: ofRollout, body: body(z.strictObject({ comment })) },
        responses: {
          200: json(disputed, 'It is disputed.'),
          ...changeRefusedWith({ 404: ['not_found'], 409: ['no_incident'], 412: ['stale'] }),
        },
      }),
      async (c) => {
        const refusal = refusalFor(c.var.actor, 'releaser')
        if (refusal) return refuse(c, refusal)
        const found = await findReached(c.env.DB, c.var.actor, c.req.valid('param').id)
        if (!found.ok) return refuse(c, found.error)
        const author = authorOf(c, c.req.valid('json').comment)
        const result = await disputeRollback(c.env.DB, found.value.rollout, author)
        if (result.ok) return c.json(result.value, 200)
        const { error } = result
        return refuse(
          c,
          error.reason === 'no_incident'
            ? { status: 409, code: error.reason, message: 'it was never taken back' }
            : toRefusal(error),
        )
      },
    )
}
