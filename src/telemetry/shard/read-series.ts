// What a shard has counted over time, from its days, hours and minutes.
import type { Counting } from '../counting/counting.ts'
import type { SeriesCell, SeriesQuery } from '../counting/series.ts'
import { isWanted } from '../counting/series-book.ts'
import { mergeCells } from './merge-cells.ts'
import type { SpanRows } from './span-rows.ts'

const STEP_MS = { minute: 60_000, hour: 3_600_000 }
const DAY_MS = 86_400_000

/** Reads the cells of a range, in order of time. */
export function readSeries(query: SeriesQuery, counting: Counting, spans: SpanRows): SeriesCell[] {
  return query.step === 'day'
    ? readDays(query, counting, spans)
    : readSteps(query.step, query, counting, spans)
}

function readSteps(
  step: 'minute' | 'hour',
  query: SeriesQuery,
  counting: Counting,
  spans: SpanRows,
): SeriesCell[] {
  const cells: SeriesCell[] = []
  const width = STEP_MS[step]
  // Nothing is kept from before the first, and nothing is accepted from so far ahead.
  const first = Math.max(query.from, Math.min(spans.first(step), dayOf(counting.at - 3 * DAY_MS)))
  const last = Math.min(query.to, counting.at + DAY_MS)
  for (let start = Math.ceil(first / width) * width; start < last; start += width) {
    cells.push(...counting.cells(step, start, query))
  }
  return cells
}

function readDays(query: SeriesQuery, counting: Counting, spans: SpanRows): SeriesCell[] {
  const folded = spans.days(query.from, query.to).filter((cell) => isWanted(cell, query))
  const days = Map.groupBy([...folded, ...readSteps('hour', query, counting, spans)], ({ start }) =>
    dayOf(start),
  )
  return [...days].sort(([one], [other]) => one - other).flatMap(([day, ofDay]) => mergeCells(day, ofDay))
}

function dayOf(instant: number): number {
  return Math.floor(instant / DAY_MS) * DAY_MS
}
