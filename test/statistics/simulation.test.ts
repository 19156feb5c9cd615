// A small part of what `npm run simulate` plays at length. Seeded: it says the same every time.
import { describe, expect, it } from 'vitest'
import { DETECTORS, detection } from '../../scripts/simulation/detection.ts'
import { FALSE_ALARM_DETECTORS, falseAlarms } from '../../scripts/simulation/false-alarms.ts'
import { alarmsWithin, Delays } from '../../scripts/simulation/figures.ts'
import { latency } from '../../scripts/simulation/latency.ts'
import {
  compareLaws,
  SMALL_WORLD,
  smallWorldByCounts,
  smallWorldByUnits,
} from '../../scripts/simulation/law.ts'
import { atLimit } from '../../scripts/simulation/limits.ts'
import { MOST_HIT_DETECTORS, mostHit } from '../../scripts/simulation/most-hit.ts'
import { Random } from '../../scripts/simulation/random.ts'
import type { Scenario } from '../../scripts/simulation/scenario.ts'
import { ROLLOUT_DETECTORS, wholeRollout } from '../../scripts/simulation/whole-rollout.ts'
import { BLOCKS_PER_DAY } from '../../scripts/simulation/world.ts'

const SEED = 1

function play({ runs, play: playRun }: Scenario): number[][] {
  return Array.from({ length: runs }, (_, run) => playRun(SEED, run))
}

function columnOf(alarms: readonly (readonly number[])[], names: readonly string[], name: string): number[] {
  const place = names.indexOf(name)
  return alarms.map((run) => run[place] ?? Number.NaN)
}

