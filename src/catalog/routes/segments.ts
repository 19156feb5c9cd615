import { createRoute, z } from '@hono/zod-openapi'
import { type Management, refusalFor } from '../../access/management.ts'
import { parseCursor, toPage } from '../../http/paging.ts'
import { refuse } from '../../http/problem.ts'
import { REVISION_REQUIRED, revisionOf } from '../../http/revision.ts'
import { createRouter } from '../../http/router.ts'
import { body, json, nextCursor, pageQuery, refusals, revisionHeaders } from '../../http/schemas.ts'
import { changeAnswers } from '../change-answers.ts'
import { loadEnvironment } from '../environments.ts'
import { deletion, inEnvironment, ofSegment } from '../schemas.ts'
import { segment, segmentDraft } from '../segment-schemas.ts'
import { listSegments, loadSegment, type StoredSegment } from '../segments.ts'
import { answerOperation, notFound, type Observations } from './answer.ts'

function toJson({ included, excluded, ...rest }: StoredSegment) {
  return { ...rest, included: [...included], excluded: [...excluded] }
}

/** Segments: named audiences of one environment. */
export function createSegmentRoutes(observations: Observations) {
  return createRouter<Management>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/environments/{environment}/segments',
        operationId: 'listSegments',
        tags: ['Segments'],
        summary: 'Segments of an environment, by key',
        request: { params: inEnvironment, query: pageQuery },
        responses: {
          200: json(z.object({ segments: z.array(segment), nextCursor }), 'A page of segments.'),
          ...refusals,
        },
      }),
      async (c) => {
        const { environment } = c.req.valid('param')
        const refusal = refusalFor(c.var.actor, 'viewer', environment)
        if (refusal) return refuse(c, refusal)
        const { limit, cursor } = c.req.valid('query')
        const after = cursor === undefined ? '' : String(parseCursor(cursor)?.[0] ?? '')
        const [rows, found] = await Promise.all([
          listSegments(c.env.DB, environment, limit + 1, after),
          loadEnvironment(c.env.DB, environment),
        ])
        if (!found) return refuse(c, notFound(`environment "${environment}"`))
        const page = toPage(rows, limit, ({ key }) => [key])
        return c.json({ segments: page.rows.map(toJson), nextCursor: page.nextCursor }, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/environments/{environment}/segments/{segment}',
        operationId: 'getSegment',
        tags: ['Segments'],
        summary: 'One segment',
        request: { params: ofSegment },
        responses: { 200: json(segment, 'The segment.'), ...refusals },
      }),
      async (c) => {
        const { environment, segment: key } = c.req.valid('param')
        const refusal = refusalFor(c.var.actor, 'viewer', environment)
        if (refusal) return refuse(c, refusal)
        const found = await loadSegment(c.env.DB, environment, key)
        return found
          ? c.json(toJson(found), 200, { etag: `"${found.revision}"` })
          : refuse(c, notFound(`segment "${key}" in "${environment}"`))
      },
    )
    .openapi(
      createRoute({
        method: 'put',
        path: '/api/v1/environments/{environment}/segments/{segment}',
        operationId: 'saveSegment',
        tags: ['Segments'],
        summary: 'Make a segment or change it',
        request: { params: ofSegment, headers: revisionHeaders, body: body(segmentDraft) },
        responses: changeAnswers('segment.save'),
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const { comment, applyAt, ...draft } = c.req.valid('json')
        const operation = { kind: 'segment.save', ...c.req.valid('param'), draft, revision } as const
        return answerOperation(c, observations, operation, { comment, applyAt })
      },
    )
    .openapi(
      createRoute({
        method: 'delete',
        path: '/api/v1/environments/{environment}/segments/{segment}',
        operationId: 'deleteSegment',
        tags: ['Segments'],
        summary: 'Delete a segment that nothing names',
        request: { params: ofSegment, headers: revisionHeaders, query: deletion },
        responses: changeAnswers('segment.delete'),
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const operation = { kind: 'segment.delete', ...c.req.valid('param'), revision } as const
        return answerOperation(c, observations, operation, c.req.valid('query'))
      },
    )
}
