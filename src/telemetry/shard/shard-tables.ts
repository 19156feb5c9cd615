// A shard's database: its tables, and what writing to it has cost.

const TABLES = [
  // Commits that are not folded in yet, and old ones whose places will be used again.
  'CREATE TABLE IF NOT EXISTS records (slot INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, body BLOB NOT NULL)',
  // Ids of the batches that were folded in, for each fold: 16 bytes for each, and when the newest was made.
  'CREATE TABLE IF NOT EXISTS batches (slot INTEGER PRIMARY KEY, newest INTEGER NOT NULL, body BLOB NOT NULL)',
  // Units, by the first `depth` bits of their ids' hashes.
  `CREATE TABLE IF NOT EXISTS pages (page INTEGER PRIMARY KEY, depth INTEGER NOT NULL, prefix INTEGER NOT NULL,
    units INTEGER NOT NULL, oldest INTEGER NOT NULL, body TEXT NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS packed (kind TEXT NOT NULL, start INTEGER NOT NULL, page INTEGER NOT NULL,
    body TEXT NOT NULL, PRIMARY KEY (kind, start, page)) WITHOUT ROWID`,
]

type Row = { readonly [column: string]: SqlStorageValue }

/** Reads and writes the tables of one shard, and counts the rows written. */
export class ShardTables {
  /** Rows that were written, deleted ones included. */
  rowsWritten = 0
  private readonly sql: SqlStorage
  private areMade: boolean

  constructor(sql: SqlStorage) {
    this.sql = sql
    // They are made with the first row, so that asking for environments that do not exist leaves nothing behind.
    this.areMade = sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'records'").toArray().length > 0
  }

  /** What the database weighs, in bytes. */
  get databaseBytes(): number {
    return this.areMade ? this.sql.databaseSize : 0
  }

  read<T extends Row>(query: string, ...values: readonly SqlStorageValue[]): T[] {
    return this.areMade ? this.sql.exec<T>(query, ...values).toArray() : []
  }

  write(query: string, ...values: readonly SqlStorageValue[]): void {
    if (!this.areMade) {
      for (const table of TABLES) this.exec(table, [])
      this.areMade = true
    }
    this.exec(query, values)
  }

  private exec(query: string, values: readonly SqlStorageValue[]): void {
    const cursor = this.sql.exec(query, ...values)
    cursor.toArray()
    this.rowsWritten += cursor.rowsWritten
  }
}
