// Which promise holds for a rollout now, in words. Pure.
import { largestPercentage } from './grants.ts'
import type { Plan } from './plan.ts'
import type { Progress } from './progress.ts'

/**
 * `compares`: treatment is held against control; `limits`: everyone has it, so that only limits can take it back;
 * `unguarded`: nothing watches; `waiting`: nothing is given to anybody; `ended`: nothing is watched any more.
 */
export type PromiseCode = 'waiting' | 'compares' | 'limits' | 'unguarded' | 'ended'

/** What somebody who relies on a rollout may rely on now. */
export type Promised = { readonly code: PromiseCode; readonly words: string }

const WATCHED: readonly Progress['state'][] = ['running', 'paused', 'rolling_back', 'watching']

/** Tells which promise holds. */
export function promiseOf(plan: Plan, progress: Progress): Promised {
  const { alpha, guardrails } = plan
  if (['rolled_back', 'done', 'cancelled'].includes(progress.state)) {
    return { code: 'ended', words: 'It has ended: nothing is watched.' }
  }
  if (progress.stage < 0 || !WATCHED.includes(progress.state)) {
    return { code: 'waiting', words: 'Nobody is given anything yet.' }
  }
  const acting = guardrails.filter(({ action }) => action === 'rollback')
  if (acting.length === 0) {
    return { code: 'unguarded', words: 'No guardrail takes it back: somebody has to look.' }
  }
  if (largestPercentage(plan, progress) < 100) {
    const often = Math.round(1 / alpha)
    const words = `Treatment is held against control; a false alarm at most once in ${often} such rollouts, however long it runs.`
    return { code: 'compares', words }
  }
  const limits = acting.filter(({ test }) => test.kind === 'threshold').length
  if (limits === 0) {
    return {
      code: 'unguarded',
      words: 'Somewhere everyone has it, so that there is no control, and no limit is set.',
    }
  }
  return {
    code: 'limits',
    words: 'Where everyone has it there is no control to compare with: only limits can take it back.',
  }
}
