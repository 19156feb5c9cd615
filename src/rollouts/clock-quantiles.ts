// The present quantiles that latency guardrails may freeze: of the control's observations in the last hour or two, or,
// before a rollout has begun, of everybody's. Pure.
import { LogHistogram } from '../statistics/log-histogram.ts'
import type { SeriesCell, SeriesQuery } from '../telemetry/counting/series.ts'
import type { Observations } from './observations.ts'
import type { Guardrail } from './plan.ts'
import type { Rollout } from './rollout.ts'

const HOUR_MS = 3_600_000
const MIN_OBSERVATIONS = 400
const CONTROL = 'c'

type Comparing = { readonly id: string; readonly metric: string; readonly quantile: number }

/** The guardrails that compare with the control's quantile. */
function comparingOf(guardrails: readonly Guardrail[]): readonly Comparing[] {
  return guardrails.flatMap(({ id, metric, test }) =>
    test.kind === 'regression' && test.quantile !== null ? [{ id, metric, quantile: test.quantile }] : [],
  )
}

/** What shards are asked for, so that the quantiles of these rollouts are known: nothing where none compares with one. */
export function quantileQueries(rollouts: readonly Rollout[], now: number): readonly SeriesQuery[] {
  const metrics = new Set(
    rollouts
      .filter(({ progress }) => progress.state === 'scheduled' || progress.state === 'running')
      .flatMap(({ plan }) => comparingOf(plan.guardrails).map(({ metric }) => metric)),
  )
  const from = Math.floor((now - HOUR_MS) / HOUR_MS) * HOUR_MS
  const to = (Math.floor(now / HOUR_MS) + 1) * HOUR_MS
  return Array.from(metrics, (metric) => ({ from, to, step: 'hour', metric }))
}

/** What was observed, by metric and the rollout whose control it is of; empty: everybody. */
export type Sketches = ReadonlyMap<string, ReadonlyMap<string, LogHistogram>>

/** Adds up cells of whatever shards. */
export function toSketches(cells: readonly SeriesCell[]): Sketches {
  const sketches = new Map<string, Map<string, LogHistogram>>()
  for (const { metric, flag, measurement, arm, sketch } of cells) {
    if (metric === null || sketch === null) continue
    if (flag !== '' && arm !== CONTROL) continue
    const byOwner = sketches.get(metric) ?? new Map<string, LogHistogram>()
    sketches.set(metric, byOwner)
    const sum = byOwner.get(measurement) ?? new LogHistogram()
    byOwner.set(measurement, sum)
    sum.mergePacked(sketch)
  }
  return sketches
}

/** The quantiles of a rollout's guardrails, where there is enough to tell. */
export function quantilesOf({ id, plan, progress }: Rollout, sketches: Sketches): Observations['quantiles'] {
  const owner = progress.stage < 0 ? '' : id
  return Object.fromEntries(
    comparingOf(plan.guardrails).flatMap((guardrail) => {
      const sketch = sketches.get(guardrail.metric)?.get(owner)
      if (!sketch || sketch.count < MIN_OBSERVATIONS) return []
      return [[guardrail.id, sketch.quantile(guardrail.quantile)]]
    }),
  )
}
