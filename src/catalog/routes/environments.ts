import { createRoute, z } from '@hono/zod-openapi'
import { reaches } from '../../access/actor.ts'
import { type Management, refusalFor } from '../../access/management.ts'
import { refuse } from '../../http/problem.ts'
import { REVISION_REQUIRED, revisionOf } from '../../http/revision.ts'
import { createRouter } from '../../http/router.ts'
import { body, json, refusals, refusedWith, revisionHeaders } from '../../http/schemas.ts'
import { changeAnswers } from '../change-answers.ts'
import { environment, environmentDraft } from '../environment-schemas.ts'
import { listEnvironments, loadEnvironment } from '../environments.ts'
import { hubOf } from '../hub-protocol.ts'
import { propagation } from '../propagation-schema.ts'
import { deletion, inEnvironment } from '../schemas.ts'
import { answerOperation, notFound, type Observations } from './answer.ts'

/** Environments: what they are, and how far their last change has come. */
export function createEnvironmentRoutes(observations: Observations) {
  return createRouter<Management>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/environments',
        operationId: 'listEnvironments',
        tags: ['Environments'],
        summary: 'All environments that one reaches',
        responses: {
          200: json(z.object({ environments: z.array(environment) }), 'By key.'),
          ...refusedWith(),
        },
      }),
      async (c) => {
        const all = await listEnvironments(c.env.DB)
        const reached = all.filter(({ key }) => reaches(c.var.actor, key))
        return c.json({ environments: reached.map(toJson) }, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/environments/{environment}',
        operationId: 'getEnvironment',
        tags: ['Environments'],
        summary: 'One environment, and how far its last change has come',
        request: { params: inEnvironment },
        responses: {
          200: json(environment.extend({ propagation }), 'The environment.'),
          ...refusals,
        },
      }),
      async (c) => {
        const { environment: key } = c.req.valid('param')
        const refusal = refusalFor(c.var.actor, 'viewer', key)
        if (refusal) return refuse(c, refusal)
        const [found, reached] = await Promise.all([
          loadEnvironment(c.env.DB, key),
          hubOf(c.env, key)
            .propagation()
            .catch(() => null),
        ])
        if (!found) return refuse(c, notFound(`environment "${key}"`))
        return c.json({ ...toJson(found), propagation: reached as z.output<typeof propagation> }, 200, {
          etag: `"${found.revision}"`,
        })
      },
    )
    .openapi(
      createRoute({
        method: 'put',
        path: '/api/v1/environments/{environment}',
        operationId: 'saveEnvironment',
        tags: ['Environments'],
        summary: 'Make an environment, or change what it is',
        request: { params: inEnvironment, headers: revisionHeaders, body: body(environmentDraft) },
        responses: changeAnswers('environment.save'),
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const { comment, applyAt, copyFrom, ...draft } = c.req.valid('json')
        const { environment } = c.req.valid('param')
        const operation = { kind: 'environment.save', environment, draft, copyFrom, revision } as const
        return answerOperation(c, observations, operation, { comment, applyAt })
      },
    )
    .openapi(
      createRoute({
        method: 'delete',
        path: '/api/v1/environments/{environment}',
        operationId: 'deleteEnvironment',
        tags: ['Environments'],
        summary: 'Delete an environment with its configurations, segments and keys; its history stays',
        request: { params: inEnvironment, headers: revisionHeaders, query: deletion },
        responses: changeAnswers('environment.delete'),
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const { environment } = c.req.valid('param')
        const operation = { kind: 'environment.delete', environment, revision } as const
        return answerOperation(c, observations, operation, c.req.valid('query'))
      },
    )
}

function toJson<T extends { readonly contextKeys: readonly object[] }>(stored: T) {
  return { ...stored, contextKeys: stored.contextKeys.map((key) => ({ ...key })) }
}
