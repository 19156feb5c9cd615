// As much of CBOR's core deterministic encoding (RFC 8949, section 4.2.1) as a unit can need: texts, numbers
// and a pair of texts.
import { toUtf8 } from './utf8.ts'

const UNSIGNED = 0
const NEGATIVE = 1
const TEXT = 3
const ARRAY = 4
const SIMPLE = 7

const HALF_MAX = 65504
const HALF_MIN_NORMAL = 2 ** -14
const HALF_MIN_SUBNORMAL = 2 ** -24

function initialByte(major: number, additional: number): number {
  return (major << 5) | additional
}

function toBigEndian(value: bigint, length: number): number[] {
  return Array.from({ length }, (_, i) => Number(BigInt.asUintN(8, value >> BigInt(8 * (length - 1 - i)))))
}

function encodeHead(major: number, argument: bigint): number[] {
  if (argument < 24n) return [initialByte(major, Number(argument))]
  if (argument < 0x100n) return [initialByte(major, 24), ...toBigEndian(argument, 1)]
  if (argument < 0x1_0000n) return [initialByte(major, 25), ...toBigEndian(argument, 2)]
  if (argument < 0x1_0000_0000n) return [initialByte(major, 26), ...toBigEndian(argument, 4)]
  return [initialByte(major, 27), ...toBigEndian(argument, 8)]
}

/** The bits of a number that half precision can say exactly, else undefined; never asked for 0. */
function toHalfBits(value: number, singleBits: number): number | undefined {
  const magnitude = Math.abs(value)
  const sign = value < 0 ? 0x8000 : 0
  if (magnitude < HALF_MIN_NORMAL) {
    const steps = magnitude / HALF_MIN_SUBNORMAL
    return Number.isInteger(steps) ? sign | steps : undefined
  }
  const isExact = magnitude <= HALF_MAX && (singleBits & 0x1fff) === 0
  // The exponent's bias is 127 in single precision and 15 in half precision.
  return isExact ? sign | (((singleBits & 0x7fff_ffff) >>> 13) - ((127 - 15) << 10)) : undefined
}

function encodeFloat(value: number): number[] {
  const view = new DataView(new ArrayBuffer(8))
  if (Math.fround(value) !== value) {
    view.setFloat64(0, value)
    return [initialByte(SIMPLE, 27), ...toBigEndian(view.getBigUint64(0), 8)]
  }
  view.setFloat32(0, value)
  const singleBits = view.getUint32(0)
  const halfBits = toHalfBits(value, singleBits)
  return halfBits === undefined
    ? [initialByte(SIMPLE, 26), ...toBigEndian(BigInt(singleBits), 4)]
    : [initialByte(SIMPLE, 25), ...toBigEndian(BigInt(halfBits), 2)]
}

/** The bytes of a text. */
export function encodeText(text: string): number[] {
  const bytes = toUtf8(text)
  return [...encodeHead(TEXT, BigInt(bytes.length)), ...bytes]
}

/** The bytes of a finite number: an integer where 64 bits can hold it, else the shortest float that is exact. */
export function encodeNumber(value: number): number[] {
  if (!Number.isInteger(value) || value < -(2 ** 63) || value >= 2 ** 64) return encodeFloat(value)
  const integer = BigInt(value)
  return integer < 0n ? encodeHead(NEGATIVE, -1n - integer) : encodeHead(UNSIGNED, integer)
}

/** The bytes of an array of two texts. */
export function encodePair(first: string, second: string): number[] {
  return [...encodeHead(ARRAY, 2n), ...encodeText(first), ...encodeText(second)]
}
