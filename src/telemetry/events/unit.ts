// Who an event is about, as shards know it: never by name.
import type { UnitId } from './event.ts'
import { nodeCrypto } from './node-crypto.ts'
import { sipHash128, toSipKey } from './sip-hash.ts'

/** Tells a unit's id by its kind and name. */
export type UnitHasher = (kind: string, name: string) => UnitId

const MAX_KNOWN_HASHERS = 1_000
/** By secret: its key takes longer than many hashes. */
const hashers = new Map<string, UnitHasher>()

const encoder = new TextEncoder()
/** Where messages are put together; what is longer gets a place of its own. */
const room = new Uint8Array(4_096)
const roomView = new DataView(room.buffer)

/** Writes ASCII text; where it ended, or -1 when it is none. */
function writeAscii(text: string, at: number): number {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) return -1
    room[at + i] = code
  }
  return at + text.length
}

/** Makes the hasher of an environment: SipHash-2-4 with 128 bits, keyed by its secret. */
export function createUnitHasher(signingSecret: string): UnitHasher {
  const known = hashers.get(signingSecret)
  if (known) return known
  const key = toSipKey(nodeCrypto().createHash('sha256').update(`units:${signingSecret}`).digest())
  const hasher: UnitHasher = (kind, name) => {
    if (kind.length + name.length < room.length) {
      const kindEnd = writeAscii(kind, 0)
      if (kindEnd >= 0) room[kindEnd] = 0
      const end = kindEnd < 0 ? -1 : writeAscii(name, kindEnd + 1)
      if (end >= 0) return sipHash128(key, roomView, end)
    }
    const bytes = encoder.encode(`${kind}\0${name}`)
    return sipHash128(key, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), bytes.length)
  }
  if (hashers.size >= MAX_KNOWN_HASHERS) hashers.clear()
  hashers.set(signingSecret, hasher)
  return hasher
}

/** Which of so many shards a unit is counted in: its first 4 bytes, the lowest first, modulo their number. */
export function shardIndexOf(unit: UnitId, shards: number): number {
  const low =
    unit.charCodeAt(0) | (unit.charCodeAt(1) << 8) | (unit.charCodeAt(2) << 16) | (unit.charCodeAt(3) << 24)
  return (low >>> 0) % shards
}
