// What a stage can find with the traffic that there is. Pure.
import type { Metric } from '../catalog/measurement.ts'
import { DOWN, UP } from '../statistics/guard-mixture.ts'
import { detectableRatio } from '../statistics/power.ts'
import { falseAlarmsOnADay } from '../statistics/window-rule.ts'
import { sayDuration } from './durations.ts'
import { sayShare } from './evidence/words.ts'
import { audienceAt, audiencesOf, plannedPercentage } from './grants.ts'
import type { ArmCount, Reading } from './observations.ts'
import type { Guardrail, GuardTest, Plan } from './plan.ts'
import type { Progress } from './progress.ts'

/** With which probability a change counts as found. */
const POWER = 0.9

/** Rarer than this is as good as never. */
const LEAST_PROBABILITY = 0.0001

/** What one guardrail finds within a stage's hold. */
export type Detectable = {
  readonly guardrail: string
  /** As a multiple of control's rate; null: nothing can be said, or nothing would be found. */
  readonly ratio: number | null
  readonly words: string
}

/** What was counted in the present stage: how many units come in an hour, and how often control is hit. */
export type Traffic = { readonly unitsPerHour: number; readonly reading: Reading }

/** The traffic of the present stage; undefined until something has been read. */
export function trafficOf({ publishedAt }: Progress, reading: Reading | null): Traffic | undefined {
  if (reading === null || publishedAt === null || reading.through <= publishedAt) return undefined
  const units = reading.units.treatment + reading.units.control
  return { unitsPerHour: (units * 3_600_000) / (reading.through - publishedAt), reading }
}

const COUNTED: readonly Metric['kind'][] = ['conversion', 'error', 'count']

function sayRatio(ratio: number): string {
  return ratio >= 1
    ? `${ratio.toPrecision(3)} times as many`
    : `${(100 * (1 - ratio)).toPrecision(2)} % fewer`
}

/** What a runbook's rule does on days on which nothing changes, by what is in its window now. */
function sayFalseAlarms(
  { side, limit, quantile }: Extract<GuardTest, { kind: 'threshold' }>,
  windowMs: number,
  counts: ArmCount | undefined,
): string {
  if (!counts || counts.units === 0) return 'a rule without statistics: false alarms have no limit'
  const { hits, units } = counts
  const rule = { side, limit: quantile === null ? limit : 1 - quantile, windowMs, units }
  const probability = falseAlarmsOnADay(rule, hits / units)
  const share =
    probability < LEAST_PROBABILITY ? `fewer than ${sayShare(LEAST_PROBABILITY)}` : sayShare(probability)
  return `a rule without statistics: it fires on ${share} of days like the last ${sayDuration(windowMs)}`
}

function detectableBy(
  guardrail: Guardrail,
  metric: Metric | undefined,
  stage: { readonly share: number; readonly holdMs: number; readonly alpha: number },
  traffic: Traffic | undefined,
): Detectable {
  const { id, test } = guardrail
  const none = (words: string): Detectable => ({ guardrail: id, ratio: null, words })
  const counted = traffic?.reading.guards.find(({ guardrail }) => guardrail === id)
  if (test.kind === 'threshold') {
    if (test.literal) return none(sayFalseAlarms(test, test.literal.windowMs, counted?.treatment))
    return none('watches a limit, whatever control does')
  }
  if (!metric) return none('its metric is gone')
  // Of latencies, units above the frozen quantile are hits, and those that had any observation are units.
  if (!COUNTED.includes(metric.kind) && test.quantile === null)
    return none('compares values: how much it finds depends on how they spread')
  if (stage.share <= 0 || stage.share >= 1) return none('has no control to compare with')
  const control = counted?.control
  if (!traffic || !counted || !control || control.units === 0) return none('nothing was counted yet')
  const base = control.hits / control.units
  const came = traffic.reading.units.treatment + traffic.reading.units.control
  const observed = test.quantile === null ? 1 : (counted.treatment.units + control.units) / Math.max(1, came)
  const units = (observed * traffic.unitsPerHour * stage.holdMs) / 3_600_000
  const goesUp = metric.goodDirection === 'down'
  const ratio = detectableRatio({
    ...{ base, share: stage.share, units, alpha: stage.alpha, power: POWER },
    tolerated: goesUp ? 1 + test.tolerance : 1 - test.tolerance,
    ratios: goesUp ? UP : DOWN,
  })
  if (ratio === undefined)
    return none(`finds nothing within ${sayDuration(stage.holdMs)}, with so few units or hits`)
  const words = `finds ${sayRatio(ratio)}, or worse, 9 times in 10 within ${sayDuration(stage.holdMs)}`
  return { guardrail: id, ratio, words }
}

/** What each stage's guardrails can find within its hold, as far as what was counted lets one tell. */
export function detectableIn(
  plan: Plan,
  metrics: ReadonlyMap<string, Metric>,
  traffic: Traffic | undefined,
): readonly { readonly stage: string; readonly finds: readonly Detectable[] }[] {
  const audiences = audiencesOf(plan).length
  const processes = plan.guardrails.reduce((sum, { mode }) => sum + (mode === 'partial' ? audiences : 1), 0)
  return plan.stages.map(({ name, holdMs }, place) => {
    const share = plannedPercentage(plan, place, audienceAt(plan, place)) / 100
    const stage = { share, holdMs, alpha: plan.alpha / Math.max(1, processes) }
    return {
      stage: name,
      finds: plan.guardrails.map((guardrail) =>
        detectableBy(guardrail, metrics.get(guardrail.metric), stage, traffic),
      ),
    }
  })
}
