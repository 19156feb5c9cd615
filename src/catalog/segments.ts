import { and, asc, eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { Segment } from '../engine/flag.ts'
import { parseSegment } from '../engine/parse-flag.ts'
import { segmentReferences } from '../engine/references.ts'
import { err, type Result } from '../engine/result.ts'
import { commitChange, isAtRevision, type Versions } from './change.ts'
import { segmentText } from './entities.ts'
import type { Author } from './environments.ts'
import type { SaveError } from './flags.ts'
import { MAX_SEGMENT_BYTES } from './limits.ts'
import { segments } from './tables.ts'

/** A segment as it is stored. */
export type StoredSegment = Segment & { readonly description: string; readonly revision: number }

const columns = {
  key: segments.key,
  description: segments.description,
  condition: segments.condition,
  included: segments.included,
  excluded: segments.excluded,
  revision: segments.revision,
}

/** All segments of an environment, by key. */
export async function listSegments(database: D1Database, environment: string): Promise<StoredSegment[]> {
  return drizzle(database)
    .select(columns)
    .from(segments)
    .where(eq(segments.environment, environment))
    .orderBy(asc(segments.key))
}

/** Makes a segment (`revision` 0) or changes it. */
export async function saveSegment(
  database: D1Database,
  environment: string,
  key: string,
  draft: unknown,
  description: string,
  revision: number,
  author: Author,
): Promise<Result<Versions, SaveError>> {
  const parsed = parseSegment(key, draft)
  if (!parsed.ok) return err({ reason: 'invalid', problems: parsed.error })
  const text = segmentText(parsed.value)
  if (new TextEncoder().encode(text).length > MAX_SEGMENT_BYTES) {
    return err({ reason: 'too_large', limit: MAX_SEGMENT_BYTES })
  }
  const { condition, included, excluded } = parsed.value
  const values = { description, condition, included, excluded, updatedAt: author.now }
  const own = and(eq(segments.environment, environment), eq(segments.key, key))
  return commitChange(database, {
    ...author,
    guards: [isAtRevision(sql`${segments}`, own, revision)],
    writes: [
      drizzle(database)
        .insert(segments)
        .values({ environment, key, ...values, revision: 1 })
        .onConflictDoUpdate({
          target: [segments.environment, segments.key],
          set: { ...values, revision: sql`${segments.revision} + 1` },
        }),
    ],
    entities: [
      {
        environment,
        kind: 'segments',
        key,
        text,
        pointsAt: segmentReferences(parsed.value).segments.map((segment) => ({
          kind: 'segments',
          key: segment,
        })),
      },
    ],
  })
}

/** Deletes a segment; refused while a flag or another segment names it. */
export async function deleteSegment(
  database: D1Database,
  environment: string,
  key: string,
  revision: number,
  author: Author,
): Promise<Result<Versions, SaveError>> {
  const own = and(eq(segments.environment, environment), eq(segments.key, key))
  const db = drizzle(database)
  if (!(await db.select({ key: segments.key }).from(segments).where(own).get())) {
    return err({ reason: 'not_found', what: `segment "${key}" in "${environment}"` })
  }
  return commitChange(database, {
    ...author,
    guards: [isAtRevision(sql`${segments}`, own, revision)],
    writes: [db.delete(segments).where(own)],
    entities: [{ environment, kind: 'segments', key, text: null }],
  })
}
