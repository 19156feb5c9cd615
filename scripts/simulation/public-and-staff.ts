// One stratum of people who are ramped, and one of staff who get everything and fail twice as often, block by block.
import type { StratumCounts } from '../../src/statistics/guard-mixture.ts'
import type { ArmsCounts } from './detectors.ts'
import { type Habits, Population } from './population.ts'
import type { Random } from './random.ts'
import { BLOCKS_PER_MINUTE, edgesOf, type Ramp, Schedule } from './world.ts'

export type TwoStrataOptions = {
  readonly habits: Habits
  readonly ramp: Ramp
  /** Visits of the public in a minute, and of staff. */
  readonly visits: number
  readonly staff: number
  /** The chance that a visit goes bad, and how it moves. */
  readonly base: number
  readonly baseline: (block: number) => number
  readonly traffic: (block: number) => number
  /** How many times as often the treated go bad. */
  readonly ratio: (block: number) => number
}

type Counts<T> = { -readonly [field in keyof T]: T[field] }

/** The counts of the block that was played last. */
export class TwoStrata {
  readonly publicCounts: Counts<StratumCounts> = { xT: 0, nT: 0, xC: 0, nC: 0 }
  readonly publicArms: Counts<ArmsCounts> = { xT: 0, unitsT: 0, xC: 0, unitsC: 0 }
  /** Hits of the public, with the shares that are granted in place of who is at risk. */
  readonly grantedCounts: Counts<StratumCounts> = { xT: 0, nT: 0, xC: 0, nC: 0 }
  /** The public and staff as if they were one. */
  readonly pooledCounts: Counts<StratumCounts> = { xT: 0, nT: 0, xC: 0, nC: 0 }
  private readonly options: TwoStrataOptions
  private readonly schedule: Schedule
  private readonly edges: readonly number[]
  private readonly people: Population
  private readonly staff: Population | undefined
  private readonly chances: Float64Array
  private readonly staffChance = new Float64Array(1)

  constructor(random: Random, options: TwoStrataOptions) {
    const { habits, visits, staff } = options
    this.options = options
    this.schedule = new Schedule(options.ramp)
    this.edges = edgesOf(options.ramp)
    const ofBlock = (perMinute: number) => perMinute / BLOCKS_PER_MINUTE
    this.people = new Population(random, { habits, visits: ofBlock(visits), edges: this.edges, metrics: 1 })
    this.staff =
      staff > 0
        ? new Population(random, { habits, visits: ofBlock(staff), edges: [1], metrics: 1 })
        : undefined
    this.chances = new Float64Array(this.edges.length)
  }

  play(block: number): void {
    const { base, baseline, traffic, ratio } = this.options
    const { people, staff, edges, chances, publicCounts, publicArms, pooledCounts } = this
    const isNewStage = this.schedule.advance(block)
    const { share } = this.schedule
    const control = base * baseline(block)
    const treatment = control * ratio(block)
    for (let segment = 0; segment < edges.length; segment++) {
      chances[segment] = (edges[segment] ?? 1) <= share ? treatment : control
    }
    const visiting = traffic(block)
    people.play(block, chances, visiting, isNewStage)
    let xT = 0
    let nT = 0
    let xC = 0
    let nC = 0
    let unitsT = 0
    let unitsC = 0
    for (let segment = 0; segment < edges.length; segment++) {
      if ((edges[segment] ?? 1) <= share) {
        xT += people.x[segment] ?? 0
        nT += people.n[segment] ?? 0
        unitsT += people.starts[segment] ?? 0
      } else {
        xC += people.x[segment] ?? 0
        nC += people.n[segment] ?? 0
        unitsC += people.starts[segment] ?? 0
      }
    }
    publicArms.xT = publicCounts.xT = xT
    publicArms.xC = publicCounts.xC = xC
    const { grantedCounts } = this
    grantedCounts.xT = xT
    grantedCounts.nT = share
    grantedCounts.xC = xC
    grantedCounts.nC = 1 - share
    publicCounts.nT = nT
    publicCounts.nC = nC
    publicArms.unitsT = unitsT
    publicArms.unitsC = unitsC
    if (!staff) return
    this.staffChance[0] = Math.min(1, 2 * treatment)
    staff.play(block, this.staffChance, visiting, isNewStage)
    pooledCounts.xT = xT + (staff.x[0] ?? 0)
    pooledCounts.nT = nT + (staff.n[0] ?? 0)
    pooledCounts.xC = xC
    pooledCounts.nC = nC
  }
}
