import { DurableObject } from 'cloudflare:workers'
import type { Bindings } from '../bindings.ts'
import { isJsonObject } from '../engine/json.ts'
import { writeSnapshotText } from '../engine/snapshot-text.ts'
import { nextCheckInterval } from './check-interval.ts'
import type { Hub, Newer, NewerRequest, Publication } from './hub-protocol.ts'
import { latestKey, versionKey } from './hub-protocol.ts'
import { readNews } from './hub-source.ts'
import { HubStore } from './hub-store.ts'
import { type Propagation, PropagationMeter } from './propagation.ts'

const PUT_INTERVAL_MS = 1_000
const RETRY_MS = 2_000
const MAX_RETRY_MS = 60_000
/** The longest that an isolate waits for its version to be put; then it gets the snapshot from the hub itself. */
const PUT_VERSION_TIMEOUT_MS = 1_000
const VERSION_KEY_TTL_SECONDS = 86_400
/** How often at most reports are written down: every row written costs. */
const KEEP_INTERVAL_MS = 5_000

/** What the database says of the environment: nothing is ever taken away because of 'unknown'. */
type Existence = 'exists' | 'deleted' | 'unknown'

/**
 * Publishes one environment: reads what has changed from the database, serves it to isolates and puts it in KV.
 * The database is the truth; a hub that has lost everything reads it again.
 */
export class EnvironmentHub extends DurableObject<Bindings> implements Hub {
  private readonly store: HubStore
  private readonly environment: string
  private meter: PropagationMeter
  private keptAt = 0
  private isKeeping = false
  /** How many times the environment was found to be deleted: what began before must not bring it back. */
  private deletions = 0
  /** Whether the newest snapshot is being put in KV, or taken out of it. */
  private putting = false
  private failedPuts = 0
  private versionPut: { readonly version: number; readonly done: Promise<void> } | null = null
  private written: { readonly version: number; readonly text: string } | null = null
  private calls = 0
  private callsPerSecond = 0
  private windowStart = 0
  private checkMs = 0

  constructor(state: DurableObjectState, bindings: Bindings) {
    super(state, bindings)
    this.store = new HubStore(state.storage)
    this.meter = new PropagationMeter(this.store.propagationText(), Date.now())
    this.environment = state.id.name ?? ''
  }

  async publish(): Promise<Publication> {
    if ((await this.advance()) === 'deleted') return { version: 0, published: await this.withdraw() }
    const version = this.store.mark('version')
    return { version, published: version > 0 && (await this.putLatest(version)) }
  }

