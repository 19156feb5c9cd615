import { createRoute, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { type Actor, reaches } from '../../access/actor.ts'
import { authorOf, environmentRefusal, type Management, roleRefusal } from '../../access/management.ts'
import { err, ok, type Result } from '../../engine/result.ts'
import { parseCursor, toPage } from '../../http/paging.ts'
import { type Refusal, refuse } from '../../http/problem.ts'
import { createRouter } from '../../http/router.ts'
import { body, comment, json, nextCursor, pageQuery, refusals, refusedWith } from '../../http/schemas.ts'
import type { Author } from '../../ledger/author.ts'
import { mayApprove } from '../authority.ts'
import { approvalRefusals, decisionRefusals } from '../change-answers.ts'
import { changeRequest, changeRequestFilter, changeRequestId } from '../change-request-schemas.ts'
import {
  type ChangeRequest,
  type ListedChangeRequest,
  listChangeRequests,
  loadChangeRequest,
} from '../change-request-store.ts'
import { applyChangeRequest, type Decision, decideChangeRequest } from '../change-requests.ts'
import { publishAll } from '../publish.ts'
import { toRefusal } from '../refusals.ts'
import { published } from '../schemas.ts'
import { clearDeleted, notFound, type Observations, shown, workbenchOf } from './answer.ts'

const ofChangeRequest = z.object({ id: changeRequestId })
const decision = z.strictObject({ comment }).openapi('Decision')

const decided = z
  .object({ changeRequest, environments: published })
  .openapi('Decided', { description: 'What became of it, and the versions that it brought.' })

const OWN: Refusal = {
  status: 403,
  code: 'own_change',
  message: 'another person must decide about a change of your own',
}

function isVisible(actor: Actor, { environments }: ChangeRequest): boolean {
  return environments.every((environment) => reaches(actor, environment))
}

function decisionRefusal(actor: Actor, { author, environments }: ChangeRequest): Refusal | undefined {
  const answer = mayApprove(actor, author, environments)
  if (answer === 'yes') return undefined
  if (answer === 'own') return OWN
  if (answer === 'role') return roleRefusal('releaser')
  return environmentRefusal(environments.find((environment) => !reaches(actor, environment)) ?? '')
}

async function loadVisible(c: Context<Management>, id: string): Promise<ListedChangeRequest | undefined> {
  const request = await loadChangeRequest(c.env.DB, id)
  return request && isVisible(c.var.actor, request) ? request : undefined
}

/** Whoever issued the author's token may take a change back too. */
function cancelRefusal(actor: Actor, request: ChangeRequest): Refusal | undefined {
  const isOwn = request.author.id === actor.id || request.author.issuedBy === actor.id
  return isOwn ? undefined : decisionRefusal(actor, request)
}

/** The change request, if the actor sees it and may decide about it. */
async function loadDecidable(
  c: Context<Management>,
  id: string,
  refusalOf = decisionRefusal,
): Promise<Result<ListedChangeRequest, Refusal>> {
  const request = await loadVisible(c, id)
  if (!request) return err(notFound(`change request "${id}"`))
  const refusal = refusalOf(c.var.actor, request)
  return refusal ? err(refusal) : ok(request)
}

/** Decides about a change that goes on waiting, or will never happen. */
async function answerDecision(
  c: Context<Management>,
  request: ChangeRequest,
  decision: Decision,
  author: Author,
) {
  const result = await decideChangeRequest(c.env.DB, request, decision, c.var.actor, author)
  return result.ok
    ? c.json({ changeRequest: shown(result.value), environments: {} }, 200)
    : refuse(c, toRefusal(result.error))
}

const decisionRoute = <Path extends string>(
  path: Path,
  operationId: string,
  summary: string,
  refusals = decisionRefusals,
) =>
  createRoute({
    method: 'post',
    path,
    operationId,
    tags: ['Change requests'],
    summary,
    request: { params: ofChangeRequest, body: body(decision) },
    responses: { 200: json(decided, 'What became of it.'), ...refusals },
  })

/** Changes that wait for a second person or for their time. */
export function createChangeRequestRoutes(observations: Observations) {
  return createRouter<Management>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/change-requests',
        operationId: 'listChangeRequests',
        tags: ['Change requests'],
        summary: 'Changes that wait, or did; newest first',
        request: { query: pageQuery.extend(changeRequestFilter.shape) },
        responses: {
          200: json(z.object({ changeRequests: z.array(changeRequest), nextCursor }), 'A page of them.'),
          ...refusedWith({ 400: ['malformed'] }),
        },
      }),
      async (c) => {
        const { limit, cursor, ...filter } = c.req.valid('query')
        const [createdAt, id] = (cursor === undefined ? undefined : parseCursor(cursor)) ?? []
        const before = typeof createdAt === 'number' && typeof id === 'string' ? { createdAt, id } : undefined
        const { environments } = c.var.actor
        const rows = await listChangeRequests(c.env.DB, filter, environments, limit + 1, before)
        const page = toPage(rows, limit, (request) => [request.createdAt, request.id])
        const changeRequests = page.rows.map((request) => shown(request, request.stale))
        return c.json({ changeRequests, nextCursor: page.nextCursor }, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/change-requests/{id}',
        operationId: 'getChangeRequest',
        tags: ['Change requests'],
        summary: 'One change that waits, or did',
        request: { params: ofChangeRequest },
        responses: { 200: json(changeRequest, 'It.'), ...refusals },
      }),
      async (c) => {
        const { id } = c.req.valid('param')
        const request = await loadVisible(c, id)
        if (!request) return refuse(c, notFound(`change request "${id}"`))
        return c.json(shown(request, request.stale), 200)
      },
    )
    .openapi(
      decisionRoute(
        '/api/v1/change-requests/{id}/approve',
        'approveChangeRequest',
        'Let a change happen: now, or when its time comes',
        approvalRefusals,
      ),
      async (c) => {
        const { id } = c.req.valid('param')
        const found = await loadDecidable(c, id)
        if (!found.ok) return refuse(c, found.error)
        const author = authorOf(c, c.req.valid('json').comment)
        const request = found.value
        if (request.applyAt !== null && request.applyAt > author.now) {
          return answerDecision(c, request, 'approve', author)
        }
        const workbench = workbenchOf(c, observations)
        const applied = await applyChangeRequest(workbench, request, c.var.actor, author)
        if (!applied.ok) return refuse(c, toRefusal(applied.error))
        const environments = await publishAll(c.env, applied.value.versions)
        await clearDeleted(c, observations, request.operation)
        const now = (await loadChangeRequest(c.env.DB, id)) ?? request
        return c.json({ changeRequest: shown(now), environments }, 200)
      },
    )
    .openapi(
      decisionRoute(
        '/api/v1/change-requests/{id}/reject',
        'rejectChangeRequest',
        'Refuse a change that waits for a second person',
      ),
      async (c) => {
        const { id } = c.req.valid('param')
        const found = await loadDecidable(c, id)
        if (!found.ok) return refuse(c, found.error)
        const author = authorOf(c, c.req.valid('json').comment)
        return answerDecision(c, found.value, 'reject', author)
      },
    )
    .openapi(
      decisionRoute(
        '/api/v1/change-requests/{id}/cancel',
        'cancelChangeRequest',
        'Take back a change that waits: its author, or whoever may decide about it',
      ),
      async (c) => {
        const { id } = c.req.valid('param')
        const found = await loadDecidable(c, id, cancelRefusal)
        if (!found.ok) return refuse(c, found.error)
        const author = authorOf(c, c.req.valid('json').comment)
        return answerDecision(c, found.value, 'cancel', author)
      },
    )
}
