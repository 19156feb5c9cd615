// LaunchDarkly's percentage rollouts and experiments, as in `Bucketer` of js-server-sdk-common and in
// evaluator_bucketing.go of go-server-sdk-evaluation.
import { sha1 } from './foreign-hashes.ts'
import { type AssignUnit, firstAbove, NOTHING } from './foreign-ranges.ts'
import type { JsonObject } from './json.ts'
import { toUtf8 } from './utf8.ts'

/** A rollout of LaunchDarkly; its weights are out of 100,000. */
export type LaunchDarklyBucketing = {
  readonly scheme: 'launchdarkly'
  /** The rollout's seed as decimal text, else `${flagKey}.${salt}`. Their Node SDK takes a seed of 0 for none. */
  readonly prefix: string
  /** What the SDK in use calculates in: float32 in Go, .NET and older Java; float64, unless said, elsewhere. */
  readonly precision?: 'float64' | 'float32'
}

const WEIGHT_OF_ALL = 100_000

// Their divisor is fifteen hexadecimal `f`, which both float types round to this.
const HASH_SCALE = 2 ** 60

/**
 * `first 15 hex digits of sha1(prefix + "." + unit) / 0xFFFFFFFFFFFFFFF < sum(weight / 100000)`. A unit that is
 * missing or no integer has the bucket 0; a bucket past the end has the last variation.
 */
export function createLaunchDarklySplit(
  weights: readonly number[],
  { prefix, precision }: LaunchDarklyBucketing,
): AssignUnit {
  const round = precision === 'float32' ? Math.fround : (value: number) => value
  const prefixBytes = toUtf8(`${prefix}.`)
  let sum = 0
  const ends = weights.map((weight) => {
    sum = round(sum + round(weight / WEIGHT_OF_ALL))
    return sum
  })
  return (unit) => {
    let bucket = 0
    if (typeof unit === 'string' || Number.isInteger(unit)) {
      const [first, second] = sha1([...prefixBytes, ...toUtf8(String(unit))])
      bucket = round((first * 2 ** 28 + (second >>> 4)) / HASH_SCALE)
    }
    const index = firstAbove(ends, bucket)
    return index === NOTHING ? weights.length - 1 : index
  }
}

/** The bucketing that a JSON object with this scheme says, if it says one. */
export function parseLaunchDarkly({ prefix, precision }: JsonObject): LaunchDarklyBucketing | undefined {
  if (typeof prefix !== 'string') return undefined
  if (precision === undefined) return { scheme: 'launchdarkly', prefix }
  if (precision !== 'float64' && precision !== 'float32') return undefined
  return { scheme: 'launchdarkly', prefix, precision }
}
