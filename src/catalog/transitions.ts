import { compareKeys } from '../engine/snapshot-text.ts'

/** The part, 0 to 1, of some units whose variant changes from one to another; null: the caller's default. */
export type Transition = { readonly from: string | null; readonly to: string | null; readonly share: number }

function compare(a: Transition, b: Transition): number {
  return b.share - a.share || compareKeys(a.from ?? '', b.from ?? '') || compareKeys(a.to ?? '', b.to ?? '')
}

/** Counts what is answered before and after a change. */
export class TransitionCounts {
  private readonly counts = new Map<string | null, Map<string | null, number>>()
  private total = 0

  add(from: string | null, to: string | null, count: number): void {
    this.total += count
    if (from === to) return
    const row = this.counts.get(from) ?? new Map<string | null, number>()
    row.set(to, (row.get(to) ?? 0) + count)
    this.counts.set(from, row)
  }

  /** The share of all that was counted for which `from` and `to` differ. */
  changed(): number {
    let changed = 0
    for (const row of this.counts.values()) for (const count of row.values()) changed += count
    return this.total === 0 ? 0 : changed / this.total
  }

  /** The transitions that change something, the largest first. */
  transitions(): Transition[] {
    const transitions = [...this.counts].flatMap(([from, row]) =>
      [...row].flatMap(([to, count]) => (count > 0 ? [{ from, to, share: count / this.total }] : [])),
    )
    return transitions.sort(compare)
  }
}
