// A whole rollout through the product's own evidence: staff first, then a region, then everyone, up, down and up again;
// five guardrails, seven processes, the sample ratio and the signs of life, all at once and nothing wrong.
import normalCdf from '@stdlib/stats-base-dists-normal-cdf'
import normalQuantile from '@stdlib/stats-base-dists-normal-quantile'
import { newEvidence } from '../../src/rollouts/evidence/evidence.ts'
import type { Ground } from '../../src/rollouts/evidence/processes.ts'
import { readEvidence } from '../../src/rollouts/evidence/read-evidence.ts'
import { takeBlocks } from '../../src/rollouts/evidence/take-blocks.ts'
import type { Reading } from '../../src/rollouts/observations.ts'
import type { Guardrail, Plan } from '../../src/rollouts/plan.ts'
import { BLOCK_MS, type GuardBlock } from '../../src/telemetry/counting/blocks.ts'
import { makeGround, makePlan, makeStage, START } from './plans.ts'
import { HABITS, Population } from './population.ts'
import { Random } from './random.ts'
import { type Scenario, seedOf } from './scenario.ts'
import { BLOCKS_PER_DAY, BLOCKS_PER_HOUR, BLOCKS_PER_MINUTE, movingBaseline, movingTraffic } from './world.ts'

export const ROLLOUT_DETECTORS: readonly string[] = [
  'any guard, α 0.05',
  'any guard, α 0.01',
  'treatment silent',
  'sample ratio',
]

const MEASUREMENT = 'r1'
const ERRORS = 0.005
const ORDERS = 0.05
const SIGMA = 0.6
const MEDIAN_MS = 200
/** What 95 % of the latencies do not exceed: the limit is met to the letter. */
const P95_MS = MEDIAN_MS * Math.exp(SIGMA * normalQuantile(0.95, 0, 1))

const COMPARED = { kind: 'regression', tolerance: 0, quantile: null } as const
const LIMITED = { kind: 'threshold', side: 'above', literal: null } as const

const GUARDRAILS: readonly Guardrail[] = [
  { id: 'errors-1', metric: 'errors', test: COMPARED, action: 'rollback', mode: 'partial' },
  { id: 'orders-1', metric: 'orders', test: COMPARED, action: 'rollback', mode: 'immediate' },
  {
    id: 'latency-1',
    metric: 'latency',
    test: { ...COMPARED, quantile: 0.95 },
    action: 'rollback',
    mode: 'immediate',
  },
  {
    id: 'errors-2',
    metric: 'errors',
    test: { ...LIMITED, limit: 0.05, quantile: null },
    action: 'rollback',
    mode: 'immediate',
  },
  {
    id: 'latency-2',
    metric: 'latency',
    test: { ...LIMITED, limit: P95_MS, quantile: 0.95 },
    action: 'rollback',
    mode: 'immediate',
  },
]

function planWith(alpha: number): Plan {
  const stages = [
    makeStage('staff', 'staff', 100),
    makeStage('region', 'region', 50),
    makeStage('10 %', null, 10),
    makeStage('25 %', null, 25),
    makeStage('50 %', null, 50),
  ]
  return makePlan({ stages, alpha, guardrails: GUARDRAILS })
}

/** What is granted from which hour on: the stage, and what everyone is given by hand. */
const EPOCHS: readonly { readonly hour: number; readonly stage: number; readonly byHand: number | null }[] = [
  { hour: 0, stage: 0, byHand: null },
  { hour: 1, stage: 1, byHand: null },
  { hour: 3, stage: 2, byHand: null },
  { hour: 6, stage: 3, byHand: null },
  { hour: 9, stage: 3, byHand: 10 },
  { hour: 12, stage: 3, byHand: null },
  { hour: 15, stage: 4, byHand: null },
]

const EVERYONE = 2

function groundOf(plan: Plan, epoch: number, frozen: number): Ground {
  const { stage, byHand } = EPOCHS[epoch] ?? { stage: 0, byHand: null }
  return makeGround(plan, {
    stage,
    epoch: epoch + 1,
    overrides: byHand === null ? {} : { [EVERYONE]: byHand },
    frozen: { 'latency-1': frozen },
  })
}

