// What was counted over time, by flag, variant and arm, of all shards together.
import type { Bindings } from '../../bindings.ts'
import { LogHistogram } from '../../statistics/log-histogram.ts'
import type { SeriesCell, SeriesQuery, SeriesStep } from '../counting/series.ts'
import { askShards } from './ask-shards.ts'

const MINUTE_MS = 60_000
export const STEP_MS: { readonly [step in SeriesStep]: number } = {
  minute: MINUTE_MS,
  hour: 60 * MINUTE_MS,
  day: 24 * 60 * MINUTE_MS,
}

/** What series are told apart by, beside metric and flag; `stratum` is `arm` with every stratum apart. */
export type SeriesBy = 'none' | 'variant' | 'arm' | 'stratum'

/** What was counted in one span of time; a mean or quantile is null where the metric has none. */
export type Point = {
  readonly count: number
  /** Events per minute, of the part of the span that has passed. */
  readonly perMinute: number
  readonly sum: number
  /** For a ratio, the ratio. */
  readonly mean: number | null
  readonly p50: number | null
  readonly p95: number | null
  readonly p99: number | null
  /** Units whose first exposure, or first event of the metric, it was. */
  readonly units: number
}

/** What a series is of: empty texts, and null, where it is not told apart by that. */
export type SeriesName = {
  /** null: exposures. */
  readonly metric: string | null
  /** Empty: all events of the metric, whatever they are attributed to. */
  readonly flag: string
  readonly variant: string
  readonly measurement: string
  readonly stage: number | null
  readonly stratum: string
  readonly arm: string
}

export type Series = SeriesName & {
  /** In order of time; spans in which nothing was counted are left out. */
  readonly points: readonly (Point & { readonly start: number })[]
  /** Over the whole range. */
  readonly total: Point
}

/** What readers ask for: widened to whole steps. */
export type SeriesRange = { readonly from: number; readonly to: number; readonly step: SeriesStep }

class Sum {
  count = 0
  sum = 0
  denominator = 0
  units = 0
  private sketch: LogHistogram | null = null

  add(cell: SeriesCell): void {
    this.count += cell.count
    this.sum += cell.sum
    this.denominator += cell.denominator
    this.units += cell.units
    if (cell.sketch === null) return
    this.sketch ??= new LogHistogram()
    this.sketch.mergePacked(cell.sketch)
  }

  merge({ count, sum, denominator, units, sketch }: Sum): void {
    this.count += count
    this.sum += sum
    this.denominator += denominator
    this.units += units
    if (sketch === null) return
    this.sketch ??= new LogHistogram()
    this.sketch.merge(sketch)
  }

  /** The sum as a point of a span of so many milliseconds. */
  point(span: number): Point {
    const { count, sum, denominator, units, sketch } = this
    const quantile = (share: number) => (sketch && sketch.count > 0 ? sketch.quantile(share) : null)
    const mean = sketch && sketch.count > 0 ? sum / sketch.count : null
    return {
      count,
      perMinute: count / (Math.max(span, MINUTE_MS) / MINUTE_MS),
      sum,
      mean: denominator > 0 ? sum / denominator : mean,
      p50: quantile(0.5),
      p95: quantile(0.95),
      p99: quantile(0.99),
      units,
    }
  }
}

function nameOf(cell: SeriesCell, by: SeriesBy): SeriesName {
  const { metric, flag, variant, measurement, stage, stratum, arm } = cell
  const whole = { metric, flag, variant: '', measurement: '', stage: null, stratum: '', arm: '' }
  if (by === 'none') return whole
  if (by === 'variant') return { ...whole, variant }
  // A variant that a tag does not name is of no arm.
  if (measurement === '') return whole
  return { ...whole, measurement, stage, stratum: by === 'stratum' ? stratum : '', arm }
}

/** Tells series apart, and puts them in order. */
function keyOf({ metric, flag, variant, measurement, stage, stratum, arm }: SeriesName): string {
  const standing = `${measurement}\n${String(stage ?? '').padStart(9)}\n${stratum}\n${arm}`
  // Flag and variant are whatever an event says, so the length tells where one ends.
  return `${metric ?? ''}\n${flag}\n${variant}\n${standing}\n${flag.length}`
}

function inOrder(a: SeriesName, b: SeriesName): number {
  return keyOf(a) < keyOf(b) ? -1 : 1
}

/** Adds up cells of whatever shards to series; exposures first, then by metric, flag and what they are told apart by. */
export function mergeSeries(
  cells: readonly SeriesCell[],
  { from, to, step }: SeriesRange,
  by: SeriesBy,
  now: number,
): Series[] {
  const sums = new Map<string, { name: SeriesName; spans: Map<number, Sum> }>()
  for (const cell of cells) {
    const name = nameOf(cell, by)
    const key = keyOf(name)
    const series = sums.get(key) ?? { name, spans: new Map<number, Sum>() }
    sums.set(key, series)
    const span = series.spans.get(cell.start) ?? new Sum()
    series.spans.set(cell.start, span)
    span.add(cell)
  }
  const passed = (start: number, end: number) => Math.min(end, now) - start
  return [...sums.values()]
    .map(({ name, spans }) => {
      const total = new Sum()
      for (const sum of spans.values()) total.merge(sum)
      return {
        ...name,
        points: [...spans]
          .sort(([a], [b]) => a - b)
          .map(([start, sum]) => ({ start, ...sum.point(passed(start, start + STEP_MS[step])) })),
        total: total.point(passed(from, to)),
      }
    })
    .sort(inOrder)
}

/** A range that begins and ends with a step. */
export function wholeSteps<T extends SeriesRange>(range: T): T {
  const width = STEP_MS[range.step]
  return {
    ...range,
    from: Math.floor(range.from / width) * width,
    to: Math.ceil(range.to / width) * width,
  }
}

/** Loads series; `partial` when a shard did not answer, so that something is missing. */
export async function loadSeries(
  bindings: Bindings,
  environment: string,
  query: SeriesQuery,
  by: SeriesBy,
  now: number,
): Promise<{ readonly range: SeriesRange; readonly series: readonly Series[]; readonly partial: boolean }> {
  const whole = wholeSteps(query)
  const { answers, partial } = await askShards(bindings, environment, (shard) => shard.series(whole))
  const { from, to, step } = whole
  return { range: { from, to, step }, series: mergeSeries(answers.flat(), whole, by, now), partial }
}
