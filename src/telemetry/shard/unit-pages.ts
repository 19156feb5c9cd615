// Units on disk, a hundred to a row. What has changed stays in memory until it is saved; of the rest, what was used last.
import type { Unit, UnitSource } from '../counting/unit.ts'
import { createUnit } from '../counting/unit-memory.ts'
import type { UnitId } from '../events/event.ts'
import { HeldUnits, type Weighed, weigh } from './held-units.ts'
import { hashAfter, hashOf, type Page, PageDirectory } from './page-directory.ts'
import {
  findLine,
  fromLine,
  hashesOf,
  idOfLine,
  joinLines,
  keyOf,
  keyOfLine,
  partLines,
  splitLines,
  toLine,
} from './page-lines.ts'
import type { ShardTables } from './shard-tables.ts'

/** How many units a page has at most, and how long its text may be: a row ends at 2 MB. */
const MAX_PAGE_UNITS = 128
const MAX_PAGE_LENGTH = 500_000
/** What units may weigh in memory, changed ones included: 50 MB. */
const MAX_WEIGHT = 200_000
/** What part of it changed units may come to before they must be saved. */
const MAX_CHANGED_PART = 0.8
/** About how much of a page's text a unit of weight 1 takes. */
const LENGTH_PER_WEIGHT = 100

/** A page as others read it. */
export type UnitPage = { readonly units: readonly Unit[]; readonly next: number | null }

type Row = { page: number; depth: number; prefix: number; units: number; oldest: number }

/** Keeps the units of one shard. */
export class UnitPages implements UnitSource {
  private readonly tables: ShardTables
  private readonly limit: number
  private readonly directory: PageDirectory
  private readonly held = new HeldUnits()
  /** Units that are not as they are on disk; null: removed. */
  private changed = new Map<Page, Map<UnitId, Weighed | null>>()
  private changedWeight = 0
  private changedCount = 0
  /** Units that there are more than on disk. */
  private created = 0
  private stored = 0

  constructor(tables: ShardTables, limit = MAX_WEIGHT) {
    this.tables = tables
    this.limit = limit
    const rows = tables.read<Row>('SELECT page, depth, prefix, units, oldest FROM pages ORDER BY page')
    this.stored = rows.reduce((sum, { units }) => sum + units, 0)
    this.directory = new PageDirectory(
      rows.map(({ page: number, ...page }) => ({ number, ...page, isHeld: false, hashes: null })),
    )
  }

  /** How many units there are. */
  get size(): number {
    return this.stored + this.created
  }

  /** How many units have changed since they were saved. */
  get changedUnits(): number {
    return this.changedCount
  }

  /** Whether they take so much memory that they must be saved. */
  get isFull(): boolean {
    return this.changedWeight >= this.limit * MAX_CHANGED_PART
  }

  /** About how many rows saving them writes. */
  get changedRows(): number {
    return this.changed.size + Math.max(0, Math.ceil(this.created / (MAX_PAGE_UNITS / 2)))
  }

  get(id: UnitId): Unit | undefined {
    const page = this.directory.pageOf(id)
    const changed = this.changed.get(page)?.get(id)
    if (changed !== undefined) return changed?.unit
    const held = this.held.use(id)
    if (held) return held
    const isNew = page.isHeld || page.hashes?.includes(hashOf(id)) === false
    return isNew ? undefined : this.load(page, id)
  }

  create(id: UnitId, kind: string): Unit {
    const unit = createUnit(id, kind)
    this.change(id, unit)
    this.created++
    return unit
  }

  touch(unit: Unit): void {
    this.change(unit.id, unit)
  }

  remove(id: UnitId): void {
    if (this.get(id) !== undefined) this.drop(id)
  }

  /** Writes what has changed. */
  save(): void {
    for (const [page, changes] of this.changed) {
      const lines = new Map(splitLines(this.readText(page)).map((line) => [keyOfLine(line), line]))
      for (const [id, change] of changes) {
        const key = keyOf(id)
        if (change === null) lines.delete(key)
        else {
          lines.set(key, toLine(change.unit))
          page.oldest = Math.min(page.oldest, change.unit.lastDay)
        }
      }
      this.write(page, [...lines.values()])
    }
    const changes = [...this.changed.values()]
    this.changed = new Map()
    this.changedCount = 0
    this.changedWeight = 0
    this.created = 0
    for (const units of changes) for (const change of units.values()) if (change) this.held.hold(change.unit)
    this.trim()
  }

