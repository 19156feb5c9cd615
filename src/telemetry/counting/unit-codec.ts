// Units as JSON has them: arrays without names, because there are a million of them. What has been written stays
// readable for ever.
import { neverSeen } from './memberships.ts'
import type { DailySum, Membership, Unit, UnitMetric } from './unit.ts'

const VERSION = 1

type PackedMetric = readonly [
  key: string,
  firstAt: number | null,
  hit: 0 | 1,
  totals: readonly [count: number, sum: number, denominator: number],
  /** 0: nothing. */
  base: readonly [count: number, sum: number, denominator: number] | 0,
  before: number,
  /** 0: none. */
  observed: readonly [compared: number, observations: number, above: readonly number[]] | 0,
]

type PackedPlace = readonly [stage: number, stratum: string, arm: string, variant: string]

type PackedMembership = readonly [
  measurement: string,
  firstAt: number,
  first: PackedPlace,
  /** 0: where it was first. */
  now: PackedPlace | 0,
  /** 1: mixed, 2: out of the risk sets. */
  marks: number,
  days: Membership['days'],
  slices: Membership['slices'],
  exposedBlock: number,
  liveBlock: number,
  era: number,
  metrics: readonly PackedMetric[],
]

type PackedDaily = readonly [metric: string, sums: readonly (readonly [number, number, number])[]]

/** A unit, packed. */
export type PackedUnit = readonly [
  version: typeof VERSION,
  id: string,
  kind: string,
  lastDay: number,
  memberships: readonly PackedMembership[],
  daily: readonly PackedDaily[],
]

function packMetric(key: string, metric: UnitMetric): PackedMetric {
  const { base } = metric
  const hasBase = base.count !== 0 || base.sum !== 0 || base.denominator !== 0
  return [
    key,
    metric.firstAt,
    metric.hit ? 1 : 0,
    [metric.count, metric.sum, metric.denominator],
    hasBase ? [base.count, base.sum, base.denominator] : 0,
    metric.before,
    metric.compared > 0 ? [metric.compared, metric.observations, metric.above] : 0,
  ]
}

function unpackMetric([, firstAt, hit, totals, base, before, observed]: PackedMetric): UnitMetric {
  const [count, sum, denominator] = totals
  const [baseCount, baseSum, baseDenominator] = base || [0, 0, 0]
  const [compared, observations, above] = observed || [0, 0, []]
  return {
    firstAt,
    hit: hit === 1,
    count,
    sum,
    denominator,
    base: { count: baseCount, sum: baseSum, denominator: baseDenominator },
    before,
    compared,
    observations,
    above: [...above],
  }
}

function packMembership(measurement: string, member: Membership): PackedMembership {
  const first: PackedPlace = [member.firstStage, member.firstStratum, member.firstArm, member.firstVariant]
  const now: PackedPlace = [member.stage, member.stratum, member.arm, member.variant]
  return [
    measurement,
    member.firstAt,
    first,
    now.every((part, index) => part === first[index]) ? 0 : now,
    (member.mixed ? 1 : 0) + (member.isOut ? 2 : 0),
    member.days,
    member.slices,
    member.exposedBlock,
    member.liveBlock,
    member.era,
    Array.from(member.metrics, ([key, metric]) => packMetric(key, metric)),
  ]
}

function unpackMembership(packed: PackedMembership): Membership {
  const [, firstAt, first, now, marks, days, slices, exposedBlock, liveBlock, era, metrics] = packed
  const [firstStage, firstStratum, firstArm, firstVariant] = first
  const [stage, stratum, arm, variant] = now || first
  return {
    firstAt,
    firstStage,
    firstStratum,
    firstArm,
    firstVariant,
    mixed: marks % 2 === 1,
    days: [...days],
    slices,
    stage,
    stratum,
    arm,
    variant,
    exposedBlock,
    isOut: marks >= 2,
    era,
    liveBlock,
    metrics: new Map(metrics.map((metric) => [metric[0], unpackMetric(metric)])),
  }
}

function unpackDaily([metric, sums]: PackedDaily): [string, DailySum[]] {
  return [metric, sums.map(([day, count, sum]) => ({ day, count, sum }))]
}

/** Packs a unit; make a text of it before the unit changes again. */
export function packUnit(unit: Unit): PackedUnit {
  return [
    VERSION,
    btoa(unit.id),
    unit.kind,
    unit.lastDay,
    Array.from(unit.memberships, ([measurement, member]) => packMembership(measurement, member)),
    Array.from(unit.daily, ([metric, sums]) => [
      metric,
      sums.map(({ day, count, sum }) => [day, count, sum]),
    ]),
  ]
}

/** Unpacks what `packUnit` packed. */
export function unpackUnit([, id, kind, lastDay, memberships, daily]: PackedUnit): Unit {
  return {
    id: atob(id),
    kind,
    lastDay,
    memberships: new Map(memberships.map((packed) => [packed[0], unpackMembership(packed)])),
    daily: new Map(daily.map(unpackDaily)),
    seen: neverSeen(),
  }
}
