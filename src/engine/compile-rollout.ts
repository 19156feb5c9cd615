import { BUCKET_COUNT, createBucketer, toBuckets } from './bucket.ts'
import { compileCondition, type SegmentSource, traceMatch } from './compile-condition.ts'
import { createUnitReader } from './compile-split.ts'
import type { EvaluationContext } from './context.ts'
import type { Assignment } from './evaluation.ts'
import type { RolloutGrants } from './flag.ts'
import type { Matcher } from './operators.ts'
import type { Recorder } from './trace.ts'

/** Where a unit stands in a rollout: its arm, and by what its events are counted. */
export type Placement = { readonly treated: boolean; readonly assignment: Assignment | undefined }
/** Tells where the subject of an evaluation stands; undefined when the rollout has nothing to do with it. */
export type Place = (context: EvaluationContext, now: number) => Placement | undefined

type CompiledGrant = {
  readonly matches: Matcher | null
  readonly buckets: number
  readonly percentage: number
  /** Its place in a stratum, which is a set of grants: at most 50 of them, so that it stays exact in a number. */
  readonly bit: number
}

type CompiledRollout = {
  readonly reversed: boolean
  readonly id: string
  readonly stage: number
  readonly by: string
  readonly measured: boolean
  readonly readUnit: (context: EvaluationContext) => string | undefined
  readonly bucketOf: (unit: string) => number
  readonly grants: readonly CompiledGrant[]
}

function compileGrants(rollout: RolloutGrants, source: SegmentSource): CompiledGrant[] {
  return rollout.grants.map(({ audience, percentage }, index) => ({
    matches: audience ? compileCondition(audience, source) : null,
    buckets: toBuckets(percentage),
    percentage,
    bit: 2 ** index,
  }))
}

/** Makes the function that places units in a rollout. */
export function compileRollout(rollout: RolloutGrants, source: SegmentSource): Place {
  const { id, stage, by, seed, measured, reversed = false } = rollout
  const grants = compileGrants(rollout, source)
  const readUnit = createUnitReader(by)
  const compiled = { id, stage, by, measured, reversed, readUnit, bucketOf: createBucketer(seed), grants }
  return compilePlace(compiled, source.recorder)
}

function compilePlace(rollout: CompiledRollout, recorder: Recorder | null): Place {
  const { id, stage, by, measured, reversed, readUnit, bucketOf, grants } = rollout
  return (context, now) => {
    let stratum = 0
    let share = 0
    const traces = []
    for (const { matches, buckets, bit, percentage } of grants) {
      const trace = matches && recorder ? traceMatch(matches, recorder, context, now) : null
      const matched = trace ? trace.matched : !matches || matches(context, now)
      if (recorder) traces.push({ percentage, matched, condition: trace?.condition ?? null })
      if (!matched) continue
      stratum += bit
      if (buckets > share) share = buckets
    }
    const unit = readUnit(context)
    const bucket = unit === undefined ? undefined : bucketOf(unit)
    const treated = bucket !== undefined && (reversed ? bucket >= BUCKET_COUNT - share : bucket < share)
    recorder?.addStep({
      step: 'rollout',
      id,
      stage,
      matched: treated,
      grants: traces,
      split: { by, unit: unit ?? null, bucket: bucket ?? null },
    })
    if (stratum === 0 || unit === undefined) return undefined
    if (!measured) return treated ? { treated, assignment: undefined } : undefined
    const tag = `${id}.${stage}.${stratum.toString(36)}.${treated ? 't' : 'c'}`
    return { treated, assignment: { tag, by, unit } }
  }
}
