const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Shorter texts are read by hand: the decoder takes longer to begin. */
const SHORT = 64
const MAX_FACTOR = 2 ** 49

/** Reads what a `ByteWriter` wrote. Every method throws where the bytes end before it does. */
export class ByteReader {
  private readonly bytes: Uint8Array
  private readonly view: DataView
  private at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get isAtEnd(): boolean {
    return this.at === this.bytes.length
  }

  byte(): number {
    return this.view.getUint8(this.at++)
  }

  unsigned(): number {
    const first = this.view.getUint8(this.at++)
    if (first < 0x80) return first
    let value = first & 0x7f
    for (let factor = 0x80; factor <= MAX_FACTOR; factor *= 0x80) {
      const byte = this.view.getUint8(this.at++)
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
    throw new Error('an integer of too many bytes')
  }

  signed(): number {
    const value = this.unsigned()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  float(): number {
    const value = this.view.getFloat64(this.at, true)
    this.at += 8
    return value
  }

  /** A text of 16 characters up to U+00FF. */
  latin1Of16(): string {
    const { view, at } = this
    this.at += 16
    return String.fromCharCode(
      view.getUint8(at),
      view.getUint8(at + 1),
      view.getUint8(at + 2),
      view.getUint8(at + 3),
      view.getUint8(at + 4),
      view.getUint8(at + 5),
      view.getUint8(at + 6),
      view.getUint8(at + 7),
      view.getUint8(at + 8),
      view.getUint8(at + 9),
      view.getUint8(at + 10),
      view.getUint8(at + 11),
      view.getUint8(at + 12),
      view.getUint8(at + 13),
      view.getUint8(at + 14),
      view.getUint8(at + 15),
    )
  }

  /** A text by the number of its bytes in UTF-8 and these. */
  utf8(): string {
    const length = this.unsigned()
    const start = this.at
    this.at += length
    if (this.at > this.bytes.length) throw new Error('a text goes on after the end')
    return (length < SHORT ? this.ascii(start, length) : undefined) ?? this.decode(start, length)
  }

  private decode(start: number, length: number): string {
    return decoder.decode(this.bytes.subarray(start, start + length))
  }

  /** A short text; undefined when it is not ASCII. */
  private ascii(start: number, length: number): string | undefined {
    const codes: number[] = []
    for (let i = start; i < start + length; i++) {
      const code = this.view.getUint8(i)
      if (code > 0x7f) return undefined
      codes.push(code)
    }
    return String.fromCharCode(...codes)
  }
}
