// The audit's hash chain: each row's hash covers the row and the hash before it, so that nothing can be changed, put
// in or taken out without breaking the chain from there on. Rows are sealed in order by the tick.
import { and, asc, between, desc, eq, getTableColumns, gt, isNotNull, type SQL, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { audit } from './tables.ts'

/** An audit row as people see it. */
export type AuditRow = typeof audit.$inferSelect

/** An audit row as it is stored: what is JSON as its very text, so that nothing that stands there is overlooked. */
export type StoredAuditRow = Omit<AuditRow, 'environments' | 'details'> & {
  readonly environments: string
  readonly details: string
}

/** Where the chain ends. */
export type ChainHead = { readonly id: number; readonly hash: string }

/** What a walk along the chain found. */
export type Verification = {
  readonly sealed: number
  /** Rows that wait for the next tick. */
  readonly unsealed: number
  /** The first row whose hash does not fit, that is missing, or that was left out; null when the chain holds. */
  readonly broken: { readonly id: number; readonly reason: 'hash' | 'missing' | 'order' } | null
  /** The last row that holds. */
  readonly head: ChainHead | null
}

/** Which rows are asked for; what is left out does not narrow. */
export type AuditFilter = {
  readonly actor?: string | undefined
  readonly action?: string | undefined
  readonly targetKind?: string | undefined
  readonly targetKey?: string | undefined
  readonly environment?: string | undefined
  /** Milliseconds since 1970; from inclusive, to exclusive. */
  readonly from?: number | undefined
  readonly to?: number | undefined
}

// The free plan makes 50 queries in a request, and walks come to an end there.
const PAGE_ROWS = 1_000
/** What the first row's hash is made over in place of one before it. */
const GENESIS = ''

const STORED = {
  ...getTableColumns(audit),
  environments: sql<string>`${audit.environments}`,
  details: sql<string>`${audit.details}`,
}

/** The hash of a row after the one before it: SHA-256 in hex over the JSON of both, in this order. */
export async function hashRow(previous: string, row: StoredAuditRow): Promise<string> {
  const { id, at, actor, via, action, targetKind, targetKey, environments, comment, details, requestId } = row
  const content = [
    ...[previous, id, at, actor, via, action, targetKind, targetKey],
    ...[environments, comment, details, requestId],
  ]
  const bytes = new TextEncoder().encode(JSON.stringify(content))
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)).toHex()
}

async function loadHead(database: D1Database): Promise<ChainHead | null> {
  const last = await drizzle(database)
    .select({ id: audit.id, hash: audit.hash })
    .from(audit)
    .where(isNotNull(audit.hash))
    .orderBy(desc(audit.id))
    .limit(1)
    .get()
  return last?.hash ? { id: last.id, hash: last.hash } : null
}

/** Seals what is not sealed yet, in order. Two at once seal the same rows alike. */
export async function sealAudit(database: D1Database): Promise<ChainHead | null> {
  const db = drizzle(database)
  let head = await loadHead(database)
  for (;;) {
    const rows = await db
      .select(STORED)
      .from(audit)
      .where(gt(audit.id, head?.id ?? 0))
      .orderBy(asc(audit.id))
      .limit(PAGE_ROWS)
    const sealed: [id: number, hash: string][] = []
    for (const row of rows) {
      // Another may have sealed it since the head was read: the chain goes on from there.
      const hash = row.hash ?? (await hashRow(head?.hash ?? GENESIS, row))
      if (row.hash === null) sealed.push([row.id, hash])
      head = { id: row.id, hash }
    }
    if (sealed.length > 0) {
      await db.run(sql`UPDATE ${audit} SET hash = sealed.hash
        FROM (SELECT value ->> 0 AS id, value ->> 1 AS hash FROM json_each(${JSON.stringify(sealed)})) AS sealed
        WHERE ${audit.id} = sealed.id AND ${audit.hash} IS NULL`)
    }
    if (rows.length < PAGE_ROWS) return head
  }
}

/** How far the audit goes, in one moment: rows may be added and sealed while it is walked along. */
type Extent = {
  /** The lowest number that a row has. */
  readonly first: number
  /** The last number that was given out, whatever rows are left. */
  readonly last: number
  /** The last sealed row: all before it must be sealed too. */
  readonly sealedTo: number
}

