// How a rollout is: what its guards say, what its stages can find, what happens next and why.
import type { Bindings } from '../bindings.ts'
import { decide } from './decide.ts'
import { detectableIn, trafficOf } from './detectable.ts'
import type { FoundRollout } from './found-rollout.ts'
import { audiencesOf } from './grants.ts'
import { loadMetricsOf } from './plan-ground.ts'
import { planWarnings } from './plan-warnings.ts'
import { promiseOf } from './promise.ts'
import { loadLive } from './rollout-store.ts'
import { loadClock, observeNow } from './world.ts'

/** How a rollout is now. */
export async function loadHealth(bindings: Bindings, { rollout }: FoundRollout, now: number) {
  const { id, plan, progress } = rollout
  const [observations, clock, metrics, live] = await Promise.all([
    observeNow(bindings, rollout, now),
    loadClock(bindings, plan.environment),
    loadMetricsOf(bindings.DB, plan),
    loadLive(bindings.DB, plan.environment),
  ])
  const others = live.filter((other) => other.id !== id)
  const { reading } = observations
  const audiences = audiencesOf(plan)
  const { deed, reason } = decide(plan, progress, observations, now)
  return {
    id,
    state: progress.state,
    stage: plan.stages[progress.stage]?.name ?? null,
    promise: promiseOf(plan, progress),
    next: { deed, ...reason },
    readThrough: reading?.through ?? null,
    units: reading?.units ?? null,
    guards: (reading?.guards ?? []).map(({ audience, ...guard }) => ({
      ...guard,
      audience: audience === null ? null : (audiences[audience]?.name ?? ''),
    })),
    sampleRatio: reading?.sampleRatio ?? null,
    life: reading?.life ?? null,
    warnings: planWarnings(plan, others),
    stages: detectableIn(plan, metrics, trafficOf(progress, reading)),
    clock,
  }
}
