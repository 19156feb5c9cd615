// Events that came before the exposure that they may belong to: each waits a minute, by arrival.
import type { ShardEvent, Tag, UnitId } from '../events/event.ts'

const WAIT_MS = 60_000
const MAX_PER_UNIT = 16
const MAX_EVENTS = 20_000

/** What of an event is needed once its unit is exposed. */
export type PendingEvent = Pick<ShardEvent, 'name' | 'value' | 'at' | 'tag' | 'automatic'>

type Entry = {
  readonly unit: UnitId
  readonly event: PendingEvent
  readonly arrivedAt: number
  before: Entry | undefined
  after: Entry | undefined
}

type PackedEntry = readonly [
  unit: string,
  arrivedAt: number,
  at: number,
  name: string,
  /** null: NaN. */
  value: number | null,
  automatic: 0 | 1,
  tag: readonly [string, number, string, string] | 0,
]

/** Events that wait, packed, in order of arrival. */
export type PackedPending = readonly PackedEntry[]

export class Pending {
  private readonly byUnit = new Map<UnitId, Entry[]>()
  /** All of them in order of arrival: whichever goes, the others stay linked. */
  private oldest: Entry | undefined
  private newest: Entry | undefined
  private size = 0

  constructor(packed: PackedPending = []) {
    for (const [unit, arrivedAt, at, name, value, automatic, tag] of packed) {
      const event: PendingEvent = {
        name,
        value: value ?? Number.NaN,
        at,
        automatic: automatic === 1,
        tag: tag ? toTag(tag) : null,
      }
      this.append({ unit: atob(unit), event, arrivedAt, before: undefined, after: undefined })
    }
  }

  /** Keeps an event of a unit; the oldest of the unit, or of all, goes if there are too many. */
  add(unit: UnitId, event: PendingEvent, now: number): void {
    while (this.oldest && now - this.oldest.arrivedAt > WAIT_MS) this.drop(this.oldest)
    const own = this.byUnit.get(unit)
    if (own?.[0] && own.length >= MAX_PER_UNIT) this.drop(own[0])
    if (this.oldest && this.size >= MAX_EVENTS) this.drop(this.oldest)
    this.append({ unit, event, arrivedAt: now, before: undefined, after: undefined })
  }

  /** The events of a unit that still wait, in order of arrival. They go on waiting. */
  of(unit: UnitId, now: number): PendingEvent[] {
    const own = this.byUnit.get(unit) ?? []
    return own.filter(({ arrivedAt }) => now - arrivedAt <= WAIT_MS).map(({ event }) => event)
  }

  /** Forgets all events of a unit. */
  forget(unit: UnitId): void {
    for (const entry of [...(this.byUnit.get(unit) ?? [])]) this.drop(entry)
  }

  pack(): PackedPending {
    const packed: PackedEntry[] = []
    for (let entry = this.oldest; entry; entry = entry.after) {
      const { unit, arrivedAt, event } = entry
      const { name, value, at, automatic, tag } = event
      packed.push([
        btoa(unit),
        arrivedAt,
        at,
        name,
        Number.isNaN(value) ? null : value,
        automatic ? 1 : 0,
        tag ? [tag.id, tag.stage, tag.stratum, tag.arm] : 0,
      ])
    }
    return packed
  }

  private append(entry: Entry): void {
    const own = this.byUnit.get(entry.unit)
    if (own) own.push(entry)
    else this.byUnit.set(entry.unit, [entry])
    entry.before = this.newest
    if (this.newest) this.newest.after = entry
    else this.oldest = entry
    this.newest = entry
    this.size++
  }

  private drop(entry: Entry): void {
    const own = this.byUnit.get(entry.unit) ?? []
    if (own.length === 1) this.byUnit.delete(entry.unit)
    else own.splice(own.indexOf(entry), 1)
    if (entry.before) entry.before.after = entry.after
    else this.oldest = entry.after
    if (entry.after) entry.after.before = entry.before
    else this.newest = entry.before
    this.size--
  }
}

function toTag([id, stage, stratum, arm]: readonly [string, number, string, string]): Tag {
  return { id, stage, stratum, arm }
}
