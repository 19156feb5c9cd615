import { and, asc, eq, isNull, type SQL, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { KeyKind } from '../access/key.ts'
import { createKey, hashKey, randomHex } from '../access/key.ts'
import { err, ok, type Result } from '../engine/result.ts'
import type { Change } from './change.ts'
import { keyText } from './entities.ts'
import type { SaveError } from './save-error.ts'
import { keys } from './tables.ts'

/** A new evaluation key. */
export type KeyDraft = {
  readonly kind: KeyKind
  readonly name: string
  /** SHA-256 in hex of a key that exists already; left out, one is made and shown once. */
  readonly hash?: string | undefined
}

/** A key as it is stored, without its hash; instants in milliseconds since 1970. */
export type StoredKey = {
  readonly id: string
  readonly kind: KeyKind
  readonly name: string
  readonly createdAt: number
  readonly expiresAt: number | null
  readonly revokedAt: number | null
}

const columns = {
  id: keys.id,
  kind: keys.kind,
  name: keys.name,
  createdAt: keys.createdAt,
  expiresAt: keys.expiresAt,
  revokedAt: keys.revokedAt,
}

/** All keys of an environment, oldest first. */
export async function listKeys(database: D1Database, environment: string): Promise<StoredKey[]> {
  return drizzle(database)
    .select(columns)
    .from(keys)
    .where(eq(keys.environment, environment))
    .orderBy(asc(keys.createdAt), asc(keys.id))
}

const ownRow = (environment: string, id: string) =>
  and(eq(keys.environment, environment), eq(keys.id, id), isNull(keys.revokedAt))

const isLive = (own: SQL | undefined) =>
  ({ column: 'fresh', holds: sql`EXISTS (SELECT 1 FROM ${keys} WHERE ${own})` }) as const

/** A key on its way in: its row, its entity, and what is shown of it once. */
async function keyInsert(database: D1Database, environment: string, draft: KeyDraft, now: number) {
  const { kind, name } = draft
  const id = `key-${randomHex(8)}`
  const key = draft.hash === undefined ? createKey(kind, environment) : undefined
  const hash = draft.hash ?? (await hashKey(key ?? ''))
  return {
    write: drizzle(database).insert(keys).values({ id, environment, kind, name, hash, createdAt: now }),
    entity: { environment, kind: 'keys', key: id, text: keyText({ id, kind, hash }) } as const,
    answer: {
      status: 201,
      body: { id, ...(key === undefined ? {} : { key }) },
      shows: ['environments'],
    } as const,
    id,
  }
}

/** Lets a key in. */
export async function planKeyCreation(
  database: D1Database,
  environment: string,
  draft: KeyDraft,
  now: number,
): Promise<Change> {
  const { write, entity, answer, id } = await keyInsert(database, environment, draft, now)
  return {
    action: 'key.create',
    target: { kind: 'key', key: id },
    details: { kind: draft.kind, name: draft.name },
    guards: [],
    writes: [write],
    entities: [entity],
    revisions: [],
    answer,
  }
}

/**
 * Puts a new key in the place of one that ends after an overlap.
 * @param overlap for how long both are good, in milliseconds
 */
export async function planKeyRotation(
  database: D1Database,
  environment: string,
  id: string,
  overlap: number,
  now: number,
): Promise<Result<Change, SaveError>> {
  const own = ownRow(environment, id)
  const db = drizzle(database)
  const old = await db
    .select({ ...columns, hash: keys.hash })
    .from(keys)
    .where(own)
    .get()
  if (!old || (old.expiresAt !== null && old.expiresAt <= now)) {
    return err({ reason: 'not_found', what: `key "${id}"` })
  }
  const next = await keyInsert(database, environment, { kind: old.kind, name: old.name }, now)
  const expiresAt = Math.min(now + overlap, old.expiresAt ?? Number.POSITIVE_INFINITY)
  const text = keyText({ id, kind: old.kind, hash: old.hash, expiresAt })
  return ok({
    action: 'key.rotate',
    target: { kind: 'key', key: id },
    details: { replacedBy: next.id, expiresAt },
    guards: [isLive(own)],
    writes: [db.update(keys).set({ expiresAt }).where(own), next.write],
    entities: [{ environment, kind: 'keys', key: id, text }, next.entity],
    revisions: [],
    answer: { ...next.answer, body: { ...next.answer.body, replaces: id, expiresAt } },
  })
}

/** Shuts a key out: it is dead at the edge with the environment's next version. */
export async function planKeyRevocation(
  database: D1Database,
  environment: string,
  id: string,
  now: number,
): Promise<Result<Change, SaveError>> {
  const own = ownRow(environment, id)
  const db = drizzle(database)
  if (!(await db.select({ id: keys.id }).from(keys).where(own).get())) {
    return err({ reason: 'not_found', what: `key "${id}"` })
  }
  return ok({
    action: 'key.revoke',
    target: { kind: 'key', key: id },
    guards: [isLive(own)],
    writes: [db.update(keys).set({ revokedAt: now }).where(own)],
    entities: [{ environment, kind: 'keys', key: id, text: null }],
    revisions: [],
  })
}
