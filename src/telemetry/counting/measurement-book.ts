// What is kept of one measurement besides its units: its arms, stage by stage.
import { type Measurement, type Metric, unitKindOf } from '../../catalog/measurement.ts'
import type { Tag } from '../events/event.ts'
import { ArmSums, type PackedSums } from './arm-sums.ts'
import { BLOCK_MS, type GuardBlock } from './blocks.ts'
import { OpenRow, type PackedOpenRow } from './open-row.ts'
import { type PackedRiskSets, RiskSets } from './risk-sets.ts'
import type { CellSlot } from './series-book.ts'
import type { ArmTotals } from './totals.ts'
import type { Definition, Watch } from './watch.ts'

/** Tags come from applications: what they can make grow ends somewhere. */
const MAX_STAGES = 256
const MAX_STRATA = 64
const MAX_ARMS = 64

/** A stage, a stratum in it, and an arm of that. */
export type ArmPlace = Pick<Tag, 'stage' | 'stratum' | 'arm'>

/** The units of one arm, within one stage and stratum. */
export class Arm {
  readonly measurement: string
  readonly stage: number
  readonly stratum: string
  readonly arm: string
  readonly sums: ArmSums
  readonly risk: RiskSets
  /** What has happened in the open block; undefined: nothing. */
  row: OpenRow | undefined
  /** The last block that it had a part in and that has closed; undefined: none has. */
  last: GuardBlock | undefined
  /** Where its exposures go to in the series. */
  readonly slot: CellSlot = { taken: -1, minute: -1, variant: '', cell: undefined }

  constructor(measurement: string, place: ArmPlace, sums = new ArmSums(), risk = new RiskSets()) {
    this.measurement = measurement
    this.stage = place.stage
    this.stratum = place.stratum
    this.arm = place.arm
    this.sums = sums
    this.risk = risk
  }
}

type PackedArm = readonly [
  stage: number,
  stratum: string,
  arm: string,
  sums: PackedSums,
  risk: PackedRiskSets,
  row: PackedOpenRow | 0,
  last: GuardBlock | 0,
]

/** A measurement's book, packed; the plan says the rest. */
export type PackedBook = readonly [
  id: string,
  era: number,
  openedEra: number,
  windowBlocks: number,
  definitions: readonly (readonly [metric: string, kind: Definition['kind'], cap: number | null])[],
  arms: readonly PackedArm[],
]

function windowBlocksOf({ windowMs }: Measurement): number {
  return Math.max(1, Math.ceil(windowMs / BLOCK_MS))
}

export class MeasurementBook {
  readonly id: string
  /** As the plan has it. */
  measurement: Measurement
  /** Whose measurement it is: see `unitKindOf`. */
  unitKind: string
  /** What is watched, by the metric's key. */
  watches: ReadonlyMap<string, Watch> = new Map()
  /**
   * Counts on whenever the measurement comes into the plan or its stage changes, and is never the same again: who was
   * exposed in another era is in no risk set, who joined before `openedEra` is not in the sums.
   */
  era: number
  readonly openedEra: number
  /** How long a unit stays, as it was when the era began. */
  private windowBlocks: number
  private readonly definitions = new Map<string, Definition>()
  private readonly stages = new Map<number, Map<string, Map<string, Arm>>>()
  /** The arms that were made last. */
  private latest: readonly Arm[] = []

  constructor(measurement: Measurement, era: number, openedEra = era) {
    this.id = measurement.id
    this.measurement = measurement
    this.unitKind = unitKindOf(measurement.by)
    this.era = era
    this.openedEra = openedEra
    this.windowBlocks = windowBlocksOf(measurement)
  }

  get stage(): number {
    return this.measurement.stage
  }

  /** Goes by what the plan says now. */
  follow(measurement: Measurement, metrics: ReadonlyMap<string, Metric>): void {
    this.measurement = measurement
    this.unitKind = unitKindOf(measurement.by)
    const watches = new Map<string, Watch>()
    for (const { metric: key, bounds } of measurement.metrics) {
      const metric = metrics.get(key)
      if (!metric) continue
      const { kind, cap } = this.definitions.get(key) ?? metric
      this.definitions.set(key, { kind, cap })
      watches.set(key, { metric: key, kind, cap, preExposure: metric.preExposure, bounds })
    }
    this.watches = watches
  }

