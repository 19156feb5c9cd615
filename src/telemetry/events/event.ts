// What an event is once it has been checked and attributed: what shards are sent.

/** Who an event is about, as shards know it: 16 bytes of a keyed hash, as a text of 16 characters up to U+00FF. */
export type UnitId = string

/** Where a unit stands in a measurement. */
export type Tag = {
  /** The measurement. */
  readonly id: string
  readonly stage: number
  /** Which grants' audiences match the unit, in base 36. */
  readonly stratum: string
  /** `t` or `c` in a rollout; a variant's own code in an experiment. */
  readonly arm: string
}

export type EventKind = 'exposure' | 'track' | 'measure'

/** An event as one shard is to count it. An event about units of several kinds is one such event for each. */
export type ShardEvent = {
  readonly kind: EventKind
  /** What was tracked or measured; empty for an exposure. */
  readonly name: string
  /** Empty where the event names none. */
  readonly flag: string
  readonly variant: string
  /** See `unitKindOf`; empty for an event about nobody. */
  readonly unitKind: string
  /** null for an event about nobody. */
  readonly unit: UnitId | null
  /** The tag, if it can be believed. */
  readonly tag: Tag | null
  /** Whether guards and experiments may count it: it came with a server key or under a valid signature. */
  readonly trusted: boolean
  /** Whether Rampart noticed it itself, which says nothing of whether the application is alive. */
  readonly automatic: boolean
  /** Whether this is the one that series and names count, of those that one event was made into. */
  readonly primary: boolean
  /** Whether the shard is the unit's home in the environment's present layout: where its days are kept. */
  readonly home: boolean
  /** NaN where the event has none. */
  readonly value: number
  /** When it happened, in milliseconds since 1970. */
  readonly at: number
  /** Of an exposure: the values of the measurement's slices, in their order; null where there are none. */
  readonly slices: readonly (string | null)[] | null
}
