// What isolates and readers say to an environment's event shards. The shard itself is event-shard.ts.
import type { Bindings } from '../bindings.ts'
import { DEFAULT_SHARDS } from '../catalog/layouts.ts'
import type { EnvironmentActivity } from '../catalog/staleness.ts'
import type { Blocks, BlocksQuery } from './counting/blocks.ts'
import type { JourneyPart, JourneyQuery } from './counting/journeys.ts'
import type { SeriesCell, SeriesQuery } from './counting/series.ts'
import type { ArmTotals } from './counting/totals.ts'
import type { SampleQuery } from './counting/unit-samples.ts'
import type { CountingPlan, PlanMark } from './counting-plan.ts'
import type { UnitId } from './events/event.ts'

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

/** Evaluations that an isolate has counted. */
export type Tallied = {
  /** By the minute's start, in milliseconds since 1970, and by flag. */
  readonly minutes: ReadonlyMap<number, ReadonlyMap<string, readonly Count[]>>
  /** Whether there were evaluations that could not be counted. */
  readonly uncounted: boolean
  /** null where the environment keeps none, and none that were kept before either. */
  readonly contexts: readonly KeptContext[] | null
}

/** What one shard is to count of one batch; sent again as it is until it is known to have arrived. */
export type ShardMessage = {
  /** The 16 bytes of the batch's UUIDv7: what has the same one counts once. */
  readonly id: Uint8Array
  /** The plan that the sender knows. */
  readonly plan: PlanMark
  /** See batch-codec.ts; empty where there are none. */
  readonly events: Uint8Array
  readonly tallied: Tallied | null
}

/**
 * What became of a message: it is on disk (now, or since an earlier try); the shard must be told the plan first, with
 * the same message; its id is older than what the shard remembers; the shard has more to do than it can.
 */
export type Taken = 'counted' | 'plan_wanted' | 'expired' | 'overloaded'

/** An event name that was seen. */
export type SeenName = {
  readonly name: string
  readonly count: number
  /** Milliseconds since 1970, by arrival. */
  readonly firstAt: number
  readonly lastAt: number
}

/** What a shard keeps, and what it has cost. */
export type ShardStatus = {
  /** What its database weighs, in bytes. */
  readonly databaseBytes: number
  readonly units: number
  /** Of the commits that are not folded in yet. */
  readonly logRecords: number
  readonly logBytes: number
  /** Batch ids that it remembers, and since when (of their own time, in milliseconds since 1970). */
  readonly batches: number
  readonly batchesSince: number
  /** The version of the plan that it counts by; 0: none yet. */
  readonly planVersion: number
  /** Rows that it has written since it was made, deletes and alarms included. */
  readonly rowsWritten: number
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

/** What a rollout's clock asks a shard for, all at once. */
export type ObservationQuery = {
  readonly blocks: BlocksQuery
  /** Measurements whose totals are wanted too. */
  readonly totals: readonly string[]
  /** What was counted over time that is wanted too. */
  readonly series: readonly SeriesQuery[]
}

/** What one shard answers to it. */
export type ObservedPart = {
  readonly blocks: Blocks
  readonly totals: ReadonlyMap<string, readonly ArmTotals[]>
  /** Of all that was asked for, in its order. */
  readonly series: readonly SeriesCell[]
}

/** The shard as others call it. */
export type Shard = {
  /** Takes a message, once however often it is sent. Answers when it is on disk, or why it never will be. */
  take(message: ShardMessage, plan?: CountingPlan): Promise<Taken>
  /** Guard blocks that have closed, from an instant on. */
  blocks(query: BlocksQuery): Promise<Blocks>
  /** Sums over the units of one measurement, by arm. */
  totals(measurement: string): Promise<readonly ArmTotals[]>
  /** Guard blocks, totals and series in one call. */
  observe(query: ObservationQuery): Promise<ObservedPart>
  /** What was counted over time, in order of time. */
  series(query: SeriesQuery): Promise<readonly SeriesCell[]>
  /** Names of events that were seen in the last 30 days, at most 1,000. */
  names(): Promise<readonly SeenName[]>
  /** A part of the units of a measurement, reduced to what a question about their journeys needs. */
  journey(query: JourneyQuery): Promise<JourneyPart>
  /** Some of the units that an arm had, as hexadecimal digits of their hashes; it looks at 20,000 units at most. */
  sampleUnits(query: SampleQuery): Promise<readonly string[]>
  /** Forgets a unit, and takes what it did out of the sums; true if there was one. */
  erase(unit: UnitId): Promise<boolean>
  status(): Promise<ShardStatus>
  /** Forgets everything: the environment was deleted. */
  clear(): Promise<void>
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

/** The first `count` shards of an environment. */
export function shardsOf(bindings: Bindings, environment: string, count = DEFAULT_SHARDS): readonly Shard[] {
  return Array.from({ length: count }, (_, index) => shardOf(bindings, environment, index))
}
