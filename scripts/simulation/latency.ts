// Latencies, lognormal, by the share of units above a value that was frozen before.
import normalCdf from '@stdlib/stats-base-dists-normal-cdf'
import { LogHistogram } from '../../src/statistics/log-histogram.ts'
import { DETECTORS, makeGuards } from './detection.ts'
import { ConfidenceSequence, FixedThreshold, NEVER, Oracle, RepeatedZTest } from './detectors.ts'
import { Z_99 } from './false-alarms.ts'
import { Random } from './random.ts'
import { blocksUntil, type Scenario, seedOf } from './scenario.ts'
import { BLOCKS_PER_DAY, BLOCKS_PER_HOUR, BLOCKS_PER_MINUTE } from './world.ts'

const SIGMA = 0.6
const MEDIAN_MS = 200
const UNITS_PER_MINUTE = 1000
const ALPHA = 0.01

export type LatencyOptions = {
  readonly id: string
  /** How many times as slow the treated are. */
  readonly slower: number
  readonly exposure: number
  /** Observations that the 95 % quantile was frozen from. */
  readonly frozenFrom: number
  readonly blocks: number
  readonly runs: number
}

function freeze(random: Random, observations: number): number {
  const histogram = new LogHistogram()
  for (let index = 0; index < observations; index++) {
    histogram.add(MEDIAN_MS * Math.exp(SIGMA * random.normal()))
  }
  return histogram.quantile(0.95)
}

/** 1,000 new units a minute with one observation each, compared with a frozen 95 % quantile. */
export function latency({ id, slower, exposure, frozenFrom, blocks, runs }: LatencyOptions): Scenario {
  const play = (seed: number, run: number) => {
    const random = new Random(seedOf(seed, id), run)
    const bound = freeze(random, frozenFrom)
    const aboveBy = (times: number) => 1 - normalCdf(Math.log(bound / (MEDIAN_MS * times)) / SIGMA, 0, 1)
    const [shareT, shareC] = [aboveBy(slower), aboveBy(1)]
    const guards = makeGuards()
    const peers = [
      new FixedThreshold(0.1),
      new RepeatedZTest(Z_99),
      new ConfidenceSequence(0.05),
      new ConfidenceSequence(ALPHA),
      new Oracle(shareC, shareT / shareC, ALPHA),
    ]
    const counts = { xT: 0, nT: 0, xC: 0, nC: 0, unitsT: 0, unitsC: 0 }
    const strata = [counts]
    const perBlock = UNITS_PER_MINUTE / BLOCKS_PER_MINUTE
    const isWaited = () =>
      guards.some(({ alarms }) => alarms[0] === NEVER) || peers.some(({ alarm }) => alarm === NEVER)
    for (let block = 0; block < blocks && isWaited(); block++) {
      counts.nT = counts.unitsT = random.poisson(perBlock * exposure)
      counts.nC = counts.unitsC = random.poisson(perBlock * (1 - exposure))
      counts.xT = random.binomial(counts.nT, shareT)
      counts.xC = random.binomial(counts.nC, shareC)
      for (const guard of guards) guard.take(block, strata)
      for (const peer of peers) peer.take(block, counts)
    }
    for (const guard of guards) guard.look(blocks - 1)
    const alarms = [...guards.flatMap((guard) => guard.alarms), ...peers.map(({ alarm }) => alarm)]
    return alarms.map((alarm) => blocksUntil(alarm))
  }
  return { id, runs, detectors: DETECTORS, play }
}

export const SAME_LATENCY = 'latency, nothing wrong'

export function latencyScenarios(runs: number): Scenario[] {
  const common = { slower: 1.2, exposure: 0.1, frozenFrom: 60_000, blocks: 6 * BLOCKS_PER_HOUR, runs }
  return [
    latency({ ...common, id: 'p95 +20 %, from the start' }),
    latency({ ...common, id: 'p95 +20 %, frozen from 400 observations', frozenFrom: 400 }),
    latency({ ...common, id: 'p95 +20 %, 15 % treated', exposure: 0.15 }),
    latency({ ...common, id: 'p95 +50 %, from the start', slower: 1.5 }),
    latency({ ...common, id: SAME_LATENCY, slower: 1, frozenFrom: 400, blocks: BLOCKS_PER_DAY }),
  ]
}
