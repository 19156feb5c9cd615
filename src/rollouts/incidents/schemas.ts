// Incidents, as the routes take and answer them.
import { z } from '@hono/zod-openapi'
import { environmentKey, flagKey, revision } from '../../catalog/schemas.ts'
import { comment, instant, instantText, pageQuery } from '../../http/schemas.ts'

const words = z.string().min(1).max(10_000)

export const incidentId = z.string().min(1).max(100).openapi({ example: '0a1b2c3d4e5f-4' })

export const ofIncident = z.object({ id: incidentId })

const state = z.enum(['open', 'acknowledged', 'resolved']).openapi({ example: 'open' })

export const incidentFilter = pageQuery.extend({
  environment: environmentKey.optional(),
  flag: flagKey.optional(),
  rollout: z.string().max(100).optional().openapi({ example: '0a1b2c3d4e5f' }),
  state: state.optional(),
})

export const incidentFormat = z.object({
  format: z.enum(['json', 'markdown']).default('json').openapi({ description: 'markdown: a document.' }),
})

export const incidentDraft = z
  .strictObject({
    environment: environmentKey,
    flag: flagKey,
    title: z.string().min(1).max(200).openapi({ example: 'Payments are declined' }),
    words: words.openapi({
      description: 'What happened, as far as it is known.',
      example: 'Every tenth card is declined since noon.',
    }),
    beganAt: instantText.nullable().default(null),
    comment,
  })
  .openapi('IncidentDraft')

export const reason = z.strictObject({ comment })

export const resolution = z.strictObject({
  resolution: words.openapi({ description: 'How it ended.', example: 'The provider was changed back.' }),
  comment,
})

export const note = z.strictObject({
  words: words.openapi({ example: 'The log says that the provider timed out.' }),
})

export const postMortem = z.strictObject({
  postMortem: z.string().max(100_000).openapi({ description: 'As Markdown.', example: 'What we learned: …' }),
  comment,
})

const count = z.number().openapi({ example: 14 })
const arm = z.object({ hits: count, units: count })
const span = z
  .number()
  .nullable()
  .openapi({ description: 'In milliseconds; null: not known.', example: 74_000 })

const GUARD = {
  guardrail: 'checkout-error-1',
  metric: 'checkout-error',
  audience: null,
  treatment: { hits: 14, units: 900 },
  control: { hits: 31, units: 8_100 },
  ratio: 4.06,
  oneIn: 260,
  enough: 100,
  words: 'treated 14 of 900, control 31 of 8,100: 4.1 times; a false alarm at most 1 in 100',
}

const FACTS = {
  mode: 'immediate',
  phase: 'ramping',
  stage: { place: 2, name: '10 %', since: 1_795_000_000_000 },
  variant: 'on',
  shares: [{ audience: '10 %', before: 10, after: 0 }],
  affected: 900,
  guards: [GUARD],
  safe: { seconds: 4, unreportedShare: 0.02 },
  verified: '',
} as const

const DURATIONS = { detectMs: 74_000, commitMs: 2_000, safeMs: 5_000, acknowledgeMs: null, resolveMs: null }

const facts = z
  .object({
    mode: z.enum(['immediate', 'gradual', 'partial']).nullable(),
    phase: z.enum(['ramping', 'hold_back', 'watching']).nullable().openapi({
      description: 'How far the rollout had come: it says until when somebody should acknowledge.',
    }),
    stage: z.object({ place: z.number().int(), name: z.string(), since: instant.nullable() }).nullable(),
    variant: z.string().nullable().openapi({ example: 'on' }),
    shares: z.array(z.object({ audience: z.string(), before: z.number(), after: z.number() })).openapi({
      description: 'What each audience was given, and what after the first step back.',
      example: [],
    }),
    affected: z
      .number()
      .nullable()
      .openapi({ description: 'Units treated in the stage; null: not known.', example: 900 }),
    guards: z
      .array(
        z.object({
          guardrail: z.string(),
          metric: z.string(),
          audience: z.string().nullable(),
          treatment: arm,
          control: arm.nullable(),
          ratio: z.number().nullable(),
          oneIn: z.number().openapi({ description: 'Chance alone shows as much at most once in so many.' }),
          enough: z.number().openapi({ description: 'Once in how many is enough.' }),
          words: z.string(),
        }),
      )
      .openapi({ description: 'What broke.', example: [] }),
    safe: z
      .object({ seconds: z.number(), unreportedShare: z.number() })
      .nullable()
      .openapi({ description: 'How the safe version spread, and what share was not reported then.' }),
    verified: z.string().openapi({ description: 'What came of the verification.' }),
  })
  .openapi({ example: FACTS })

export const incident = z
  .object({
    id: incidentId,
    environment: environmentKey,
    flag: flagKey,
    rollout: z.string().nullable().openapi({ example: '0a1b2c3d4e5f' }),
    state,
    title: z.string().openapi({ example: 'new-checkout in production: "on" was taken back' }),
    reason: z.object({
      code: z.string().openapi({ example: 'guard_broken' }),
      words: z.string().openapi({
        example:
          'checkout-error: treated 14 of 900, control 31 of 8,100: 4.1 times; a false alarm at most 1 in 100',
      }),
      subject: z.string().nullable().openapi({ example: 'checkout-error-1' }),
    }),
    facts,
    beganAt: instant.nullable().openapi({ description: 'When it most likely began; null: not known.' }),
    detectedAt: instant,
    committedAt: instant,
    safeAt: instant
      .nullable()
      .openapi({ description: 'When 99 % of the reported traffic was on the safe version.' }),
    safeVersion: z.number().int().nullable().openapi({ example: 42 }),
    durations: z
      .object({
        detectMs: span,
        commitMs: z.number(),
        safeMs: span,
        acknowledgeMs: span,
        resolveMs: span,
      })
      .openapi({ example: DURATIONS }),
    verification: z.enum(['pending', 'verified', 'failed', 'none']).openapi({ example: 'verified' }),
    acknowledgeBy: instant,
    escalatedAt: instant.nullable(),
    acknowledgedAt: instant.nullable(),
    acknowledgedBy: z.string().nullable().openapi({ example: null }),
    resolvedAt: instant.nullable(),
    resolvedBy: z.string().nullable().openapi({ example: null }),
    resolution: z.string().openapi({ example: '' }),
    postMortem: z.string().openapi({ example: '' }),
    disputedBy: z
      .string()
      .nullable()
      .openapi({ description: 'Who says that it was a false alarm.', example: null }),
    disputeNote: z.string().openapi({ example: '' }),
    revision,
    createdAt: instant,
    updatedAt: instant,
  })
  .openapi('Incident')

export const incidentWithTimeline = incident
  .extend({
    timeline: z
      .array(
        z.object({
          at: instant,
          kind: z.enum(['note', 'decision']),
          actor: z.string(),
          words: z.string(),
          deed: z.string().nullable(),
          decision: z.number().int().nullable(),
        }),
      )
      .openapi({ description: 'Notes, and what was decided about the rollout, in order.', example: [] }),
  })
  .openapi('IncidentWithTimeline')

export const unitsQuery = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(20).openapi({ example: 20 }),
})

export const affectedUnits = z
  .object({
    affected: facts.shape.affected,
    sample: z.array(z.string()).openapi({
      description: 'Some of the units that were treated, by the hash that they are kept under.',
      example: ['00112233445566778899aabbccddeeff'],
    }),
    partial: z.boolean().openapi({ description: 'Whether a part of what was counted could not be read.' }),
  })
  .openapi('AffectedUnits')
