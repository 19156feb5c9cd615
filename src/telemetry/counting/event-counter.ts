// What becomes of one event: its cells in the series, and what it makes of its unit.
import type { ShardEvent, Tag, UnitId } from '../events/event.ts'
import { shardIndexOf } from '../events/unit.ts'
import { attribute, countIn, counts, isAfterExposure } from './attribution.ts'
import type { CountingState } from './counting-state.ts'
import { addDaily, dayOf } from './daily-sums.ts'
import type { Arm, MeasurementBook } from './measurement-book.ts'
import { isKnownDay, join, meet, narrow, see, seeDay, seeLive } from './memberships.ts'
import type { PendingEvent } from './pending.ts'
import type { EventUses, WatchUse } from './plan-index.ts'
import { type CellName, MINUTE_MS } from './series-book.ts'
import type { Membership, Unit, UnitSource } from './unit.ts'
import type { Watch } from './watch.ts'

/** Where one shard stands among those of its environment. */
export type Place = { readonly index: number }

const UNMEASURED = { measurement: '', stage: 0, stratum: '', arm: '' }

function minuteOf(at: number): number {
  return Math.floor(at / MINUTE_MS) * MINUTE_MS
}

export class EventCounter {
  private readonly place: Place
  private readonly units: UnitSource
  private readonly state: CountingState

  constructor(place: Place, units: UnitSource, state: CountingState) {
    this.place = place
    this.units = units
    this.state = state
  }

  /** Counts an event that arrived at the state's instant. */
  count(event: ShardEvent): void {
    if (event.kind === 'exposure') this.expose(event)
    else this.track(event)
  }

  private expose(event: ShardEvent): void {
    const { tag, unit, trusted, primary } = event
    const book = trusted && tag ? this.bookOf(event, tag) : undefined
    const isFirst = trusted && tag && unit !== null ? this.exposeUnit(event, tag, unit, book) : false
    if (!primary && !isFirst) return
    const cell = this.openExposures(event, book && tag)
    if (!cell) return
    if (primary) cell.count++
    if (isFirst) cell.units++
  }

  /** The book of the measurement that a tag is of, unless the event is about another flag. */
  private bookOf(event: ShardEvent, tag: Tag): MeasurementBook | undefined {
    const book = this.state.books.get(tag.id)
    return book?.measurement.flag === event.flag ? book : undefined
  }

  private openExposures({ at, flag, variant }: ShardEvent, tag: Tag | null | undefined) {
    const { series, books } = this.state
    const place = tag
      ? { measurement: tag.id, stage: tag.stage, stratum: tag.stratum, arm: tag.arm }
      : UNMEASURED
    const name: CellName = { metric: null, flag, variant, ...place }
    const arm = tag ? books.get(tag.id)?.armAt(tag) : undefined
    return arm ? series.openIn(arm.slot, minuteOf(at), variant, () => name) : series.open(minuteOf(at), name)
  }

  /** Whether the unit's first exposure in the measurement it was. */
  private exposeUnit(event: ShardEvent, tag: Tag, id: UnitId, book: MeasurementBook | undefined): boolean {
    const { blocks, at } = this.state
    const known = this.units.get(id)
    const isMeasured = book !== undefined && this.isHere(book, event.unitKind, id)
    let unit = known
    let joined: Membership | undefined
    if (isMeasured) {
      const member = this.memberOf(book, known)
      if (member) meet(book, member, event, tag, blocks)
      else {
        const open = () => {
          unit ??= this.units.create(id, event.unitKind)
          return unit
        }
        joined = join(book, open, event, tag, blocks)
      }
    }
    if (!unit) return false
    const member = isMeasured ? this.memberOf(book, unit) : undefined
    // Whatever was known of the unit, it is new here or may have moved.
    if (joined) unit.seen.until = unit.seen.from
    if (member && member.liveBlock !== blocks.block) unit.seen.round = -1
    this.see(unit, event)
    if (book && joined) this.applyPending(book, joined, id)
    unit.lastDay = Math.max(unit.lastDay, dayOf(at))
    this.units.touch(unit)
    return joined !== undefined
  }

  /** Notes that a unit was there in all that it is a member of, and drops what is not measured any more. */
  private see(unit: Unit, event: ShardEvent): boolean {
    const { books, blocks, round } = this.state
    const { seen, memberships } = unit
    const isDayKnown = isKnownDay(seen, event.at)
    if (isDayKnown && (event.automatic || seen.round === round)) return false
    let hasChanged = false
    let isLive = !event.automatic
    if (!isDayKnown) {
      seen.from = Number.NEGATIVE_INFINITY
      seen.until = Number.POSITIVE_INFINITY
    }
    for (const [measurement, member] of memberships) {
      const book = books.get(measurement)
      if (!book || member.era < book.openedEra) {
        memberships.delete(measurement)
        hasChanged = true
        continue
      }
      if (seeLive(book, member, event, blocks)) hasChanged = true
      if (member.liveBlock !== blocks.block && member.stage === book.stage) isLive = false
      if (isDayKnown) continue
      if (seeDay(member, event.at)) hasChanged = true
      narrow(seen, member, event.at)
    }
    seen.round = isLive ? round : -1
    return hasChanged
  }

  private isHere({ unitKind, measurement }: MeasurementBook, kind: string, id: UnitId): boolean {
    return unitKind === kind && shardIndexOf(id, measurement.shards) === this.place.index
  }

  private memberOf(book: MeasurementBook, unit: Unit | undefined): Membership | undefined {
    const member = unit?.memberships.get(book.id)
    return member && member.era >= book.openedEra ? member : undefined
  }

