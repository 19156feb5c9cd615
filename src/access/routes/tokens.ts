import { createRoute, z } from '@hono/zod-openapi'
import { parseCursor, toPage } from '../../http/paging.ts'
import { type Refusal, refuse } from '../../http/problem.ts'
import { createRouter } from '../../http/router.ts'
import {
  body,
  changeRefusals,
  changeRefusedWith,
  comment,
  json,
  nextCursor,
  pageQuery,
  refusedWith,
} from '../../http/schemas.ts'
import { type Actor, reaches } from '../actor.ts'
import { forgetRights } from '../authenticate.ts'
import { commitAccess } from '../commit-access.ts'
import { hashKey } from '../key.ts'
import {
  authorOf,
  environmentRefusal,
  type Management,
  refusalEverywhere,
  roleRefusal,
} from '../management.ts'
import { newToken, ofToken, token, tokenDraft } from '../schemas.ts'
import {
  createToken,
  expiryOf,
  listTokens,
  loadTokenById,
  mayIssue,
  type Token,
  type TokenDraft,
  tokenCreation,
  tokenRevocation,
} from '../tokens.ts'

const NEEDS_PERSON: Refusal<403> = {
  status: 403,
  code: 'needs_person',
  message: 'a token may not issue tokens: sign in yourself',
}

const EXPIRY_REFUSALS = {
  in_the_past: { status: 422, code: 'in_the_past', message: 'expiresAt must lie ahead' },
  too_far_ahead: { status: 422, code: 'too_far_ahead', message: 'expiresAt lies more than ten years ahead' },
} as const satisfies { readonly [error: string]: Refusal }

const isAdministrator = (actor: Actor) => refusalEverywhere(actor, 'admin') === undefined

/** Why somebody may not issue a token; undefined when they may. */
function issueRefusal(actor: Actor, draft: TokenDraft): Refusal<403> | undefined {
  // Otherwise whoever finds a token keeps what it may by tokens of their own, when it is long revoked.
  if (actor.via !== 'jwt' && actor.via !== 'admin') return NEEDS_PERSON
  switch (mayIssue(actor, draft)) {
    case 'yes':
      return undefined
    case 'role':
      return roleRefusal(draft.role)
    case 'environment': {
      const beyond = draft.environments?.find((environment) => !reaches(actor, environment))
      return beyond === undefined ? refusalEverywhere(actor, draft.role) : environmentRefusal(beyond)
    }
    case 'owner':
      return refusalEverywhere(actor, 'admin')
  }
}

/** Management tokens: what programs act with. */
export function createTokenRoutes() {
  return createRouter<Management>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/tokens',
        operationId: 'listTokens',
        tags: ['Access'],
        summary: 'Tokens, without what would let them in: your own, or all for an administrator',
        request: { query: pageQuery },
        responses: {
          200: json(z.object({ tokens: z.array(token).readonly(), nextCursor }), 'A page of them, by id.'),
          ...refusedWith({ 400: ['malformed'] }),
        },
      }),
      async (c) => {
        const { limit, cursor } = c.req.valid('query')
        const { actor } = c.var
        const [after] = (cursor === undefined ? undefined : parseCursor(cursor)) ?? []
        const page = { after: String(after ?? ''), limit: limit + 1 }
        const rows = await listTokens(c.env.DB, page, isAdministrator(actor) ? undefined : actor.id)
        const { rows: tokens, nextCursor } = toPage(rows, limit, ({ id }) => [id])
        return c.json({ tokens, nextCursor }, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/tokens',
        operationId: 'createToken',
        tags: ['Access'],
        summary: 'Issue a token, with no more than you may yourself; it is shown this once',
        request: { body: body(tokenDraft) },
        responses: {
          201: json(newToken, 'The token.'),
          ...changeRefusedWith({ 403: ['needs_person'], 422: ['in_the_past', 'too_far_ahead'] }),
        },
      }),
      async (c) => {
        const { actor } = c.var
        const { comment, name, role, environments, owner = actor.id, ...life } = c.req.valid('json')
        const author = authorOf(c, comment)
        const expiry = expiryOf(life, author.now)
        if (!expiry.ok) return refuse(c, EXPIRY_REFUSALS[expiry.error])
        const draft: TokenDraft = { name, owner, role, environments, expiresAt: expiry.value }
        const refusal = issueRefusal(actor, draft)
        if (refusal) return refuse(c, refusal)
        const { id, text } = createToken()
        const issued: Token = {
          id,
          ...draft,
          createdBy: actor.id,
          createdAt: author.now,
          revokedAt: null,
        }
        const answer = { ...issued, token: text }
        const fault = await commitAccess(
          c.env.DB,
          {
            action: 'token.create',
            target: { kind: 'token', key: id },
            details: { ...draft },
            guards: [],
            writes: tokenCreation(issued, await hashKey(text)),
            answer: { status: 201, body: answer, shows: [] },
          },
          author,
        )
        return fault ? refuse(c, fault) : c.json(answer, 201)
      },
    )
    .openapi(
      createRoute({
        method: 'delete',
        path: '/api/v1/tokens/{id}',
        operationId: 'revokeToken',
        tags: ['Access'],
        summary: 'Revoke a token: your own, or any as an administrator',
        request: { params: ofToken, query: z.object({ comment }) },
        responses: {
          200: json(token, 'The token, revoked: everywhere within 5 seconds.'),
          ...changeRefusals,
        },
      }),
      async (c) => {
        const { id } = c.req.valid('param')
        const { actor } = c.var
        const found = (await loadTokenById(c.env.DB, id))?.token
        if (!found || (found.owner !== actor.id && !isAdministrator(actor))) {
          return refuse(c, { status: 404, code: 'not_found', message: `there is no token "${id}"` })
        }
        if (found.revokedAt !== null) return c.json(found, 200)
        const author = authorOf(c, c.req.valid('query').comment)
        const revoked = { ...found, revokedAt: author.now }
        const fault = await commitAccess(
          c.env.DB,
          {
            action: 'token.revoke',
            target: { kind: 'token', key: id },
            details: { name: found.name, owner: found.owner },
            ...tokenRevocation(id, author.now),
            answer: { status: 200, body: revoked, shows: [] },
          },
          author,
        )
        if (fault) return refuse(c, fault)
        forgetRights()
        return c.json(revoked, 200)
      },
    )
}
