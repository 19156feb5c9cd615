// What the routes of access take and answer: the source of both their types and the OpenAPI document.
import { z } from '@hono/zod-openapi'
import { comment, instant, instantText } from '../http/schemas.ts'
import { ROLES } from './actor.ts'
import { parseMemberId } from './identity.ts'
import { isEnvironmentKey } from './key.ts'
import { MAX_LIFE_SECONDS, parseOwner } from './tokens.ts'

const MAX_ENVIRONMENTS = 1_000

export const role = z.enum(ROLES).openapi({
  description:
    'What they may do; each role includes those before it, but `signaller`, who may signal to rollouts and nothing else, is included from `developer` on.',
  example: 'developer',
})

export const environmentKey = z
  .string()
  .refine(isEnvironmentKey, 'lower-case letters, digits and dashes, at most 40')
  .openapi({ pattern: '^[a-z0-9][a-z0-9-]{0,39}$', example: 'production' })

const environmentList = z.array(z.string()).readonly().nullable().openapi({
  description: 'Where; null: everywhere, and in what belongs to no environment.',
  example: null,
})

/** As it is sent: in order, each once. */
const environmentDraft = z
  .array(environmentKey)
  .max(MAX_ENVIRONMENTS)
  .overwrite((keys) => [...new Set(keys)].sort())
  .nullable()
  .openapi({
    description: 'Where; null: everywhere, and in what belongs to no environment.',
    example: ['staging'],
  })

export const me = z
  .object({
    id: z.string().openapi({
      description: 'The person, or whom a token acts for.',
      example: 'ada@example.com',
    }),
    via: z.string().openapi({
      description: 'What they were recognised by: `admin`, `jwt`, or `token:<id>`.',
      example: 'jwt',
    }),
    role,
    environments: environmentList,
  })
  .openapi('Me')

const name = z.string().min(1).max(200).openapi({ example: 'Deployment of the web shop' })

export const token = z
  .object({
    id: z.string().openapi({ example: '0a1b2c3d4e5f' }),
    name,
    owner: z.string().openapi({ description: 'Whom it acts for.', example: 'ada@example.com' }),
    role,
    environments: environmentList,
    createdBy: z.string().openapi({ example: 'ada@example.com' }),
    createdAt: instant,
    expiresAt: instant.nullable().openapi({ description: 'null: never.' }),
    revokedAt: instant.nullable().openapi({ example: null }),
  })
  .openapi('Token')

export const newToken = token
  .extend({
    token: z.string().openapi({
      description: 'The token itself, shown this once.',
      example: 'rp_token_0a1b2c3d4e5f_00112233445566778899aabbccddeeff',
    }),
  })
  .openapi('NewToken')

export const tokenDraft = z
  .strictObject({
    name,
    role,
    environments: environmentDraft,
    owner: z
      .string()
      .refine((text) => parseOwner(text) !== undefined, 'an e-mail, `claim:value`, or a plain name')
      .overwrite((text) => parseOwner(text) ?? text)
      .optional()
      .openapi({
        description: 'Whom it acts for, never with more than they may; left out: yourself.',
        example: 'ada@example.com',
      }),
    expiresInSeconds: z.number().int().min(1).max(MAX_LIFE_SECONDS).optional().openapi({
      description: 'Left out, and `expiresAt` too: it never ends by itself.',
      example: 7_776_000,
    }),
    expiresAt: instantText.optional().openapi({ description: 'Instead: when it ends.' }),
    comment,
  })
  .refine(
    ({ expiresInSeconds, expiresAt }) => expiresInSeconds === undefined || expiresAt === undefined,
    'either expiresInSeconds or expiresAt',
  )
  .openapi('TokenDraft', {
    example: { name: 'Deployment of the web shop', role: 'developer', environments: ['staging'] },
  })

export const ofToken = z.object({ id: z.string().min(1).max(100).openapi({ example: '0a1b2c3d4e5f' }) })

