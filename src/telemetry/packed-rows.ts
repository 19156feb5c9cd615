// A shard's records, each packed in as few rows as can be: what is billed is rows, not bytes.
import type { PackedActivity, PackedCounts } from './counts.ts'

/** A row ends at 2 MB, and a UTF-16 unit has at most 3 bytes. */
const MAX_PAGE_LENGTH = 600_000

/** Something small that belongs to the whole record, and entries. */
type Record<Head, Entry> = { readonly head: Head; readonly entries: readonly Entry[] }

/** What is kept of each kind. */
export type Records = {
  /** Counts of an hour; with them how far each isolate's reports were in when they were last written. */
  hour: Record<readonly (readonly [isolate: string, sequence: number])[], PackedCounts>
  /** Counts of a day, of which the hours are no longer kept. */
  day: Record<null, PackedCounts>
  /** Every flag's activity, in all hours before `through` at least; one record, at 0. */
  activity: Record<
    { readonly through: number; readonly knownSince: number; readonly uncountedAt: number | null },
    PackedActivity
  >
  /** Contexts that were evaluated with, oldest first; one record, at 0. */
  contexts: Record<null, readonly [at: number, text: string]>
}

type Kind = keyof Records

/** A record, and the instant that it is kept under, in milliseconds since 1970. */
export type Stored<K extends Kind> = Records[K] & { readonly start: number }

type Row = { readonly start: number; readonly page: number; readonly body: string }

export class PackedRows {
  private readonly sql: SqlStorage
  private created: boolean

  constructor(storage: DurableObjectStorage) {
    this.sql = storage.sql
    // The table is made with the first row, so that asking for environments that do not exist leaves nothing behind.
    this.created = this.sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'packed'").toArray().length > 0
  }

  load<K extends Kind>(kind: K, start: number): Stored<K> | undefined {
    return this.range(kind, start, start + 1)[0]
  }

  /** The records from one instant up to another, in order. */
  range<K extends Kind>(kind: K, from: number, to: number): Stored<K>[] {
    const query = `SELECT start, page, body FROM packed WHERE kind = ? AND start >= ? AND start < ?
      ORDER BY start, page`
    return this.created ? unpack(this.sql.exec<Row>(query, kind, from, to)) : []
  }

  /** The newest records, in order. */
  newest<K extends Kind>(kind: K, count: number): Stored<K>[] {
    const starts = this.created
      ? this.sql.exec<{ start: number }>(
          'SELECT DISTINCT start FROM packed WHERE kind = ? ORDER BY start DESC LIMIT ?',
          kind,
          count,
        )
      : []
    const [oldest] = [...starts].map(({ start }) => start).slice(-1)
    return oldest === undefined ? [] : this.range(kind, oldest, Number.MAX_SAFE_INTEGER)
  }

  /** Puts a record in the place of what is there. */
  save<K extends Kind>(kind: K, start: number, { head, entries }: Records[K]): void {
    this.create()
    const pages = paginate(entries)
    for (const [page, texts] of pages.entries()) {
      const body = `{"head":${JSON.stringify(page === 0 ? head : null)},"entries":[${texts.join(',')}]}`
      this.sql.exec(
        'INSERT INTO packed VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body',
        kind,
        start,
        page,
        body,
      )
    }
    this.sql.exec('DELETE FROM packed WHERE kind = ? AND start = ? AND page >= ?', kind, start, pages.length)
  }

  /** Removes the records before an instant. */
  removeBefore(kind: Kind, instant: number): void {
    if (this.created) this.sql.exec('DELETE FROM packed WHERE kind = ? AND start < ?', kind, instant)
  }

  private create(): void {
    if (this.created) return
    this.sql.exec(`CREATE TABLE packed (kind TEXT NOT NULL, start INTEGER NOT NULL, page INTEGER NOT NULL,
      body TEXT NOT NULL, PRIMARY KEY (kind, start, page)) WITHOUT ROWID`)
    this.created = true
  }
}

/** Spreads the texts of entries over pages that fit a row; one page at least. */
function paginate(entries: readonly unknown[]): string[][] {
  let page: string[] = []
  let length = 0
  const pages = [page]
  for (const text of entries.map((entry) => JSON.stringify(entry))) {
    if (length + text.length > MAX_PAGE_LENGTH && page.length > 0) {
      page = []
      length = 0
      pages.push(page)
    }
    page.push(text)
    length += text.length
  }
  return pages
}

function unpack<K extends Kind>(rows: Iterable<Row>): Stored<K>[] {
  const records: Stored<K>[] = []
  let entries: unknown[] = []
  for (const { start, page, body } of rows) {
    const read = JSON.parse(body)
    if (page === 0) {
      entries = read.entries
      records.push(Object.assign(read, { start }))
    } else entries.push(...read.entries)
  }
  return records
}
