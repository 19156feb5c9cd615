// Management tokens: rp_token_<id>_<secret>. Programs act with them for their owner, within what the token may and
// within what the owner may. Only their SHA-256 is stored.
import { and, asc, eq, gt, type SQL, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { type Actor, type Grant, includesRole, type Role } from './actor.ts'
import { parseMemberId } from './identity.ts'
import { randomHex } from './key.ts'
import type { GuardedWrites, IdPage } from './members.ts'
import type { Result } from './result.ts'
import { members, tokens } from './tables.ts'

/** A token as it is asked for. */
export type TokenDraft = Grant & {
  readonly name: string
  /** Whom it acts for: an actor's id. */
  readonly owner: string
  /** Milliseconds since 1970; null: never. */
  readonly expiresAt: number | null
}

/** A token as it is stored, without its hash; times in milliseconds since 1970. */
export type Token = TokenDraft & {
  readonly id: string
  readonly createdBy: string
  readonly createdAt: number
  readonly revokedAt: number | null
}

/** A token, and what its owner may: undefined when the owner has no row among the members. */
export type TokenWithOwner = { readonly token: Token; readonly ownerGrant: Grant | undefined }

/** The longest that a token may live which ends by itself: ten years. */
export const MAX_LIFE_SECONDS = 10 * 365 * 86_400

const TOKEN = /^rp_token_([0-9a-f]{12})_[0-9a-f]{32}$/

/** Makes the text of a new token, with 128 random bits of secret, and its id. */
export function createToken(): { readonly id: string; readonly text: string } {
  const id = randomHex(6)
  return { id, text: `rp_token_${id}_${randomHex(16)}` }
}

/** The id that a token's text names, before anything is checked; undefined when it is no token. */
export function parseToken(text: string): { readonly id: string } | undefined {
  const id = TOKEN.exec(text)?.[1]
  return id === undefined ? undefined : { id }
}

/** Tells whether a token is neither revoked nor expired. */
export function isLive({ revokedAt, expiresAt }: Token, now: number): boolean {
  return revokedAt === null && (expiresAt === null || expiresAt > now)
}

/** The form in which an owner is stored: a member's id, or a plain name; undefined when it is neither. */
export function parseOwner(text: string): string | undefined {
  return parseMemberId(text) ?? (/^[A-Za-z0-9][\w.-]{0,63}$/.test(text) ? text : undefined)
}

/** When a token that is asked for now ends, in milliseconds since 1970; null: never. */
export function expiryOf(
  asked: { readonly expiresInSeconds?: number | undefined; readonly expiresAt?: string | undefined },
  now: number,
): Result<number | null, 'in_the_past' | 'too_far_ahead'> {
  const { expiresInSeconds, expiresAt } = asked
  if (expiresInSeconds !== undefined) return { ok: true, value: now + expiresInSeconds * 1_000 }
  if (expiresAt === undefined) return { ok: true, value: null }
  const value = Date.parse(expiresAt)
  if (value <= now) return { ok: false, error: 'in_the_past' }
  if (value > now + MAX_LIFE_SECONDS * 1_000) return { ok: false, error: 'too_far_ahead' }
  return { ok: true, value }
}

function isWithin(inner: readonly string[] | null, outer: readonly string[] | null): boolean {
  return outer === null || (inner?.every((environment) => outer.includes(environment)) ?? false)
}

/**
 * Tells whether somebody may issue a token: with no higher role and in no other environments than their own, and for
 * another owner only as an administrator everywhere, who could make that owner a member too.
 */
export function mayIssue(creator: Actor, draft: TokenDraft): 'yes' | 'role' | 'environment' | 'owner' {
  if (!includesRole(creator.role, draft.role)) return 'role'
  if (!isWithin(draft.environments, creator.environments)) return 'environment'
  const isAdministrator = creator.role === 'admin' && creator.environments === null
  if (draft.owner !== creator.id && !isAdministrator) return 'owner'
  return 'yes'
}

/** The role that both of two include; undefined when there is none. */
function sharedRole(one: Role, other: Role): Role | undefined {
  if (includesRole(other, one)) return one
  return includesRole(one, other) ? other : undefined
}

/** What a token may do today: what it was issued for, but no more than its owner's own row still allows. */
export function grantOfToken({ token, ownerGrant }: TokenWithOwner): Grant {
  if (!ownerGrant) return { role: token.role, environments: token.environments }
  const role = sharedRole(token.role, ownerGrant.role)
  // One may only read and the other only signal: there is nothing that both may.
  if (role === undefined) return { role: 'signaller', environments: [] }
  if (isWithin(token.environments, ownerGrant.environments)) return { role, environments: token.environments }
  const shared = ownerGrant.environments?.filter((environment) => isWithin([environment], token.environments))
  return { role, environments: shared ?? [] }
}

/** All but the hash. */
const SHOWN = {
  id: tokens.id,
  name: tokens.name,
  owner: tokens.owner,
  role: tokens.role,
  environments: tokens.environments,
  createdBy: tokens.createdBy,
  createdAt: tokens.createdAt,
  expiresAt: tokens.expiresAt,
  revokedAt: tokens.revokedAt,
}

async function loadTokenWhere(database: D1Database, where: SQL): Promise<TokenWithOwner | undefined> {
  const found = await drizzle(database)
    .select({ token: SHOWN, owner: { role: members.role, environments: members.environments } })
    .from(tokens)
    .leftJoin(members, eq(members.id, tokens.owner))
    .where(where)
    .get()
  return found && { token: found.token, ownerGrant: found.owner ?? undefined }
}

/** Loads the token of that hash, revoked or not, together with what its owner may; undefined when there is none. */
export async function loadToken(database: D1Database, hash: string): Promise<TokenWithOwner | undefined> {
  return loadTokenWhere(database, eq(tokens.hash, hash))
}

/** As `loadToken`, by id. */
export async function loadTokenById(database: D1Database, id: string): Promise<TokenWithOwner | undefined> {
  return loadTokenWhere(database, eq(tokens.id, id))
}

/** Loads a part of all tokens by id, revoked ones too; of one owner, if one is named. */
export async function listTokens(
  database: D1Database,
  { after, limit }: IdPage,
  owner?: string,
): Promise<readonly Token[]> {
  return drizzle(database)
    .select(SHOWN)
    .from(tokens)
    .where(and(gt(tokens.id, after), owner === undefined ? undefined : eq(tokens.owner, owner)))
    .orderBy(asc(tokens.id))
    .limit(limit)
}

/** Adds a token; `hash` is `hashKey` of its text. */
export function tokenCreation(token: Token, hash: string): readonly SQL[] {
  const environments = token.environments === null ? null : JSON.stringify(token.environments)
  return [
    sql`INSERT INTO ${tokens}
      (id, name, hash, owner, role, environments, created_by, created_at, expires_at, revoked_at)
      VALUES (${token.id}, ${token.name}, ${hash}, ${token.owner}, ${token.role}, ${environments},
        ${token.createdBy}, ${token.createdAt}, ${token.expiresAt}, ${token.revokedAt})`,
  ]
}

/** Revokes a token; its guard fails when there is none, or it is revoked already. */
export function tokenRevocation(id: string, now: number): GuardedWrites {
  const isUnrevoked = sql`${eq(tokens.id, id)} AND ${tokens.revokedAt} IS NULL`
  return {
    guards: [{ column: 'fresh', holds: sql`EXISTS (SELECT 1 FROM ${tokens} WHERE ${isUnrevoked})` }],
    writes: [sql`UPDATE ${tokens} SET revoked_at = ${now} WHERE ${isUnrevoked}`],
  }
}
