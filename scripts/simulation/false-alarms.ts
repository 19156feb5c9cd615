// Rollouts in which nothing is wrong: the treated fail as often as everybody else.
import { UP } from '../../src/statistics/guard-mixture.ts'
import { ConfidenceSequence, FixedThreshold, Guard, RepeatedZTest } from './detectors.ts'
import { HABITS } from './population.ts'
import { TwoStrata } from './public-and-staff.ts'
import { Random } from './random.ts'
import { blocksUntil, type Scenario, seedOf } from './scenario.ts'
import { BLOCKS_PER_DAY, movingBaseline, movingTraffic, rampUpAndDown } from './world.ts'

export const BASES: readonly number[] = [0.001, 0.005, 0.05]
export const EXPOSURES: readonly number[] = [0.01, 0.1, 0.5]

/** The standard normal distribution's 99 % quantile. */
export const Z_99 = 2.3263478740408408

export const FALSE_ALARM_DETECTORS: readonly string[] = [
  'guard 0.05',
  'guard 0.01',
  'pooled 0.01',
  'threshold',
  'z 0.01',
  'sequence 0.05',
]

export function falseAlarmId(base: number, exposure: number): string {
  return `nothing wrong, base ${base}, exposure ${exposure}`
}

export type FalseAlarmOptions = {
  readonly id: string
  readonly base: number
  readonly exposure: number
  /** How many times as often the treated fail, which is tolerated. */
  readonly tolerated: number
  readonly blocks: number
  readonly runs: number
}

/** Three days of ramps up and down, a moving baseline, late hits, and 2 % staff who get everything and fail twice as often. */
export function falseAlarms({ id, base, exposure, tolerated, blocks, runs }: FalseAlarmOptions): Scenario {
  const play = (seed: number, run: number) => {
    const world = new TwoStrata(new Random(seedOf(seed, id), run), {
      habits: HABITS,
      ramp: rampUpAndDown(exposure),
      visits: 1000,
      staff: 20,
      base,
      baseline: movingBaseline,
      traffic: movingTraffic,
      ratio: () => tolerated,
    })
    const guard = new Guard(UP, tolerated, [0.05, 0.01])
    const pooled = new Guard(UP, tolerated, [0.01])
    const peers = [new FixedThreshold(2 * base), new RepeatedZTest(Z_99), new ConfidenceSequence(0.05)]
    const ofStratum = [world.publicCounts]
    const ofShares = [world.grantedCounts]
    const ofAll = [world.pooledCounts]
    for (let block = 0; block < blocks; block++) {
      world.play(block)
      guard.take(block, ofStratum, ofShares)
      pooled.take(block, ofAll)
      for (const peer of peers) peer.take(block, world.publicArms)
      if ((block + 1) % BLOCKS_PER_DAY === 0) guard.look(block)
    }
    return [...guard.alarms, ...pooled.alarms, ...peers.map(({ alarm }) => alarm)].map((alarm) =>
      blocksUntil(alarm),
    )
  }
  return { id, runs, detectors: FALSE_ALARM_DETECTORS, play }
}

/** A row for each base and exposure, and one in which the treated are just as much worse as is tolerated. */
export const AT_TOLERANCE = 'just as much worse as is tolerated'

export function falseAlarmScenarios(runs: number): Scenario[] {
  const blocks = 3 * BLOCKS_PER_DAY
  const rows = BASES.flatMap((base) =>
    EXPOSURES.map((exposure) =>
      falseAlarms({ id: falseAlarmId(base, exposure), base, exposure, tolerated: 1, blocks, runs }),
    ),
  )
  return [...rows, falseAlarms({ id: AT_TOLERANCE, base: 0.05, exposure: 0.5, tolerated: 1.1, blocks, runs })]
}
