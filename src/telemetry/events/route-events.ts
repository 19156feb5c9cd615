// Which shards count an event: the home of each of its units, and beyond it the place that a measurement keeps from
// its start to its end, whatever the environment's layout does meanwhile. Pure.
import { type Measurement, unitKindOf } from '../../catalog/measurement.ts'
import type { BatchId } from './batch-id.ts'
import type { EventKind, ShardEvent, Tag, UnitId } from './event.ts'
import { shardIndexOf } from './unit.ts'

/** A unit that an event is about. */
export type EventUnit = {
  /** See `unitKindOf`. */
  readonly kind: string
  readonly id: UnitId
  /** Whether guards and experiments may count the event for it. */
  readonly trusted: boolean
}

/** An event that has been checked and attributed, before it is split over its units and their shards. */
export type AttributedEvent = {
  readonly kind: EventKind
  readonly name: string
  readonly flag: string
  readonly variant: string
  /** The one that the tag is of comes first. The first one's home counts the event in series and names. */
  readonly units: readonly EventUnit[]
  /** Whether an event about nobody can be believed. */
  readonly trusted: boolean
  /** The tag, if it can be believed. */
  readonly tag: Tag | null
  readonly automatic: boolean
  readonly value: number
  readonly at: number
  /** Of the first unit alone: the values of the measurement's slices; null where there are none. */
  readonly slices: readonly (string | null)[] | null
}

const NO_SHARDS: readonly number[] = []
/** By the plan's list of measurements: over how many shards they spread the units of each kind. */
const spreads = new WeakMap<readonly Measurement[], ReadonlyMap<string, readonly number[]>>()

function spreadOf(measurements: readonly Measurement[]): ReadonlyMap<string, readonly number[]> {
  const known = spreads.get(measurements)
  if (known) return known
  const spread = new Map<string, number[]>()
  for (const { by, shards } of measurements) {
    const kind = unitKindOf(by)
    const numbers = spread.get(kind) ?? []
    if (!numbers.includes(shards)) spread.set(kind, [...numbers, shards])
  }
  spreads.set(measurements, spread)
  return spread
}

/** Where an event about nobody goes: by the first 4 bytes of the id's second random part, the lowest first. */
function placeOfNobody({ bytes }: BatchId, shards: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(8, true) % shards
}

function copyOf(
  { kind, name, flag, variant, units, tag, automatic, value, at, slices }: AttributedEvent,
  unit: EventUnit | undefined,
  trusted: boolean,
  primary: boolean,
  home: boolean,
): ShardEvent {
  return {
    kind,
    name,
    flag,
    variant,
    unitKind: unit?.kind ?? '',
    unit: unit?.id ?? null,
    tag,
    trusted,
    automatic,
    primary,
    home,
    value,
    at,
    slices: unit === units[0] ? slices : null,
  }
}

/**
 * Splits the events of a batch over the shards of its environment, by their index.
 * @param shards how many the environment's layout has at the batch's instant
 */
export function routeEvents(
  events: readonly AttributedEvent[],
  measurements: readonly Measurement[],
  shards: number,
  id: BatchId,
): Map<number, ShardEvent[]> {
  const spread = spreadOf(measurements)
  const routed = new Map<number, ShardEvent[]>()
  const send = (place: number, event: ShardEvent) => {
    const others = routed.get(place)
    if (others) others.push(event)
    else routed.set(place, [event])
  }
  for (const event of events) {
    const { units, trusted } = event
    if (units.length === 0) send(placeOfNobody(id, shards), copyOf(event, undefined, trusted, true, false))
    for (const [i, unit] of units.entries()) {
      const home = shardIndexOf(unit.id, shards)
      send(home, copyOf(event, unit, unit.trusted, i === 0, true))
      const places = [home]
      for (const number of spread.get(unit.kind) ?? NO_SHARDS) {
        const place = shardIndexOf(unit.id, number)
        if (places.includes(place)) continue
        places.push(place)
        send(place, copyOf(event, unit, unit.trusted, false, false))
      }
    }
  }
  return routed
}
