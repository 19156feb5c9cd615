import { and, asc, eq, gt, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { Segment } from '../engine/flag.ts'
import { parseSegment } from '../engine/parse-flag.ts'
import { segmentReferences } from '../engine/references.ts'
import { err, ok, type Result } from '../engine/result.ts'
import { type Change, type EntityWrite, isAtRevision, nextRevision } from './change.ts'
import { segmentText } from './entities.ts'
import { MAX_QUOTED_BYTES, MAX_SEGMENT_BYTES } from './limits.ts'
import type { Operation } from './operation.ts'
import type { SaveError } from './save-error.ts'
import { segments } from './tables.ts'
import { unknownFields } from './unknown-fields.ts'

/** A segment as it is stored. */
export type StoredSegment = Segment & {
  readonly description: string
  readonly revision: number
  /** Milliseconds since 1970. */
  readonly updatedAt: number
}

const columns = {
  key: segments.key,
  description: segments.description,
  condition: segments.condition,
  included: segments.included,
  excluded: segments.excluded,
  revision: segments.revision,
  updatedAt: segments.updatedAt,
}

const ownRow = (environment: string, key: string) =>
  and(eq(segments.environment, environment), eq(segments.key, key))

/** A page of an environment's segments, by key, after the key `after`. */
export async function listSegments(
  database: D1Database,
  environment: string,
  limit: number,
  after = '',
): Promise<StoredSegment[]> {
  return drizzle(database)
    .select(columns)
    .from(segments)
    .where(and(eq(segments.environment, environment), gt(segments.key, after)))
    .orderBy(asc(segments.key))
    .limit(limit)
}

/** One segment; undefined when there is none of that key. */
export async function loadSegment(
  database: D1Database,
  environment: string,
  key: string,
): Promise<StoredSegment | undefined> {
  return drizzle(database).select(columns).from(segments).where(ownRow(environment, key)).get()
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length
}

/** The entity that a segment is in its environment's snapshot. */
export function segmentEntity(environment: string, segment: Segment): EntityWrite {
  return {
    environment,
    kind: 'segments',
    key: segment.key,
    text: segmentText(segment),
    pointsAt: segmentReferences(segment).segments.map((key) => ({ kind: 'segments', key, variants: [] })),
  }
}

/** Tells whether an entity is larger than a segment may be. */
export function isSegmentTooLarge({ text }: EntityWrite): boolean {
  return bytesOf(text ?? '') > MAX_SEGMENT_BYTES || bytesOf(JSON.stringify(text)) > MAX_QUOTED_BYTES
}

/** Makes a segment (`revision` 0) or changes it. */
export async function planSegmentSave(
  database: D1Database,
  { environment, segment: key, draft, revision }: Extract<Operation, { kind: 'segment.save' }>,
  now: number,
): Promise<Result<Change, SaveError>> {
  const { description, ...drafted } = draft
  const parsed = parseSegment(key, drafted)
  if (!parsed.ok) return err({ reason: 'invalid', problems: parsed.error })
  const problems = unknownFields(drafted, parsed.value)
  if (problems.length > 0) return err({ reason: 'invalid', problems })
  const entity = segmentEntity(environment, parsed.value)
  if (isSegmentTooLarge(entity)) {
    return err({ reason: 'too_large', limit: MAX_SEGMENT_BYTES })
  }
  const { condition, included, excluded } = parsed.value
  const next = nextRevision({ kind: 'segment', environment, key })
  const values = { description, condition, included, excluded, revision: next, updatedAt: now }
  return ok({
    action: revision === 0 ? 'segment.create' : 'segment.save',
    target: { kind: 'segment', key },
    guards: [isAtRevision(sql`${segments}`, ownRow(environment, key), revision)],
    writes: [
      drizzle(database)
        .insert(segments)
        .values({ environment, key, ...values })
        .onConflictDoUpdate({ target: [segments.environment, segments.key], set: values }),
    ],
    entities: [entity],
    revisions: [{ kind: 'segment', environment, key, body: { description, condition, included, excluded } }],
  })
}

/** Deletes a segment; refused while a flag or another segment names it. */
export async function planSegmentDelete(
  database: D1Database,
  { environment, segment: key, revision }: Extract<Operation, { kind: 'segment.delete' }>,
): Promise<Result<Change, SaveError>> {
  if (!(await loadSegment(database, environment, key))) {
    return err({ reason: 'not_found', what: `segment "${key}" in "${environment}"` })
  }
  return ok({
    action: 'segment.delete',
    target: { kind: 'segment', key },
    guards: [isAtRevision(sql`${segments}`, ownRow(environment, key), revision)],
    writes: [drizzle(database).delete(segments).where(ownRow(environment, key))],
    entities: [{ environment, kind: 'segments', key, text: null }],
    revisions: [{ kind: 'segment', environment, key, body: null }],
  })
}
