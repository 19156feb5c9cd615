// What the catalog's routes take and answer: the source of both their types and the OpenAPI document.
import { z } from '@hono/zod-openapi'
import { isEnvironmentKey } from '../access/key.ts'
import { isFlagKey } from '../engine/parse-flag.ts'

export const published = z
  .record(z.string(), z.object({ version: z.number().int(), published: z.boolean() }))
  .openapi('Published', { description: 'The new version of each environment, and whether the edge has it.' })

export const comment = z.string().max(2_000).default('')
export const environmentKey = z
  .string()
  .refine(isEnvironmentKey, 'lower-case letters, digits and dashes, at most 40')
export const flagKey = z.string().refine(isFlagKey, '1 to 200 printable characters, not "." or ".."')
export const segmentKey = z.string().min(1).max(200)

export const json = <T extends z.ZodType>(schema: T, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})
export const body = <T extends z.ZodType>(schema: T) => ({
  content: { 'application/json': { schema } },
  required: true,
})

export const problem = z
  .object({
    error: z.object({
      code: z.string(),
      message: z.string(),
      requestId: z.string(),
      details: z.unknown().optional(),
    }),
  })
  .openapi('Problem')

export const problems = {
  400: json(problem, 'The request is not understood.'),
  401: json(problem, 'A valid token is needed.'),
  403: json(problem, 'The token does not allow this.'),
  404: json(problem, 'There is nothing of that name.'),
  409: json(problem, 'It exists already, or is still in use.'),
  412: json(problem, 'It has changed since.'),
  413: json(problem, 'It is too large.'),
  415: json(problem, 'The body must be JSON.'),
  422: json(problem, 'It is not valid.'),
  428: json(problem, 'The request must say which revision it was made from.'),
  429: json(problem, 'Too many requests.'),
  500: json(problem, 'Something went wrong.'),
}

export const revisionHeaders = z.object({
  'if-match': z.string().optional().openapi({ description: 'The revision that the change was made from.' }),
  'if-none-match': z.string().optional().openapi({ description: '"*" to make what does not exist yet.' }),
})

export const flagDraft = z
  .strictObject({
    type: z.enum(['boolean', 'string', 'number', 'object']),
    variants: z.array(z.strictObject({ name: z.string(), value: z.json() })),
    metadata: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
    clientVisible: z.boolean().default(false),
    description: z.string().max(10_000).default(''),
    tags: z.array(z.string().max(100)).max(100).default([]),
    owner: z.string().max(200).default(''),
    temporary: z.boolean().default(false),
    comment,
  })
  .openapi('FlagDraft')

export const configurationDraft = z
  .strictObject({
    enabled: z.boolean(),
    offVariant: z.string().nullable().default(null),
    prerequisites: z.array(z.json()).default([]),
    targets: z.array(z.json()).default([]),
    rules: z.array(z.json()).default([]),
    fallthrough: z.json(),
    comment,
  })
  .openapi('FlagConfigurationDraft')

export const segmentDraft = z
  .strictObject({
    description: z.string().max(10_000).default(''),
    condition: z.json().nullable().default(null),
    included: z.array(z.string()).default([]),
    excluded: z.array(z.string()).default([]),
    comment,
  })
  .openapi('SegmentDraft')

export const environmentDraft = z
  .strictObject({
    name: z.string().min(1).max(200),
    refreshSeconds: z.number().int().min(1).max(60).default(30),
    comment,
  })
  .openapi('EnvironmentDraft')

export const keyDraft = z
  .strictObject({
    kind: z.enum(['server', 'client']),
    name: z.string().min(1).max(200),
    hash: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .optional()
      .openapi({
        description:
          'SHA-256 in hex of a key that exists already; left out, a new key is made and shown once.',
      }),
    comment,
  })
  .openapi('KeyDraft')

export const inEnvironment = z.object({ environment: environmentKey })
export const ofFlag = z.object({ flag: flagKey })
export const ofFlagInEnvironment = z.object({ flag: flagKey, environment: environmentKey })
export const ofSegment = z.object({ environment: environmentKey, segment: segmentKey })
export const anything = z.unknown()
export const changed = { 200: json(published, 'Changed.'), ...problems }
