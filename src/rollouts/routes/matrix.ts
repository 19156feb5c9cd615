import { createRoute, z } from '@hono/zod-openapi'
import { authorOf, type Management, refusalFor } from '../../access/management.ts'
import { loadEnvironment } from '../../catalog/environments.ts'
import { notFound } from '../../catalog/routes/answer.ts'
import { flagKey, inEnvironment, revision, variantName } from '../../catalog/schemas.ts'
import { refuse } from '../../http/problem.ts'
import { createRouter } from '../../http/router.ts'
import { body, changeRefusedWith, comment, json, refusals } from '../../http/schemas.ts'
import { editMatrix, loadMatrix } from '../matrix.ts'
import { draftRefusal } from '../refusals.ts'
import { ofRollout, state } from '../schemas.ts'

const audience = z.string().max(10_000).openapi({
  description: 'A segment’s key; empty: everyone; else a condition as JSON.',
  example: 'beta-testers',
})
const percentage = z.number().min(0).max(100).openapi({ example: 50 })

const matrix = z
  .object({
    audiences: z.array(audience),
    features: z.array(
      z.object({
        rollout: ofRollout.shape.id,
        flag: flagKey,
        variant: variantName,
        state,
        revision,
        cells: z.array(z.object({ audience, present: percentage, planned: percentage })),
      }),
    ),
  })
  .openapi('RolloutMatrix')

const edit = z
  .strictObject({
    drafts: z
      .array(
        z.strictObject({
          rollout: ofRollout.shape.id,
          revision,
          cells: z.array(z.strictObject({ audience, percentage })).max(30),
        }),
      )
      .min(1)
      .max(20),
    comment,
  })
  .openapi('RolloutMatrixEdit')

const edited = z.object({ drafts: z.array(z.object({ rollout: ofRollout.shape.id, revision })).readonly() })

/** Features × audiences. */
export function createMatrixRoutes() {
  return createRouter<Management>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/environments/{environment}/rollout-matrix',
        operationId: 'getRolloutMatrix',
        tags: ['Rollouts'],
        summary: 'Features × audiences: what each gives now, and what it is planned to give',
        request: { params: inEnvironment },
        responses: { 200: json(matrix, 'The matrix.'), ...refusals },
      }),
      async (c) => {
        const { environment } = c.req.valid('param')
        const refusal = refusalFor(c.var.actor, 'viewer', environment)
        if (refusal) return refuse(c, refusal)
        const [found, loaded] = await Promise.all([
          loadEnvironment(c.env.DB, environment),
          loadMatrix(c.env.DB, environment),
        ])
        return found ? c.json(loaded, 200) : refuse(c, notFound(`environment "${environment}"`))
      },
    )
    .openapi(
      createRoute({
        method: 'put',
        path: '/api/v1/environments/{environment}/rollout-matrix',
        operationId: 'editRolloutMatrix',
        tags: ['Rollouts'],
        summary: 'Change what drafts are to give audiences in the end, all of them or none',
        request: { params: inEnvironment, body: body(edit) },
        responses: {
          200: json(edited, 'The drafts, at their new revisions.'),
          ...changeRefusedWith({
            404: ['not_found'],
            409: ['not_a_draft', 'archived'],
            412: ['stale'],
            422: ['invalid'],
          }),
        },
      }),
      async (c) => {
        const { environment } = c.req.valid('param')
        const refusal = refusalFor(c.var.actor, 'developer', environment)
        if (refusal) return refuse(c, refusal)
        const { drafts, comment } = c.req.valid('json')
        const result = await editMatrix(c.env.DB, environment, drafts, authorOf(c, comment))
        return result.ok ? c.json(result.value, 200) : refuse(c, draftRefusal(result.error))
      },
    )
}
