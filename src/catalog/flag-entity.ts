// What a flag's configuration becomes: an entity of its environment's snapshot, and rows. Pure.
import { sql } from 'drizzle-orm'
import type { FlagConfiguration, FlagDefinition } from '../engine/flag.ts'
import { flagReferences } from '../engine/references.ts'
import type { Statement } from '../ledger/statement.ts'
import type { EntityWrite, Pointer } from './change.ts'
import { toChunks } from './chunks.ts'
import { flagText } from './entities.ts'
import { MAX_FLAG_BYTES } from './limits.ts'
import { flagConfigurations, revisions } from './tables.ts'

function pointersOf(configuration: FlagConfiguration): Pointer[] {
  const { flags, segments } = flagReferences(configuration, null)
  const variantsOf = (key: string) =>
    configuration.prerequisites.filter(({ flag }) => flag === key).flatMap(({ variants }) => variants)
  return [
    ...flags.map((key) => ({ kind: 'flags', key, variants: variantsOf(key) }) as const),
    ...segments.map((key) => ({ kind: 'segments', key, variants: [] }) as const),
  ]
}

/** The entity that a flag is in one environment's snapshot. */
export function flagEntity(
  definition: FlagDefinition,
  environment: string,
  configuration: FlagConfiguration,
): EntityWrite {
  return {
    environment,
    kind: 'flags',
    key: definition.key,
    text: flagText(definition, configuration),
    pointsAt: pointersOf(configuration),
  }
}

/** Tells whether one of the entities is larger than a flag may be. */
export function isTooLarge(entities: readonly EntityWrite[]): boolean {
  return entities.some(({ text }) => new TextEncoder().encode(text ?? '').length > MAX_FLAG_BYTES)
}

/** How a flag starts out in every environment: off, and the caller's default applies. */
export function initialConfiguration({ variants }: Pick<FlagDefinition, 'variants'>): FlagConfiguration {
  return {
    enabled: false,
    offVariant: null,
    prerequisites: [],
    targets: [],
    rules: [],
    fallthrough: { variant: variants[0]?.name ?? '' },
  }
}

/** A flag's configuration in one environment, before it is stored. */
export type NewConfiguration = {
  readonly flag: string
  readonly environment: string
  readonly configuration: FlagConfiguration
}

/** Statements that store new configurations, however many. */
export function configurationInserts(configurations: readonly NewConfiguration[], now: number): Statement[] {
  const rows = configurations.map(({ flag, environment, configuration }) => [
    flag,
    environment,
    JSON.stringify(configuration),
    configuration.enabled,
  ])
  return toChunks(rows).map(
    (
      chunk,
    ) => sql`INSERT INTO ${flagConfigurations} (flag, environment, configuration, enabled, revision, updated_at)
      SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, 1 + coalesce((SELECT max(revision) FROM ${revisions}
        WHERE kind = 'configuration' AND environment = value ->> 1 AND key = value ->> 0), 0), ${now}
      FROM json_each(${chunk})`,
  )
}
