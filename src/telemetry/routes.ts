import { createRoute, z } from '@hono/zod-openapi'
import { type Management, refusalFor } from '../access/management.ts'
import { loadEnvironment } from '../catalog/environments.ts'
import { environmentKey, flagKey } from '../catalog/schemas.ts'
import { refuse } from '../http/problem.ts'
import { createRouter } from '../http/router.ts'
import { instant, instantText, json, READ, refusedWith } from '../http/schemas.ts'
import { loadUsage } from './usage.ts'

const HOUR_MS = 3_600_000
const DEFAULT_STEPS = { hour: 24, day: 30 }
/** Of all flags at once no more is answered, so that an answer stays within a few megabytes. */
const MAX_STEPS = { hour: 72, day: 92 }

const evaluations = z.number().int().openapi({ example: 19 })

const series = z.object({
  name: z
    .string()
    .nullable()
    .openapi({ description: "null: no variant, so the caller's default.", example: 'on' }),
  evaluations,
  counts: z.array(z.number().int()).openapi({ description: 'One for each start.', example: [12, 7] }),
})

const usage = z
  .object({
    step: z.enum(['hour', 'day']),
    starts: z.array(instant).openapi({
      description: 'When each hour or day begins.',
      example: [1_794_996_000_000, 1_794_999_600_000],
    }),
    flags: z.array(
      z.object({
        flag: flagKey,
        evaluations,
        variants: z.array(series),
        reasons: z.array(series),
      }),
    ),
    partial: z.boolean().openapi({ description: 'Whether a part of what was counted could not be read.' }),
  })
  .openapi('Usage')

/** How often flags were evaluated, and with which answers. */
export function createUsageRoutes() {
  return createRouter<Management>().openapi(
    createRoute({
      method: 'get',
      path: '/api/v1/environments/{environment}/usage',
      operationId: 'getUsage',
      tags: ['Usage'],
      summary: 'Evaluations of flags over time, by variant and by reason',
      request: {
        params: z.object({ environment: environmentKey }),
        query: z.object({
          step: z.enum(['hour', 'day']).default('hour'),
          from: instantText.optional(),
          to: instantText.optional(),
          flag: flagKey.optional(),
        }),
      },
      responses: {
        200: json(usage, 'Most used first.'),
        ...refusedWith(READ, { 422: ['range_too_long'] }),
      },
    }),
    async (c) => {
      const { environment } = c.req.valid('param')
      const refusal = refusalFor(c.var.actor, 'viewer', environment)
      if (refusal) return refuse(c, refusal)
      if (!(await loadEnvironment(c.env.DB, environment))) {
        return refuse(c, {
          status: 404,
          code: 'not_found',
          message: `there is no environment "${environment}"`,
        })
      }
      const { step, from, to, flag } = c.req.valid('query')
      const end = to === undefined ? Date.now() : Date.parse(to)
      const width = DEFAULT_STEPS[step] * HOUR_MS * (step === 'day' ? 24 : 1)
      const begin = from === undefined ? end - width : Date.parse(from)
      const isTooLong = flag === undefined && end - begin > (MAX_STEPS[step] * width) / DEFAULT_STEPS[step]
      if (isTooLong) {
        const message = `of all flags at most ${MAX_STEPS[step]} ${step}s are answered: name a flag`
        return refuse(c, { status: 422, code: 'range_too_long', message })
      }
      const query = { step, from: begin, to: end, ...(flag === undefined ? {} : { flag }) }
      const found = await loadUsage(c.env, environment, query)
      // Mutable only in its type.
      return c.json(found as z.output<typeof usage>, 200)
    },
  )
}
