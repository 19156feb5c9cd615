import { createRoute, z } from '@hono/zod-openapi'
import { authorOf, type Management, refusalFor } from '../../access/management.ts'
import { parseCursor, toPage } from '../../http/paging.ts'
import { refuse } from '../../http/problem.ts'
import { REVISION_REQUIRED, revisionOf } from '../../http/revision.ts'
import { createRouter } from '../../http/router.ts'
import {
  body,
  changeRefusals,
  changeRefusedWith,
  json,
  nextCursor,
  READ,
  refusals,
  refusedWith,
  revisionHeaders,
} from '../../http/schemas.ts'
import { askShards } from '../../telemetry/reading/ask-shards.ts'
import { carryOut, deedRefusal, findIncident, loadTimeline, shown } from './answer.ts'
import { acknowledge, addNote, resolve, writePostMortem } from './incident-deeds.ts'
import { listIncidents } from './incident-store.ts'
import { toMarkdown } from './markdown.ts'
import { openByHand } from './open-by-hand.ts'
import { retirementOf } from './retirement.ts'
import {
  affectedUnits,
  incident,
  incidentDraft,
  incidentFilter,
  incidentFormat,
  incidentWithTimeline,
  note,
  ofIncident,
  postMortem,
  reason,
  resolution,
  unitsQuery,
} from './schemas.ts'

// As any text, because for its end the router's types take it for JSON.
const MARKDOWN: string = 'text/markdown'

const MARKDOWN_EXAMPLE = '# new-checkout in production: "on" was taken back\n'

