// The events of one batch for one shard, packed: sent as they are, written down as they are, read again after a
// restart. What has been written stays readable for ever.
//
// After a byte for the version and the number of events comes the first event's instant, then each event:
//
//   head         kind (2 bits), trusted, automatic, primary, home, form of the value (2 bits)
//   parts        a bit each for name, flag, variant, kind of unit, unit, tag, slices, and an instant unlike the last
//   name … kind  texts, each where its bit says so
//   unit         16 bytes
//   tag          0 and then its id, stage, stratum and arm, or the number of a tag that came before, from 1 on
//   slices       their number, then each: 0 for none, else a text's number and 1 more
//   instant      milliseconds since the last event's
//   value        nothing, a small integer, or a float of 64 bits
//
// A text is 0, its length and its UTF-8, or the number of a text that came before, from 1 on. Integers have 7 bits to
// a byte, the lowest first; those that can be negative have their sign in the lowest bit.
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import type { EventKind, ShardEvent, Tag } from './event.ts'

const VERSION = 1
const KINDS: readonly EventKind[] = ['exposure', 'track', 'measure']

const TRUSTED = 1 << 2
const AUTOMATIC = 1 << 3
const PRIMARY = 1 << 4
const HOME = 1 << 5
const VALUE_SHIFT = 6
const NO_VALUE = 0
const INTEGER_VALUE = 1
const FLOAT_VALUE = 2

const NAME = 1
const FLAG = 1 << 1
const VARIANT = 1 << 2
const UNIT_KIND = 1 << 3
const UNIT = 1 << 4
const TAG = 1 << 5
const SLICES = 1 << 6
const OTHER_INSTANT = 1 << 7

/** Beyond it, an integer is no shorter than a float. */
const MAX_INTEGER = 2 ** 29

/** Which form takes the least room. */
function formOf(value: number): number {
  if (Number.isNaN(value)) return NO_VALUE
  const isSmall = (value | 0) === value && value < MAX_INTEGER && value > -MAX_INTEGER
  return isSmall && !Object.is(value, -0) ? INTEGER_VALUE : FLOAT_VALUE
}

class Encoder {
  readonly bytes = new ByteWriter()
  private readonly texts = new Map<string, number>()
  private readonly tags = new Map<Tag, number>()
  private last = 0

  begin(events: readonly ShardEvent[]): void {
    this.last = events[0]?.at ?? 0
    this.bytes.byte(VERSION)
    this.bytes.unsigned(events.length)
    this.bytes.float(this.last)
  }

  event(event: ShardEvent): void {
    const { bytes } = this
    const { name, flag, variant, unitKind, unit, tag, slices, at, value } = event
    const form = formOf(value)
    bytes.byte(
      KINDS.indexOf(event.kind) |
        (event.trusted ? TRUSTED : 0) |
        (event.automatic ? AUTOMATIC : 0) |
        (event.primary ? PRIMARY : 0) |
        (event.home ? HOME : 0) |
        (form << VALUE_SHIFT),
    )
    bytes.byte(
      (name === '' ? 0 : NAME) |
        (flag === '' ? 0 : FLAG) |
        (variant === '' ? 0 : VARIANT) |
        (unitKind === '' ? 0 : UNIT_KIND) |
        (unit === null ? 0 : UNIT) |
        (tag === null ? 0 : TAG) |
        (slices === null ? 0 : SLICES) |
        (at === this.last ? 0 : OTHER_INSTANT),
    )
    if (name !== '') this.text(name)
    if (flag !== '') this.text(flag)
    if (variant !== '') this.text(variant)
    if (unitKind !== '') this.text(unitKind)
    if (unit !== null) bytes.latin1(unit)
    if (tag !== null) this.tag(tag)
    if (slices !== null) this.slices(slices)
    if (at !== this.last) bytes.signed(at - this.last)
    this.last = at
    if (form === INTEGER_VALUE) bytes.signed(value)
    else if (form === FLOAT_VALUE) bytes.float(value)
  }

  private text(text: string, more = 0): void {
    const known = this.texts.get(text)
    if (known !== undefined) {
      this.bytes.unsigned(known + more)
      return
    }
    this.texts.set(text, this.texts.size + 1)
    this.bytes.unsigned(more)
    this.bytes.utf8(text)
  }

