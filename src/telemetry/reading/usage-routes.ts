import { createRoute, z } from '@hono/zod-openapi'
import type { Management } from '../../access/management.ts'
import { environmentKey, flagKey } from '../../catalog/schemas.ts'
import { toCsv } from '../../http/csv.ts'
import { refuse } from '../../http/problem.ts'
import { createRouter } from '../../http/router.ts'
import { instant, instantText, READ, refusedWith } from '../../http/schemas.ts'
import { csvHeaders, formatQuery, jsonOrCsv } from './csv-answer.ts'
import { scopeRefusal } from './environment-scope.ts'
import { loadUsage, type Usage, type UsageSeries } from './usage.ts'

const HOUR_MS = 3_600_000
const DEFAULT_STEPS = { hour: 24, day: 30 }
/** Of all flags at once no more is answered, so that an answer stays within a few megabytes. */
const MAX_STEPS = { hour: 72, day: 92 }

const TABLE_EXAMPLE = 'start,flag,of,name,evaluations\r\n2026-12-01T09:00:00.000Z,checkout,variant,on,12\r\n'

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

/** A line for each flag, hour or day, and variant or reason that there was any of. */
function toTable({ starts, flags }: Usage): string {
  const rows = starts.flatMap((start, index) => {
    const linesOf = (flag: string, of: string, all: readonly UsageSeries[]) =>
      all.flatMap(({ name, counts }) =>
        counts[index] ? [[new Date(start).toISOString(), flag, of, name, counts[index]]] : [],
      )
    return flags.flatMap(({ flag, variants, reasons }) => [
      ...linesOf(flag, 'variant', variants),
      ...linesOf(flag, 'reason', reasons),
    ])
  })
  return toCsv(['start', 'flag', 'of', 'name', 'evaluations'], rows)
}

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
        query: formatQuery.extend({
          step: z.enum(['hour', 'day']).default('hour'),
          from: instantText.optional(),
          to: instantText.optional(),
          flag: flagKey.optional(),
        }),
      },
      responses: {
        200: jsonOrCsv(usage, 'Most used first; the table is in order of time.', TABLE_EXAMPLE),
        ...refusedWith(READ, { 422: ['range_too_long'] }),
      },
    }),
    async (c) => {
      const { environment } = c.req.valid('param')
      const refusal = await scopeRefusal(c, environment)
      if (refusal) return refuse(c, refusal)
      const { format, step, from, to, flag } = c.req.valid('query')
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
      if (format === 'csv') return c.body(toTable(found), 200, csvHeaders('usage', found.partial))
      // Mutable only in its type.
      return c.json(found as z.output<typeof usage>, 200)
    },
  )
}