/** One audience's people. */
type People = {
  readonly population: Population
  readonly edges: readonly number[]
  /** How many times as often they fail. */
  readonly failing: number
  /** The stage in which they are reached. */
  readonly since: number
  /** Which grants' audiences they are in, before everyone is reached and after. */
  readonly strata: readonly [before: string, after: string]
  /** The share of them that is treated, in each epoch. */
  readonly shareIn: (epoch: number) => number
}

function everyonesShare(epoch: number): number {
  const { stage, byHand } = EPOCHS[epoch] ?? { stage: 0, byHand: null }
  return byHand === null ? ([0, 0, 0.1, 0.25, 0.5][stage] ?? 0) : byHand / 100
}

function peopleOf(random: Random): People[] {
  const make = (visits: number, edges: readonly number[]) =>
    new Population(random, { habits: HABITS, visits: visits / BLOCKS_PER_MINUTE, edges, metrics: 2 })
  const edges = [0.1, 0.25, 0.5, 1]
  return [
    { population: make(100, [1]), edges: [1], failing: 2, since: 0, strata: ['1', '5'], shareIn: () => 1 },
    {
      population: make(100, [0.5, 1]),
      edges: [0.5, 1],
      failing: 1,
      since: 1,
      strata: ['2', '6'],
      shareIn: () => 0.5,
    },
    {
      population: make(900, edges),
      edges,
      failing: 1,
      since: EVERYONE,
      strata: ['4', '4'],
      shareIn: everyonesShare,
    },
  ]
}

/** Observations of latency against both values that they are compared with: of each unit the first. */
function observe(random: Random, units: number, bounds: readonly number[]) {
  let left = units
  let share = 1
  return bounds.map((bound) => {
    const above = 1 - normalCdf(Math.log(bound / MEDIAN_MS) / SIGMA, 0, 1)
    left = random.binomial(left, above / share)
    share = above
    return { bound, units, unitsAbove: left, observations: units, above: left }
  })
}

function toBlock(
  random: Random,
  { population, edges }: People,
  place: { readonly block: number; readonly epoch: number; readonly stratum: string },
  isTreated: (edge: number) => boolean,
  arm: 't' | 'c',
  bounds: readonly number[],
): GuardBlock {
  let [firsts, entered] = [0, 0]
  const x = [0, 0]
  const n = [0, 0]
  for (const [segment, edge] of edges.entries()) {
    if (isTreated(edge) !== (arm === 't')) continue
    firsts += population.firsts[segment] ?? 0
    entered += population.entered[segment] ?? 0
    for (const index of [0, 1]) {
      x[index] = (x[index] ?? 0) + (population.x[2 * segment + index] ?? 0)
      n[index] = (n[index] ?? 0) + (population.n[2 * segment + index] ?? 0)
    }
  }
  // Nine in ten send something when they come.
  const live = random.binomial(entered, 0.9)
  return {
    start: START + place.block * BLOCK_MS,
    measurement: MEASUREMENT,
    stage: place.epoch + 1,
    stratum: place.stratum,
    arm,
    firsts,
    entered,
    live,
    firstLive: live,
    ignored: 0,
    metrics: [
      { metric: 'errors', x: x[0] ?? 0, n: n[0] ?? 0, bounds: [] },
      { metric: 'latency', x: 0, n: n[0] ?? 0, bounds: entered > 0 ? observe(random, entered, bounds) : [] },
      { metric: 'orders', x: x[1] ?? 0, n: n[1] ?? 0, bounds: [] },
    ],
  }
}

function playBlock(
  random: Random,
  people: readonly People[],
  block: number,
  epoch: number,
  bounds: readonly number[],
): GuardBlock[] {
  const blocks: GuardBlock[] = []
  const stage = EPOCHS[epoch]?.stage ?? 0
  const isNewEpoch = EPOCHS[epoch]?.hour === block / BLOCKS_PER_HOUR
  const moved = movingBaseline(block)
  for (const one of people) {
    if (stage < one.since) continue
    const chances = one.edges.flatMap(() => [ERRORS * moved * one.failing, ORDERS * moved])
    one.population.play(block, chances, movingTraffic(block), isNewEpoch)
    const share = one.shareIn(epoch)
    const stratum = one.strata[stage < EVERYONE ? 0 : 1]
    const place = { block, epoch, stratum }
    blocks.push(toBlock(random, one, place, (edge) => edge <= share, 't', bounds))
    if (share < 1) blocks.push(toBlock(random, one, place, (edge) => edge <= share, 'c', bounds))
  }
  return blocks
}

