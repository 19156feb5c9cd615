import { createRoute, z } from '@hono/zod-openapi'
import { authorOf, type Management, refusalFor } from '../../access/management.ts'
import { toRefusal } from '../../catalog/refusals.ts'
import { parseCursor, toPage } from '../../http/paging.ts'
import { refuse } from '../../http/problem.ts'
import { REVISION_REQUIRED, revisionOf } from '../../http/revision.ts'
import { createRouter } from '../../http/router.ts'
import {
  body,
  changeRefusedWith,
  comment,
  json,
  nextCursor,
  type RefusalCodes,
  refusals,
  revisionHeaders,
} from '../../http/schemas.ts'
import { changeDraft, createDraft, deleteDraft } from '../drafts.ts'
import { findReached } from '../perform.ts'
import { draftRefusal } from '../refusals.ts'
import { listRolloutsWithDrafts } from '../rollout-list.ts'
import { type RolloutView, toView } from '../rollout-view.ts'
import { draftPatch, newDraft, ofRollout, rollout, rolloutFilter } from '../schemas.ts'

const DRAFT: RefusalCodes = {
  404: ['not_found'],
  409: ['archived'],
  412: ['stale'],
  422: ['invalid'],
}

type Shown = z.output<typeof rollout>

// Mutable only in its type.
const shown = (view: object) => view as unknown as Shown

/** Rollouts: their plans, while they are drafts. */
export function createRolloutRoutes() {
  return createRouter<Management>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/rollouts',
        operationId: 'listRollouts',
        tags: ['Rollouts'],
        summary: 'Rollouts, newest first; of an environment, a flag, in a state',
        request: { query: rolloutFilter },
        responses: {
          200: json(z.object({ rollouts: z.array(rollout), nextCursor }), 'A page of rollouts.'),
          ...refusals,
        },
      }),
      async (c) => {
        const { limit, cursor, environment, flag, state } = c.req.valid('query')
        const refusal = refusalFor(c.var.actor, 'viewer', environment)
        if (refusal) return refuse(c, refusal)
        const [createdAt, id] = (cursor === undefined ? undefined : parseCursor(cursor)) ?? []
        const after = id === undefined ? undefined : { createdAt: Number(createdAt), id: String(id) }
        const { environments } = c.var.actor
        const states = state === undefined ? undefined : [state]
        const filter = { environment, flag, states, environments }
        const found = await listRolloutsWithDrafts(c.env.DB, filter, limit + 1, after)
        const page = toPage(found, limit, ({ rollout }) => [rollout.createdAt, rollout.id])
        const rollouts = page.rows.map((row) => shown(toView(row.rollout, row.draft)))
        return c.json({ rollouts, nextCursor: page.nextCursor }, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/rollouts',
        operationId: 'createRollout',
        tags: ['Rollouts'],
        summary: 'Plan a rollout: a draft, of which nothing is at the edge',
        request: { body: body(newDraft) },
        responses: { 201: json(rollout, 'The draft.'), ...changeRefusedWith(DRAFT) },
      }),
      async (c) => {
        const { plan, comment } = c.req.valid('json')
        const environment = typeof plan?.environment === 'string' ? plan.environment : undefined
        const refusal = refusalFor(c.var.actor, 'developer', environment)
        if (refusal) return refuse(c, refusal)
        const created = await createDraft(c.env.DB, plan ?? {}, authorOf(c, comment))
        if (!created.ok) return refuse(c, toRefusal(created.error))
        return c.json(shown(created.value.body), 201, { etag: '"1"' })
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/rollouts/{id}',
        operationId: 'getRollout',
        tags: ['Rollouts'],
        summary: 'One rollout: its plan, and how far it has come',
        request: { params: ofRollout },
        responses: { 200: json(rollout, 'The rollout.'), ...refusals },
      }),
      async (c) => {
        const refusal = refusalFor(c.var.actor, 'viewer')
        if (refusal) return refuse(c, refusal)
        const found = await findReached(c.env.DB, c.var.actor, c.req.valid('param').id)
        if (!found.ok) return refuse(c, found.error)
        const view: RolloutView = toView(found.value.rollout, found.value.draft)
        return c.json(shown(view), 200, { etag: `"${view.revision}"` })
      },
    )
    .openapi(
      createRoute({
        method: 'patch',
        path: '/api/v1/rollouts/{id}',
        operationId: 'changeRollout',
        tags: ['Rollouts'],
        summary: 'Change the plan of a draft',
        request: { params: ofRollout, headers: revisionHeaders, body: body(draftPatch) },
        responses: {
          200: json(rollout, 'The draft.'),
          ...changeRefusedWith(DRAFT, { 409: ['not_a_draft'], 428: ['revision_required'] }),
        },
      }),
      async (c) => {
        const refusal = refusalFor(c.var.actor, 'developer')
        if (refusal) return refuse(c, refusal)
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const { plan, comment } = c.req.valid('json')
        const found = await findReached(c.env.DB, c.var.actor, c.req.valid('param').id)
        if (!found.ok) return refuse(c, found.error)
        const changed = await changeDraft(c.env.DB, found.value, plan, revision, authorOf(c, comment))
        if (!changed.ok) return refuse(c, draftRefusal(changed.error))
        return c.json(shown(changed.value.body), 200, { etag: `"${revision + 1}"` })
      },
    )
    .openapi(
      createRoute({
        method: 'delete',
        path: '/api/v1/rollouts/{id}',
        operationId: 'deleteRollout',
        tags: ['Rollouts'],
        summary: 'Throw a draft away',
        request: { params: ofRollout, headers: revisionHeaders, query: z.object({ comment }) },
        responses: {
          200: json(z.object({ id: ofRollout.shape.id }), 'It is gone.'),
          ...changeRefusedWith({
            404: ['not_found'],
            409: ['not_a_draft'],
            412: ['stale'],
            428: ['revision_required'],
          }),
        },
      }),
      async (c) => {
        const refusal = refusalFor(c.var.actor, 'developer')
        if (refusal) return refuse(c, refusal)
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const { id } = c.req.valid('param')
        const found = await findReached(c.env.DB, c.var.actor, id)
        if (!found.ok) return refuse(c, found.error)
        const author = authorOf(c, c.req.valid('query').comment)
        const deleted = await deleteDraft(c.env.DB, found.value, revision, author)
        return deleted.ok ? c.json({ id }, 200) : refuse(c, draftRefusal(deleted.error))
      },
    )
}
