// Texts that a regular expression finds. Each part of the pattern is written out with one of the characters that it
// allows; which they are is asked of the engine itself. What RE2 knows and this does not makes a text that does not
// match: whoever uses one has to try it.
import { compileOperator } from '../engine/operators.ts'
import type { Random } from './random.ts'

const TOKEN = new RegExp(
  [
    String.raw`\\Q(?<quoted>.*?)(?:\\E|$)`,
    String.raw`\\x\{(?<code>[0-9A-Fa-f]+)\}`,
    String.raw`\\x(?<byte>[0-9A-Fa-f]{2})`,
    String.raw`(?:[\^$]|\\[AzbB]|\(\?[a-zA-Z\-]+\))`,
    String.raw`(?<set>\.|\\[pP](?:\{\^?\w+\}|\w)|\\[a-zA-Z0-9]|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\])`,
    String.raw`\\(?<escaped>.)`,
    String.raw`(?<open>\(\?(?:P?<\w+>|[a-zA-Z\-]*:)|\()`,
    String.raw`(?<close>\))`,
    String.raw`(?<or>\|)`,
    '(?<literal>.)',
  ].join('|'),
  'suy',
)
const REPEAT = /(?:([*+?])|\{(\d+)(?:,(\d*))?\})\??/y
/** Tried for what a set of characters allows, the plainest first. */
const CHARACTERS = [
  ...'aA0_-. @/:mZ9#b1z2345678cdefghijklnopqrstuvwxyBCDEFGHIJKLMNOPQRSTUVWXY!"$%&\'()*+,;<=>?[\\]^`{|}~\t\n\r\f\v\u0007éßñλжあ中😀',
]
const MAX_CHOICES = 4

function charactersOf(set: string): string[] {
  const compiled = compileOperator('matches', [`^(?s:${set})$`])
  if (!compiled.ok) return []
  let character = ''
  const matches = compiled.value(() => character)
  const found: string[] = []
  for (character of CHARACTERS) {
    if (matches({}, 0)) found.push(character)
    if (found.length === MAX_CHOICES) break
  }
  return found
}

/** Reads a pattern once from left to right, writing a text as it goes. */
class PatternWriter {
  private position = 0
  private readonly pattern: string
  private readonly random: Random
  private readonly sets: Map<string, readonly string[]>

  constructor(pattern: string, random: Random, sets: Map<string, readonly string[]>) {
    this.pattern = pattern
    this.random = random
    this.sets = sets
  }

  /** Writes up to the end of the group that stands open, or of the pattern: one of the alternatives. */
  write(): string {
    const alternatives: string[] = []
    let text = ''
    for (let token = this.next(); token && token.close === undefined; token = this.next()) {
      if (token.or === undefined) text += this.repeated(this.written(token))
      else {
        alternatives.push(text)
        text = ''
      }
    }
    return this.random.pick([...alternatives, text]) ?? ''
  }

  private next(): { readonly [name: string]: string | undefined } | undefined {
    TOKEN.lastIndex = this.position
    const match = TOKEN.exec(this.pattern)
    if (!match) return undefined
    this.position = TOKEN.lastIndex
    return match.groups
  }

  private written(token: { readonly [name: string]: string | undefined }): string {
    const { open, set, code, byte, quoted, escaped, literal } = token
    if (open !== undefined) return this.write()
    if (set !== undefined) return this.random.pick(this.charactersOf(set)) ?? ''
    const point = Number.parseInt(code ?? byte ?? '', 16)
    if (point <= 0x10ffff) return String.fromCodePoint(point)
    return quoted ?? escaped ?? literal ?? ''
  }

  private charactersOf(set: string): readonly string[] {
    const characters = this.sets.get(set) ?? charactersOf(set)
    this.sets.set(set, characters)
    return characters
  }

  private repeated(text: string): string {
    REPEAT.lastIndex = this.position
    const match = REPEAT.exec(this.pattern)
    if (!match) return text
    this.position = REPEAT.lastIndex
    const [, sign, least, most] = match
    const minimum = sign === undefined ? Number(least) : sign === '+' ? 1 : 0
    const canBeMore = sign === undefined ? most !== undefined && most !== least : true
    return text.repeat(minimum + (canBeMore && this.random.chance(0.5) ? 1 : 0))
  }
}

/** Makes texts that a RE2 expression probably finds. */
export function createPatternExamples(pattern: string, count: number, random: Random): string[] {
  const sets = new Map<string, readonly string[]>()
  const texts = Array.from({ length: count }, () => new PatternWriter(pattern, random, sets).write())
  return [...new Set(texts)]
}
