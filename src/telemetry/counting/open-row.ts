// What has happened to the units of one arm in the block that is open.
import type { BoundCounts, GuardBlock } from './blocks.ts'

type OpenBound = { -readonly [key in keyof BoundCounts]: BoundCounts[key] }

type OpenMetric = { x: number; readonly bounds: OpenBound[] }

type PackedBound = readonly [bound: number, units: number, unitsAbove: number, all: number, above: number]

/** The counts of an arm in an open block, packed. */
export type PackedOpenRow = readonly [
  counts: readonly [firsts: number, entered: number, live: number, firstLive: number, ignored: number],
  metrics: readonly (readonly [metric: string, x: number, bounds: readonly PackedBound[]])[],
]

/** The counts of an arm in an open block. */
export class OpenRow {
  firsts = 0
  entered = 0
  live = 0
  firstLive = 0
  ignored = 0
  private readonly metrics = new Map<string, OpenMetric>()

  /** Makes a metric be in the block, whatever happens to it. */
  show(metric: string): OpenMetric {
    const known = this.metrics.get(metric)
    if (known) return known
    const open = { x: 0, bounds: [] }
    this.metrics.set(metric, open)
    return open
  }

  hit(metric: string): void {
    this.show(metric).x++
  }

  /** An observation is compared with a bound. */
  observe(metric: string, bound: number, isAbove: boolean, isFirst: boolean): void {
    const { bounds } = this.show(metric)
    let counts = bounds.find((one) => one.bound === bound)
    if (!counts) {
      counts = { bound, units: 0, unitsAbove: 0, observations: 0, above: 0 }
      bounds.push(counts)
    }
    counts.observations++
    if (isAbove) counts.above++
    if (isFirst) counts.units++
    if (isFirst && isAbove) counts.unitsAbove++
  }

  /** The block that this becomes, with the sizes that risk sets have at its end. */
  close(
    place: Pick<GuardBlock, 'start' | 'measurement' | 'stage' | 'stratum' | 'arm'>,
    sizeOf: (metric: string) => number,
  ): GuardBlock {
    const { firsts, entered, live, firstLive, ignored } = this
    const metrics = Array.from(this.metrics, ([metric, { x, bounds }]) => {
      return { metric, x, n: x + sizeOf(metric), bounds: [...bounds].sort((a, b) => a.bound - b.bound) }
    })
    metrics.sort((a, b) => (a.metric < b.metric ? -1 : 1))
    return { ...place, firsts, entered, live, firstLive, ignored, metrics }
  }

  pack(): PackedOpenRow {
    const { firsts, entered, live, firstLive, ignored } = this
    return [
      [firsts, entered, live, firstLive, ignored],
      Array.from(this.metrics, ([metric, { x, bounds }]) => [
        metric,
        x,
        bounds.map((one) => [one.bound, one.units, one.unitsAbove, one.observations, one.above]),
      ]),
    ]
  }

  static unpack([counts, metrics]: PackedOpenRow): OpenRow {
    const row = new OpenRow()
    const [firsts, entered, live, firstLive, ignored] = counts
    Object.assign(row, { firsts, entered, live, firstLive, ignored })
    for (const [metric, x, bounds] of metrics) {
      const open = row.show(metric)
      open.x = x
      for (const [bound, units, unitsAbove, observations, above] of bounds) {
        open.bounds.push({ bound, units, unitsAbove, observations, above })
      }
    }
    return row
  }
}
