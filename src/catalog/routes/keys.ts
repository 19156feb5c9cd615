import { createRoute, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import type { Actor, Role } from '../../access/actor.ts'
import { authorOf, type Management, refusalFor } from '../../access/management.ts'
import type { Result } from '../../engine/result.ts'
import { refuse } from '../../http/problem.ts'
import { createRouter } from '../../http/router.ts'
import {
  body,
  changeRefusedWith,
  comment,
  instant,
  json,
  type RefusalCodes,
  refusals,
} from '../../http/schemas.ts'
import { type Change, type Committed, commitChange } from '../change.ts'
import { loadEnvironment } from '../environments.ts'
import { key, keyDraft } from '../key-schemas.ts'
import { listKeys, planKeyCreation, planKeyRevocation, planKeyRotation } from '../keys.ts'
import { publishAll } from '../publish.ts'
import { toRefusal } from '../refusals.ts'
import type { SaveError } from '../save-error.ts'
import { changed, inEnvironment, ofKey, published } from '../schemas.ts'
import { answerCommitted, notFound } from './answer.ts'

const MAX_OVERLAP_SECONDS = 30 * 86_400

const made = z
  .object({
    id: ofKey.shape.id,
    key: z.string().optional().openapi({
      description: 'The key itself, shown this once.',
      example: 'rp_server_production_0123456789abcdef0123456789abcdef',
    }),
    replaces: ofKey.shape.id.optional().openapi({ description: 'Left out for a key that replaces none.' }),
    expiresAt: instant.optional().openapi({ description: 'When the key that it replaces ends.' }),
    environments: published,
  })
  .openapi('NewKey')

const rotation = z
  .strictObject({
    overlapSeconds: z
      .number()
      .int()
      .min(0)
      .max(MAX_OVERLAP_SECONDS)
      .default(86_400)
      .openapi({ description: 'For how long the old key is good beside the new one.' }),
    comment,
  })
  .openapi('KeyRotation')

const NEW: RefusalCodes = { 404: ['not_found'], 413: ['environment_too_large'] }
const newKeyRefusals = changeRefusedWith(NEW)
const keyRefusals = changeRefusedWith(NEW, { 412: ['stale'] })

/** Why an actor may not let keys in or out of an environment; undefined when they may. */
async function keyRefusal(database: D1Database, actor: Actor, environment: string) {
  const refusal = refusalFor(actor, 'developer', environment)
  if (refusal) return refusal
  const found = await loadEnvironment(database, environment)
  if (!found) return notFound(`environment "${environment}"`)
  const needed: Role = found.protected ? 'releaser' : 'developer'
  return refusalFor(actor, needed, environment)
}

async function commitKey(
  c: Context<Management>,
  planned: Result<Change, SaveError>,
  comment: string,
): Promise<Result<Committed, SaveError>> {
  return planned.ok ? commitChange(c.env.DB, planned.value, authorOf(c, comment)) : planned
}

async function answerMade(c: Context<Management>, { versions, answer }: Committed) {
  // The plan says what is shown of a new key.
  const shown = answer.body as { id: string; key?: string }
  return c.json({ ...shown, environments: await publishAll(c.env, versions) }, 201)
}

/** Evaluation keys: what applications ask with. */
export function createKeyRoutes() {
  return createRouter<Management>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/environments/{environment}/keys',
        operationId: 'listKeys',
        tags: ['Keys'],
        summary: 'All keys of an environment, without what would let them in',
        request: { params: inEnvironment },
        responses: { 200: json(z.object({ keys: z.array(key) }), 'Oldest first.'), ...refusals },
      }),
      async (c) => {
        const { environment } = c.req.valid('param')
        const refusal = refusalFor(c.var.actor, 'viewer', environment)
        if (refusal) return refuse(c, refusal)
        const [keys, found] = await Promise.all([
          listKeys(c.env.DB, environment),
          loadEnvironment(c.env.DB, environment),
        ])
        return found ? c.json({ keys }, 200) : refuse(c, notFound(`environment "${environment}"`))
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/environments/{environment}/keys',
        operationId: 'createKey',
        tags: ['Keys'],
        summary: 'Make a key; it is shown this once',
        request: { params: inEnvironment, body: body(keyDraft) },
        responses: { 201: json(made, 'The key.'), ...newKeyRefusals },
      }),
      async (c) => {
        const { environment } = c.req.valid('param')
        const refusal = await keyRefusal(c.env.DB, c.var.actor, environment)
        if (refusal) return refuse(c, refusal)
        const { comment, ...draft } = c.req.valid('json')
        const change = await planKeyCreation(c.env.DB, environment, draft, Date.now())
        const result = await commitKey(c, { ok: true, value: change }, comment)
        return result.ok ? answerMade(c, result.value) : refuse(c, toRefusal(result.error))
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/environments/{environment}/keys/{id}/rotate',
        operationId: 'rotateKey',
        tags: ['Keys'],
        summary: 'Put a new key in the place of an old one, which is good for a while longer',
        request: { params: ofKey, body: body(rotation) },
        responses: { 201: json(made, 'The new key.'), ...keyRefusals },
      }),
      async (c) => {
        const { environment, id } = c.req.valid('param')
        const refusal = await keyRefusal(c.env.DB, c.var.actor, environment)
        if (refusal) return refuse(c, refusal)
        const { comment, overlapSeconds } = c.req.valid('json')
        const overlap = overlapSeconds * 1_000
        const planned = await planKeyRotation(c.env.DB, environment, id, overlap, Date.now())
        const result = await commitKey(c, planned, comment)
        return result.ok ? answerMade(c, result.value) : refuse(c, toRefusal(result.error))
      },
    )
    .openapi(
      createRoute({
        method: 'delete',
        path: '/api/v1/environments/{environment}/keys/{id}',
        operationId: 'revokeKey',
        tags: ['Keys'],
        summary: 'Shut a key out',
        request: { params: ofKey, query: z.object({ comment }) },
        responses: { 200: json(changed, 'It is dead at the edge with this version.'), ...keyRefusals },
      }),
      async (c) => {
        const { environment, id } = c.req.valid('param')
        const refusal = await keyRefusal(c.env.DB, c.var.actor, environment)
        if (refusal) return refuse(c, refusal)
        const planned = await planKeyRevocation(c.env.DB, environment, id, Date.now())
        const result = await commitKey(c, planned, c.req.valid('query').comment)
        return result.ok ? answerCommitted(c, result.value) : refuse(c, toRefusal(result.error))
      },
    )
}
