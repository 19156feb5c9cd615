import { createRoute, z } from '@hono/zod-openapi'
import { type Management, refusalFor } from '../../access/management.ts'
import { isJsonObject } from '../../engine/json.ts'
import { parseCursor, toPage } from '../../http/paging.ts'
import { refuse } from '../../http/problem.ts'
import { REVISION_REQUIRED, revisionOf } from '../../http/revision.ts'
import { createRouter } from '../../http/router.ts'
import { body, flagOf, json, nextCursor, pageQuery, refusals, revisionHeaders } from '../../http/schemas.ts'
import { changeAnswers } from '../change-answers.ts'
import { listFlags, loadListedFlag } from '../flag-list.ts'
import { flag, flagDraft, patch } from '../flag-schemas.ts'
import { loadFlag } from '../flag-store.ts'
import { toFlagDraft } from '../flags.ts'
import { mergePatch } from '../merge-patch.ts'
import { deletion, environmentKey, ofFlag } from '../schemas.ts'
import { answerOperation, notFound, type Observations } from './answer.ts'

const filter = pageQuery
  .extend({
    search: z
      .string()
      .max(200)
      .optional()
      .openapi({ description: 'Words of key, description, owner, tags.' }),
    tag: z.string().max(100).optional(),
    owner: z.string().max(200).optional(),
    type: z.enum(['boolean', 'string', 'number', 'object']).optional(),
    temporary: flagOf.optional(),
    stale: flagOf.optional(),
    archived: flagOf.optional(),
    environment: environmentKey.optional(),
    enabled: flagOf.optional().openapi({ description: 'As it is in `environment`.' }),
  })
  .refine(({ enabled, environment }) => enabled === undefined || environment !== undefined, {
    path: ['environment'],
    error: 'says where it is enabled',
  })

const archiving = z
  .strictObject({ comment: flagDraft.shape.comment, applyAt: flagDraft.shape.applyAt })
  .openapi('Archiving')

const MALFORMED = { status: 400, code: 'malformed', message: 'the request is not understood' } as const

/** Flags: what they are in every environment. */
export function createFlagRoutes(observations: Observations) {
  return createRouter<Management>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/flags',
        operationId: 'listFlags',
        tags: ['Flags'],
        summary: 'Flags, by key; searched and filtered',
        request: { query: filter },
        responses: {
          200: json(z.object({ flags: z.array(flag), nextCursor }), 'A page of flags.'),
          ...refusals,
        },
      }),
      async (c) => {
        const { limit, cursor, ...wanted } = c.req.valid('query')
        const after = cursor === undefined ? '' : String(parseCursor(cursor)?.[0] ?? '')
        const { environment } = wanted
        const refusal = refusalFor(c.var.actor, 'viewer', environment)
        if (refusal) return refuse(c, refusal)
        const rows = await listFlags(c.env.DB, wanted, c.var.actor.environments, limit + 1, after)
        const page = toPage(rows, limit, ({ key }) => [key])
        return c.json({ flags: page.rows.map(toJson), nextCursor: page.nextCursor }, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/flags/{flag}',
        operationId: 'getFlag',
        tags: ['Flags'],
        summary: 'One flag',
        request: { params: ofFlag },
        responses: { 200: json(flag, 'The flag.'), ...refusals },
      }),
      async (c) => {
        const { flag: key } = c.req.valid('param')
        const found = await loadListedFlag(c.env.DB, key, c.var.actor.environments)
        return found
          ? c.json(toJson(found), 200, { etag: `"${found.revision}"` })
          : refuse(c, notFound(`flag "${key}"`))
      },
    )
    .openapi(
      createRoute({
        method: 'put',
        path: '/api/v1/flags/{flag}',
        operationId: 'saveFlag',
        tags: ['Flags'],
        summary: 'Make a flag, switched off everywhere, or change what it is in every environment',
        request: { params: ofFlag, headers: revisionHeaders, body: body(flagDraft) },
        responses: changeAnswers('flag.save'),
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const { comment, applyAt, ...draft } = c.req.valid('json')
        const operation = { kind: 'flag.save', flag: c.req.valid('param').flag, draft, revision } as const
        return answerOperation(c, observations, operation, { comment, applyAt })
      },
    )
    .openapi(
      createRoute({
        method: 'patch',
        path: '/api/v1/flags/{flag}',
        operationId: 'patchFlag',
        tags: ['Flags'],
        summary: 'Change a part of what a flag is, by JSON merge patch',
        request: { params: ofFlag, headers: revisionHeaders, body: body(patch) },
        responses: changeAnswers('flag.save'),
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const { flag: key } = c.req.valid('param')
        const { comment, applyAt, ...changes } = c.req.valid('json')
        const current = await loadFlag(c.env.DB, key)
        if (!current) return refuse(c, notFound(`flag "${key}"`))
        const merged = mergePatch({ ...toFlagDraft(current) }, changes)
        const parsed = flagDraft.omit({ comment: true, applyAt: true }).safeParse(merged)
        if (!parsed.success) {
          const details = parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }))
          return refuse(c, { ...MALFORMED, details })
        }
        const operation = { kind: 'flag.save', flag: key, draft: parsed.data, revision } as const
        return answerOperation(c, observations, operation, { comment, applyAt })
      },
    )
    .openapi(
      createRoute({
        method: 'delete',
        path: '/api/v1/flags/{flag}',
        operationId: 'deleteFlag',
        tags: ['Flags'],
        summary: 'Delete a flag in every environment; its history stays',
        request: { params: ofFlag, headers: revisionHeaders, query: deletion },
        responses: changeAnswers('flag.delete'),
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const operation = { kind: 'flag.delete', flag: c.req.valid('param').flag, revision } as const
        return answerOperation(c, observations, operation, c.req.valid('query'))
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/flags/{flag}/archive',
        operationId: 'archiveFlag',
        tags: ['Flags'],
        summary: 'Take a flag from every edge, and keep what it was',
        request: { params: ofFlag, headers: revisionHeaders, body: body(archiving) },
        responses: changeAnswers('flag.archive'),
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const operation = { kind: 'flag.archive', flag: c.req.valid('param').flag, revision } as const
        return answerOperation(c, observations, operation, c.req.valid('json'))
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/flags/{flag}/unarchive',
        operationId: 'unarchiveFlag',
        tags: ['Flags'],
        summary: 'Bring an archived flag back to every edge, as it was',
        request: { params: ofFlag, headers: revisionHeaders, body: body(archiving) },
        responses: changeAnswers('flag.unarchive'),
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const operation = { kind: 'flag.unarchive', flag: c.req.valid('param').flag, revision } as const
        return answerOperation(c, observations, operation, c.req.valid('json'))
      },
    )
}

function toJson<T extends Awaited<ReturnType<typeof listFlags>>[number]>(found: T) {
  return {
    ...found,
    variants: found.variants.map((variant) => ({ ...variant })),
    tags: [...found.tags],
    stale: found.stale && isJsonObject(found.stale) ? { ...found.stale } : null,
  }
}
