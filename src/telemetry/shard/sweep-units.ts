// Lets units go that were not seen for long, and of the others what belongs to measurements that have ended.
import type { CountingPlan } from '../counting-plan.ts'
import type { UnitPages } from './unit-pages.ts'

const DAY_MS = 86_400_000
/** How long a unit is kept after it was seen last. */
const UNIT_KEPT_DAYS = 90
/** How many pages are gone through at a time. */
const PAGES_AT_ONCE = 300

/** Goes through some pages from a hash on; where to go on. */
export function sweepUnits(
  units: UnitPages,
  plan: CountingPlan | undefined,
  from: number,
  now: number,
): number {
  const running = new Set(plan?.measurements.map(({ id }) => id))
  const firstDay = Math.floor(now / DAY_MS) - UNIT_KEPT_DAYS
  let next: number | null = from
  for (let pages = 0; pages < PAGES_AT_ONCE && next !== null; pages++) {
    next = units.sweep(next, ({ lastDay, memberships }) => {
      if (lastDay < firstDay) return 'gone'
      const ended = [...memberships.keys()].filter((measurement) => !running.has(measurement))
      for (const measurement of ended) memberships.delete(measurement)
      return ended.length > 0 ? 'changed' : 'kept'
    })
  }
  return next ?? 0
}

/** When there will be something to let go; Infinity when there are no units. */
export function unitsGoAt(units: UnitPages): number {
  return units.size === 0 ? Number.POSITIVE_INFINITY : (units.oldest + UNIT_KEPT_DAYS + 1) * DAY_MS
}
