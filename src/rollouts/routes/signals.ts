import { createRoute, z } from '@hono/zod-openapi'
import { authorOf, type Management, refusalFor } from '../../access/management.ts'
import { toRefusal } from '../../catalog/refusals.ts'
import { parseCursor, toPage } from '../../http/paging.ts'
import { refuse } from '../../http/problem.ts'
import { createRouter } from '../../http/router.ts'
import {
  body,
  changeRefusedWith,
  instant,
  json,
  nextCursor,
  pageQuery,
  refusals,
} from '../../http/schemas.ts'
import { findReached } from '../perform.ts'
import { deedRefusal } from '../refusals.ts'
import { ofRollout } from '../schemas.ts'
import { giveSignal, listSignals } from '../signals.ts'

const text = z.string().max(2_000)

const signalFields = {
  kind: z.string().min(1).max(100).openapi({
    description: 'What it is about; a plan names which kinds hold it, take it back, or open a gate.',
    example: 'ci-green',
  }),
  passed: z.boolean(),
  link: text.openapi({ description: 'Where there is more of it.', example: 'https://ci.example/runs/42' }),
  note: text.openapi({ example: 'All 2,314 tests' }),
}

const signal = z
  .object({
    id: z.string().openapi({ example: '0a1b2c3d4e5f6a7b' }),
    ...signalFields,
    at: instant,
    author: z.string().openapi({ example: 'ci' }),
  })
  .openapi('RolloutSignal')

const signalDraft = z
  .strictObject({
    ...signalFields,
    link: signalFields.link.default(''),
    note: signalFields.note.default(''),
  })
  .openapi('RolloutSignalDraft')

/** Signals: the door for everything outside. */
export function createSignalRoutes() {
  return createRouter<Management>()
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/rollouts/{id}/signals',
        operationId: 'giveSignal',
        tags: ['Rollouts'],
        summary:
          'Tell a rollout that something passed or failed; the role signaller can do this and nothing else',
        request: { params: ofRollout, body: body(signalDraft) },
        responses: {
          201: json(signal, 'It is written down; the clock acts on it at its next tick.'),
          ...changeRefusedWith({ 404: ['not_found'], 409: ['wrong_state'], 412: ['stale'] }),
        },
      }),
      async (c) => {
        const refusal = refusalFor(c.var.actor, 'signaller')
        if (refusal) return refuse(c, refusal)
        const found = await findReached(c.env.DB, c.var.actor, c.req.valid('param').id)
        if (!found.ok) return refuse(c, found.error)
        const draft = c.req.valid('json')
        const given = await giveSignal(c.env.DB, found.value.rollout, draft, authorOf(c, draft.note))
        if (given.ok) return c.json(given.value, 201)
        return refuse(
          c,
          given.error.reason === 'wrong_state' ? deedRefusal(given.error) : toRefusal(given.error),
        )
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/rollouts/{id}/signals',
        operationId: 'listSignals',
        tags: ['Rollouts'],
        summary: 'What a rollout was told from outside, newest first',
        request: { params: ofRollout, query: pageQuery },
        responses: {
          200: json(z.object({ signals: z.array(signal), nextCursor }), 'A page of signals.'),
          ...refusals,
        },
      }),
      async (c) => {
        const refusal = refusalFor(c.var.actor, 'viewer')
        if (refusal) return refuse(c, refusal)
        const { id } = c.req.valid('param')
        const found = await findReached(c.env.DB, c.var.actor, id)
        if (!found.ok) return refuse(c, found.error)
        const { limit, cursor } = c.req.valid('query')
        const [at, last] = (cursor === undefined ? undefined : parseCursor(cursor)) ?? []
        const after = last === undefined ? undefined : { at: Number(at), id: String(last) }
        const rows = await listSignals(c.env.DB, id, limit + 1, after)
        const page = toPage(rows, limit, (row) => [row.at, row.id])
        return c.json({ signals: [...page.rows], nextCursor: page.nextCursor }, 200)
      },
    )
}
