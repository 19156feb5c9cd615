// Flags and their configurations, as the routes take and answer them.
import { z } from '@hono/zod-openapi'
import type { Json } from '../engine/json.ts'
import { instant } from '../http/schemas.ts'
import {
  anyJson,
  change,
  flagKey,
  prerequisite,
  revision,
  rule,
  serve,
  sketched,
  target,
  variantName,
} from './schemas.ts'

const variant = z
  .strictObject({ name: variantName, value: anyJson.openapi({ example: true }) })
  .openapi({ required: ['name', 'value'] })
const metadata = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
const flagType = z.enum(['boolean', 'string', 'number', 'object'])

const flagFields = {
  type: flagType.openapi({ example: 'boolean' }),
  variants: z.array(variant).openapi({
    example: [
      { name: 'on', value: true },
      { name: 'off', value: false },
    ],
  }),
  metadata: metadata.openapi({ example: { tier: 1 } }),
  clientVisible: z.boolean().openapi({ description: 'Whether client keys may see it.' }),
  description: z.string().max(10_000).openapi({ example: 'The checkout on one page' }),
  tags: z
    .array(z.string().max(100))
    .max(100)
    .openapi({ example: ['checkout'] }),
  owner: z.string().max(200).openapi({ example: 'team-payments' }),
  temporary: z.boolean().openapi({ description: 'Whether it is to be removed one day.' }),
}

export const flagDraft = z
  .strictObject({
    ...flagFields,
    metadata: flagFields.metadata.default({}),
    clientVisible: flagFields.clientVisible.default(false),
    description: flagFields.description.default(''),
    tags: flagFields.tags.default([]),
    owner: flagFields.owner.default(''),
    temporary: flagFields.temporary.default(false),
    ...change,
  })
  .openapi('FlagDraft')

export const patch = z
  .object({ ...change })
  .catchall(anyJson)
  .openapi('Patch', { description: 'A JSON merge patch (RFC 7396), and why.', example: { enabled: false } })

const state = z.object({ enabled: z.boolean(), revision, updatedAt: instant })

export const flag = z
  .object({
    key: flagKey,
    ...flagFields,
    revision,
    archivedAt: instant.nullable().openapi({ example: null }),
    createdAt: instant,
    updatedAt: instant,
    environments: z.record(z.string(), state).openapi({
      description: 'Whether it is on, by environment.',
      example: { production: { enabled: true, revision: 3, updatedAt: 1_795_000_000_000 } },
    }),
    stale: z
      .object({
        reason: z.enum(['not_evaluated', 'fully_rolled_out', 'one_variant']),
        message: z.string().openapi({ example: 'it has answered "on" to everyone for 45 days' }),
        since: instant,
      })
      .nullable()
      .openapi({ description: 'Why it should be cleaned up; null when it should not, or nobody knows.' }),
  })
  .openapi('Flag')

const offVariant = z.string().nullable().openapi({
  description: "What is answered while it is off; null: the caller's default.",
  example: 'off',
})

/** As it is sent: the engine's parser says what is wrong inside, and where. */
const looseConfigurationFields = {
  enabled: z.boolean(),
  offVariant: offVariant.default(null),
  prerequisites: z
    .array(sketched<Json>().openapi({ type: 'object' }))
    .default([])
    .openapi({ example: [{ flag: 'new-basket', variants: ['on'] }] }),
  targets: z
    .array(sketched<Json>().openapi({ type: 'object' }))
    .default([])
    .openapi({ example: [{ variant: 'on', units: ['ada'] }] }),
  rules: z
    .array(sketched<Json>().openapi({ type: 'object' }))
    .default([])
    .openapi({
      example: [{ id: 'friends', when: { segment: 'beta-testers' }, serve: { variant: 'on' } }],
    }),
  fallthrough: sketched<Json>().openapi({
    allOf: [{ $ref: '#/components/schemas/Serve' }],
    example: { variant: 'off' },
  }),
}

const NEEDED = ['enabled', 'fallthrough']

export const configurationDraft = z
  .strictObject({
    ...looseConfigurationFields,
    allowMoves: z
      .boolean()
      .default(false)
      .openapi({ description: 'Whether units that a split gave a variant may get another.' }),
    ...change,
  })
  .openapi('FlagConfigurationDraft', { required: NEEDED })

export const previewDraft = z
  .strictObject(looseConfigurationFields)
  .openapi('PreviewDraft', { required: NEEDED })

export const configurationPatch = z
  .object({
    allowMoves: z.boolean().default(false),
    emergency: z.boolean().default(false).openapi({
      description: 'Switches the flag off at once, and nothing else: no second person is asked.',
    }),
    ...change,
  })
  .catchall(anyJson)
  .openapi('FlagConfigurationPatch', { example: { enabled: false, comment: 'It fails' } })

export const configuration = z
  .object({
    enabled: z.boolean(),
    offVariant,
    prerequisites: z.array(prerequisite),
    targets: z.array(target),
    rules: z.array(rule),
    fallthrough: serve,
    revision,
    updatedAt: instant,
  })
  .openapi('FlagConfiguration')
