// What the catalog's routes take and answer: the source of both their types and the OpenAPI document. What the engine
// checks with better words (conditions, splits, operands) is only sketched here for readers, and checked there.
import { z } from '@hono/zod-openapi'
import { isEnvironmentKey } from '../access/key.ts'
import type { Condition, Serve } from '../engine/flag.ts'
import type { Json, JsonObject } from '../engine/json.ts'
import { isFlagKey } from '../engine/parse-flag.ts'
import { comment, instantText } from '../http/schemas.ts'

/** A part of a request that the engine's parser checks: any JSON to zod, so that its document can be drawn by hand. */
export const sketched = <T>() => z.unknown() as unknown as z.ZodType<T>

/** The same in an answer, where it is always there. */
export const shown = <T>() => z.unknown().refine((value) => value !== undefined) as unknown as z.ZodType<T>

export const anyJson = sketched<Json>().openapi({ description: 'Any JSON.' })

export const jsonObject = z
  .record(z.string(), z.unknown())
  .openapi({ type: 'object' }) as unknown as z.ZodType<JsonObject>

export const environmentKey = z
  .string()
  .refine(isEnvironmentKey, 'lower-case letters, digits and dashes, at most 40')
  .openapi({ pattern: '^[a-z0-9][a-z0-9-]{0,39}$', example: 'production' })

export const flagKey = z
  .string()
  .refine(isFlagKey, '1 to 200 printable characters, not "." or ".."')
  .openapi({ minLength: 1, maxLength: 200, example: 'new-checkout' })

export const segmentKey = z.string().min(1).max(200).openapi({ example: 'beta-testers' })

export const inEnvironment = z.object({ environment: environmentKey })
export const ofFlag = z.object({ flag: flagKey })
export const ofFlagInEnvironment = z.object({ flag: flagKey, environment: environmentKey })
export const ofSegment = z.object({ environment: environmentKey, segment: segmentKey })
export const ofKey = z.object({
  environment: environmentKey,
  id: z.string().min(1).max(100).openapi({ example: 'key-0123456789abcdef' }),
})

export const variantName = z.string().openapi({ example: 'on' })
export const count = z.number().int().min(0)
export const revision = count.openapi({ description: 'Goes up with every change.', example: 7 })
export const version = count.openapi({ example: 42 })
export const units = z.array(z.string()).openapi({ description: 'Single units.', example: ['ada'] })

export const NULL = { type: 'null' as const }
export const conditionReference = { $ref: '#/components/schemas/Condition' }
const conditions = { type: 'array' as const, items: conditionReference }

export const condition = shown<Condition>().openapi('Condition', {
  description: 'Who: attributes, segments, and what joins them. docs/targeting.md has every operator.',
  oneOf: [
    { type: 'object', properties: { all: conditions }, required: ['all'] },
    { type: 'object', properties: { any: conditions }, required: ['any'] },
    { type: 'object', properties: { not: conditionReference }, required: ['not'] },
    { type: 'object', properties: { segment: { type: 'string' } }, required: ['segment'] },
    {
      type: 'object',
      properties: {
        attribute: { type: 'string' },
        op: { type: 'string' },
        values: { type: 'array', items: {} },
      },
      required: ['attribute', 'op', 'values'],
    },
  ],
  example: { attribute: 'country', op: 'in', values: ['IE', 'GB'] },
})

export const serve = shown<Serve>().openapi('Serve', {
  description: 'A variant, or a split of units over variants by weight. Seeds are made when left out.',
  oneOf: [
    { type: 'object', properties: { variant: { type: 'string' } }, required: ['variant'] },
    {
      type: 'object',
      properties: {
        split: {
          type: 'object',
          properties: {
            weights: {
              type: 'array',
              items: {
                type: 'object',
                properties: { variant: { type: 'string' }, weight: { type: 'integer' } },
                required: ['variant', 'weight'],
              },
            },
            by: { type: 'string' },
            seed: { type: 'string' },
            bucketing: { type: 'object' },
          },
          required: ['weights'],
        },
      },
      required: ['split'],
    },
  ],
  example: {
    split: {
      weights: [
        { variant: 'on', weight: 10 },
        { variant: 'off', weight: 90 },
      ],
    },
  },
})

export const prerequisite = z.object({ flag: flagKey, variants: z.array(variantName) })
export const target = z.object({ variant: variantName, units })
export const rule = z.object({
  id: z.string().openapi({ example: 'ireland' }),
  description: z.string().optional().openapi({ example: 'Ireland first' }),
  when: condition,
  serve,
})

/** When a change is to be done. */
export const applyAt = instantText
  .nullable()
  .default(null)
  .openapi({ description: 'When the change is to be applied; left out: now.', example: null })

/** What every change says beside itself. */
export const change = { comment, applyAt }

export const published = z
  .record(z.string(), z.object({ version, published: z.boolean() }))
  .openapi('Published', {
    description: 'The new version of each environment, and whether the edge has it.',
    example: { production: { version: 42, published: true } },
  })

export const changed = z
  .object({
    revision: z
      .number()
      .int()
      .openapi({ description: 'The new revision; 0 when it is deleted.', example: 8 }),
    environments: published,
  })
  .openapi('Changed')

/** The query of a deletion, which has no body. */
export const deletion = z.object({ comment, applyAt: instantText.optional() })
