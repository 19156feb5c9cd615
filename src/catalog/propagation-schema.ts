import { z } from '@hono/zod-openapi'
import { instant } from '../http/schemas.ts'

const share = z.number().min(0).max(1).nullable()

const reached = z
  .object({
    second: z.number().int().openapi({ example: 4 }),
    unreportedShare: z.number().openapi({ example: 0.02 }),
  })
  .nullable()

const isolates = z.object({
  known: z.number().int().openapi({ description: 'That have reported lately.', example: 12 }),
  current: z.number().int().openapi({ description: 'Of those, that hold the version.', example: 12 }),
  lost: z.number().int().openapi({ description: 'Of those, silent for two minutes.', example: 0 }),
})

const change = z.object({
  version: z.number().int().openapi({ example: 42 }),
  committedAt: instant.nullable().openapi({ description: "By its writer's clock." }),
  changedAt: instant.openapi({ description: 'When the hub learned of it: second 0 of what follows.' }),
  publishedAt: instant.nullable().openapi({ description: 'When KV took it; null while it has not.' }),
  listenedMs: z.number().openapi({
    description: 'For how long the hub had known its isolates by then, two minutes at most.',
    example: 120_000,
  }),
  reportedEvaluations: z.number().openapi({ example: 5_210 }),
  timeline: z
    .array(
      z.object({
        second: z.number().int(),
        share: share.openapi({ description: 'Of the reported evaluations, at the version or a newer one.' }),
        evaluations: z.number(),
        unreportedShare: z.number().openapi({ description: 'Expected, and not reported yet.' }),
      }),
    )
    .openapi({ example: [] }),
  sharesAt: z
    .array(z.object({ second: z.number().int(), share, unreportedShare: share }))
    .openapi({ example: [] }),
  reached: z.object({ half: reached, p90: reached, p99: reached, all: reached }),
  isolates,
})

/** How far a change has come, by what isolates have reported: see propagation-timeline.ts. */
export const propagation = change
  .extend({ previous: change.nullable().openapi({ example: null }) })
  .nullable()
  .openapi('Propagation', {
    description:
      'How far the last change has come, by what isolates report; null when the hub is not reached.',
  })
