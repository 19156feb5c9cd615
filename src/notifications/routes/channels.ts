import { createRoute, z } from '@hono/zod-openapi'
import { randomHex } from '../../access/key.ts'
import { type Management, refusalFor } from '../../access/management.ts'
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
  refusals,
  revisionHeaders,
} from '../../http/schemas.ts'
import type { Channel } from '../channel.ts'
import {
  channelInsert,
  channelRemoval,
  channelUpdate,
  countChannels,
  listChannels,
} from '../channel-store.ts'
import {
  channel,
  channelChange,
  channelDraft,
  channelFilter,
  newChannel,
  ofChannel,
  reason,
  tested,
} from '../schemas.ts'
import { send, targetRulesOf } from '../send.ts'
import { parseTarget, type TargetProblem } from '../target.ts'
import { createWebhookSecret } from '../webhook-message.ts'
import { auditedOf, commitChannel, type Environments, etagOf, findChannel, shown } from './answer.ts'

/** Whatever is told is owed to each of them, in the batch of what it tells of. */
const MAX_CHANNELS = 50

const TARGET_REFUSALS: { readonly [problem in TargetProblem]: Refusal<422> } = {
  malformed: { status: 422, code: 'malformed_target', message: 'the target is no address of its kind' },
  not_https: { status: 422, code: 'insecure_target', message: 'the target must be https' },
  has_credentials: {
    status: 422,
    code: 'credentials_in_target',
    message: 'the target must not have a user name or a password',
  },
  private: {
    status: 422,
    code: 'private_target',
    message: 'the target must be on the public internet, unless the operator allows others',
  },
  email_not_configured: {
    status: 422,
    code: 'email_not_configured',
    message: 'this deployment cannot send e-mail: see docs/notifications.md',
  },
}

const TOO_MANY: Refusal<422> = {
  status: 422,
  code: 'too_many',
  message: `there may be at most ${MAX_CHANNELS} channels in an environment`,
}

const NO_SECRET: Refusal<409> = { status: 409, code: 'no_secret', message: 'only webhooks have a secret' }

const TARGETS: RefusalCodes = { 422: Object.values(TARGET_REFUSALS).map(({ code }) => code) }
const FOUND: RefusalCodes = { 404: ['not_found'] }
const REVISED: RefusalCodes = { 404: ['not_found'], 412: ['stale'], 428: ['revision_required'] }

