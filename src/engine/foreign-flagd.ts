// The `fractional` operator of flagd, as in core/pkg/evaluator/fractional.go of flagd and, for version 3, in its
// accepted decision record `fractional-non-string-rand-units`. Where other SDKs of flagd differ from the Go code,
// which hashes UTF-8, the Go code is followed.
import { murmur3, murmur3OfBytes } from './bucket.ts'
import { encodeNumber, encodePair, encodeText } from './foreign-cbor.ts'

import { type AssignUnit, firstAbove, NOTHING, sumOf, type Unit } from './foreign-ranges.ts'
import { isJsonObject, type JsonObject } from './json.ts'

/**
 * What is hashed. `shorthand`: no bucketing value was given, so the flag key and the targeting key.
 * `concatenated`: a `cat` of the unit between fixed texts. `value`: the unit by itself.
 */
export type FlagdInput =
  | { readonly kind: 'shorthand'; readonly flagKey: string }
  | { readonly kind: 'concatenated'; readonly prefix: string; readonly suffix: string }
  | { readonly kind: 'value' }

/** A `fractional` of flagd; its weights may have any sum. */
export type FlagdBucketing = {
  readonly scheme: 'flagd'
  /** 1: percentages in floating point, until March 2026. 2: integers, since. 3: as 2, but what is hashed is CBOR. */
  readonly version: 1 | 2 | 3
  readonly input: FlagdInput
}

const INT32_MAX = 2 ** 31 - 1

function createHash({ version, input }: FlagdBucketing): (unit: Unit) => number | undefined {
  const hashText =
    version === 3 ? (text: string) => murmur3OfBytes(encodeText(text)) : (text: string) => murmur3(text)
  switch (input.kind) {
    case 'shorthand': {
      const { flagKey } = input
      const hashKey =
        version === 3
          ? (key: string) => murmur3OfBytes(encodePair(flagKey, key))
          : (key: string) => murmur3(flagKey + key)
      return (unit) => (typeof unit === 'string' && unit !== '' ? hashKey(unit) : undefined)
    }
    case 'concatenated':
      // The `cat` of flagd takes what is missing for the empty text and trims its result.
      return (unit) => hashText(`${input.prefix}${unit ?? ''}${input.suffix}`.trim())
    case 'value':
      return (unit) => {
        if (typeof unit === 'string') return hashText(unit)
        return version === 3 && unit !== undefined ? murmur3OfBytes(encodeNumber(unit)) : undefined
      }
  }
}

/** `abs(int32 hash) / (2^31 - 1) * 100 < sum(100 * weight / total)`, in float64. */
function createPercentageChoice(weights: readonly number[]): (hash: number) => number {
  const total = sumOf(weights)
  let cumulative = 0
  const ends = weights.map((weight) => {
    cumulative += (100 * weight) / total
    return cumulative
  })
  return (hash) => firstAbove(ends, (Math.abs(hash | 0) / INT32_MAX) * 100)
}

/** `hash * total >> 32 < sum(weight)`, said as `hash < ceil(sum(weight) * 2^32 / total)` to need no 64 bits. */
function createIntegerChoice(weights: readonly number[]): (hash: number) => number {
  const total = sumOf(weights)
  if (total < 1 || total > INT32_MAX) return () => NOTHING
  const whole = BigInt(total)
  let cumulative = 0n
  const ends = weights.map((weight) => {
    cumulative += BigInt(weight)
    return Number(((cumulative << 32n) + whole - 1n) / whole)
  })
  return (hash) => firstAbove(ends, hash)
}

/**
 * Version 1 is by percentages, versions 2 and 3 are by integers, of the murmur3 of the input. A targeting key that
 * is missing or no text gets nothing, nor does a value that is missing or, before version 3, no text.
 */
export function createFlagdSplit(weights: readonly number[], bucketing: FlagdBucketing): AssignUnit {
  const hashOf = createHash(bucketing)
  const choose = bucketing.version === 1 ? createPercentageChoice(weights) : createIntegerChoice(weights)
  return (unit) => {
    const hash = hashOf(unit)
    return hash === undefined ? NOTHING : choose(hash)
  }
}

function parseInput(value: unknown): FlagdInput | undefined {
  if (!isJsonObject(value)) return undefined
  const { kind, flagKey, prefix, suffix } = value
  if (kind === 'shorthand' && typeof flagKey === 'string') return { kind, flagKey }
  if (kind === 'concatenated' && typeof prefix === 'string' && typeof suffix === 'string') {
    return { kind, prefix, suffix }
  }
  return kind === 'value' ? { kind } : undefined
}

/** The bucketing that a JSON object with this scheme says, if it says one. */
export function parseFlagd(value: JsonObject): FlagdBucketing | undefined {
  const { version } = value
  const input = parseInput(value.input)
  return input && (version === 1 || version === 2 || version === 3)
    ? { scheme: 'flagd', version, input }
    : undefined
}