  async newer({ version, report }: NewerRequest): Promise<Newer> {
    this.count(version, report)
    const isBehind = version > this.store.mark('version') || this.store.mark('version') === 0
    const gone = isBehind && (await this.advance(version)) === 'deleted'
    const own = this.store.mark('version')
    const nextCheckMs = this.nextCheck(Date.now())
    if (gone) return { version: 0, nextCheckMs, delta: null, gone }
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

  async propagation(): Promise<Propagation | null> {
    return this.meter.read(Date.now())
  }

  /** Puts what rode along with an earlier put, or tries again what failed. */
  override async alarm(): Promise<void> {
    await this.putLatest(this.store.mark('version'))
  }

  /**
   * Reads the history since the hub's own version; calls may overlap, rows only ever replace older ones. An entity
   * whose new row is bad keeps its last good one, so that it cannot hold up a change of any other.
   *
   * An environment without a row was deleted if the history knows the version that is held of it, here or by an
   * isolate. If it does not, this is not the database that the environment came from, and what is held stays.
   */
  private async advance(held = 0): Promise<Existence> {
    const own = this.store.mark('version')
    const { deletions } = this
    const database = this.env.DB.withSession('first-primary')
    const { version, lastVersion, committedAt, rows } = await readNews(database, this.environment, own)
    if (version === null) {
      if (own !== this.store.mark('version')) return this.advance(held)
      if (lastVersion !== null && lastVersion >= Math.max(own, held)) {
        this.forget()
        return 'deleted'
      }
      if (own > 0) console.error('environment not in the database', { environment: this.environment, own })
      return 'unknown'
    }
    if (version <= own) return 'exists'
    if (deletions !== this.deletions) return this.advance(held)
    const now = Date.now()
    const isNewer = this.ctx.storage.transactionSync(() => {
      this.store.save(rows)
      if (version <= this.store.mark('version')) return false
      this.store.setMark('version', version)
      this.store.setMark('changed_at', now)
      return true
    })
    if (isNewer) {
      this.written = null
      this.meter.change(version, version === lastVersion ? committedAt : null, now)
      this.keepPropagation(now)
    }
    return 'exists'
  }

  /** Lets go of an environment that was deleted. */
  private forget(): void {
    this.deletions++
    this.store.clear()
    this.meter = new PropagationMeter(null, Date.now())
    this.written = null
  }

  /** Counts what an isolate reports; what came of it is kept at once, or as soon as it may be again. */
  private count(version: number, report: unknown): void {
    const now = Date.now()
    if (!this.meter.report(version, report, now) || !this.meter.isFollowing(now) || this.isKeeping) return
    const due = this.keptAt + KEEP_INTERVAL_MS
    if (due <= now) {
      this.keepPropagation(now)
      return
    }
    this.isKeeping = true
    // Keeps the hub awake for as long, which is short: without it, what comes last before a quiet time would be lost.
    setTimeout(() => {
      this.isKeeping = false
      if (this.store.mark('version') > 0) this.keepPropagation(Date.now())
    }, due - now)
  }

  private keepPropagation(now: number): void {
    this.keptAt = now
    this.store.keepPropagation(this.meter.toText())
  }

  private snapshotText(version: number): string {
    // Written once for all who ask at the same time: it may be large.
    if (this.written?.version !== version) {
      const sections = this.store.sections()
      this.written = {
        version,
        text: writeSnapshotText({ environment: this.environment, version, sections }),
      }
    }
    return this.written.text
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
    const { deletions } = this
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
    if (deletions !== this.deletions) return this.withdraw()
    this.failedPuts = 0
    this.store.setMark('put_version', version)
    this.meter.published(version, Date.now())
    this.keepPropagation(Date.now())
    await this.settle(version)
    return true
  }

  /**
   * Takes the snapshot of an environment that was deleted out of KV. Where that fails, or a put is under way, the
   * outbox keeps it due.
   */
  private async withdraw(): Promise<boolean> {
    if (this.putting) return false
    this.putting = true
    try {
      await this.env.SNAPSHOTS.delete(latestKey(this.environment))
    } catch (error) {
      console.error('snapshot not withdrawn', { environment: this.environment, error: String(error) })
      return false
    } finally {
      this.putting = false
    }
    await this.settle()
    return true
  }

  /**
   * Strikes out what the outbox says is due: up to a version, or, without one, for an environment that was deleted
   * and not made again. What stays is only published once more by the tick.
   */
  private async settle(version?: number): Promise<void> {
    const due = "DELETE FROM outbox WHERE kind = 'publish' AND environment = ?1"
    const statement =
      version === undefined
        ? this.env.DB.prepare(`${due} AND NOT EXISTS (SELECT 1 FROM environments WHERE key = ?1)`).bind(
            this.environment,
          )
        : this.env.DB.prepare(`${due} AND version <= ?2`).bind(this.environment, version)
    try {
      await statement.run()
    } catch (error) {
      console.warn('outbox not settled', { environment: this.environment, version, error: String(error) })
    }
  }

  /**
   * Puts the snapshot under its version's own key for isolates that are too far behind for a delta: once for all
   * that ask at the same time.
   */
  private putVersion(version: number): Promise<void> {
    if (this.store.mark('whole_version') >= version) return Promise.resolve()
    if (this.versionPut?.version !== version) {
      const done = this.putVersionOnce(version).finally(() => {
        if (this.versionPut?.version === version) this.versionPut = null
      })
      this.versionPut = { version, done }
    }
    return this.versionPut.done
  }

  private async putVersionOnce(version: number): Promise<void> {
    const key = versionKey(this.environment, version)
    const { deletions } = this
    try {
      await this.env.SNAPSHOTS.put(key, this.snapshotText(version), {
        expirationTtl: VERSION_KEY_TTL_SECONDS,
      })
      if (deletions === this.deletions) this.store.setMark('whole_version', version)
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
