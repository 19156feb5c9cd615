// What drills and backtests show of the evidence on its way. Pure.
import type { ArmCount, GuardReading, Reading } from '../observations.ts'

/** How many looks are kept of a drill or a backtest, and how many readings in all of them: a row has to hold them. */
const MAX_LOOKS = 60
const MAX_READINGS = 3_000

/** What the guards said at one look. */
export type DrillLook = {
  /** Since the beginning of the drill, in milliseconds. */
  readonly afterMs: number
  readonly guards: readonly (Pick<GuardReading, 'guardrail' | 'audience' | 'evidence' | 'limit'> & {
    readonly treatment: ArmCount
    readonly control: ArmCount | null
  })[]
}

/** What a reading comes to, so long after the beginning. */
export function lookOf({ guards }: Reading, afterMs: number): DrillLook {
  return {
    afterMs,
    guards: guards.map(({ guardrail, audience, evidence, limit, treatment, control }) => {
      return { guardrail, audience, evidence, limit, treatment, control }
    }),
  }
}

/** Looks at even distances, at most 60, the last one among them. */
export function thinned(looks: readonly DrillLook[]): readonly DrillLook[] {
  const most = Math.floor(MAX_READINGS / Math.max(1, looks[0]?.guards.length ?? 0))
  const every = Math.ceil(looks.length / Math.max(1, Math.min(MAX_LOOKS, most)))
  return looks.filter((_, index) => (looks.length - 1 - index) % every === 0)
}
