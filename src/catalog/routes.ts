// The catalog over HTTP. Built on first use: see app.ts.
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { type Actor, actorOf } from '../access/admin.ts'
import { createKey, hashKey, randomHex } from '../access/key.ts'
import type { Bindings } from '../bindings.ts'
import { type Refusal, refuse, refuseThrown, refuseUnknown } from '../http/problem.ts'
import { REVISION_REQUIRED, revisionOf } from '../http/revision.ts'
import type { Versions } from './change.ts'
import { type Author, createEnvironment, listEnvironments, loadEnvironment } from './environments.ts'
import { deleteFlag, listFlags, loadConfiguration, loadFlag, saveConfiguration, saveFlag } from './flags.ts'
import { listKeys, revokeKey, saveKey } from './keys.ts'
import { publishAll } from './publish.ts'
import { toRefusal } from './refusals.ts'
import {
  anything,
  body,
  changed,
  configurationDraft,
  environmentDraft,
  flagDraft,
  inEnvironment,
  json,
  keyDraft,
  ofFlag,
  ofFlagInEnvironment,
  ofSegment,
  problems,
  revisionHeaders,
  segmentDraft,
} from './route-schemas.ts'
import { deleteSegment, listSegments, saveSegment } from './segments.ts'

type Environment = { Bindings: Bindings; Variables: { actor: Actor } }

function authorOf(c: Context<Environment>, comment: string): Author {
  return { actor: c.var.actor.id, comment, now: Date.now() }
}

async function committed(c: Context<Environment>, versions: Versions) {
  return c.json(await publishAll(c.env, versions), 200)
}

const notFound = (what: string): Refusal => ({
  status: 404,
  code: 'not_found',
  message: `there is no ${what}`,
})

