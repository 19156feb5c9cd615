// Units in memory alone.
import type { UnitId } from '../events/event.ts'
import { neverSeen } from './memberships.ts'
import type { Unit, UnitSource } from './unit.ts'

/** Makes a unit that nothing has come of yet. */
export function createUnit(id: UnitId, kind: string): Unit {
  return { id, kind, lastDay: 0, memberships: new Map(), daily: new Map(), seen: neverSeen() }
}

/** A source that keeps every unit as it is. */
export class UnitMemory implements UnitSource {
  readonly units: Map<UnitId, Unit>

  constructor(units: Iterable<Unit> = []) {
    this.units = new Map(Array.from(units, (unit) => [unit.id, unit]))
  }

  get(id: UnitId): Unit | undefined {
    return this.units.get(id)
  }

  create(id: UnitId, kind: string): Unit {
    const unit = createUnit(id, kind)
    this.units.set(id, unit)
    return unit
  }

  touch(): void {
    // What is handed out is what is kept.
  }

  remove(id: UnitId): void {
    this.units.delete(id)
  }
}
