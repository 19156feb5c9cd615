// What is looked at after everyone has the variant: there is no control arm any more, so the same hours of the weeks
// before are compared with, which proves nothing and therefore only notifies. Pure. No clock.
import type { Metric } from '../catalog/measurement.ts'
import { sayNumber, sayShare } from './incidents/words.ts'
import type { Guardrail } from './plan.ts'

/** What was counted of a metric over some time: of the flag where there was anything, else of all that happened. */
export type Counted = {
  readonly exposures: number
  readonly events: number
  readonly sum: number
  readonly denominator: number
  /** The guardrail's quantile; null where there is none. */
  readonly quantile: number | null
}

/** A metric that is worse than in every one of the weeks before. */
export type Worse = { readonly ratio: number; readonly words: string }

/** What must be worse at least: weeks differ by themselves. */
const LEAST_TOLERANCE = 0.25
/** Below so many events nothing is said. */
const MIN_EVENTS = 30
/** How many standard deviations of counting it must be worse by. */
const DEVIATIONS = 4

function levelOf({ kind }: Metric, { test }: Guardrail, counted: Counted): number | null {
  const { exposures, events, sum, denominator, quantile } = counted
  if (test.quantile !== null) return quantile
  if (kind === 'ratio') return denominator > 0 ? sum / denominator : null
  if (kind === 'latency' || kind === 'resource') return events > 0 ? sum / events : null
  if (exposures === 0) return null
  return (kind === 'mean' ? sum : events) / exposures
}

function isCount({ kind }: Metric, { test }: Guardrail): boolean {
  return test.quantile === null && (kind === 'conversion' || kind === 'error' || kind === 'count')
}

/** Whether counting alone would hardly show such a difference. */
function isClear(now: Counted, before: Counted, level: number, earlier: number): boolean {
  const variance = level / Math.max(1, now.exposures) + earlier / Math.max(1, before.exposures)
  return Math.abs(level - earlier) > DEVIATIONS * Math.sqrt(variance)
}

/**
 * Compares a metric with the same hours of the weeks before.
 * @returns what is worse than in every one of them, in the direction that the metric's makers call bad; undefined when
 * it is not, or when there is too little to tell
 */
export function compareWithWeeks(
  metric: Metric,
  guardrail: Guardrail,
  now: Counted,
  weeks: readonly Counted[],
): Worse | undefined {
  const level = levelOf(metric, guardrail, now)
  const { test } = guardrail
  const tolerance = Math.max(LEAST_TOLERANCE, test.kind === 'regression' ? test.tolerance : 0)
  const known = weeks.flatMap((week) => {
    const earlier = levelOf(metric, guardrail, week)
    return earlier === null || earlier <= 0 || week.events < MIN_EVENTS ? [] : [{ week, earlier }]
  })
  const mustRise = metric.goodDirection === 'up'
  // Where events are good, that there are none is what must be told.
  if (level === null || known.length === 0 || (!mustRise && now.events < MIN_EVENTS)) return undefined
  const isWorse = known.every(({ week, earlier }) => {
    const isBeyond = mustRise ? level < earlier * (1 - tolerance) : level > earlier * (1 + tolerance)
    return isBeyond && (!isCount(metric, guardrail) || isClear(now, week, level, earlier))
  })
  if (!isWorse) return undefined
  const say = (value: number) =>
    isCount(metric, guardrail) && metric.kind !== 'count' ? sayShare(value) : sayNumber(value)
  const before = known.map(({ earlier }) => say(earlier)).join(' and ')
  const [closest = level] = known.map(({ earlier }) => earlier).sort((a, b) => (mustRise ? a - b : b - a))
  return {
    ratio: level / closest,
    words: `${metric.key} is at ${say(level)}; in the same hours of the weeks before it was at ${before}. There is no control any more, so this only says that it is different.`,
  }
}
