import { createRoute, z } from '@hono/zod-openapi'
import { parseCursor, toPage } from '../../http/paging.ts'
import { type Refusal, refuse } from '../../http/problem.ts'
import { REVISION_REQUIRED, revisionOf } from '../../http/revision.ts'
import { createRouter } from '../../http/router.ts'
import {
  body,
  changeRefusedWith,
  comment,
  json,
  nextCursor,
  pageQuery,
  type RefusalCodes,
  refusedWith,
  revisionHeaders,
} from '../../http/schemas.ts'
import { forgetRights } from '../authenticate.ts'
import { commitAccess } from '../commit-access.ts'
import { authorOf, type Management, refusalEverywhere, refusalFor } from '../management.ts'
import { listMembers, loadMember, type Member, memberRemoval, memberSave } from '../members.ts'
import { member, memberDraft, ofMember } from '../schemas.ts'

const notFound = (id: string): Refusal<404> => ({
  status: 404,
  code: 'not_found',
  message: `there is no member "${id}"`,
})

const etagOf = ({ revision }: Member) => ({ etag: `"${revision}"` })

const ADMINISTRATION: RefusalCodes = { 400: ['malformed'], 403: ['forbidden'] }
const REVISED: RefusalCodes = { 412: ['stale'], 428: ['revision_required'] }

/** What the audit keeps of a member. */
const rightsOf = ({ name, role, environments }: Pick<Member, 'name' | 'role' | 'environments'>) => ({
  name,
  role,
  environments,
})

/** Members: what people and services may do. */
export function createMemberRoutes() {
  return createRouter<Management>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/members',
        operationId: 'listMembers',
        tags: ['Access'],
        summary: 'Who may do what',
        request: { query: pageQuery },
        responses: {
          200: json(z.object({ members: z.array(member).readonly(), nextCursor }), 'A page of them, by id.'),
          ...refusedWith(ADMINISTRATION),
        },
      }),
      async (c) => {
        const refusal = refusalFor(c.var.actor, 'admin')
        if (refusal) return refuse(c, refusal)
        const { limit, cursor } = c.req.valid('query')
        const [after] = (cursor === undefined ? undefined : parseCursor(cursor)) ?? []
        const rows = await listMembers(c.env.DB, { after: String(after ?? ''), limit: limit + 1 })
        const { rows: members, nextCursor } = toPage(rows, limit, ({ id }) => [id])
        return c.json({ members, nextCursor }, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/members/{id}',
        operationId: 'getMember',
        tags: ['Access'],
        summary: 'What one member may do',
        request: { params: ofMember },
        responses: {
          200: json(member, 'The member.'),
          ...refusedWith(ADMINISTRATION, { 404: ['not_found'] }),
        },
      }),
      async (c) => {
        const refusal = refusalFor(c.var.actor, 'admin')
        if (refusal) return refuse(c, refusal)
        const { id } = c.req.valid('param')
        const found = await loadMember(c.env.DB, id)
        return found ? c.json(found, 200, etagOf(found)) : refuse(c, notFound(id))
      },
    )
    .openapi(
      createRoute({
        method: 'put',
        path: '/api/v1/members/{id}',
        operationId: 'saveMember',
        tags: ['Access'],
        summary: 'Let somebody in, or change what they may',
        request: { params: ofMember, headers: revisionHeaders, body: body(memberDraft) },
        responses: { 200: json(member, 'The member.'), ...changeRefusedWith(REVISED) },
      }),
      async (c) => {
        const refusal = refusalEverywhere(c.var.actor, 'admin')
        if (refusal) return refuse(c, refusal)
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const { id } = c.req.valid('param')
        const { comment, ...rights } = c.req.valid('json')
        const author = authorOf(c, comment)
        const current = await loadMember(c.env.DB, id)
        const saved: Member = {
          id,
          ...rights,
          revision: revision + 1,
          createdAt: current?.createdAt ?? author.now,
          updatedAt: author.now,
        }
        const fault = await commitAccess(
          c.env.DB,
          {
            action: 'member.save',
            target: { kind: 'member', key: id },
            details: { before: current ? rightsOf(current) : null, after: rightsOf(saved) },
            ...memberSave(saved, revision, author.now),
            answer: { status: 200, body: saved, shows: [] },
          },
          author,
        )
        if (fault) return refuse(c, fault)
        forgetRights()
        return c.json(saved, 200, etagOf(saved))
      },
    )
    .openapi(
      createRoute({
        method: 'delete',
        path: '/api/v1/members/{id}',
        operationId: 'removeMember',
        tags: ['Access'],
        summary: 'Shut somebody out, with all tokens that act for them',
        request: { params: ofMember, headers: revisionHeaders, query: z.object({ comment }) },
        responses: {
          200: json(member, 'The member as it was.'),
          ...changeRefusedWith(REVISED, { 404: ['not_found'] }),
        },
      }),
      async (c) => {
        const refusal = refusalEverywhere(c.var.actor, 'admin')
        if (refusal) return refuse(c, refusal)
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const { id } = c.req.valid('param')
        const current = await loadMember(c.env.DB, id)
        if (!current) return refuse(c, notFound(id))
        const author = authorOf(c, c.req.valid('query').comment)
        const fault = await commitAccess(
          c.env.DB,
          {
            action: 'member.remove',
            target: { kind: 'member', key: id },
            details: { before: rightsOf(current) },
            ...memberRemoval(id, revision, author.now),
            answer: { status: 200, body: current, shows: [] },
          },
          author,
        )
        if (fault) return refuse(c, fault)
        forgetRights()
        return c.json(current, 200)
      },
    )
}
