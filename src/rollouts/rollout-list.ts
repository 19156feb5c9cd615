import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { JsonObject } from '../engine/json.ts'
import type { Rollout } from './rollout.ts'
import { listRollouts, type RolloutFilter, type RolloutPosition } from './rollout-store.ts'
import { rollouts } from './tables.ts'

/** A page of rollouts with their plans as people wrote them, newest first, below the one at `after`. */
export async function listRolloutsWithDrafts(
  database: D1Database,
  filter: RolloutFilter,
  limit: number,
  after?: RolloutPosition,
): Promise<readonly { readonly rollout: Rollout; readonly draft: JsonObject }[]> {
  const page = await listRollouts(database, filter, limit, after)
  if (page.length === 0) return []
  const rows = await drizzle(database)
    .select({ id: rollouts.id, draft: rollouts.draft })
    .from(rollouts)
    .where(sql`${rollouts.id} IN (SELECT value FROM json_each(${JSON.stringify(page.map(({ id }) => id))}))`)
  const drafts = new Map(rows.map(({ id, draft }) => [id, draft]))
  return page.map((rollout) => ({ rollout, draft: drafts.get(rollout.id) ?? {} }))
}
