// Whether people who are counted and people one by one have the same law: the same figures of both, run by run.

import { Random } from './random.ts'
import type { Outcome, Scenario } from './scenario.ts'
import { seedOf } from './scenario.ts'
import { playByCounts, playByUnits, type SmallWorld, type SmallWorldCounts } from './unit-level.ts'

/** Three and a half hours in which everything happens: up, down, late hits, people who leave, return and change arms. */
export const SMALL_WORLD: SmallWorld = {
  habits: { leaving: 1 / 6, returning: 0.5, back: 1 / 120, isLate: true },
  visits: 5,
  ramp: [
    { hour: 0, share: 0.2 },
    { hour: 1.25, share: 0.5 },
    { hour: 2.5, share: 0.2 },
  ],
  blocks: 1260,
  base: 0.1,
  ratio: 1.5,
}

export const BY_COUNTS = 'a small world by counts'
export const BY_UNITS = 'a small world by units'

const ARMS = ['0 t', '0 c', '1 t', '1 c', '2 t', '2 c']
const FIGURES = ['x', 'atRisk', 'present', 'entered', 'firsts'] as const

/** What is compared, in the order of a run's figures. */
export const LAW_FIGURES: readonly string[] = ARMS.flatMap((arm) =>
  FIGURES.map((figure) => `${arm} ${figure}`),
)

function toFigures(counts: SmallWorldCounts): number[] {
  return ARMS.flatMap((arm) => FIGURES.map((figure) => counts.get(arm)?.[figure] ?? 0))
}

export function smallWorldByCounts(runs: number, world: SmallWorld = SMALL_WORLD): Scenario {
  const play = (seed: number, run: number) =>
    toFigures(playByCounts(new Random(seedOf(seed, BY_COUNTS), run), world))
  return { id: BY_COUNTS, runs, detectors: LAW_FIGURES, play }
}

export function smallWorldByUnits(runs: number, world: SmallWorld = SMALL_WORLD): Scenario {
  const play = (seed: number, run: number) =>
    toFigures(playByUnits(new Random(seedOf(seed, BY_UNITS), run), world))
  return { id: BY_UNITS, runs, detectors: LAW_FIGURES, play }
}

function momentsOf({ alarms }: Pick<Outcome, 'alarms'>, place: number): { mean: number; variance: number } {
  const values = alarms.map((run) => run[place] ?? 0)
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)
  return { mean, variance }
}

/** How far apart two means are, in standard errors, and how the variances compare. */
export type Difference = {
  readonly figure: string
  readonly mean: number
  readonly errors: number
  readonly varianceRatio: number
}

export function compareLaws(
  units: Pick<Outcome, 'alarms'>,
  counts: Pick<Outcome, 'alarms'>,
): readonly Difference[] {
  return LAW_FIGURES.map((figure, place) => {
    const [one, other] = [momentsOf(units, place), momentsOf(counts, place)]
    const error = Math.sqrt(one.variance / units.alarms.length + other.variance / counts.alarms.length)
    return {
      figure,
      mean: other.mean,
      errors: (one.mean - other.mean) / error,
      varianceRatio: one.variance / other.variance,
    }
  })
}
