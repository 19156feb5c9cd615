// Sums over the totals of one arm's units, kept by difference: what a unit's total was goes, what it is now comes.
import type { CellSlot } from './series-book.ts'
import type { ArmTotals, Moments } from './totals.ts'
import { areSameBounds } from './watch.ts'

type Mutable<T> = { -readonly [key in keyof T]: T[key] }

type BoundMoments = Mutable<Moments['bounds'][number]>

const noBound = (bound: number): BoundMoments => ({ bound, o: 0, oo: 0, b: 0, bb: 0, ob: 0 })

/** The sums of one metric, packed: see `Moments` for the order. */
type PackedMoments = readonly [
  metric: string,
  sums: readonly number[],
  compared: number,
  bounds: readonly (readonly number[])[],
]

/** The sums of one metric. */
export class MetricSums {
  hits = 0
  events = 0
  /** What observations are compared with, and how many such lists there have been. */
  bounds: readonly number[] = []
  compared = 0
  /** Where its events go to in the series. */
  readonly slot: CellSlot = { taken: -1, minute: -1, variant: '', cell: undefined }
  private y = 0
  private yy = 0
  private d = 0
  private dd = 0
  private yd = 0
  private x = 0
  private xx = 0
  private xy = 0
  private boundMoments: BoundMoments[] = []

  /** A unit's total changes, x being what it was before the exposure. */
  change(y0: number, d0: number, y1: number, d1: number, x: number): void {
    this.y += y1 - y0
    this.yy += y1 * y1 - y0 * y0
    this.d += d1 - d0
    this.dd += d1 * d1 - d0 * d0
    this.yd += y1 * d1 - y0 * d0
    this.xy += x * (y1 - y0)
  }

  /** A unit comes (1) or goes (-1) whose x is this. */
  changeBefore(x: number, units: 1 | -1): void {
    this.x += units * x
    this.xx += units * x * x
  }

  /** A unit's observations change, and those of them above a bound. */
  changeBound(index: number, o0: number, b0: number, o1: number, b1: number): void {
    const sums = this.boundMoments[index]
    if (!sums) return
    sums.o += o1 - o0
    sums.oo += o1 * o1 - o0 * o0
    sums.b += b1 - b0
    sums.bb += b1 * b1 - b0 * b0
    sums.ob += o1 * b1 - o0 * b0
  }

  /**
   * Compares with other bounds from now on, and begins anew, where the arm's stage is the plan's or nothing has been
   * compared yet: the sums of an earlier stage stay as they are.
   */
  useBounds(bounds: readonly number[], isCurrent: boolean): void {
    if (areSameBounds(this.bounds, bounds) || !(isCurrent || this.bounds.length === 0)) return
    this.bounds = bounds
    this.compared++
    this.boundMoments = bounds.map(noBound)
  }

  moments(): Moments {
    const { hits, events, y, yy, d, dd, yd, x, xx, xy } = this
    return { hits, events, y, yy, d, dd, yd, x, xx, xy, bounds: this.boundMoments.map((one) => ({ ...one })) }
  }

  pack(metric: string): PackedMoments {
    const { hits, events, y, yy, d, dd, yd, x, xx, xy } = this
    const bounds = this.boundMoments.map((one) => [one.bound, one.o, one.oo, one.b, one.bb, one.ob])
    return [metric, [hits, events, y, yy, d, dd, yd, x, xx, xy], this.compared, bounds]
  }

  static unpack([, sums, compared, bounds]: PackedMoments): MetricSums {
    const metric = new MetricSums()
    const [hits = 0, events = 0, y = 0, yy = 0, d = 0, dd = 0, yd = 0, x = 0, xx = 0, xy = 0] = sums
    Object.assign(metric, { hits, events, y, yy, d, dd, yd, x, xx, xy, compared })
    metric.boundMoments = bounds.map(([bound = 0, o = 0, oo = 0, b = 0, bb = 0, ob = 0]) => {
      return { bound, o, oo, b, bb, ob }
    })
    metric.bounds = metric.boundMoments.map(({ bound }) => bound)
    return metric
  }
}

/** The sums of an arm, packed. */
export type PackedSums = readonly [
  units: number,
  firsts: number,
  mixed: number,
  metrics: readonly PackedMoments[],
]

/** The sums of an arm. */
export class ArmSums {
  units: number
  firsts: number
  mixed: number
  private readonly metrics: Map<string, MetricSums>

  constructor([units, firsts, mixed, metrics]: PackedSums = [0, 0, 0, []]) {
    this.units = units
    this.firsts = firsts
    this.mixed = mixed
    this.metrics = new Map(metrics.map((packed) => [packed[0], MetricSums.unpack(packed)]))
  }

  of(metric: string): MetricSums {
    const known = this.metrics.get(metric)
    if (known) return known
    const sums = new MetricSums()
    this.metrics.set(metric, sums)
    return sums
  }

  totals(): Pick<ArmTotals, 'units' | 'firsts' | 'mixed' | 'metrics'> {
    const { units, firsts, mixed } = this
    const metrics = new Map(Array.from(this.metrics, ([key, sums]) => [key, sums.moments()]))
    return { units, firsts, mixed, metrics }
  }

  pack(): PackedSums {
    const metrics = Array.from(this.metrics, ([key, sums]) => sums.pack(key))
    return [this.units, this.firsts, this.mixed, metrics]
  }
}
