// What a clock keeps on its own disk: where it stands and the evidence of all its rollouts, packed, in one row for each
// tick; checkpoints apart, because they change once an hour.
import type { HeldEvidence } from './clock-protocol.ts'

/** A row of a Durable Object ends at 2 MB. */
const CHUNK_CHARACTERS = 1_400_000

/** Where a clock stands. Instants are milliseconds since 1970. */
export type Standing = {
  /** When it last ticked: no later tick is dated before it. */
  readonly tickedAt: number
  /** How long that took, how many calls it made, how many rows it wrote, and for how many rollouts. */
  readonly tookMs: number
  readonly subrequests: number
  readonly rowsWritten: number
  readonly rollouts: number
  /** Whether it is to tick by itself. */
  readonly isGuarding: boolean
  /** Since when a shard could not be read; null: all can be. */
  readonly unreadSince: number | null
}

/** What was last written down of why a rollout is held, and when. */
export type Said = { readonly what: string; readonly at: number }

/** A checkpoint: the evidence before the first block of an epoch, or of an hour. */
export type Checkpoint = HeldEvidence & { readonly epoch: number; readonly hour: number }

/** What is kept of one rollout: its evidence, packed, once it has begun, and what was said of it. */
export type Kept = { readonly text: string | null; readonly said: Said | null }

type Rows<T> = ReadonlyMap<string, T>

type Kind = 'now' | 'checkpoints'

export const NEW_STANDING: Standing = {
  tickedAt: 0,
  tookMs: 0,
  subrequests: 0,
  rowsWritten: 0,
  rollouts: 0,
  isGuarding: false,
  unreadSince: null,
}

export class ClockStore {
  private readonly sql: SqlStorage
  private created = false

  constructor({ sql }: DurableObjectStorage) {
    this.sql = sql
    // The table is made with the first row, so that asking for environments that do not exist leaves nothing behind.
    this.created = sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'packed'").toArray().length > 0
  }

  standing(): Standing {
    const [text] = this.texts('now')
    return text === undefined ? NEW_STANDING : { ...NEW_STANDING, ...JSON.parse(text).standing }
  }

  /** What is kept of each rollout, by id. */
  kept(): Map<string, Kept> {
    return this.rows('now')
  }

  /** By the rollout's id. */
  checkpoints(): Map<string, Checkpoint> {
    return this.rows('checkpoints')
  }

  /** Returns how many rows it wrote. */
  save(standing: Standing, kept: Rows<Kept>): number {
    return this.write('now', standing, kept)
  }

  /** Returns how many rows it wrote. */
  saveCheckpoints(checkpoints: Rows<Checkpoint>): number {
    return this.write('checkpoints', null, checkpoints)
  }

  /** Knows of nothing any more. */
  forget(): void {
    this.created = false
  }

  private texts(kind: Kind): string[] {
    if (!this.created) return []
    const query = 'SELECT body FROM packed WHERE kind = ? ORDER BY chunk'
    return this.sql
      .exec<{ body: string }>(query, kind)
      .toArray()
      .map(({ body }) => body)
  }

  private rows<T>(kind: Kind): Map<string, T> {
    return new Map(this.texts(kind).flatMap((text): [string, T][] => JSON.parse(text).rows))
  }

  private write(kind: Kind, standing: Standing | null, rows: Rows<unknown>): number {
    let written = 0
    if (!this.created) {
      this.sql.exec(`CREATE TABLE packed (kind TEXT NOT NULL, chunk INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (kind, chunk)) WITHOUT ROWID`)
      this.created = true
    }
    const chunks = toChunks(rows)
    for (const [chunk, some] of chunks.entries()) {
      const body = `{"standing":${JSON.stringify(standing)},"rows":[${some}]}`
      written += this.sql.exec(
        'INSERT INTO packed VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body',
        kind,
        chunk,
        body,
      ).rowsWritten
    }
    const surplus = 'DELETE FROM packed WHERE kind = ? AND chunk >= ?'
    return written + this.sql.exec(surplus, kind, chunks.length).rowsWritten
  }
}

/** Rows in pieces that each fit into one; at least one piece. */
function toChunks(rows: Rows<unknown>): string[] {
  const chunks: string[] = []
  let current: string[] = []
  let length = 0
  for (const row of rows) {
    const text = JSON.stringify(row)
    if (length + text.length > CHUNK_CHARACTERS && current.length > 0) {
      chunks.push(current.join(','))
      current = []
      length = 0
    }
    current.push(text)
    length += text.length + 1
  }
  return [...chunks, current.join(',')]
}
