// Units of a measurement, reduced to the counts that a question about their journeys needs. Pure.
import { LogHistogram } from '../../statistics/log-histogram.ts'
import { DAY_MS } from './daily-sums.ts'
import type { JourneyCounts, JourneyQuery } from './journeys.ts'
import { wasSeenOn } from './memberships.ts'
import type { Membership, Unit, UnitMetric } from './unit.ts'

const SECOND_MS = 1_000
const WEEK_DAYS = 7
/** Of 90 days, so that the last week has but six. */
const KEPT_WEEKS = 13
const RETURN_WEEKS = [1, 2, 4] as const

const NO_TIMES = new LogHistogram().pack()

type Reduced = { readonly counts: JourneyCounts; readonly times: LogHistogram }

function hasDone(metric: UnitMetric | undefined): boolean {
  return metric !== undefined && metric.count > 0
}

function wasSeenInWeek({ days }: Membership, week: number): boolean {
  for (let day = 0; day < WEEK_DAYS; day++) {
    if (wasSeenOn(days, week * WEEK_DAYS + day)) return true
  }
  return false
}

function startCounts(arm: string, variant: string, { days }: JourneyQuery): JourneyCounts {
  return {
    arm,
    variant,
    units: 0,
    matured: days.map(() => 0),
    didInTime: days.map(() => 0),
    did: 0,
    ofUnits: 0,
    ofDid: 0,
    times: NO_TIMES,
    total: 0,
    activeWeeks: 0,
    returning: [0, 0, 0],
    returned: [0, 0, 0],
    usedSeveral: 0,
  }
}

function addTimely(counts: JourneyCounts, member: Membership, query: JourneyQuery): void {
  const doneAt = member.metrics.get(query.metric)?.firstAt ?? null
  for (const [index, days] of query.days.entries()) {
    const end = member.firstAt + days * DAY_MS
    if (end > query.now) continue
    counts.matured[index] = (counts.matured[index] ?? 0) + 1
    if (doneAt !== null && doneAt <= end) counts.didInTime[index] = (counts.didInTime[index] ?? 0) + 1
  }
}

function addReturns(counts: JourneyCounts, member: Membership, { now }: JourneyQuery): void {
  for (let week = 0; week < KEPT_WEEKS; week++) if (wasSeenInWeek(member, week)) counts.activeWeeks++
  for (const [index, week] of RETURN_WEEKS.entries()) {
    if (member.firstAt + (week + 1) * WEEK_DAYS * DAY_MS > now) continue
    counts.returning[index] = (counts.returning[index] ?? 0) + 1
    if (wasSeenInWeek(member, week)) counts.returned[index] = (counts.returned[index] ?? 0) + 1
  }
}

function addMember({ counts, times }: Reduced, member: Membership, query: JourneyQuery): void {
  const metric = member.metrics.get(query.metric)
  const did = hasDone(metric)
  counts.units++
  addTimely(counts, member, query)
  addReturns(counts, member, query)
  if (did) counts.did++
  if (query.of === null || hasDone(member.metrics.get(query.of))) {
    counts.ofUnits++
    if (did) counts.ofDid++
  }
  if (metric) counts.total += query.total === 'events' ? metric.count : metric.sum
  if (metric && metric.firstAt !== null) times.add(Math.max(1, (metric.firstAt - member.firstAt) / SECOND_MS))
  if (query.features.filter((key) => hasDone(member.metrics.get(key))).length >= 2) counts.usedSeveral++
}

/** Reduces units to counts by the arm and variant of their first exposure; those of parts of the units add up. */
export function reduceUnits(query: JourneyQuery, units: Iterable<Unit>): JourneyCounts[] {
  const reduced = new Map<string, Reduced>()
  for (const { memberships } of units) {
    const member = memberships.get(query.measurement)
    if (!member) continue
    const { firstArm, firstVariant } = member
    const key = JSON.stringify([firstArm, firstVariant])
    const known = reduced.get(key)
    const one = known ?? { counts: startCounts(firstArm, firstVariant, query), times: new LogHistogram() }
    if (!known) reduced.set(key, one)
    addMember(one, member, query)
  }
  return Array.from(reduced.values(), ({ counts, times }) => ({ ...counts, times: times.pack() }))
}
