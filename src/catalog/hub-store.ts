// The hub's own rows: one for each entity, newest version only, a few numbers, and how the last changes have spread.
import type { Section, SnapshotText } from '../engine/snapshot-text.ts'
import { ENTITY_KINDS, type EntityKind, SETTINGS_KEY } from './entities.ts'
import type { Delta } from './environment-snapshot.ts'
import { MAX_DELTA_BYTES } from './limits.ts'

/** An entity's text at the version that brought it; null is a tombstone. */
export type EntityRow = {
  readonly kind: EntityKind
  readonly key: string
  readonly version: number
  readonly text: string | null
}

type Mark = 'version' | 'changed_at' | 'put_version' | 'put_at' | 'whole_version'

export class HubStore {
  private readonly sql: SqlStorage
  private created = false

  constructor(storage: DurableObjectStorage) {
    this.sql = storage.sql
    // Tables are made with the first row, so that asking for environments that do not exist leaves nothing behind.
    const tables = storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'marks'").toArray()
    if (tables.length > 0) this.create()
  }

  /** A number of the hub's; 0 when it was never set. */
  mark(name: Mark): number {
    if (!this.created) return 0
    const [row] = this.sql.exec<{ value: number }>('SELECT value FROM marks WHERE name = ?', name).toArray()
    return row?.value ?? 0
  }

  setMark(name: Mark, value: number): void {
    this.create()
    this.sql.exec(
      'INSERT INTO marks VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
      name,
      value,
    )
  }

  /** Takes rows over where they are newer than what is there. */
  save(rows: readonly EntityRow[]): void {
    this.create()
    for (const { kind, key, version, text } of rows) {
      this.sql.exec(
        `INSERT INTO entities VALUES (?, ?, ?, ?) ON CONFLICT (kind, key)
          DO UPDATE SET version = excluded.version, text = excluded.text WHERE excluded.version > version`,
        kind,
        key,
        version,
        text,
      )
    }
  }

  /** Everything, as the snapshot's text holds it. */
  sections(): SnapshotText['sections'] {
    const sections: { [kind in EntityKind]: Map<string, string> } = {
      flags: new Map(),
      segments: new Map(),
      rollouts: new Map(),
      keys: new Map(),
      settings: new Map(),
      metrics: new Map(),
      measurements: new Map(),
    }
    if (this.created) {
      const rows = this.sql.exec<{ kind: EntityKind; key: string; text: string }>(
        'SELECT kind, key, text FROM entities WHERE text IS NOT NULL',
      )
      for (const { kind, key, text } of rows) sections[kind]?.set(key, text)
    }
    return sections satisfies { readonly [kind: string]: Section }
  }

  /** What changed after `from` up to now; 'whole' when that is more than a delta may carry. */
  deltaSince(from: number, to: number): Delta | 'whole' {
    const [size] = this.sql
      .exec<{ bytes: number | null }>(
        'SELECT sum(octet_length(text)) AS bytes FROM entities WHERE version > ?',
        from,
      )
      .toArray()
    if ((size?.bytes ?? 0) > MAX_DELTA_BYTES) return 'whole'
    const changes = this.sql
      .exec<{ kind: EntityKind; key: string; text: string | null }>(
        'SELECT kind, key, text FROM entities WHERE version > ? ORDER BY version',
        from,
      )
      .toArray()
    return { from, to, changes }
  }

  text(kind: EntityKind, key: string): string | null {
    if (!this.created) return null
    const rows = this.sql
      .exec<{ text: string | null }>('SELECT text FROM entities WHERE kind = ? AND key = ?', kind, key)
      .toArray()
    return rows[0]?.text ?? null
  }

  /** Whether a rollout runs whose units are counted. */
  isWatched(): boolean {
    if (!this.created) return false
    const query = `SELECT 1 FROM entities WHERE kind = 'rollouts' AND text IS NOT NULL
      AND json_extract(text, '$.measured') LIMIT 1`
    return this.sql.exec(query).toArray().length > 0
  }

  /** What was last kept of how changes have spread; null when nothing was. */
  propagationText(): string | null {
    if (!this.created) return null
    const [row] = this.sql.exec<{ text: string }>('SELECT text FROM propagation').toArray()
    return row?.text ?? null
  }

  keepPropagation(text: string): void {
    this.create()
    this.sql.exec(
      'INSERT INTO propagation VALUES (1, ?) ON CONFLICT DO UPDATE SET text = excluded.text',
      text,
    )
  }

  /** Leaves nothing behind. */
  clear(): void {
    if (!this.created) return
    for (const table of ['marks', 'entities', 'propagation']) this.sql.exec(`DROP TABLE IF EXISTS ${table}`)
    this.created = false
  }

  settingsText(): string | null {
    return this.text('settings', SETTINGS_KEY)
  }

  private create(): void {
    if (this.created) return
    this.sql.exec(
      `CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID`,
    )
    this.sql.exec(`CREATE TABLE IF NOT EXISTS entities (kind TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL,
      text TEXT, PRIMARY KEY (kind, key)) WITHOUT ROWID`)
    this.sql.exec('CREATE INDEX IF NOT EXISTS entities_by_version ON entities (version)')
    this.sql.exec('CREATE TABLE IF NOT EXISTS propagation (id INTEGER PRIMARY KEY, text TEXT NOT NULL)')
    this.created = true
  }
}

/** Tells whether a text names a kind of entity. */
export function isEntityKind(kind: string): kind is EntityKind {
  return ENTITY_KINDS.some((known) => known === kind)
}
