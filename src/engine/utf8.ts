/** The UTF-8 bytes of a text; a lone surrogate is U+FFFD, as in every encoder of the web. */
export function toUtf8(text: string): number[] {
  const bytes: number[] = []
  for (const character of text.toWellFormed()) {
    const code = character.codePointAt(0) ?? 0
    if (code < 0x80) {
      bytes.push(code)
      continue
    }
    if (code < 0x800) bytes.push(0xc0 | (code >> 6))
    else {
      if (code < 0x10000) bytes.push(0xe0 | (code >> 12))
      else bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 0x3f))
      bytes.push(0x80 | ((code >> 6) & 0x3f))
    }
    bytes.push(0x80 | (code & 0x3f))
  }
  return bytes
}
