// The ids of batches on disk: those of each fold in one row, which is used again when all of them have expired.
import { type BatchMemory, instantOf } from './batch-memory.ts'
import type { ShardTables } from './shard-tables.ts'

const ID_BYTES = 16
/** A row ends at 2 MB. */
const MAX_ROW_IDS = 100_000

/** Fills a memory from disk, and writes what is added to it. */
export class BatchRows {
  private readonly tables: ShardTables
  private readonly memory: BatchMemory
  /** When the newest id of each row was made, by its slot. */
  private readonly newest: number[] = []
  private unsaved: Uint8Array[] = []

  /** @param since ids that were made before are not remembered */
  constructor(tables: ShardTables, memory: BatchMemory, since: number) {
    this.tables = tables
    this.memory = memory
    memory.forgetBefore(since)
    const rows = tables.read<{ slot: number; newest: number }>(
      'SELECT slot, newest FROM batches ORDER BY slot',
    )
    for (const { slot, newest } of rows) {
      this.newest[slot] = newest
      if (newest >= since) this.load(slot)
    }
  }

  /** Remembers an id that is new. */
  add(id: Uint8Array): void {
    this.memory.add(id)
    this.unsaved.push(id)
  }

  /** Writes the ids that were added since. */
  save(): void {
    for (let from = 0; from < this.unsaved.length; from += MAX_ROW_IDS) {
      this.write(this.unsaved.slice(from, from + MAX_ROW_IDS))
    }
    this.unsaved = []
  }

  private write(ids: readonly Uint8Array[]): void {
    const body = new Uint8Array(ids.length * ID_BYTES)
    let newest = 0
    for (const [index, id] of ids.entries()) {
      body.set(id, index * ID_BYTES)
      newest = Math.max(newest, instantOf(id))
    }
    const free = this.newest.findIndex((instant) => instant < this.memory.since)
    const slot = free < 0 ? this.newest.length : free
    this.newest[slot] = newest
    this.tables.write('INSERT OR REPLACE INTO batches VALUES (?, ?, ?)', slot, newest, body.buffer)
  }

  private load(slot: number): void {
    const [row] = this.tables.read<{ body: ArrayBuffer }>('SELECT body FROM batches WHERE slot = ?', slot)
    const body = new Uint8Array(row?.body ?? new ArrayBuffer(0))
    for (let offset = 0; offset < body.length; offset += ID_BYTES) {
      const id = body.subarray(offset, offset + ID_BYTES)
      if (this.memory.standing(id) === 'new') this.memory.add(id)
    }
  }
}
