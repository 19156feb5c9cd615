// What can be done to the configuration, as data: so that it can be tried, wait for a second person or for its time,
// and then be done by the same code as at once.
import type { FlagMetadata, FlagType, Variant } from '../engine/flag.ts'
import type { Json, JsonObject } from '../engine/json.ts'
import type { Metric } from './measurement.ts'

/** An environment as people change it. */
export type EnvironmentDraft = {
  readonly name: string
  /** How long an isolate may go without asking for news, in seconds. */
  readonly refreshSeconds: number
  /** Whether changes of it need a second person. */
  readonly protected: boolean
  /** Whether some contexts of the last day are kept, to try drafts on. */
  readonly keepContexts: boolean
  /** Public keys (JWK); where there are any, a client key's context must be signed by one of them. */
  readonly contextKeys: readonly JsonObject[]
  /** Over how many shards events are spread, 1 to 16. */
  readonly shards: number
}

/** What people keep beside a flag's definition. */
export type FlagNotes = {
  readonly description: string
  readonly tags: readonly string[]
  readonly owner: string
  readonly temporary: boolean
}

/** A flag's definition and notes as people change them; checked when it is planned. */
export type FlagDraft = FlagNotes & {
  readonly type: FlagType
  readonly variants: readonly { readonly name: string; readonly value: Json }[] | readonly Variant[]
  readonly metadata: FlagMetadata
  readonly clientVisible: boolean
}

/** A segment as people change it; checked when it is planned. */
export type SegmentDraft = {
  readonly description: string
  readonly condition: Json
  readonly included: readonly string[]
  readonly excluded: readonly string[]
}

/** What people keep beside a metric. */
export type MetricNotes = Pick<FlagNotes, 'description' | 'tags' | 'owner'>

/** A metric as people change it; checked when it is planned. */
export type MetricDraft = MetricNotes &
  Omit<Metric, 'key' | 'goodDirection'> & {
    /** null: as its kind has it. */
    readonly goodDirection: Metric['goodDirection'] | null
  }

/** `revision` is what the change was made from; 0 for what is new. */
export type Operation =
  | {
      readonly kind: 'environment.save'
      readonly environment: string
      readonly draft: EnvironmentDraft
      /** For a new one: where its flags' configurations and its segments come from. */
      readonly copyFrom?: string | undefined
      readonly revision: number
    }
  | { readonly kind: 'environment.delete'; readonly environment: string; readonly revision: number }
  | {
      readonly kind: 'flag.save'
      readonly flag: string
      readonly draft: FlagDraft
      readonly revision: number
    }
  | { readonly kind: 'flag.delete'; readonly flag: string; readonly revision: number }
  | { readonly kind: 'flag.archive'; readonly flag: string; readonly revision: number }
  | { readonly kind: 'flag.unarchive'; readonly flag: string; readonly revision: number }
  | {
      readonly kind: 'configuration.save'
      readonly flag: string
      readonly environment: string
      readonly draft: JsonObject
      readonly revision: number
      /** Whether units that have a variant may get another. */
      readonly allowMoves?: boolean | undefined
      /** Switches the flag off and changes nothing else: never waits for a second person. */
      readonly emergency?: boolean | undefined
    }
  | {
      readonly kind: 'segment.save'
      readonly environment: string
      readonly segment: string
      readonly draft: SegmentDraft
      readonly revision: number
    }
  | {
      readonly kind: 'segment.delete'
      readonly environment: string
      readonly segment: string
      readonly revision: number
    }
  | {
      readonly kind: 'metric.save'
      readonly metric: string
      readonly draft: MetricDraft
      readonly revision: number
    }
  | { readonly kind: 'metric.delete'; readonly metric: string; readonly revision: number }
