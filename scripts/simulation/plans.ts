// Plans and how far they have come, with what simulations do not care about filled in.
import type { Metric } from '../../src/catalog/measurement.ts'
import type { Ground } from '../../src/rollouts/evidence/processes.ts'
import { audiencesOf } from '../../src/rollouts/grants.ts'
import type { Plan, Stage } from '../../src/rollouts/plan.ts'
import { newProgress, type Progress } from '../../src/rollouts/progress.ts'

/** When every simulated rollout begins: the start of a block. */
export const START = 1_795_000_000_000

/** @param attribute that says who is in the audience; null: everyone is */
export function makeStage(name: string, attribute: string | null, percentage: number): Stage {
  const audience = attribute === null ? null : { attribute, op: 'equals' as const, values: ['yes'] }
  return { name, audience, percentage, holdMs: 0, minUnits: 0, approval: false, gates: [] }
}

export function makePlan(more: Partial<Plan>): Plan {
  return {
    flag: 'checkout',
    environment: 'production',
    variant: 'on',
    by: 'targetingKey',
    stages: [makeStage('half', null, 50)],
    alpha: 0.01,
    guardrails: [],
    rollback: { steps: [0], holdMs: 0 },
    advanceWhen: 'clock',
    whenTooFew: 'hold',
    exposure: 'use',
    windowMs: 1_800_000,
    watch: [],
    signals: [],
    startAt: null,
    windows: [],
    after: [],
    slices: [],
    takeOver: false,
    ...more,
  }
}

function makeMetric(key: string, kind: Metric['kind'], goodDirection: Metric['goodDirection']): Metric {
  return {
    key,
    event: key,
    kind,
    denominator: null,
    unit: 'user',
    goodDirection,
    cap: null,
    preExposure: false,
  }
}

const METRICS = [
  makeMetric('errors', 'error', 'down'),
  makeMetric('orders', 'conversion', 'up'),
  makeMetric('latency', 'latency', 'down'),
]

/** A rollout that runs, in its first stage and epoch unless it says else. */
export function makeGround(plan: Plan, more: Partial<Progress> = {}): Ground {
  const progress: Progress = {
    ...newProgress(),
    state: 'running',
    stage: 0,
    epoch: 1,
    startedAt: START,
    ...more,
  }
  const metrics = new Map(METRICS.map((metric) => [metric.key, metric]))
  return { plan, audiences: audiencesOf(plan), progress, metrics }
}
