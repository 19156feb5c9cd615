import { createRoute, z } from '@hono/zod-openapi'
import { ROLES } from '../../access/actor.ts'
import { authorOf, type Management, refusalEverywhere } from '../../access/management.ts'
import type { FlagConfiguration } from '../../engine/flag.ts'
import { refuse } from '../../http/problem.ts'
import { createRouter } from '../../http/router.ts'
import { body, changeRefusedWith, instant, json, refusedWith } from '../../http/schemas.ts'
import { commitChange } from '../change.ts'
import { environmentDraft } from '../environment-schemas.ts'
import { EXPORT_FORMAT, EXPORT_VERSION } from '../export-document.ts'
import { flagDraft } from '../flag-schemas.ts'
import { key } from '../key-schemas.ts'
import { metricDraft, metricKey } from '../metric-schemas.ts'
import { publishAll } from '../publish.ts'
import { toRefusal } from '../refusals.ts'
import { environmentKey, flagKey, published, segmentKey } from '../schemas.ts'
import { segmentDraft } from '../segment-schemas.ts'
import { exportAll, planImport } from '../transfer.ts'

const change = { comment: true, applyAt: true } as const
const grant = {
  role: z.enum(ROLES),
  environments: z
    .array(z.string())
    .nullable()
    .openapi({ description: 'Where; null: everywhere.', example: null }),
}
const hash = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .openapi({
    description: 'SHA-256 in hex.',
    example: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  })
const person = z.string().openapi({ example: 'ada@example.com' })

const exported = z
  .strictObject({
    format: z.literal(EXPORT_FORMAT),
    formatVersion: z.literal(EXPORT_VERSION),
    exportedAt: instant,
    environments: z.array(
      environmentDraft.omit({ ...change, copyFrom: true }).extend({
        key: environmentKey,
        segments: z.array(segmentDraft.omit(change).extend({ key: segmentKey })),
        keys: z.array(key.extend({ hash })),
      }),
    ),
    flags: z.array(
      flagDraft.omit(change).extend({
        key: flagKey,
        archivedAt: instant.nullable().openapi({ example: null }),
        configurations: z.record(z.string(), z.custom<FlagConfiguration>()).openapi({
          description: 'By environment.',
          type: 'object',
          additionalProperties: { type: 'object' },
          example: { production: { enabled: true, offVariant: 'off', fallthrough: { variant: 'on' } } },
        }),
      }),
    ),
    // What was exported before there were metrics has none.
    metrics: z.array(metricDraft.omit(change).extend({ key: metricKey })).default([]),
    members: z.array(
      z.strictObject({
        id: person,
        name: z.string().openapi({ example: 'Ada' }),
        ...grant,
        revision: z.number().int().openapi({ example: 1 }),
        createdAt: instant,
        updatedAt: instant,
      }),
    ),
    tokens: z.array(
      z.strictObject({
        id: z.string().openapi({ example: '0123456789ab' }),
        name: z.string().openapi({ example: 'CI' }),
        hash,
        owner: person,
        ...grant,
        createdBy: person,
        createdAt: instant,
        expiresAt: instant.nullable().openapi({ example: null }),
        revokedAt: instant.nullable().openapi({ example: null }),
      }),
    ),
  })
  .openapi('Export')

/** A whole deployment as one document, for the day on which it is lost. */
export function createTransferRoutes() {
  return createRouter<Management>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/export',
        operationId: 'exportAll',
        tags: ['Export and import'],
        summary: 'Everything that is configured, as one document',
        responses: {
          200: json(exported, 'The document.'),
          ...refusedWith({ 403: ['forbidden', 'wrong_environment'] }),
        },
      }),
      async (c) => {
        const refusal = refusalEverywhere(c.var.actor, 'admin')
        if (refusal) return refuse(c, refusal)
        // Mutable only in its type: what is exported is what the import takes.
        const document = (await exportAll(c.env.DB, Date.now())) as unknown as z.output<typeof exported>
        return c.json(document, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/import',
        operationId: 'importAll',
        tags: ['Export and import'],
        summary: 'Fill an empty deployment from an exported document: all of it, or nothing',
        request: { body: body(exported) },
        responses: {
          200: json(z.object({ environments: published }), 'Everything answers as before.'),
          ...changeRefusedWith({
            409: ['not_empty', 'exists'],
            413: ['too_large', 'environment_too_large'],
            422: ['invalid', 'unknown_reference', 'unknown_variant', 'reference_cycle', 'nested_too_deep'],
          }),
        },
      }),
      async (c) => {
        const refusal = refusalEverywhere(c.var.actor, 'admin')
        if (refusal) return refuse(c, refusal)
        const planned = planImport(c.req.valid('json'), Date.now())
        if (!planned.ok) return refuse(c, toRefusal(planned.error))
        const result = await commitChange(c.env.DB, planned.value, authorOf(c, 'import'))
        if (!result.ok) return refuse(c, toRefusal(result.error))
        return c.json({ environments: await publishAll(c.env, result.value.versions) }, 200)
      },
    )
}
