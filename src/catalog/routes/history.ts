import { createRoute, z } from '@hono/zod-openapi'
import { type Actor, reaches } from '../../access/actor.ts'
import { type Management, refusalFor } from '../../access/management.ts'
import { parseCursor, toPage } from '../../http/paging.ts'
import { type Refusal, refuse } from '../../http/problem.ts'
import { REVISION_REQUIRED, revisionOf } from '../../http/revision.ts'
import { createRouter } from '../../http/router.ts'
import {
  body,
  comment,
  instant,
  json,
  nextCursor,
  pageQuery,
  refusals,
  revisionHeaders,
} from '../../http/schemas.ts'
import { changeAnswers } from '../change-answers.ts'
import { diffDocuments } from '../diff.ts'
import { configurationDraft, flagDraft } from '../flag-schemas.ts'
import { loadConfiguration } from '../flag-store.ts'
import { metricDraft, ofMetric } from '../metric-schemas.ts'
import { listRevisions, loadRevision, type RevisionEntry, type RevisionPosition } from '../revision-list.ts'
import { anyJson, environmentKey, ofFlag, ofSegment } from '../schemas.ts'
import { withSeedsOf } from '../seeds.ts'
import { segmentDraft } from '../segment-schemas.ts'
import { answerOperation, notFound, type Observations } from './answer.ts'

const difference = z.object({
  path: z.string().openapi({ example: 'enabled' }),
  kind: z.enum(['added', 'removed', 'changed', 'moved']),
  before: anyJson.optional().openapi({ example: false }),
  after: anyJson.optional().openapi({ example: true }),
  text: z.string().openapi({ example: 'switched on' }),
})

const revisionEntry = z
  .object({
    kind: z.enum(['flag', 'configuration', 'segment', 'environment', 'metric']),
    environment: z.string().openapi({
      description: "Empty for a flag's definition and for a metric.",
      example: 'production',
    }),
    key: z.string().openapi({ example: 'new-checkout' }),
    revision: z.number().int().openapi({ example: 3 }),
    actor: z.string().openapi({ example: 'ada@example.com' }),
    comment: z.string().openapi({ example: 'Everybody may have it now' }),
    at: instant,
    environments: z.record(z.string(), z.number().int()).openapi({
      description: 'The environments that it touched, and the version that it brought to each.',
      example: { production: 42 },
    }),
    differences: z.array(difference),
  })
  .openapi('Revision')

const page = json(z.object({ revisions: z.array(revisionEntry), nextCursor }), 'A page, newest first.')

const restored = {
  revision: z.number().int().min(1).openapi({ description: 'The revision to go back to.', example: 3 }),
  comment,
  applyAt: flagDraft.shape.applyAt,
}

const flagRestore = z
  .strictObject({
    ...restored,
    environment: environmentKey
      .optional()
      .openapi({ description: "Whose configuration to restore; left out: the flag's definition." }),
    allowMoves: configurationDraft.shape.allowMoves,
  })
  .openapi('FlagRestore')

const GONE: Refusal = { status: 409, code: 'deleted', message: 'it was deleted at that revision' }

/** A revision without the environments that an actor does not reach. */
function toEntry({ body, before, ...entry }: RevisionEntry, actor: Actor): z.output<typeof revisionEntry> {
  // Mutable only in its type.
  const differences = diffDocuments(entry.kind, before, body) as z.output<typeof difference>[]
  const reached = Object.entries(entry.environments).filter(([environment]) => reaches(actor, environment))
  return { ...entry, environments: Object.fromEntries(reached), differences }
}

function positionOf({ at, environment, revision }: RevisionEntry): readonly (string | number)[] {
  return [at, environment, revision]
}

function toPosition(cursor: string | undefined): RevisionPosition | undefined {
  const [at, environment, revision] = (cursor === undefined ? undefined : parseCursor(cursor)) ?? []
  if (typeof at !== 'number' || typeof environment !== 'string' || typeof revision !== 'number') {
    return undefined
  }
  return { at, environment, revision }
}

