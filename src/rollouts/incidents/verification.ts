// Whether a rollback did what it was to do: nobody is given the variant, and what broke is as the control was before.
// Pure. No clock.
import type { Metric } from '../../catalog/measurement.ts'
import { LogHistogram } from '../../statistics/log-histogram.ts'
import type { SeriesCell } from '../../telemetry/counting/series.ts'
import { placesIn } from '../grants.ts'
import type { GuardTest } from '../plan.ts'
import type { GuardFact } from './facts.ts'
import { sayCount, sayInstant, sayNumber, sayShare } from './words.ts'

const MINUTE_MS = 60_000

/** How long a rollback may take to show that it helped. */
export const VERIFY_WITHIN_MS = 30 * MINUTE_MS
/** For how long nobody must have been given the variant. */
const SILENT_MS = 2 * MINUTE_MS
/** How many events the worse of two rates must let expect before it is said which of them holds. */
const MIN_EXPECTED = 10
/** How many observations a quantile or a mean is made of at least. */
const MIN_OBSERVATIONS = 50
/** What may be worse where a guardrail does not say. */
const TOLERANCE = 0.1

/** What is verified, and from what. Instants are milliseconds since 1970. */
export type Verifying = {
  readonly rollout: string
  readonly variant: string
  readonly epoch: number
  /** The places of the audiences that were taken back; null: everyone. */
  readonly audiences: readonly number[] | null
  readonly guards: readonly GuardFact[]
  readonly metrics: ReadonlyMap<string, Metric>
  /** Of the flag, by the minute, exposures and metrics. */
  readonly cells: readonly SeriesCell[]
  /** Whether a part of what was counted could not be read. */
  readonly partial: boolean
  /** What it was like before: from one instant to another. */
  readonly before: { readonly from: number; readonly to: number }
  /** Since when the safe version is there. */
  readonly since: number
}

/** What came of it: `pending` is looked at again, `none` cannot be told any more. */
export type Verdict = { readonly state: 'pending' | 'verified' | 'failed' | 'none'; readonly words: string }

/** Counts of some arms over some time. */
type Sums = {
  exposures: number
  events: number
  sum: number
  denominator: number
  readonly sketch: LogHistogram
}

/** Whether a stratum is of what was taken back: it belongs to the narrowest of its audiences. */
function isConcerned(stratum: string, audiences: readonly number[] | null): boolean {
  const [owner] = placesIn(stratum)
  return audiences === null || (owner !== undefined && audiences.includes(owner))
}

function addUp(cells: readonly SeriesCell[], metric: string | null): Sums {
  const sums: Sums = { exposures: 0, events: 0, sum: 0, denominator: 0, sketch: new LogHistogram() }
  for (const cell of cells) {
    if (cell.metric === null) sums.exposures += cell.count
    if (metric === null || cell.metric !== metric) continue
    sums.events += cell.count
    sums.sum += cell.sum
    sums.denominator += cell.denominator
    if (cell.sketch) sums.sketch.mergePacked(cell.sketch)
  }
  return sums
}

/** What a guardrail looks at: a rate by exposures, a quantile, a mean or a ratio; null where there is nothing of it. */
function levelOf({ kind }: Metric, { quantile }: GuardTest, sums: Sums): number | null {
  if (quantile !== null) return sums.sketch.count > 0 ? sums.sketch.quantile(quantile) : null
  if (kind === 'ratio') return sums.denominator > 0 ? sums.sum / sums.denominator : null
  if (kind === 'latency' || kind === 'resource') return sums.events > 0 ? sums.sum / sums.events : null
  if (sums.exposures === 0) return null
  return (kind === 'mean' ? sums.sum : sums.events) / sums.exposures
}

/** Whether there is enough to tell what is from what was. */
function isEnough({ kind }: Metric, { quantile }: GuardTest, sums: Sums, worse: number): boolean {
  if (quantile !== null || kind === 'ratio' || kind === 'latency' || kind === 'resource') {
    return sums.events >= MIN_OBSERVATIONS
  }
  return kind === 'mean' ? sums.exposures >= MIN_OBSERVATIONS : sums.exposures * worse >= MIN_EXPECTED
}