/** Incidents: what went wrong, what was done, what came of it. */
export function createIncidentRoutes() {
  return createRouter<Management>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/incidents',
        operationId: 'listIncidents',
        tags: ['Incidents'],
        summary: 'Incidents of the environments that one reaches, newest first',
        request: { query: incidentFilter },
        responses: {
          200: json(z.object({ incidents: z.array(incident), nextCursor }), 'A page of them.'),
          ...refusals,
        },
      }),
      async (c) => {
        const { limit, cursor, ...asked } = c.req.valid('query')
        const { actor } = c.var
        const refusal = refusalFor(actor, 'viewer', asked.environment)
        if (refusal) return refuse(c, refusal)
        const [createdAt, id] = (cursor === undefined ? undefined : parseCursor(cursor)) ?? []
        const after = typeof createdAt === 'number' && typeof id === 'string' ? { createdAt, id } : undefined
        const filter = { ...asked, environments: actor.environments }
        const found = await listIncidents(c.env.DB, filter, limit + 1, after)
        const page = toPage(found, limit, (row) => [row.createdAt, row.id])
        return c.json({ incidents: page.rows.map(shown), nextCursor: page.nextCursor }, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/incidents/{id}',
        operationId: 'getIncident',
        tags: ['Incidents'],
        summary: 'One incident with its timeline, or as a Markdown document',
        request: { params: ofIncident, query: incidentFormat },
        responses: {
          200: {
            description: 'The incident.',
            content: {
              'application/json': { schema: incidentWithTimeline },
              [MARKDOWN]: { schema: z.string().openapi({ example: MARKDOWN_EXAMPLE }) },
            },
          },
          ...refusals,
        },
      }),
      async (c) => {
        const found = await findIncident(c, c.req.valid('param').id, 'viewer')
        if (!found.ok) return refuse(c, found.error)
        const timeline = await loadTimeline(c.env.DB, found.value)
        if (c.req.valid('query').format === 'markdown') {
          return c.body(toMarkdown(found.value, timeline), 200, {
            'content-type': `${MARKDOWN}; charset=utf-8`,
            'content-disposition': `attachment; filename="incident-${found.value.id}.md"`,
          })
        }
        const etag = `"${found.value.revision}"`
        return c.json({ ...shown(found.value), timeline }, 200, { etag })
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/incidents/{id}/units',
        operationId: 'listAffectedUnits',
        tags: ['Incidents'],
        summary: 'How many units were affected, and some of them while they are counted',
        request: { params: ofIncident, query: unitsQuery },
        responses: { 200: json(affectedUnits, 'Hashes of units.'), ...refusedWith(READ) },
      }),
      async (c) => {
        const found = await findIncident(c, c.req.valid('param').id, 'viewer')
        if (!found.ok) return refuse(c, found.error)
        const { rollout: measurement, environment, facts } = found.value
        const { limit } = c.req.valid('query')
        const { affected, audiences } = facts
        if (measurement === null) return c.json({ affected, sample: [], partial: false }, 200)
        const query = { measurement, arm: 't', limit, ...(audiences === null ? {} : { audiences }) }
        const { answers, partial } = await askShards(c.env, environment, (shard) => shard.sampleUnits(query))
        return c.json({ affected, sample: answers.flat().slice(0, limit), partial }, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/incidents',
        operationId: 'openIncident',
        tags: ['Incidents'],
        summary: 'Open an incident by hand',
        request: { body: body(incidentDraft) },
        responses: { 201: json(incident, 'The incident.'), ...changeRefusedWith({ 404: ['not_found'] }) },
      }),
      async (c) => {
        const { comment, ...draft } = c.req.valid('json')
        const refusal = refusalFor(c.var.actor, 'developer', draft.environment)
        if (refusal) return refuse(c, refusal)
        const opened = await openByHand(c.env.DB, draft, authorOf(c, comment))
        if (!opened.ok) return refuse(c, opened.error)
        return c.json(shown(opened.value), 201, { etag: '"1"' })
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/incidents/{id}/acknowledge',
        operationId: 'acknowledgeIncident',
        tags: ['Incidents'],
        summary: 'Say that one looks after it',
        request: { params: ofIncident, body: body(reason) },
        responses: {
          200: json(incident, 'The incident.'),
          ...changeRefusedWith({
            404: ['not_found'],
            409: ['already_acknowledged', 'resolved'],
            412: ['stale'],
          }),
        },
      }),
      async (c) => {
        const found = await findIncident(c, c.req.valid('param').id, 'developer')
        if (!found.ok) return refuse(c, found.error)
        const { comment } = c.req.valid('json')
        const done = acknowledge(found.value, comment, { actor: c.var.actor.id, now: Date.now() })
        return done.ok ? carryOut(c, done.value, comment) : refuse(c, deedRefusal(done.error))
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/incidents/{id}/resolve',
        operationId: 'resolveIncident',
        tags: ['Incidents'],
        summary: 'Say that it is over, and how it ended',
        request: { params: ofIncident, body: body(resolution) },
        responses: {
          200: json(incident, 'The incident.'),
          ...changeRefusedWith({ 404: ['not_found'], 409: ['resolved', 'rolling_back'], 412: ['stale'] }),
        },
      }),
      async (c) => {
        const found = await findIncident(c, c.req.valid('param').id, 'releaser')
        if (!found.ok) return refuse(c, found.error)
        const { resolution: how, comment } = c.req.valid('json')
        const { rollout, verification } = found.value
        const done = resolve(found.value, how, { actor: c.var.actor.id, now: Date.now() })
        if (!done.ok) return refuse(c, deedRefusal(done.error))
        const isCounted = rollout !== null && verification === 'pending'
        return carryOut(c, done.value, comment, isCounted ? await retirementOf(c.env.DB, rollout) : {})
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/incidents/{id}/notes',
        operationId: 'noteIncident',
        tags: ['Incidents'],
        summary: 'Note something about it',
        request: { params: ofIncident, body: body(note) },
        responses: { 200: json(incident, 'The incident.'), ...changeRefusals },
      }),
      async (c) => {
        const found = await findIncident(c, c.req.valid('param').id, 'developer')
        if (!found.ok) return refuse(c, found.error)
        return carryOut(c, addNote(found.value, c.req.valid('json').words), '')
      },
    )
    .openapi(
      createRoute({
        method: 'put',
        path: '/api/v1/incidents/{id}/post-mortem',
        operationId: 'savePostMortem',
        tags: ['Incidents'],
        summary: 'Write down what was learned from it',
        request: { params: ofIncident, headers: revisionHeaders, body: body(postMortem) },
        responses: {
          200: json(incident, 'The incident.'),
          ...changeRefusedWith({ 404: ['not_found'], 412: ['stale'], 428: ['revision_required'] }),
        },
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const found = await findIncident(c, c.req.valid('param').id, 'releaser')
        if (!found.ok) return refuse(c, found.error)
        const { postMortem: text, comment } = c.req.valid('json')
        return carryOut(c, writePostMortem({ ...found.value, revision }, text), comment)
      },
    )
}
