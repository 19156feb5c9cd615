// One environment's snapshot as the delivery needs it: the engine's part, and the keys and settings beside it.
import { isJsonObject } from '../engine/json.ts'
import { err, ok, type Result } from '../engine/result.ts'
import { type EntityChange, Snapshot } from '../engine/snapshot.ts'
import { readSnapshotText, type Section } from '../engine/snapshot-text.ts'
import { type EntityKind, type EnvironmentSettings, type KeyRecord, SETTINGS_KEY } from './entities.ts'

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
  readonly flags: Snapshot
  /** By id. A change of any key makes a new map. */
  readonly keys: ReadonlyMap<string, KeyRecord>
  readonly settings: EnvironmentSettings
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

function parseSettings(text: string | undefined): EnvironmentSettings | undefined {
  const value = text === undefined ? undefined : parseText(text)
  if (!isJsonObject(value)) return undefined
  const { refreshSeconds, signingSecret, keepContexts, contextKeys } = value
  if (typeof refreshSeconds !== 'number' || typeof signingSecret !== 'string') return undefined
  const settings = { refreshSeconds, signingSecret, ...(keepContexts === true ? { keepContexts } : {}) }
  if (contextKeys === undefined) return settings
  if (!Array.isArray(contextKeys) || !contextKeys.every(isJsonObject)) return undefined
  return { ...settings, contextKeys }
}

function parseKeys(section: Section): Result<Map<string, KeyRecord>, string> {
  const keys = new Map<string, KeyRecord>()
  for (const [id, text] of section) {
    const key = parseKey(id, text)
    if (!key) return err(`key "${id}" cannot be read`)
    keys.set(id, key)
  }
  return ok(keys)
}

/** Opens the text of a snapshot of `environment`; flags and segments are parsed when they are first asked for. */
export function openEnvironment(environment: string, text: string): Result<EnvironmentSnapshot, string> {
  const read = readSnapshotText(text)
  if (!read.ok) return read
  if (read.value.environment !== environment) return err(`it is of environment "${read.value.environment}"`)
  const { sections } = read.value
  const keys = parseKeys(sections.keys ?? new Map())
  if (!keys.ok) return keys
  const settings = parseSettings(sections.settings?.get(SETTINGS_KEY))
  if (!settings) return err('the settings cannot be read')
  return ok({ flags: new Snapshot(read.value), keys: keys.value, settings })
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
  let { keys, settings } = current
  for (const { kind, key, text } of delta.changes) {
    if (kind === 'keys') {
      const record = text === null ? null : parseKey(key, text)
      if (record === undefined) return err(`key "${key}" cannot be read`)
      const next = new Map(keys)
      if (record) next.set(key, record)
      else next.delete(key)
      keys = next
    } else if (kind === 'settings') {
      const parsed = text === null ? undefined : parseSettings(text)
      if (!parsed) return err('the settings cannot be read')
      settings = parsed
    }
  }
  const moved = flags.patch(delta.to, delta.changes.filter(isEngineChange))
  return moved.ok ? ok({ flags, keys, settings }) : moved
}
