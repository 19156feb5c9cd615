// SipHash-2-4 with 128 bits, in halves of 32 bits: whole words of 64 would be BigInts, which take a hundred times as
// long.

/** A key of 16 bytes, as four words, the lowest byte first. */
export type SipKey = readonly [number, number, number, number]

/** Reads a key off the first 16 bytes. */
export function toSipKey(bytes: Uint8Array): SipKey {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16)
  return [view.getInt32(0, true), view.getInt32(4, true), view.getInt32(8, true), view.getInt32(12, true)]
}

/** The last block: what is left of the message, and its length in the highest byte. */
function lastWord(message: DataView, from: number, length: number): number {
  let word = 0
  for (let i = Math.min(length - from, 4) - 1; i >= 0; i--) word = (word << 8) | message.getUint8(from + i)
  return word
}

function toText(a: number, b: number, c: number, d: number): string {
  return String.fromCharCode(
    a & 0xff,
    (a >>> 8) & 0xff,
    (a >>> 16) & 0xff,
    a >>> 24,
    b & 0xff,
    (b >>> 8) & 0xff,
    (b >>> 16) & 0xff,
    b >>> 24,
    c & 0xff,
    (c >>> 8) & 0xff,
    (c >>> 16) & 0xff,
    c >>> 24,
    d & 0xff,
    (d >>> 8) & 0xff,
    (d >>> 16) & 0xff,
    d >>> 24,
  )
}

/**
 * The hash of the first `length` bytes of a message, as a text of 16 characters up to U+00FF.
 *
 * The words v0 to v3 of the specification are a to d, each with its low and its high half.
 */
export function sipHash128(key: SipKey, message: DataView, length: number): string {
  let aLow = key[0] ^ 0x70736575
  let aHigh = key[1] ^ 0x736f6d65
  let bLow = key[2] ^ 0x6e646f6d ^ 0xee
  let bHigh = key[3] ^ 0x646f7261
  let cLow = key[0] ^ 0x6e657261
  let cHigh = key[1] ^ 0x6c796765
  let dLow = key[2] ^ 0x79746573
  let dHigh = key[3] ^ 0x74656462
  let firstLow = 0
  let firstHigh = 0
  const blocks = (length >>> 3) + 1
  // Each step is two rounds: one for each block, and twice two for each half of the hash.
  for (let step = 0; step < blocks + 4; step++) {
    let low = 0
    let high = 0
    if (step < blocks - 1) {
      low = message.getInt32(step * 8, true)
      high = message.getInt32(step * 8 + 4, true)
    } else if (step === blocks - 1) {
      low = lastWord(message, step * 8, length)
      high = lastWord(message, step * 8 + 4, length) | (length << 24)
    } else if (step === blocks) {
      cLow ^= 0xee
    } else if (step === blocks + 2) {
      firstLow = aLow ^ bLow ^ cLow ^ dLow
      firstHigh = aHigh ^ bHigh ^ cHigh ^ dHigh
      bLow ^= 0xdd
    }
    dLow ^= low
    dHigh ^= high
    for (let round = 0; round < 2; round++) {
      let sum = (aLow + bLow) | 0
      let sumHigh = (aHigh + bHigh + (sum >>> 0 < bLow >>> 0 ? 1 : 0)) | 0
      let turned = (bLow << 13) | (bHigh >>> 19)
      bHigh = ((bHigh << 13) | (bLow >>> 19)) ^ sumHigh
      bLow = turned ^ sum
      aLow = sumHigh
      aHigh = sum
      sum = (cLow + dLow) | 0
      cHigh = (cHigh + dHigh + (sum >>> 0 < dLow >>> 0 ? 1 : 0)) | 0
      cLow = sum
      turned = (dLow << 16) | (dHigh >>> 16)
      dHigh = ((dHigh << 16) | (dLow >>> 16)) ^ cHigh
      dLow = turned ^ cLow
      sum = (aLow + dLow) | 0
      aHigh = (aHigh + dHigh + (sum >>> 0 < dLow >>> 0 ? 1 : 0)) | 0
      aLow = sum
      turned = (dLow << 21) | (dHigh >>> 11)
      dHigh = ((dHigh << 21) | (dLow >>> 11)) ^ aHigh
      dLow = turned ^ aLow
      sum = (cLow + bLow) | 0
      sumHigh = (cHigh + bHigh + (sum >>> 0 < bLow >>> 0 ? 1 : 0)) | 0
      turned = (bLow << 17) | (bHigh >>> 15)
      bHigh = ((bHigh << 17) | (bLow >>> 15)) ^ sumHigh
      bLow = turned ^ sum
      cLow = sumHigh
      cHigh = sum
    }
    aLow ^= low
    aHigh ^= high
  }
  return toText(firstLow, firstHigh, aLow ^ bLow ^ cLow ^ dLow, aHigh ^ bHigh ^ cHigh ^ dHigh)
}
