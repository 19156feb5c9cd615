// The commits that are not folded in yet, one row for each; rows of folded ones are used again, because deleting costs
// as much as writing.
import type { ShardTables } from './shard-tables.ts'

/** A row ends at 2 MB. */
const MAX_BODY_BYTES = 1_900_000

type Row = { readonly sequence: number; readonly body: ArrayBuffer }

/** Writes records down and reads them back, each under its own number. */
export class RecordLog {
  /** How many records are not folded in, and their bytes. */
  records = 0
  bytes = 0
  private readonly tables: ShardTables
  private nextSlot = 0

  constructor(tables: ShardTables) {
    this.tables = tables
  }

  /** The records after one, in order; those that follow are written after them. */
  *readAfter(sequence: number): Generator<{ readonly sequence: number; readonly body: Uint8Array }> {
    const rows = this.tables.read<Row>(
      'SELECT sequence, body FROM records WHERE sequence > ? ORDER BY sequence, slot',
      sequence,
    )
    this.nextSlot = rows.length
    for (let index = 0; index < rows.length; ) {
      const first = rows[index]
      const parts: Uint8Array[] = []
      while (rows[index]?.sequence === first?.sequence) {
        parts.push(new Uint8Array(rows[index]?.body ?? new ArrayBuffer(0)))
        index++
        if (index >= rows.length) break
      }
      const body = concatenate(parts)
      this.records++
      this.bytes += body.length
      yield { sequence: first?.sequence ?? 0, body }
    }
  }

  /** Writes a record: into one row, or several where it is large. */
  append(sequence: number, body: Uint8Array<ArrayBuffer>): void {
    for (let from = 0; from < body.length; from += MAX_BODY_BYTES) {
      const isWhole = body.length <= MAX_BODY_BYTES
      this.tables.write(
        'INSERT OR REPLACE INTO records VALUES (?, ?, ?)',
        this.nextSlot++,
        sequence,
        isWhole ? body.buffer : body.slice(from, from + MAX_BODY_BYTES).buffer,
      )
    }
    this.records++
    this.bytes += body.length
  }

  /** Uses the rows again: all records are folded in. */
  restart(): void {
    this.nextSlot = 0
    this.records = 0
    this.bytes = 0
  }

  /** Overwrites what folded records had in them; there are none but those. */
  scrub(): void {
    this.tables.write("UPDATE records SET body = x'' WHERE length(body) > 0")
  }
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts
  if (first && parts.length === 1) return first
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}
