// Changes that wait, as the routes answer them.
import { z } from '@hono/zod-openapi'
import { ROLES } from '../access/actor.ts'
import { instant } from '../http/schemas.ts'
import { preview } from './preview-schema.ts'
import { anyJson, environmentKey, flagKey } from './schemas.ts'

const actor = z.object({
  id: z.string().openapi({ example: 'ada@example.com' }),
  via: z.string().openapi({ example: 'jwt' }),
  role: z.enum(ROLES),
  environments: z
    .array(z.string())
    .nullable()
    .openapi({ description: 'Where; null: everywhere.', example: null }),
  issuedBy: z.string().optional().openapi({ description: 'Who issued the token.', example: 'admin' }),
})

export const changeRequestId = z.string().min(1).max(100).openapi({ example: 'change-0123456789abcdef' })

const changeRequestState = z.enum([
  'awaiting_approval',
  'scheduled',
  'applied',
  'rejected',
  'cancelled',
  'failed',
])

export const changeRequest = z
  .object({
    id: changeRequestId,
    operation: z
      .object({ kind: z.string() })
      .catchall(anyJson)
      .openapi({
        description: 'What is to be done.',
        example: { kind: 'flag.archive', flag: 'new-checkout', revision: 7 },
      }),
    environments: z.array(environmentKey).openapi({ description: 'Whose edge it changes.' }),
    state: changeRequestState,
    author: actor,
    comment: z.string().openapi({ example: 'Everybody may have it now' }),
    applyAt: instant.nullable(),
    preview: preview.nullable(),
    decidedBy: actor.nullable(),
    decision: z.string().openapi({ description: 'Why it was decided so.', example: 'Looks right' }),
    decidedAt: instant.nullable(),
    finishedAt: instant.nullable(),
    failure: z
      .object({ code: z.string(), message: z.string(), details: anyJson.optional() })
      .nullable()
      .openapi({
        description: 'Why it could not be applied.',
        example: null,
      }),
    createdAt: instant,
    stale: z.boolean().openapi({ description: 'Whether what it was made from has changed since.' }),
  })
  .openapi('ChangeRequest')

export const changeRequestFilter = z.object({
  state: changeRequestState.optional(),
  environment: environmentKey.optional(),
  flag: flagKey.optional(),
})

export const waiting = z.object({ changeRequest }).openapi('Waiting')
