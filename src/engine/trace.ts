// What an explanation is made of. The evaluator reports its steps to a recorder if it was compiled with one; it
// takes no decision by it.
import type { Evaluation } from './evaluation.ts'
import type { AttributeCondition } from './flag.ts'

/** One condition as it was met: whether it held, and against which value. */
export type ConditionTrace =
  | (AttributeCondition & { readonly matched: boolean; readonly actual: unknown })
  | {
      readonly kind: 'all' | 'any' | 'not' | 'segment'
      readonly segment?: string
      readonly matched: boolean
      readonly conditions: readonly ConditionTrace[]
    }

/** Where a unit fell: the attribute that was bucketed, its unit if the context has one, and the bucket. */
export type BucketTrace = {
  readonly by: string
  readonly unit: string | null
  readonly bucket: number | null
}

/** One step of an evaluation, in the order in which they were taken. */
export type Step =
  | { readonly step: 'enabled'; readonly matched: boolean }
  | {
      readonly step: 'prerequisite'
      readonly flag: string
      readonly variant: string | null
      readonly matched: boolean
      readonly steps: readonly Step[]
    }
  | { readonly step: 'target'; readonly unit: string | null; readonly matched: boolean }
  | {
      readonly step: 'rule'
      readonly id: string
      readonly matched: boolean
      readonly condition: ConditionTrace
      readonly split?: BucketTrace
    }
  | {
      readonly step: 'rollout'
      readonly id: string
      readonly stage: number
      readonly matched: boolean
      readonly grants: readonly {
        readonly percentage: number
        readonly matched: boolean
        readonly condition: ConditionTrace | null
      }[]
      readonly split: BucketTrace
    }
  | { readonly step: 'fallthrough'; readonly split?: BucketTrace }

/** An evaluation with all the steps that led to it. */
export type Explanation = { readonly evaluation: Evaluation; readonly steps: readonly Step[] }

/** Collects steps and conditions while an evaluation runs. */
export class Recorder {
  private steps: Step[] = []
  private conditions: ConditionTrace[] = []
  private split: BucketTrace | undefined

  addStep(step: Step): void {
    this.steps.push(step)
  }

  addCondition(trace: ConditionTrace): void {
    this.conditions.push(trace)
  }

  addBucket(by: string, unit: string | undefined, bucket: number | undefined): void {
    this.split = { by, unit: unit ?? null, bucket: bucket ?? null }
  }

  /** The bucket reported since the last call. */
  takeBucket(): BucketTrace | undefined {
    const split = this.split
    this.split = undefined
    return split
  }

  /** Runs `match` and answers the conditions that were reported meanwhile, apart from all others. */
  conditionsOf(match: () => boolean): {
    readonly matched: boolean
    readonly conditions: readonly ConditionTrace[]
  } {
    const outer = this.conditions
    this.conditions = []
    const matched = match()
    const conditions = this.conditions
    this.conditions = outer
    return { matched, conditions }
  }

  /** Runs `evaluate` and answers the steps that were reported meanwhile, apart from all others. */
  stepsOf<T>(evaluate: () => T): { readonly result: T; readonly steps: readonly Step[] } {
    const outer = this.steps
    this.steps = []
    const result = evaluate()
    const steps = this.steps
    this.steps = outer
    return { result, steps }
  }
}
