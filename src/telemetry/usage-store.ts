// A shard's counts: the newest in memory, all others in packed rows, hours for two weeks and days for 400.
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
import type { ShardActivity, TallyReport, UsageQuery, UsageSpan } from './shard-protocol.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** For how long hours are kept apart; then they are folded into days. */
const HOURS_KEPT_MS = 14 * DAY_MS
/** For how long days are kept. */
const DAYS_KEPT_MS = 400 * DAY_MS
const FAR = Number.MAX_SAFE_INTEGER
/** The most isolates whose last reports are remembered. */
const MAX_REPORTERS = 1_000

function startOf(step: number, instant: number): number {
  return instant - (instant % step)
}

/** Reads and writes the counts of one shard; instants are milliseconds since 1970. */
export class UsageStore {
  private readonly rows: PackedRows
  /** What is not on disk yet, by hour. */
  private unfolded = new Map<number, Counts>()
  private hasUncounted = false
  /** The isolates that have reported since the last fold. */
  private unfoldedReporters = new Set<string>()
  /** The number of each isolate's last report, of those that reported lately. */
  private readonly reporters: Map<string, number>

  constructor(rows: PackedRows) {
    this.rows = rows
    this.reporters = new Map(rows.newest('hour', 2).flatMap(({ head }) => head))
  }

  /** Whether there is something that is not on disk. */
  get isUnfolded(): boolean {
    return this.unfoldedReporters.size > 0
  }

  /** Takes a report; false when it was taken before. */
  add({ isolate, sequence, minutes, uncounted }: TallyReport): boolean {
    if (sequence <= (this.reporters.get(isolate) ?? 0)) return false
    this.remember(isolate, sequence)
    this.hasUncounted ||= uncounted
    for (const [minute, flags] of minutes) {
      const hour = startOf(HOUR_MS, minute)
      const counts = this.unfolded.get(hour) ?? new Map()
      this.unfolded.set(hour, counts)
      for (const [flag, answers] of flags) {
        for (const count of answers) addCell(counts, flag, { ...count, lastAt: minute })
      }
    }
    return true
  }

  /** Writes what is not on disk yet: as a rule into one row, and into one more in the first fold of an hour. */
  fold(now: number): void {
    if (!this.isUnfolded) return
    const current = startOf(HOUR_MS, now)
    // Counts and the reports that they came in are in one row, so that a restart finds both or neither.
    if (!this.unfolded.has(current)) this.unfolded.set(current, new Map())
    for (const [hour, added] of this.unfolded) this.foldHour(hour, added, hour === current)
    this.foldActivity(current, now)
    this.unfolded = new Map()
    this.hasUncounted = false
    this.unfoldedReporters = new Set()
  }

  /** What was counted in a range. */
  usage({ from, to, step, flag }: UsageQuery, now: number): UsageSpan[] {
    this.fold(now)
    const spans = new Map<number, Counts>()
    if (step === 'day') {
      for (const { start, entries } of this.rows.range('day', from, to)) {
        spans.set(start, unpackCounts(entries))
      }
    }
    for (const { start, entries } of this.rows.range('hour', from, to)) {
      const at = step === 'day' ? startOf(DAY_MS, start) : start
      const counts = spans.get(at) ?? new Map()
      addCounts(counts, unpackCounts(entries))
      spans.set(at, counts)
    }
    return [...spans].map(([start, counts]) => ({ start, flags: toUsage(counts, flag) }))
  }

  /** What is known of every flag. */
  activity(now: number): ShardActivity {
    this.fold(now)
    const stored = this.rows.load('activity', 0)
    if (!stored) return { knownSince: null, uncountedAt: null, flags: new Map() }
    const { through, knownSince, uncountedAt } = stored.head
    const flags = unpackActivities(stored.entries)
    this.noteHoursFrom(through, flags)
    return { knownSince, uncountedAt, flags }
  }

  private remember(isolate: string, sequence: number): void {
    // Last in order again, so that the first is the one that has been silent for longest.
    this.reporters.delete(isolate)
    this.reporters.set(isolate, sequence)
    this.unfoldedReporters.add(isolate)
    const [oldest] = this.reporters.keys()
    if (this.reporters.size > MAX_REPORTERS && oldest !== undefined) this.reporters.delete(oldest)
  }

  private foldHour(hour: number, added: Counts, isCurrent: boolean): void {
    const stored = this.rows.load('hour', hour)
    const counts = unpackCounts(stored?.entries ?? [])
    addCounts(counts, added)
    const known = new Map(stored?.head)
    if (isCurrent) {
      for (const isolate of this.unfoldedReporters) {
        known.delete(isolate)
        known.set(isolate, this.reporters.get(isolate) ?? 0)
      }
    }
    this.rows.save('hour', hour, { head: [...known].slice(-MAX_REPORTERS), entries: packCounts(counts) })
  }

  /** Brings the flags' activity up to date when it could not be found from the hours after it. */
  private foldActivity(current: number, now: number): void {
    const stored = this.rows.load('activity', 0)
    const through = stored?.head.through
    const uncountedAt = stored?.head.uncountedAt ?? null
    const isUncounted = this.hasUncounted && (uncountedAt === null || now - uncountedAt >= HOUR_MS)
    if (!isUncounted && [...this.unfolded.keys()].every((hour) => hour === through)) return
    const activities = unpackActivities(stored?.entries ?? [])
    this.noteHoursFrom(Math.min(through ?? 0, ...this.unfolded.keys()), activities)
    this.rows.save('activity', 0, {
      head: {
        through: current,
        knownSince: stored?.head.knownSince ?? now,
        uncountedAt: isUncounted ? now : uncountedAt,
      },
      entries: packActivities(activities, now - DAYS_KEPT_MS),
    })
    if (through !== current) this.retire(now)
  }

  private noteHoursFrom(hour: number, activities: Activities): void {
    for (const { entries } of this.rows.range('hour', hour, FAR)) {
      noteActivity(activities, unpackCounts(entries))
    }
  }

  /** Folds old hours into days, and lets old days go. */
  private retire(now: number): void {
    const hoursFrom = startOf(DAY_MS, now - HOURS_KEPT_MS)
    const days = new Map<number, Counts>()
    for (const { start, entries } of this.rows.range('hour', 0, hoursFrom)) {
      const day = startOf(DAY_MS, start)
      const counts = days.get(day) ?? unpackCounts(this.rows.load('day', day)?.entries ?? [])
      addCounts(counts, unpackCounts(entries))
      days.set(day, counts)
    }
    for (const [day, counts] of days) {
      this.rows.save('day', day, { head: null, entries: packCounts(counts) })
    }
    this.rows.removeBefore('hour', hoursFrom)
    this.rows.removeBefore('day', startOf(DAY_MS, now - DAYS_KEPT_MS))
  }
}
