import { createRoute, z } from '@hono/zod-openapi'
import { authorOf, type Management, refusalFor } from '../../access/management.ts'
import { toRefusal } from '../../catalog/refusals.ts'
import { shown } from '../../catalog/schemas.ts'
import type { JsonObject } from '../../engine/json.ts'
import { parseCursor, toPage } from '../../http/paging.ts'
import { type Refusal, refuse } from '../../http/problem.ts'
import { createRouter } from '../../http/router.ts'
import {
  body,
  changeRefusedWith,
  comment,
  instant,
  instantText,
  json,
  nextCursor,
  pageQuery,
  refusals,
} from '../../http/schemas.ts'
import { holdBacktest, holdDrill, type KeptDrill, listDrills } from '../drills.ts'
import { parseDuration } from '../durations.ts'
import { findReached } from '../perform.ts'
import { ofRollout } from '../schemas.ts'

const HOUR_MS = 3_600_000
const MAX_EXPECTED_MS = 6 * HOUR_MS

const kept = z
  .object({
    id: z.string().openapi({ example: '0a1b2c3d4e5f6a7b' }),
    kind: z.enum(['drill', 'backtest']),
    at: instant,
    actor: z.string().openapi({ example: 'ada@example.com' }),
    request: shown<JsonObject>().openapi({ description: 'What was asked for.' }),
    result: shown<JsonObject>().openapi({
      description:
        'What would have been done, after how long, at how many units; and the evidence on its way.',
    }),
  })
  .openapi('RolloutDrill', {
    example: {
      id: '0a1b2c3d4e5f6a7b',
      kind: 'drill',
      at: 1_795_000_000_000,
      actor: 'ada@example.com',
      request: { guardrail: 'checkout-error-regression', size: 2, seed: 1 },
      result: { trip: { afterMs: 240_000, deed: 'rollback' }, lastedMs: 240_000 },
    },
  })

const drillDraft = z
  .strictObject({
    guardrail: z.string().max(200).openapi({ example: 'checkout-error-regression' }),
    size: z.number().min(0).max(1_000).default(2).openapi({
      description:
        'How many times as many treated units are hit; of latencies, how many times as long they take.',
      example: 2,
    }),
    stage: z
      .string()
      .max(200)
      .optional()
      .openapi({ description: 'Left out: the present one.', example: '10 %' }),
    audience: z.string().max(200).optional().openapi({ description: 'Left out: all.', example: 'internal' }),
    expected: z
      .strictObject({
        unitsPerMinute: z.number().positive().max(1_000_000).openapi({ example: 100 }),
        rate: z.number().min(0).max(1).openapi({ example: 0.01 }),
        for: z
          .string()
          .refine((text) => {
            const ms = parseDuration(text)
            return ms !== undefined && ms > 0 && ms <= MAX_EXPECTED_MS
          }, 'a span of time of at most 6 h, such as "2h"')
          .openapi({ example: '2h' }),
      })
      .optional()
      .openapi({ description: 'What is expected of traffic; left out: the counts of the last hour.' }),
    seed: z.number().int().default(1).openapi({ description: 'Of its luck.' }),
    comment,
  })
  .openapi('RolloutDrillDraft')

const backtestDraft = z
  .strictObject({
    of: ofRollout.shape.id
      .optional()
      .openapi({ description: 'The rollout whose counts are replayed; left out: this one.' }),
    from: instantText.optional(),
    to: instantText.optional(),
    comment,
  })
  .openapi('RolloutBacktestDraft')

const page = z.object({ drills: z.array(kept), nextCursor })

type Shown = z.output<typeof kept>

const NOTHING_COUNTED: Refusal = {
  status: 409,
  code: 'no_traffic',
  message: 'nothing was counted in that time: say what you expect of traffic',
}

const REHEARSAL: { readonly [reason: string]: Refusal } = {
  no_traffic: NOTHING_COUNTED,
  nobody_treated: { status: 409, code: 'nobody_treated', message: 'nobody of that stage would be treated' },
  unknown_guardrail: { status: 422, code: 'unknown_guardrail', message: 'the plan has no such guardrail' },
  unknown_stage: { status: 422, code: 'unknown_stage', message: 'the plan has no such stage' },
  unknown_audience: { status: 422, code: 'unknown_audience', message: 'the plan has no such audience' },
  not_in_blocks: {
    status: 422,
    code: 'not_in_blocks',
    message: 'a guardrail of means, or of a metric that is gone, cannot be rehearsed',
  },
}

function list(kind: KeptDrill['kind'], operationId: string, summary: string) {
  return createRoute({
    method: 'get',
    path: `/api/v1/rollouts/{id}/${kind}` as const,
    operationId,
    tags: ['Rollouts'],
    summary,
    request: { params: ofRollout, query: pageQuery },
    responses: { 200: json(page, 'A page of them, newest first.'), ...refusals },
  })
}

