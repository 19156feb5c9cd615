// Regressions, and how long each detector takes to find them.
import { UP } from '../../src/statistics/guard-mixture.ts'
import { ConfidenceSequence, FixedThreshold, Guard, NEVER, Oracle, RepeatedZTest } from './detectors.ts'
import { Z_99 } from './false-alarms.ts'
import { HABITS } from './population.ts'
import { TwoStrata } from './public-and-staff.ts'
import { Random } from './random.ts'
import { blocksUntil, type Scenario, seedOf } from './scenario.ts'
import { BLOCKS_PER_HOUR } from './world.ts'

export const DETECTORS: readonly string[] = [
  'guard',
  'guard, 10 % tolerated',
  'the same, fewer ratios',
  'threshold',
  'z 0.01',
  'sequence 0.05',
  'sequence 0.01',
  'oracle',
]

export type DetectionOptions = {
  readonly id: string
  readonly base: number
  readonly ratio: number
  readonly exposure: number
  /** The hour in which it begins. */
  readonly hour: number
  readonly isLate: boolean
  readonly runs: number
}

const ALPHA = 0.01
/** Instead of six: quicker for what is found in minutes, blind to less than half as much again. */
const FEWER_RATIOS: readonly number[] = [1.5, 2, 3, 5]

/** The product's guards that are compared, in the order of DETECTORS. */
export function makeGuards(): Guard[] {
  return [new Guard(UP, 1, [ALPHA]), new Guard(UP, 1.1, [ALPHA]), new Guard(FEWER_RATIOS, 1.1, [ALPHA])]
}

/** For how long a regression is waited for. */
const PATIENCE_BLOCKS = 6 * BLOCKS_PER_HOUR

/** 1,000 visits a minute, of which a share is treated; nothing else moves. */
export function detection({ id, base, ratio, exposure, hour, isLate, runs }: DetectionOptions): Scenario {
  const begin = hour * BLOCKS_PER_HOUR
  const play = (seed: number, run: number) => {
    const world = new TwoStrata(new Random(seedOf(seed, id), run), {
      habits: { ...HABITS, isLate },
      ramp: [{ hour: 0, share: exposure }],
      visits: 1000,
      staff: 0,
      base,
      baseline: () => 1,
      traffic: () => 1,
      ratio: (block) => (block < begin ? 1 : ratio),
    })
    const guards = makeGuards()
    const peers = [
      new FixedThreshold(2 * base),
      new RepeatedZTest(Z_99),
      new ConfidenceSequence(0.05),
      new ConfidenceSequence(ALPHA),
    ]
    const oracle = new Oracle(base, ratio, ALPHA)
    const strata = [world.publicCounts]
    const granted = [world.grantedCounts]
    const isWaited = () =>
      guards.some(({ alarms }) => alarms[0] === NEVER) ||
      peers.some(({ alarm }) => alarm === NEVER) ||
      oracle.alarm === NEVER
    for (let block = 0; block < begin + PATIENCE_BLOCKS && isWaited(); block++) {
      world.play(block)
      for (const guard of guards) guard.take(block, strata, granted)
      for (const peer of peers) peer.take(block, world.publicArms)
      if (block >= begin) oracle.take(block, world.publicArms)
    }
    const alarms = [
      ...guards.flatMap((guard) => guard.alarms),
      ...peers.map(({ alarm }) => alarm),
      oracle.alarm,
    ]
    return alarms.map((alarm) => blocksUntil(alarm, begin))
  }
  return { id, runs, detectors: DETECTORS, play }
}

export function detectionScenarios(runs: number): Scenario[] {
  const common = { base: 0.005, ratio: 4, exposure: 0.1, hour: 0, isLate: false, runs }
  return [
    detection({ ...common, id: '0.5 → 2 %, from the start' }),
    detection({ ...common, id: '0.5 → 2 %, at hour 24', hour: 24 }),
    detection({ ...common, id: '0.5 → 20 %, from the start', ratio: 40 }),
    detection({ ...common, id: '0.5 → 1 %, from the start', ratio: 2 }),
    detection({ ...common, id: '0.5 → 2 %, 1 % treated', exposure: 0.01 }),
    detection({ ...common, id: '0.5 → 2 %, 50 % treated', exposure: 0.5 }),
    detection({ ...common, id: '0.5 → 2 %, hits 1 min to 1 h late', isLate: true }),
  ]
}