/** Channels: where people are told. */
export function createChannelRoutes(environments: Environments) {
  return createRouter<Management>()
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/channels',
        operationId: 'listChannels',
        tags: ['Notifications'],
        summary: 'Channels of the environments that one reaches, without what would let anybody send to them',
        request: { query: pageQuery.extend(channelFilter.shape) },
        responses: {
          200: json(z.object({ channels: z.array(channel), nextCursor }), 'A page of them, by id.'),
          ...refusals,
        },
      }),
      async (c) => {
        const { limit, cursor, environment } = c.req.valid('query')
        const refusal = refusalFor(c.var.actor, 'viewer', environment)
        if (refusal) return refuse(c, refusal)
        const among = environment === undefined ? c.var.actor.environments : [environment]
        const after = cursor === undefined ? '' : String(parseCursor(cursor)?.[0] ?? '')
        const rows = await listChannels(c.env.DB, among, limit + 1, after)
        const page = toPage(rows, limit, ({ id }) => [id])
        return c.json({ channels: page.rows.map(shown), nextCursor: page.nextCursor }, 200)
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/channels',
        operationId: 'createChannel',
        tags: ['Notifications'],
        summary: 'Make a channel; the secret of a webhook is shown this once',
        request: { body: body(channelDraft) },
        responses: {
          201: json(newChannel, 'The channel.'),
          ...changeRefusedWith(FOUND, TARGETS, { 422: ['too_many'] }),
        },
      }),
      async (c) => {
        const { comment, target, ...draft } = c.req.valid('json')
        const refusal = refusalFor(c.var.actor, 'releaser', draft.environment)
        if (refusal) return refuse(c, refusal)
        const parsed = parseTarget(draft.kind, target, targetRulesOf(c.env))
        if (!parsed.ok) return refuse(c, TARGET_REFUSALS[parsed.error])
        if ((await countChannels(c.env.DB, draft.environment)) >= MAX_CHANNELS) return refuse(c, TOO_MANY)
        const now = Date.now()
        const made: Channel = {
          id: `channel-${randomHex(6)}`,
          ...draft,
          target: parsed.value,
          secret: draft.kind === 'webhook' ? createWebhookSecret() : '',
          revision: 1,
          createdAt: now,
          updatedAt: now,
        }
        const answer = made.secret === '' ? shown(made) : { ...shown(made), secret: made.secret }
        const fault = await commitChannel(c, environments, {
          action: 'channel.create',
          channel: made,
          comment,
          guards: [],
          writes: [channelInsert(made)],
          details: { after: auditedOf(made) },
          answer: { status: 201, body: answer, shows: [] },
        })
        return fault ? refuse(c, fault) : c.json(answer, 201, etagOf(made))
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/api/v1/channels/{id}',
        operationId: 'getChannel',
        tags: ['Notifications'],
        summary: 'One channel',
        request: { params: ofChannel },
        responses: { 200: json(channel, 'The channel.'), ...refusals },
      }),
      async (c) => {
        const found = await findChannel(c, c.req.valid('param').id, 'viewer')
        return found.ok ? c.json(shown(found.value), 200, etagOf(found.value)) : refuse(c, found.error)
      },
    )
    .openapi(
      createRoute({
        method: 'put',
        path: '/api/v1/channels/{id}',
        operationId: 'saveChannel',
        tags: ['Notifications'],
        summary: 'Change a channel: its name, where it leads, what it is told of, whether it is on',
        request: { params: ofChannel, headers: revisionHeaders, body: body(channelChange) },
        responses: { 200: json(channel, 'The channel.'), ...changeRefusedWith(REVISED, TARGETS) },
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const found = await findChannel(c, c.req.valid('param').id, 'releaser')
        if (!found.ok) return refuse(c, found.error)
        const before = found.value
        const { comment, target, ...draft } = c.req.valid('json')
        const parsed =
          target === undefined
            ? ({ ok: true, value: before.target } as const)
            : parseTarget(before.kind, target, targetRulesOf(c.env))
        if (!parsed.ok) return refuse(c, TARGET_REFUSALS[parsed.error])
        const after: Channel = {
          ...before,
          ...draft,
          target: parsed.value,
          revision: revision + 1,
          updatedAt: Date.now(),
        }
        const fault = await commitChannel(c, environments, {
          action: 'channel.save',
          channel: after,
          comment,
          ...channelUpdate(after),
          // Where it led before and leads now may look the same.
          details: {
            before: auditedOf(before),
            after: auditedOf(after),
            targetChanged: after.target !== before.target,
          },
          answer: { status: 200, body: shown(after), shows: [] },
        })
        return fault ? refuse(c, fault) : c.json(shown(after), 200, etagOf(after))
      },
    )
    .openapi(
      createRoute({
        method: 'delete',
        path: '/api/v1/channels/{id}',
        operationId: 'deleteChannel',
        tags: ['Notifications'],
        summary: 'Delete a channel, with what it was to be told',
        request: { params: ofChannel, headers: revisionHeaders, query: z.object({ comment }) },
        responses: { 200: json(channel, 'The channel as it was.'), ...changeRefusedWith(REVISED) },
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const found = await findChannel(c, c.req.valid('param').id, 'releaser')
        if (!found.ok) return refuse(c, found.error)
        const fault = await commitChannel(c, environments, {
          action: 'channel.delete',
          channel: found.value,
          comment: c.req.valid('query').comment,
          ...channelRemoval({ ...found.value, revision }),
          details: { before: auditedOf(found.value) },
          answer: { status: 200, body: shown(found.value), shows: [] },
        })
        return fault ? refuse(c, fault) : c.json(shown(found.value), 200)
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/channels/{id}/rotate',
        operationId: 'rotateChannel',
        tags: ['Notifications'],
        summary: 'Give a webhook another secret; it is shown this once, and the old one is over',
        request: { params: ofChannel, headers: revisionHeaders, body: body(reason) },
        responses: {
          200: json(newChannel, 'The channel.'),
          ...changeRefusedWith(REVISED, { 409: ['no_secret'] }),
        },
      }),
      async (c) => {
        const revision = revisionOf(c.req.valid('header'))
        if (revision === undefined) return refuse(c, REVISION_REQUIRED)
        const found = await findChannel(c, c.req.valid('param').id, 'releaser')
        if (!found.ok) return refuse(c, found.error)
        if (found.value.kind !== 'webhook') return refuse(c, NO_SECRET)
        const secret = createWebhookSecret()
        const after: Channel = { ...found.value, secret, revision: revision + 1, updatedAt: Date.now() }
        const answer = { ...shown(after), secret }
        const fault = await commitChannel(c, environments, {
          action: 'channel.rotate',
          channel: after,
          comment: c.req.valid('json').comment,
          ...channelUpdate(after),
          details: auditedOf(after),
          answer: { status: 200, body: answer, shows: [] },
        })
        return fault ? refuse(c, fault) : c.json(answer, 200, etagOf(after))
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/api/v1/channels/{id}/test',
        operationId: 'testChannel',
        tags: ['Notifications'],
        summary: 'Send a test message now, and see what comes back',
        request: { params: ofChannel, body: body(reason) },
        responses: { 200: json(tested, 'What came of it.'), ...changeRefusedWith(FOUND) },
      }),
      async (c) => {
        const found = await findChannel(c, c.req.valid('param').id, 'releaser')
        if (!found.ok) return refuse(c, found.error)
        const { environment } = found.value
        const now = Date.now()
        const notice = {
          id: `test-${c.var.requestId}`,
          environment,
          kind: 'test',
          title: 'A test message of Rampart',
          text: `${c.var.actor.id} asks whether this channel works. It does.`,
          path: '',
          facts: {},
          at: now,
        } as const
        const { sent, status, error, answer } = await send(c.env, found.value, notice, now)
        const outcome = { sent, status, error, answer }
        const fault = await commitChannel(c, environments, {
          action: 'channel.test',
          channel: found.value,
          comment: c.req.valid('json').comment,
          guards: [],
          writes: [],
          details: { sent, status, error },
          answer: { status: 200, body: outcome, shows: [] },
        })
        return fault ? refuse(c, fault) : c.json(outcome, 200)
      },
    )
}
