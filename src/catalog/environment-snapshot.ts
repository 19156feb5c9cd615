// One environment's snapshot as the delivery needs it: the engine's part, and the keys and settings beside it.
import { isJsonObject } from '../engine/json.ts'
import { err, ok, type Result } from '../engine/result.ts'
import { type EntityChange, Snapshot } from '../engine/snapshot.ts'
import { readSnapshotText, type Section } from '../engine/snapshot-text.ts'
import {
  type EntityKind,
  type EnvironmentSettings,
  type KeyRecord,
  SETTINGS_KEY,
  type ShardLayout,
} from './entities.ts'
import { type Measurement, type Metric, parseMeasurementText, parseMetricText } from './measurement.ts'

/** What has changed in an environment between two versions. */
export type Delta = {
  readonly from: number
  readonly to: number
  readonly changes: readonly {
    readonly kind: EntityKind
    readonly key: string
    readonly text: string | null
  }[]
}

export type EnvironmentSnapshot = {
  /** Moved on in place: it may be newer than what stands beside it. */
  readonly flags: Snapshot
  /** Which version of the environment all but the flags are of. */
  readonly version: number
  /** By id. A change of any key makes a new map. */
  readonly keys: ReadonlyMap<string, KeyRecord>
  readonly settings: EnvironmentSettings
  /** By key. A change of any metric makes a new map. */
  readonly metrics: ReadonlyMap<string, Metric>
  /** By id. A change of any measurement makes a new map. */
  readonly measurements: ReadonlyMap<string, Measurement>
}

function parseText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function parseKey(id: string, text: string): KeyRecord | undefined {
  const value = parseText(text)
  if (!isJsonObject(value) || typeof value.hash !== 'string') return undefined
  const { kind, hash, expiresAt } = value
  if (kind !== 'server' && kind !== 'client') return undefined
  if (expiresAt === undefined) return { id, kind, hash }
  return typeof expiresAt === 'number' ? { id, kind, hash, expiresAt } : undefined
}

function isLayout(value: unknown): value is ShardLayout {
  return isJsonObject(value) && Number.isInteger(value.since) && Number.isInteger(value.shards)
}

function parseSettings(text: string | undefined): EnvironmentSettings | undefined {
  const value = text === undefined ? undefined : parseText(text)
  if (!isJsonObject(value)) return undefined
  const { refreshSeconds, signingSecret, keepContexts, contextKeys, layouts = [] } = value
  if (typeof refreshSeconds !== 'number' || typeof signingSecret !== 'string') return undefined
  if (!Array.isArray(layouts) || !layouts.every(isLayout)) return undefined
  const settings = {
    refreshSeconds,
    signingSecret,
    ...(keepContexts === true ? { keepContexts } : {}),
    ...(layouts.length > 0 ? { layouts } : {}),
  }
  if (contextKeys === undefined) return settings
  if (!Array.isArray(contextKeys) || !contextKeys.every(isJsonObject)) return undefined
  return { ...settings, contextKeys }
}

/** Parses every entity of a kind. */
function parseSection<T>(
  name: string,
  section: Section | undefined,
  parse: (key: string, text: string) => T | undefined,
): Result<Map<string, T>, string> {
  const entities = new Map<string, T>()
  for (const [key, text] of section ?? []) {
    const entity = parse(key, text)
    if (!entity) return err(`${name} "${key}" cannot be read`)
    entities.set(key, entity)
  }
  return ok(entities)
}

/** Opens the text of a snapshot of `environment`; flags and segments are parsed when they are first asked for. */
export function openEnvironment(environment: string, text: string): Result<EnvironmentSnapshot, string> {
  const read = readSnapshotText(text)
  if (!read.ok) return read
  if (read.value.environment !== environment) return err(`it is of environment "${read.value.environment}"`)
  const { sections } = read.value
  const keys = parseSection('key', sections.keys, parseKey)
  if (!keys.ok) return keys
  const metrics = parseSection('metric', sections.metrics, parseMetricText)
  if (!metrics.ok) return metrics
  const measurements = parseSection('measurement', sections.measurements, parseMeasurementText)
  if (!measurements.ok) return measurements
  const settings = parseSettings(sections.settings?.get(SETTINGS_KEY))
  if (!settings) return err('the settings cannot be read')
  return ok({
    flags: new Snapshot(read.value),
    version: read.value.version,
    keys: keys.value,
    settings,
    metrics: metrics.value,
    measurements: measurements.value,
  })
}

/** The entities of a kind, in a new map, with one of them replaced, or taken out where its text is null. */
function replaceEntity<T>(
  name: string,
  entities: ReadonlyMap<string, T>,
  key: string,
  text: string | null,
  parse: (key: string, text: string) => T | undefined,
): Result<ReadonlyMap<string, T>, string> {
  const next = new Map(entities)
  const entity = text === null ? null : parse(key, text)
  if (entity === undefined) return err(`${name} "${key}" cannot be read`)
  if (entity === null) next.delete(key)
  else next.set(key, entity)
  return ok(next)
}

function isEngineChange(change: Delta['changes'][number]): change is EntityChange {
  return change.kind === 'flags' || change.kind === 'segments' || change.kind === 'rollouts'
}

/**
 * Moves an environment to a newer version. The engine's part is moved in place; keys and settings are new where
 * they changed.
 * @returns the environment at the new version, or why the delta does not fit, and then nothing has moved
 */
export function patchEnvironment(
  current: EnvironmentSnapshot,
  delta: Delta,
): Result<EnvironmentSnapshot, string> {
  const { flags } = current
  if (delta.from > flags.version) return err(`it begins at version ${delta.from}, after ${flags.version}`)
  let { keys, settings, metrics, measurements } = current
  for (const { kind, key, text } of delta.changes) {
    if (kind === 'keys') {
      const next = replaceEntity('key', keys, key, text, parseKey)
      if (!next.ok) return next
      keys = next.value
    } else if (kind === 'metrics') {
      const next = replaceEntity('metric', metrics, key, text, parseMetricText)
      if (!next.ok) return next
      metrics = next.value
    } else if (kind === 'measurements') {
      const next = replaceEntity('measurement', measurements, key, text, parseMeasurementText)
      if (!next.ok) return next
      measurements = next.value
    } else if (kind === 'settings') {
      const parsed = text === null ? undefined : parseSettings(text)
      if (!parsed) return err('the settings cannot be read')
      settings = parsed
    }
  }
  const moved = flags.patch(delta.to, delta.changes.filter(isEngineChange))
  return moved.ok ? ok({ flags, version: delta.to, keys, settings, metrics, measurements }) : moved
}
