// A shard's documents, each packed in as few rows as can be: what is billed is rows, not bytes.
import type { PackedCounting, PackedHour, PackedMinute } from '../counting/counting.ts'
import type { SeriesCell } from '../counting/series.ts'
import type { PackedActivity, PackedCounts } from './counts.ts'
import type { ShardTables } from './shard-tables.ts'

/** A row ends at 2 MB, and a UTF-16 unit has at most 3 bytes. */
const MAX_PAGE_LENGTH = 600_000

/** What is kept of each kind; what there is one of is kept at 0. */
export type Documents = {
  /** Evaluations in an hour. */
  hour: readonly PackedCounts[]
  /** Evaluations in a day, of which the hours are no longer kept. */
  day: readonly PackedCounts[]
  /** Every flag's activity, in all hours before `through` at least. */
  activity: {
    readonly through: number
    readonly knownSince: number
    readonly uncountedAt: number | null
    readonly flags: readonly PackedActivity[]
  }
  /** Contexts that were evaluated with, oldest first. */
  contexts: readonly (readonly [at: number, text: string])[]
  /** Events of a minute and their guard blocks, and events of an hour; those of a day, of which the hours are gone. */
  minuteCells: PackedMinute
  hourCells: PackedHour
  dayCells: readonly SeriesCell[]
  /** Where the shard stood when it folded its records in for the last time. */
  state: {
    /** The last record that is in it, and when that was made. */
    readonly sequence: number
    readonly at: number
    readonly planVersion: number
    readonly rowsWritten: number
    /** Ids of batches that were made before are not remembered. */
    readonly batchesSince: number
    /** The hash of the unit at which the search for units that can go goes on. */
    readonly sweptTo: number
    readonly counting: PackedCounting
  }
}

export type DocumentKind = keyof Documents

/** A document, and the instant that it is kept under, in milliseconds since 1970. */
export type Stored<K extends DocumentKind> = { readonly start: number; readonly document: Documents[K] }

type Row = { readonly start: number; readonly body: string }

export class PackedRows {
  private readonly tables: ShardTables

  constructor(tables: ShardTables) {
    this.tables = tables
  }

  load<K extends DocumentKind>(kind: K, start: number): Documents[K] | undefined {
    return this.range(kind, start, start + 1)[0]?.document
  }

  /** The documents from one instant up to another, in order. */
  range<K extends DocumentKind>(kind: K, from: number, to: number): Stored<K>[] {
    const rows = this.tables.read<Row>(
      'SELECT start, body FROM packed WHERE kind = ? AND start >= ? AND start < ? ORDER BY start, page',
      kind,
      from,
      to,
    )
    const texts = new Map<number, string>()
    for (const { start, body } of rows) texts.set(start, (texts.get(start) ?? '') + body)
    return [...texts].map(([start, text]) => ({ start, document: JSON.parse(text) }))
  }

  /** The instants under which there are documents. */
  starts(kind: DocumentKind): number[] {
    return this.tables
      .read<{ start: number }>('SELECT start FROM packed WHERE kind = ? AND page = 0 ORDER BY start', kind)
      .map(({ start }) => start)
  }

  /** Puts a document in the place of what is there. */
  save<K extends DocumentKind>(kind: K, start: number, document: Documents[K]): void {
    const pages = paginate(JSON.stringify(document))
    for (const [page, body] of pages.entries()) {
      this.tables.write(
        'INSERT INTO packed VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body',
        kind,
        start,
        page,
        body,
      )
    }
    this.tables.write(
      'DELETE FROM packed WHERE kind = ? AND start = ? AND page >= ?',
      kind,
      start,
      pages.length,
    )
  }

  /** Removes the documents before an instant. */
  removeBefore(kind: DocumentKind, instant: number): void {
    this.tables.write('DELETE FROM packed WHERE kind = ? AND start < ?', kind, instant)
  }
}

/** Cuts a text into pieces that fit a row, and never between the two halves of a character. */
function paginate(text: string): string[] {
  const pages: string[] = []
  for (let from = 0; from < text.length; ) {
    let to = Math.min(text.length, from + MAX_PAGE_LENGTH)
    if (to < text.length && /[\uD800-\uDBFF]/.test(text.charAt(to - 1))) to--
    pages.push(text.slice(from, to))
    from = to
  }
  return pages
}
