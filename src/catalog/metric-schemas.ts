// Metrics, as the routes take and answer them.
import { z } from '@hono/zod-openapi'
import { instant } from '../http/schemas.ts'
import { METRIC_KINDS } from './measurement.ts'
import { METRIC_KEY } from './metrics.ts'
import { change, revision } from './schemas.ts'

export const metricKey = z
  .string()
  .regex(METRIC_KEY, 'letters, digits, dots, dashes and underscores, at most 100')
  .openapi({ example: 'checkout-error' })

export const ofMetric = z.object({ metric: metricKey })

const direction = z.enum(['up', 'down'])

const metricFields = {
  event: z.string().openapi({ description: 'The name of the events that it is made of.', example: 'error' }),
  kind: z.enum(METRIC_KINDS).openapi({
    description: 'What it makes of them, for each unit. docs/metrics.md has every kind.',
    example: 'error',
  }),
  denominator: z.string().nullable().openapi({
    description: 'The name of the events that a ratio is divided by; null for every other kind.',
    example: null,
  }),
  unit: z.string().openapi({
    description: 'Whose totals it is made of: `user`, or the name of another kind of unit.',
    example: 'user',
  }),
  cap: z.number().nullable().openapi({
    description: "The most that one unit's total counts; null: no limit.",
    example: null,
  }),
  preExposure: z
    .boolean()
    .openapi({ description: 'Whether days are kept of units that are not exposed yet.' }),
  description: z.string().max(10_000).openapi({ example: 'The checkout did not go through' }),
  tags: z
    .array(z.string().max(100))
    .max(100)
    .openapi({ example: ['checkout'] }),
  owner: z.string().max(200).openapi({ example: 'team-payments' }),
}

export const metricDraft = z
  .strictObject({
    ...metricFields,
    denominator: metricFields.denominator.default(null),
    unit: metricFields.unit.default('user'),
    goodDirection: direction.nullable().default(null).openapi({
      description: 'Left out: down for errors, latencies and resources, else up.',
      example: 'down',
    }),
    cap: metricFields.cap.default(null),
    preExposure: metricFields.preExposure.default(false),
    description: metricFields.description.default(''),
    tags: metricFields.tags.default([]),
    owner: metricFields.owner.default(''),
    ...change,
  })
  .openapi('MetricDraft')

export const metric = z
  .object({
    key: metricKey,
    ...metricFields,
    goodDirection: direction.openapi({ example: 'down' }),
    revision,
    createdAt: instant,
    updatedAt: instant,
  })
  .openapi('Metric')
