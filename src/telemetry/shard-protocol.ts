// What isolates and readers say to an environment's event shards. The shard itself is event-shard.ts.
import type { Bindings } from '../bindings.ts'
import type { EnvironmentActivity } from '../catalog/staleness.ts'

/** How many shards an environment has. */
export const SHARD_COUNT = 2
/** How long a shard may take to answer. */
export const SHARD_TIMEOUT_MS = 2_000
/** The most contexts that are kept of an environment. */
export const MAX_CONTEXTS = 200

/** How often a flag was answered with one variant for one reason; null is no variant, so the caller's default. */
export type Count = {
  readonly variant: string | null
  readonly reason: string
  readonly evaluations: number
}

/** A context that was evaluated with, as JSON, and when. */
export type KeptContext = { readonly at: number; readonly text: string }

/** What an isolate has counted; sent again as it is until it is known to have arrived. */
export type TallyReport = {
  /** Names the isolate; random. */
  readonly isolate: string
  /** Rises by one with each of the isolate's reports, and is the same when one is sent again. */
  readonly sequence: number
  /** By the minute's start, in milliseconds since 1970, and by flag. */
  readonly minutes: ReadonlyMap<number, ReadonlyMap<string, readonly Count[]>>
  /** Whether there were evaluations that could not be counted. */
  readonly uncounted: boolean
  /** null where the environment keeps none, and none that were kept before either. */
  readonly contexts: readonly KeptContext[] | null
}

/** The spans of time that usage is counted over; days are UTC's. */
export type UsageStep = 'hour' | 'day'

/** What usage is asked for. Both instants are at the start of a step; `to` is not included. */
export type UsageQuery = {
  readonly from: number
  readonly to: number
  readonly step: UsageStep
  /** One flag alone. */
  readonly flag?: string
}

/** What one shard has counted in one hour or day. */
export type UsageSpan = {
  readonly start: number
  readonly flags: ReadonlyMap<string, readonly Count[]>
}

/** What one shard knows of an environment's flags. */
export type ShardActivity = Omit<EnvironmentActivity, 'partial'>

/** The shard as others call it. */
export type Shard = {
  /** Takes an isolate's report, once however often it is sent. */
  tally(report: TallyReport): Promise<void>
  /** The spans of a range that have counts, in order. */
  usage(query: UsageQuery): Promise<readonly UsageSpan[]>
  activity(): Promise<ShardActivity>
  /** The contexts of the last day that are kept, oldest first. */
  contexts(): Promise<readonly KeptContext[]>
}

/** The name of one of an environment's shards. */
export function shardName(environment: string, index: number): string {
  return `${environment}:${index}`
}

/** One of an environment's shards. */
export function shardOf(bindings: Bindings, environment: string, index: number): Shard {
  // The namespace is typed without its class, because bindings stand below telemetry.
  return bindings.EVENTS.getByName(shardName(environment, index)) as unknown as Shard
}

/** All shards of an environment. */
export function shardsOf(bindings: Bindings, environment: string): readonly Shard[] {
  return Array.from({ length: SHARD_COUNT }, (_, index) => shardOf(bindings, environment, index))
}
