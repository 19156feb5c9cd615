// What every question about what was counted in an environment is asked first.
import type { Context } from 'hono'
import type { Role } from '../../access/actor.ts'
import { type Management, refusalFor } from '../../access/management.ts'
import { loadEnvironment } from '../../catalog/environments.ts'
import type { Refusal } from '../../http/problem.ts'

/** Why an actor may not ask about an environment; undefined when they may. */
export async function scopeRefusal(
  c: Context<Management>,
  environment: string,
  needed: Role = 'viewer',
): Promise<Refusal<403 | 404> | undefined> {
  const refusal = refusalFor(c.var.actor, needed, environment)
  if (refusal) return refusal
  if (await loadEnvironment(c.env.DB, environment)) return undefined
  return { status: 404, code: 'not_found', message: `there is no environment "${environment}"` }
}
