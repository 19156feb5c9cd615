// Ready-made ramps: each makes stages as people write them, to be used as they are or changed. Pure.
import type { Condition } from '../engine/flag.ts'
import { durationText } from './durations.ts'
import type { StageDraft } from './plan-draft.ts'

/** What every template takes. */
export type HoldBack = {
  /**
   * Whether 5 % are kept back for a week before everyone has it: while somebody is without it, guardrails that compare
   * can still see.
   */
  readonly holdBack?: boolean
}

/** How long each stage holds: `1d` unless said. */
export type Pace = { readonly hold?: string }

const HOLD_BACK: StageDraft = { name: '95 %, 5 % held back', percentage: 95, hold: '7d' }
const ALL: StageDraft = { name: 'all', percentage: 100, hold: '0s' }

/** The last stages of a ramp: everyone, after 5 % were held back for a week. */
function ending({ holdBack = true }: HoldBack): StageDraft[] {
  return holdBack ? [HOLD_BACK, ALL] : [ALL]
}

/** Percentages of everyone, each for as long. */
function ramp(percentages: readonly number[], hold: string): StageDraft[] {
  return percentages.map((percentage) => ({ percentage, hold }))
}

/** 1 → 5 → 25 → 50 → 100 %. */
export function canary({ hold = '1d', ...rest }: Pace & HoldBack = {}): StageDraft[] {
  return [...ramp([1, 5, 25, 50], hold), ...ending(rest)]
}

/** 5 → 10 → 25 → 50 → 100 %. */
export function progressive({ hold = '1d', ...rest }: Pace & HoldBack = {}): StageDraft[] {
  return [...ramp([5, 10, 25, 50], hold), ...ending(rest)]
}

/** Own people, then those who asked for it, then 10 → 25 → 50 → 100 %. */
export function staged({
  internal,
  beta,
  hold = '1d',
  ...rest
}: { readonly internal: Condition; readonly beta: Condition } & Pace & HoldBack): StageDraft[] {
  return [
    { name: 'internal', audience: internal, percentage: 100, hold },
    { name: 'beta', audience: beta, percentage: 100, hold },
    ...ramp([10, 25, 50], hold),
    ...ending(rest),
  ]
}

/** One region after the other, each at some percentages, then the rest of the world at the same. */
export function geographic({
  regions,
  percentages = [10, 50],
  hold = '1d',
  ...rest
}: {
  readonly regions: readonly { readonly name: string; readonly audience: Condition }[]
  readonly percentages?: readonly number[]
} & Pace &
  HoldBack): StageDraft[] {
  return [
    ...regions.flatMap(({ name, audience }) =>
      percentages.map((percentage) => ({ name: `${name} ${percentage} %`, audience, percentage, hold })),
    ),
    ...ramp(percentages, hold),
    ...ending(rest),
  ]
}

/** A region as one or more countries (ISO 3166, `IE`), which client keys are asked from without anybody's doing. */
export function countries(name: string, codes: readonly string[]): { name: string; audience: Condition } {
  return { name, audience: { attribute: 'cf.country', op: 'in', values: codes } }
}

/** Those who know the product best first, new ones last; each group after a delay of its own. */
export function segments({
  groups,
  ...rest
}: {
  readonly groups: readonly { readonly segment: string; readonly hold: string }[]
} & HoldBack): StageDraft[] {
  return [
    ...groups.map(({ segment, hold }) => ({
      name: segment,
      audience: { segment },
      percentage: 100,
      hold,
    })),
    ...ending(rest),
  ]
}

/** 10 % on the first day, 50 % on the third, 100 % on the seventh; held back, 95 % on the seventh. */
export function timed(options: HoldBack = {}): StageDraft[] {
  return [
    { name: 'day 1', percentage: 10, hold: '2d' },
    { name: 'day 3', percentage: 50, hold: '4d' },
    ...ending(options),
  ]
}

/**
 * A percentage that grows evenly between two instants, in equal steps: the first begins at `from`, which is to be the
 * plan's `startAt`, and what the ramp ends in (all, or 95 %) begins at `to`.
 */
export function linear({
  from,
  to,
  steps = 20,
  holdBack = true,
}: {
  /** Instants, in milliseconds since 1970. */
  readonly from: number
  readonly to: number
  /** 2 to 50. */
  readonly steps?: number
} & HoldBack): StageDraft[] {
  const last = holdBack ? 95 : 100
  const hold = durationText(Math.round((to - from) / (steps - 1) / 1_000) * 1_000)
  const percentages = Array.from({ length: steps - 1 }, (_, step) => {
    return Math.round((last * (step + 1) * 1_000) / steps) / 1_000
  })
  return [...ramp(percentages, hold), ...ending({ holdBack })]
}

/** Any percentages of everyone, each for as long. */
export function custom({
  percentages,
  hold = '1d',
  ...rest
}: { readonly percentages: readonly number[] } & Pace & HoldBack): StageDraft[] {
  return [...ramp(percentages, hold), ...ending(rest)]
}

/** All templates by name. */
export const templates = { canary, progressive, staged, geographic, segments, timed, linear, custom } as const

export type TemplateName = keyof typeof templates

/** What each template does, for whoever chooses. */
export const TEMPLATE_WORDS: { readonly [name in TemplateName]: string } = {
  canary: '1, 5, 25, 50, 100 % of everyone, a day each',
  progressive: '5, 10, 25, 50, 100 % of everyone, a day each',
  staged: 'your own people, then beta users, then 10, 25, 50, 100 %, a day each',
  geographic: 'one region after the other, then the rest of the world',
  segments: 'one segment after the other, power users first, new ones last, each after a delay',
  timed: '10 % on day 1, 50 % on day 3, 100 % on day 7',
  linear: 'a percentage that grows evenly between two instants',
  custom: 'any percentages of everyone',
}
