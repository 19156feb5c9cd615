import { createRoute, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { authorOf, type Management } from '../../access/management.ts'
import { revision } from '../../catalog/schemas.ts'
import { refuse } from '../../http/problem.ts'
import { createRouter } from '../../http/router.ts'
import { body, changeRefusedWith, comment, json, type RefusalCodes } from '../../http/schemas.ts'
import {
  advanceCall,
  approveCall,
  cancelCall,
  completeCall,
  pauseCall,
  percentageCall,
  resumeCall,
  rollbackCall,
  startCall,
} from '../calls.ts'
import { type DeedCall, perform } from '../perform.ts'
import { done, ofRollout } from '../schemas.ts'

/** What every deed says. */
const said = {
  revision: revision
    .optional()
    .openapi({ description: 'What it was decided on; left out: whatever is so now.', example: 7 }),
  comment,
}

const reasoned = z.strictObject(said)

const STATE: RefusalCodes = { 404: ['not_found'], 409: ['wrong_state'], 412: ['stale'] }
const GROUND: RefusalCodes = {
  409: ['rollout_running', 'archived', 'flag_off', 'serves_everyone', 'fallthrough_splits'],
  413: ['too_large', 'environment_too_large'],
  422: ['invalid', 'take_over_waits', 'first_stage_below_share', 'unknown_reference', 'unknown_variant'],
}
const TAKEN: RefusalCodes = {
  409: ['nothing_to_take_over', 'foreign_bucketing', 'other_unit', 'middle_range'],
}

function deedRoute<Path extends string, Body extends z.ZodType>(
  path: Path,
  operationId: string,
  summary: string,
  schema: Body,
  ...codes: readonly RefusalCodes[]
) {
  return createRoute({
    method: 'post',
    path,
    operationId,
    tags: ['Rollouts'],
    summary,
    request: { params: ofRollout, body: body(schema) },
    responses: { 200: json(done, 'It is done.'), ...changeRefusedWith(STATE, ...codes) },
  })
}

type Said = { readonly revision?: number | undefined; readonly comment: string }

async function answerDeed(c: Context<Management>, id: string, said: Said, call: DeedCall) {
  const author = authorOf(c, said.comment)
  const result = await perform(c.env, c.var.actor, author, { id, revision: said.revision }, call)
  return result.ok
    ? c.json(result.value, 200, { etag: `"${result.value.revision}"` })
    : refuse(c, result.error)
}

/** What people do to a rollout: each with a reason, in its timeline and the audit. */
export function createDeedRoutes() {
  return createRouter<Management>()
    .openapi(
      deedRoute(
        '/api/v1/rollouts/{id}/start',
        'startRollout',
        'Start a draft; in a protected environment it then waits for a second person',
        z.strictObject({
          force: z.boolean().default(false).openapi({
            description: 'Start although no event of a guardrail’s metric has ever arrived.',
          }),
          ...said,
        }),
        GROUND,
        TAKEN,
        { 409: ['metric_silent'] },
      ),
      (c) => {
        const { force, ...said } = c.req.valid('json')
        return answerDeed(c, c.req.valid('param').id, said, startCall(c.env, c.var.actor, force))
      },
    )
    .openapi(
      deedRoute(
        '/api/v1/rollouts/{id}/approve',
        'approveRollout',
        'Approve the start, or a stage that comes: in a protected environment, by another than who started it',
        z.strictObject({
          stage: z
            .string()
            .optional()
            .openapi({ description: 'Its name; left out: the next one.', example: '50 %' }),
          ...said,
        }),
        GROUND,
        TAKEN,
        { 403: ['own_change'], 422: ['unknown_stage'] },
      ),
      (c) => {
        const { stage, ...said } = c.req.valid('json')
        return answerDeed(c, c.req.valid('param').id, said, approveCall(c.env, c.var.actor, stage))
      },
    )
    .openapi(
      deedRoute(
        '/api/v1/rollouts/{id}/pause',
        'pauseRollout',
        'Pause: what is granted stays, and is watched',
        reasoned,
      ),
      (c) => {
        const said = c.req.valid('json')
        return answerDeed(c, c.req.valid('param').id, said, pauseCall)
      },
    )
    .openapi(
      deedRoute('/api/v1/rollouts/{id}/resume', 'resumeRollout', 'Let a paused rollout go on', reasoned),
      (c) => {
        const said = c.req.valid('json')
        return answerDeed(c, c.req.valid('param').id, said, resumeCall(c.env))
      },
    )
    .openapi(
      deedRoute(
        '/api/v1/rollouts/{id}/advance',
        'advanceRollout',
        'Grant the next stage now: holds are waved aside, approvals and gates are not',
        reasoned,
        { 409: ['obstacle', 'no_stage_left'] },
      ),
      (c) => {
        const said = c.req.valid('json')
        return answerDeed(c, c.req.valid('param').id, said, advanceCall(c.env))
      },
    )
    .openapi(
      deedRoute(
        '/api/v1/rollouts/{id}/percentage',
        'setRolloutPercentage',
        'Give the present stage’s audience another percentage; its hold begins anew',
        z.strictObject({ percentage: z.number().min(0).max(100).openapi({ example: 15 }), ...said }),
        { 422: ['percentage_out_of_range', 'unknown_audience'] },
      ),
      (c) => {
        const { percentage, ...said } = c.req.valid('json')
        return answerDeed(c, c.req.valid('param').id, said, percentageCall(percentage))
      },
    )
    .openapi(
      deedRoute(
        '/api/v1/rollouts/{id}/rollback',
        'rollBackRollout',
        'Take it back: at once, step by step, or for some audiences. It waits for nobody',
        z.strictObject({
          mode: z.enum(['immediate', 'gradual', 'partial']).default('immediate'),
          audiences: z.array(z.string().max(200)).max(30).default([]).openapi({
            description: 'Of a partial one: the audiences’ names.',
            example: [],
          }),
          ...said,
        }),
        { 422: ['unknown_audience'] },
      ),
      (c) => {
        const { mode, audiences, ...said } = c.req.valid('json')
        return answerDeed(c, c.req.valid('param').id, said, rollbackCall(c.env, mode, audiences))
      },
    )
    .openapi(
      deedRoute(
        '/api/v1/rollouts/{id}/complete',
        'completeRollout',
        'End the last stage before its hold is over, or the watch after it',
        reasoned,
        { 409: ['obstacle', 'stages_left'], 413: ['too_large', 'environment_too_large'] },
      ),
      (c) => {
        const said = c.req.valid('json')
        return answerDeed(c, c.req.valid('param').id, said, completeCall(c.env))
      },
    )
    .openapi(
      deedRoute(
        '/api/v1/rollouts/{id}/cancel',
        'cancelRollout',
        'End a rollout that has granted nothing yet',
        reasoned,
      ),
      (c) => {
        const said = c.req.valid('json')
        return answerDeed(c, c.req.valid('param').id, said, cancelCall)
      },
    )
}
