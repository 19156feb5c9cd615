// All scenarios of the table.
import { detectionScenarios } from './detection.ts'
import { falseAlarmScenarios } from './false-alarms.ts'
import { latencyScenarios } from './latency.ts'
import { smallWorldByCounts, smallWorldByUnits } from './law.ts'
import { atLimit } from './limits.ts'
import { mostHitScenarios } from './most-hit.ts'
import type { Scenario } from './scenario.ts'
import { wholeRollout } from './whole-rollout.ts'

/** The seed of the table in docs/statistics.md. */
export const SEED = 5

/** @param scale of the numbers of runs: 1 is the table's */
export function scenarios(scale = 1): Scenario[] {
  const runs = (count: number) => Math.max(2, Math.round(count * scale))
  return [
    ...falseAlarmScenarios(runs(2000)),
    ...detectionScenarios(runs(2000)),
    ...latencyScenarios(runs(2000)),
    wholeRollout(runs(2000)),
    atLimit(runs(2000)),
    ...mostHitScenarios(runs(1000)),
    smallWorldByUnits(runs(200)),
    smallWorldByCounts(runs(2000)),
  ]
}