  /** Another stage begins: nobody is at risk. */
  beginEra(era: number): void {
    this.era = era
    this.windowBlocks = windowBlocksOf(this.measurement)
    for (const arm of this.arms()) arm.risk.clear()
  }

  /** What a metric was when it was first watched, whether it still is or not. */
  definitionOf(metric: string): Definition | undefined {
    return this.definitions.get(metric)
  }

  /** The block with which a unit leaves that was exposed in another: when the window since the end of that is over. */
  leaveOf(exposedBlock: number): number {
    return exposedBlock + this.windowBlocks + 1
  }

  armAt({ stage, stratum, arm }: ArmPlace): Arm | undefined {
    // Nearly always the same few arms are asked for, of every unit with every event.
    for (const one of this.latest) {
      if (one.stage === stage && one.arm === arm && one.stratum === stratum) return one
    }
    return this.stages.get(stage)?.get(stratum)?.get(arm)
  }

  /** The arm of a place, made if there is none yet; undefined when there are too many. */
  openArm(place: ArmPlace): Arm | undefined {
    const known = this.armAt(place)
    if (known) return known
    const { stage, stratum } = place
    const strata = this.stages.get(stage) ?? new Map<string, Map<string, Arm>>()
    const arms = strata.get(stratum) ?? new Map<string, Arm>()
    const isFull =
      (strata.size === 0 && this.stages.size >= MAX_STAGES) ||
      (arms.size === 0 && strata.size >= MAX_STRATA) ||
      arms.size >= MAX_ARMS
    if (isFull) return undefined
    return this.put(new Arm(this.id, place))
  }

  /** All arms of all stages. */
  *arms(): Generator<Arm> {
    for (const stage of this.stages.keys()) yield* this.armsOf(stage)
  }

  /** The arms of one stage. */
  *armsOf(stage: number): Generator<Arm> {
    for (const arms of this.stages.get(stage)?.values() ?? []) yield* arms.values()
  }

  totals(): ArmTotals[] {
    const totals: ArmTotals[] = []
    for (const { stage, stratum, arm, sums } of this.arms()) {
      if (sums.units > 0) totals.push({ stage, stratum, arm, ...sums.totals() })
    }
    return totals
  }

  pack(): PackedBook {
    const definitions = Array.from(this.definitions, ([key, { kind, cap }]) => [key, kind, cap] as const)
    const arms = Array.from(this.arms(), ({ stage, stratum, arm, sums, risk, row, last }) => {
      return [stage, stratum, arm, sums.pack(), risk.pack(), row?.pack() ?? 0, last ?? 0] as const
    })
    return [this.id, this.era, this.openedEra, this.windowBlocks, definitions, arms]
  }

  static unpack(
    [, era, openedEra, windowBlocks, definitions, arms]: PackedBook,
    measurement: Measurement,
    metrics: ReadonlyMap<string, Metric>,
  ): MeasurementBook {
    const book = new MeasurementBook(measurement, era, openedEra)
    book.windowBlocks = windowBlocks
    for (const [key, kind, cap] of definitions) book.definitions.set(key, { kind, cap })
    for (const [stage, stratum, arm, sums, risk, row, last] of arms) {
      const opened = book.put(
        new Arm(book.id, { stage, stratum, arm }, new ArmSums(sums), new RiskSets(risk)),
      )
      if (row) opened.row = OpenRow.unpack(row)
      if (last) opened.last = last
    }
    book.follow(measurement, metrics)
    return book
  }

  private put(arm: Arm): Arm {
    const strata = this.stages.get(arm.stage) ?? new Map<string, Map<string, Arm>>()
    this.stages.set(arm.stage, strata)
    const arms = strata.get(arm.stratum) ?? new Map<string, Arm>()
    strata.set(arm.stratum, arms.set(arm.arm, arm))
    this.latest = [arm, ...this.latest].slice(0, 4)
    return arm
  }
}
