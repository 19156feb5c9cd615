// Members: what people and services may do, by e-mail or by a claim that their identity carries.
import { asc, eq, gt, type SQL, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { Guard } from '../ledger/commit.ts'
import { type Grant, ROLES } from './actor.ts'
import type { Identity } from './identity.ts'
import { members } from './tables.ts'

/** What a member may do, as it is sent. */
export type MemberDraft = Grant & {
  /** As `parseMemberId` gives it. */
  readonly id: string
  readonly name: string
}

/** A member as it is stored; times in milliseconds since 1970. */
export type Member = MemberDraft & {
  readonly revision: number
  readonly createdAt: number
  readonly updatedAt: number
}

/** A part of a list that is ordered by id: what comes after an id ('' for the beginning), at most so many. */
export type IdPage = { readonly after: string; readonly limit: number }

/** Statements of one batch: nothing is written unless every guard holds. */
export type GuardedWrites = { readonly guards: readonly Guard[]; readonly writes: readonly SQL[] }

function unite(grants: readonly Grant[]): readonly string[] | null {
  const all = new Set<string>()
  for (const { environments } of grants) {
    if (environments === null) return null
    for (const environment of environments) all.add(environment)
  }
  return [...all].sort()
}

/**
 * What an identity may do; undefined: nothing, although it is known. Its own row decides alone when there is one,
 * even if a claim would give more. Otherwise it has the highest role that its claims give, in the environments of
 * the claims that give that role: a lower role elsewhere must not carry the higher one there.
 */
export function grantOf(identity: Identity, rows: readonly Member[]): Grant | undefined {
  const own = rows.find(({ id }) => id === identity.id)
  if (own) return { role: own.role, environments: own.environments }
  const matching = rows.filter(({ id }) => identity.claims.includes(id))
  const role = ROLES.findLast((candidate) => matching.some((member) => member.role === candidate))
  if (role === undefined) return undefined
  return { role, environments: unite(matching.filter((member) => member.role === role)) }
}

/** Loads the members that an identity matches, by its id or by a claim. */
export async function loadGrantsFor(
  database: D1Database,
  { id, claims }: Identity,
): Promise<readonly Member[]> {
  const ids = JSON.stringify([id, ...claims])
  return drizzle(database)
    .select()
    .from(members)
    .where(sql`${members.id} IN (SELECT value FROM json_each(${ids}))`)
}

/** Loads a part of all members, by id. */
export async function listMembers(
  database: D1Database,
  { after, limit }: IdPage,
): Promise<readonly Member[]> {
  return drizzle(database)
    .select()
    .from(members)
    .where(gt(members.id, after))
    .orderBy(asc(members.id))
    .limit(limit)
}

/** Loads one member; undefined when there is none of that id. */
export async function loadMember(database: D1Database, id: string): Promise<Member | undefined> {
  return drizzle(database).select().from(members).where(eq(members.id, id)).get()
}

function isAtRevision(id: string, revision: number): Guard {
  return {
    column: 'fresh',
    holds: sql`coalesce((SELECT revision FROM ${members} WHERE ${eq(members.id, id)}), 0) = ${revision}`,
  }
}

/** Adds a member (revision 0), or replaces the one that stands at this revision. */
export function memberSave(draft: MemberDraft, revision: number, now: number): GuardedWrites {
  const { id, name, role } = draft
  const environments = draft.environments === null ? null : JSON.stringify(draft.environments)
  return {
    guards: [isAtRevision(id, revision)],
    writes: [
      sql`INSERT INTO ${members} (id, name, role, environments, revision, created_at, updated_at)
        VALUES (${id}, ${name}, ${role}, ${environments}, ${revision + 1}, ${now}, ${now})
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, role = excluded.role,
          environments = excluded.environments, revision = excluded.revision, updated_at = excluded.updated_at`,
    ],
  }
}

/** Removes the member that stands at this revision, and revokes the tokens that act for it. */
export function memberRemoval(id: string, revision: number, now: number): GuardedWrites {
  return {
    guards: [isAtRevision(id, revision)],
    writes: [
      sql`DELETE FROM ${members} WHERE ${eq(members.id, id)}`,
      sql`UPDATE tokens SET revoked_at = ${now} WHERE owner = ${id} AND revoked_at IS NULL`,
    ],
  }
}
