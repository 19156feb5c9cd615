// Rollouts, as the routes take and answer them. What a plan may say is checked with better words by parse-plan.ts.
import { z } from '@hono/zod-openapi'
import {
  changed,
  environmentKey,
  flagKey,
  jsonObject,
  revision,
  sketched,
  variantName,
} from '../catalog/schemas.ts'
import type { JsonObject } from '../engine/json.ts'
import { comment, instant, pageQuery } from '../http/schemas.ts'

const STATES = [
  ...(['draft', 'awaiting_approval', 'scheduled', 'running', 'paused'] as const),
  ...(['rolling_back', 'rolled_back', 'watching', 'done', 'cancelled'] as const),
]

export const ofRollout = z.object({ id: z.string().min(1).max(100).openapi({ example: '0a1b2c3d4e5f' }) })

export const state = z.enum(STATES).openapi({ example: 'running' })
const percentage = z.number().openapi({ example: 10 })
const place = z.number().int()

const PLAN = {
  flag: 'new-checkout',
  environment: 'production',
  variant: 'on',
  stages: [
    { name: '10 %', percentage: 10, hold: '24h' },
    { name: 'all', percentage: 100, hold: '0s' },
  ],
  guardrails: [{ metric: 'checkout-error', test: 'regression' }],
}

export const planDraft = sketched<JsonObject>().openapi('RolloutPlan', {
  type: 'object',
  description:
    'What is to happen. docs/rollout-plans.md has every field; spans of time are texts such as `90s` or `7d`.',
  required: ['flag', 'environment', 'variant', 'stages'],
  properties: {
    flag: { type: 'string' },
    environment: { type: 'string' },
    variant: { type: 'string' },
    by: { type: 'string', default: 'targetingKey' },
    stages: { type: 'array', items: { type: 'object' } },
    guardrails: { type: 'array', items: { type: 'object' } },
    alpha: { type: 'number', default: 0.01 },
  },
  example: PLAN,
})

export const planPatch = jsonObject.openapi({
  type: 'object',
  description: 'Fields that replace those of the plan; null takes one away. Flag and environment stay.',
  example: { alpha: 0.05 },
})

export const newDraft = z
  .strictObject({ plan: planDraft, comment })
  .openapi('RolloutDraft', { example: { plan: PLAN, comment: 'As agreed' } })
export const draftPatch = z.strictObject({ plan: planPatch, comment }).openapi('RolloutPatch')

export const rollout = z
  .object({
    id: ofRollout.shape.id,
    environment: environmentKey,
    flag: flagKey,
    variant: variantName,
    state,
    revision,
    plan: planDraft,
    stage: place.openapi({ description: 'The place of the present stage; -1 before the first.', example: 0 }),
    stages: z
      .array(z.object({ name: z.string(), percentage, holdMs: z.number(), needsApproval: z.boolean() }))
      .openapi({ example: [{ name: '10 %', percentage: 10, holdMs: 86_400_000, needsApproval: false }] }),
    granted: z
      .array(z.object({ audience: z.string(), percentage }))
      .openapi({ description: 'Who is given what now.', example: [{ audience: '10 %', percentage: 10 }] }),
    blocked: z
      .array(z.string())
      .openapi({ description: 'Audiences that were taken back by themselves.', example: [] }),
    epoch: place.openapi({
      example: 1,
      description: 'The number in its tags: rises with every change of what is granted.',
    }),
    startedAt: instant.nullable(),
    grantedAt: instant.nullable().openapi({ description: 'When the present stage was granted.' }),
    grantedVersion: place.nullable().openapi({ description: 'The version of the environment that did.' }),
    publishedAt: instant
      .nullable()
      .openapi({ description: 'Since when the edge has it: holds count from here.' }),
    pausedAt: instant.nullable(),
    endedAt: instant.nullable(),
    seed: z.string().openapi({ description: 'Of its buckets.', example: '0f1e2d3c4b5a697' }),
    reversed: z.boolean(),
    retries: z
      .string()
      .nullable()
      .openapi({ description: 'The rollout that it tries again.', example: null }),
    createdBy: z.string().openapi({ example: 'ada@example.com' }),
    createdAt: instant,
    updatedAt: instant,
    startedBy: z.string().nullable().openapi({ example: 'grace@example.com' }),
  })
  .openapi('Rollout', {
    example: {
      id: '0a1b2c3d4e5f',
      environment: 'production',
      flag: 'new-checkout',
      variant: 'on',
      state: 'running',
      revision: 3,
      plan: PLAN,
      stage: 0,
      stages: [
        { name: '10 %', percentage: 10, holdMs: 86_400_000, needsApproval: false },
        { name: 'all', percentage: 100, holdMs: 0, needsApproval: false },
      ],
      granted: [{ audience: '10 %', percentage: 10 }],
      blocked: [],
      epoch: 1,
      startedAt: 1_795_000_000_000,
      grantedAt: 1_795_000_000_000,
      grantedVersion: 42,
      publishedAt: 1_795_000_000_500,
      pausedAt: null,
      endedAt: null,
      seed: '0f1e2d3c4b5a697',
      reversed: false,
      retries: null,
      createdBy: 'ada@example.com',
      createdAt: 1_794_990_000_000,
      updatedAt: 1_795_000_000_500,
      startedBy: 'grace@example.com',
    },
  })

export const rolloutFilter = pageQuery.extend({
  environment: environmentKey.optional(),
  flag: flagKey.optional(),
  state: state.optional(),
})

export const done = z
  .object({
    id: ofRollout.shape.id,
    state,
    stage: rollout.shape.stage,
    epoch: rollout.shape.epoch,
    revision,
    environments: changed.shape.environments,
  })
  .openapi('RolloutDeed', {
    example: {
      id: '0a1b2c3d4e5f',
      state: 'running',
      stage: 0,
      epoch: 1,
      revision: 3,
      environments: { production: { version: 42, published: true } },
    },
  })
