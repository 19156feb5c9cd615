import { DurableObject } from 'cloudflare:workers'
import type { Bindings } from '../bindings.ts'
import { isJsonObject } from '../engine/json.ts'
import { parseFlag, parseSegment } from '../engine/parse-flag.ts'
import { writeSnapshotText } from '../engine/snapshot-text.ts'
import { nextCheckInterval } from './check-interval.ts'
import type { Hub, Newer, NewerRequest, Propagation, Publication } from './hub-protocol.ts'
import { latestKey, versionKey } from './hub-protocol.ts'
import { type EntityRow, HubStore, isEntityKind } from './hub-store.ts'

const PUT_INTERVAL_MS = 1_000
const RETRY_MS = 2_000
const MAX_RETRY_MS = 60_000
/** The longest that an isolate waits for its version to be put; then it gets the snapshot from the hub itself. */
const PUT_VERSION_TIMEOUT_MS = 1_000
const VERSION_KEY_TTL_SECONDS = 86_400
const HISTORY_PAGE_ROWS = 500

type HistoryRow = { version: number; kind: string; key: string; body: string | null }

/** Tells whether a row may reach the edge; one that cannot be read there stays behind, and the log says why. */
function isGood({ kind, key, text, version }: EntityRow): boolean {
  if (text === null || (kind !== 'flags' && kind !== 'segments')) return true
  const value = parseText(text)
  const parsed = kind === 'flags' ? parseFlag(key, value, null) : parseSegment(key, value)
  if (!parsed.ok) console.error('entity not published', { kind, key, version, problems: parsed.error })
  return parsed.ok
}

function parseText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * Publishes one environment: reads what has changed from the database, serves it to isolates and puts it in KV.
 * The database is the truth; a hub that has lost everything reads it again.
 */
export class EnvironmentHub extends DurableObject<Bindings> implements Hub {
  private readonly store: HubStore
  private readonly environment: string
  private putting = false
  private failedPuts = 0
  private calls = 0
  private callsPerSecond = 0
  private windowStart = 0
  private checkMs = 0
  private readonly served = new Map<number, number>()

  constructor(state: DurableObjectState, bindings: Bindings) {
    super(state, bindings)
    this.store = new HubStore(state.storage)
    this.environment = state.id.name ?? ''
  }

  async publish(): Promise<Publication> {
    await this.advance()
    const version = this.store.mark('version')
    return { version, published: version > 0 && (await this.putLatest(version)) }
  }

  async newer({ version, served }: NewerRequest): Promise<Newer> {
    if (served > 0) this.served.set(version, (this.served.get(version) ?? 0) + served)
    if (version > this.store.mark('version') || this.store.mark('version') === 0) await this.advance()
    const own = this.store.mark('version')
    const nextCheckMs = this.nextCheck(Date.now())
    if (version >= own) return { version: own, nextCheckMs, delta: null }
    const delta = version === 0 ? 'whole' : this.store.deltaSince(version, own)
    if (delta === 'whole') await Promise.race([this.putVersion(own), scheduler.wait(PUT_VERSION_TIMEOUT_MS)])
    return { version: own, nextCheckMs, delta }
  }

  async whole(): Promise<string | null> {
    if (this.store.mark('version') === 0) await this.advance()
    const version = this.store.mark('version')
    return version === 0 ? null : this.snapshotText(version)
  }

  async propagation(): Promise<Propagation> {
    const served = [...this.served].map(([version, evaluations]) => ({ version, evaluations }))
    return { version: this.store.mark('version'), changedAt: this.store.mark('changed_at'), served }
  }

  /** Puts what rode along with an earlier put, or tries again what failed. */
  override async alarm(): Promise<void> {
    await this.putLatest(this.store.mark('version'))
  }

  /**
   * Reads the history since the hub's own version; calls may overlap, rows only ever replace older ones. An entity
   * whose new row is bad keeps its last good one, so that it cannot hold up a change of any other.
   */
  private async advance(): Promise<void> {
    const own = this.store.mark('version')
    const database = this.env.DB.withSession('first-primary')
    const environment = await database
      .prepare('SELECT version FROM environments WHERE key = ?')
      .bind(this.environment)
      .first<{ version: number }>()
    if (!environment || environment.version <= own) return
    const rows = (await this.readHistory(database, own, environment.version)).filter(isGood)
    this.ctx.storage.transactionSync(() => {
      this.store.save(rows)
      if (environment.version > this.store.mark('version')) {
        this.store.setMark('version', environment.version)
        this.store.setMark('changed_at', Date.now())
        this.served.clear()
      }
    })
  }

