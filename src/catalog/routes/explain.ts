import { createRoute, z } from '@hono/zod-openapi'
import { type Management, refusalFor } from '../../access/management.ts'
import { CHANGES_NOTHING } from '../../http/openapi.ts'
import { type Refusal, refuse } from '../../http/problem.ts'
import { createRouter } from '../../http/router.ts'
import { body, instant, instantText, json, refusedWith } from '../../http/schemas.ts'
import { anyJson, flagKey, inEnvironment, jsonObject } from '../schemas.ts'
import { type ExplainError, explainAt } from '../time-travel.ts'
import { notFound } from './answer.ts'

const question = z
  .strictObject({
    flag: flagKey,
    context: jsonObject.default({}).openapi({ example: { targetingKey: 'ada', country: 'IE' } }),
    version: z
      .number()
      .int()
      .min(1)
      .optional()
      .openapi({ description: 'The version that is asked.', example: 41 }),
    at: instantText.optional().openapi({
      description: 'The instant that is asked: its version, and its time for conditions on time.',
    }),
  })
  .openapi('ExplainQuestion')

const explanation = z
  .object({
    version: z.number().int().openapi({ example: 41 }),
    at: instant.openapi({ description: 'When that version was made.' }),
    evaluation: z
      .object({ flagKey, reason: z.string() })
      .catchall(anyJson)
      .openapi({
        example: { flagKey: 'new-checkout', value: true, variant: 'on', reason: 'TARGETING_MATCH' },
      }),
    steps: z
      .array(z.object({ step: z.string() }).catchall(anyJson))
      .openapi({ example: [{ step: 'enabled', matched: true }] }),
  })
  .openapi('Explanation')

function refusalOf(error: ExplainError, environment: string, flag: string): Refusal {
  switch (error.reason) {
    case 'unknown_environment':
      return notFound(`environment "${environment}"`)
    case 'unknown_flag':
      return notFound(`flag "${flag}" in "${environment}" at version ${error.version}`)
    case 'unknown_version':
      return {
        status: 404,
        code: error.reason,
        message: `there is no such version; the newest is ${error.newest}`,
        details: { newest: error.newest },
      }
    case 'before_beginning':
      return {
        status: 404,
        code: error.reason,
        message: `the history begins at ${new Date(error.beginning).toISOString()}`,
        details: { beginning: error.beginning },
      }
  }
}

/** Why an answer is what it is, or was. */
export function createExplainRoutes() {
  return createRouter<Management>().openapi(
    createRoute({
      method: 'post',
      path: '/api/v1/environments/{environment}/explain',
      operationId: 'explain',
      tags: ['History'],
      summary: 'What a context gets from a flag, or got at a version or an instant, with every step',
      ...CHANGES_NOTHING,
      request: { params: inEnvironment, body: body(question) },
      responses: {
        200: json(explanation, 'The answer and the way to it.'),
        ...refusedWith({
          400: ['malformed'],
          403: ['wrong_environment', 'cross_site'],
          404: ['not_found', 'unknown_version', 'before_beginning'],
          413: ['too_large'],
          415: ['malformed'],
        }),
      },
    }),
    async (c) => {
      const { environment } = c.req.valid('param')
      const refusal = refusalFor(c.var.actor, 'viewer', environment)
      if (refusal) return refuse(c, refusal)
      const { flag, context, version, at } = c.req.valid('json')
      const asked = {
        flag,
        context,
        version,
        at: at === undefined ? undefined : Date.parse(at),
        now: Date.now(),
      }
      const result = await explainAt(c.env.DB, environment, asked)
      if (!result.ok) return refuse(c, refusalOf(result.error, environment, flag))
      // As the engine's recorder wrote it: plain JSON.
      return c.json(result.value as unknown as z.output<typeof explanation>, 200)
    },
  )
}
