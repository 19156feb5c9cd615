// Metrics of a unit by the day, exposed or not: what it did before it is compared with what it does after.
import type { DailySum } from './unit.ts'
import { type Definition, totalOf } from './watch.ts'

export const DAY_MS = 24 * 60 * 60_000
const KEPT_DAYS = 35
/** The days before the day of the first exposure that a unit's total before is made of. */
const BEFORE_DAYS = 14
const NOTHING = { count: 0, sum: 0, denominator: 0 }

/** The day of an instant, counted from 1970. */
export function dayOf(at: number): number {
  return Math.floor(at / DAY_MS)
}

/** Counts an event on its day; what is older than is kept goes, by the day of arrival. NaN is no value. */
export function addDaily(sums: DailySum[], at: number, value: number, now: number): void {
  const oldest = dayOf(now) - KEPT_DAYS + 1
  const kept = sums.findIndex(({ day }) => day >= oldest)
  sums.splice(0, kept < 0 ? sums.length : kept)
  const day = dayOf(at)
  if (day < oldest) return
  let index = sums.length
  while (index > 0 && (sums[index - 1]?.day ?? 0) > day) index--
  let sum = sums[index - 1]
  if (sum?.day !== day) {
    sum = { day, count: 0, sum: 0 }
    sums.splice(index, 0, sum)
  }
  sum.count++
  if (!Number.isNaN(value)) sum.sum += value
}

/** What a metric was in the 14 days before the day of the first exposure. */
export function beforeOf(
  sums: readonly DailySum[] | undefined,
  firstAt: number,
  definition: Definition,
): number {
  if (!sums) return 0
  const first = dayOf(firstAt)
  const before = { ...NOTHING }
  for (const { day, count, sum } of sums) {
    if (day < first - BEFORE_DAYS || day >= first) continue
    before.count += count
    before.sum += sum
  }
  return totalOf(definition, before, NOTHING)
}
