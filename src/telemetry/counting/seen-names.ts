// Names of events that were seen, so that people find what no metric uses yet.
import type { SeenName } from '../shard-protocol.ts'

const MAX_NAMES = 1_000
/** How long a name is shown after it was last seen. */
const SHOWN_MS = 30 * 24 * 60 * 60_000

type Seen = { count: number; readonly firstAt: number; lastAt: number }

/** The names, packed. */
export type PackedNames = readonly (readonly [name: string, count: number, firstAt: number, lastAt: number])[]

export class SeenNames {
  private readonly names: Map<string, Seen>

  constructor(packed: PackedNames = []) {
    this.names = new Map(packed.map(([name, count, firstAt, lastAt]) => [name, { count, firstAt, lastAt }]))
  }

  /** Notes that an event of that name arrived; for a new one, the name that was not seen for longest goes. */
  see(name: string, now: number): void {
    const seen = this.names.get(name)
    if (seen) {
      seen.count++
      seen.lastAt = now
      return
    }
    if (this.names.size >= MAX_NAMES) this.dropLongestUnseen()
    this.names.set(name, { count: 1, firstAt: now, lastAt: now })
  }

  list(now: number): SeenName[] {
    return [...this.names]
      .map(([name, { count, firstAt, lastAt }]) => ({ name, count, firstAt, lastAt }))
      .filter(({ lastAt }) => now - lastAt <= SHOWN_MS)
  }

  pack(): PackedNames {
    return Array.from(this.names, ([name, { count, firstAt, lastAt }]) => [name, count, firstAt, lastAt])
  }

  private dropLongestUnseen(): void {
    let longest: string | undefined
    let lastAt = Number.POSITIVE_INFINITY
    for (const [name, seen] of this.names) {
      if (seen.lastAt < lastAt) {
        longest = name
        lastAt = seen.lastAt
      }
    }
    if (longest !== undefined) this.names.delete(longest)
  }
}
