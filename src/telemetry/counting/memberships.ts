// What an event makes of a unit in one measurement: exposures make it a member, move it, and keep it at risk; whatever
// it does shows that it is there.
import type { ShardEvent, Tag } from '../events/event.ts'
import type { BlockBook } from './block-book.ts'
import { beforeOf, DAY_MS } from './daily-sums.ts'
import type { Arm, MeasurementBook } from './measurement-book.ts'
import type { Membership, SeenSpan, Unit, UnitMetric } from './unit.ts'

const DAYS_PER_NUMBER = 30
const KEPT_DAYS = 90

const NOTHING = { count: 0, sum: 0, denominator: 0 } as const
const NONE: number[] = []

/** Of a unit's metric nothing has come yet. */
export function createUnitMetric(before: number): UnitMetric {
  return {
    firstAt: null,
    hit: false,
    count: 0,
    sum: 0,
    denominator: 0,
    base: NOTHING,
    before,
    compared: 0,
    observations: 0,
    above: NONE,
  }
}

/** Of a unit nothing is known. */
export function neverSeen(): SeenSpan {
  return { from: 0, until: 0, round: -1 }
}

/** Whether every membership is known to have the day on which an event happened. */
export function isKnownDay({ from, until }: SeenSpan, at: number): boolean {
  return at >= from && at < until
}

/** Whether a unit is in the risk sets of those metrics that it was not hit in. */
export function isAtRisk(book: MeasurementBook, member: Membership, block: number): boolean {
  return (
    member.era === book.era &&
    member.stage === book.stage &&
    member.exposedBlock >= 0 &&
    !member.isOut &&
    block < book.leaveOf(member.exposedBlock)
  )
}

/** Whether an event says nothing of where the unit stands in the measurement, or says what is so. */
export function hasCurrentTag(book: MeasurementBook, member: Membership, tag: Tag | null): boolean {
  if (tag === null || tag.id !== book.id) return true
  return tag.stage === member.stage && tag.stratum === member.stratum && tag.arm === member.arm
}

/**
 * Makes a unit a member by its first exposure.
 * @returns undefined when the measurement has no room for such a tag
 */
export function join(
  book: MeasurementBook,
  open: () => Unit,
  event: ShardEvent,
  tag: Tag,
  blocks: BlockBook,
): Membership | undefined {
  const arm = book.openArm(tag)
  if (!arm) return undefined
  const unit = open()
  const member: Membership = {
    firstAt: event.at,
    firstStage: tag.stage,
    firstStratum: tag.stratum,
    firstArm: tag.arm,
    firstVariant: event.variant,
    mixed: false,
    days: [0, 0, 0],
    slices: event.slices,
    stage: tag.stage,
    stratum: tag.stratum,
    arm: tag.arm,
    variant: event.variant,
    exposedBlock: -1,
    isOut: false,
    era: book.era,
    liveBlock: -1,
    metrics: new Map(),
  }
  unit.memberships.set(book.id, member)
  for (const watch of book.watches.values()) {
    const before = watch.preExposure ? beforeOf(unit.daily.get(watch.metric), event.at, watch) : 0
    if (before !== 0) member.metrics.set(watch.metric, createUnitMetric(before))
  }
  arm.sums.firsts++
  blocks.row(arm).firsts++
  enterArm(book, arm, member, blocks)
  return member
}

/** What another exposure does to a member. */
export function meet(
  book: MeasurementBook,
  member: Membership,
  event: ShardEvent,
  tag: Tag,
  blocks: BlockBook,
): void {
  if (tag.stage < member.stage) return
  const arm = book.armAt(member)
  if (!arm) return
  if (tag.stage > member.stage && book.measurement.kind === 'rollout') {
    move(book, arm, member, event, tag, blocks)
    return
  }
  if (event.variant !== member.variant && !member.mixed) {
    member.mixed = true
    arm.sums.mixed++
  }
  if (tag.stage > member.stage) return
  if (hasCurrentTag(book, member, tag)) stayAtRisk(book, arm, member, blocks)
  else {
    leaveRisk(book, arm, member, blocks)
    member.isOut = true
  }
}

/** Notes that a unit was there; false when that was known. */
export function see(
  book: MeasurementBook,
  member: Membership,
  event: Pick<ShardEvent, 'at' | 'tag' | 'automatic'>,
  blocks: BlockBook,
): boolean {
  const isNewDay = seeDay(member, event.at)
  return seeLive(book, member, event, blocks) || isNewDay
}

