// Whom events are about and what they can be believed in: units by their hashes, tags by their signatures where the
// key is public. Pure: time is passed in.
import type { KeyRecord } from '../../catalog/entities.ts'
import type { EnvironmentSnapshot } from '../../catalog/environment-snapshot.ts'
import { type Measurement, unitKindOf } from '../../catalog/measurement.ts'
import { createAttributeReader } from '../../engine/context.ts'
import { type EdgeAttributes, isEdgePath } from './enrichment.ts'
import type { Tag } from './event.ts'
import type { NamedUnit, ParsedEvent } from './parse-events.ts'
import type { AttributedEvent } from './route-events.ts'
import { toSlice } from './slice.ts'
import { parseTag, verifyTag } from './tag.ts'
import { createUnitHasher } from './unit.ts'

/** Who sent events. */
export type Sender = {
  readonly key: KeyRecord
  /** Of a client key; null: what the sender says is believed. */
  readonly edge: EdgeAttributes | null
}

/** A tag that can be believed, and what it is of, where that is known. */
type Believed = { readonly tag: Tag; readonly measurement: Measurement | undefined }

function sliceOf(path: string, { attributes }: ParsedEvent, edge: EdgeAttributes | null): string | null {
  if (edge && isEdgePath(path)) return toSlice(edge.get(path))
  return attributes && toSlice(createAttributeReader(path)(attributes))
}

/** The values of the measurement's slices, of an exposure of a unit that it goes by. */
function slicesOf(
  event: ParsedEvent,
  measurement: Measurement | undefined,
  units: readonly NamedUnit[],
  edge: EdgeAttributes | null,
): readonly (string | null)[] | null {
  if (event.kind !== 'exposure' || !measurement || measurement.slices.length === 0) return null
  if (units[0]?.kind !== unitKindOf(measurement.by)) return null
  return measurement.slices.map((path) => sliceOf(path, event, edge))
}

/** The units with the one of a kind first, if there is one. */
function withFirst(units: readonly NamedUnit[], kind: string): readonly NamedUnit[] {
  const index = units.findIndex((unit) => unit.kind === kind)
  const found = units[index]
  return found && index > 0 ? [found, ...units.filter((unit) => unit !== found)] : units
}

/** Attributes the events of one batch. */
export function attributeEvents(
  events: readonly ParsedEvent[],
  environment: EnvironmentSnapshot,
  { key, edge }: Sender,
  now: number,
): AttributedEvent[] {
  const { measurements, settings } = environment
  const hash = createUnitHasher(settings.signingSecret)
  const isServer = key.kind === 'server'
  /** What was found out before: the events of a batch have few tags, and signatures take long. */
  const seen = new Map<string, Tag | null>()

  const remember = (name: string, read: () => Tag | undefined): Tag | null => {
    const known = seen.get(name)
    if (known !== undefined) return known
    const tag = read() ?? null
    seen.set(name, tag)
    return tag
  }
  /** A signature is for the unit that the measurement goes by: without either, nothing can be believed. */
  const verify = (text: string, measurement: Measurement | undefined, units: readonly NamedUnit[]) => {
    const kind = measurement && unitKindOf(measurement.by)
    const unit = units.find((unit) => unit.kind === kind)
    if (!unit) return null
    return remember(`${text} ${unit.name}`, () => verifyTag(environment, text, unit.name, now))
  }
  const believe = ({ tag: text, units }: ParsedEvent): Believed | null => {
    if (text === null) return null
    const measurement = measurements.get(text.slice(0, text.indexOf('.')))
    const tag = isServer ? remember(text, () => parseTag(text)) : verify(text, measurement, units)
    return tag && { tag, measurement }
  }

  return events.map((event): AttributedEvent => {
    const { kind, name, flag, variant, value, at } = event
    const believed = believe(event)
    const measurement = believed?.measurement
    const units = measurement ? withFirst(event.units, unitKindOf(measurement.by)) : event.units
    return {
      kind,
      name,
      flag,
      variant,
      units: units.map((unit, i) => ({
        kind: unit.kind,
        id: hash(unit.kind, unit.name),
        trusted: isServer || (believed !== null && i === 0),
      })),
      trusted: isServer,
      tag: believed?.tag ?? null,
      automatic: false,
      value,
      at,
      slices: slicesOf(event, measurement, units, edge),
    }
  })
}
