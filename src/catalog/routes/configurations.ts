import { createRoute, z } from '@hono/zod-openapi'
import { type Management, refusalFor } from '../../access/management.ts'
import { isJsonObject } from '../../engine/json.ts'
import { CHANGES_NOTHING } from '../../http/openapi.ts'
import { refuse } from '../../http/problem.ts'
import { REVISION_REQUIRED, revisionOf } from '../../http/revision.ts'
import { createRouter } from '../../http/router.ts'
import { body, json, refusals, revisionHeaders } from '../../http/schemas.ts'
import { changeAnswers, previewRefusals } from '../change-answers.ts'
import { draftConfiguration, previewConfiguration } from '../configurations.ts'
import { loadEnvironment } from '../environments.ts'
import { configuration, configurationDraft, configurationPatch, previewDraft } from '../flag-schemas.ts'
import { loadConfiguration } from '../flag-store.ts'
import { mergePatch } from '../merge-patch.ts'
import { preview } from '../preview-schema.ts'
import { toRefusal } from '../refusals.ts'
import { environmentKey, ofFlag, ofFlagInEnvironment } from '../schemas.ts'
import { withSeedsOf } from '../seeds.ts'
import { answerOperation, notFound, type Observations } from './answer.ts'

const copying = z
  .strictObject({
    from: environmentKey.openapi({ example: 'staging' }),
    to: environmentKey.openapi({ example: 'production' }),
    allowMoves: configurationDraft.shape.allowMoves,
    comment: configurationDraft.shape.comment,
    applyAt: configurationDraft.shape.applyAt,
  })
  .openapi('Copy')

/** Flags: what they are in one environment. */
export function createConfigurationRoutes(observations: Observations) {
  return createRouter<Management>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/flags/{flag}/environments/{environment}',
        operationId: 'getConfiguration',
        tags: ['Flags'],
        summary: 'What a flag is in one environment',
        request: { params: ofFlagInEnvironment },
        responses: { 200: json(configuration, 'The configuration.'), ...refusals },
      }),
      async (c) => {
        const { flag, environment } = c.req.valid('param')
        const refusal = refusalFor(c.var.actor, 'viewer', environment)
        if (refusal) return refuse(c, refusal)
        const found = await loadConfiguration(c.env.DB, flag, environment)
        if (!found) return refuse(c, notFound(`configuration of "${flag}" in "${environment}"`))
        const { revision, updatedAt } = found
        // As it is stored: parsed when it was saved.
        const shown = found.configuration as z.input<typeof configuration>
        return c.json({ ...shown, revision, updatedAt } as z.output<typeof configuration>, 200, {
          etag: `"${revision}"`,
        })
      },
    )
    .openapi(
      createRoute({
        method: 'put',
        path: '/api/v1/flags/{flag}/environments/{environment}',
        operationId: 'saveConfiguration',
        tags: ['Flags'],
        summary: 'Change what a flag is in one environment',
        request: { params: ofFlagInEnvironment, headers: revisionHeaders, body: body(configurationDraft) },
        responses: changeAnswers('configuration.save'),
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const { comment, applyAt, allowMoves, ...draft } = c.req.valid('json')
        const place = c.req.valid('param')
        const operation = { kind: 'configuration.save', ...place, draft, revision, allowMoves } as const
        return answerOperation(c, observations, operation, { comment, applyAt })
      },
    )
    .openapi(
      createRoute({
        method: 'patch',
        path: '/api/v1/flags/{flag}/environments/{environment}',
        operationId: 'patchConfiguration',
        tags: ['Flags'],
        summary: 'Change a part of what a flag is in one environment',
        description: 'A JSON merge patch (RFC 7396), but that `fallthrough` is replaced as a whole.',
        request: { params: ofFlagInEnvironment, headers: revisionHeaders, body: body(configurationPatch) },
        responses: changeAnswers('configuration.save', { 422: ['not_only_off'] }),
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const place = c.req.valid('param')
        const refusal = refusalFor(c.var.actor, 'viewer', place.environment)
        if (refusal) return refuse(c, refusal)
        const { comment, applyAt, allowMoves, emergency, ...changes } = c.req.valid('json')
        const current = await loadConfiguration(c.env.DB, place.flag, place.environment)
        if (!current) {
          return refuse(c, notFound(`configuration of "${place.flag}" in "${place.environment}"`))
        }
        const { fallthrough = current.configuration.fallthrough, ...others } = changes
        const draft = mergePatch({ ...current.configuration }, { ...others, fallthrough: null })
        if (!isJsonObject(draft)) throw new Error('a patched object is an object')
        const operation = {
          kind: 'configuration.save',
          ...place,
          // Either a variant or a split: merged, it would be both.
          draft: { ...draft, fallthrough },
          revision,
          allowMoves,
          emergency,
        } as const
        return answerOperation(c, observations, operation, { comment, applyAt })
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/flags/{flag}/environments/{environment}/preview',
        operationId: 'previewConfiguration',
        tags: ['Flags'],
        summary: 'What a drafted configuration would do to the units',
        ...CHANGES_NOTHING,
        request: { params: ofFlagInEnvironment, body: body(previewDraft) },
        responses: { 200: json(preview, 'Who would change variant.'), ...previewRefusals },
      }),
      async (c) => {
        const { flag, environment } = c.req.valid('param')
        const refusal = refusalFor(c.var.actor, 'viewer', environment)
        if (refusal) return refuse(c, refusal)
        const [drafted, found] = await Promise.all([
          draftConfiguration(c.env.DB, flag, environment, c.req.valid('json')),
          loadEnvironment(c.env.DB, environment),
        ])
        if (!found) return refuse(c, notFound(`environment "${environment}"`))
        if (!drafted.ok) return refuse(c, toRefusal(drafted.error))
        const contexts = await observations.contexts(c.env, environment)
        const shown = await previewConfiguration(c.env.DB, environment, drafted.value, contexts, Date.now())
        // Mutable only in its type.
        return c.json(shown as unknown as z.output<typeof preview>, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/flags/{flag}/copy',
        operationId: 'copyConfiguration',
        tags: ['Flags'],
        summary: "Give one environment a flag's configuration in another; If-Match is the target's revision",
        request: { params: ofFlag, headers: revisionHeaders, body: body(copying) },
        responses: changeAnswers('configuration.save'),
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const { flag } = c.req.valid('param')
        const { from, to, allowMoves, comment, applyAt } = c.req.valid('json')
        const refusal = refusalFor(c.var.actor, 'viewer', from) ?? refusalFor(c.var.actor, 'viewer', to)
        if (refusal) return refuse(c, refusal)
        const [source, target] = await Promise.all([
          loadConfiguration(c.env.DB, flag, from),
          loadConfiguration(c.env.DB, flag, to),
        ])
        if (!source) return refuse(c, notFound(`configuration of "${flag}" in "${from}"`))
        const draft = withSeedsOf({ ...source.configuration }, target?.configuration)
        const operation = {
          kind: 'configuration.save',
          flag,
          environment: to,
          draft,
          revision,
          allowMoves,
        } as const
        return answerOperation(c, observations, operation, { comment, applyAt })
      },
    )
}