/** The most alarms that so many runs have, but once in 10,000 times, if each has one with probability α. */
function mostAlarms(runs: number, alpha: number): number {
  let term = (1 - alpha) ** runs
  let below = term
  let most = 0
  while (below < 0.9999) {
    most++
    term *= ((runs - most + 1) / most) * (alpha / (1 - alpha))
    below += term
  }
  return most
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

describe('draws', () => {
  const random = new Random(SEED)
  const DRAWS = 20_000

  it.each([
    ['Poisson, few', () => random.poisson(0.3), 0.3, 0.3],
    ['Poisson, some', () => random.poisson(7), 7, 7],
    ['Poisson, many', () => random.poisson(120), 120, 120],
    ['binomial, few', () => random.binomial(12, 0.02), 0.24, 0.2352],
    ['binomial, some', () => random.binomial(40, 0.9), 36, 3.6],
    ['binomial, many', () => random.binomial(5000, 1 / 30), 500 / 3, (5000 / 30) * (29 / 30)],
    ['geometric', () => random.geometric(0.2), 4, 20],
    ['normal', () => random.normal(), 0, 1],
  ] as const)('%s have their mean and variance', (_, draw, expected, variance) => {
    const drawn = Array.from({ length: DRAWS }, draw)
    expect(Math.abs(mean(drawn) - expected)).toBeLessThan(4 * Math.sqrt(variance / DRAWS))
    const spread = mean(drawn.map((value) => (value - expected) ** 2))
    expect(spread / variance).toBeGreaterThan(0.9)
    expect(spread / variance).toBeLessThan(1.1)
  })
})

describe('people by counts', () => {
  const units = { alarms: play(smallWorldByUnits(25)) }

  const counts = { alarms: play(smallWorldByCounts(300)) }

  it('have the law of people one by one, who go through the counting of the product', () => {
    const errors = compareLaws(units, counts).map((difference) => Math.abs(difference.errors))
    expect(Math.max(...errors)).toBeLessThan(4)
  })

  it('would be told from others', () => {
    const onTime = { ...SMALL_WORLD, habits: { ...SMALL_WORLD.habits, isLate: false } }
    const others = { alarms: play(smallWorldByCounts(300, onTime)) }
    const errors = compareLaws(units, others).map((difference) => Math.abs(difference.errors))
    expect(Math.max(...errors)).toBeGreaterThan(4)
  })
})

describe('a day in which nothing is wrong', () => {
  const RUNS = 120
  const alarms = play(
    falseAlarms({
      id: 'day',
      base: 0.005,
      exposure: 0.1,
      tolerated: 1,
      blocks: BLOCKS_PER_DAY,
      runs: RUNS,
    }),
  )
  const count = (name: string) => alarmsWithin(columnOf(alarms, FALSE_ALARM_DETECTORS, name), BLOCKS_PER_DAY)

  it('alarms no more than it may, through ramps up and down', () => {
    expect(count('guard 0.05')).toBeLessThanOrEqual(mostAlarms(RUNS, 0.05))
    expect(count('guard 0.01')).toBeLessThanOrEqual(mostAlarms(RUNS, 0.01))
  })

  it('is too much for who pools staff with the public, who tests over and over, and who sets thresholds', () => {
    expect(count('pooled 0.01')).toBeGreaterThan(mostAlarms(RUNS, 0.01))
    expect(count('z 0.01')).toBeGreaterThan(mostAlarms(RUNS, 0.01))
    expect(count('threshold')).toBe(RUNS)
  })
})

describe('whole rollouts with five guardrails', () => {
  it('roll back falsely no more than they may', () => {
    const alarms = play(wholeRollout(6))
    for (const [name, alpha] of [
      ['any guard, α 0.05', 0.05],
      ['any guard, α 0.01', 0.01],
      ['sample ratio', 0.001],
    ] as const) {
      const count = alarmsWithin(columnOf(alarms, ROLLOUT_DETECTORS, name), BLOCKS_PER_DAY)
      expect(count, name).toBeLessThanOrEqual(mostAlarms(6, alpha))
    }
  })

  it('would, were staff not in a stratum of their own', () => {
    const alarms = play(wholeRollout(2, false))
    const count = alarmsWithin(columnOf(alarms, ROLLOUT_DETECTORS, 'any guard, α 0.01'), BLOCKS_PER_DAY)
    expect(count).toBe(2)
  })

  it('hold a limit that people who keep coming back just meet, and not one of half as much', () => {
    const count = (limit: number) => play(atLimit(10, limit)).filter(([alarm]) => !Number.isNaN(alarm)).length
    expect(count(0.05)).toBeLessThanOrEqual(mostAlarms(10, 0.05))
    expect(count(0.025)).toBe(10)
  })
})

describe('a regression', () => {
  const common = { base: 0.005, ratio: 4, exposure: 0.1, hour: 0, isLate: false, runs: 400 }
  const delaysOf = (scenario: Scenario) => {
    const alarms = play(scenario)
    return (name: string) => new Delays(columnOf(alarms, DETECTORS, name))
  }

  it('from 0.5 to 2 % is found in 6 minutes, 9 times in 10 in 12', () => {
    const delays = delaysOf(detection({ ...common, id: 'four times' }))
    expect(delays('guard').quantile(0.5)).toBeLessThanOrEqual(6)
    expect(delays('guard').quantile(0.9)).toBeLessThanOrEqual(12)
    expect(delays('oracle').quantile(0.5)).toBeGreaterThan(delays('guard').quantile(0.5) / 2)
  })

  it('from 0.5 to 20 % is found in a minute', () => {
    const delays = delaysOf(detection({ ...common, id: 'forty times', ratio: 40 }))
    expect(delays('guard').quantile(0.9)).toBeLessThanOrEqual(1)
    expect(delays('guard, 10 % tolerated').quantile(0.9)).toBeLessThanOrEqual(1)
  })

  it('that begins after a day is found in 15 minutes, by who never begins anew in an hour', () => {
    const delays = delaysOf(detection({ ...common, id: 'late', hour: 24, runs: 40 }))
    const guard = delays('guard')
    expect(guard.quantile(0.5) - 2 * guard.errorOf(0.5)).toBeLessThanOrEqual(15)
    expect(guard.quantile(0.5)).toBeLessThan(20)
    expect(delays('sequence 0.05').quantile(0.5)).toBeGreaterThan(60)
  })

  it('of the p95 by 20 % is found in 6 minutes', () => {
    const delays = delaysOf(
      latency({
        id: 'slower',
        slower: 1.2,
        exposure: 0.1,
        frozenFrom: 5000,
        blocks: BLOCKS_PER_DAY,
        runs: 300,
      }),
    )
    expect(delays('guard').quantile(0.5)).toBeLessThanOrEqual(6)
  })
})

describe('where most are hit as they come', () => {
  const RUNS = 40
  const alarms = play(mostHit({ id: 'most', base: 0.9, visits: 50, runs: RUNS }))
  const alarmed = (name: string) => alarmsWithin(columnOf(alarms, MOST_HIT_DETECTORS, name), BLOCKS_PER_DAY)

  it.each(MOST_HIT_DETECTORS.slice(0, 4))('hits count by the less of two comparisons: %s', (name) => {
    expect(alarmed(name)).toBeLessThanOrEqual(mostAlarms(RUNS, 0.01))
  })

  it.each(MOST_HIT_DETECTORS.slice(4))('one alone would be wrong: %s', (name) => {
    expect(alarmed(name)).toBeGreaterThan(mostAlarms(RUNS, 0.01))
  })
})
