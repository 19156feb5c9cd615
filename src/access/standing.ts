import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { audit } from '../ledger/tables.ts'
import type { Actor } from './actor.ts'
import { loadMember } from './members.ts'
import { grantOfToken, isLive, loadTokenById } from './tokens.ts'

/** Whether a member of that id was removed at `since` or later. */
async function wasRemoved(database: D1Database, id: string, since: number): Promise<boolean> {
  const row = await drizzle(database).get<{ removed: number }>(sql`SELECT EXISTS (
    SELECT 1 FROM ${audit} WHERE target_kind = 'member' AND target_key = ${id} AND action = 'member.remove'
      AND at >= ${since}) AS removed`)
  return row.removed === 1
}

/**
 * What an actor who was recorded earlier may still do; undefined: nothing. A person without a row of their own keeps
 * what their claims gave them then, because nobody knows today's; unless they had such a row, and it was removed.
 * @param now milliseconds since 1970
 * @param since when the actor was recorded, in milliseconds since 1970; left out: a removal at any time counts
 */
export async function currentActor(
  database: D1Database,
  actor: Actor,
  now: number,
  since = 0,
): Promise<Actor | undefined> {
  const { id, via } = actor
  if (via === 'admin') return actor
  if (via.startsWith('token:')) {
    const found = await loadTokenById(database, via.slice('token:'.length))
    if (!found || !isLive(found.token, now)) return undefined
    return { id, via, issuedBy: found.token.createdBy, ...grantOfToken(found) }
  }
  if (via !== 'jwt') return undefined
  const member = await loadMember(database, id)
  if (member) return { id, via, role: member.role, environments: member.environments }
  return (await wasRemoved(database, id, since)) ? undefined : actor
}
