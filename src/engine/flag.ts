// What a flag is once it has been parsed. Every array and text is within its limits, every variant that is
// named exists, every operand has the type that its operator needs.
import type { Bucketing } from './foreign-bucketing.ts'
import type { Json } from './json.ts'

export type FlagType = 'boolean' | 'string' | 'number' | 'object'

export type Variant = { readonly name: string; readonly value: Json }

/** Flat, as OpenFeature's flag metadata is. */
export type FlagMetadata = { readonly [key: string]: string | number | boolean }

/** What a flag is in every environment. */
export type FlagDefinition = {
  readonly key: string
  readonly type: FlagType
  readonly variants: readonly Variant[]
  readonly metadata: FlagMetadata
  /** Whether a client key may see it. */
  readonly clientVisible: boolean
}

export type Operator =
  | 'equals'
  | 'in'
  | 'contains'
  | 'starts-with'
  | 'ends-with'
  | 'matches'
  | 'exists'
  | 'less'
  | 'less-or-equal'
  | 'greater'
  | 'greater-or-equal'
  | 'between'
  | 'semver'
  | 'before'
  | 'after'
  | 'cidr'
  | 'contains-any'
  | 'contains-all'

export type AttributeCondition = {
  /** A path into the evaluation context: `company.plan`. */
  readonly attribute: string
  readonly op: Operator
  readonly values: readonly Json[]
}

export type Condition =
  | { readonly all: readonly Condition[] }
  | { readonly any: readonly Condition[] }
  | { readonly not: Condition }
  | { readonly segment: string }
  | AttributeCondition

export type Split = {
  readonly weights: readonly { readonly variant: string; readonly weight: number }[]
  /** The attribute that is bucketed; `targetingKey` unless said. */
  readonly by: string
  readonly seed: string
  /** Another system's way of assigning units, for flags that were imported from it. */
  readonly bucketing?: Bucketing
}

export type Serve = { readonly variant: string } | { readonly split: Split }

export type Prerequisite = { readonly flag: string; readonly variants: readonly string[] }

export type Target = { readonly variant: string; readonly units: readonly string[] }

export type Rule = {
  readonly id: string
  readonly description?: string
  readonly when: Condition
  readonly serve: Serve
}

/** Part of the audience of a rollout. */
export type Grant = {
  /** null: everyone. */
  readonly audience: Condition | null
  /** 0 to 100, in steps of 0.001. */
  readonly percentage: number
}

/** A rollout as the edge sees it: who gets `variant` before the fallthrough is asked. */
export type RolloutGrants = {
  readonly id: string
  readonly variant: string
  readonly seed: string
  readonly by: string
  readonly stage: number
  readonly grants: readonly Grant[]
  /** Whether percentages count from the top of the buckets down, as the last range of a split did; left out: no. */
  readonly reversed?: boolean
  /** Whether units that the rollout decides carry a tag, so that what happens to them is counted by arm. */
  readonly measured: boolean
}

/** What a flag is in one environment. */
export type FlagConfiguration = {
  readonly enabled: boolean
  /** null: no value, so the caller's own default applies. */
  readonly offVariant: string | null
  readonly prerequisites: readonly Prerequisite[]
  readonly targets: readonly Target[]
  readonly rules: readonly Rule[]
  readonly fallthrough: Serve
}

/** All that the engine needs to answer one flag in one environment. */
export type Flag = FlagDefinition & FlagConfiguration & { readonly rollout: RolloutGrants | null }

/** A named audience; `included` and `excluded` are targeting keys and go before the condition, in that order. */
export type Segment = {
  readonly key: string
  readonly condition: Condition | null
  readonly included: readonly string[]
  readonly excluded: readonly string[]
}

/** The attribute that is bucketed where nothing else is said. */
export const DEFAULT_UNIT = 'targetingKey'