  /** The newest row of each entity in (from, to]. */
  private async readHistory(
    database: D1DatabaseSession,
    from: number,
    to: number,
  ): Promise<readonly EntityRow[]> {
    const newest = new Map<string, EntityRow>()
    for (let offset = 0; ; offset += HISTORY_PAGE_ROWS) {
      const { results } = await database
        .prepare(
          `SELECT kind, key, max(version) AS version, body FROM history
            WHERE environment = ? AND version > ? AND version <= ?
            GROUP BY kind, key ORDER BY kind, key LIMIT ? OFFSET ?`,
        )
        .bind(this.environment, from, to, HISTORY_PAGE_ROWS, offset)
        .all<HistoryRow>()
      for (const { kind, key, version, body } of results) {
        if (isEntityKind(kind)) newest.set(`${kind} ${key}`, { kind, key, version, text: body })
      }
      if (results.length < HISTORY_PAGE_ROWS) return [...newest.values()]
    }
  }

  private snapshotText(version: number): string {
    return writeSnapshotText({ environment: this.environment, version, sections: this.store.sections() })
  }

  /**
   * Puts the snapshot in KV unless it is there: at once, or by an alarm when the last put is less than a second
   * old. Only one put is under way at a time, so that none overtakes another.
   */
  private async putLatest(version: number): Promise<boolean> {
    if (this.store.mark('put_version') >= version) {
      await this.settle(version)
      return true
    }
    const now = Date.now()
    const due = this.store.mark('put_at') + PUT_INTERVAL_MS
    if (this.putting || due > now) {
      await this.ctx.storage.setAlarm(Math.max(due, now + (this.putting ? PUT_INTERVAL_MS : 0)))
      return true
    }
    this.putting = true
    this.store.setMark('put_at', now)
    try {
      await this.env.SNAPSHOTS.put(latestKey(this.environment), this.snapshotText(version), {
        metadata: { version },
      })
    } catch (error) {
      console.error('snapshot not put', { environment: this.environment, version, error: String(error) })
      const delay = Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** this.failedPuts++)
      await this.ctx.storage.setAlarm(Date.now() + delay)
      return false
    } finally {
      this.putting = false
    }
    this.failedPuts = 0
    this.store.setMark('put_version', version)
    await this.settle(version)
    return true
  }

  /** Strikes out what the outbox says is due; what stays is only published once more by the tick. */
  private async settle(version: number): Promise<void> {
    try {
      await this.env.DB.prepare(
        "DELETE FROM outbox WHERE kind = 'publish' AND environment = ? AND version <= ?",
      )
        .bind(this.environment, version)
        .run()
    } catch (error) {
      console.warn('outbox not settled', { environment: this.environment, version, error: String(error) })
    }
  }

  /** Puts the snapshot under its version's own key for isolates that are too far behind for a delta. */
  private async putVersion(version: number): Promise<void> {
    if (this.store.mark('whole_version') >= version) return
    const key = versionKey(this.environment, version)
    try {
      await this.env.SNAPSHOTS.put(key, this.snapshotText(version), {
        expirationTtl: VERSION_KEY_TTL_SECONDS,
      })
      this.store.setMark('whole_version', version)
    } catch (error) {
      // Isolates that do not find it ask the hub itself.
      console.warn('snapshot of a version not put', { key, error: String(error) })
    }
  }

  private nextCheck(now: number): number {
    this.calls++
    if (now - this.windowStart >= 1_000) {
      this.callsPerSecond = (this.calls * 1_000) / Math.max(1_000, now - this.windowStart)
      this.calls = 0
      this.windowStart = now
    }
    const settings: unknown = JSON.parse(this.store.settingsText() ?? '{}')
    const refreshSeconds = isJsonObject(settings) ? Number(settings.refreshSeconds ?? 30) : 30
    this.checkMs = nextCheckInterval({
      refreshSeconds,
      sinceChangeMs: now - this.store.mark('changed_at'),
      watched: this.store.isWatched(),
      callsPerSecond: this.callsPerSecond,
      currentMs: this.checkMs,
    })
    return this.checkMs
  }
}
