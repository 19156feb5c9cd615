// What the catalog's routes have in common: how a change is taken and answered.
import type { z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { authorOf, type Management } from '../../access/management.ts'
import type { Bindings } from '../../bindings.ts'
import type { EvaluationContext } from '../../engine/context.ts'
import { type Refusal, refuse } from '../../http/problem.ts'
import type { Attachments } from '../attachments.ts'
import type { Committed } from '../change.ts'
import type { changeRequest } from '../change-request-schemas.ts'
import type { ChangeRequest } from '../change-request-store.ts'
import { type Clear, clearDue } from '../clearing.ts'
import type { Operation } from '../operation.ts'
import type { Workbench } from '../plan.ts'
import { publishAll } from '../publish.ts'
import { submit } from '../submit.ts'

/** What the catalog shows and does not know itself. */
export type Observations = {
  /** Contexts seen lately in an environment; empty where none are kept. */
  readonly contexts: (bindings: Bindings, environment: string) => Promise<readonly EvaluationContext[]>
  /** Forgets what was counted in an environment. */
  readonly clear: Clear
  readonly attached: Attachments
}

/** What plans are made on in a request. */
export function workbenchOf(c: Context<Management>, observations: Observations): Workbench {
  return {
    database: c.env.DB,
    contexts: (environment) => observations.contexts(c.env, environment),
    attached: observations.attached,
  }
}

/** The refusal of what does not exist. */
export const notFound = (what: string): Refusal => ({
  status: 404,
  code: 'not_found',
  message: `there is no ${what}`,
})

const IN_THE_PAST: Refusal = {
  status: 422,
  code: 'in_the_past',
  message: 'applyAt must lie ahead; leave it out to change now',
}

/** Publishes what is committed and answers with the new revision. */
export async function answerCommitted(c: Context<Management>, { versions, revision }: Committed) {
  const environments = await publishAll(c.env, versions)
  return c.json({ revision, environments }, 200, revision > 0 ? { etag: `"${revision}"` } : {})
}

/** Forgets what was counted in an environment that was just deleted; what fails, the next tick makes good. */
export async function clearDeleted(
  { env }: Context<Management>,
  { clear }: Observations,
  { kind }: Operation,
): Promise<void> {
  if (kind === 'environment.delete') await clearDue(env, Date.now(), clear)
}

/** A change request as it is shown; `stale`: what it was made from has changed since. */
export function shown(request: ChangeRequest, stale = false): z.output<typeof changeRequest> {
  // Mutable only in its type.
  return { ...request, stale } as unknown as z.output<typeof changeRequest>
}

/** Takes a change: answers that it is done, that it waits, or why neither. */
export async function answerOperation(
  c: Context<Management>,
  observations: Observations,
  operation: Operation,
  { comment, applyAt }: { readonly comment: string; readonly applyAt?: string | null | undefined },
) {
  const author = authorOf(c, comment)
  const at = applyAt ? Date.parse(applyAt) : null
  if (at !== null && at <= author.now) return refuse(c, IN_THE_PAST)
  const result = await submit(workbenchOf(c, observations), c.var.actor, operation, at, author)
  if (!result.ok) return refuse(c, result.error)
  if (result.value.state === 'waiting') {
    return c.json({ changeRequest: shown(result.value.changeRequest) }, 202)
  }
  const answer = await answerCommitted(c, result.value.committed)
  await clearDeleted(c, observations, operation)
  return answer
}
