// GrowthBook's experiments and force rules with a coverage, as in `util` and `core` of its JavaScript SDK.
import { fnv1a } from './foreign-hashes.ts'
import { type AssignUnit, firstAtLeast, NOTHING, sumOf, toInclusiveEnds } from './foreign-ranges.ts'
import { isJsonObject, type JsonObject } from './json.ts'

/** Version 1 is the default of experiments and force rules, version 2 that of filters. */
export type GrowthBookHashVersion = 1 | 2

/** A part of a hash, 0 to 1: its start, inclusive, and its end, exclusive. */
export type GrowthBookRange = readonly [start: number, end: number]

/** A unit passes when its hash is in a range. A namespace is the seed `__${id}`, version 1 and one range. */
export type GrowthBookFilter = {
  readonly seed: string
  readonly hashVersion: GrowthBookHashVersion
  readonly ranges: readonly GrowthBookRange[]
}

/** An experiment. */
export type GrowthBookBucketing = {
  readonly scheme: 'growthbook'
  /** The experiment's `seed`, else its key, which is the feature's key where a rule has none. */
  readonly seed: string
  readonly hashVersion: GrowthBookHashVersion
  /** The part of each variation's range that is served, 0 to 1. */
  readonly coverage: number
  /** The weight that stands for 1, so that weights can be integers; the sum of the weights unless said. */
  readonly whole?: number
  /** What a unit has to pass first: each of them. */
  readonly filters?: readonly GrowthBookFilter[]
}

/** A force rule with a coverage, which is its first weight: `[30]`, or `[30, 70]` to serve the others too. */
export type GrowthBookRolloutBucketing = {
  readonly scheme: 'growthbook-rollout'
  /** The rule's `seed`, else the feature's key. */
  readonly seed: string
  readonly hashVersion: GrowthBookHashVersion
  /** The weight that stands for a coverage of 1. */
  readonly whole: number
}

function createHash(seed: string, version: GrowthBookHashVersion): (unit: string) => number {
  if (version === 1) return (unit) => (fnv1a(unit + seed) % 1_000) / 1_000
  const seeded = fnv1a(seed)
  return (unit) => (fnv1a(String(fnv1a(unit, seeded))) % 10_000) / 10_000
}

// Whoever sums in another order or in integers moves the units at the edges.
function toRanges(weights: readonly number[], bucketing: GrowthBookBucketing): GrowthBookRange[] {
  const whole = bucketing.whole ?? sumOf(weights)
  const asked = weights.map((weight) => weight / whole)
  const total = sumOf(asked)
  const fractions = total >= 0.99 && total <= 1.01 ? asked : weights.map(() => 1 / weights.length)
  const coverage = Math.min(Math.max(bucketing.coverage, 0), 1)
  let cumulative = 0
  return fractions.map((fraction) => {
    const start = cumulative
    cumulative += fraction
    return [start, start + coverage * fraction]
  })
}

function findRange(ranges: readonly GrowthBookRange[], position: number): number {
  return ranges.findIndex(([start, end]) => position >= start && position < end)
}

function createFilter({ seed, hashVersion, ranges }: GrowthBookFilter): (unit: string) => boolean {
  const hash = createHash(seed, hashVersion)
  return (unit) => findRange(ranges, hash(unit)) !== NOTHING
}

/**
 * Version 1: `fnv1a(unit + seed) % 1000 / 1000`; version 2: `fnv1a(String(fnv1a(seed + unit))) % 10000 / 10000`;
 * the variation whose `[sum, sum + coverage * weight)` holds it. Weights that do not sum to about 1 are equal. A
 * unit that is missing, empty or the number 0 gets nothing.
 */
export function createGrowthBookSplit(
  weights: readonly number[],
  bucketing: GrowthBookBucketing,
): AssignUnit {
  const hash = createHash(bucketing.seed, bucketing.hashVersion)
  const ranges = toRanges(weights, bucketing)
  const filters = (bucketing.filters ?? []).map(createFilter)
  return (unit) => {
    if (!unit) return NOTHING
    const text = String(unit)
    return filters.every((passes) => passes(text)) ? findRange(ranges, hash(text)) : NOTHING
  }
}

/** The same hash, `<= sum(weights) / whole`, weights of 0 left out. A unit that is missing, empty or 0 gets nothing. */
export function createGrowthBookRolloutSplit(
  weights: readonly number[],
  { seed, hashVersion, whole }: GrowthBookRolloutBucketing,
): AssignUnit {
  const hash = createHash(seed, hashVersion)
  const ends = toInclusiveEnds(weights, whole)
  return (unit) => (unit ? firstAtLeast(ends, hash(String(unit))) : NOTHING)
}

function isHashVersion(value: unknown): value is GrowthBookHashVersion {
  return value === 1 || value === 2
}

function isWhole(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0
}

function parseRange(value: unknown): GrowthBookRange | undefined {
  if (!Array.isArray(value) || value.length !== 2) return undefined
  const [start, end]: readonly unknown[] = value
  return typeof start === 'number' && typeof end === 'number' ? [start, end] : undefined
}

function parseFilter(value: unknown): GrowthBookFilter | undefined {
  if (!isJsonObject(value)) return undefined
  const { seed, hashVersion } = value
  const ranges = parseEach(value.ranges, parseRange)
  return typeof seed === 'string' && isHashVersion(hashVersion) && ranges
    ? { seed, hashVersion, ranges }
    : undefined
}

function parseEach<T>(values: unknown, parse: (value: unknown) => T | undefined): T[] | undefined {
  if (!Array.isArray(values)) return undefined
  const parsed = values.map(parse).filter((value) => value !== undefined)
  return parsed.length === values.length ? parsed : undefined
}

/** The bucketing that a JSON object with this scheme says, if it says one. */
export function parseGrowthBook(value: JsonObject): GrowthBookBucketing | undefined {
  const { seed, hashVersion, coverage, whole } = value
  if (typeof seed !== 'string' || !isHashVersion(hashVersion)) return undefined
  if (typeof coverage !== 'number' || !Number.isFinite(coverage)) return undefined
  if (whole !== undefined && !isWhole(whole)) return undefined
  const filters = value.filters === undefined ? undefined : parseEach(value.filters, parseFilter)
  if (value.filters !== undefined && !filters) return undefined
  return {
    scheme: 'growthbook',
    seed,
    hashVersion,
    coverage,
    ...(whole !== undefined && { whole }),
    ...(filters && { filters }),
  }
}

/** The bucketing that a JSON object with this scheme says, if it says one. */
export function parseGrowthBookRollout(value: JsonObject): GrowthBookRolloutBucketing | undefined {
  const { seed, hashVersion, whole } = value
  if (typeof seed !== 'string' || !isHashVersion(hashVersion) || !isWhole(whole)) return undefined
  return { scheme: 'growthbook-rollout', seed, hashVersion, whole }
}
