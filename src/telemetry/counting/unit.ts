// What is kept of each unit, from its first day on: no later analysis can get back what was not kept.
import type { UnitId } from '../events/event.ts'

/** One metric of one unit in one measurement. */
export type UnitMetric = {
  /** When its first event after the exposure happened, in milliseconds since 1970; null: it had none. */
  firstAt: number | null
  /** Whether it was hit for the guards: at most once in a rollout. */
  hit: boolean
  /** Events, the sum of their values and of their denominators, since the first exposure. */
  count: number
  sum: number
  denominator: number
  /** What these were when the unit entered its present stage: sums by arm are of what came after. */
  base: { count: number; sum: number; denominator: number }
  /** What the total was in the 14 days before the first exposure, for metrics that are kept from before. */
  before: number
  /**
   * For latencies, resources and means with bounds: which of the arm's lists of bounds it is, counted from 1 (0: none
   * yet), the observations in the present stage since it is that one, and those above each bound.
   */
  compared: number
  observations: number
  above: number[]
}

/** A unit in one measurement. */
export type Membership = {
  /** Of the first exposure: when it happened, and what it was. */
  readonly firstAt: number
  readonly firstStage: number
  readonly firstStratum: string
  readonly firstArm: string
  readonly firstVariant: string
  /** Whether it ever met a second variant within one stage. */
  mixed: boolean
  /** Days on which it was seen, counted from the first exposure: bit d % 30 of number d / 30, for 90 days. */
  days: [number, number, number]
  /** Values of the declared attributes at the first exposure. */
  slices: readonly (string | null)[] | null
  /** Where it stands now: of its latest exposure that moved it. */
  stage: number
  stratum: string
  arm: string
  variant: string
  /**
   * The block of its last exposure while its present stage was the plan's, by arrival; -1: none. And whether it is out
   * of the risk sets for as long as it is in that stage.
   */
  exposedBlock: number
  isOut: boolean
  /** Which of the measurement's times in the plan, and of its stages, that was: see measurement-book.ts. */
  era: number
  /** The block of its last live event, by arrival; -1: none in this stage. */
  liveBlock: number
  readonly metrics: Map<string, UnitMetric>
}

/** A metric's events and sum on one day, which is counted from 1970. */
export type DailySum = { readonly day: number; count: number; sum: number }

/** What of a unit's being seen is known, so that most events need not look at what it is a member of; not written. */
export type SeenSpan = {
  /** Of events that happened in between, every membership has the day. */
  from: number
  until: number
  /** In which round every membership was seen live that can be: see `CountingState`. */
  round: number
}

export type Unit = {
  readonly id: UnitId
  /** See `unitKindOf`. */
  readonly kind: string
  /** The last day on which anything came of it, counted from 1970. */
  lastDay: number
  /** By the measurement's id. */
  readonly memberships: Map<string, Membership>
  /** By the metric's key, for metrics that are kept from before: the last 35 days, in order. */
  readonly daily: Map<string, DailySum[]>
  readonly seen: SeenSpan
}

/** Where units are kept. What is handed out may be changed in place, if it is then `touch`ed. */
export type UnitSource = {
  get(id: UnitId): Unit | undefined
  /** Makes a unit that there is none of yet. */
  create(id: UnitId, kind: string): Unit
  /** Notes that a unit has changed. */
  touch(unit: Unit): void
  remove(id: UnitId): void
}
