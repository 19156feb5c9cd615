// The promise that nobody changes sides by accident stands on this file: murmur3_32 of "<seed>:<unit>" in
// UTF-8, scaled to 100,000 half-open buckets. A change of any bit here moves users, so golden vectors hold it.

import { toUtf8 } from './utf8.ts'

/** Into how many buckets units fall; one is a thousandth of a percent. */
export const BUCKET_COUNT = 100_000

const C1 = 0xcc9e2d51
const C2 = 0x1b873593

/** A murmur3_32 under way: what the seed has left behind, so that each unit costs only its own characters. */
type HashState = {
  readonly hash: number
  readonly tail: number
  readonly tailBits: number
  readonly length: number
}

function mixBlock(hash: number, block: number): number {
  let k = Math.imul(block, C1)
  k = (k << 15) | (k >>> 17)
  const h = hash ^ Math.imul(k, C2)
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0
}

function finish(hash: number, tail: number, length: number): number {
  let h = hash
  if (tail !== 0) {
    let k = Math.imul(tail, C1)
    k = (k << 15) | (k >>> 17)
    h ^= Math.imul(k, C2)
  }
  h ^= length
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

function absorb(state: HashState, bytes: readonly number[]): HashState {
  let { hash, tail, tailBits } = state
  for (const byte of bytes) {
    tail |= byte << tailBits
    tailBits += 8
    if (tailBits === 32) {
      hash = mixBlock(hash, tail)
      tail = 0
      tailBits = 0
    }
  }
  return { hash, tail, tailBits, length: state.length + bytes.length }
}

function hashAfter(state: HashState, unit: string): number {
  let { hash, tail, tailBits } = state
  const length = unit.length
  let i = 0
  for (; i + 4 <= length; i += 4) {
    const a = unit.charCodeAt(i)
    const b = unit.charCodeAt(i + 1)
    const c = unit.charCodeAt(i + 2)
    const d = unit.charCodeAt(i + 3)
    if ((a | b | c | d) > 0x7f) break
    const block = a | (b << 8) | (c << 16) | (d << 24)
    hash = mixBlock(hash, tail | (block << tailBits))
    // A shift by 32 is none at all in JavaScript.
    if (tailBits > 0) tail = block >>> (32 - tailBits)
  }
  for (; i < length; i++) {
    const code = unit.charCodeAt(i)
    if (code > 0x7f) {
      const rest = absorb({ hash, tail, tailBits, length: state.length + i }, toUtf8(unit.slice(i)))
      return finish(rest.hash, rest.tail, rest.length)
    }
    tail |= code << tailBits
    tailBits += 8
    if (tailBits === 32) {
      hash = mixBlock(hash, tail)
      tail = 0
      tailBits = 0
    }
  }
  return finish(hash, tail, state.length + length)
}

/** MurmurHash3 x86 32-bit of the UTF-8 bytes of `text`, as an unsigned integer. */
export function murmur3(text: string, seed = 0): number {
  return hashAfter({ hash: seed | 0, tail: 0, tailBits: 0, length: 0 }, text)
}

/** MurmurHash3 x86 32-bit of bytes, as an unsigned integer. */
export function murmur3OfBytes(bytes: readonly number[], seed = 0): number {
  const { hash, tail, length } = absorb({ hash: seed | 0, tail: 0, tailBits: 0, length: 0 }, bytes)
  return finish(hash, tail, length)
}

/**
 * Makes the function that tells a unit's bucket under one seed: an integer in [0, 100000).
 * `floor(murmur3_32(utf8(seed + ":" + unit)) / 2^32 · 100000)`
 */
export function createBucketer(seed: string): (unit: string) => number {
  const state = absorb({ hash: 0, tail: 0, tailBits: 0, length: 0 }, toUtf8(`${seed}:`))
  return (unit) => Math.floor((hashAfter(state, unit) / 0x1_0000_0000) * BUCKET_COUNT)
}

/** How many buckets a percentage covers; percentages go in steps of 0.001. */
export function toBuckets(percentage: number): number {
  return Math.round((percentage * BUCKET_COUNT) / 100)
}

/**
 * The upper ends (exclusive) of the ranges that integer weights cut out of the buckets, in order: a unit belongs
 * to the first range whose end is above its bucket. The last end is always 100,000 when the weights sum above 0.
 */
export function toRangeEnds(weights: readonly number[]): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  let cumulative = 0
  return weights.map((weight) => {
    cumulative += weight
    return Math.ceil((cumulative * BUCKET_COUNT) / total)
  })
}
