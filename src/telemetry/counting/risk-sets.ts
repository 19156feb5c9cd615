// How many units are in the risk sets of one arm. Nobody is listed: a unit knows by itself when it leaves, so that
// counts by the block in which they leave are enough.

/** Counts of units by the block from which on they are not in it any more. */
class LeaveRing {
  size = 0
  private readonly leaving: Map<number, number>

  constructor(packed: readonly number[] = []) {
    this.leaving = new Map()
    for (let index = 0; index < packed.length; index += 2) {
      this.add(packed[index] ?? 0, packed[index + 1])
    }
  }

  add(leave: number, units = 1): void {
    this.leaving.set(leave, (this.leaving.get(leave) ?? 0) + units)
    this.size += units
  }

  remove(leave: number): void {
    const left = (this.leaving.get(leave) ?? 0) - 1
    if (left > 0) this.leaving.set(leave, left)
    else this.leaving.delete(leave)
    this.size--
  }

  /** Lets those go that leave with a block; how many. */
  expire(block: number): number {
    const units = this.leaving.get(block) ?? 0
    this.leaving.delete(block)
    this.size -= units
    return units
  }

  pack(): number[] {
    return [...this.leaving].flat()
  }
}

/** The risk sets, packed. */
export type PackedRiskSets = readonly [
  present: readonly number[],
  hit: readonly (readonly [metric: string, ring: readonly number[]])[],
]

/** Which metrics a unit has been hit in, as it keeps them. */
type Hits = ReadonlyMap<string, { readonly hit: boolean }>

/**
 * The risk sets of all metrics in one arm and stage: who is present, and of them those who were hit, since few are and
 * an exposure need then move but one count.
 */
export class RiskSets {
  private present: LeaveRing
  private hits: Map<string, LeaveRing>

  constructor([present, hits]: PackedRiskSets = [[], []]) {
    this.present = new LeaveRing(present)
    this.hits = new Map(hits.map(([metric, ring]) => [metric, new LeaveRing(ring)]))
  }

  get isEmpty(): boolean {
    return this.present.size === 0
  }

  /** How many units a metric's risk set has. */
  sizeOf(metric: string): number {
    return this.present.size - (this.hits.get(metric)?.size ?? 0)
  }

  /** A unit comes, to leave with a block. */
  add(leave: number, metrics: Hits): void {
    this.present.add(leave)
    for (const [metric, { hit }] of metrics) if (hit) this.ringOf(metric).add(leave)
  }

  /** A unit goes that was to leave with a block. */
  remove(leave: number, metrics: Hits): void {
    this.present.remove(leave)
    for (const [metric, { hit }] of metrics) if (hit) this.ringOf(metric).remove(leave)
  }

  /** A unit that is present was hit. */
  hit(leave: number, metric: string): void {
    this.ringOf(metric).add(leave)
  }

  /** Lets those go that leave with a block; whether there were any. */
  expire(block: number): boolean {
    for (const ring of this.hits.values()) ring.expire(block)
    return this.present.expire(block) > 0
  }

  clear(): void {
    this.present = new LeaveRing()
    this.hits = new Map()
  }

  pack(): PackedRiskSets {
    return [this.present.pack(), Array.from(this.hits, ([metric, ring]) => [metric, ring.pack()])]
  }

  private ringOf(metric: string): LeaveRing {
    const ring = this.hits.get(metric) ?? new LeaveRing()
    this.hits.set(metric, ring)
    return ring
  }
}