/** Notes that the application has a unit; false when that was known, or the event does not say so. */
export function seeLive(
  book: MeasurementBook,
  member: Membership,
  { automatic, tag }: Pick<ShardEvent, 'tag' | 'automatic'>,
  blocks: BlockBook,
): boolean {
  if (automatic || member.liveBlock === blocks.block || member.stage !== book.stage) return false
  if (!hasCurrentTag(book, member, tag)) return false
  const arm = book.armAt(member)
  if (!arm) return false
  const row = blocks.row(arm)
  row.live++
  if (member.liveBlock < 0) row.firstLive++
  member.liveBlock = blocks.block
  return true
}

/** Takes a member out of the risk sets that it is in. */
export function leaveRisk(book: MeasurementBook, arm: Arm, member: Membership, blocks: BlockBook): void {
  if (!isAtRisk(book, member, blocks.block)) return
  arm.risk.remove(book.leaveOf(member.exposedBlock), member.metrics)
  blocks.row(arm)
}

function move(
  book: MeasurementBook,
  from: Arm,
  member: Membership,
  event: ShardEvent,
  tag: Tag,
  blocks: BlockBook,
): void {
  const arm = book.openArm(tag)
  if (!arm) return
  leaveRisk(book, from, member, blocks)
  member.stage = tag.stage
  member.stratum = tag.stratum
  member.arm = tag.arm
  member.variant = event.variant
  member.exposedBlock = -1
  member.isOut = false
  member.liveBlock = -1
  for (const metric of member.metrics.values()) {
    const { count, sum, denominator } = metric
    metric.base = { count, sum, denominator }
    metric.compared = 0
    metric.observations = 0
    metric.above = NONE
  }
  enterArm(book, arm, member, blocks)
}

function enterArm(book: MeasurementBook, arm: Arm, member: Membership, blocks: BlockBook): void {
  arm.sums.units++
  if (member.mixed) arm.sums.mixed++
  for (const [key, { before }] of member.metrics) {
    if (before !== 0) arm.sums.of(key).changeBefore(before, 1)
  }
  stayAtRisk(book, arm, member, blocks)
}

/** Puts a member into the risk sets, or keeps it there, if its stage is the plan's. */
function stayAtRisk(book: MeasurementBook, arm: Arm, member: Membership, blocks: BlockBook): void {
  if (member.stage !== book.stage || member.isOut) return
  const { block } = blocks
  const isNew = member.era !== book.era || member.exposedBlock < 0
  if (!isNew && member.exposedBlock === block) return
  const wasAtRisk = isAtRisk(book, member, block)
  if (wasAtRisk) arm.risk.remove(book.leaveOf(member.exposedBlock), member.metrics)
  member.era = book.era
  member.exposedBlock = block
  arm.risk.add(book.leaveOf(block), member.metrics)
  if (wasAtRisk) return
  const row = blocks.row(arm)
  if (isNew) row.entered++
}

/** Leaves in a span what is of the same day, counted from a member's first exposure, as an instant. */
export function narrow(span: SeenSpan, { firstAt }: Membership, at: number): void {
  const day = Math.floor((at - firstAt) / DAY_MS)
  const from = day < 0 ? Number.NEGATIVE_INFINITY : firstAt + Math.min(day, KEPT_DAYS) * DAY_MS
  const until = day < 0 ? firstAt : day >= KEPT_DAYS ? Number.POSITIVE_INFINITY : firstAt + (day + 1) * DAY_MS
  if (from > span.from) span.from = from
  if (until < span.until) span.until = until
}

/** Notes on which day a unit was there; false when that was known. */
export function seeDay(member: Membership, at: number): boolean {
  const day = Math.floor((at - member.firstAt) / DAY_MS)
  if (day < 0 || day >= KEPT_DAYS) return false
  const number = Math.floor(day / DAYS_PER_NUMBER)
  const days = member.days[number] ?? 0
  const seen = days | (1 << (day % DAYS_PER_NUMBER))
  if (seen === days) return false
  member.days[number] = seen
  return true
}

/** Whether a unit was seen on a day, counted from its first exposure. */
export function wasSeenOn(days: Membership['days'], day: number): boolean {
  return (((days[Math.floor(day / DAYS_PER_NUMBER)] ?? 0) >> (day % DAYS_PER_NUMBER)) & 1) === 1
}
