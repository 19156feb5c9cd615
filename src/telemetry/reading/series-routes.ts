import { createRoute, z } from '@hono/zod-openapi'
import type { Management } from '../../access/management.ts'
import { metricKey } from '../../catalog/metric-schemas.ts'
import { environmentKey, flagKey } from '../../catalog/schemas.ts'
import { toCsv } from '../../http/csv.ts'
import { type Refusal, refuse } from '../../http/problem.ts'
import { createRouter } from '../../http/router.ts'
import { instant, READ, refusedWith } from '../../http/schemas.ts'
import { csvHeaders, formatQuery, jsonOrCsv } from './csv-answer.ts'
import { scopeRefusal } from './environment-scope.ts'
import { loadSeries, type Point, type Series } from './series.ts'
import { parseRange, RANGE_REFUSALS, rangeQuery } from './time-range.ts'

/** So that an answer stays within a few megabytes. */
const MAX_POINTS = 20_000

const TOO_MANY_POINTS: Refusal<422> = {
  status: 422,
  code: 'too_many_points',
  message: `that would be more than ${MAX_POINTS} points: name a metric, a flag or a shorter range`,
  details: { limit: MAX_POINTS },
}

const quantile = z.number().nullable().openapi({ description: 'To within 1 %.', example: 212.4 })

const point = z.object({
  count: z.number().int().openapi({ example: 120 }),
  perMinute: z.number().openapi({
    description: 'Of the part of the step, or range, that has passed.',
    example: 2,
  }),
  sum: z.number().openapi({ example: 25_488 }),
  mean: z.number().nullable().openapi({
    description: 'For a ratio, the ratio; null where there are no values.',
    example: 212.4,
  }),
  p50: quantile,
  p95: quantile,
  p99: quantile,
  units: z.number().int().openapi({
    description: 'Units whose first exposure, or first event of the metric, it was.',
    example: 17,
  }),
})

const seriesAnswer = z
  .object({
    step: z.enum(['minute', 'hour', 'day']),
    from: instant,
    to: instant,
    series: z.array(
      z.object({
        metric: z.string().nullable().openapi({ description: 'null: exposures.', example: 'http-latency' }),
        flag: z.string().openapi({
          description: 'Empty: all events of the metric, whatever they are attributed to.',
          example: 'checkout',
        }),
        variant: z.string().openapi({ example: '' }),
        measurement: z.string().openapi({
          description: 'Empty: not told apart by arms, or not attributed.',
          example: 'checkout-1',
        }),
        stage: z.number().int().nullable().openapi({ example: 2 }),
        stratum: z.string().openapi({ example: '' }),
        arm: z.string().openapi({ example: 't' }),
        points: z.array(point.extend({ start: instant })).openapi({
          description: 'In order of time; steps in which nothing was counted are left out.',
        }),
        total: point,
      }),
    ),
    partial: z.boolean().openapi({ description: 'Whether a part of what was counted could not be read.' }),
  })
  .openapi('Series')

const NAMES = ['metric', 'flag', 'variant', 'measurement', 'stage', 'stratum', 'arm'] as const
const FIGURES = ['count', 'perMinute', 'sum', 'mean', 'p50', 'p95', 'p99', 'units'] as const

const TABLE_EXAMPLE = toCsv(
  ['start', ...NAMES, ...FIGURES],
  [
    [
      '2026-12-01T09:00:00.000Z',
      'orders',
      'checkout',
      'on',
      '',
      null,
      '',
      '',
      12,
      0.2,
      0,
      null,
      null,
      null,
      null,
      7,
    ],
  ],
)

function toTable(series: readonly Series[]): string {
  const rows = series.flatMap((one) => {
    const names = NAMES.map((name) => one[name])
    const figures = (point: Point) => FIGURES.map((figure) => point[figure])
    return one.points.map((point) => [new Date(point.start).toISOString(), ...names, ...figures(point)])
  })
  return toCsv(['start', ...NAMES, ...FIGURES], rows)
}

/** What was counted over time: exposures, and the events of metrics. */
export function createSeriesRoutes() {
  return createRouter<Management>().openapi(
    createRoute({
      method: 'get',
      path: '/api/v1/environments/{environment}/series',
      operationId: 'getSeries',
      tags: ['Counting'],
      summary: 'Exposures and metrics over time, by flag, variant and arm',
      request: {
        params: z.object({ environment: environmentKey }),
        query: rangeQuery.extend(formatQuery.shape).extend({
          of: z.enum(['all', 'exposures', 'metrics']).default('all'),
          metric: metricKey.optional().openapi({ description: 'One metric alone.' }),
          flag: flagKey.optional().openapi({ description: 'What concerns one flag alone.' }),
          by: z.enum(['none', 'variant', 'arm', 'stratum']).default('none').openapi({
            description:
              'What series are told apart by, beside metric and flag; `stratum` is arms by stratum.',
          }),
        }),
      },
      responses: {
        200: jsonOrCsv(seriesAnswer, 'Exposures first, then by metric and flag.', TABLE_EXAMPLE),
        ...refusedWith(READ, RANGE_REFUSALS, { 422: ['too_many_points'] }),
      },
    }),
    async (c) => {
      const { environment } = c.req.valid('param')
      const refusal = await scopeRefusal(c, environment)
      if (refusal) return refuse(c, refusal)
      const { format, of, metric, flag, by, ...asked } = c.req.valid('query')
      const now = Date.now()
      const range = parseRange(asked, now)
      if (!range.ok) return refuse(c, range.error)
      const query = {
        ...range.value,
        ...(metric === undefined ? {} : { metric }),
        ...(metric === undefined && of === 'exposures' ? { metric: null } : {}),
        ...(flag === undefined ? {} : { flag }),
      }
      const { range: whole, series: found, partial } = await loadSeries(c.env, environment, query, by, now)
      const series = of === 'metrics' ? found.filter((one) => one.metric !== null) : found
      const points = series.reduce((sum, one) => sum + one.points.length, 0)
      if (points > MAX_POINTS) return refuse(c, TOO_MANY_POINTS)
      if (format === 'csv') return c.body(toTable(series), 200, csvHeaders('series', partial))
      // Mutable only in its type.
      return c.json({ ...whole, series, partial } as z.output<typeof seriesAnswer>, 200)
    },
  )
}
