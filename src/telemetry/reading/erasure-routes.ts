import { createRoute, z } from '@hono/zod-openapi'
import { authorOf, type Management } from '../../access/management.ts'
import { loadSigningSecret } from '../../catalog/environments.ts'
import { recordErasure } from '../../catalog/erasures.ts'
import { environmentKey } from '../../catalog/schemas.ts'
import { refuse } from '../../http/problem.ts'
import { createRouter } from '../../http/router.ts'
import { body, changeRefusedWith, comment, json } from '../../http/schemas.ts'
import { createUnitHasher } from '../events/unit.ts'
import { askShards } from './ask-shards.ts'
import { scopeRefusal } from './environment-scope.ts'

const erasure = z.strictObject({
  unit: z
    .string()
    .min(1)
    .max(512)
    .openapi({ description: 'Its name, as events have it. It is kept nowhere.', example: 'ada@example.com' }),
  kind: z.string().min(1).max(200).default('user').openapi({ example: 'user' }),
  comment,
})

const erased = z.object({
  found: z.boolean().openapi({ description: 'Whether anything was kept of it.' }),
})

/** Erasing one unit. */
export function createErasureRoutes() {
  return createRouter<Management>().openapi(
    createRoute({
      method: 'post',
      path: '/api/v1/environments/{environment}/erasures',
      operationId: 'eraseUnit',
      tags: ['Counting'],
      summary: 'Forget one unit, and every context that is kept; may be repeated',
      request: { params: z.object({ environment: environmentKey }), body: body(erasure) },
      responses: {
        200: json(erased, 'It is forgotten.'),
        ...changeRefusedWith({ 404: ['not_found'] }),
      },
    }),
    async (c) => {
      const { environment } = c.req.valid('param')
      const refusal = await scopeRefusal(c, environment, 'admin')
      if (refusal) return refuse(c, refusal)
      const { unit, kind, comment } = c.req.valid('json')
      const secret = await loadSigningSecret(c.env.DB, environment)
      if (secret === undefined) {
        const message = `there is no environment "${environment}"`
        return refuse(c, { status: 404, code: 'not_found', message })
      }
      const id = createUnitHasher(secret)(kind, unit)
      const { answers, partial } = await askShards(c.env, environment, (shard) => shard.erase(id))
      const answer = { found: answers.includes(true) }
      await recordErasure(c.env.DB, environment, { kind, complete: !partial }, authorOf(c, comment), answer)
      if (partial) {
        const message = 'it is not forgotten everywhere yet: ask again'
        return refuse(c, { status: 503, code: 'unavailable', message })
      }
      return c.json(answer, 200)
    },
  )
}
