import { createRoute, z } from '@hono/zod-openapi'
import { parseCursor, toPage } from '../../http/paging.ts'
import { type Refusal, refuse } from '../../http/problem.ts'
import { createRouter } from '../../http/router.ts'
import { json, nextCursor, pageQuery, refusedWith } from '../../http/schemas.ts'
import {
  type AuditFilter,
  type AuditRow,
  type ChainHead,
  exportAudit,
  listAudit,
  verifyAudit,
} from '../../ledger/audit.ts'
import { type Actor, reaches } from '../actor.ts'
import { type Management, refusalEverywhere, refusalFor } from '../management.ts'
import { anchorQuery, auditFilter, auditLines, auditRow, verification } from '../schemas.ts'

// As any text, because for its end the router's types take it for JSON.
const JSON_LINES: string = 'application/x-ndjson'

function toFilter({ from, to, ...others }: z.output<typeof auditFilter>): AuditFilter {
  return {
    ...others,
    from: from === undefined ? undefined : Date.parse(from),
    to: to === undefined ? undefined : Date.parse(to),
  }
}

/** Why an actor may not read these rows; undefined when they may: limited to environments, only those of one. */
function readRefusal(actor: Actor, environment: string | undefined): Refusal<403> | undefined {
  return environment === undefined
    ? refusalEverywhere(actor, 'viewer')
    : refusalFor(actor, 'viewer', environment)
}

/** A row without the environments that an actor does not reach. */
function toSeen(row: AuditRow, actor: Actor): AuditRow {
  const seen = Object.entries(row.environments).filter(([environment]) => reaches(actor, environment))
  return { ...row, environments: Object.fromEntries(seen) }
}

function toAnchor(anchor: string | undefined): ChainHead | undefined {
  const [id, hash] = anchor?.split(':') ?? []
  return hash === undefined ? undefined : { id: Number(id), hash }
}

/** The audit: what was done, by whom and why, and whether anybody has touched it since. */
export function createAuditRoutes() {
  return createRouter<Management>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/audit',
        operationId: 'listAudit',
        tags: ['Audit'],
        summary: 'What was done, newest first; whoever is limited to environments names one of theirs',
        request: { query: pageQuery.extend(auditFilter.shape) },
        responses: {
          200: json(z.object({ entries: z.array(auditRow).readonly(), nextCursor }), 'A page of it.'),
          ...refusedWith({ 400: ['malformed'], 403: ['wrong_environment'] }),
        },
      }),
      async (c) => {
        const { limit, cursor, ...asked } = c.req.valid('query')
        const { actor } = c.var
        const refusal = readRefusal(actor, asked.environment)
        if (refusal) return refuse(c, refusal)
        const [before] = (cursor === undefined ? undefined : parseCursor(cursor)) ?? []
        const below = typeof before === 'number' ? before : undefined
        const found = await listAudit(c.env.DB, toFilter(asked), limit + 1, below)
        const { rows, nextCursor } = toPage(found, limit, ({ id }) => [id])
        return c.json({ entries: rows.map((row) => toSeen(row, actor)), nextCursor }, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/audit/export',
        operationId: 'exportAudit',
        tags: ['Audit'],
        summary: 'The audit as JSON lines, oldest first',
        request: { query: auditFilter },
        responses: {
          200: {
            description: 'One row a line.',
            content: { [JSON_LINES]: { schema: auditLines } },
          },
          ...refusedWith({ 400: ['malformed'], 403: ['forbidden', 'wrong_environment'] }),
        },
      }),
      (c) => {
        const refusal = refusalEverywhere(c.var.actor, 'admin')
        if (refusal) return refuse(c, refusal)
        const lines = exportAudit(c.env.DB, toFilter(c.req.valid('query')))
        return c.body(lines, 200, {
          'content-type': JSON_LINES,
          'content-disposition': 'attachment; filename="audit.ndjson"',
        })
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/audit/verify',
        operationId: 'verifyAudit',
        tags: ['Audit'],
        summary: 'Whether the chain of the audit holds',
        request: { query: anchorQuery },
        responses: {
          200: json(verification, 'What a walk along the chain found.'),
          ...refusedWith({ 400: ['malformed'], 403: ['wrong_environment'] }),
        },
      }),
      async (c) => {
        const refusal = refusalEverywhere(c.var.actor, 'viewer')
        if (refusal) return refuse(c, refusal)
        return c.json(await verifyAudit(c.env.DB, toAnchor(c.req.valid('query').anchor)), 200)
      },
    )
}
