// A rollout with what only people's calls ask of it: the plan as it was written, who started it, and whether its
// environment needs a second person.
import { eq } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { type Actor, ROLES } from '../access/actor.ts'
import { environments } from '../catalog/tables.ts'
import type { JsonObject } from '../engine/json.ts'
import type { Rollout } from './rollout.ts'
import { toRollout } from './rollout-store.ts'
import { rollouts } from './tables.ts'

export type FoundRollout = {
  readonly rollout: Rollout
  /** The plan as people wrote it. */
  readonly draft: JsonObject
  /** Who started it; null before. */
  readonly starter: Actor | null
  readonly isProtected: boolean
}

/** An actor as it is kept beside what they started. */
export function toStarter({ id, via, role, environments: reached, issuedBy }: Actor): JsonObject {
  return {
    ...{ id, via, role, environments: reached === null ? null : [...reached] },
    ...(issuedBy === undefined ? {} : { issuedBy }),
  }
}

function parseStarter(stored: JsonObject | null): Actor | null {
  if (typeof stored?.id !== 'string') return null
  const { id, via, issuedBy, environments: reached } = stored
  return {
    id,
    via: typeof via === 'string' ? via : '',
    role: ROLES.find((role) => role === stored.role) ?? 'viewer',
    environments: Array.isArray(reached) ? reached.filter((key) => typeof key === 'string') : null,
    ...(typeof issuedBy === 'string' ? { issuedBy } : {}),
  }
}

/** One rollout; undefined when there is none of that id. */
export async function findRollout(database: D1Database, id: string): Promise<FoundRollout | undefined> {
  const found = await drizzle(database)
    .select({ row: rollouts, isProtected: environments.protected })
    .from(rollouts)
    .leftJoin(environments, eq(environments.key, rollouts.environment))
    .where(eq(rollouts.id, id))
    .get()
  if (!found) return undefined
  const { row, isProtected } = found
  return {
    rollout: toRollout(row),
    draft: row.draft,
    starter: parseStarter(row.startedBy ?? null),
    isProtected: isProtected ?? false,
  }
}
