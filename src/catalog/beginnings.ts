// What a new environment has from its first moment: all flags, all metrics, and, where it is a copy, the configurations
// and segments of another.
import { asc, eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { FlagConfiguration, Segment } from '../engine/flag.ts'
import type { Guard } from '../ledger/commit.ts'
import type { Statement } from '../ledger/statement.ts'
import type { Change, RevisionWrite } from './change.ts'
import { toChunks } from './chunks.ts'
import {
  configurationInserts,
  flagEntity,
  initialConfiguration,
  type NewConfiguration,
} from './flag-entity.ts'
import { flagColumns, type StoredFlag } from './flag-store.ts'
import type { Metric } from './measurement.ts'
import { metricColumns } from './metric-store.ts'
import { metricEntity } from './metrics.ts'
import { segmentEntity } from './segments.ts'
import { environments, flagConfigurations, flags, metrics, revisions, segments } from './tables.ts'

type NewSegment = Segment & { readonly description: string }

/** What a new environment starts out with, and that it is still so when it is made. */
type Beginnings = {
  readonly configurations: readonly (NewConfiguration & { readonly definition: StoredFlag })[]
  readonly segments: readonly NewSegment[]
  readonly metrics: readonly Metric[]
  readonly guard: Guard
}

/** A number that every change of any flag's definition or metric raises, and nothing lowers. */
const definedState = sql`(SELECT count(*) FROM ${revisions} WHERE kind IN ('flag', 'metric'))`

/** The version of an environment; without one, a text that no version is. */
const versionOf = (environment: string | undefined) =>
  sql`coalesce((SELECT version FROM ${environments} WHERE ${eq(environments.key, environment ?? '')}), '-')`

/** What a new environment starts out with: every flag and metric, and what another one has of its own. */
export async function loadBeginnings(
  database: D1Database,
  environment: string,
  copyFrom: string | undefined,
): Promise<Beginnings> {
  const db = drizzle(database)
  // What was so before anything is read must be so when it is written.
  const state = await db.get<{ defined: number; version: string | number }>(
    sql`SELECT ${definedState} AS defined, ${versionOf(copyFrom)} AS version`,
  )
  const all = await db.select(flagColumns).from(flags).orderBy(asc(flags.key))
  const source = copyFrom ?? ''
  const copied = await db
    .select({ flag: flagConfigurations.flag, configuration: flagConfigurations.configuration })
    .from(flagConfigurations)
    .where(eq(flagConfigurations.environment, source))
  const configurationOf = new Map<string, FlagConfiguration>(
    copied.map(({ flag, configuration }) => [flag, configuration]),
  )
  return {
    configurations: all.map((definition) => ({
      flag: definition.key,
      environment,
      configuration: configurationOf.get(definition.key) ?? initialConfiguration(definition),
      definition,
    })),
    segments: await db.select().from(segments).where(eq(segments.environment, source)),
    metrics: await db.select(metricColumns).from(metrics).orderBy(asc(metrics.key)),
    guard: {
      column: 'fresh',
      holds: sql`(${definedState}, ${versionOf(copyFrom)}) = (${state.defined}, ${state.version})`,
    },
  }
}

function segmentInserts(environment: string, copied: readonly NewSegment[], now: number): Statement[] {
  const rows = copied.map(({ key, description, condition, included, excluded }) => [
    key,
    description,
    condition && JSON.stringify(condition),
    JSON.stringify(included),
    JSON.stringify(excluded),
  ])
  return toChunks(rows).map(
    (chunk) => sql`INSERT INTO ${segments}
      (environment, key, description, condition, included, excluded, revision, updated_at)
      SELECT ${environment}, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4,
        1 + coalesce((SELECT max(revision) FROM ${revisions}
          WHERE kind = 'segment' AND environment = ${environment} AND key = value ->> 0), 0), ${now}
      FROM json_each(${chunk})`,
  )
}

/** The rows and entities of an environment's beginnings. */
export function beginningsOf(
  environment: string,
  { configurations, segments: copied, metrics: defined }: Omit<Beginnings, 'guard'>,
  now: number,
): Pick<Change, 'writes' | 'entities' | 'revisions'> {
  const written: RevisionWrite[] = [
    ...configurations.map(
      ({ flag, configuration }) =>
        ({ kind: 'configuration', environment, key: flag, body: configuration }) as const,
    ),
    ...copied.map(
      ({ key, description, condition, included, excluded }) =>
        ({
          kind: 'segment',
          environment,
          key,
          body: { description, condition, included, excluded },
        }) as const,
    ),
  ]
  return {
    writes: [...configurationInserts(configurations, now), ...segmentInserts(environment, copied, now)],
    entities: [
      ...defined.map((metric) => metricEntity(environment, metric)),
      ...copied.map((segment) => segmentEntity(environment, segment)),
      ...configurations
        .filter(({ definition }) => definition.archivedAt === null)
        .map(({ definition, configuration }) => flagEntity(definition, environment, configuration)),
    ],
    revisions: written,
  }
}
