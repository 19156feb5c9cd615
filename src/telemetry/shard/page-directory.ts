// Which page a unit is in, by the hash that its id is: a page has the units whose hashes begin with certain bits, and one
// that has grown too large is parted by the next bit (extendible hashing).
import type { UnitId } from '../events/event.ts'

const HASH_BITS = 32
/** So many bits tell more pages apart than a shard can have. */
const MAX_DEPTH = 20

/** A page, as it is known without its units. */
export type Page = {
  readonly number: number
  /** It has the units whose hashes begin with the `depth` bits of `prefix`. */
  depth: number
  prefix: number
  units: number
  /** No unit in it was seen last before this day. */
  oldest: number
  /** Whether all of its units are in memory. */
  isHeld: boolean
  /** The hashes of its units on disk, so that it is not read for new ones; null: not known since the restart. */
  hashes: Uint32Array | null
}

/** 32 bits of an id that do not say in which shard it is, as its first four bytes do. */
export function hashOf(id: UnitId): number {
  const byte = (index: number) => id.charCodeAt(index)
  return ((byte(4) << 24) | (byte(5) << 16) | (byte(6) << 8) | byte(7)) >>> 0
}

/** Whether a hash belongs to the second of the two pages that a page of some depth is parted into. */
export function isInUpperHalf(hash: number, depth: number): boolean {
  return prefixOf(hash, depth + 1) % 2 === 1
}

function prefixOf(hash: number, depth: number): number {
  return depth === 0 ? 0 : hash >>> (HASH_BITS - depth)
}

/** The first hash after those of a page; null: it is the last. */
export function hashAfter({ depth, prefix }: Page): number | null {
  const next = (prefix + 1) * 2 ** (HASH_BITS - depth)
  return next < 2 ** HASH_BITS ? next : null
}

/** All pages of a shard. */
export class PageDirectory {
  private readonly pages: Page[]
  /** The page of every prefix of `depth` bits. */
  private byPrefix: Page[] = []
  private depth = 0

  /** @param pages those that there are, by their numbers, which begin with 0; none: there is one, which is empty */
  constructor(pages: Page[]) {
    this.pages = pages
    if (pages.length === 0) {
      const oldest = Number.MAX_SAFE_INTEGER
      pages.push({ number: 0, depth: 0, prefix: 0, units: 0, oldest, isHeld: true, hashes: null })
    }
    this.build()
  }

  pageOf(id: UnitId): Page {
    return this.pageAt(hashOf(id))
  }

  pageAt(hash: number): Page {
    const page = this.byPrefix[prefixOf(hash, this.depth)]
    if (!page) throw new Error('a unit that no page has a place for')
    return page
  }

  /** The first day on which a unit may have been seen last; MAX_SAFE_INTEGER: there are none. */
  get oldest(): number {
    return this.pages.reduce((least, { oldest }) => Math.min(least, oldest), Number.MAX_SAFE_INTEGER)
  }

  canPart({ depth }: Page): boolean {
    return depth < MAX_DEPTH
  }

  /** Parts a page in two; the second of them, which is new. */
  part(page: Page): Page {
    page.depth++
    page.prefix *= 2
    const upper = { ...page, number: this.pages.length, prefix: page.prefix + 1, units: 0, hashes: null }
    this.pages.push(upper)
    if (page.depth > this.depth) this.build()
    else this.enter(upper)
    return upper
  }

  private build(): void {
    this.depth = this.pages.reduce((most, { depth }) => Math.max(most, depth), 0)
    this.byPrefix = new Array(2 ** this.depth)
    for (const page of this.pages) this.enter(page)
  }

  private enter(page: Page): void {
    const width = 2 ** (this.depth - page.depth)
    this.byPrefix.fill(page, page.prefix * width, (page.prefix + 1) * width)
  }
}
