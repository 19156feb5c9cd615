// Metrics in which most people are hit, and as they come: who is left at risk then says little of who comes next.
import { DOWN, UP } from '../../src/statistics/guard-mixture.ts'
import { Guard } from './detectors.ts'
import { HABITS } from './population.ts'
import { TwoStrata } from './public-and-staff.ts'
import { Random } from './random.ts'
import { blocksUntil, type Scenario, seedOf } from './scenario.ts'
import { BLOCKS_PER_DAY, movingTraffic, rampUpAndDown } from './world.ts'

export const MOST_HIT_DETECTORS: readonly string[] = [
  'more, nothing tolerated',
  'fewer, nothing tolerated',
  'more, 10 % tolerated',
  'fewer, 10 % tolerated',
  'more, against those at risk alone',
  'fewer, against those at risk alone',
]

export type MostHitOptions = {
  readonly id: string
  readonly base: number
  readonly visits: number
  readonly runs: number
}

/** A day of ramps up to half of the public, nothing wrong, hits that come with the visit; α 0.01. */
export function mostHit({ id, base, visits, runs }: MostHitOptions): Scenario {
  const play = (seed: number, run: number) => {
    const world = new TwoStrata(new Random(seedOf(seed, id), run), {
      habits: { ...HABITS, isLate: false },
      ramp: rampUpAndDown(0.5),
      visits,
      staff: 0,
      base,
      baseline: () => 1,
      traffic: movingTraffic,
      ratio: () => 1,
    })
    const alpha = [0.01]
    const guards = [
      new Guard(UP, 1, alpha),
      new Guard(DOWN, 1, alpha),
      new Guard(UP, 1.1, alpha),
      new Guard(DOWN, 0.9, alpha),
    ]
    const byRisk = [new Guard(UP, 1, alpha), new Guard(DOWN, 1, alpha)]
    const [atRisk, granted] = [[world.publicCounts], [world.grantedCounts]]
    for (let block = 0; block < BLOCKS_PER_DAY; block++) {
      world.play(block)
      for (const guard of guards) guard.take(block, atRisk, granted)
      for (const guard of byRisk) guard.take(block, atRisk)
    }
    return [...guards, ...byRisk].flatMap((guard) => {
      guard.look(BLOCKS_PER_DAY - 1)
      return guard.alarms.map((alarm) => blocksUntil(alarm))
    })
  }
  return { id, runs, detectors: MOST_HIT_DETECTORS, play }
}

export function mostHitScenarios(runs: number): Scenario[] {
  return [
    mostHit({ id: '5 % of visits, 1,000 a minute', base: 0.05, visits: 1000, runs }),
    mostHit({ id: '30 % of visits, 100 a minute', base: 0.3, visits: 100, runs }),
    mostHit({ id: '60 % of visits, 50 a minute', base: 0.6, visits: 50, runs }),
    mostHit({ id: '90 % of visits, 100 a minute', base: 0.9, visits: 100, runs }),
  ]
}