/** What was before: every revision with who, when and why, and the way back. */
export function createHistoryRoutes(observations: Observations) {
  return createRouter<Management>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/flags/{flag}/history',
        operationId: 'listFlagHistory',
        tags: ['History'],
        summary: 'Revisions of a flag: its definition, and its configurations',
        request: { params: ofFlag, query: pageQuery.extend({ environment: environmentKey.optional() }) },
        responses: { 200: page, ...refusals },
      }),
      async (c) => {
        const { flag } = c.req.valid('param')
        const { limit, cursor, environment } = c.req.valid('query')
        const { actor } = c.var
        const refusal = refusalFor(actor, 'viewer', environment)
        if (refusal) return refuse(c, refusal)
        const environments = environment === undefined ? actor.environments : [environment]
        const subject = { flag, environments }
        const rows = await listRevisions(c.env.DB, subject, limit + 1, toPosition(cursor))
        if (rows.length === 0 && cursor === undefined) return refuse(c, notFound(`history of "${flag}"`))
        const { rows: shown, nextCursor } = toPage(rows, limit, positionOf)
        return c.json({ revisions: shown.map((entry) => toEntry(entry, c.var.actor)), nextCursor }, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/flags/{flag}/restore',
        operationId: 'restoreFlag',
        tags: ['History'],
        summary: "Make a flag's definition, or its configuration in an environment, what it was",
        request: { params: ofFlag, headers: revisionHeaders, body: body(flagRestore) },
        responses: changeAnswers('configuration.save', { 409: ['deleted'] }),
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const { flag } = c.req.valid('param')
        const { revision: wanted, environment, allowMoves, comment, applyAt } = c.req.valid('json')
        if (environment !== undefined && !reaches(c.var.actor, environment)) {
          return refuse(c, refusalFor(c.var.actor, 'viewer', environment) ?? GONE)
        }
        const kind = environment === undefined ? 'flag' : 'configuration'
        const found = await loadRevision(c.env.DB, kind, environment ?? '', flag, wanted)
        if (found === undefined) return refuse(c, notFound(`revision ${wanted} of "${flag}"`))
        if (found === null) return refuse(c, GONE)
        if (environment !== undefined) {
          const current = await loadConfiguration(c.env.DB, flag, environment)
          const operation = {
            kind: 'configuration.save',
            flag,
            environment,
            // A place that splits again since then has a seed of its own, which stays.
            draft: withSeedsOf(found, current?.configuration),
            revision,
            allowMoves,
          } as const
          return answerOperation(c, observations, operation, { comment, applyAt })
        }
        const { archived: _, ...stored } = found
        const draft = flagDraft.omit({ comment: true, applyAt: true }).parse(stored)
        const operation = { kind: 'flag.save', flag, draft, revision } as const
        return answerOperation(c, observations, operation, { comment, applyAt })
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/environments/{environment}/segments/{segment}/history',
        operationId: 'listSegmentHistory',
        tags: ['History'],
        summary: 'Revisions of a segment',
        request: { params: ofSegment, query: pageQuery },
        responses: { 200: page, ...refusals },
      }),
      async (c) => {
        const { environment, segment } = c.req.valid('param')
        const refusal = refusalFor(c.var.actor, 'viewer', environment)
        if (refusal) return refuse(c, refusal)
        const { limit, cursor } = c.req.valid('query')
        const subject = { segment, environment }
        const rows = await listRevisions(c.env.DB, subject, limit + 1, toPosition(cursor))
        if (rows.length === 0 && cursor === undefined) {
          return refuse(c, notFound(`history of "${segment}" in "${environment}"`))
        }
        const { rows: shown, nextCursor } = toPage(rows, limit, positionOf)
        return c.json({ revisions: shown.map((entry) => toEntry(entry, c.var.actor)), nextCursor }, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/environments/{environment}/segments/{segment}/restore',
        operationId: 'restoreSegment',
        tags: ['History'],
        summary: 'Make a segment what it was',
        request: {
          params: ofSegment,
          headers: revisionHeaders,
          body: body(z.strictObject(restored).openapi('SegmentRestore')),
        },
        responses: changeAnswers('segment.save', { 409: ['deleted'] }),
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const { environment, segment } = c.req.valid('param')
        const refusal = refusalFor(c.var.actor, 'viewer', environment)
        if (refusal) return refuse(c, refusal)
        const { revision: wanted, comment, applyAt } = c.req.valid('json')
        const found = await loadRevision(c.env.DB, 'segment', environment, segment, wanted)
        if (found === undefined) return refuse(c, notFound(`revision ${wanted} of "${segment}"`))
        if (found === null) return refuse(c, GONE)
        const draft = segmentDraft.omit({ comment: true, applyAt: true }).parse(found)
        const operation = { kind: 'segment.save', environment, segment, draft, revision } as const
        return answerOperation(c, observations, operation, { comment, applyAt })
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/metrics/{metric}/history',
        operationId: 'listMetricHistory',
        tags: ['History'],
        summary: 'Revisions of a metric',
        request: { params: ofMetric, query: pageQuery },
        responses: { 200: page, ...refusals },
      }),
      async (c) => {
        const refusal = refusalFor(c.var.actor, 'viewer')
        if (refusal) return refuse(c, refusal)
        const { metric } = c.req.valid('param')
        const { limit, cursor } = c.req.valid('query')
        const rows = await listRevisions(c.env.DB, { metric }, limit + 1, toPosition(cursor))
        if (rows.length === 0 && cursor === undefined) return refuse(c, notFound(`history of "${metric}"`))
        const { rows: shown, nextCursor } = toPage(rows, limit, positionOf)
        return c.json({ revisions: shown.map((entry) => toEntry(entry, c.var.actor)), nextCursor }, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/metrics/{metric}/restore',
        operationId: 'restoreMetric',
        tags: ['History'],
        summary: 'Make a metric what it was',
        request: {
          params: ofMetric,
          headers: revisionHeaders,
          body: body(z.strictObject(restored).openapi('MetricRestore')),
        },
        responses: changeAnswers('metric.save', { 404: ['not_found'], 409: ['deleted'] }),
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const refusal = refusalFor(c.var.actor, 'viewer')
        if (refusal) return refuse(c, refusal)
        const { metric } = c.req.valid('param')
        const { revision: wanted, comment, applyAt } = c.req.valid('json')
        const found = await loadRevision(c.env.DB, 'metric', '', metric, wanted)
        if (found === undefined) return refuse(c, notFound(`revision ${wanted} of "${metric}"`))
        if (found === null) return refuse(c, GONE)
        const draft = metricDraft.omit({ comment: true, applyAt: true }).parse(found)
        const operation = { kind: 'metric.save', metric, draft, revision } as const
        return answerOperation(c, observations, operation, { comment, applyAt })
      },
    )
}
