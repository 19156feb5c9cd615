import { createRoute, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import type { Management } from '../../access/management.ts'
import type { MetricKind } from '../../catalog/measurement.ts'
import { isMeasurement } from '../../catalog/measurements.ts'
import { metricKey } from '../../catalog/metric-schemas.ts'
import { loadMetric } from '../../catalog/metric-store.ts'
import { environmentKey } from '../../catalog/schemas.ts'
import { type Refusal, refuse } from '../../http/problem.ts'
import { createRouter } from '../../http/router.ts'
import { instant, instantText, json, READ, refusals, refusedWith } from '../../http/schemas.ts'
import { BLOCK_MS } from '../counting/blocks.ts'
import type { JourneyQuery } from '../counting/journeys.ts'
import { loadBlocks } from './blocks.ts'
import { scopeRefusal } from './environment-scope.ts'
import { loadJourneys } from './journeys.ts'
import { loadTotals } from './totals.ts'

const HOUR_MS = 3_600_000
/** Guard blocks stand in minutes, which are kept for three days. */
const BLOCKS_KEPT_MS = 72 * HOUR_MS
const MAX_DAYS = 90
const MAX_FEATURES = 20

/** Kinds whose totals are numbers of events. */
const COUNTED: readonly MetricKind[] = ['conversion', 'count', 'error']

const count = z.number().int().openapi({ example: 31 })
const sum = z.number().openapi({ example: 412.5 })
const partial = z.boolean().openapi({ description: 'Whether a part of what was counted could not be read.' })

const ofMeasurement = z.object({
  environment: environmentKey,
  measurement: z
    .string()
    .min(1)
    .max(100)
    .openapi({ description: "A rollout's or experiment's own id.", example: 'checkout-1' }),
})

const standing = {
  stage: z.number().int().openapi({ example: 2 }),
  stratum: z.string().openapi({ description: "Which grants' audiences match the units.", example: '3' }),
  arm: z.string().openapi({ description: '`t`, `c`, or the code of a variant.', example: 't' }),
}

const totalsAnswer = z
  .object({
    arms: z.array(
      z.object({
        ...standing,
        units: count,
        firsts: count.openapi({ description: 'Those whose first exposure in the measurement this was.' }),
        mixed: count.openapi({ description: 'Those that ever met a second variant.' }),
        metrics: z.array(
          z.object({
            metric: z.string().openapi({ example: 'checkout-error' }),
            hits: count.openapi({ description: 'Units with at least one event.' }),
            events: count,
            y: sum.openapi({ description: "Σ of the units' totals; `yy` is the sum of their squares." }),
            yy: sum,
            d: sum.openapi({ description: "Of a ratio: Σ of the units' denominators." }),
            dd: sum,
            yd: sum,
            x: sum.openapi({ description: 'Σ of what the totals were in the 14 days before.' }),
            xx: sum,
            xy: sum,
            bounds: z
              .array(z.object({ bound: sum, o: sum, oo: sum, b: sum, bb: sum, ob: sum }))
              .openapi({ description: 'o: observations of a unit; b: those of them above the bound.' }),
          }),
        ),
      }),
    ),
    partial,
  })
  .openapi('MeasurementTotals')

const blocksAnswer = z
  .object({
    from: instant,
    through: instant.openapi({ description: 'Nothing before it will ever change: where to go on.' }),
    blocks: z.array(
      z.object({
        start: instant,
        ...standing,
        firsts: count.openapi({ description: 'Units whose first exposure in the measurement this was.' }),
        entered: count.openapi({ description: 'Units that entered the risk sets.' }),
        live: count.openapi({ description: 'Units from which there was an event that was not automatic.' }),
        firstLive: count,
        ignored: count.openapi({ description: 'Hits under the tag of an earlier stage.' }),
        metrics: z.array(
          z.object({
            metric: z.string().openapi({ example: 'checkout-error' }),
            x: count.openapi({ description: 'Units hit in the block.' }),
            n: count.openapi({ description: 'The risk set at its end, and those hit.' }),
            bounds: z.array(
              z.object({ bound: sum, units: count, unitsAbove: count, observations: count, above: count }),
            ),
          }),
        ),
      }),
    ),
    partial,
  })
  .openapi('GuardBlocks')

const share = z.object({
  of: count.openapi({ description: 'How many units it could be so of.' }),
  units: count.openapi({ description: 'How many of them it is so of.' }),
  share: z.number().nullable().openapi({ example: 0.25 }),
})

const journeysAnswer = z
  .object({
    journeys: z.array(
      z.object({
        arm: z.string().openapi({ example: '' }),
        variant: z.string().openapi({ example: 'on' }),
        units: count,
        within: z
          .array(share.extend({ days: z.number().int().openapi({ example: 7 }) }))
          .openapi({ description: 'Of units that were exposed so many days ago.' }),
        did: share.openapi({ description: 'Of all units.' }),
        rate: share.nullable().openapi({ description: 'Of units that had the metric `of`.' }),
        meanPerActiveWeek: z.number().nullable().openapi({ example: 2.4 }),
        returned: z
          .array(share.extend({ week: z.number().int().openapi({ example: 1 }) }))
          .openapi({ description: 'Units that were seen in that week after their first exposure.' }),
        medianSeconds: z.number().nullable().openapi({
          description: 'From the exposure to the first.',
          example: 340,
        }),
        p90Seconds: z.number().nullable().openapi({ example: 86_000 }),
        usedSeveral: share.nullable().openapi({ description: 'Units that used at least two `features`.' }),
      }),
    ),
    partial,
  })
  .openapi('Journeys')

const listOf = (text: string | undefined) => (text === undefined ? [] : text.split(','))

const daysText = z
  .string()
  .regex(/^\d{1,2}(,\d{1,2}){0,4}$/, 'one to five numbers of days')
  .refine(
    (text) => listOf(text).every((days) => Number(days) >= 1 && Number(days) <= MAX_DAYS),
    `from 1 to ${MAX_DAYS} days`,
  )
  .default('1,7,28')
  .openapi({ description: 'Within how many days of the first exposure.', example: '7,28' })

const featuresText = z
  .string()
  .refine(
    (text) =>
      listOf(text).length <= MAX_FEATURES && listOf(text).every((key) => metricKey.safeParse(key).success),
    `at most ${MAX_FEATURES} metrics`,
  )
  .optional()
  .openapi({ description: 'Metrics that are a set of features, with commas.', example: 'search,share' })

async function measurementRefusal(
  c: Context<Management>,
  { environment, measurement }: z.output<typeof ofMeasurement>,
): Promise<Refusal<403 | 404> | undefined> {
  const refusal = await scopeRefusal(c, environment)
  if (refusal) return refusal
  if (await isMeasurement(c.env.DB, environment, measurement)) return undefined
  return { status: 404, code: 'not_found', message: `there is no measurement "${measurement}"` }
}

/** What was counted of a rollout or an experiment, while it runs and afterwards. */
export function createMeasurementRoutes() {
  return createRouter<Management>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/environments/{environment}/measurements/{measurement}/totals',
        operationId: 'getMeasurementTotals',
        tags: ['Counting'],
        summary: 'Sums over the units of a measurement, by stage, stratum and arm',
        request: { params: ofMeasurement },
        responses: { 200: json(totalsAnswer, 'By stage, stratum and arm.'), ...refusals },
      }),
      async (c) => {
        const params = c.req.valid('param')
        const refusal = await measurementRefusal(c, params)
        if (refusal) return refuse(c, refusal)
        const { arms, partial } = await loadTotals(c.env, params.environment, params.measurement)
        const answer = {
          arms: arms.map(({ metrics, ...arm }) => ({
            ...arm,
            metrics: [...metrics].map(([metric, moments]) => ({ metric, ...moments })),
          })),
          partial,
        }
        // Mutable only in its type.
        return c.json(answer as z.output<typeof totalsAnswer>, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/environments/{environment}/measurements/{measurement}/blocks',
        operationId: 'getGuardBlocks',
        tags: ['Counting'],
        summary: 'What guards are judged by: ten seconds each, an hour at most at once',
        request: {
          params: ofMeasurement,
          query: z.object({
            from: instantText.optional().openapi({
              description: 'Left out: ten minutes ago. To go on, the `through` of the answer before.',
              example: '2026-12-01T09:00:00Z',
            }),
          }),
        },
        responses: {
          200: json(blocksAnswer, 'In order of time; blocks in which nothing happened are left out.'),
          ...refusedWith(READ, { 422: ['empty_range', 'range_too_long'] }),
        },
      }),
      async (c) => {
        const { environment, measurement } = c.req.valid('param')
        const refusal = await measurementRefusal(c, { environment, measurement })
        if (refusal) return refuse(c, refusal)
        const now = Date.now()
        const { from: asked } = c.req.valid('query')
        const begin = asked === undefined ? now - HOUR_MS / 6 : Date.parse(asked)
        if (begin > now) {
          return refuse(c, { status: 422, code: 'empty_range', message: 'from must not lie ahead' })
        }
        if (now - begin > BLOCKS_KEPT_MS) {
          const message = 'blocks are kept for three days'
          return refuse(c, { status: 422, code: 'range_too_long', message })
        }
        const from = begin - (begin % BLOCK_MS)
        const found = await loadBlocks(c.env, environment, { from, measurements: [measurement] })
        const blocks = found.blocks.map(({ measurement: _, ...block }) => block)
        // Mutable only in its type.
        return c.json({ ...found, from, blocks } as unknown as z.output<typeof blocksAnswer>, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/environments/{environment}/measurements/{measurement}/journeys',
        operationId: 'getJourneys',
        tags: ['Counting'],
        summary: 'What units did after they met a variant: adoption, rates, retention, time to the first',
        request: {
          params: ofMeasurement,
          query: z.object({
            metric: metricKey.openapi({ description: 'What "did it" means.' }),
            by: z.enum(['variant', 'arm']).default('variant'),
            days: daysText,
            of: metricKey.optional().openapi({
              description: 'What a rate is of, as impressions are of clicks; left out: no rate.',
              example: 'impressions',
            }),
            features: featuresText,
          }),
        },
        responses: {
          200: json(journeysAnswer, 'By name.'),
          ...refusedWith(READ, { 422: ['unknown_metric'] }),
        },
      }),
      async (c) => {
        const params = c.req.valid('param')
        const refusal = await measurementRefusal(c, params)
        if (refusal) return refuse(c, refusal)
        const { metric, by, days, of = null, features } = c.req.valid('query')
        const kind = (await loadMetric(c.env.DB, metric))?.kind
        if (kind === undefined) {
          const message = `there is no metric "${metric}"`
          return refuse(c, { status: 422, code: 'unknown_metric', message })
        }
        const query: Omit<JourneyQuery, 'cursor'> = {
          measurement: params.measurement,
          metric,
          total: COUNTED.includes(kind) ? 'events' : 'values',
          days: listOf(days).map(Number),
          of,
          features: listOf(features),
          now: Date.now(),
        }
        const found = await loadJourneys(c.env, params.environment, query, by)
        // Mutable only in its type.
        return c.json(found as z.output<typeof journeysAnswer>, 200)
      },
    )
}