  private tag(tag: Tag): void {
    const known = this.tags.get(tag)
    if (known !== undefined) {
      this.bytes.unsigned(known)
      return
    }
    this.tags.set(tag, this.tags.size + 1)
    this.bytes.byte(0)
    this.text(tag.id)
    this.bytes.unsigned(tag.stage)
    this.text(tag.stratum)
    this.text(tag.arm)
  }

  private slices(slices: readonly (string | null)[]): void {
    this.bytes.unsigned(slices.length)
    for (const slice of slices) {
      if (slice === null) this.bytes.byte(0)
      else this.text(slice, 1)
    }
  }
}

class Decoder {
  private readonly bytes: ByteReader
  private readonly texts: string[] = []
  private readonly tags: Tag[] = []
  private last = 0

  constructor(bytes: Uint8Array) {
    this.bytes = new ByteReader(bytes)
  }

  events(): ShardEvent[] {
    const { bytes } = this
    const version = bytes.byte()
    if (version !== VERSION) throw new Error(`a batch of version ${version}`)
    const events: ShardEvent[] = []
    const count = bytes.unsigned()
    this.last = bytes.float()
    for (let i = 0; i < count; i++) events.push(this.event())
    if (!bytes.isAtEnd) throw new Error('a batch goes on after its events')
    return events
  }

  private event(): ShardEvent {
    const { bytes } = this
    const head = bytes.byte()
    const parts = bytes.byte()
    const kind = KINDS[head & 3]
    if (kind === undefined) throw new Error('an event of no kind')
    const name = parts & NAME ? this.text() : ''
    const flag = parts & FLAG ? this.text() : ''
    const variant = parts & VARIANT ? this.text() : ''
    const unitKind = parts & UNIT_KIND ? this.text() : ''
    const unit = parts & UNIT ? bytes.latin1Of16() : null
    const tag = parts & TAG ? this.tag() : null
    const slices = parts & SLICES ? this.slices() : null
    if (parts & OTHER_INSTANT) this.last += bytes.signed()
    return {
      kind,
      name,
      flag,
      variant,
      unitKind,
      unit,
      tag,
      trusted: (head & TRUSTED) !== 0,
      automatic: (head & AUTOMATIC) !== 0,
      primary: (head & PRIMARY) !== 0,
      home: (head & HOME) !== 0,
      value: this.value(head >> VALUE_SHIFT),
      at: this.last,
      slices,
    }
  }

  private value(form: number): number {
    if (form === NO_VALUE) return Number.NaN
    if (form === INTEGER_VALUE) return this.bytes.signed()
    if (form === FLOAT_VALUE) return this.bytes.float()
    throw new Error('a value of no form')
  }

  private text(): string {
    return this.textOf(this.bytes.unsigned())
  }

  private textOf(number: number): string {
    if (number === 0) {
      const text = this.bytes.utf8()
      this.texts.push(text)
      return text
    }
    const text = this.texts[number - 1]
    if (text === undefined) throw new Error('a text that did not come before')
    return text
  }

  private tag(): Tag {
    const number = this.bytes.unsigned()
    const known = this.tags[number - 1]
    if (known) return known
    if (number !== 0) throw new Error('a tag that did not come before')
    const tag = { id: this.text(), stage: this.bytes.unsigned(), stratum: this.text(), arm: this.text() }
    this.tags.push(tag)
    return tag
  }

  private slices(): (string | null)[] {
    const slices: (string | null)[] = []
    for (let rest = this.bytes.unsigned(); rest > 0; rest--) {
      const number = this.bytes.unsigned()
      slices.push(number === 0 ? null : this.textOf(number - 1))
    }
    return slices
  }
}

/** Packs events; texts that are no Unicode, by a lone surrogate, have U+FFFD in its place afterwards. */
export function encodeBatch(events: readonly ShardEvent[]): Uint8Array {
  const encoder = new Encoder()
  encoder.begin(events)
  for (const event of events) encoder.event(event)
  return encoder.bytes.take()
}

/**
 * Unpacks what `encodeBatch` packed.
 * @throws when it did not
 */
export function decodeBatch(bytes: Uint8Array): ShardEvent[] {
  return new Decoder(bytes).events()
}