  private applyPending(book: MeasurementBook, member: Membership, id: UnitId): void {
    const { pending, at, index, blocks } = this.state
    for (const event of pending.of(id, at)) {
      see(book, member, event, blocks)
      const uses = index.get(event.name)?.watches.get(book.id)
      if (uses) this.attributeTo(book, member, uses, event)
    }
  }

  private track(event: ShardEvent): void {
    const { names, index, at } = this.state
    if (event.primary) names.see(event.name, at)
    const uses = index.get(event.name)
    const joined = event.trusted && event.unit !== null ? this.trackUnit(event, event.unit, uses) : []
    if (uses && event.primary) this.countInSeries(event, uses, joined)
  }

  /** Whether an event is counted with an arm of the flag that it names, now or when its exposure comes. */
  private hasTagOf(flag: string, { tag, trusted, unit }: ShardEvent): boolean {
    return trusted && unit !== null && tag !== null && this.state.books.get(tag.id)?.measurement.flag === flag
  }

  /** Counts an event in the cells of all events of its metrics, and of the flag it names if that has no arm for it. */
  private countInSeries(event: ShardEvent, uses: EventUses, joined: readonly string[]): void {
    const { series } = this.state
    const { flag, variant, value } = event
    const minute = minuteOf(event.at)
    const isTagged = this.hasTagOf(flag, event)
    for (const { metric, isDenominator, slot } of uses.metrics) {
      if (!counts(metric, isDenominator, value)) continue
      const name: CellName = { metric: metric.key, flag: '', variant: '', ...UNMEASURED }
      const overall = series.openIn(slot, minute, '', () => name)
      countIn(overall, metric, isDenominator, value)
      if (flag === '' || variant === '' || joined.includes(metric.key) || isTagged) continue
      countIn(series.open(minute, { ...name, flag, variant }), metric, isDenominator, value)
    }
  }

  /** The metrics in which the event was joined to the unit's exposure to the flag that it names. */
  private trackUnit(event: ShardEvent, id: UnitId, uses: EventUses | undefined): readonly string[] {
    const { at } = this.state
    const unit = this.countDay(event, id, uses) ?? this.units.get(id)
    const watchers = uses?.watchers.get(event.unitKind) ?? []
    if (!unit) {
      this.wait(event, id, undefined, watchers)
      return []
    }
    const joined: string[] = []
    let known = 0
    let hasChanged = this.see(unit, event)
    for (const book of watchers) {
      const member = this.memberOf(book, unit)
      const watched = uses?.watches.get(book.id)
      if (!member || !watched) continue
      known++
      if (!this.attributeTo(book, member, watched, event)) continue
      hasChanged = true
      if (event.flag !== '' && event.flag === book.measurement.flag) {
        for (const { watch } of watched) joined.push(watch.metric)
      }
    }
    if (known < watchers.length) this.wait(event, id, unit, watchers)
    const day = dayOf(at)
    if (day > unit.lastDay) {
      unit.lastDay = day
      hasChanged = true
    }
    if (hasChanged) this.units.touch(unit)
    return joined
  }

  /** Counts an event of metrics that are kept by the day. */
  private countDay(event: ShardEvent, id: UnitId, uses: EventUses | undefined): Unit | undefined {
    if (!event.home) return undefined
    let unit: Unit | undefined
    for (const { metric, isDenominator } of uses?.metrics ?? []) {
      if (!metric.preExposure || isDenominator || metric.unit !== event.unitKind) continue
      if (!counts(metric, isDenominator, event.value)) continue
      unit ??= this.units.get(id) ?? this.units.create(id, event.unitKind)
      const sums = unit.daily.get(metric.key) ?? []
      unit.daily.set(metric.key, sums)
      addDaily(sums, event.at, event.value, this.state.at)
    }
    if (unit) this.units.touch(unit)
    return unit
  }

  /** Keeps an event for measurements that the unit may yet turn out to be in. */
  private wait(
    event: ShardEvent,
    id: UnitId,
    unit: Unit | undefined,
    watchers: readonly MeasurementBook[],
  ): void {
    const { pending, at } = this.state
    const isAwaited = watchers.some((book) => {
      return !this.memberOf(book, unit) && this.isHere(book, event.unitKind, id)
    })
    if (!isAwaited) return
    const { name, value, tag, automatic } = event
    pending.add(id, { name, value, at: event.at, tag, automatic }, at)
  }

  /** Counts an event for a member; false when it came before the exposure. */
  private attributeTo(
    book: MeasurementBook,
    member: Membership,
    uses: readonly WatchUse[],
    event: Pick<PendingEvent, 'at' | 'value' | 'tag'>,
  ): boolean {
    const arm = book.armAt(member)
    if (!arm || !isAfterExposure(member, event.at)) return false
    for (const use of uses) {
      if (!counts(use.watch, use.isDenominator, event.value)) continue
      const isFirst = attribute(book, arm, member, use, event, this.state.blocks)
      const cell = this.openMetric(book, arm, member, use.watch, event.at)
      countIn(cell, use.watch, use.isDenominator, event.value, isFirst)
    }
    return true
  }

  private openMetric(book: MeasurementBook, arm: Arm, member: Membership, watch: Watch, at: number) {
    const { variant } = member
    const { slot } = arm.sums.of(watch.metric)
    return this.state.series.openIn(slot, minuteOf(at), variant, () => ({
      metric: watch.metric,
      flag: book.measurement.flag,
      variant,
      measurement: book.id,
      stage: arm.stage,
      stratum: arm.stratum,
      arm: arm.arm,
    }))
  }
}
