import { createRoute, z } from '@hono/zod-openapi'
import type { Management } from '../../access/management.ts'
import { parseCursor, toPage } from '../../http/paging.ts'
import { refuse } from '../../http/problem.ts'
import { createRouter } from '../../http/router.ts'
import { body, changeRefusedWith, json, nextCursor, pageQuery, refusals } from '../../http/schemas.ts'
import { type Delivery, deliveryRetry, listDeliveries, loadDelivery } from '../channel-store.ts'
import { delivery, deliveryFilter, ofChannel, ofDelivery, reason } from '../schemas.ts'
import { commitChannel, type Environments, findChannel, notFound } from './answer.ts'

function shown({ id, notice, body, state, attempts, nextAt, lastError, createdAt, finishedAt }: Delivery) {
  const { kind, title } = body
  const next = state === 'due' ? nextAt : null
  return { id, notice, kind, title, state, attempts, nextAt: next, lastError, createdAt, finishedAt }
}

/** Deliveries: what channels were told, are still to be told, or could not be. */
export function createDeliveryRoutes(environments: Environments) {
  return createRouter<Management>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/channels/{id}/deliveries',
        operationId: 'listDeliveries',
        tags: ['Notifications'],
        summary: 'What a channel was told in the last days, or could not be',
        request: { params: ofChannel, query: pageQuery.extend(deliveryFilter.shape) },
        responses: {
          200: json(z.object({ deliveries: z.array(delivery), nextCursor }), 'A page of them, newest first.'),
          ...refusals,
        },
      }),
      async (c) => {
        const found = await findChannel(c, c.req.valid('param').id, 'viewer')
        if (!found.ok) return refuse(c, found.error)
        const { limit, cursor, state } = c.req.valid('query')
        const [before] = (cursor === undefined ? undefined : parseCursor(cursor)) ?? []
        const below = typeof before === 'number' ? before : undefined
        const rows = await listDeliveries(c.env.DB, found.value, state, limit + 1, below)
        const page = toPage(rows, limit, ({ id }) => [id])
        return c.json({ deliveries: page.rows.map(shown), nextCursor: page.nextCursor }, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/channels/{id}/deliveries/{delivery}/retry',
        operationId: 'retryDelivery',
        tags: ['Notifications'],
        summary: 'Try again what was given up',
        request: { params: ofDelivery, body: body(reason) },
        responses: {
          200: json(delivery, 'It is tried within a minute.'),
          ...changeRefusedWith({ 404: ['not_found'], 409: ['not_dead'] }),
        },
      }),
      async (c) => {
        const { id, delivery: number } = c.req.valid('param')
        const channel = await findChannel(c, id, 'releaser')
        if (!channel.ok) return refuse(c, channel.error)
        const found = /^\d{1,15}$/.test(number) ? await loadDelivery(c.env.DB, id, Number(number)) : undefined
        if (!found) return refuse(c, notFound(`delivery "${number}"`))
        const now = Date.now()
        const again = shown({ ...found, state: 'due', attempts: 0, nextAt: now, finishedAt: null })
        const fault = await commitChannel(c, environments, {
          action: 'delivery.retry',
          channel: channel.value,
          comment: c.req.valid('json').comment,
          ...deliveryRetry(found, now),
          details: { delivery: found.id, notice: found.notice },
          answer: { status: 200, body: again, shows: [] },
        })
        return fault ? refuse(c, fault) : c.json(again, 200)
      },
    )
}