export const memberId = z
  .string()
  .refine((text) => parseMemberId(text) !== undefined, 'an e-mail, or `claim:value`')
  .overwrite((text) => parseMemberId(text) ?? text)
  .openapi({
    description: 'An e-mail; or `claim:value`, which is everybody whose identity says so.',
    example: 'ada@example.com',
  })

export const ofMember = z.object({ id: memberId })

const memberName = z.string().max(200).openapi({ description: 'For people to read.', example: 'Ada' })

export const member = z
  .object({
    id: z.string().openapi({ example: 'ada@example.com' }),
    name: memberName,
    role,
    environments: environmentList,
    revision: z.number().int().openapi({ example: 1 }),
    createdAt: instant,
    updatedAt: instant,
  })
  .openapi('Member')

export const memberDraft = z
  .strictObject({ name: memberName.default(''), role, environments: environmentDraft, comment })
  .openapi('MemberDraft')

const text = z.string().min(1).max(256)

/** Which rows of the audit are asked for; what is left out does not narrow. */
export const auditFilter = z.object({
  actor: text.optional().openapi({ description: 'Who did it.', example: 'ada@example.com' }),
  action: text.optional().openapi({ description: 'What was done.', example: 'flag.save' }),
  targetKind: text.optional().openapi({ description: 'To what kind of thing.', example: 'flag' }),
  targetKey: text.optional().openapi({ description: 'To which one.', example: 'new-checkout' }),
  environment: environmentKey.optional().openapi({ description: 'What it concerned.' }),
  from: instantText.optional().openapi({ description: 'From this instant on.' }),
  to: instantText.optional().openapi({ description: 'Before this instant.' }),
})

export const auditRow = z
  .object({
    id: z.number().int().openapi({ description: 'Counts up by one.', example: 42 }),
    at: instant,
    actor: z.string().openapi({ description: 'Who did it.', example: 'ada@example.com' }),
    via: z.string().openapi({ description: 'What they were recognised by.', example: 'jwt' }),
    action: z.string().openapi({ example: 'flag.save' }),
    targetKind: z.string().openapi({ example: 'flag' }),
    targetKey: z.string().openapi({ example: 'new-checkout' }),
    environments: z.record(z.string(), z.number().int()).openapi({
      description: 'The environments that it concerned, and the version that each came to.',
      example: { production: 42 },
    }),
    comment: z.string().openapi({ example: 'Everybody may have it now' }),
    details: z.record(z.string(), z.unknown()).openapi({ type: 'object', example: {} }),
    requestId: z.string().openapi({ example: '8f3c2a4d5e6f7a8b' }),
    hash: z
      .string()
      .nullable()
      .openapi({ description: 'Its link of the chain; null until the next minute.', example: null }),
  })
  .openapi('AuditRow')

export const auditLines = z.string().openapi({
  description: 'Each line is the JSON of an `AuditRow`.',
  example: '{"id":42,"at":1795000000000,"actor":"ada@example.com"}\n',
})

const chainHash = z.string().openapi({ description: 'SHA-256 in hex.', example: '0'.repeat(64) })

export const anchorQuery = z.object({
  anchor: z
    .string()
    .regex(/^[1-9]\d{0,14}:[0-9a-f]{64}$/, '`id:hash`')
    .optional()
    .openapi({
      description: 'A head that was written down before, as `id:hash`: its row must still have that hash.',
      example: `42:${'0'.repeat(64)}`,
    }),
})

export const verification = z
  .object({
    sealed: z.number().int().openapi({ description: 'How many rows hold.', example: 42 }),
    unsealed: z.number().int().openapi({ description: 'How many wait for the next minute.', example: 0 }),
    broken: z
      .object({
        id: z.number().int(),
        reason: z.enum(['hash', 'missing', 'order']).openapi({
          description:
            'Its hash does not fit; it is not there; or it was left out when later rows were sealed.',
        }),
      })
      .nullable()
      .openapi({ description: 'The first row that is wrong; null when the chain holds.', example: null }),
    head: z
      .object({ id: z.number().int().openapi({ example: 42 }), hash: chainHash })
      .nullable()
      .openapi({ description: 'The last row that holds: write it down elsewhere, and verify against it.' }),
  })
  .openapi('Verification')