async function loadExtent(database: D1Database): Promise<Extent> {
  return drizzle(database).get<Extent>(sql`SELECT
    coalesce((SELECT min(id) FROM ${audit}), 1) AS first,
    max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'audit'), 0),
      coalesce((SELECT max(id) FROM ${audit}), 0)) AS last,
    coalesce((SELECT max(id) FROM ${audit} WHERE hash IS NOT NULL), 0) AS "sealedTo"`)
}

/**
 * Walks the chain from its beginning. Whoever can write the database can also compute a chain of their own, so a head
 * that was written down elsewhere is the stronger proof.
 * @param anchor a head that was written down before: its row must still have that hash
 */
export async function verifyAudit(database: D1Database, anchor?: ChainHead): Promise<Verification> {
  const db = drizzle(database)
  const { first, last, sealedTo } = await loadExtent(database)
  let head: ChainHead | null = null
  let sealed = 0
  let unsealed = 0
  let after = 0
  const found = (broken: Verification['broken']): Verification => ({ sealed, unsealed, broken, head })
  // Numbers begin with 1: what is put in before them is on no chain.
  if (first < 1) return found({ id: first, reason: 'order' })
  for (;;) {
    const rows: StoredAuditRow[] = await db
      .select(STORED)
      .from(audit)
      .where(between(audit.id, after + 1, last))
      .orderBy(asc(audit.id))
      .limit(PAGE_ROWS)
    for (const row of rows) {
      if (row.id !== after + 1) return found({ id: after + 1, reason: 'missing' })
      after = row.id
      if (row.id > sealedTo) {
        // What was written down was sealed then.
        if (row.id === anchor?.id) return found({ id: row.id, reason: 'hash' })
        unsealed++
        continue
      }
      if (row.hash === null) return found({ id: row.id, reason: 'order' })
      const fits = row.hash === (await hashRow(head?.hash ?? GENESIS, row))
      const isAnchored = row.id !== anchor?.id || row.hash === anchor.hash
      if (!fits || !isAnchored) return found({ id: row.id, reason: 'hash' })
      head = { id: row.id, hash: row.hash }
      sealed++
    }
    if (rows.length < PAGE_ROWS) break
  }
  return found(after < Math.max(last, anchor?.id ?? 0) ? { id: after + 1, reason: 'missing' } : null)
}

function conditionsOf(filter: AuditFilter): SQL[] {
  const { actor, action, targetKind, targetKey, environment, from, to } = filter
  return [
    ...(actor === undefined ? [] : [eq(audit.actor, actor)]),
    ...(action === undefined ? [] : [eq(audit.action, action)]),
    ...(targetKind === undefined ? [] : [eq(audit.targetKind, targetKind)]),
    ...(targetKey === undefined ? [] : [eq(audit.targetKey, targetKey)]),
    ...(environment === undefined
      ? []
      : [sql`EXISTS (SELECT 1 FROM json_each(${audit.environments}) WHERE key = ${environment})`]),
    ...(from === undefined ? [] : [sql`${audit.at} >= ${from}`]),
    ...(to === undefined ? [] : [sql`${audit.at} < ${to}`]),
  ]
}

/** A page of the audit, newest first, below the row `before`. */
export async function listAudit(
  database: D1Database,
  filter: AuditFilter,
  limit: number,
  before: number | undefined,
): Promise<AuditRow[]> {
  const below = before === undefined ? [] : [sql`${audit.id} < ${before}`]
  return drizzle(database)
    .select()
    .from(audit)
    .where(and(...conditionsOf(filter), ...below))
    .orderBy(desc(audit.id))
    .limit(limit)
}

/** The audit as JSON lines, oldest first. */
export function exportAudit(database: D1Database, filter: AuditFilter): ReadableStream<Uint8Array> {
  const db = drizzle(database)
  const encoder = new TextEncoder()
  let after = 0
  return new ReadableStream({
    async pull(controller) {
      const rows = await db
        .select()
        .from(audit)
        .where(and(...conditionsOf(filter), gt(audit.id, after)))
        .orderBy(asc(audit.id))
        .limit(PAGE_ROWS)
      if (rows.length > 0) {
        controller.enqueue(encoder.encode(rows.map((row) => `${JSON.stringify(row)}\n`).join('')))
      }
      after = rows.at(-1)?.id ?? after
      if (rows.length < PAGE_ROWS) controller.close()
    },
  })
}