  /** The day on which the unit was seen last, or an earlier one, that was not seen for longest; MAX_SAFE_INTEGER: none. */
  get oldest(): number {
    return this.directory.oldest
  }

  /**
   * The units of the page that a hash belongs to, as they are now, and the first hash of the next page; null: it was
   * the last. Pages that are parted between two calls move no unit across such a hash.
   */
  pageAt(hash: number): UnitPage {
    const page = this.directory.pageAt(hash)
    return { units: this.unitsOf(page), next: hashAfter(page) }
  }

  /** Goes through a page, and lets go of units and of what is in them as `review` says. The next page, as above. */
  sweep(hash: number, review: (unit: Unit) => 'kept' | 'changed' | 'gone'): number | null {
    const page = this.directory.pageAt(hash)
    const known = page.oldest
    let oldest = Number.MAX_SAFE_INTEGER
    for (const unit of this.unitsOf(page)) {
      const verdict = review(unit)
      if (verdict === 'gone') this.drop(unit.id)
      else oldest = Math.min(oldest, unit.lastDay)
      if (verdict === 'changed') this.change(unit.id, unit)
    }
    page.oldest = oldest
    // Written down even if no unit has changed: otherwise the page would be gone through again every day.
    if (oldest !== known && !this.changed.has(page)) this.changed.set(page, new Map())
    return hashAfter(page)
  }

  private unitsOf(page: Page): Unit[] {
    const changes = this.changed.get(page)
    const units = [...(changes?.values() ?? [])].flatMap((change) => change?.unit ?? [])
    for (const line of splitLines(this.readText(page))) {
      const id = idOfLine(line)
      if (!changes?.has(id)) units.push(this.held.peek(id) ?? fromLine(line))
    }
    return units
  }

  private drop(id: UnitId): void {
    this.change(id, null)
    this.created--
  }

  private change(id: UnitId, unit: Unit | null): void {
    const page = this.directory.pageOf(id)
    const changes = this.changed.get(page) ?? new Map<UnitId, Weighed | null>()
    this.changed.set(page, changes)
    const before = changes.get(id)
    const change = unit && weigh(unit)
    if (before === undefined) this.changedCount++
    this.changedWeight += (change?.weight ?? 0) - (before?.weight ?? 0)
    changes.set(id, change)
    this.held.letGo(id)
    this.trim()
  }

  /** Lets go of units that have not been used for longest. */
  private trim(): void {
    while (this.held.weight + this.changedWeight > this.limit) {
      const oldest = this.held.letGoOfOldest()
      if (oldest === undefined) return
      this.directory.pageOf(oldest).isHeld = false
    }
  }

  /** Reads a unit; all of its page while there is room. */
  private load(page: Page, id: UnitId): Unit | undefined {
    const text = this.readText(page)
    if (text.length / LENGTH_PER_WEIGHT + this.held.weight + this.changedWeight < this.limit) {
      return this.loadAll(page, id)
    }
    page.hashes ??= hashesOf(splitLines(text))
    const line = findLine(text, id)
    if (line === undefined) return undefined
    const unit = fromLine(line)
    this.held.hold(unit)
    this.trim()
    return unit
  }

  private loadAll(page: Page, id: UnitId): Unit | undefined {
    let found: Unit | undefined
    page.isHeld = true
    for (const unit of this.unitsOf(page)) {
      if (unit.id === id) found = unit
      if (!this.changed.get(page)?.has(unit.id)) this.held.hold(unit)
    }
    this.trim()
    return found
  }

  private readText({ number }: Page): string {
    return this.tables.read<{ body: string }>('SELECT body FROM pages WHERE page = ?', number)[0]?.body ?? ''
  }

  /** Writes a page, in parts if it is too large. */
  private write(page: Page, lines: readonly string[]): void {
    const length = lines.reduce((sum, line) => sum + line.length + 1, 0)
    const isLarge = lines.length > MAX_PAGE_UNITS || length > MAX_PAGE_LENGTH
    if (isLarge && lines.length > 1 && this.directory.canPart(page)) {
      const [lower, upper] = partLines(lines, page.depth)
      const other = this.directory.part(page)
      this.write(page, lower)
      this.write(other, upper)
      return
    }
    this.stored += lines.length - page.units
    page.units = lines.length
    page.hashes = hashesOf(lines)
    this.tables.write(
      'INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?, ?, ?)',
      page.number,
      page.depth,
      page.prefix,
      page.units,
      page.oldest,
      joinLines(lines),
    )
  }
}
