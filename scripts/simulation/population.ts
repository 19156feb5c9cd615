// The people of one stratum, counted and not listed: who comes, stays, goes bad, leaves and comes back, in blocks of ten
// seconds. unit-level.ts follows the same people one by one, through the product's own counting.
import { Individuals, RING } from './individuals.ts'
import type { Random } from './random.ts'

/** Blocks for which a unit stays in the risk set without an exposure: 30 minutes. */
export const WINDOW_BLOCKS = 180

/** How much later than its last exposure a unit leaves the risk set. */
export const LEAVE_BLOCKS = WINDOW_BLOCKS + 1

/** How people behave. */
export type Habits = {
  /** The chance, in each block in which somebody is there, that it is the last one of the visit. */
  readonly leaving: number
  /** The chance that somebody comes back ever, and in each block then, once the window is over. */
  readonly returning: number
  readonly back: number
  /** Whether hits arrive 1 min to 1 h after the exposure (evenly in the logarithm), or with it. */
  readonly isLate: boolean
}

/** Visits of five minutes; half of the people come back, six hours later in the mean. */
export const HABITS: Habits = { leaving: 1 / 30, returning: 0.5, back: 1 / 2160, isLate: true }

/** How many blocks a hit lags behind. */
export function drawLag(random: Random): number {
  return Math.floor(6 * 60 ** random.next())
}

export type PopulationOptions = {
  readonly habits: Habits
  /** Visits that begin in a block, in the mean. */
  readonly visits: number
  /** Upper ends of the segments that percentages cut the buckets into; the last is 1. */
  readonly edges: readonly number[]
  /** How many metrics may hit; one alone, and nobody is followed any more who was hit. */
  readonly metrics: number
}

/**
 * The people of one stratum, by segments of their buckets. A unit that goes bad at the begin of a visit is hit in one
 * metric, once; while that is on its way it does not go bad again.
 */
export class Population {
  readonly segments: number
  readonly metrics: number
  /** Of the block that was played last, by segment: units hit and risk sets, [segment * metrics + metric]. */
  readonly x: Int32Array
  readonly n: Int32Array
  /** Units that entered in the stage, came first in the rollout, and began a visit not yet hit, by segment. */
  readonly entered: Int32Array
  readonly firsts: Int32Array
  readonly starts: Int32Array
  private readonly random: Random
  private readonly habits: Habits
  private readonly arrivals: Float64Array
  private readonly classes: number
  private readonly keepsHit: boolean
  private readonly active: Int32Array
  private readonly ring: Int32Array
  private readonly tail: Int32Array
  private readonly away: Int32Array
  private readonly awayOld: Int32Array
  private readonly awayNew: Int32Array
  private readonly pending: Int32Array
  private readonly individuals = new Individuals()
  private epoch = 0
  private epochStart = 0

  constructor(random: Random, { habits, visits, edges, metrics }: PopulationOptions) {
    this.random = random
    this.habits = habits
    this.metrics = metrics
    this.segments = edges.length
    this.keepsHit = metrics > 1
    this.classes = this.keepsHit ? 1 << metrics : 1
    const cells = this.segments * this.classes
    const widths = edges.map((edge, index) => edge - (edges[index - 1] ?? 0))
    this.arrivals = Float64Array.from(widths, (width) => width * visits * (1 - habits.returning))
    this.active = new Int32Array(cells)
    this.ring = new Int32Array(RING * cells)
    this.tail = new Int32Array(cells)
    this.away = new Int32Array(cells)
    this.awayOld = new Int32Array(cells)
    this.awayNew = new Int32Array(this.segments)
    this.pending = new Int32Array(cells)
    this.x = new Int32Array(this.segments * metrics)
    this.n = new Int32Array(this.segments * metrics)
    this.entered = new Int32Array(this.segments)
    this.firsts = new Int32Array(this.segments)
    this.starts = new Int32Array(this.segments)
    for (const [segment, width] of widths.entries()) {
      // As they are before anything is measured: on a visit, or gone and to come back.
      this.active[segment * this.classes] = random.poisson(
        (width * visits * (1 - habits.leaving)) / habits.leaving,
      )
      this.awayNew[segment] = random.poisson((width * visits * habits.returning) / habits.back)
    }
  }

