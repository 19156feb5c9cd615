// Ready-made guardrails, given which metric plays which part: to be used as they are or changed. Pure. A part that
// nothing plays is left out.
import type { GuardrailDraft } from './plan-draft.ts'

/** Which metric plays which part, by its key. */
export type Parts = {
  /** Units that met an error. */
  readonly error?: string
  /** In milliseconds. */
  readonly latency?: string
  /** A mean or ratio from 0 to 10, of which more is better. */
  readonly satisfaction?: string
  /** Units that met an error which must never happen. */
  readonly critical?: string
  readonly crash?: string
}

/** What is more than none of any number of units. */
const ANY = 0.000001

function on(
  metric: string | undefined,
  ...guards: readonly Omit<GuardrailDraft, 'metric'>[]
): GuardrailDraft[] {
  return metric === undefined ? [] : guards.map((guard) => ({ metric, ...guard }))
}

/** Errors above 1 % of units, p95 half as bad again or above 1 s, satisfaction below 7, any critical error. */
export function strict({ error, latency, satisfaction, critical }: Parts): GuardrailDraft[] {
  return [
    ...on(error, { test: 'threshold', above: 0.01 }),
    ...on(
      latency,
      { test: 'regression', quantile: 0.95, tolerance: 0.5 },
      { test: 'threshold', quantile: 0.95, above: 1_000 },
    ),
    ...on(satisfaction, { test: 'threshold', below: 7 }),
    ...on(critical, { test: 'threshold', above: ANY, literal: true, window: '5m' }),
  ]
}

/** As runbooks have it: errors above 10 % in 5 min, p95 above 5 s in 10 min (gradually), crashes above 1 % in 5 min. */
export function playbook({ error, latency, crash }: Parts): GuardrailDraft[] {
  return [
    ...on(error, { test: 'threshold', above: 0.1, literal: true, window: '5m' }),
    ...on(latency, {
      test: 'threshold',
      quantile: 0.95,
      above: 5_000,
      literal: true,
      window: '10m',
      mode: 'gradual',
    }),
    ...on(crash, { test: 'threshold', above: 0.01, literal: true, window: '5m' }),
  ]
}

/** p50 200, p95 800 and p99 2,000 ms, beyond which it pauses; errors: 1 % is told of, 5 % takes it back. */
export function checkpoints({ error, latency }: Parts): GuardrailDraft[] {
  return [
    ...on(
      latency,
      { test: 'threshold', quantile: 0.5, above: 200, action: 'pause' },
      { test: 'threshold', quantile: 0.95, above: 800, action: 'pause' },
      { test: 'threshold', quantile: 0.99, above: 2_000, action: 'pause' },
    ),
    ...on(
      error,
      { test: 'threshold', above: 0.01, action: 'notify' },
      { test: 'threshold', above: 0.05, action: 'rollback' },
    ),
  ]
}

/** What one would like to be better than: p95 below 200 ms, errors below 0.1 %. It never takes anything back. */
export function benchmarks(
  { error, latency }: Parts,
  action: 'notify' | 'pause' = 'notify',
): GuardrailDraft[] {
  return [
    ...on(latency, { test: 'threshold', quantile: 0.95, above: 200, action }),
    ...on(error, { test: 'threshold', above: 0.001, action }),
  ]
}

/** The rollback of the specification: errors above 5 %, or latencies half as bad again. */
export function specification({ error, latency }: Parts): GuardrailDraft[] {
  return [
    ...on(error, { test: 'threshold', above: 0.05 }),
    ...on(latency, { test: 'regression', quantile: 0.95, tolerance: 0.5 }),
  ]
}

/** All sets by name. */
export const guardrailSets = { strict, playbook, checkpoints, benchmarks, specification } as const

export type GuardrailSetName = keyof typeof guardrailSets

/** What each set watches for, for whoever chooses. */
export const GUARDRAIL_SET_WORDS: { readonly [name in GuardrailSetName]: string } = {
  strict: 'errors above 1 %, p95 half as bad again or above 1 s, satisfaction below 7, any critical error',
  playbook: 'in some minutes: errors above 10 %, p95 above 5 s (gradually), crashes above 1 %',
  checkpoints:
    'p50, p95 and p99 above 200, 800 and 2,000 ms pause; errors above 1 % notify, above 5 % roll back',
  benchmarks: 'p95 above 200 ms or errors above 0.1 % are told of, and never roll back',
  specification: 'errors above 5 %, or p95 half as bad again',
}
