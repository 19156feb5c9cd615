// What an event of a metric makes of a member, its arm's sums, and the guards.
import type { Metric } from '../../catalog/measurement.ts'
import type { ShardEvent } from '../events/event.ts'
import type { BlockBook } from './block-book.ts'
import type { Arm, MeasurementBook } from './measurement-book.ts'
import { createUnitMetric, hasCurrentTag, isAtRisk } from './memberships.ts'
import type { WatchUse } from './plan-index.ts'
import type { Cell } from './series-book.ts'
import type { Membership, UnitMetric } from './unit.ts'
import { areSameBounds, divisorOf, hasHits, hasSketch, needsValue, totalOf, type Watch } from './watch.ts'

/** How long before the first exposure an event may have happened that is still counted as after it. */
const EARLY_MS = 60_000

/** What attribution needs of an event. */
export type Attributed = Pick<ShardEvent, 'at' | 'value' | 'tag'>

/** Whether an event happened after a member's first exposure, or so shortly before that clocks may be wrong. */
export function isAfterExposure({ firstAt }: Membership, at: number): boolean {
  return at >= firstAt - EARLY_MS
}

/** Whether an event counts for a metric. */
export function counts(kind: Pick<Metric, 'kind'>, isDenominator: boolean, value: number): boolean {
  return isDenominator || !needsValue(kind) || !Number.isNaN(value)
}

/**
 * Counts an event of a metric for a member.
 * @returns whether it was the first of the metric
 */
export function attribute(
  book: MeasurementBook,
  arm: Arm,
  member: Membership,
  { watch, isDenominator }: WatchUse,
  event: Attributed,
  blocks: BlockBook,
): boolean {
  let metric = member.metrics.get(watch.metric)
  if (!metric) {
    metric = createUnitMetric(0)
    member.metrics.set(watch.metric, metric)
  }
  const isFirst = !isDenominator && metric.count === 0
  addToSums(arm, watch, isDenominator, metric, event)
  if (isDenominator) return false
  if (hasHits(watch)) hit(book, arm, member, watch, metric, event, blocks)
  else if (hasSketch(watch) && watch.bounds.length > 0)
    observe(book, arm, member, watch, metric, event, blocks)
  return isFirst
}

/** Takes what a member has done in its present stage out of its arm's sums. */
export function withdraw(book: MeasurementBook, arm: Arm, member: Membership): void {
  arm.sums.units--
  if (member.stage === member.firstStage) arm.sums.firsts--
  if (member.mixed) arm.sums.mixed--
  for (const [key, metric] of member.metrics) {
    const definition = book.definitionOf(key)
    if (!definition) continue
    const sums = arm.sums.of(key)
    const events = metric.count - metric.base.count
    const y = totalOf(definition, metric, metric.base)
    sums.change(y, divisorOf(definition, metric, metric.base), 0, 0, metric.before)
    sums.changeBefore(metric.before, -1)
    sums.events -= events
    if (events > 0) sums.hits--
    if (metric.compared !== sums.compared) continue
    for (const [index, above] of metric.above.entries()) {
      sums.changeBound(index, metric.observations, above, 0, 0)
    }
  }
}

/** Counts an event in a cell; the first of a unit makes it a unit of the cell. */
export function countIn(
  cell: Cell | undefined,
  kind: Pick<Metric, 'kind'>,
  isDenominator: boolean,
  value: number,
  isFirst = false,
): void {
  if (!cell) return
  if (isDenominator) cell.denominator += Number.isNaN(value) ? 1 : value
  else cell.add(value, hasSketch(kind))
  if (isFirst) cell.units++
}

function addToSums(
  arm: Arm,
  watch: Watch,
  isDenominator: boolean,
  metric: UnitMetric,
  { at, value }: Attributed,
): void {
  const sums = arm.sums.of(watch.metric)
  const y = totalOf(watch, metric, metric.base)
  const d = divisorOf(watch, metric, metric.base)
  if (isDenominator) metric.denominator += Number.isNaN(value) ? 1 : value
  else {
    if (metric.count === metric.base.count) sums.hits++
    sums.events++
    metric.count++
    if (!Number.isNaN(value)) metric.sum += value
    if (metric.firstAt === null || at < metric.firstAt) metric.firstAt = at
  }
  const y1 = totalOf(watch, metric, metric.base)
  sums.change(y, d, y1, divisorOf(watch, metric, metric.base), metric.before)
}

function hit(
  book: MeasurementBook,
  arm: Arm,
  member: Membership,
  watch: Watch,
  metric: UnitMetric,
  { tag }: Attributed,
  blocks: BlockBook,
): void {
  if (metric.hit) return
  if (tag !== null && tag.id === book.id && tag.stage !== book.stage) {
    blocks.row(arm).ignored++
    return
  }
  if (!hasCurrentTag(book, member, tag) || !isAtRisk(book, member, blocks.block)) return
  metric.hit = true
  arm.risk.hit(book.leaveOf(member.exposedBlock), watch.metric)
  blocks.row(arm).hit(watch.metric)
}

function observe(
  book: MeasurementBook,
  arm: Arm,
  member: Membership,
  watch: Watch,
  metric: UnitMetric,
  { tag, value }: Attributed,
  blocks: BlockBook,
): void {
  const sums = arm.sums.of(watch.metric)
  sums.useBounds(watch.bounds, member.stage === book.stage)
  if (!areSameBounds(sums.bounds, watch.bounds)) return
  if (metric.compared !== sums.compared) {
    metric.compared = sums.compared
    metric.observations = 0
    metric.above = sums.bounds.map(() => 0)
  }
  const isFirst = metric.observations === 0
  const isInBlock = hasCurrentTag(book, member, tag) && isAtRisk(book, member, blocks.block)
  metric.observations++
  for (const [index, bound] of sums.bounds.entries()) {
    const above = metric.above[index] ?? 0
    const isAbove = value > bound
    metric.above[index] = isAbove ? above + 1 : above
    const { observations } = metric
    sums.changeBound(index, observations - 1, above, observations, isAbove ? above + 1 : above)
    if (isInBlock) blocks.row(arm).observe(watch.metric, bound, isAbove, isFirst)
  }
}