  /**
   * Plays a block.
   * @param chances that a visit goes bad, [segment * metrics + metric]
   * @param visiting how many people come, compared with the mean
   * @param isNewEpoch whether another stage begins with the block
   */
  play(block: number, chances: ArrayLike<number>, visiting: number, isNewEpoch: boolean): void {
    this.x.fill(0)
    this.entered.fill(0)
    this.firsts.fill(0)
    this.starts.fill(0)
    if (isNewEpoch) this.beginEpoch(block)
    this.leave(block)
    this.follow(block)
    for (let segment = 0; segment < this.segments; segment++) this.visit(block, segment, chances, visiting)
    this.count()
  }

  private beginEpoch(block: number): void {
    const { active, away, awayOld, tail, pending, individuals, classes } = this
    this.epoch++
    this.epochStart = block
    tail.fill(0)
    pending.fill(0)
    for (let cell = 0; cell < active.length; cell++) {
      const segment = Math.floor(cell / classes)
      awayOld[cell] = (awayOld[cell] ?? 0) + (away[cell] ?? 0)
      away[cell] = 0
      this.entered[segment] = (this.entered[segment] ?? 0) + (active[cell] ?? 0)
      if (this.epoch === 1) this.firsts[segment] = (this.firsts[segment] ?? 0) + (active[cell] ?? 0)
    }
    for (let index = 0; index < individuals.isPresent.length; index++) {
      if (!individuals.isPresent[index]) continue
      const isThere = (individuals.end[index] ?? 0) >= block
      individuals.isAtRisk[index] = isThere ? 1 : 0
      if (!isThere) continue
      const cell = individuals.cell[index] ?? 0
      const segment = Math.floor(cell / classes)
      pending[cell] = (pending[cell] ?? 0) + 1
      this.entered[segment] = (this.entered[segment] ?? 0) + 1
    }
  }

  /** Lets those go whose window is over; some of them come back. */
  private leave(block: number): void {
    const { ring, tail, active } = this
    const cells = active.length
    const slot = (block % RING) * cells
    const isOfEpoch = block >= this.epochStart + LEAVE_BLOCKS
    const away = isOfEpoch ? this.away : this.awayOld
    for (let cell = 0; cell < cells; cell++) {
      const leaving = ring[slot + cell] ?? 0
      if (leaving === 0) continue
      ring[slot + cell] = 0
      if (isOfEpoch) tail[cell] = (tail[cell] ?? 0) - leaving
      away[cell] = (away[cell] ?? 0) + this.random.binomial(leaving, this.habits.returning)
    }
  }

  /** What happens to those who went bad and wait for their hit. */
  private follow(block: number): void {
    const { individuals } = this
    let index = individuals.take(block)
    while (index >= 0) {
      const next = individuals.next[index] ?? -1
      if (individuals.hitAt[index] === block) this.hit(index, block)
      else if (individuals.isPresent[index]) this.goAway(index, block)
      else this.comeBack(index, block)
      index = next
    }
  }

  private hit(index: number, block: number): void {
    const { individuals, classes } = this
    const cell = individuals.cell[index] ?? 0
    const end = individuals.end[index] ?? 0
    if (!individuals.isPresent[index]) {
      const away = end >= this.epochStart ? this.away : this.awayOld
      away[cell] = (away[cell] ?? 0) + 1
      individuals.close(index)
      return
    }
    if (individuals.isAtRisk[index]) this.pending[cell] = (this.pending[cell] ?? 0) - 1
    const metric = individuals.metric[index] ?? 0
    const counts = individuals.isAtRisk[index] === 1 && individuals.epoch[index] === this.epoch
    individuals.close(index)
    if (counts) {
      const place = Math.floor(cell / classes) * this.metrics + metric
      this.x[place] = (this.x[place] ?? 0) + 1
      if (!this.keepsHit) return
    }
    const after = counts ? cell | (1 << metric) : cell
    if (end >= block) this.active[after] = (this.active[after] ?? 0) + 1
    else this.putInTail(after, end)
  }

  private putInTail(cell: number, end: number): void {
    const slot = ((end + LEAVE_BLOCKS) % RING) * this.active.length + cell
    this.ring[slot] = (this.ring[slot] ?? 0) + 1
    if (end >= this.epochStart) this.tail[cell] = (this.tail[cell] ?? 0) + 1
  }

  private goAway(index: number, block: number): void {
    const { individuals, random, habits } = this
    const cell = individuals.cell[index] ?? 0
    if (individuals.isAtRisk[index]) this.pending[cell] = (this.pending[cell] ?? 0) - 1
    individuals.isPresent[index] = 0
    individuals.isAtRisk[index] = 0
    if (random.next() >= habits.returning) {
      individuals.close(index)
      return
    }
    const hitAt = individuals.hitAt[index] ?? 0
    const back = block + random.geometric(habits.back)
    if (back === block) this.comeBack(index, block)
    else individuals.schedule(index, Math.min(back, hitAt))
  }

