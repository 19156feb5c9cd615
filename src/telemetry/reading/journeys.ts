// What units did after they met a variant: adoption, rates, retention, time to the first.
import type { Bindings } from '../../bindings.ts'
import { LogHistogram } from '../../statistics/log-histogram.ts'
import type { JourneyCounts, JourneyQuery } from '../counting/journeys.ts'
import type { Shard } from '../shard-protocol.ts'
import { askShards } from './ask-shards.ts'

/** After which weeks it is asked whether units came back. */
const WEEKS = [1, 2, 4] as const

/** For all parts of one shard's answer: it goes through every unit that it keeps. */
const TIMEOUT_MS = 20_000

/** How many of so many; `share` is null where there are none of whom it could be so. */
export type Share = { readonly of: number; readonly units: number; readonly share: number | null }

/** The journeys of the units of one arm or variant. */
export type Journey = {
  /** Empty where arms, or variants, are not told apart. */
  readonly arm: string
  readonly variant: string
  readonly units: number
  /** Of those that were exposed so many days ago, those that did it within as many. */
  readonly within: readonly (Share & { readonly days: number })[]
  /** Those that did it ever: of all, or of those that had the metric that the rate is of. */
  readonly did: Share
  readonly rate: Share | null
  /** The metric's sum by unit and week in which the unit was seen; null when none was. */
  readonly meanPerActiveWeek: number | null
  /** Of those that were exposed before that week ended, those that were seen in it. */
  readonly returned: readonly (Share & { readonly week: number })[]
  /** Seconds from the exposure to the first; null when nobody did it. */
  readonly medianSeconds: number | null
  readonly p90Seconds: number | null
  readonly usedSeveral: Share | null
}

export type JourneysBy = 'arm' | 'variant'

function share(units: number, of: number): Share {
  return { of, units, share: of > 0 ? units / of : null }
}

const total = (list: readonly JourneyCounts[], of: (counts: JourneyCounts) => number) =>
  list.reduce((sum, counts) => sum + of(counts), 0)

function toJourney(
  name: Pick<Journey, 'arm' | 'variant'>,
  list: readonly JourneyCounts[],
  { days, of, features }: Pick<JourneyQuery, 'days' | 'of' | 'features'>,
): Journey {
  const units = total(list, (counts) => counts.units)
  const activeWeeks = total(list, (counts) => counts.activeWeeks)
  const times = new LogHistogram()
  for (const counts of list) times.merge(LogHistogram.unpack(counts.times))
  const seconds = (part: number) => (times.count > 0 ? times.quantile(part) : null)
  return {
    ...name,
    units,
    within: days.map((limit, index) => ({
      days: limit,
      ...share(
        total(list, (counts) => counts.didInTime[index] ?? 0),
        total(list, (counts) => counts.matured[index] ?? 0),
      ),
    })),
    did: share(
      total(list, (counts) => counts.did),
      units,
    ),
    rate:
      of === null
        ? null
        : share(
            total(list, (counts) => counts.ofDid),
            total(list, (counts) => counts.ofUnits),
          ),
    meanPerActiveWeek: activeWeeks > 0 ? total(list, (counts) => counts.total) / activeWeeks : null,
    returned: WEEKS.map((week, index) => ({
      week,
      ...share(
        total(list, (counts) => counts.returned[index] ?? 0),
        total(list, (counts) => counts.returning[index] ?? 0),
      ),
    })),
    medianSeconds: seconds(0.5),
    p90Seconds: seconds(0.9),
    usedSeveral:
      features.length < 2
        ? null
        : share(
            total(list, (counts) => counts.usedSeveral),
            units,
          ),
  }
}

/** Presents what shards have counted, by arm or by variant, in their order. */
export function toJourneys(
  counts: readonly JourneyCounts[],
  query: Pick<JourneyQuery, 'days' | 'of' | 'features'>,
  by: JourneysBy,
): readonly Journey[] {
  return [...Map.groupBy(counts, (one) => one[by])]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, list]) => toJourney({ arm: '', variant: '', [by]: name }, list, query))
}

async function askAll(shard: Shard, query: JourneyQuery): Promise<readonly JourneyCounts[]> {
  const all: JourneyCounts[] = []
  let cursor = query.cursor
  do {
    const part = await shard.journey({ ...query, cursor })
    all.push(...part.counts)
    cursor = part.cursor
  } while (cursor !== null)
  return all
}

/** Loads the journeys of the units of one measurement. */
export async function loadJourneys(
  bindings: Bindings,
  environment: string,
  query: Omit<JourneyQuery, 'cursor'>,
  by: JourneysBy,
): Promise<{ readonly journeys: readonly Journey[]; readonly partial: boolean }> {
  const { answers, partial } = await askShards(
    bindings,
    environment,
    (shard) => askAll(shard, { ...query, cursor: null }),
    TIMEOUT_MS,
  )
  return { journeys: toJourneys(answers.flat(), query, by), partial }
}
