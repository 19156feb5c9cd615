// Environments, as the routes take and answer them.
import { z } from '@hono/zod-openapi'
import type { JsonObject } from '../engine/json.ts'
import { instant } from '../http/schemas.ts'
import { DEFAULT_SHARDS, MAX_SHARDS } from './layouts.ts'
import { change, count, environmentKey, jsonObject, revision, version } from './schemas.ts'

const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

function isPublicKey(key: JsonObject): boolean {
  const isAsymmetric = key.kty === 'RSA' || key.kty === 'EC' || key.kty === 'OKP'
  return isAsymmetric && PRIVATE_MEMBERS.every((member) => !Object.hasOwn(key, member))
}

const environmentFields = {
  name: z.string().min(1).max(200).openapi({ example: 'Production' }),
  refreshSeconds: z.number().int().min(1).max(60).openapi({
    description: 'How long an isolate may go without asking for news.',
    example: 30,
  }),
  protected: z.boolean().openapi({ description: 'Whether changes need a second person.' }),
  keepContexts: z
    .boolean()
    .openapi({ description: 'Whether some contexts of the last day are kept, to try drafts on.' }),
  contextKeys: z
    .array(jsonObject.refine(isPublicKey, 'must be the JWK of a public RSA, EC or OKP key'))
    .max(5)
    .openapi({
      description: 'Public keys (JWK); where there are any, contexts of client keys must be signed.',
      example: [],
    }),
  shards: z.number().int().min(1).max(MAX_SHARDS).openapi({
    description: 'Over how many shards events are spread; another number counts twelve minutes later.',
    example: DEFAULT_SHARDS,
  }),
}

export const environmentDraft = z
  .strictObject({
    ...environmentFields,
    refreshSeconds: environmentFields.refreshSeconds.default(30),
    protected: environmentFields.protected.default(false),
    keepContexts: environmentFields.keepContexts.default(false),
    contextKeys: environmentFields.contextKeys.default([]),
    shards: environmentFields.shards.default(DEFAULT_SHARDS),
    copyFrom: environmentKey
      .optional()
      .openapi({ description: 'For a new one: where its configurations and segments come from.' }),
    ...change,
  })
  .openapi('EnvironmentDraft')

export const environment = z
  .object({
    key: environmentKey,
    ...environmentFields,
    version,
    revision,
    bytes: count.openapi({ description: 'What its snapshot weighs.', example: 18_400 }),
    createdAt: instant,
  })
  .openapi('Environment')
