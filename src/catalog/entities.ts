// What a snapshot is made of, as its text holds it: kinds of entities, and the JSON text of each.

import type { FlagConfiguration, FlagDefinition, Segment } from '../engine/flag.ts'
import type { JsonObject } from '../engine/json.ts'
import type { EntityKind as EngineKind } from '../engine/snapshot.ts'

/** The kinds of entities in an environment's snapshot; those beyond the engine's are for the delivery alone. */
export type EntityKind = EngineKind | 'keys' | 'settings' | 'metrics' | 'measurements'

export const ENTITY_KINDS: readonly EntityKind[] = [
  'flags',
  'segments',
  'rollouts',
  'keys',
  'settings',
  'metrics',
  'measurements',
]

/** The one entity of the kind `settings`. */
export const SETTINGS_KEY = 'environment'

/** A key that an evaluation may be asked with. */
export type KeyRecord = {
  readonly id: string
  readonly kind: 'server' | 'client'
  /** SHA-256 of the whole key, in hex. */
  readonly hash: string
  /** From when on it lets nobody in any more, in milliseconds since 1970; left out, it does not end by itself. */
  readonly expiresAt?: number
}

/** Whether a key has ended by itself. */
export function isExpired({ expiresAt }: KeyRecord, now: number): boolean {
  return expiresAt !== undefined && now >= expiresAt
}

/** Over how many shards events are spread, of batches made from an instant (in milliseconds since 1970) on. */
export type ShardLayout = { readonly since: number; readonly shards: number }

/** What the edge must know of an environment itself. */
export type EnvironmentSettings = {
  /** How long an isolate may go without asking for news, in seconds. */
  readonly refreshSeconds: number
  /** Signs stream tokens; hex. */
  readonly signingSecret: string
  /** Whether some of the contexts seen lately are kept; left out: no. */
  readonly keepContexts?: boolean
  /** Public keys (JWK), one of which must have signed a client's context; left out: it need not be signed. */
  readonly contextKeys?: readonly JsonObject[]
  /** Oldest first; left out: 2 shards, always. */
  readonly layouts?: readonly ShardLayout[]
}

/** The text of a flag: its definition and its configuration in one object, without what the edge does not need. */
export function flagText(definition: FlagDefinition, configuration: FlagConfiguration): string {
  const { type, variants, metadata, clientVisible } = definition
  const { enabled, offVariant, prerequisites, targets, rules, fallthrough } = configuration
  return JSON.stringify({
    type,
    variants,
    ...(Object.keys(metadata).length > 0 ? { metadata } : {}),
    clientVisible,
    enabled,
    offVariant,
    ...(prerequisites.length > 0 ? { prerequisites } : {}),
    ...(targets.length > 0 ? { targets } : {}),
    ...(rules.length > 0 ? { rules: rules.map(({ id, when, serve }) => ({ id, when, serve })) } : {}),
    fallthrough,
  })
}

/** The text of a segment. */
export function segmentText({ condition, included, excluded }: Segment): string {
  return JSON.stringify({ condition, included, excluded })
}

/** The text of a key. */
export function keyText({ kind, hash, expiresAt }: KeyRecord): string {
  return JSON.stringify({ kind, hash, expiresAt })
}

/** The text of an environment's settings. */
export function settingsText(settings: EnvironmentSettings): string {
  const { refreshSeconds, signingSecret, keepContexts = false, contextKeys = [], layouts = [] } = settings
  return JSON.stringify({
    refreshSeconds,
    signingSecret,
    ...(keepContexts ? { keepContexts } : {}),
    ...(contextKeys.length > 0 ? { contextKeys } : {}),
    ...(layouts.length > 0 ? { layouts } : {}),
  })
}
