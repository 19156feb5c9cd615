// Flags that were imported keep every unit in the variant it has today: a split can name the scheme by which its
// first system assigns units. Each scheme is repeated to the bit, its rounding and its edges included. A change
// there moves users, so golden vectors from those systems' own evaluators hold it. Pure: no clock, no chance.
import { createFlagdSplit, type FlagdBucketing, parseFlagd } from './foreign-flagd.ts'
import {
  createGrowthBookRolloutSplit,
  createGrowthBookSplit,
  type GrowthBookBucketing,
  type GrowthBookRolloutBucketing,
  parseGrowthBook,
  parseGrowthBookRollout,
} from './foreign-growthbook.ts'
import {
  createLaunchDarklySplit,
  type LaunchDarklyBucketing,
  parseLaunchDarkly,
} from './foreign-launchdarkly.ts'
import type { AssignUnit } from './foreign-ranges.ts'
import {
  createUnleashRolloutSplit,
  createUnleashSplit,
  parseUnleash,
  parseUnleashRollout,
  type UnleashBucketing,
  type UnleashRolloutBucketing,
} from './foreign-unleash.ts'
import { isJsonObject } from './json.ts'

/** Another system's way of assigning a unit to a variant, for splits that were imported from it. */
export type Bucketing =
  | LaunchDarklyBucketing
  | UnleashBucketing
  | UnleashRolloutBucketing
  | GrowthBookBucketing
  | GrowthBookRolloutBucketing
  | FlagdBucketing

/** Makes the function that assigns a unit: the index into `weights`, or -1 when the scheme serves it nothing. */
export function createForeignSplit(weights: readonly number[], bucketing: Bucketing): AssignUnit {
  switch (bucketing.scheme) {
    case 'launchdarkly':
      return createLaunchDarklySplit(weights, bucketing)
    case 'unleash':
      return createUnleashSplit(weights, bucketing)
    case 'unleash-rollout':
      return createUnleashRolloutSplit(weights, bucketing)
    case 'growthbook':
      return createGrowthBookSplit(weights, bucketing)
    case 'growthbook-rollout':
      return createGrowthBookRolloutSplit(weights, bucketing)
    case 'flagd':
      return createFlagdSplit(weights, bucketing)
  }
}

/** Checks unknown JSON: the bucketing, or undefined when its scheme is unknown or a field is missing or wrong. */
export function parseBucketing(value: unknown): Bucketing | undefined {
  if (!isJsonObject(value)) return undefined
  switch (value.scheme) {
    case 'launchdarkly':
      return parseLaunchDarkly(value)
    case 'unleash':
      return parseUnleash(value)
    case 'unleash-rollout':
      return parseUnleashRollout(value)
    case 'growthbook':
      return parseGrowthBook(value)
    case 'growthbook-rollout':
      return parseGrowthBookRollout(value)
    case 'flagd':
      return parseFlagd(value)
    default:
      return undefined
  }
}
