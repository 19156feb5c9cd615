// What a plan does that its author may not have meant: it is carried out all the same. Pure. Whether there is traffic
// enough is not known here.
import { falseAlarmsOnADay } from '../statistics/window-rule.ts'
import { sayDuration } from './durations.ts'
import type { Guardrail, GuardTest, Plan, Stage } from './plan.ts'

export type PlanWarningCode =
  | 'no_guardrails'
  | 'no_hold_back'
  | 'blind_at_100'
  | 'literal_rule'
  | 'shared_metric'
  | 'partial_of_everyone'

export type PlanWarning = {
  readonly code: PlanWarningCode
  /** The place in the plan, as one would write it in code; empty for the plan itself. */
  readonly path: string
  readonly message: string
}

/** Another rollout that is live in the same environment. */
export type OtherRollout = { readonly id: string; readonly plan: Pick<Plan, 'flag' | 'guardrails'> }

/** How many units a window may have: what a rule's false alarms are shown for. */
const SHOWN_UNITS = [100, 1_000] as const
/** What counts as somebody being kept without it before everyone has it. */
const HELD_BACK_FROM = 90
const HELD_BACK_MS = 86_400_000

type Literal = Extract<GuardTest, { kind: 'threshold' }> & { readonly literal: { readonly windowMs: number } }

function isLiteral(test: GuardTest): test is Literal {
  return test.kind === 'threshold' && test.literal !== null
}

function isForAll({ audience, percentage }: Stage): boolean {
  return audience === null && percentage === 100
}

/** Whether some are kept without it for at least a day, when nearly everyone has it. */
function holdsBack({ stages }: Plan): boolean {
  return stages.some(
    ({ audience, percentage, holdMs }) =>
      audience === null && percentage >= HELD_BACK_FROM && percentage < 100 && holdMs >= HELD_BACK_MS,
  )
}

function saySharePerDay(share: number): string {
  if (share < 0.0001) return 'on less than 1 day in 10,000'
  if (share > 0.99) return 'every day'
  return share > 0.1 ? `on ${Math.round(share * 100)} days in 100` : `on 1 day in ${Math.round(1 / share)}`
}

function literalWarning({ metric, test }: Guardrail, index: number): PlanWarning[] {
  if (!isLiteral(test)) return []
  const { side, limit, quantile, literal } = test
  const { windowMs } = literal
  const share = quantile === null ? limit : 1 - quantile
  // Twice as good as the limit demands.
  const base = side === 'above' ? share / 2 : Math.min(1, share * 2)
  const rates = SHOWN_UNITS.map((units) => {
    const alarms = falseAlarmsOnADay({ side, limit: share, windowMs, units }, base)
    return `${saySharePerDay(alarms)} with ${units.toLocaleString('en')}`
  })
  const what = quantile === null ? 'units' : 'observations'
  const message = `${metric} over ${sayDuration(windowMs)} is a rule and no test: alpha does not cover it. While all is \
twice as good as it demands, it goes off ${rates.join(', ')} ${what} in a window`
  return [{ code: 'literal_rule', path: `guardrails[${index}]`, message }]
}

function sharedWarnings({ flag, guardrails }: Plan, others: readonly OtherRollout[]): PlanWarning[] {
  return [...new Set(guardrails.map(({ metric }) => metric))].flatMap((metric): PlanWarning[] => {
    const sharing = others.filter(({ plan }) => plan.guardrails.some((one) => one.metric === metric))
    if (sharing.length === 0) return []
    const names = sharing.map(({ id, plan }) => `${plan.flag} (${id})`).join(', ')
    const message = `${metric} is watched by ${names} too: what one of them breaks may take back ${flag}`
    const index = guardrails.findIndex((one) => one.metric === metric)
    return [{ code: 'shared_metric', path: `guardrails[${index}].metric`, message }]
  })
}

function partialWarnings({ stages, guardrails }: Plan): PlanWarning[] {
  if (stages.some(({ audience }) => audience !== null)) return []
  return guardrails.flatMap(({ mode }, index): PlanWarning[] => {
    const message = 'takes back the whole rollout, since its only audience is everyone'
    return mode === 'partial'
      ? [{ code: 'partial_of_everyone', path: `guardrails[${index}].mode`, message }]
      : []
  })
}

function blindWarnings(plan: Plan): PlanWarning[] {
  const { stages, guardrails } = plan
  const last = stages.findIndex(isForAll)
  const acting = guardrails.filter(({ action }) => action === 'rollback' || action === 'pause')
  if (last < 0 || acting.length === 0) return []
  const path = `stages[${last}]`
  const found: PlanWarning[] = []
  if (acting.some(({ test }) => test.kind === 'regression') && !holdsBack(plan)) {
    const message = 'at 100 % there is nobody to compare with: keep 5 % back for a week before'
    found.push({ code: 'no_hold_back', path, message })
  }
  if (!acting.some(({ action, test }) => action === 'rollback' && test.kind === 'threshold')) {
    const message = 'at 100 % nothing takes it back any more: only limits could, and the plan has none'
    found.push({ code: 'blind_at_100', path, message })
  }
  return found
}

/**
 * Warns of what a plan may not have been meant to do.
 * @param others that are live in the same environment
 */
export function planWarnings(plan: Plan, others: readonly OtherRollout[]): readonly PlanWarning[] {
  const unwatched: PlanWarning[] =
    plan.guardrails.length === 0
      ? [
          {
            code: 'no_guardrails',
            path: 'guardrails',
            message: 'nothing watches it: only people take it back',
          },
        ]
      : []
  return [
    ...unwatched,
    ...blindWarnings(plan),
    ...plan.guardrails.flatMap(literalWarning),
    ...partialWarnings(plan),
    ...sharedWarnings(plan, others),
  ]
}
