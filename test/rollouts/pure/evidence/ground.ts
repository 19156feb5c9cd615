// Plans, grounds and guard blocks to make evidence of.

import type { Metric } from '../../../../src/catalog/measurement.ts'
import { type Evidence, newEvidence } from '../../../../src/rollouts/evidence/evidence.ts'
import type { Ground } from '../../../../src/rollouts/evidence/processes.ts'
import { readEvidence } from '../../../../src/rollouts/evidence/read-evidence.ts'
import { takeBlocks } from '../../../../src/rollouts/evidence/take-blocks.ts'
import { audiencesOf } from '../../../../src/rollouts/grants.ts'
import type { GuardReading } from '../../../../src/rollouts/observations.ts'
import type { Guardrail, GuardTest, Plan, Stage } from '../../../../src/rollouts/plan.ts'
import { newProgress, type Progress } from '../../../../src/rollouts/progress.ts'
import { BLOCK_MS, type BlockMetric, type GuardBlock } from '../../../../src/telemetry/counting/blocks.ts'
import type { ArmTotals } from '../../../../src/telemetry/counting/totals.ts'

export const START = 1_795_000_000_000

export const REGRESSION: GuardTest = { kind: 'regression', tolerance: 0, quantile: null }

export function makeMetric(key: string, kind: Metric['kind'] = 'error', more: Partial<Metric> = {}): Metric {
  const goodDirection = kind === 'conversion' ? 'up' : 'down'
  return {
    key,
    event: key,
    kind,
    denominator: null,
    unit: 'user',
    goodDirection,
    cap: null,
    preExposure: false,
    ...more,
  }
}

export function makeGuard(test: GuardTest = REGRESSION, more: Partial<Guardrail> = {}): Guardrail {
  return { id: 'errors-1', metric: 'errors', test, action: 'rollback', mode: 'immediate', ...more }
}

export function makeStage(more: Partial<Stage> = {}): Stage {
  return {
    name: '10 %',
    audience: null,
    percentage: 10,
    holdMs: 3_600_000,
    minUnits: 0,
    approval: false,
    gates: [],
    ...more,
  }
}

export function makePlan(more: Partial<Plan> = {}): Plan {
  return {
    flag: 'checkout',
    environment: 'production',
    variant: 'on',
    by: 'targetingKey',
    stages: [makeStage()],
    alpha: 0.01,
    guardrails: [makeGuard()],
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

/** A rollout that runs in the first stage, which is its first epoch, since START. */
export function makeGround(
  plan: Plan = makePlan(),
  metrics: readonly Metric[] = [makeMetric('errors')],
  more: Partial<Progress> = {},
): Ground {
  const progress = {
    ...newProgress(),
    stage: 0,
    epoch: 1,
    state: 'running' as const,
    startedAt: START,
    ...more,
  }
  return {
    plan,
    audiences: audiencesOf(plan),
    progress,
    metrics: new Map(metrics.map((metric) => [metric.key, metric])),
  }
}

/** Hits and units of one metric, `errors` unless it says else. */
export function makeCounts(x: number, n: number, more: Partial<BlockMetric> = {}): BlockMetric {
  return { metric: 'errors', x, n, bounds: [], ...more }
}

/** A block of everyone's treatment in the first epoch, with nothing in it unless it says else. */
export function makeBlock(index: number, more: Partial<GuardBlock> = {}): GuardBlock {
  return {
    start: START + index * BLOCK_MS,
    measurement: 'r1',
    stage: 1,
    stratum: '1',
    arm: 't',
    firsts: 0,
    entered: 0,
    live: 0,
    firstLive: 0,
    ignored: 0,
    metrics: [],
    ...more,
  }
}

/** When so many blocks are over. */
export function endOf(blocks: number): number {
  return START + blocks * BLOCK_MS
}

export const TOLERANT: GuardTest = { kind: 'regression', tolerance: 0.1, quantile: null }

export function threshold(limit: number, more: object = {}): GuardTest {
  return { kind: 'threshold', side: 'above', limit, quantile: null, literal: null, ...more }
}

/** Both arms in a block: so many enter, and so many of them are hit. */
export function arms(
  index: number,
  treated: readonly [number, number],
  control: readonly [number, number],
): GuardBlock[] {
  return (
    [
      ['t', treated],
      ['c', control],
    ] as const
  ).map(([arm, [hit, entered]]) => {
    const metrics = [makeCounts(hit, entered)]
    return makeBlock(index, { arm, entered, firsts: entered, live: entered, firstLive: entered, metrics })
  })
}

export function take(
  ground: Ground,
  blocks: readonly GuardBlock[],
  through: number,
  start = newEvidence(START),
) {
  return takeBlocks(start, ground, { through: endOf(through), blocks })
}

export function readFirst(evidence: Evidence, ground: Ground, totals?: readonly ArmTotals[]): GuardReading {
  const [guard] = readEvidence(evidence, ground, totals).guards
  if (!guard) throw new Error('no guard')
  return guard
}

export const range = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => from + index)

/** 10 of 100 units come in each block; from block 6 on four of the treated are hit. */
export const WORSE = [
  ...range(0, 6).flatMap((index) => arms(index, [0, 10], [index % 2, 90])),
  ...range(6, 12).flatMap((index) => arms(index, [4, 10], [1, 90])),
]
