const encoder = new TextEncoder()

/** Of UTF-8, how many bytes a UTF-16 unit takes at most. */
const MAX_UTF8_BYTES = 3
const MAX_INTEGER_BYTES = 10
const FIRST_ROOM = 1_024
/** Shorter texts are written by hand: the encoder takes longer to begin. */
const SHORT = 64

/** Writes numbers and texts one after the other; its room grows. */
export class ByteWriter {
  private bytes = new Uint8Array(FIRST_ROOM)
  private view = new DataView(this.bytes.buffer)
  private at = 0

  byte(value: number): void {
    this.reserve(1)
    this.bytes[this.at++] = value
  }

  /** An integer from 0 on: 7 bits to a byte, the lowest first. */
  unsigned(value: number): void {
    this.reserve(MAX_INTEGER_BYTES)
    let rest = value
    for (; rest >= 0x8000_0000; rest = Math.floor(rest / 0x80)) this.bytes[this.at++] = (rest % 0x80) | 0x80
    for (; rest >= 0x80; rest >>>= 7) this.bytes[this.at++] = (rest & 0x7f) | 0x80
    this.bytes[this.at++] = rest
  }

  /** An integer, with its sign in the lowest bit. */
  signed(value: number): void {
    this.unsigned(value < 0 ? -2 * value - 1 : 2 * value)
  }

  float(value: number): void {
    this.reserve(8)
    this.view.setFloat64(this.at, value, true)
    this.at += 8
  }

  /** A text of characters up to U+00FF, each as a byte; its length is not written. */
  latin1(text: string): void {
    this.reserve(text.length)
    for (let i = 0; i < text.length; i++) this.bytes[this.at++] = text.charCodeAt(i)
  }

  /** The number of a text's bytes in UTF-8, and then these. */
  utf8(text: string): void {
    this.reserve(MAX_INTEGER_BYTES + text.length * MAX_UTF8_BYTES)
    if (text.length < SHORT && this.ascii(text)) return
    const encoded = encoder.encode(text)
    this.unsigned(encoded.length)
    this.bytes.set(encoded, this.at)
    this.at += encoded.length
  }

  /** What was written. */
  take(): Uint8Array {
    return this.bytes.slice(0, this.at)
  }

  /** Writes a short text if it is ASCII. */
  private ascii(text: string): boolean {
    const start = this.at + 1
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code > 0x7f) return false
      this.bytes[start + i] = code
    }
    this.bytes[this.at] = text.length
    this.at = start + text.length
    return true
  }

  private reserve(more: number): void {
    if (this.at + more <= this.bytes.length) return
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.at + more))
    larger.set(this.bytes)
    this.bytes = larger
    this.view = new DataView(larger.buffer)
  }
}
