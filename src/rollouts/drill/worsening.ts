// A regression laid over real counts: hits of the treated are added or taken away by chance, so that there are as many
// times more of them as is wanted. Pure but for the draws.
import { normalQuantileAbove, normalTail } from '../../statistics/distributions.ts'
import type { BlockMetric, BoundCounts, GuardBlock } from '../../telemetry/counting/blocks.ts'
import { ownerOf, TREATMENT } from '../evidence/slots.ts'
import type { Draws } from './draws.ts'

/** What gets worse, and how much. */
export type Worsening = {
  readonly metric: string
  /** Of a distribution: the value whose exceedances are counted; null: units are hit. */
  readonly bound: number | null
  /** How many times as many units are hit; of a distribution, how many times as large every value is. */
  readonly size: number
  /** The audience that it happens to, by its place; null: all. */
  readonly audience: number | null
}

/** Of values whose logarithms are normal: how far those scatter. So latencies often are. */
const SPREAD = 0.6

/** Hits by chance where none were seen: half of one is more than none. */
const UNSEEN = 0.5

/** How often things happen is told from so many hits, one after the other, since the risk set may be anything. */
const HITS_IN_SPAN = 10

/** Hits, and of how many. */
class Share {
  hits = 0
  private units = 0

  add(hits: number, units: number): void {
    this.hits += hits
    this.units += units
  }

  get value(): number {
    return (this.hits + UNSEEN) / (this.units + 1)
  }
}

/** How often things happen while all is well, both arms together. */
class Rates {
  /** By stratum and instant: shares of the span that it is in. */
  private readonly hits = new Map<string, Share>()
  private readonly above = new Map<number, Share>()

  constructor(blocks: readonly GuardBlock[], metric: string) {
    const open = new Map<string, Share>()
    for (const { start, stratum, metrics } of [...blocks].sort((a, b) => a.start - b.start)) {
      const found = metrics.find((one) => one.metric === metric)
      if (!found) continue
      this.spanAt(open, stratum, start).add(found.x, found.n)
      for (const { bound, units, unitsAbove } of found.bounds) {
        const share = this.above.get(bound) ?? new Share()
        this.above.set(bound, share)
        share.add(unitsAbove, units)
      }
    }
  }

  /** The probability that a unit at risk is hit in a block; undefined: nothing happened in the stratum then. */
  hit(stratum: string, start: number): number | undefined {
    return this.hits.get(`${stratum} ${start}`)?.value
  }

  /** The share of units above a bound. */
  exceeded(bound: number): number {
    return this.above.get(bound)?.value ?? UNSEEN
  }

  private spanAt(open: Map<string, Share>, stratum: string, start: number): Share {
    const name = `${stratum} ${start}`
    const present = open.get(stratum)
    const share = this.hits.get(name) ?? (present && present.hits < HITS_IN_SPAN ? present : new Share())
    open.set(stratum, share)
    this.hits.set(name, share)
    return share
  }
}

/** What is known of the treated of one stratum. */
type Treated = {
  /** The risk set as the real blocks left it. */
  atRisk: number
  /** How many of those were hit in the drill alone. */
  gone: number
  /** The probability that one of them is hit in a block. */
  rate: number
}

function largerShare(share: number, factor: number): number {
  return normalTail(normalQuantileAbove(share) - Math.log(factor) / SPREAD)
}

/** Changes the treated of a timeline, block by block. */
export class Worsener {
  private readonly worsening: Worsening
  private readonly rates: Rates
  private readonly draws: Draws
  private readonly template: GuardBlock | undefined
  private readonly treated = new Map<string, Treated>()
  /** Hits, or units above a bound, of the treated: all, and those that are the drill's. */
  hits = 0
  extra = 0

  constructor(worsening: Worsening, blocks: readonly GuardBlock[], draws: Draws) {
    this.worsening = worsening
    this.rates = new Rates(blocks, worsening.metric)
    this.draws = draws
    this.template = blocks[0]
  }

  /** The blocks of one instant as they would be. */
  worsen(start: number, blocks: readonly GuardBlock[]): readonly GuardBlock[] {
    const changed = blocks.map((block) => (this.isAffected(block) ? this.worsenBlock(block) : block))
    const seen = new Set(blocks.filter(({ arm }) => arm === TREATMENT).map(({ stratum }) => stratum))
    // Nothing really happened to these, but those who are at risk may be hit in the drill.
    const quiet = [...this.treated].flatMap(([stratum, { atRisk }]) => {
      if (seen.has(stratum) || atRisk === 0 || !this.template) return []
      const metrics = [{ metric: this.worsening.metric, x: 0, n: atRisk, bounds: [] }]
      const nothing = { firsts: 0, entered: 0, live: 0, firstLive: 0, ignored: 0 }
      return [this.worsenBlock({ ...this.template, ...nothing, start, stratum, arm: TREATMENT, metrics })]
    })
    return [...changed, ...quiet]
  }

  private isAffected({ arm, stratum }: GuardBlock): boolean {
    const { audience } = this.worsening
    return arm === TREATMENT && (audience === null || ownerOf(stratum) === audience)
  }

  private worsenBlock(block: GuardBlock): GuardBlock {
    const metrics = block.metrics.map((one) =>
      one.metric === this.worsening.metric ? this.worsenMetric(block, one) : one,
    )
    return { ...block, metrics }
  }

  private worsenMetric({ start, stratum, entered }: GuardBlock, counts: BlockMetric): BlockMetric {
    if (this.worsening.bound !== null) {
      return { ...counts, bounds: counts.bounds.map((one) => this.worsenBound(one)) }
    }
    const treated = this.treated.get(stratum) ?? { atRisk: 0, gone: 0, rate: 0 }
    this.treated.set(stratum, treated)
    // Those who are gone would have left as the others do.
    const there = treated.atRisk + entered
    treated.gone *= there > 0 ? Math.min(1, counts.n / there) : 0
    const n = Math.max(0, counts.n - Math.round(treated.gone))
    const real = Math.min(counts.x, n)
    treated.rate = this.rates.hit(stratum, start) ?? treated.rate
    const x = this.drawHits(real, n, treated.rate)
    treated.atRisk = counts.n - counts.x
    treated.gone += x - real
    this.hits += x
    this.extra += x - real
    return { ...counts, x, n }
  }

  private drawHits(x: number, n: number, rate: number): number {
    const { size } = this.worsening
    return size < 1 ? this.draws.binomial(x, size) : x + this.draws.binomial(n - x, (size - 1) * rate)
  }

  private worsenBound(counts: BoundCounts): BoundCounts {
    const { bound, units, unitsAbove, observations, above } = counts
    const share = this.rates.exceeded(bound)
    const more = this.drawAbove(unitsAbove, units, share)
    if (bound === this.worsening.bound) {
      this.hits += more
      this.extra += more - unitsAbove
    }
    return { ...counts, unitsAbove: more, above: this.drawAbove(above, observations, share) }
  }

  private drawAbove(above: number, of: number, share: number): number {
    const worse = largerShare(share, this.worsening.size)
    if (worse < share) return this.draws.binomial(above, worse / share)
    return above + this.draws.binomial(of - above, (worse - share) / (1 - share))
  }
}
