import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sipHash128, toSipKey } from '../../../src/telemetry/events/sip-hash.ts'
import { createUnitHasher, shardIndexOf } from '../../../src/telemetry/events/unit.ts'

function toHex(text: string): string {
  return Array.from(text, (character) => character.charCodeAt(0).toString(16).padStart(2, '0')).join('')
}

function countUp(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i)
}

function hash(key: Uint8Array, bytes: Uint8Array): string {
  return toHex(sipHash128(toSipKey(key), new DataView(bytes.buffer), bytes.length))
}

/** SipHash-2-4-128 as its specification says it, in whole words of 64 bits. */
function specifiedHash(key: Uint8Array, bytes: Uint8Array): string {
  const word = (from: Uint8Array, at: number) => new DataView(from.buffer).getBigUint64(at, true)
  const turn = (value: bigint, bits: bigint) => BigInt.asUintN(64, (value << bits) | (value >> (64n - bits)))
  const [k0, k1] = [word(key, 0), word(key, 8)]
  let v0 = k0 ^ 0x736f6d6570736575n
  let v1 = k1 ^ 0x646f72616e646f6dn ^ 0xeen
  let v2 = k0 ^ 0x6c7967656e657261n
  let v3 = k1 ^ 0x7465646279746573n
  const rounds = (count: number) => {
    for (let i = 0; i < count; i++) {
      v0 = BigInt.asUintN(64, v0 + v1)
      v2 = BigInt.asUintN(64, v2 + v3)
      v1 = turn(v1, 13n) ^ v0
      v3 = turn(v3, 16n) ^ v2
      v0 = turn(v0, 32n)
      v2 = BigInt.asUintN(64, v2 + v1)
      v0 = BigInt.asUintN(64, v0 + v3)
      v1 = turn(v1, 17n) ^ v2
      v3 = turn(v3, 21n) ^ v0
      v2 = turn(v2, 32n)
    }
  }
  const padded = new Uint8Array((Math.floor(bytes.length / 8) + 1) * 8)
  padded.set(bytes)
  padded[padded.length - 1] = bytes.length % 256
  for (let at = 0; at < padded.length; at += 8) {
    v3 ^= word(padded, at)
    rounds(2)
    v0 ^= word(padded, at)
  }
  const out = new DataView(new ArrayBuffer(16))
  v2 ^= 0xeen
  rounds(4)
  out.setBigUint64(0, v0 ^ v1 ^ v2 ^ v3, true)
  v1 ^= 0xddn
  rounds(4)
  out.setBigUint64(8, v0 ^ v1 ^ v2 ^ v3, true)
  return Buffer.from(out.buffer).toString('hex')
}

describe('the hash', () => {
  // Of the reference implementation's vectors: the key 00 01 … 0f, and messages 00 01 … of these lengths.
  it.each([
    [0, 'a3817f04ba25a8e66df67214c7550293'],
    [1, 'da87c1d86b99af44347659119b22fc45'],
    [2, '8177228da4a45dc7fca38bdef60affe4'],
    [3, '9c70b60c5267a94e5f33b6b02985ed51'],
    [4, 'f88164c12d9c8faf7d0f6e7c7bcd5579'],
    [5, '1368875980776f8854527a07690e9627'],
    [6, '14eeca338b208613485ea0308fd7a15e'],
    [7, 'a1f1ebbed8dbc153c0b84aa61ff08239'],
    [8, '3b62a9ba6258f5610f83e264f31497b4'],
    [15, '5493e99933b0a8117e08ec0f97cfc3d9'],
    [16, '6ee2a4ca67b054bbfd3315bf85230577'],
    [31, '2939b0183223fafc1723de4f52c43d35'],
    [32, '7c3956ca5eeafc3e363e9d556546eb68'],
    [62, '5853542321f567a005d547a4f04759bd'],
    [63, '5150d1772f50834a503e069a973fbd7c'],
  ])('is the reference: %i bytes', (length, expected) => {
    expect(hash(countUp(16), countUp(length))).toBe(expected)
  })

  it('is what its specification says, of whatever length', () => {
    const key = fc.uint8Array({ minLength: 16, maxLength: 16 })
    fc.assert(
      fc.property(key, fc.uint8Array({ maxLength: 600 }), (key, bytes) => {
        expect(hash(key, bytes)).toBe(specifiedHash(key, bytes))
      }),
    )
  })
})

describe("a unit's id", () => {
  const key = new Uint8Array(createHash('sha256').update('units:secret').digest().subarray(0, 16))

  it.each([
    ['user', 'ada'],
    ['user', '42'],
    ['company', 'Grüße & Söhne'],
    ['käufer', 'ada'],
    ['user', '日本語'],
    ['user', '😀'],
    ['user', 'x'.repeat(5_000)],
    ['user', '\ud800'],
    ['', ''],
  ])('is the hash of its kind and name: %s, %s', (kind, name) => {
    const bytes = new Uint8Array(new TextEncoder().encode(`${kind}\0${name}`))
    expect(toHex(createUnitHasher('secret')(kind, name))).toBe(specifiedHash(key, bytes))
  })

  it('is another under another secret', () => {
    const [one, same, other] = [createUnitHasher('a'), createUnitHasher('a'), createUnitHasher('b')]
    expect(one('user', 'ada')).toBe(same('user', 'ada'))
    expect(one('user', 'ada')).not.toBe(other('user', 'ada'))
  })

  it('spreads units evenly over shards', () => {
    const hasher = createUnitHasher('secret')
    const counts = new Array<number>(16).fill(0)
    for (let i = 0; i < 16_000; i++) {
      const place = shardIndexOf(hasher('user', `user-${i}`), 16)
      counts[place] = (counts[place] ?? 0) + 1
    }
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(150)
  })
})
