// What every management request carries once it is let in, and what most routes ask of it first.
import type { Context } from 'hono'
import type { Bindings } from '../bindings.ts'
import type { Refusal } from '../http/problem.ts'
import type { Author } from '../ledger/author.ts'
import type { Receipt } from '../ledger/idempotency.ts'
import { type Actor, includesRole, type Role, reaches } from './actor.ts'

/** The environment of management routes, as Hono knows it. */
export type Management = {
  Bindings: Bindings
  Variables: {
    actor: Actor
    requestId: string
    /** Where the request carried an Idempotency-Key. */
    receipt: Receipt | undefined
  }
}

/** The author of what a request changes. */
export function authorOf(c: Context<Management>, comment: string): Author {
  const { actor, requestId, receipt } = c.var
  return { actor: actor.id, via: actor.via, comment, now: Date.now(), requestId, receipt }
}

/** The refusal of an actor whose role does not include another. */
export function roleRefusal(needed: Role): Refusal<403> {
  return { status: 403, code: 'forbidden', message: `this needs the role ${needed}`, details: { needed } }
}

/** The refusal of an actor who does not reach an environment. */
export function environmentRefusal(environment: string): Refusal<403> {
  return {
    status: 403,
    code: 'wrong_environment',
    message: `this actor has no access to "${environment}"`,
    details: { environment },
  }
}

/** Why an actor may not do what needs a role, in the environment where one is named; undefined when they may. */
export function refusalFor(actor: Actor, needed: Role, environment?: string): Refusal<403> | undefined {
  if (!includesRole(actor.role, needed)) return roleRefusal(needed)
  if (environment !== undefined && !reaches(actor, environment)) return environmentRefusal(environment)
  return undefined
}

/** Why an actor may not do what belongs to no environment, or to all; undefined when they may. */
export function refusalEverywhere(actor: Actor, needed: Role): Refusal<403> | undefined {
  if (!includesRole(actor.role, needed)) return roleRefusal(needed)
  if (actor.environments === null) return undefined
  return {
    status: 403,
    code: 'wrong_environment',
    message: 'this needs access to every environment',
    details: { environments: actor.environments },
  }
}
