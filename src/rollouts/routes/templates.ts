import { createRoute, z } from '@hono/zod-openapi'
import { type Management, refusalFor } from '../../access/management.ts'
import { jsonObject } from '../../catalog/schemas.ts'
import { refuse } from '../../http/problem.ts'
import { createRouter } from '../../http/router.ts'
import { flagOf, instantText, json, refusals } from '../../http/schemas.ts'
import { expandGuardrails, expandTemplates } from '../expand-templates.ts'

const list = (description: string, example: string) =>
  z
    .string()
    .max(2_000)
    .optional()
    .openapi({ description: `${description}, separated by commas.`, example })
const metric = z.string().max(100).optional().openapi({ description: 'The metric that plays this part.' })

const parameters = z.object({
  hold: z
    .string()
    .regex(/^\d+(?:ms|s|m|h|d)$/)
    .optional()
    .openapi({ description: 'How long each stage holds.', example: '1d' }),
  holdBack: flagOf
    .optional()
    .openapi({ description: 'Whether 5 % are kept back for a week; yes unless said.' }),
  percentages: list('Of `custom` and `geographic`: percentages', '5,20,60'),
  internal: z
    .string()
    .max(200)
    .optional()
    .openapi({ description: 'Of `staged`: the segment of your own people.' }),
  beta: z.string().max(200).optional().openapi({ description: 'Of `staged`: the segment of beta users.' }),
  countries: list('Of `geographic`: country codes, one region each', 'IE,GB,DE'),
  segments: list('Of `segments`: their keys, in order', 'power,regular,new'),
  from: instantText.optional(),
  to: instantText.optional(),
  error: metric,
  latency: metric,
  satisfaction: metric,
  critical: metric,
  crash: metric,
})

const templates = z
  .object({
    templates: z.array(
      z.object({
        name: z.string().openapi({ example: 'canary' }),
        words: z.string().openapi({ example: '1, 5, 25, 50, 100 % of everyone, a day each' }),
        stages: z.array(jsonObject).openapi({ description: 'As a plan takes them.' }),
      }),
    ),
    guardrailSets: z.array(
      z.object({
        name: z.string().openapi({ example: 'strict' }),
        words: z.string(),
        guardrails: z.array(jsonObject).openapi({ description: 'As a plan takes them.' }),
      }),
    ),
  })
  .openapi('RolloutTemplates', {
    example: {
      templates: [
        {
          name: 'canary',
          words: '1, 5, 25, 50, 100 % of everyone, a day each',
          stages: [{ percentage: 1, hold: '1d' }],
        },
      ],
      guardrailSets: [
        {
          name: 'specification',
          words: 'errors above 5 %, or p95 half as bad again',
          guardrails: [{ metric: 'checkout-error', test: 'threshold', above: 0.05 }],
        },
      ],
    },
  })

/** Ready-made ramps and guardrails. */
export function createTemplateRoutes() {
  return createRouter<Management>().openapi(
    createRoute({
      method: 'get',
      path: '/api/v1/rollout-templates',
      operationId: 'listRolloutTemplates',
      tags: ['Rollouts'],
      summary: 'Ready-made stages and guardrails, made out with the parameters that are given',
      request: { query: parameters },
      responses: { 200: json(templates, 'Stages and guardrails, to be put into a plan.'), ...refusals },
    }),
    (c) => {
      const refusal = refusalFor(c.var.actor, 'viewer')
      if (refusal) return refuse(c, refusal)
      const query = c.req.valid('query')
      const answer = { templates: expandTemplates(query, Date.now()), guardrailSets: expandGuardrails(query) }
      // Mutable only in its type.
      return c.json(answer as unknown as z.output<typeof templates>, 200)
    },
  )
}
