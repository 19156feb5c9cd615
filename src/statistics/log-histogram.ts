// Distributions of values in a few hundred numbers. Pure.

const GAMMA = 1.02
const BUCKETS_PER_E = 1 / Math.log(GAMMA)
/** What lies outside is counted at the limit, so that no histogram has more than 2,793 buckets whatever is put in. */
const SMALLEST = 1e-9
const LARGEST = 1e15

/**
 * A log-histogram with γ = 1.02, as it is stored: how many values were 0 or less, the first bucket that is not empty,
 * and then, for each bucket that is not empty, how far it is from the one before and how many values are in it.
 */
export type PackedHistogram = {
  readonly zeros: number
  readonly first: number
  readonly runs: readonly number[]
}

/** The bucket of a value above 0: those up to γ^i and above γ^(i-1) are in bucket i. */
function bucketOf(value: number): number {
  return Math.ceil(Math.log(Math.min(Math.max(value, SMALLEST), LARGEST)) * BUCKETS_PER_E)
}

/** The value that is within 1 % of every value in a bucket. */
function middleOf(bucket: number): number {
  return (2 * GAMMA ** bucket) / (GAMMA + 1)
}

/**
 * A log-histogram with γ = 1.02: quantiles to within 1 % of the value, from a billionth to 10^15; what is 0 or less
 * counts as 0. It merges by adding.
 */
export class LogHistogram {
  private zeros = 0
  private total = 0
  /** The bucket that `counts` begins with. */
  private first = 0
  private counts: number[] = []

  /** Counts a value that is a number. */
  add(value: number, times = 1): void {
    if (value > 0) this.addTo(bucketOf(value), times)
    else this.zeros += times
    this.total += times
  }

  /** Counts what the other has counted. */
  merge(other: LogHistogram): void {
    // From the last, so that room is made once.
    for (let index = other.counts.length - 1; index >= 0; index--) {
      const times = other.counts[index]
      if (times) this.addTo(other.first + index, times)
    }
    this.zeros += other.zeros
    this.total += other.total
  }

  /** Counts what was packed. */
  mergePacked({ zeros, first, runs }: PackedHistogram): void {
    this.zeros += zeros
    this.total += zeros
    let bucket = first
    for (let index = 0; index < runs.length; index += 2) {
      const times = runs[index + 1] ?? 0
      bucket += runs[index] ?? 0
      this.addTo(bucket, times)
      this.total += times
    }
  }

  /** How many values have been counted. */
  get count(): number {
    return this.total
  }

  /** The value that a share of the values does not exceed, 0 < share < 1; NaN when there are none. */
  quantile(share: number): number {
    return this.valueAt(Math.max(1, Math.ceil(share * this.total)))
  }

  /** The value of a rank, counted from 1, the lowest; NaN when there are none. */
  valueAt(rank: number): number {
    if (this.total === 0) return Number.NaN
    let below = this.zeros
    if (rank <= below) return 0
    for (const [index, times] of this.counts.entries()) {
      below += times
      if (rank <= below) return middleOf(this.first + index)
    }
    return middleOf(this.first + this.counts.length - 1)
  }

  pack(): PackedHistogram {
    const runs: number[] = []
    let first = 0
    let last = 0
    for (const [index, times] of this.counts.entries()) {
      if (times === 0) continue
      const bucket = this.first + index
      if (runs.length === 0) first = last = bucket
      runs.push(bucket - last, times)
      last = bucket
    }
    return { zeros: this.zeros, first, runs }
  }

  static unpack(packed: PackedHistogram): LogHistogram {
    const histogram = new LogHistogram()
    histogram.mergePacked(packed)
    return histogram
  }

  private addTo(bucket: number, times: number): void {
    if (this.counts.length === 0) this.first = bucket
    const index = bucket - this.first
    if (index < 0) {
      this.counts = [...new Array<number>(-index).fill(0), ...this.counts]
      this.first = bucket
    }
    while (this.counts.length <= index) this.counts.push(0)
    const at = bucket - this.first
    this.counts[at] = (this.counts[at] ?? 0) + times
  }
}
