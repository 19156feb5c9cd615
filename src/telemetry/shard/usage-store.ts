// A shard's counts of evaluations: the newest in memory, all others in packed rows, hours for two weeks and days for
// 400. Reading writes nothing.
import type { ShardActivity, Tallied, UsageQuery, UsageSpan } from '../shard-protocol.ts'
import {
  type Activities,
  addCell,
  addCounts,
  type Counts,
  noteActivity,
  packActivities,
  packCounts,
  toUsage,
  unpackActivities,
  unpackCounts,
} from './counts.ts'
import type { PackedRows } from './packed-rows.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** For how long hours are kept apart; then they are folded into days. */
const HOURS_KEPT_MS = 14 * DAY_MS
/** For how long days are kept. */
const DAYS_KEPT_MS = 400 * DAY_MS
const FAR = Number.MAX_SAFE_INTEGER

function startOf(step: number, instant: number): number {
  return Math.floor(instant / step) * step
}

/** Reads and writes the counts of one shard; instants are milliseconds since 1970. */
export class UsageStore {
  private readonly rows: PackedRows
  /** What is not on disk yet, by hour. */
  private unfolded = new Map<number, Counts>()
  private isChanged = false
  private knownSince: number | null
  private uncountedAt: number | null
  /** The hour up to which all activity is in its document. */
  private through: number | null

  constructor(rows: PackedRows) {
    this.rows = rows
    const stored = rows.load('activity', 0)
    this.knownSince = stored?.knownSince ?? null
    this.uncountedAt = stored?.uncountedAt ?? null
    this.through = stored?.through ?? null
  }

  /** Takes what an isolate has counted. */
  add({ minutes, uncounted }: Tallied, now: number): void {
    this.isChanged = true
    this.knownSince ??= now
    if (uncounted && (this.uncountedAt === null || now - this.uncountedAt >= HOUR_MS)) this.uncountedAt = now
    for (const [minute, flags] of minutes) {
      const hour = startOf(HOUR_MS, minute)
      const counts = this.unfolded.get(hour) ?? new Map()
      this.unfolded.set(hour, counts)
      for (const [flag, answers] of flags) {
        for (const count of answers) addCell(counts, flag, { ...count, lastAt: minute })
      }
    }
  }

  /** How many rows a fold writes, about. */
  get changedRows(): number {
    return this.isChanged ? this.unfolded.size + 1 : 0
  }

  /** Writes what is not on disk yet: as a rule into one row, and into one more in the first fold of an hour. */
  fold(now: number): void {
    if (!this.isChanged) return
    for (const [hour, added] of this.unfolded) {
      const counts = this.stored('hour', hour)
      addCounts(counts, added)
      this.rows.save('hour', hour, packCounts(counts))
    }
    this.foldActivity(startOf(HOUR_MS, now), now)
    this.unfolded = new Map()
    this.isChanged = false
  }

  /** What was counted in a range. */
  usage({ from, to, step, flag }: UsageQuery): UsageSpan[] {
    const spans = new Map<number, Counts>()
    const add = (start: number, added: Counts) => {
      const at = step === 'day' ? startOf(DAY_MS, start) : start
      const counts = spans.get(at) ?? new Map()
      addCounts(counts, added)
      spans.set(at, counts)
    }
    if (step === 'day') {
      for (const { start, document } of this.rows.range('day', from, to)) add(start, unpackCounts(document))
    }
    for (const { start, document } of this.rows.range('hour', from, to)) add(start, unpackCounts(document))
    for (const [start, counts] of this.unfolded) if (start >= from && start < to) add(start, counts)
    return [...spans]
      .sort(([one], [other]) => one - other)
      .map(([start, counts]) => ({ start, flags: toUsage(counts, flag) }))
  }

  /** What is known of every flag. */
  activity(): ShardActivity {
    const flags = unpackActivities(this.rows.load('activity', 0)?.flags ?? [])
    if (this.through !== null) this.noteHoursFrom(this.through, flags)
    for (const counts of this.unfolded.values()) noteActivity(flags, counts)
    return { knownSince: this.knownSince, uncountedAt: this.uncountedAt, flags }
  }

  /** When there will be something to retire; Infinity when there is nothing at all. */
  get retiresAt(): number {
    const [hour = Number.POSITIVE_INFINITY] = this.rows.starts('hour')
    const [day = Number.POSITIVE_INFINITY] = this.rows.starts('day')
    return DAY_MS + Math.min(startOf(DAY_MS, hour) + HOURS_KEPT_MS, day + DAYS_KEPT_MS)
  }

  /** Folds old hours into days, and lets old days go. */
  retire(now: number): void {
    if (now < this.retiresAt) return
    // What is only known from the hours must be known without them.
    this.saveActivity(startOf(HOUR_MS, now), now)
    const hoursFrom = startOf(DAY_MS, now - HOURS_KEPT_MS)
    const days = new Map<number, Counts>()
    for (const { start, document } of this.rows.range('hour', 0, hoursFrom)) {
      const day = startOf(DAY_MS, start)
      const counts = days.get(day) ?? this.stored('day', day)
      addCounts(counts, unpackCounts(document))
      days.set(day, counts)
    }
    for (const [day, counts] of days) this.rows.save('day', day, packCounts(counts))
    this.rows.removeBefore('hour', hoursFrom)
    this.rows.removeBefore('day', startOf(DAY_MS, now - DAYS_KEPT_MS))
  }

  private stored(kind: 'hour' | 'day', start: number): Counts {
    return unpackCounts(this.rows.load(kind, start) ?? [])
  }

  /** Brings the flags' activity up to date when it could not be found from the hours after it. */
  private foldActivity(current: number, now: number): void {
    const stored = this.rows.load('activity', 0)
    const isUpToDate = stored?.uncountedAt === this.uncountedAt && stored.through === current
    if (isUpToDate && [...this.unfolded.keys()].every((hour) => hour >= current)) return
    this.saveActivity(current, now)
  }

  private saveActivity(current: number, now: number): void {
    const activities = unpackActivities(this.rows.load('activity', 0)?.flags ?? [])
    this.noteHoursFrom(Math.min(this.through ?? 0, ...this.unfolded.keys()), activities)
    this.through = current
    this.rows.save('activity', 0, {
      through: current,
      knownSince: this.knownSince ?? now,
      uncountedAt: this.uncountedAt,
      flags: packActivities(activities, now - DAYS_KEPT_MS),
    })
  }

  private noteHoursFrom(hour: number, activities: Activities): void {
    for (const { document } of this.rows.range('hour', hour, FAR)) {
      noteActivity(activities, unpackCounts(document))
    }
  }
}
