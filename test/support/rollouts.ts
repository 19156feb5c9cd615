// Rollouts for tests: whole plans, progress and observations, of which a test names only what it is about.
import type { Metric } from '../../src/catalog/measurement.ts'
import type { GuardReading, Observations, Reading, Signal } from '../../src/rollouts/observations.ts'
import type { PlanGround } from '../../src/rollouts/parse-plan.ts'
import type { Guardrail, Plan, Stage } from '../../src/rollouts/plan.ts'
import type { PlanDraft } from '../../src/rollouts/plan-draft.ts'

export const MINUTE_MS = 60_000
export const HOUR_MS = 60 * MINUTE_MS
export const DAY_MS = 24 * HOUR_MS

/** A stage for everyone that holds for an hour. */
export function makeStage(overrides: Partial<Stage> = {}): Stage {
  const { percentage = 10 } = overrides
  return {
    name: `${percentage} %`,
    audience: null,
    percentage,
    holdMs: HOUR_MS,
    minUnits: 0,
    approval: false,
    gates: [],
    ...overrides,
  }
}

/** A guardrail that takes the rollout back when errors grow by more than a tenth. */
export function makeGuardrail(overrides: Partial<Guardrail> = {}): Guardrail {
  return {
    id: 'checkout-error-regression',
    metric: 'checkout-error',
    test: { kind: 'regression', tolerance: 0.1, quantile: null },
    action: 'rollback',
    mode: 'immediate',
    ...overrides,
  }
}

/** A plan without guardrails: 10, 50 and 100 % of everyone, an hour each, and no watch afterwards. */
export function makePlan(overrides: Partial<Plan> = {}): Plan {
  return {
    flag: 'new-checkout',
    environment: 'production',
    variant: 'on',
    by: 'targetingKey',
    stages: [10, 50, 100].map((percentage) => makeStage({ percentage })),
    alpha: 0.01,
    guardrails: [],
    rollback: { steps: [50, 25, 0], holdMs: 10 * MINUTE_MS },
    advanceWhen: 'clock',
    whenTooFew: 'hold',
    exposure: 'use',
    windowMs: 30 * MINUTE_MS,
    watch: [],
    signals: [],
    startAt: null,
    windows: [],
    after: [],
    slices: [],
    takeOver: false,
    ...overrides,
  }
}

/** What a guardrail says while all is well. */
export function makeGuardReading(overrides: Partial<GuardReading> = {}): GuardReading {
  return {
    guardrail: 'checkout-error-regression',
    audience: null,
    verdict: 'fine',
    evidence: 0,
    limit: 4.6,
    treatment: { hits: 5, units: 900 },
    control: { hits: 45, units: 8_100 },
    shownSafe: false,
    words: 'treated 5 of 900, control 45 of 8,100',
    since: null,
    ...overrides,
  }
}

/** What was counted while all is well, up to an instant. */
export function makeReading(through: number, overrides: Partial<Reading> = {}): Reading {
  return {
    through,
    guards: [],
    units: { treatment: 900, control: 8_100 },
    sampleRatio: { evidence: 0, mismatch: false, words: 'as many units came as should' },
    life: { evidence: 0, verdict: 'alive', since: null, words: 'both are alive' },
    ...overrides,
  }
}

/** Nothing observed, but that the hub has published version 1 at an instant, 0 unless said. */
export function makeObservations(overrides: Partial<Observations> = {}): Observations {
  return {
    reading: null,
    unreadSince: null,
    published: { version: 1, at: 0 },
    signals: [],
    notDone: [],
    quantiles: {},
    ...overrides,
  }
}

/** A signal that passed. */
export function makeSignal(overrides: Partial<Signal> = {}): Signal {
  return {
    id: 'signal',
    kind: 'ci-green',
    passed: true,
    at: 0,
    author: 'ci',
    link: '',
    note: '',
    ...overrides,
  }
}

/** An error metric that counts by user. */
export function makeMetric(overrides: Partial<Metric> = {}): Metric {
  return {
    key: 'checkout-error',
    event: 'checkout failed',
    kind: 'error',
    denominator: null,
    unit: 'user',
    goodDirection: 'down',
    cap: null,
    preExposure: false,
    ...overrides,
  }
}

const METRICS: readonly Metric[] = [
  makeMetric(),
  makeMetric({ key: 'paid', kind: 'conversion', goodDirection: 'up' }),
  makeMetric({ key: 'http-latency', kind: 'latency' }),
  makeMetric({ key: 'memory', kind: 'resource' }),
  makeMetric({ key: 'satisfaction', kind: 'mean', goodDirection: 'up' }),
  makeMetric({ key: 'company-error', unit: 'company' }),
]

/** A boolean flag, the segments `internal` and `beta`, a metric of most kinds, and one other rollout. */
export function makePlanGround(overrides: Partial<PlanGround> = {}): PlanGround {
  return {
    flag: {
      key: 'new-checkout',
      type: 'boolean',
      variants: [
        { name: 'on', value: true },
        { name: 'off', value: false },
      ],
      metadata: {},
      clientVisible: false,
    },
    segments: new Set(['internal', 'beta']),
    metrics: new Map(METRICS.map((metric) => [metric.key, metric])),
    rollouts: new Set(['other0000000']),
    ...overrides,
  }
}

/** A plan as people write it: half of everyone for an hour, then all. */
export function makePlanDraft(overrides: Partial<PlanDraft> = {}): PlanDraft {
  return {
    flag: 'new-checkout',
    environment: 'production',
    variant: 'on',
    stages: [
      { percentage: 50, hold: '1h' },
      { percentage: 100, hold: '0s' },
    ],
    ...overrides,
  }
}
