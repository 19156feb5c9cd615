import { and, asc, eq, isNull, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { KeyKind } from '../access/key.ts'
import { err, type Result } from '../engine/result.ts'
import { commitChange, type Versions } from './change.ts'
import { keyText } from './entities.ts'
import type { Author } from './environments.ts'
import type { SaveError } from './flags.ts'
import { keys } from './tables.ts'

/** A new evaluation key, by its hash: the key itself is shown to whoever made it, and never stored. */
export type KeyDraft = {
  readonly id: string
  readonly kind: KeyKind
  readonly name: string
  /** SHA-256 of the whole key, in hex. */
  readonly hash: string
}

/** A key as it is stored, without its hash. */
export type StoredKey = {
  readonly id: string
  readonly kind: KeyKind
  readonly name: string
  readonly createdAt: number
  readonly revokedAt: number | null
}

/** All keys of an environment, oldest first. */
export async function listKeys(database: D1Database, environment: string): Promise<StoredKey[]> {
  return drizzle(database)
    .select({
      id: keys.id,
      kind: keys.kind,
      name: keys.name,
      createdAt: keys.createdAt,
      revokedAt: keys.revokedAt,
    })
    .from(keys)
    .where(eq(keys.environment, environment))
    .orderBy(asc(keys.createdAt), asc(keys.id))
}

/** Lets a key in. */
export async function saveKey(
  database: D1Database,
  environment: string,
  { id, kind, name, hash }: KeyDraft,
  author: Author,
): Promise<Result<Versions, SaveError>> {
  return commitChange(database, {
    ...author,
    guards: [],
    writes: [
      drizzle(database).insert(keys).values({ id, environment, kind, name, hash, createdAt: author.now }),
    ],
    entities: [{ environment, kind: 'keys', key: id, text: keyText({ id, kind, hash }) }],
  })
}

/** Shuts a key out: it is dead at the edge with the environment's next version. */
export async function revokeKey(
  database: D1Database,
  environment: string,
  id: string,
  author: Author,
): Promise<Result<Versions, SaveError>> {
  const own = and(eq(keys.environment, environment), eq(keys.id, id), isNull(keys.revokedAt))
  const db = drizzle(database)
  if (!(await db.select({ id: keys.id }).from(keys).where(own).get())) {
    return err({ reason: 'not_found', what: `key "${id}"` })
  }
  return commitChange(database, {
    ...author,
    guards: [sql`SELECT EXISTS (SELECT 1 FROM ${keys} WHERE ${own})`],
    writes: [db.update(keys).set({ revokedAt: author.now }).where(own)],
    entities: [{ environment, kind: 'keys', key: id, text: null }],
  })
}
