// What one commit has put down, as bytes: everything that a restart must apply again, in its order. What has been
// written stays readable for ever.
import type { CountingPlan } from '../counting-plan.ts'
import type { UnitId } from '../events/event.ts'
import type { Count, Tallied } from '../shard-protocol.ts'

/** A message that was counted; its events are as they were received. */
export type RecordedMessage = {
  readonly kind: 'message'
  readonly id: Uint8Array
  readonly events: Uint8Array
  readonly tallied: Tallied | null
}

export type RecordPart =
  | RecordedMessage
  | { readonly kind: 'plan'; readonly plan: CountingPlan }
  | { readonly kind: 'erase'; readonly unit: UnitId }

export type CommitRecord = {
  /** When it was made, in milliseconds since 1970; never before the one before it. */
  readonly at: number
  /** The rows that the shard had written before. */
  readonly rowsWritten: number
  /** The newest version of the environment that was heard of. */
  readonly planVersion: number
  readonly parts: readonly RecordPart[]
}

const FORMAT = 1
const KINDS = ['message', 'plan', 'erase'] as const
const HEAD_BYTES = 1 + 3 * 8
const NOTHING = new Uint8Array()

type PackedTallied = readonly [
  minutes: readonly (readonly [minute: number, flags: readonly (readonly [string, readonly Count[]])[]])[],
  uncounted: boolean,
  contexts: Tallied['contexts'],
]

function packTallied({ minutes, uncounted, contexts }: Tallied): PackedTallied {
  return [[...minutes].map(([minute, flags]) => [minute, [...flags]]), uncounted, contexts]
}

function unpackTallied([minutes, uncounted, contexts]: PackedTallied): Tallied {
  return { minutes: new Map(minutes.map(([minute, flags]) => [minute, new Map(flags)])), uncounted, contexts }
}

function toBytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}

function fromBytes(bytes: Uint8Array) {
  return JSON.parse(new TextDecoder().decode(bytes))
}

/** The fields that a part consists of. */
function fieldsOf(part: RecordPart): readonly Uint8Array[] {
  switch (part.kind) {
    case 'message':
      return [part.id, part.events, part.tallied ? toBytes(packTallied(part.tallied)) : NOTHING]
    case 'plan':
      return [toBytes(part.plan)]
    case 'erase':
      return [Uint8Array.from(part.unit, (character) => character.charCodeAt(0))]
  }
}

/** Packs a record. */
export function encodeRecord({ at, rowsWritten, planVersion, parts }: CommitRecord): Uint8Array<ArrayBuffer> {
  const packed = parts.map((part) => ({ kind: KINDS.indexOf(part.kind), fields: fieldsOf(part) }))
  let length = HEAD_BYTES
  for (const { fields } of packed) {
    length++
    for (const field of fields) length += 4 + field.length
  }
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, FORMAT)
  view.setFloat64(1, at)
  view.setFloat64(9, rowsWritten)
  view.setFloat64(17, planVersion)
  let offset = HEAD_BYTES
  for (const { kind, fields } of packed) {
    view.setUint8(offset++, kind)
    for (const field of fields) {
      view.setUint32(offset, field.length)
      bytes.set(field, offset + 4)
      offset += 4 + field.length
    }
  }
  return bytes
}

/** Unpacks what `encodeRecord` packed. */
export function decodeRecord(bytes: Uint8Array): CommitRecord {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint8(0) !== FORMAT) throw new Error(`a record of an unknown form: ${view.getUint8(0)}`)
  let offset = HEAD_BYTES
  const field = () => {
    const start = offset + 4
    offset = start + view.getUint32(offset)
    return bytes.subarray(start, offset)
  }
  const parts: RecordPart[] = []
  while (offset < bytes.length) {
    const kind = KINDS[view.getUint8(offset++)]
    if (kind === undefined) throw new Error('a record with a part of an unknown kind')
    parts.push(readPart(kind, field))
  }
  return {
    at: view.getFloat64(1),
    rowsWritten: view.getFloat64(9),
    planVersion: view.getFloat64(17),
    parts,
  }
}

function readPart(kind: RecordPart['kind'], field: () => Uint8Array): RecordPart {
  switch (kind) {
    case 'message': {
      const [id, events, tallied] = [field(), field(), field()]
      return { kind, id, events, tallied: tallied.length > 0 ? unpackTallied(fromBytes(tallied)) : null }
    }
    case 'plan':
      return { kind, plan: fromBytes(field()) }
    case 'erase':
      return { kind, unit: String.fromCharCode(...field()) }
  }
}

/** About how many bytes a message takes. */
export function sizeOf({ events, tallied }: { events: Uint8Array; tallied: Tallied | null }): number {
  let size = 64 + events.length
  for (const flags of tallied?.minutes.values() ?? []) {
    for (const [flag, counts] of flags) size += flag.length + 64 * counts.length
  }
  for (const { text } of tallied?.contexts ?? []) size += text.length
  return size
}