/** Notes the hour in which something was first said. */
function note(alarms: number[], hour: number, readings: readonly Reading[]): void {
  const isBroken = ({ guards }: Reading) => guards.some(({ verdict }) => verdict === 'broken')
  const [reading] = readings
  const said = [
    ...readings.map(isBroken),
    reading?.life.verdict === 'treatment_silent',
    reading?.sampleRatio.mismatch === true,
  ]
  for (const [index, is] of said.entries()) {
    if (is && Number.isNaN(alarms[index])) alarms[index] = (hour + 1) * BLOCKS_PER_HOUR
  }
}

/** The value of the latest of 400 control observations' 95 % quantile, with what chance makes of it. */
function freeze(random: Random): number {
  const share = 0.05 + random.normal() * Math.sqrt((0.05 * 0.95) / 400)
  return MEDIAN_MS * Math.exp(SIGMA * normalQuantile(1 - Math.max(0.01, share), 0, 1))
}

export const WHOLE_ROLLOUT = 'a whole rollout, nothing wrong'

/** Adds the counts of a block to those of another. */
function addBlock(sum: GuardBlock, more: GuardBlock): GuardBlock {
  const metrics = sum.metrics.map((metric, index) => {
    const { x, n, bounds } = more.metrics[index] ?? { x: 0, n: 0, bounds: [] }
    return {
      ...metric,
      x: metric.x + x,
      n: metric.n + n,
      bounds: metric.bounds.length > 0 ? metric.bounds : bounds,
    }
  })
  return { ...sum, entered: sum.entered + more.entered, firsts: sum.firsts + more.firsts, metrics }
}

/** Blocks as they would be if staff had everyone's stratum. */
function withStaffAmongAll(blocks: readonly GuardBlock[]): GuardBlock[] {
  const staff = blocks.find(({ stratum }) => stratum === '5')
  return blocks
    .filter((block) => block !== staff)
    .map((block) => (staff && block.stratum === '4' && block.arm === 't' ? addBlock(block, staff) : block))
}

/**
 * A day of it, read every hour: what evidence has come to at most in between is in it.
 * @param isStaffApart false: what comes of it when staff, who fail twice as often, are not in a stratum of their own
 */
export function wholeRollout(runs: number, isStaffApart = true): Scenario {
  const plans = [planWith(0.05), planWith(0.01)]
  const play = (seed: number, run: number) => {
    const random = new Random(seedOf(seed, WHOLE_ROLLOUT), run)
    const people = peopleOf(random)
    const frozen = freeze(random)
    const bounds = [frozen, P95_MS].sort((a, b) => a - b)
    const alarms = ROLLOUT_DETECTORS.map(() => Number.NaN)
    let evidence = newEvidence(START)
    let epoch = -1
    for (let hour = 0; hour < BLOCKS_PER_DAY / BLOCKS_PER_HOUR; hour++) {
      if (EPOCHS[epoch + 1]?.hour === hour) epoch++
      const grounds = plans.map((plan) => groundOf(plan, epoch, frozen))
      const blocks: GuardBlock[] = []
      for (let block = hour * BLOCKS_PER_HOUR; block < (hour + 1) * BLOCKS_PER_HOUR; block++) {
        const played = playBlock(random, people, block, epoch, bounds)
        blocks.push(...(isStaffApart ? played : withStaffAmongAll(played)))
      }
      const through = START + (hour + 1) * BLOCKS_PER_HOUR * BLOCK_MS
      // Evidence does not depend on α: that of both plans is one.
      const [ground] = grounds
      if (ground) evidence = takeBlocks(evidence, ground, { through, blocks })
      note(
        alarms,
        hour,
        grounds.map((ground) => readEvidence(evidence, ground)),
      )
    }
    return alarms
  }
  return { id: WHOLE_ROLLOUT, runs, detectors: ROLLOUT_DETECTORS, play }
}
