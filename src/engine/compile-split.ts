import { createBucketer, toRangeEnds } from './bucket.ts'
import { createAttributeReader, type EvaluationContext, toUnit } from './context.ts'
import { DEFAULT_UNIT, type Split } from './flag.ts'
import { createForeignSplit } from './foreign-bucketing.ts'
import type { Recorder } from './trace.ts'

/** Where a split puts the subject of an evaluation: an index into its weights, or why there is none. */
export const NO_UNIT = -1
export const NOT_SERVED = -2

export type Assign = (context: EvaluationContext) => number

/** Reads the unit that is bucketed by an attribute; undefined when the context has none. */
export function createUnitReader(by: string): (context: EvaluationContext) => string | undefined {
  if (by === DEFAULT_UNIT) return readTargetingKey
  const read = createAttributeReader(by)
  return (context) => toUnit(read(context))
}

function readTargetingKey(context: EvaluationContext): string | undefined {
  return toUnit(context.targetingKey)
}

/** Makes the function that tells which of the split's weights a context falls under. */
export function compileSplit(split: Split, recorder: Recorder | null): Assign {
  const { by, seed, bucketing } = split
  const weights = split.weights.map(({ weight }) => weight)
  if (bucketing) return assignForeign(by, createForeignSplit(weights, bucketing), recorder)
  return assignByBucket(by, createUnitReader(by), createBucketer(seed), toRangeEnds(weights), recorder)
}

function assignByBucket(
  by: string,
  readUnit: (context: EvaluationContext) => string | undefined,
  bucketOf: (unit: string) => number,
  ends: readonly number[],
  recorder: Recorder | null,
): Assign {
  return (context) => {
    const unit = readUnit(context)
    if (unit === undefined) {
      recorder?.addBucket(by, undefined, undefined)
      return NO_UNIT
    }
    const bucket = bucketOf(unit)
    recorder?.addBucket(by, unit, bucket)
    let index = 0
    while (bucket >= (ends[index] ?? Number.POSITIVE_INFINITY)) index++
    return index
  }
}

function assignForeign(
  by: string,
  assign: (unit: string | number | undefined) => number,
  recorder: Recorder | null,
): Assign {
  const read = createAttributeReader(by)
  return (context) => {
    const value = read(context)
    const unit = typeof value === 'string' || typeof value === 'number' ? value : undefined
    recorder?.addBucket(by, toUnit(value), undefined)
    // Some systems bucket a missing unit too, so whether it is served is the scheme's to say.
    const index = assign(unit)
    if (index >= 0) return index
    return unit === undefined ? NO_UNIT : NOT_SERVED
  }
}
