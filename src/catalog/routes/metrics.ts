import { createRoute, z } from '@hono/zod-openapi'
import { type Management, refusalFor } from '../../access/management.ts'
import { parseCursor, toPage } from '../../http/paging.ts'
import { refuse } from '../../http/problem.ts'
import { REVISION_REQUIRED, revisionOf } from '../../http/revision.ts'
import { createRouter } from '../../http/router.ts'
import { body, json, nextCursor, pageQuery, refusals, revisionHeaders } from '../../http/schemas.ts'
import { changeAnswers } from '../change-answers.ts'
import { metric, metricDraft, ofMetric } from '../metric-schemas.ts'
import { listMetrics, loadMetric, type StoredMetric } from '../metric-store.ts'
import { deletion } from '../schemas.ts'
import { answerOperation, notFound, type Observations } from './answer.ts'

const filter = pageQuery.extend({
  search: z
    .string()
    .max(200)
    .default('')
    .openapi({ description: 'Words of key, event, description, owner, tags.' }),
})

function toJson({ tags, ...rest }: StoredMetric) {
  return { ...rest, tags: [...tags] }
}

/** Metrics: what is counted, in every environment. */
export function createMetricRoutes(observations: Observations) {
  return createRouter<Management>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/metrics',
        operationId: 'listMetrics',
        tags: ['Metrics'],
        summary: 'Metrics, by key; searched',
        request: { query: filter },
        responses: {
          200: json(z.object({ metrics: z.array(metric), nextCursor }), 'A page of metrics.'),
          ...refusals,
        },
      }),
      async (c) => {
        const refusal = refusalFor(c.var.actor, 'viewer')
        if (refusal) return refuse(c, refusal)
        const { limit, cursor, search } = c.req.valid('query')
        const after = cursor === undefined ? '' : String(parseCursor(cursor)?.[0] ?? '')
        const rows = await listMetrics(c.env.DB, search, limit + 1, after)
        const page = toPage(rows, limit, ({ key }) => [key])
        return c.json({ metrics: page.rows.map(toJson), nextCursor: page.nextCursor }, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/metrics/{metric}',
        operationId: 'getMetric',
        tags: ['Metrics'],
        summary: 'One metric',
        request: { params: ofMetric },
        responses: { 200: json(metric, 'The metric.'), ...refusals },
      }),
      async (c) => {
        const refusal = refusalFor(c.var.actor, 'viewer')
        if (refusal) return refuse(c, refusal)
        const { metric: key } = c.req.valid('param')
        const found = await loadMetric(c.env.DB, key)
        return found
          ? c.json(toJson(found), 200, { etag: `"${found.revision}"` })
          : refuse(c, notFound(`metric "${key}"`))
      },
    )
    .openapi(
      createRoute({
        method: 'put',
        path: '/api/v1/metrics/{metric}',
        operationId: 'saveMetric',
        tags: ['Metrics'],
        summary: 'Define a metric, or change it in every environment',
        request: { params: ofMetric, headers: revisionHeaders, body: body(metricDraft) },
        responses: changeAnswers('metric.save'),
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const { comment, applyAt, ...draft } = c.req.valid('json')
        const operation = { kind: 'metric.save', ...c.req.valid('param'), draft, revision } as const
        return answerOperation(c, observations, operation, { comment, applyAt })
      },
    )
    .openapi(
      createRoute({
        method: 'delete',
        path: '/api/v1/metrics/{metric}',
        operationId: 'deleteMetric',
        tags: ['Metrics'],
        summary: 'Delete a metric that no measurement watches',
        request: { params: ofMetric, headers: revisionHeaders, query: deletion },
        responses: changeAnswers('metric.delete'),
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const operation = { kind: 'metric.delete', ...c.req.valid('param'), revision } as const
        return answerOperation(c, observations, operation, c.req.valid('query'))
      },
    )
}
