// A limit that is just met, by people who come back every day: a guard against a limit through the product's evidence.
import { newEvidence } from '../../src/rollouts/evidence/evidence.ts'
import type { Ground } from '../../src/rollouts/evidence/processes.ts'
import { readEvidence } from '../../src/rollouts/evidence/read-evidence.ts'
import { takeBlocks } from '../../src/rollouts/evidence/take-blocks.ts'
import { BLOCK_MS, type GuardBlock } from '../../src/telemetry/counting/blocks.ts'
import { makeGround, makePlan, START } from './plans.ts'
import { HABITS, Population } from './population.ts'
import { Random } from './random.ts'
import { type Scenario, seedOf } from './scenario.ts'
import { BLOCKS_PER_DAY, BLOCKS_PER_HOUR, BLOCKS_PER_MINUTE } from './world.ts'

export const AT_LIMIT = 'a limit that is just met'
export const LIMIT_DETECTORS: readonly string[] = ['guard 0.05', 'guard 0.01']

/** Nearly everybody comes back six hours later, so that a unit that is hit in a day had three or four visits for it. */
const REGULARS = { ...HABITS, returning: 0.98 }
const BASE = 0.0166
/** What share of the units of a day is hit then, nearly. */
const LIMIT = 0.05

function toBlock(population: Population, block: number): GuardBlock {
  const { x, n, entered, firsts } = population
  return {
    start: START + block * BLOCK_MS,
    measurement: 'r1',
    stage: 1,
    stratum: '1',
    arm: 't',
    firsts: firsts[0] ?? 0,
    entered: entered[0] ?? 0,
    live: 0,
    firstLive: 0,
    ignored: 0,
    metrics: [{ metric: 'errors', x: x[0] ?? 0, n: n[0] ?? 0, bounds: [] }],
  }
}

/** One stage of a day with 100 visits of treated regulars in a minute. */
export function atLimit(runs: number, limit = LIMIT): Scenario {
  const test = { kind: 'threshold', side: 'above', limit, quantile: null, literal: null } as const
  const guardrails = [
    { id: 'errors-1', metric: 'errors', test, action: 'rollback', mode: 'immediate' },
  ] as const
  const grounds: Ground[] = [0.05, 0.01].map((alpha) => makeGround(makePlan({ alpha, guardrails })))
  const play = (seed: number, run: number) => {
    const random = new Random(seedOf(seed, AT_LIMIT), run)
    const visits = 100 / BLOCKS_PER_MINUTE
    const people = new Population(random, { habits: REGULARS, visits, edges: [1], metrics: 2 })
    const alarms = [Number.NaN, Number.NaN]
    let evidence = newEvidence(START)
    for (let hour = 1; hour <= BLOCKS_PER_DAY / BLOCKS_PER_HOUR; hour++) {
      const blocks: GuardBlock[] = []
      for (let block = (hour - 1) * BLOCKS_PER_HOUR; block < hour * BLOCKS_PER_HOUR; block++) {
        people.play(block, [BASE, 0], 1, block === 0)
        blocks.push(toBlock(people, block))
      }
      const through = START + hour * BLOCKS_PER_HOUR * BLOCK_MS
      for (const [index, ground] of grounds.entries()) {
        if (index === 0) evidence = takeBlocks(evidence, ground, { through, blocks })
        const [guard] = readEvidence(evidence, ground).guards
        if (guard?.verdict === 'broken' && Number.isNaN(alarms[index])) alarms[index] = hour * BLOCKS_PER_HOUR
      }
    }
    return alarms
  }
  return { id: AT_LIMIT, runs, detectors: LIMIT_DETECTORS, play }
}