/** Rehearsals: what would happen, and what would have happened. */
export function createDrillRoutes() {
  const router = createRouter<Management>()
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/rollouts/{id}/drill',
        operationId: 'holdDrill',
        tags: ['Rollouts'],
        summary: 'Fire drill: rehearse a regression of a chosen size, in a copy; nothing else changes',
        request: { params: ofRollout, body: body(drillDraft) },
        responses: {
          201: json(kept, 'What came of it; it is kept.'),
          ...changeRefusedWith({
            404: ['not_found'],
            409: ['no_traffic', 'nobody_treated'],
            412: ['stale'],
            422: ['unknown_guardrail', 'unknown_stage', 'unknown_audience', 'not_in_blocks'],
          }),
        },
      }),
      async (c) => {
        const refusal = refusalFor(c.var.actor, 'developer')
        if (refusal) return refuse(c, refusal)
        const found = await findReached(c.env.DB, c.var.actor, c.req.valid('param').id)
        if (!found.ok) return refuse(c, found.error)
        const { comment, expected, ...draft } = c.req.valid('json')
        const traffic = expected && {
          unitsPerMinute: expected.unitsPerMinute,
          rate: expected.rate,
          forMs: parseDuration(expected.for) ?? HOUR_MS,
        }
        const asked = { ...draft, expected: traffic }
        const held = await holdDrill(c.env, found.value.rollout, asked, authorOf(c, comment))
        // Mutable only in its type.
        if (held.ok) return c.json(held.value as unknown as Shown, 201)
        return refuse(c, REHEARSAL[held.error.reason] ?? toRefusal({ reason: 'stale' }))
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/rollouts/{id}/backtest',
        operationId: 'holdBacktest',
        tags: ['Rollouts'],
        summary: 'Replay the guardrails over what was counted in the past',
        request: { params: ofRollout, body: body(backtestDraft) },
        responses: {
          201: json(kept, 'What came of it; it is kept.'),
          ...changeRefusedWith({ 404: ['not_found'], 412: ['stale'] }),
        },
      }),
      async (c) => {
        const refusal = refusalFor(c.var.actor, 'developer')
        if (refusal) return refuse(c, refusal)
        const { actor } = c.var
        const { id } = c.req.valid('param')
        const { of = id, from, to, comment } = c.req.valid('json')
        const found = await findReached(c.env.DB, actor, id)
        if (!found.ok) return refuse(c, found.error)
        const other = of === id ? found : await findReached(c.env.DB, actor, of)
        if (!other.ok) return refuse(c, other.error)
        const author = authorOf(c, comment)
        const end = to === undefined ? author.now : Date.parse(to)
        const span = { from: from === undefined ? end - HOUR_MS : Date.parse(from), to: end }
        const held = await holdBacktest(c.env, found.value.rollout, other.value.rollout, span, author)
        return held.ok ? c.json(held.value as unknown as Shown, 201) : refuse(c, toRefusal(held.error))
      },
    )
  return router
    .openapi(list('drill', 'listDrills', 'Fire drills that were held'), async (c) => {
      const refusal = refusalFor(c.var.actor, 'viewer')
      if (refusal) return refuse(c, refusal)
      const { id } = c.req.valid('param')
      const found = await findReached(c.env.DB, c.var.actor, id)
      if (!found.ok) return refuse(c, found.error)
      const { drills, nextCursor } = await pageOf(c.env.DB, id, 'drill', c.req.valid('query'))
      return c.json({ drills, nextCursor }, 200)
    })
    .openapi(list('backtest', 'listBacktests', 'Backtests that were held'), async (c) => {
      const refusal = refusalFor(c.var.actor, 'viewer')
      if (refusal) return refuse(c, refusal)
      const { id } = c.req.valid('param')
      const found = await findReached(c.env.DB, c.var.actor, id)
      if (!found.ok) return refuse(c, found.error)
      const { drills, nextCursor } = await pageOf(c.env.DB, id, 'backtest', c.req.valid('query'))
      return c.json({ drills, nextCursor }, 200)
    })
}

async function pageOf(
  database: D1Database,
  id: string,
  kind: KeptDrill['kind'],
  { limit, cursor }: { readonly limit: number; readonly cursor?: string | undefined },
) {
  const [at, last] = (cursor === undefined ? undefined : parseCursor(cursor)) ?? []
  const after = last === undefined ? undefined : { at: Number(at), id: String(last) }
  const found = toPage(await listDrills(database, id, kind, limit + 1, after), limit, (row) => [
    row.at,
    row.id,
  ])
  return { drills: found.rows as unknown as Shown[], nextCursor: found.nextCursor }
}
