// Which flag is watched, and what by: rollouts and experiments put these into their own changes, so that grants, the
// measurement and their own rows come and go in one batch.
import { and, asc, eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { RolloutGrants } from '../engine/flag.ts'
import { below, type Problem, Problems } from '../engine/problem.ts'
import { rolloutReferences } from '../engine/references.ts'
import { err, ok, type Result } from '../engine/result.ts'
import type { Change, EntityWrite, Pointer } from './change.ts'
import { shardsAt } from './layouts.ts'
import { type Measurement, measurementText, parseMeasurementText, unitKindOf } from './measurement.ts'
import type { SaveError } from './save-error.ts'
import { environments, history, measurements, metrics } from './tables.ts'

export const MAX_BOUNDS = 4
export const MAX_SLICES = 8

/** A measurement as a rollout or an experiment asks for it; over how many shards it is spread is decided here. */
export type MeasurementDraft = Omit<Measurement, 'shards'>

/** What a measurement adds to a change. */
export type MeasurementPart = Pick<Change, 'guards' | 'writes' | 'entities'>

const ownRow = (environment: string, id: string) =>
  and(eq(measurements.environment, environment), eq(measurements.id, id))

/** An environment's measurements that have not ended, by id. */
export async function loadMeasurements(database: D1Database, environment: string): Promise<Measurement[]> {
  const rows = await drizzle(database)
    .select({ id: measurements.id, body: measurements.body })
    .from(measurements)
    .where(eq(measurements.environment, environment))
    .orderBy(asc(measurements.id))
  return rows.flatMap(({ id, body }) => parseMeasurementText(id, body) ?? [])
}

/** Whether an environment has a measurement, or has had it. */
export async function isMeasurement(database: D1Database, environment: string, id: string): Promise<boolean> {
  const row = await drizzle(database)
    .select({ version: history.version })
    .from(history)
    .where(and(eq(history.environment, environment), eq(history.kind, 'measurements'), eq(history.key, id)))
    .limit(1)
    .get()
  return row !== undefined
}

type Ground = {
  readonly layouts: typeof environments.$inferSelect.layouts
  /** As it stands; null when it is new. */
  readonly body: string | null
}

async function loadGround(
  database: D1Database,
  environment: string,
  id: string,
): Promise<Ground | undefined> {
  return drizzle(database)
    .select({ layouts: environments.layouts, body: measurements.body })
    .from(environments)
    .leftJoin(measurements, ownRow(environment, id))
    .where(eq(environments.key, environment))
    .get()
}

type Units = ReadonlyMap<string, string>

async function loadUnits(database: D1Database, keys: readonly string[]): Promise<Units> {
  const rows = await drizzle(database)
    .select({ key: metrics.key, unit: metrics.unit })
    .from(metrics)
    .where(sql`${metrics.key} IN (SELECT value FROM json_each(${JSON.stringify(keys)}))`)
  return new Map(rows.map(({ key, unit }) => [key, unit]))
}

function checkMeasurement(draft: MeasurementDraft, units: Units): readonly Problem[] {
  const problems = new Problems()
  const unit = unitKindOf(draft.by)
  // A tag begins with it and goes on with a dot.
  if (!/^[\w-]{1,64}$/.test(draft.id)) problems.add('id', 'type', 'must be letters, digits, - or _')
  if (draft.slices.length > MAX_SLICES) {
    problems.add('slices', 'limit', `must have at most ${MAX_SLICES} entries`)
  }
  const seen = new Set<string>()
  for (const [index, { metric, bounds }] of draft.metrics.entries()) {
    const path = below('metrics', index)
    const counted = units.get(metric)
    if (counted === undefined) {
      problems.add(below(path, 'metric'), 'unknown_metric', `there is no metric "${metric}"`)
    } else if (counted !== unit) {
      problems.add(
        below(path, 'metric'),
        'other_unit',
        `counts by ${counted}, and the flag is given by ${unit}`,
      )
    }
    if (seen.has(metric)) problems.add(below(path, 'metric'), 'duplicate', 'is used twice')
    seen.add(metric)
    if (bounds.length > MAX_BOUNDS) {
      problems.add(below(path, 'bounds'), 'limit', `must have at most ${MAX_BOUNDS} entries`)
    }
    if (!bounds.every(Number.isFinite)) problems.add(below(path, 'bounds'), 'type', 'must be finite numbers')
  }
  return problems.found
}

function pointersOf({ flag, metrics }: MeasurementDraft): Pointer[] {
  return [
    { kind: 'flags', key: flag, variants: [] },
    ...metrics.map(({ metric }) => ({ kind: 'metrics', key: metric, variants: [] }) as const),
  ]
}

/**
 * Begins a measurement, or changes one that runs: its stage, say. It is spread over as many shards as the environment
 * has when it begins, for as long as it runs, and stays with its flag. That flag and metrics are still there, and
 * count by the same unit, holds when the change is committed; until it ends they can neither be deleted nor redefined.
 * @param now milliseconds since 1970
 */
export async function measurementSave(
  database: D1Database,
  environment: string,
  draft: MeasurementDraft,
  now: number,
): Promise<Result<MeasurementPart, SaveError>> {
  const { id, flag, kind } = draft
  const watched = draft.metrics.map(({ metric }) => metric)
  const [ground, units] = await Promise.all([
    loadGround(database, environment, id),
    loadUnits(database, watched),
  ])
  if (!ground) return err({ reason: 'not_found', what: `environment "${environment}"` })
  const problems = checkMeasurement(draft, units)
  if (problems.length > 0) return err({ reason: 'invalid', problems })
  const running = ground.body === null ? undefined : parseMeasurementText(id, ground.body)
  const shards = running?.shards ?? shardsAt(ground.layouts, now)
  const measurement = { ...draft, shards }
  const body = measurementText(measurement)
  return ok({
    guards: [
      {
        column: 'fresh',
        holds: sql`coalesce((SELECT flag = ${flag} AND kind = ${kind} AND body ->> 'shards' = ${shards}
          FROM ${measurements} WHERE ${ownRow(environment, id)}), 1)`,
      },
      {
        column: 'found',
        holds: sql`(SELECT count(*) FROM ${metrics} WHERE unit = ${unitKindOf(draft.by)}
          AND key IN (SELECT value FROM json_each(${JSON.stringify(watched)}))) = ${watched.length}`,
      },
    ],
    writes: [
      drizzle(database)
        .insert(measurements)
        .values({ environment, flag, id, kind, body })
        .onConflictDoUpdate({ target: [measurements.environment, measurements.id], set: { body } }),
    ],
    entities: [{ environment, kind: 'measurements', key: id, text: body, pointsAt: pointersOf(draft) }],
  })
}

/** Ends a measurement: what was counted stays where it is. */
export function measurementEnd(environment: string, id: string): MeasurementPart {
  return {
    guards: [
      {
        column: 'fresh',
        holds: sql`EXISTS (SELECT 1 FROM ${measurements} WHERE ${ownRow(environment, id)})`,
      },
    ],
    writes: [sql`DELETE FROM ${measurements} WHERE ${ownRow(environment, id)}`],
    entities: [{ environment, kind: 'measurements', key: id, text: null }],
  }
}

/**
 * The entity that a rollout's grants are in its environment's snapshot; null takes them away. While they stand, the
 * flag keeps the variant, and segments that they name are not deleted.
 */
export function rolloutEntity(environment: string, flag: string, rollout: RolloutGrants | null): EntityWrite {
  const own = { environment, kind: 'rollouts', key: flag } as const
  if (rollout === null) return { ...own, text: null }
  return {
    ...own,
    text: JSON.stringify(rollout),
    pointsAt: [
      { kind: 'flags', key: flag, variants: [rollout.variant] },
      ...rolloutReferences(rollout).map((key) => ({ kind: 'segments', key, variants: [] }) as const),
    ],
  }
}
