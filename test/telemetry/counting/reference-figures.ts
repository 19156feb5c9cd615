// The figures of the reference: each is made by going through a list.
import type { Metric } from '../../../src/catalog/measurement.ts'
import { LogHistogram } from '../../../src/statistics/log-histogram.ts'
import type { GuardBlock } from '../../../src/telemetry/counting/blocks.ts'
import type { SeriesCell } from '../../../src/telemetry/counting/series.ts'
import type { Moments } from '../../../src/telemetry/counting/totals.ts'

/** An event that was joined to a unit's exposure. */
export type Joined = { metric: Metric; isDenominator: boolean; value: number }

/** A value that was compared with bounds: in an arm of a measurement. */
export type Observation = { arm: string; metric: string; unit: string; value: number }

/** What has happened to an arm in the open block. */
export type Row = {
  measurement: string
  stage: number
  stratum: string
  arm: string
  counts: { firsts: number; entered: number; live: number; firstLive: number; ignored: number }
  hits: string[]
  shown: Set<string>
  observed: { metric: string; bound: number; isAbove: boolean; isFirst: boolean }[]
}

/** What one event adds to a cell. */
export type CellPart = Pick<
  SeriesCell,
  'metric' | 'flag' | 'variant' | 'measurement' | 'stage' | 'stratum' | 'arm'
> & {
  minute: number
  events: number
  value: number
  isDenominator: boolean
  isNewUnit: boolean
  kind: Metric['kind']
}

export const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0)

/** The cells of all parts, by spans of so many milliseconds. */
export function cellsOf(all: readonly CellPart[], width: number): SeriesCell[] {
  const groups = new Map<string, CellPart[]>()
  for (const part of all) {
    const { metric, flag, variant, measurement, stage, stratum, arm } = part
    const start = Math.floor(part.minute / width) * width
    const key = JSON.stringify([start, metric, flag, variant, measurement, stage, stratum, arm])
    groups.set(key, [...(groups.get(key) ?? []), part])
  }
  return [...groups.values()].map((parts) => {
    const { metric, flag, variant, measurement, stage, stratum, arm, minute, kind } = parts[0] as CellPart
    const values = parts
      .filter((part) => !part.isDenominator && !Number.isNaN(part.value))
      .map(({ value }) => value)
    const sketch = new LogHistogram()
    for (const value of values) sketch.add(value)
    const isDistribution =
      ['mean', 'latency', 'resource'].includes(kind) && metric !== null && values.length > 0
    return {
      start: Math.floor(minute / width) * width,
      metric,
      flag,
      variant,
      measurement,
      stage,
      stratum,
      arm,
      count: sum(parts.filter(({ isDenominator }) => !isDenominator).map(({ events }) => events)),
      sum: sum(values),
      squares: sum(values.map((value) => value * value)),
      denominator: sum(
        parts
          .filter(({ isDenominator }) => isDenominator)
          .map(({ value }) => (Number.isNaN(value) ? 1 : value)),
      ),
      units: parts.filter(({ isNewUnit }) => isNewUnit).length,
      sketch: isDistribution ? sketch.pack() : null,
    }
  })
}

/** The sums of a metric over units, of what was joined to each and what each did before. */
export function momentsOf(
  metric: Metric,
  stays: readonly { readonly joined: readonly Joined[]; readonly before: number }[],
  observed: readonly Observation[],
  bounds: readonly number[],
): Moments {
  const units = stays.map(({ joined: all, before }) => {
    const joined = all.filter((one) => one.metric.key === metric.key)
    const events = joined.filter(({ isDenominator }) => !isDenominator)
    const values = sum(events.map(({ value }) => (Number.isNaN(value) ? 0 : value)))
    const total = metric.kind === 'count' ? events.length : values
    const isShare = metric.kind === 'conversion' || metric.kind === 'error'
    const divisors = joined
      .filter(({ isDenominator }) => isDenominator)
      .map(({ value }) => (Number.isNaN(value) ? 1 : value))
    return {
      events: events.length,
      y: isShare ? Math.min(1, events.length) : Math.min(total, metric.cap ?? Number.POSITIVE_INFINITY),
      d:
        metric.kind === 'ratio'
          ? sum(divisors)
          : ['latency', 'resource'].includes(metric.kind)
            ? events.length
            : 0,
      x: before,
    }
  })
  const observers = [...new Set(observed.map(({ unit }) => unit))]
  return {
    hits: units.filter(({ events }) => events > 0).length,
    events: sum(units.map(({ events }) => events)),
    y: sum(units.map(({ y }) => y)),
    yy: sum(units.map(({ y }) => y * y)),
    d: sum(units.map(({ d }) => d)),
    dd: sum(units.map(({ d }) => d * d)),
    yd: sum(units.map(({ y, d }) => y * d)),
    x: sum(units.map(({ x }) => x)),
    xx: sum(units.map(({ x }) => x * x)),
    xy: sum(units.map(({ x, y }) => x * y)),
    bounds: bounds.map((bound) => {
      const each = observers.map((unit) => {
        const values = observed.filter((one) => one.unit === unit).map(({ value }) => value)
        return { o: values.length, b: values.filter((value) => value > bound).length }
      })
      return {
        bound,
        o: sum(each.map(({ o }) => o)),
        oo: sum(each.map(({ o }) => o * o)),
        b: sum(each.map(({ b }) => b)),
        bb: sum(each.map(({ b }) => b * b)),
        ob: sum(each.map(({ o, b }) => o * b)),
      }
    }),
  }
}

/** The block that a row becomes. */
export function blockOf(
  { measurement, stage, stratum, arm, counts, hits, shown, observed }: Row,
  start: number,
  watched: readonly string[],
  sizeOf: (metric: string) => number,
): GuardBlock {
  const keys = new Set([...watched, ...hits, ...shown, ...observed.map(({ metric }) => metric)])
  const metrics = [...keys].sort().map((metric) => {
    const x = hits.filter((one) => one === metric).length
    const own = observed.filter((one) => one.metric === metric)
    const bounds = [...new Set(own.map(({ bound }) => bound))]
      .sort((a, b) => a - b)
      .map((bound) => {
        const compared = own.filter((one) => one.bound === bound)
        return {
          bound,
          units: compared.filter(({ isFirst }) => isFirst).length,
          unitsAbove: compared.filter(({ isFirst, isAbove }) => isFirst && isAbove).length,
          observations: compared.length,
          above: compared.filter(({ isAbove }) => isAbove).length,
        }
      })
    return { metric, x, n: x + sizeOf(metric), bounds }
  })
  return { start, measurement, stage, stratum, arm, ...counts, metrics }
}
