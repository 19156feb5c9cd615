import { createRoute, z } from '@hono/zod-openapi'
import { type Management, refusalFor } from '../../access/management.ts'
import { notFound } from '../../catalog/routes/answer.ts'
import { shown } from '../../catalog/schemas.ts'
import type { JsonObject } from '../../engine/json.ts'
import { parseCursor, toPage } from '../../http/paging.ts'
import { refuse } from '../../http/problem.ts'
import { createRouter } from '../../http/router.ts'
import { instant, json, nextCursor, pageQuery, refusals } from '../../http/schemas.ts'
import { loadHealth } from '../health.ts'
import { findReached } from '../perform.ts'
import { listDecisions, loadDecision } from '../rollout-store.ts'
import { ofRollout, state } from '../schemas.ts'

const words = z.string().openapi({ example: 'treated 14 of 900, control 31 of 8,100: 4.1 times' })
const code = z
  .string()
  .openapi({ description: 'Stable: programs may depend on it.', example: 'hold_not_over' })
const subject = z.string().optional().openapi({ description: 'The guardrail, signal, gate or stage.' })

const decisionFields = {
  id: z.number().int().openapi({ example: 42 }),
  at: instant,
  deed: z.string().openapi({ example: 'advance' }),
  reason: z.object({ code, words, subject }),
  actor: z.string().openapi({ description: 'Who did it; `clock`: the clock.', example: 'clock' }),
  comment: z.string(),
  stage: z.number().int().openapi({ example: 1 }),
  epoch: z.number().int().openapi({ example: 2 }),
  proven: z.boolean().nullable().openapi({
    description: 'Whether the stage that it left was shown safe; null where it left none.',
  }),
}

const DECISION = {
  id: 42,
  at: 1_795_000_000_000,
  deed: 'advance',
  reason: { code: 'hold_over', words: '"10 %" has held for 24 h' },
  actor: 'clock',
  comment: '',
  stage: 1,
  epoch: 2,
  proven: true,
}

const listed = z
  .object({ ...decisionFields, hasEvidence: z.boolean() })
  .openapi('RolloutDecision', { example: { ...DECISION, hasEvidence: true } })

const whole = z
  .object({
    ...decisionFields,
    evidence: shown<JsonObject | null>().openapi({
      description: 'What it was decided from, to be replayed; null where it rests on no counts.',
    }),
  })
  .openapi('RolloutDecisionWithEvidence', { example: { ...DECISION, evidence: null } })

const arm = z.object({ hits: z.number(), units: z.number() })

const health = z
  .object({
    id: ofRollout.shape.id,
    state,
    stage: z.string().nullable().openapi({ example: '10 %' }),
    promise: z
      .object({
        code: z.enum(['waiting', 'compares', 'limits', 'unguarded', 'ended']),
        words: z.string(),
      })
      .openapi({ description: 'Which promise holds now.' }),
    next: z
      .object({ deed: z.string(), code, words, subject })
      .openapi({ description: 'What would be done at this moment, and why that or why not.' }),
    readThrough: instant.nullable().openapi({ description: 'Up to when it was read; null: nothing was.' }),
    units: z
      .object({ treatment: z.number(), control: z.number() })
      .nullable()
      .openapi({ description: 'Units that came in this stage.' }),
    guards: z.array(
      z.object({
        guardrail: z.string(),
        audience: z.string().nullable(),
        verdict: z.enum(['waiting', 'fine', 'broken']),
        evidence: z.number().openapi({ description: 'Natural logarithm; at `limit` it is enough.' }),
        limit: z.number(),
        treatment: arm,
        control: arm.nullable(),
        shownSafe: z.boolean(),
        words,
        since: instant.nullable(),
      }),
    ),
    sampleRatio: z.object({ evidence: z.number(), mismatch: z.boolean(), words: z.string() }).nullable(),
    life: z
      .object({
        evidence: z.number(),
        verdict: z.enum(['waiting', 'alive', 'treatment_silent', 'all_silent']),
        since: instant.nullable(),
        words: z.string(),
      })
      .nullable(),
    warnings: z
      .array(
        z.object({
          code: z.string().openapi({ example: 'shared_metric' }),
          path: z
            .string()
            .openapi({ description: 'The place in the plan.', example: 'guardrails[0].metric' }),
          message: z.string().openapi({ example: 'nothing watches it: only people take it back' }),
        }),
      )
      .openapi({
        description: 'What the plan may not have been meant to do. docs/rollout-plans.md has every code.',
      }),
    stages: z
      .array(
        z.object({
          stage: z.string(),
          finds: z.array(
            z.object({ guardrail: z.string(), ratio: z.number().nullable(), words: z.string() }),
          ),
        }),
      )
      .openapi({ description: 'What each stage can find within its hold, with the traffic that there is.' }),
    clock: z
      .object({
        tickedAt: z.number(),
        nextAt: instant.nullable(),
        tookMs: z.number(),
        subrequests: z.number(),
        rowsWritten: z.number(),
        rollouts: z.number(),
      })
      .nullable(),
  })
  .openapi('RolloutHealth', {
    example: {
      id: '0a1b2c3d4e5f',
      state: 'running',
      stage: '10 %',
      warnings: [],
      promise: { code: 'compares', words: 'Treatment is held against control.' },
      next: { deed: 'hold', code: 'hold_not_over', words: '"10 %" holds for 3 h more' },
      readThrough: 1_795_000_000_000,
      units: { treatment: 900, control: 8_100 },
      guards: [
        {
          guardrail: 'checkout-error-regression',
          audience: null,
          verdict: 'fine',
          evidence: -0.4,
          limit: 4.6,
          treatment: { hits: 5, units: 900 },
          control: { hits: 45, units: 8_100 },
          shownSafe: false,
          words: 'treated 5 of 900, control 45 of 8,100',
          since: null,
        },
      ],
      sampleRatio: { evidence: 0.1, mismatch: false, words: 'as many units came as should' },
      life: { evidence: 0, verdict: 'alive', since: null, words: 'both are alive' },
      stages: [
        {
          stage: '10 %',
          finds: [
            {
              guardrail: 'checkout-error-regression',
              ratio: 1.9,
              words: 'finds 1.90 times as many, or worse, 9 times in 10 within 24 h',
            },
          ],
        },
      ],
      clock: {
        tickedAt: 1_795_000_000_000,
        nextAt: 1_795_000_010_000,
        tookMs: 40,
        subrequests: 5,
        rowsWritten: 2,
        rollouts: 1,
      },
    },
  })

