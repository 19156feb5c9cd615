// A shard's state as a function of what was recorded: pure, so that a restart, which applies the same records to the
// same saved state, ends where the shard was.
import type { CountingPlan } from '../counting-plan.ts'
import type { ShardEvent, UnitId } from '../events/event.ts'
import type { SeenName } from '../shard-protocol.ts'
import { withdraw } from './attribution.ts'
import { armNameOf, sortBlocks } from './block-book.ts'
import { BLOCK_MS, type Blocks, type BlocksQuery, type GuardBlock } from './blocks.ts'
import { CountingState, type PackedCounting } from './counting-state.ts'
import { EventCounter, type Place } from './event-counter.ts'
import { leaveRisk } from './memberships.ts'
import type { SeriesCell } from './series.ts'
import { type CellFilter, HOUR_MS, isWanted, MINUTE_MS } from './series-book.ts'
import {
  type ChangedSpans,
  type PackedHour,
  type PackedMinute,
  packHour,
  packMinute,
  type SpanSource,
  unpackBlocks,
  unpackCells,
} from './spans.ts'
import type { ArmTotals } from './totals.ts'
import type { UnitSource } from './unit.ts'

export type { ChangedSpans, PackedCounting, PackedHour, PackedMinute, Place, SpanSource }

/** One thing that a commit recorded. */
export type Input =
  | { readonly kind: 'events'; readonly events: readonly ShardEvent[] }
  | { readonly kind: 'plan'; readonly plan: CountingPlan }
  | { readonly kind: 'erase'; readonly unit: UnitId }

/** How far one answer about blocks goes. */
const BLOCKS_AT_ONCE_MS = HOUR_MS

/**
 * Counts. What it needs to go on after a restart is `save()`, the units as they were touched, and the spans as they
 * were taken, all three written at one point.
 */
export class Counting {
  private readonly units: UnitSource
  private readonly spans: SpanSource
  private readonly state: CountingState
  private readonly counter: EventCounter

  constructor(place: Place, units: UnitSource, spans: SpanSource, saved: PackedCounting | undefined) {
    this.units = units
    this.spans = spans
    this.state = new CountingState(saved)
    this.counter = new EventCounter(place, units, this.state)
  }

  /** The plan that it counts by; undefined before the first. */
  get plan(): CountingPlan | undefined {
    return this.state.plan
  }

  /** The instant of the last input, in milliseconds since 1970; 0 before the first. */
  get at(): number {
    return this.state.at
  }

  /** Applies an input that arrived at an instant; instants never go back, those that were advanced to included. */
  apply(input: Input, at: number): void {
    this.advance(at)
    this.state.at = at
    switch (input.kind) {
      case 'events':
        for (const event of input.events) this.counter.count(event)
        return
      case 'plan':
        this.state.follow(input.plan)
        return
      case 'erase':
        this.erase(input.unit)
    }
  }

  /** Closes the blocks that have ended by an instant. */
  advance(now: number): void {
    this.state.advance(now)
  }

  /** The minutes and hours that have changed since they were last taken. */
  takeChangedSpans(): ChangedSpans {
    const { series, blocks } = this.state
    const starts = this.changed()
    const hourStarts = new Set(Array.from(series.minutes, (start) => Math.floor(start / HOUR_MS) * HOUR_MS))
    const minutes = new Map(Array.from(starts, (start) => [start, this.packMinute(start)]))
    const hours = new Map(Array.from(hourStarts, (start) => [start, packHour(this.tableOf('hour', start))]))
    series.clear()
    blocks.clear()
    return { minutes, hours }
  }

  /** How many minutes have changed since. */
  get changedMinutes(): number {
    return this.changed().size
  }

  /** The rest of the state; changed spans must be taken before, or they are not in it. */
  save(): PackedCounting {
    return this.state.pack()
  }

  /** Blocks that have closed, an hour of them at most: see `Blocks`. */
  blocks({ from, measurements }: BlocksQuery): Blocks {
    const through = Math.min(this.state.blocks.through, from + BLOCKS_AT_ONCE_MS)
    const found = []
    for (let start = Math.floor(from / MINUTE_MS) * MINUTE_MS; start < through; start += MINUTE_MS) {
      found.push(...this.blocksIn(start))
    }
    const isAsked = (block: { start: number; measurement: string }) =>
      block.start >= from &&
      block.start < through &&
      (measurements === undefined || measurements.includes(block.measurement))
    return { through, blocks: sortBlocks(found.filter(isAsked)), before: this.before(from, measurements) }
  }

  /** Sums over the units of a measurement in the plan, by arm. */
  totals(measurement: string): ArmTotals[] {
    return this.state.books.get(measurement)?.totals() ?? []
  }

  /** The cells of what a minute or hour holds, and of what is not taken yet, those that are wanted alone. */
  cells(step: 'minute' | 'hour', start: number, wanted: CellFilter = {}): SeriesCell[] {
    const cells = [...this.tableOf(step, start, wanted)].filter(({ name }) => isWanted(name, wanted))
    return cells.map((cell) => cell.toSeriesCell(start))
  }

  names(): SeenName[] {
    return this.state.names.list(this.at)
  }

  /** The last block of each arm of a present stage that began before an instant. */
  private before(from: number, measurements: readonly string[] | undefined): GuardBlock[] {
    const before: GuardBlock[] = []
    const missing = new Set<string>()
    let reach = 0
    for (const book of this.state.books.values()) {
      if (measurements?.includes(book.id) === false) continue
      for (const { last } of book.armsOf(book.stage)) {
        if (last && last.start < from) before.push(last)
        else if (last) {
          missing.add(armNameOf(last))
          // Who is at risk now was exposed in the window, and that is in a block.
          reach = Math.max(reach, book.measurement.windowMs + 2 * BLOCK_MS)
        }
      }
    }
    const first = Math.floor((from - 1) / MINUTE_MS) * MINUTE_MS
    for (let minute = first; missing.size > 0 && minute + MINUTE_MS > from - reach; minute -= MINUTE_MS) {
      for (const block of sortBlocks(this.blocksIn(minute)).reverse()) {
        if (block.start < from && missing.delete(armNameOf(block))) before.push(block)
      }
    }
    return before
  }

  private changed(): Set<number> {
    return new Set([...this.state.series.minutes, ...this.state.blocks.minutes])
  }

  private tableOf(step: 'minute' | 'hour', start: number, wanted: CellFilter = {}) {
    const stored = unpackCells(step === 'minute' ? this.spans.minute(start) : this.spans.hour(start), wanted)
    return this.state.series.addTo(stored, start, start + (step === 'minute' ? MINUTE_MS : HOUR_MS))
  }

  private packMinute(start: number): PackedMinute {
    return packMinute(this.tableOf('minute', start), sortBlocks(this.blocksIn(start)), start)
  }

  private blocksIn(minute: number) {
    return [...unpackBlocks(this.spans.minute(minute), minute), ...this.state.blocks.closedIn(minute)]
  }

  /** Forgets a unit, and takes what it did in its present stages out of the sums. */
  private erase(id: UnitId): void {
    const { books, blocks, pending } = this.state
    pending.forget(id)
    const unit = this.units.get(id)
    if (!unit) return
    for (const [measurement, member] of unit.memberships) {
      const book = books.get(measurement)
      const arm = book?.armAt(member)
      if (!book || !arm || member.era < book.openedEra) continue
      leaveRisk(book, arm, member, blocks)
      withdraw(book, arm, member)
    }
    this.units.remove(id)
  }
}
