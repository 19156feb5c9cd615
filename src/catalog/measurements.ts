// Which flag is watched, and what by: rollouts and experiments put these into their own changes, so that grants, the
// measurement and their own rows come and go in one batch.
import { and, asc, type Column, eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { RolloutGrants } from '../engine/flag.ts'
import { below, type Problem, Problems } from '../engine/problem.ts'
import { rolloutReferences } from '../engine/references.ts'
import { err, ok, type Result } from '../engine/result.ts'
import type { Change, EntityWrite, Pointer } from './change.ts'
import { toChunks } from './chunks.ts'
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

const NOTHING: MeasurementPart = { guards: [], writes: [], entities: [] }

const isAmong = (column: Column, values: readonly string[]) =>
  sql`${column} IN (SELECT value FROM json_each(${JSON.stringify(values)}))`

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

type Units = ReadonlyMap<string, string>

type Ground = {
  readonly layouts: typeof environments.$inferSelect.layouts
  /** Those of the asked that run already, as they stand, by id. */
  readonly bodies: ReadonlyMap<string, string>
  /** What kind of unit metrics count by, by their keys. */
  readonly units: Units
}

async function loadGround(
  database: D1Database,
  environment: string,
  drafts: readonly MeasurementDraft[],
): Promise<Ground | undefined> {
  const db = drizzle(database)
  const keys = new Set(drafts.flatMap(({ metrics }) => metrics.map(({ metric }) => metric)))
  const ids = drafts.map(({ id }) => id)
  const [[found], rows, counted] = await db.batch([
    db.select({ layouts: environments.layouts }).from(environments).where(eq(environments.key, environment)),
    db
      .select({ id: measurements.id, body: measurements.body })
      .from(measurements)
      .where(and(eq(measurements.environment, environment), isAmong(measurements.id, ids))),
    db
      .select({ key: metrics.key, unit: metrics.unit })
      .from(metrics)
      .where(isAmong(metrics.key, [...keys])),
  ])
  return (
    found && {
      layouts: found.layouts,
      bodies: new Map(rows.map(({ id, body }) => [id, body])),
      units: new Map(counted.map(({ key, unit }) => [key, unit])),
    }
  )
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

/** Guards and writes of measurements of one environment, however many; each is valid and has its shards. */
function savePart(environment: string, saved: readonly Measurement[]): MeasurementPart {
  const rows = saved.map((measurement) => {
    const { id, flag, kind, shards } = measurement
    return [id, flag, kind, shards, measurementText(measurement)]
  })
  const watched = [...new Map(saved.flatMap(pairsOf)).values()]
  return {
    guards: [
      ...toChunks(rows).map((chunk) => ({
        column: 'fresh' as const,
        holds: sql`NOT EXISTS (SELECT 1 FROM json_each(${chunk}) AS saved JOIN ${measurements}
          ON measurements.environment = ${environment} AND measurements.id = saved.value ->> 0
          WHERE flag <> saved.value ->> 1 OR kind <> saved.value ->> 2 OR body ->> 'shards' <> saved.value ->> 3)`,
      })),
      {
        column: 'found',
        holds: sql`NOT EXISTS (SELECT 1 FROM json_each(${JSON.stringify(watched)}) AS watched WHERE NOT EXISTS (
          SELECT 1 FROM ${metrics} WHERE key = watched.value ->> 0 AND unit = watched.value ->> 1))`,
      },
    ],
    writes: toChunks(rows).map(
      (chunk) => sql`INSERT INTO ${measurements} (environment, flag, id, kind, body)
        SELECT ${environment}, value ->> 1, value ->> 0, value ->> 2, value ->> 4 FROM json_each(${chunk}) WHERE true
        ON CONFLICT (environment, id) DO UPDATE SET body = excluded.body`,
    ),
    entities: saved.map((measurement) => ({
      environment,
      kind: 'measurements',
      key: measurement.id,
      text: measurementText(measurement),
      pointsAt: pointersOf(measurement),
    })),
  }
}

/** The metrics of a measurement with the kind of unit that each must count by. */
function pairsOf({ by, metrics }: MeasurementDraft): [key: string, pair: readonly [string, string]][] {
  const unit = unitKindOf(by)
  return metrics.map(({ metric }) => [JSON.stringify([metric, unit]), [metric, unit]])
}

/**
 * Begins measurements of an environment, or changes some that run, in a few queries and statements however many they
 * are. What `measurementSave` says holds for each; one that is not valid is left out of the part.
 * @returns the part of those that are valid, and why others are not, by id
 */
export async function measurementSaves(
  database: D1Database,
  environment: string,
  drafts: readonly MeasurementDraft[],
  now: number,
): Promise<
  Result<
    { readonly part: MeasurementPart; readonly refused: ReadonlyMap<string, readonly Problem[]> },
    SaveError
  >
> {
  if (drafts.length === 0) return ok({ part: NOTHING, refused: new Map() })
  const ground = await loadGround(database, environment, drafts)
  if (!ground) return err({ reason: 'not_found', what: `environment "${environment}"` })
  const refused = new Map<string, readonly Problem[]>()
  const saved: Measurement[] = []
  for (const draft of drafts) {
    const problems = checkMeasurement(draft, ground.units)
    if (problems.length > 0) {
      refused.set(draft.id, problems)
      continue
    }
    const body = ground.bodies.get(draft.id)
    const running = body === undefined ? undefined : parseMeasurementText(draft.id, body)
    saved.push({ ...draft, shards: running?.shards ?? shardsAt(ground.layouts, now) })
  }
  return ok({ part: savePart(environment, saved), refused })
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
  const saves = await measurementSaves(database, environment, [draft], now)
  if (!saves.ok) return saves
  const problems = saves.value.refused.get(draft.id)
  return problems ? err({ reason: 'invalid', problems }) : ok(saves.value.part)
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

/** Ends those measurements that run: what was counted stays where it is. */
export function measurementEnds(environment: string, ids: readonly string[]): MeasurementPart {
  if (ids.length === 0) return NOTHING
  return {
    guards: [],
    writes: [
      sql`DELETE FROM ${measurements}
        WHERE ${and(eq(measurements.environment, environment), isAmong(measurements.id, ids))}`,
    ],
    entities: ids.map((id) => ({ environment, kind: 'measurements', key: id, text: null })),
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
