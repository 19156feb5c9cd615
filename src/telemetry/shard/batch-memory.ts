// Which batches were counted: exactly, in 12 bytes for each, and in bounded memory. Pure. No clock: instants are passed
// in, in milliseconds since 1970.

/** How long an id is remembered, by its own time. */
const IDS_KEPT_MS = 86_400_000
/** How many ids are remembered at most. */
const MAX_IDS = 2_000_000
/** Ids are forgotten by spans of their own time, all of a span at once; 20 bits tell its milliseconds apart. */
const SPAN_MS = 600_000
const MIN_CAPACITY = 32
const MAX_LOAD = 0.8
const GROWTH = 1.6

/** When the maker of an id says that it was made. */
export function instantOf(id: Uint8Array): number {
  let instant = 0
  for (let index = 0; index < 6; index++) instant = instant * 256 + (id[index] ?? 0)
  return instant
}

/** The ids of one span: open addressing over three words for each. */
class IdSet {
  size = 0
  private words = new Uint32Array(3 * MIN_CAPACITY)
  private readonly seed: number

  constructor(seed: number) {
    this.seed = seed
  }

  has(a: number, b: number, c: number): boolean {
    return this.words[this.placeOf(a, b, c) + 1] !== 0
  }

  add(a: number, b: number, c: number): void {
    if (this.size + 1 > (this.words.length / 3) * MAX_LOAD) this.grow()
    this.put(a, b, c)
    this.size++
  }

  private put(a: number, b: number, c: number): void {
    const place = this.placeOf(a, b, c)
    this.words[place] = a
    this.words[place + 1] = b
    this.words[place + 2] = c
  }

  /** Where an id is, or belongs; the second word of what is empty is 0. */
  private placeOf(a: number, b: number, c: number): number {
    const { words } = this
    // Ids are made by clients: without a seed, some could be made that all belong in one place.
    let hash = Math.imul(a ^ this.seed, 0x9e3779b1)
    hash = Math.imul(hash ^ (hash >>> 15) ^ b, 0x85ebca77)
    hash = Math.imul(hash ^ (hash >>> 13) ^ c, 0xc2b2ae3d)
    let place = ((hash ^ (hash >>> 16)) >>> 0) % (words.length / 3)
    for (;;) {
      const at = 3 * place
      if (words[at + 1] === 0) return at
      if (words[at] === a && words[at + 1] === b && words[at + 2] === c) return at
      place = 3 * place + 3 === words.length ? 0 : place + 1
    }
  }

  private grow(): void {
    const old = this.words
    this.words = new Uint32Array(3 * Math.ceil((old.length / 3) * GROWTH))
    for (let at = 0; at < old.length; at += 3) {
      if (old[at + 1] !== 0) this.put(old[at] ?? 0, old[at + 1] ?? 0, old[at + 2] ?? 0)
    }
  }
}

/** Remembers ids of batches (UUIDv7, 16 bytes): those of a day, or the newest two million. */
export class BatchMemory {
  private readonly spans = new Map<number, IdSet>()
  private readonly seed: number
  private readonly limit: number
  private forgotten = 0
  private count = 0

  /** @param seed any 32 bits, not known to those who make ids */
  constructor(seed: number, limit = MAX_IDS) {
    this.seed = seed
    this.limit = limit
  }

  /** How many ids are remembered. */
  get size(): number {
    return this.count
  }

  /** Ids that were made before this instant are not remembered. */
  get since(): number {
    return this.forgotten
  }

  /** Whether an id was added, was not, or is older than what is remembered. */
  standing(id: Uint8Array): 'new' | 'known' | 'expired' {
    const at = instantOf(id)
    if (at < this.forgotten) return 'expired'
    const [a, b, c] = toWords(id, at)
    return this.spans.get(Math.floor(at / SPAN_MS))?.has(a, b, c) ? 'known' : 'new'
  }

  /** Adds an id that is `new`. */
  add(id: Uint8Array): void {
    const at = instantOf(id)
    const [a, b, c] = toWords(id, at)
    const span = Math.floor(at / SPAN_MS)
    const ids = this.spans.get(span) ?? new IdSet(this.seed)
    this.spans.set(span, ids)
    ids.add(a, b, c)
    this.count++
    if (this.count > this.limit) this.forgetBefore((Math.min(...this.spans.keys()) + 1) * SPAN_MS)
  }

  /** Forgets what is older than a day. */
  expire(now: number): void {
    if (now - IDS_KEPT_MS > this.forgotten) this.forgetBefore(now - IDS_KEPT_MS)
  }

  /** Forgets ids that were made before an instant. */
  forgetBefore(instant: number): void {
    this.forgotten = Math.max(this.forgotten, instant)
    for (const [span, { size }] of this.spans) {
      if ((span + 1) * SPAN_MS > this.forgotten) continue
      this.spans.delete(span)
      this.count -= size
    }
  }
}

/** What tells an id from others of its span: its millisecond there, and all of its random bits. */
function toWords(id: Uint8Array, at: number): [number, number, number] {
  const byte = (index: number) => id[index] ?? 0
  const word = (index: number) =>
    ((byte(index) << 24) | (byte(index + 1) << 16) | (byte(index + 2) << 8) | byte(index + 3)) >>> 0
  const first = ((at % SPAN_MS) << 12) | ((byte(6) & 0x0f) << 8) | byte(7)
  // The topmost bit is set in every UUID of this kind; it is what says that a place is taken.
  return [first >>> 0, (word(8) | 0x80000000) >>> 0, word(12)]
}