const ofDecision = ofRollout.extend({
  decision: z.coerce.number().int().positive().openapi({ example: 42 }),
})

/** What happened to a rollout, and how it is. */
export function createWatchingRoutes() {
  return createRouter<Management>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/rollouts/{id}/timeline',
        operationId: 'getRolloutTimeline',
        tags: ['Rollouts'],
        summary: 'What was decided about a rollout and done to it, newest first',
        request: { params: ofRollout, query: pageQuery },
        responses: {
          200: json(z.object({ decisions: z.array(listed), nextCursor }), 'A page of decisions.'),
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
        const [last] = (cursor === undefined ? undefined : parseCursor(cursor)) ?? []
        const before = last === undefined ? undefined : Number(last)
        const rows = await listDecisions(c.env.DB, id, limit + 1, before)
        const page = toPage(rows, limit, (row) => [row.id])
        const decisions = page.rows.map(({ rollout: _, ...decision }) => decision)
        return c.json({ decisions, nextCursor: page.nextCursor }, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/rollouts/{id}/timeline/{decision}',
        operationId: 'getRolloutDecision',
        tags: ['Rollouts'],
        summary: 'One decision with what it was decided from',
        request: { params: ofDecision },
        responses: { 200: json(whole, 'The decision.'), ...refusals },
      }),
      async (c) => {
        const refusal = refusalFor(c.var.actor, 'viewer')
        if (refusal) return refuse(c, refusal)
        const { id, decision: number } = c.req.valid('param')
        const found = await findReached(c.env.DB, c.var.actor, id)
        if (!found.ok) return refuse(c, found.error)
        const row = await loadDecision(c.env.DB, id, number)
        if (!row) return refuse(c, notFound(`decision ${number} of rollout "${id}"`))
        const { rollout: _, ...decision } = row
        return c.json({ ...decision, evidence: decision.evidence ?? null }, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/rollouts/{id}/health',
        operationId: 'getRolloutHealth',
        tags: ['Rollouts'],
        summary: 'How a rollout is: its guards, what its stages can find, what happens next and why',
        request: { params: ofRollout },
        responses: { 200: json(health, 'How it is.'), ...refusals },
      }),
      async (c) => {
        const refusal = refusalFor(c.var.actor, 'viewer')
        if (refusal) return refuse(c, refusal)
        const found = await findReached(c.env.DB, c.var.actor, c.req.valid('param').id)
        if (!found.ok) return refuse(c, found.error)
        const loaded = await loadHealth(c.env, found.value, Date.now())
        // Mutable only in its type.
        return c.json(loaded as unknown as z.output<typeof health>, 200)
      },
    )
}
