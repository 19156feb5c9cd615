import { createRoute, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import type { Management } from '../../access/management.ts'
import { loadMeasurements } from '../../catalog/measurements.ts'
import { listMetrics } from '../../catalog/metric-store.ts'
import { MAX_METRICS } from '../../catalog/metrics.ts'
import { environmentKey, flagKey } from '../../catalog/schemas.ts'
import { refuse } from '../../http/problem.ts'
import { createRouter } from '../../http/router.ts'
import { instant, json, READ, refusals, refusedWith } from '../../http/schemas.ts'
import { loadConnection } from './connection.ts'
import { scopeRefusal } from './environment-scope.ts'
import { loadEventNames } from './event-names.ts'
import { loadPrometheus, PROMETHEUS_TYPE } from './prometheus.ts'
import { loadStorage } from './storage.ts'

const inEnvironment = z.object({ environment: environmentKey })

// As any text, because for its end the router's types take it for JSON.
const PLAIN: string = 'text/plain'

const SCRAPE_EXAMPLE = `# HELP rampart_metric_events_total Events of metrics.
# TYPE rampart_metric_events_total counter
rampart_metric_events_total{environment="production",metric="orders"} 12
`

const count = z.number().int().openapi({ example: 31 })
const partial = z.boolean().openapi({ description: 'Whether a part of what was counted could not be read.' })

const arrival = z.object({
  arriving: z.boolean().openapi({ description: 'Whether there was any in the last five minutes.' }),
  count: count.openapi({ description: 'How many there were in the last five minutes.' }),
  lastAt: instant.nullable().openapi({
    description:
      'The minute of the last one, the hour where that is more than an hour ago; null: none in a day.',
  }),
  notAttributed: count.nullable().openapi({
    description:
      'How many of them could not be attributed to the flag: unsigned, or of units that have not met it. null where it is not measured.',
  }),
})

const arrivals = z
  .object({
    exposures: arrival,
    outcomes: arrival,
    errors: arrival,
    latencies: arrival,
    resources: arrival,
  })
  .openapi('Arrivals')

const connectionAnswer = z
  .object({
    environment: arrivals,
    flags: z.array(
      z.object({
        flag: z.string().openapi({ example: 'checkout' }),
        measured: z.boolean().openapi({ description: 'Whether a rollout or an experiment watches it.' }),
        arrivals,
      }),
    ),
    partial,
  })
  .openapi('Connection')

const name = z.string().openapi({ example: 'checkout-error' })

const namesAnswer = z
  .object({
    unused: z
      .array(z.object({ name, count, firstAt: instant, lastAt: instant }))
      .openapi({ description: 'Names that no metric uses; seen last, first.' }),
    metrics: z.array(
      z.object({
        metric: name,
        event: name,
        count,
        firstAt: instant.nullable(),
        lastAt: instant.nullable(),
      }),
    ),
    partial,
  })
  .openapi('EventNames')

const bytes = z.number().int().openapi({ example: 4_096 })

const storageAnswer = z
  .object({
    shards: z.array(
      z.object({
        shard: z.number().int().openapi({ example: 0 }),
        databaseBytes: bytes,
        units: count,
        logRecords: count,
        logBytes: bytes,
        batches: count.openapi({ description: 'Ids of batches that it remembers.' }),
        batchesSince: instant.openapi({ description: 'An older batch is refused.' }),
        planVersion: count.openapi({ description: 'The version of what it counts by; 0: none yet.' }),
        rowsWritten: count.openapi({ description: 'Rows written since it was made.' }),
      }),
    ),
    total: z.object({
      databaseBytes: bytes,
      units: count,
      logRecords: count,
      logBytes: bytes,
      rowsWritten: count,
    }),
    partial,
  })
  .openapi('Storage')

const metricsOf = (c: Context<Management>) => listMetrics(c.env.DB, '', MAX_METRICS)

/** Whether events arrive, which ones, and what keeping them costs. */
export function createArrivalRoutes() {
  return createRouter<Management>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/environments/{environment}/connection',
        operationId: 'checkConnection',
        tags: ['Counting'],
        summary: 'Which kinds of events arrive, in the environment and of each flag',
        request: { params: inEnvironment, query: z.object({ flag: flagKey.optional() }) },
        responses: { 200: json(connectionAnswer, 'By flag.'), ...refusals },
      }),
      async (c) => {
        const { environment } = c.req.valid('param')
        const refusal = await scopeRefusal(c, environment)
        if (refusal) return refuse(c, refusal)
        const { flag } = c.req.valid('query')
        const [metrics, measurements] = await Promise.all([
          metricsOf(c),
          loadMeasurements(c.env.DB, environment),
        ])
        const found = await loadConnection(c.env, environment, { metrics, measurements }, Date.now())
        const flags = found.flags.filter((one) => flag === undefined || one.flag === flag)
        return c.json({ ...found, flags }, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/environments/{environment}/event-names',
        operationId: 'listEventNames',
        tags: ['Counting'],
        summary:
          'Events that were seen in the last 30 days and no metric uses, and how much came of each metric',
        request: { params: inEnvironment },
        responses: { 200: json(namesAnswer, 'At most 1,000 names of each shard.'), ...refusals },
      }),
      async (c) => {
        const { environment } = c.req.valid('param')
        const refusal = await scopeRefusal(c, environment)
        if (refusal) return refuse(c, refusal)
        const found = await loadEventNames(c.env, environment, await metricsOf(c))
        // Mutable only in its type.
        return c.json(found as z.output<typeof namesAnswer>, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/environments/{environment}/storage',
        operationId: 'getStorage',
        tags: ['Counting'],
        summary: 'What the event shards keep, and what it has cost',
        request: { params: inEnvironment },
        responses: { 200: json(storageAnswer, 'Each shard, and all of them.'), ...refusals },
      }),
      async (c) => {
        const { environment } = c.req.valid('param')
        const refusal = await scopeRefusal(c, environment)
        if (refusal) return refuse(c, refusal)
        // Mutable only in its type.
        return c.json((await loadStorage(c.env, environment)) as z.output<typeof storageAnswer>, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/environments/{environment}/prometheus',
        operationId: 'scrape',
        tags: ['Counting'],
        summary: "The environment's counters of the present day (UTC), as Prometheus scrapes them",
        request: { params: inEnvironment },
        responses: {
          200: {
            description: 'The text format, version 0.0.4.',
            content: { [PLAIN]: { schema: z.string().openapi({ example: SCRAPE_EXAMPLE }) } },
          },
          ...refusedWith(READ),
        },
      }),
      async (c) => {
        const { environment } = c.req.valid('param')
        const refusal = await scopeRefusal(c, environment)
        if (refusal) return refuse(c, refusal)
        const text = await loadPrometheus(c.env, environment, Date.now())
        if (text === undefined) {
          const message = 'a part of what was counted could not be read: scrape again'
          return refuse(c, { status: 503, code: 'unavailable', message })
        }
        return c.body(text, 200, { 'content-type': PROMETHEUS_TYPE })
      },
    )
}
