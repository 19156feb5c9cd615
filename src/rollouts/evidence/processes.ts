// What a plan's guardrails are judged by, and against which limit. Pure.
import type { Metric } from '../../catalog/measurement.ts'
import { DOWN, UP } from '../../statistics/guard-mixture.ts'
import { frozenOf } from '../grants.ts'
import type { Audience, Guardrail, GuardTest, Plan } from '../plan.ts'
import type { Progress } from '../progress.ts'

/** What evidence is made of beside blocks: what was planned, how far it has come, and what is counted. */
export type Ground = {
  readonly plan: Plan
  /** In order of first appearance: see `audiencesOf`. */
  readonly audiences: readonly Audience[]
  readonly progress: Progress
  /** By key; those that are gone are missing. */
  readonly metrics: ReadonlyMap<string, Metric>
}

/** Ratios that are tried, against the one that is tolerated. */
type Ratios = { readonly ratios: readonly number[]; readonly tolerated: number }

/** How a guardrail is judged. */
export type Method =
  /** Hits of both arms, or units above a bound. */
  | {
      readonly kind: 'compare'
      readonly bound: number | null
      readonly harm: Ratios
      /** Whether it may be ruled out that the treated fare twice as badly. */
      readonly safe: Ratios
    }
  /** Hits of the treated, of all units that came. */
  | { readonly kind: 'entries'; readonly limit: number; readonly ratios: readonly number[] }
  /** Treated units whose first observation is above a bound, of those that had one. */
  | {
      readonly kind: 'exceedance'
      readonly bound: number
      readonly limit: number
      readonly side: 'above' | 'below'
      readonly ratios: readonly number[]
    }
  /** What a runbook says, over a window. */
  | {
      readonly kind: 'window'
      readonly bound: number | null
      readonly limit: number
      readonly side: 'above' | 'below'
      readonly windowMs: number
    }
  /** Means over units of both arms, or of the treated against a limit. */
  | {
      readonly kind: 'means'
      /** For a ratio of sums: by the unit's own denominator. */
      readonly isRatio: boolean
      readonly side: 'above' | 'below'
      /** What the control's mean is multiplied by; null: the limit is compared with. */
      readonly tolerated: number | null
      readonly limit: number | null
    }
  /** It cannot say anything yet. */
  | { readonly kind: 'none'; readonly words: string }

/** A guardrail as it is judged, for one audience or all together. */
export type Process = {
  readonly key: string
  readonly guardrail: Guardrail
  /** The audience's place; null: all together. */
  readonly audience: number | null
  readonly method: Method
  /** Natural logarithm of what its evidence must come to. */
  readonly limit: number
}

const COUNTED: readonly Metric['kind'][] = ['conversion', 'count', 'error']
const DISTRIBUTED: readonly Metric['kind'][] = ['latency', 'resource']

/**
 * Why a guardrail of such a metric can never say anything, as a sentence; undefined when it can. A share that is too
 * low cannot be told from hits that are still to come, so that only a window may ask for it.
 */
export function whyUnjudgeable(test: GuardTest, kind: Metric['kind']): string | undefined {
  const isCounted = COUNTED.includes(kind)
  const isDistributed = DISTRIBUTED.includes(kind)
  if (test.quantile !== null && !isDistributed) return `a ${kind} metric has no quantiles`
  if (test.kind === 'regression') {
    return kind === 'latency' && test.quantile === null
      ? 'a regression of latency needs a quantile'
      : undefined
  }
  if (kind === 'latency' && test.quantile === null) return 'a limit of latency needs a quantile'
  if (test.literal) {
    return isCounted || test.quantile !== null ? undefined : 'a mean cannot be judged over a window'
  }
  if (isCounted && test.side === 'below') {
    return 'hits that are still to come cannot be told from too few: use a regression, or a literal window'
  }
  return undefined
}

function compare(bound: number | null, isDownGood: boolean, tolerance: number): Method {
  const harm = isDownGood
    ? { ratios: UP, tolerated: 1 + tolerance }
    : { ratios: DOWN, tolerated: 1 - tolerance }
  const safe = isDownGood ? { ratios: DOWN, tolerated: 2 } : { ratios: UP, tolerated: 0.5 }
  return { kind: 'compare', bound, harm, safe }
}

function regressionMethod(
  { kind, goodDirection }: Metric,
  { tolerance, quantile }: Extract<GuardTest, { kind: 'regression' }>,
  frozen: number | undefined,
): Method {
  const isDownGood = goodDirection === 'down'
  if (COUNTED.includes(kind)) return compare(null, isDownGood, tolerance)
  if (quantile !== null) {
    if (frozen !== undefined) return compare(frozen, isDownGood, tolerance)
    return { kind: 'none', words: 'waits until there is a value of the control to compare with' }
  }
  return {
    kind: 'means',
    isRatio: kind !== 'mean',
    side: isDownGood ? 'above' : 'below',
    tolerated: isDownGood ? 1 + tolerance : 1 - tolerance,
    limit: null,
  }
}

function thresholdMethod(
  { kind }: Metric,
  { side, limit, quantile, literal }: Extract<GuardTest, { kind: 'threshold' }>,
): Method {
  const bound = quantile === null ? null : limit
  const share = quantile === null ? limit : 1 - quantile
  const ratios = side === 'above' ? UP : DOWN
  if (literal) return { kind: 'window', bound, limit: share, side, windowMs: literal.windowMs }
  if (bound !== null) return { kind: 'exceedance', bound, limit: share, side, ratios }
  if (COUNTED.includes(kind)) return { kind: 'entries', limit, ratios }
  return { kind: 'means', isRatio: kind !== 'mean', side, tolerated: null, limit }
}

function methodOf(guardrail: Guardrail, { progress, metrics }: Ground): Method {
  const { id, metric: key, test } = guardrail
  const metric = metrics.get(key)
  if (!metric) return { kind: 'none', words: `waits: there is no metric "${key}" any more` }
  const why = whyUnjudgeable(test, metric.kind)
  if (why !== undefined) return { kind: 'none', words: `waits: ${why}` }
  return test.kind === 'threshold'
    ? thresholdMethod(metric, test)
    : regressionMethod(metric, test, frozenOf(progress, id))
}

/**
 * What is judged: each guardrail once, or once for each audience when it takes back an audience by itself. The plan's α
 * is shared out over all of them, whatever they do when they are broken.
 */
export function processesOf(ground: Ground): readonly Process[] {
  const { plan, audiences } = ground
  const places = plan.guardrails.map((guardrail) =>
    guardrail.mode === 'partial' ? audiences.map((_, place) => place) : [null],
  )
  const limit = Math.log(places.flat().length / plan.alpha)
  return plan.guardrails.flatMap((guardrail, index) => {
    const method = methodOf(guardrail, ground)
    return (places[index] ?? []).map((audience) => ({
      // A place has no blank in it.
      key: `${audience ?? 'all'} ${guardrail.id}`,
      guardrail,
      audience,
      method,
      limit,
    }))
  })
}