function sayValue({ kind }: Metric, { quantile }: GuardTest, value: number): string {
  const isShare = quantile === null && (kind === 'conversion' || kind === 'error')
  return isShare ? sayShare(value) : sayNumber(value)
}

type Check = { readonly isBack: boolean; readonly words: string }

function checkMetric(
  verifying: Verifying,
  guard: GuardFact,
  earlier: SeriesCell[],
  later: SeriesCell[],
): Check {
  const { metric: key, test, audience } = guard
  const metric = verifying.metrics.get(key)
  if (!metric) return { isBack: true, words: `${key} is not defined any more` }
  const isOf = ({ stratum }: SeriesCell) => isConcerned(stratum, audience === null ? null : [audience.place])
  const ofArm = (arm: string) =>
    levelOf(
      metric,
      test,
      addUp(
        earlier.filter((cell) => cell.arm === arm && isOf(cell)),
        key,
      ),
    )
  const sums = addUp(later.filter(isOf), key)
  const now = levelOf(metric, test, sums)
  const treated = ofArm('t')
  const control = ofArm('c')
  const limit = test.kind === 'threshold' ? test.limit : null
  const reference = control ?? limit
  if (reference === null) return { isBack: false, words: `${key} has nothing to be compared with` }
  if (now === null || !isEnough(metric, test, sums, Math.max(treated ?? 0, reference))) {
    const words = `${key}: too little has come since to tell (${sayCount(sums.exposures)} exposures, ${sayCount(sums.events)} events)`
    return { isBack: false, words }
  }
  const tolerance = test.kind === 'regression' ? test.tolerance : TOLERANCE
  const mustRise = test.kind === 'threshold' ? test.side === 'below' : metric.goodDirection === 'up'
  const isAsControl = mustRise ? now >= reference * (1 - tolerance) : now <= reference * (1 + tolerance)
  const keepsLimit = limit !== null && (mustRise ? now >= limit : now <= limit)
  const say = (value: number) => sayValue(metric, test, value)
  const was =
    control === null ? `the limit is ${say(reference)}` : `the control was at ${say(control)} before`
  const bad = treated === null ? '' : `, the treated at ${say(treated)}`
  return { isBack: isAsControl || keepsLimit, words: `${key} is at ${say(now)}, ${was}${bad}` }
}

function checkServed({ variant }: Verifying, later: readonly SeriesCell[], end: number): Check {
  const served = later
    .filter(({ metric, arm, start }) => metric === null && arm === 't' && start >= end - SILENT_MS)
    .reduce((sum, { count }) => sum + count, 0)
  const words =
    served === 0
      ? `nobody was given "${variant}" by it in the two minutes before ${sayInstant(end)}`
      : `${sayCount(served)} exposures to "${variant}" by it in the two minutes before ${sayInstant(end)}`
  return { isBack: served === 0, words }
}

/** Judges a rollback by what was counted up to an instant. */
export function verify(verifying: Verifying, now: number): Verdict {
  const { rollout, epoch, audiences, guards, cells, partial, before, since } = verifying
  const end = Math.floor(now / MINUTE_MS) * MINUTE_MS
  const begin = Math.ceil(since / MINUTE_MS) * MINUTE_MS
  const isLate = now >= since + VERIFY_WITHIN_MS
  if (end < begin + SILENT_MS && !isLate) return { state: 'pending', words: '' }
  const own = cells.filter((cell) => cell.measurement === rollout && isConcerned(cell.stratum, audiences))
  const earlier = own.filter(({ start, stage }) => stage < epoch && start >= before.from && start < before.to)
  const later = own.filter(({ start }) => start >= begin && start < end)
  const checks = [
    checkServed(verifying, later, end),
    ...guards.map((guard) => checkMetric(verifying, guard, earlier, later)),
  ]
  const words = checks.map((check) => check.words).join('; ')
  if (!partial && checks.every(({ isBack }) => isBack))
    return { state: 'verified', words: `Verified: ${words}.` }
  if (!isLate) return { state: 'pending', words: '' }
  const missing = partial ? '; a part of what was counted could not be read' : ''
  return { state: 'failed', words: `Not verified within 30 minutes: ${words}${missing}.` }
}