  private comeBack(index: number, block: number): void {
    const { individuals, random, habits, classes } = this
    const cell = individuals.cell[index] ?? 0
    const wasInEpoch = (individuals.end[index] ?? 0) >= this.epochStart
    individuals.isPresent[index] = 1
    individuals.isAtRisk[index] = 1
    individuals.end[index] = block + random.geometric(habits.leaving)
    this.pending[cell] = (this.pending[cell] ?? 0) + 1
    const segment = Math.floor(cell / classes)
    if (!wasInEpoch) this.entered[segment] = (this.entered[segment] ?? 0) + 1
    // It cannot leave again before: a lag is shorter than two windows.
    individuals.schedule(index, individuals.hitAt[index] ?? 0)
  }

  private visit(block: number, segment: number, chances: ArrayLike<number>, visiting: number): void {
    const { random, habits, classes, metrics } = this
    const fresh = random.poisson((this.arrivals[segment] ?? 0) * visiting)
    const strangers = random.binomial(this.awayNew[segment] ?? 0, habits.back)
    this.awayNew[segment] = (this.awayNew[segment] ?? 0) - strangers
    this.firsts[segment] = (this.firsts[segment] ?? 0) + fresh + strangers
    let entered = fresh + strangers
    for (let kind = 0; kind < classes; kind++) {
      const cell = segment * classes + kind
      const known = random.binomial(this.away[cell] ?? 0, habits.back)
      const old = random.binomial(this.awayOld[cell] ?? 0, habits.back)
      this.away[cell] = (this.away[cell] ?? 0) - known
      this.awayOld[cell] = (this.awayOld[cell] ?? 0) - old
      entered += old
      let starting = known + old + (kind === 0 ? fresh + strangers : 0)
      this.starts[segment] = (this.starts[segment] ?? 0) + starting
      for (let metric = 0; metric < metrics && starting > 0; metric++) {
        if ((kind >> metric) & 1) continue
        const bad = random.binomial(starting, chances[segment * metrics + metric] ?? 0)
        starting -= bad
        if (bad > 0) this.goBad(block, cell, metric, bad)
      }
      this.active[cell] = (this.active[cell] ?? 0) + starting
    }
    this.entered[segment] = (this.entered[segment] ?? 0) + entered
    for (let cell = segment * classes; cell < (segment + 1) * classes; cell++) {
      const ending = random.binomial(this.active[cell] ?? 0, habits.leaving)
      if (ending === 0) continue
      this.active[cell] = (this.active[cell] ?? 0) - ending
      this.tail[cell] = (this.tail[cell] ?? 0) + ending
      const slot = ((block + LEAVE_BLOCKS) % RING) * this.active.length + cell
      this.ring[slot] = (this.ring[slot] ?? 0) + ending
    }
  }

  private goBad(block: number, cell: number, metric: number, bad: number): void {
    const { individuals, random, habits, classes } = this
    if (!habits.isLate) {
      const place = Math.floor(cell / classes) * this.metrics + metric
      this.x[place] = (this.x[place] ?? 0) + bad
      if (this.keepsHit) this.active[cell | (1 << metric)] = (this.active[cell | (1 << metric)] ?? 0) + bad
      return
    }
    for (let unit = 0; unit < bad; unit++) {
      const index = individuals.open()
      const hitAt = block + drawLag(random)
      const end = block + random.geometric(habits.leaving)
      individuals.cell[index] = cell
      individuals.metric[index] = metric
      individuals.epoch[index] = this.epoch
      individuals.hitAt[index] = hitAt
      individuals.end[index] = end
      individuals.isPresent[index] = 1
      individuals.isAtRisk[index] = 1
      individuals.schedule(index, Math.min(hitAt, end + LEAVE_BLOCKS))
    }
    this.pending[cell] = (this.pending[cell] ?? 0) + bad
  }

  private count(): void {
    const { active, tail, pending, classes, metrics } = this
    for (let segment = 0; segment < this.segments; segment++) {
      for (let metric = 0; metric < metrics; metric++) {
        const place = segment * metrics + metric
        let atRisk = this.x[place] ?? 0
        for (let kind = 0; kind < classes; kind++) {
          if ((kind >> metric) & 1) continue
          const cell = segment * classes + kind
          atRisk += (active[cell] ?? 0) + (tail[cell] ?? 0) + (pending[cell] ?? 0)
        }
        this.n[place] = atRisk
      }
    }
  }
}
