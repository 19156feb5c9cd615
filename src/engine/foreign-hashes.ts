// The hashes that other flag systems bucket by, where no platform API may be asked: all of them synchronous and
// small. Their outputs decide who sees which variant, so golden vectors hold every one of them.

/** The low byte of every UTF-16 code unit of a text: what hash libraries that know only ASCII take for its bytes. */
export function toLowBytes(text: string): number[] {
  const bytes: number[] = []
  for (let i = 0; i < text.length; i++) bytes.push(text.charCodeAt(i) & 0xff)
  return bytes
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits))
}

/**
 * FNV-1a 32-bit over the UTF-16 code units of a text, as an unsigned integer. `state` is what an earlier call
 * answered: `fnv1a(b, fnv1a(a))` is `fnv1a(a + b)`.
 */
export function fnv1a(text: string, state = 0x811c9dc5): number {
  let hash = state
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}

const SHA1_BLOCK_BYTES = 64
const SHA1_LENGTH_BYTES = 8

function padForSha1(bytes: readonly number[]): DataView {
  const blocks = Math.ceil((bytes.length + 1 + SHA1_LENGTH_BYTES) / SHA1_BLOCK_BYTES)
  const message = new DataView(new ArrayBuffer(blocks * SHA1_BLOCK_BYTES))
  bytes.forEach((byte, i) => {
    message.setUint8(i, byte)
  })
  message.setUint8(bytes.length, 0x80)
  message.setBigUint64(message.byteLength - SHA1_LENGTH_BYTES, BigInt(bytes.length) * 8n)
  return message
}

/** SHA-1 (FIPS 180-4) of bytes, as five unsigned 32-bit words. */
export function sha1(bytes: readonly number[]): [number, number, number, number, number] {
  const message = padForSha1(bytes)
  const schedule = new DataView(new ArrayBuffer(80 * 4))
  let h0 = 0x67452301
  let h1 = 0xefcdab89
  let h2 = 0x98badcfe
  let h3 = 0x10325476
  let h4 = 0xc3d2e1f0
  for (let block = 0; block < message.byteLength; block += SHA1_BLOCK_BYTES) {
    let a = h0
    let b = h1
    let c = h2
    let d = h3
    let e = h4
    for (let at = 0; at < 80 * 4; at += 4) {
      const word =
        at < SHA1_BLOCK_BYTES
          ? message.getInt32(block + at)
          : rotateLeft(
              schedule.getInt32(at - 12) ^
                schedule.getInt32(at - 32) ^
                schedule.getInt32(at - 56) ^
                schedule.getInt32(at - 64),
              1,
            )
      schedule.setInt32(at, word)
      const mixed = rotateLeft(a, 5) + e + word + sha1Round(at / 4, b, c, d)
      e = d
      d = c
      c = rotateLeft(b, 30)
      b = a
      a = mixed | 0
    }
    h0 = (h0 + a) | 0
    h1 = (h1 + b) | 0
    h2 = (h2 + c) | 0
    h3 = (h3 + d) | 0
    h4 = (h4 + e) | 0
  }
  return [h0 >>> 0, h1 >>> 0, h2 >>> 0, h3 >>> 0, h4 >>> 0]
}

function sha1Round(round: number, b: number, c: number, d: number): number {
  if (round < 20) return ((b & c) | (~b & d)) + 0x5a827999
  if (round < 40) return (b ^ c ^ d) + 0x6ed9eba1
  if (round < 60) return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
  return (b ^ c ^ d) + 0xca62c1d6
}
