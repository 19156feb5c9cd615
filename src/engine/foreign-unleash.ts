// Unleash's gradual rollouts and variants, as in `strategy/util` and `variant` of unleash-client.
import { murmur3, murmur3OfBytes } from './bucket.ts'
import { toLowBytes } from './foreign-hashes.ts'
import {
  type AssignUnit,
  firstAtLeast,
  NOTHING,
  sumOf,
  toInclusiveEnds,
  type Unit,
} from './foreign-ranges.ts'
import { isJsonObject, type JsonObject } from './json.ts'

/** What the SDK in use hashes: the UTF-8 bytes of a text, or, as in Node, the low byte of each UTF-16 unit. */
export type UnleashEncoding = 'utf8' | 'low-byte'

/** The gradual rollout that a unit has to be in before it gets a variant. */
export type UnleashRollout = {
  /** The strategy's `groupId`, else the feature's name. */
  readonly groupId: string
  /** 0 to 100. */
  readonly percentage: number
}

/** The variants of a feature or a strategy; their weights may have any sum. */
export type UnleashBucketing = {
  readonly scheme: 'unleash'
  /** The strategy's `groupId` for a strategy's variants, the feature's name for a feature's. */
  readonly groupId: string
  readonly encoding: UnleashEncoding
  /** Absent: every unit gets a variant. */
  readonly rollout?: UnleashRollout
}

/** A gradual rollout without variants; its weights are percentages: `[30]`, or `[30, 70]` to serve the others too. */
export type UnleashRolloutBucketing = {
  readonly scheme: 'unleash-rollout'
  /** The strategy's `groupId`, else the feature's name. */
  readonly groupId: string
  readonly encoding: UnleashEncoding
}

const ROLLOUT_SEED = 0
const VARIANT_SEED = 86_028_157
const PERCENT = 100

function isUnit(unit: Unit): unit is string | number {
  return unit !== undefined && unit !== ''
}

function createPosition(
  { groupId, encoding }: UnleashBucketing | UnleashRolloutBucketing,
  seed: number,
  count: number,
): (unit: string | number) => number {
  const hash =
    encoding === 'utf8'
      ? (text: string) => murmur3(text, seed)
      : (text: string) => murmur3OfBytes(toLowBytes(text), seed)
  return (unit) => (hash(`${groupId}:${unit}`) % count) + 1
}

/**
 * `murmur3(groupId + ":" + unit, 0) % 100 + 1 <= sum(percentages)`, percentages of 0 left out. A missing unit
 * gets nothing, as with a stickiness that names an attribute; with the default one Unleash draws lots.
 */
export function createUnleashRolloutSplit(
  percentages: readonly number[],
  bucketing: UnleashRolloutBucketing,
): AssignUnit {
  const positionOf = createPosition(bucketing, ROLLOUT_SEED, PERCENT)
  const ends = toInclusiveEnds(percentages, 1)
  return (unit) => (isUnit(unit) ? firstAtLeast(ends, positionOf(unit)) : NOTHING)
}

/**
 * `murmur3(groupId + ":" + unit, 86028157) % total + 1 <= sum(weights)`, weights of 0 left out, for the units
 * that are in the rollout. A missing unit gets nothing, where Unleash draws lots.
 */
export function createUnleashSplit(weights: readonly number[], bucketing: UnleashBucketing): AssignUnit {
  const positionOf = createPosition(bucketing, VARIANT_SEED, sumOf(weights))
  const ends = toInclusiveEnds(weights, 1)
  const choose: AssignUnit = (unit) => (isUnit(unit) ? firstAtLeast(ends, positionOf(unit)) : NOTHING)
  const { rollout, encoding } = bucketing
  if (!rollout) return choose
  const { groupId, percentage } = rollout
  const admit = createUnleashRolloutSplit([percentage], { scheme: 'unleash-rollout', groupId, encoding })
  return (unit) => (admit(unit) === NOTHING ? NOTHING : choose(unit))
}

function isEncoding(value: unknown): value is UnleashEncoding {
  return value === 'utf8' || value === 'low-byte'
}

function parseRollout(value: unknown): UnleashRollout | undefined {
  if (!isJsonObject(value)) return undefined
  const { groupId, percentage } = value
  if (typeof groupId !== 'string' || typeof percentage !== 'number') return undefined
  return percentage >= 0 && percentage <= PERCENT ? { groupId, percentage } : undefined
}

/** The bucketing that a JSON object with this scheme says, if it says one. */
export function parseUnleash(value: JsonObject): UnleashBucketing | undefined {
  const { groupId, encoding } = value
  if (typeof groupId !== 'string' || !isEncoding(encoding)) return undefined
  if (value.rollout === undefined) return { scheme: 'unleash', groupId, encoding }
  const rollout = parseRollout(value.rollout)
  return rollout && { scheme: 'unleash', groupId, encoding, rollout }
}

/** The bucketing that a JSON object with this scheme says, if it says one. */
export function parseUnleashRollout({ groupId, encoding }: JsonObject): UnleashRolloutBucketing | undefined {
  if (typeof groupId !== 'string' || !isEncoding(encoding)) return undefined
  return { scheme: 'unleash-rollout', groupId, encoding }
}
