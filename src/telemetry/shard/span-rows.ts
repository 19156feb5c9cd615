// Minutes, hours and days of events on disk, one packed row for each.
import type { ChangedSpans, PackedHour, PackedMinute, SpanSource } from '../counting/counting.ts'
import type { SeriesCell } from '../counting/series.ts'
import { mergeCells } from './merge-cells.ts'
import type { PackedRows } from './packed-rows.ts'

const DAY_MS = 86_400_000
/** For how long minutes are kept, and hours, which are then folded into days; and for how long those are. */
const MINUTES_KEPT_MS = 3 * DAY_MS
const HOURS_KEPT_MS = 14 * DAY_MS
const DAYS_KEPT_MS = 400 * DAY_MS

function dayOf(instant: number): number {
  return Math.floor(instant / DAY_MS) * DAY_MS
}

/** Reads and writes the spans of one shard. */
export class SpanRows implements SpanSource {
  private readonly rows: PackedRows
  /** What there is, so that looking for what there is not costs nothing. */
  private readonly minutes: Set<number>
  private readonly hours: Set<number>

  constructor(rows: PackedRows) {
    this.rows = rows
    this.minutes = new Set(rows.starts('minuteCells'))
    this.hours = new Set(rows.starts('hourCells'))
  }

  minute(start: number): PackedMinute | undefined {
    return this.minutes.has(start) ? this.rows.load('minuteCells', start) : undefined
  }

  hour(start: number): PackedHour | undefined {
    return this.hours.has(start) ? this.rows.load('hourCells', start) : undefined
  }

  /** The first span that is kept; Infinity: there is none. */
  first(step: 'minute' | 'hour'): number {
    return least(step === 'minute' ? this.minutes : this.hours)
  }

  /** Writes spans in the place of what there is of them. */
  save({ minutes, hours }: ChangedSpans): void {
    for (const [start, minute] of minutes) {
      this.rows.save('minuteCells', start, minute)
      this.minutes.add(start)
    }
    for (const [start, hour] of hours) {
      this.rows.save('hourCells', start, hour)
      this.hours.add(start)
    }
  }

  /** When there will be something to retire; Infinity when there is nothing at all. */
  get retiresAt(): number {
    const minute = least(this.minutes)
    const hour = least(this.hours)
    const [day = Number.POSITIVE_INFINITY] = this.rows.starts('dayCells')
    return DAY_MS + Math.min(dayOf(minute) + MINUTES_KEPT_MS, dayOf(hour) + HOURS_KEPT_MS, day + DAYS_KEPT_MS)
  }

  /** Lets old minutes and days go, and folds old hours, the cells of which it is told, into days. */
  retire(now: number, cellsOf: (hour: number) => readonly SeriesCell[]): void {
    const days = new Map<number, SeriesCell[]>()
    const hoursFrom = dayOf(now - HOURS_KEPT_MS)
    for (const hour of this.hours) {
      if (hour >= hoursFrom) continue
      const day = dayOf(hour)
      const cells = days.get(day) ?? [...(this.rows.load('dayCells', day) ?? [])]
      days.set(day, mergeCells(day, [...cells, ...cellsOf(hour)]))
    }
    for (const [day, cells] of days) this.rows.save('dayCells', day, cells)
    remove(this.rows, 'hourCells', this.hours, hoursFrom)
    remove(this.rows, 'minuteCells', this.minutes, dayOf(now - MINUTES_KEPT_MS))
    this.rows.removeBefore('dayCells', dayOf(now - DAYS_KEPT_MS))
  }

  /** The cells of the days of a range of which the hours are gone. */
  days(from: number, to: number): readonly SeriesCell[] {
    return this.rows.range('dayCells', from, to).flatMap(({ document }) => document)
  }
}

function least(starts: ReadonlySet<number>): number {
  return Math.min(Number.POSITIVE_INFINITY, ...starts)
}

function remove(
  rows: PackedRows,
  kind: 'minuteCells' | 'hourCells',
  starts: Set<number>,
  instant: number,
): void {
  rows.removeBefore(kind, instant)
  for (const start of starts) if (start < instant) starts.delete(start)
}