/** Builds the management routes of the catalog. */
export function createCatalogRoutes() {
  const app = new OpenAPIHono<Environment>({
    defaultHook: (result, c) => {
      if (result.success) return undefined
      const details = result.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }))
      return refuse(c, { status: 400, code: 'malformed', message: 'the request is not understood', details })
    },
  })

  app.onError(refuseThrown)
  app.notFound(refuseUnknown)
  app.use('/api/v1/*', async (c, next) => {
    const actor = actorOf(c.req.raw, c.env)
    if (!actor) return refuse(c, { status: 401, code: 'unauthorized', message: 'a valid token is needed' })
    c.set('actor', actor)
    return next()
  })

  return app
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/environments',
        responses: { 200: json(anything, 'All environments.'), ...problems },
      }),
      async (c) => c.json({ environments: await listEnvironments(c.env.DB) }, 200),
    )
    .openapi(
      createRoute({
        method: 'put',
        path: '/api/v1/environments/{environment}',
        request: { params: inEnvironment, body: body(environmentDraft) },
        responses: changed,
      }),
      async (c) => {
        const { comment, ...draft } = c.req.valid('json')
        const key = c.req.valid('param').environment
        const result = await createEnvironment(c.env.DB, { key, ...draft }, authorOf(c, comment))
        return result.ok ? committed(c, result.value) : refuse(c, toRefusal(result.error))
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/flags',
        responses: { 200: json(anything, 'All flags.'), ...problems },
      }),
      async (c) => c.json({ flags: await listFlags(c.env.DB) }, 200),
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/flags/{flag}',
        request: { params: ofFlag },
        responses: { 200: json(anything, 'The flag.'), ...problems },
      }),
      async (c) => {
        const { flag } = c.req.valid('param')
        const found = await loadFlag(c.env.DB, flag)
        return found
          ? c.json(found, 200, { etag: `"${found.revision}"` })
          : refuse(c, notFound(`flag "${flag}"`))
      },
    )
    .openapi(
      createRoute({
        method: 'put',
        path: '/api/v1/flags/{flag}',
        request: { params: ofFlag, headers: revisionHeaders, body: body(flagDraft) },
        responses: changed,
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const { comment, description, tags, owner, temporary, ...draft } = c.req.valid('json')
        const notes = { description, tags, owner, temporary }
        const { flag } = c.req.valid('param')
        const result = await saveFlag(c.env.DB, flag, draft, notes, revision, authorOf(c, comment))
        return result.ok ? committed(c, result.value) : refuse(c, toRefusal(result.error))
      },
    )
    .openapi(
      createRoute({
        method: 'delete',
        path: '/api/v1/flags/{flag}',
        request: { params: ofFlag, headers: revisionHeaders },
        responses: changed,
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const result = await deleteFlag(c.env.DB, c.req.valid('param').flag, revision, authorOf(c, ''))
        return result.ok ? committed(c, result.value) : refuse(c, toRefusal(result.error))
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/flags/{flag}/environments/{environment}',
        request: { params: ofFlagInEnvironment },
        responses: { 200: json(anything, 'The configuration.'), ...problems },
      }),
      async (c) => {
        const { flag, environment } = c.req.valid('param')
        const found = await loadConfiguration(c.env.DB, flag, environment)
        if (!found) return refuse(c, notFound(`configuration of "${flag}" in "${environment}"`))
        return c.json({ ...found.configuration, revision: found.revision }, 200, {
          etag: `"${found.revision}"`,
        })
      },
    )
    .openapi(
      createRoute({
        method: 'put',
        path: '/api/v1/flags/{flag}/environments/{environment}',
        request: { params: ofFlagInEnvironment, headers: revisionHeaders, body: body(configurationDraft) },
        responses: changed,
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const { comment, ...draft } = c.req.valid('json')
        const { flag, environment } = c.req.valid('param')
        if (!(await loadEnvironment(c.env.DB, environment)))
          return refuse(c, notFound(`environment "${environment}"`))
        const result = await saveConfiguration(
          c.env.DB,
          flag,
          environment,
          draft,
          revision,
          authorOf(c, comment),
        )
        return result.ok ? committed(c, result.value) : refuse(c, toRefusal(result.error))
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/environments/{environment}/segments',
        request: { params: inEnvironment },
        responses: { 200: json(anything, 'The segments.'), ...problems },
      }),
      async (c) => c.json({ segments: await listSegments(c.env.DB, c.req.valid('param').environment) }, 200),
    )
    .openapi(
      createRoute({
        method: 'put',
        path: '/api/v1/environments/{environment}/segments/{segment}',
        request: { params: ofSegment, headers: revisionHeaders, body: body(segmentDraft) },
        responses: changed,
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const { comment, description, ...draft } = c.req.valid('json')
        const { environment, segment } = c.req.valid('param')
        if (!(await loadEnvironment(c.env.DB, environment)))
          return refuse(c, notFound(`environment "${environment}"`))
        const author = authorOf(c, comment)
        const result = await saveSegment(c.env.DB, environment, segment, draft, description, revision, author)
        return result.ok ? committed(c, result.value) : refuse(c, toRefusal(result.error))
      },
    )
    .openapi(
      createRoute({
        method: 'delete',
        path: '/api/v1/environments/{environment}/segments/{segment}',
        request: { params: ofSegment, headers: revisionHeaders },
        responses: changed,
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const { environment, segment } = c.req.valid('param')
        const result = await deleteSegment(c.env.DB, environment, segment, revision, authorOf(c, ''))
        return result.ok ? committed(c, result.value) : refuse(c, toRefusal(result.error))
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/environments/{environment}/keys',
        request: { params: inEnvironment },
        responses: { 200: json(anything, 'The keys, without what would let them in.'), ...problems },
      }),
      async (c) => c.json({ keys: await listKeys(c.env.DB, c.req.valid('param').environment) }, 200),
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/environments/{environment}/keys',
        request: { params: inEnvironment, body: body(keyDraft) },
        responses: { 201: json(anything, 'The key, shown this once.'), ...problems },
      }),
      async (c) => {
        const { comment, hash, kind, name } = c.req.valid('json')
        const { environment } = c.req.valid('param')
        if (!(await loadEnvironment(c.env.DB, environment)))
          return refuse(c, notFound(`environment "${environment}"`))
        const key = hash === undefined ? createKey(kind, environment) : undefined
        const draft = { id: `key-${randomHex(8)}`, kind, name, hash: hash ?? (await hashKey(key ?? '')) }
        const result = await saveKey(c.env.DB, environment, draft, authorOf(c, comment))
        if (!result.ok) return refuse(c, toRefusal(result.error))
        return c.json({ id: draft.id, key, environments: await publishAll(c.env, result.value) }, 201)
      },
    )
    .openapi(
      createRoute({
        method: 'delete',
        path: '/api/v1/environments/{environment}/keys/{id}',
        request: { params: inEnvironment.extend({ id: z.string().min(1) }) },
        responses: changed,
      }),
      async (c) => {
        const { environment, id } = c.req.valid('param')
        const result = await revokeKey(c.env.DB, environment, id, authorOf(c, ''))
        return result.ok ? committed(c, result.value) : refuse(c, toRefusal(result.error))
      },
    )
}
