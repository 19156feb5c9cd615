import type { EvaluationContext } from './context.ts'
import { type Evaluation, fail } from './evaluation.ts'
import type { CompiledFlag, Snapshot } from './snapshot.ts'
import { type Explanation, Recorder } from './trace.ts'

/** Which flags an evaluation may see: all of them, or those that are marked visible to clients. */
export type Visibility = 'all' | 'client'

/** An evaluation that threw is a defect of ours; it must not take the other flags along. */
function answer(flag: CompiledFlag, context: EvaluationContext, now: number): Evaluation {
  try {
    return flag.evaluate(context, now)
  } catch (error) {
    return fail(flag.key, 'GENERAL', error instanceof Error ? error.message : 'the evaluation failed')
  }
}

/**
 * Decides one flag for one context. Total: an unknown flag, and one that `visible` hides, is FLAG_NOT_FOUND.
 * @param now milliseconds since 1970, for conditions on time
 */
export function evaluate(
  snapshot: Snapshot,
  key: string,
  context: EvaluationContext,
  now: number,
  visible: Visibility = 'all',
): Evaluation {
  const flag = snapshot.flag(key)
  if (!flag || (visible === 'client' && !flag.clientVisible)) {
    return fail(key, 'FLAG_NOT_FOUND', 'there is no flag of that key')
  }
  return answer(flag, context, now)
}

/** Decides every visible flag for one context, in the order of their keys. */
export function evaluateAll(
  snapshot: Snapshot,
  context: EvaluationContext,
  now: number,
  visible: Visibility = 'all',
): Evaluation[] {
  const evaluations: Evaluation[] = []
  for (const flag of snapshot.all()) {
    if (visible === 'all' || flag.clientVisible) evaluations.push(answer(flag, context, now))
  }
  return evaluations
}

/** Decides one flag and tells every step and condition on the way: the same code, run with a recorder. */
export function explain(
  snapshot: Snapshot,
  key: string,
  context: EvaluationContext,
  now: number,
): Explanation {
  const recorder = new Recorder()
  const flag = snapshot.recordedFlag(key, recorder)
  if (!flag) return { evaluation: evaluate(snapshot, key, context, now), steps: [] }
  const { result, steps } = recorder.stepsOf(() => answer(flag, context, now))
  return { evaluation: result, steps }
}
