// Units in memory, in the order of their use, and what they weigh.
import type { Unit } from '../counting/unit.ts'
import type { UnitId } from '../events/event.ts'

/** A unit, and what it weighed when that was last worked out. */
export type Weighed = { readonly unit: Unit; readonly weight: number }

/** Says what a unit takes of memory, in quarters of a kilobyte: its measurements and their metrics are most of it. */
export function weigh(unit: Unit): Weighed {
  let weight = 1 + 2 * unit.daily.size
  for (const { metrics } of unit.memberships.values()) weight += 1.2 + 0.55 * metrics.size
  return { unit, weight }
}

/** Units that are as they are on disk. */
export class HeldUnits {
  /** What all of them weigh. */
  weight = 0
  private readonly units = new Map<UnitId, Weighed>()

  /** A unit that is used again. */
  use(id: UnitId): Unit | undefined {
    const held = this.units.get(id)
    if (!held) return undefined
    this.units.delete(id)
    this.units.set(id, held)
    return held.unit
  }

  /** A unit, without using it. */
  peek(id: UnitId): Unit | undefined {
    return this.units.get(id)?.unit
  }

  hold(unit: Unit): void {
    this.letGo(unit.id)
    const held = weigh(unit)
    this.units.set(unit.id, held)
    this.weight += held.weight
  }

  letGo(id: UnitId): void {
    const held = this.units.get(id)
    if (!held) return
    this.weight -= held.weight
    this.units.delete(id)
  }

  /** Lets go of the one that has not been used for longest; undefined: there is none. */
  letGoOfOldest(): UnitId | undefined {
    const [oldest] = this.units.keys()
    if (oldest !== undefined) this.letGo(oldest)
    return oldest
  }
}
