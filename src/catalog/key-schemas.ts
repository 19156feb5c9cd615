// Evaluation keys, as the routes take and answer them.
import { z } from '@hono/zod-openapi'
import { comment, instant } from '../http/schemas.ts'
import { ofKey } from './schemas.ts'

export const keyDraft = z
  .strictObject({
    kind: z.enum(['server', 'client']),
    name: z.string().min(1).max(200).openapi({ example: 'Web shop' }),
    hash: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .optional()
      .openapi({
        description:
          'SHA-256 in hex of a key that exists already; left out, a new key is made and shown once.',
        example: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
      }),
    comment,
  })
  .openapi('KeyDraft')

export const key = z
  .object({
    id: ofKey.shape.id,
    kind: z.enum(['server', 'client']),
    name: z.string().openapi({ example: 'Web shop' }),
    createdAt: instant,
    expiresAt: instant.nullable().openapi({ example: null }),
    revokedAt: instant.nullable().openapi({ example: null }),
  })
  .openapi('Key')
