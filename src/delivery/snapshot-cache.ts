// The snapshot that an isolate answers from. It lives as long as the isolate does; everything of a request's own
// (streams, promises, timers) stays out of it, because a request that is cut off would hang all others with it.
import type { Bindings } from '../bindings.ts'
import {
  type EnvironmentSnapshot,
  openEnvironment,
  patchEnvironment,
} from '../catalog/environment-snapshot.ts'
import type { Newer } from '../catalog/hub-protocol.ts'
import { err, ok, type Result } from '../engine/result.ts'
import type { Snapshot } from '../engine/snapshot.ts'
import { ServedTally } from './served-tally.ts'
import {
  askHub,
  LANE_TIMEOUT_MS,
  readFromHub,
  readFromKv,
  readLatest,
  readVersion,
} from './snapshot-lanes.ts'

/** Older than this since it was last confirmed, a snapshot is refreshed before it answers. */
export const MAX_UNCONFIRMED_MS = 60_000
/** The longest that an answer waits for a refresh. */
export const MAX_WAIT_MS = 300
/** How long asking one lane keeps others from starting a refresh; soon over if the request that asked is cut off. */
const LEASE_MS = LANE_TIMEOUT_MS + 500
const RETRY_MS = 5_000
/** How often unknown keys may make an isolate ask for news. */
const RECHECK_MS = 1_000
/** How long it is remembered that an environment does not exist, or could not be loaded. */
const ABSENT_MS: { readonly [absence in Absence]: number } = { missing: 10_000, unavailable: 1_000 }
const MAX_ABSENT = 1_000
const POLL_MS = 10
const HUB_DOWN_CHECK_MS = 10_000

/** Keeps work going after the answer. */
export type WaitUntil = (work: Promise<unknown>) => void

/** What an evaluation may answer from. */
export type View = {
  readonly environment: EnvironmentSnapshot
  /** Whether the answer may be more than a minute old because nothing newer could be had. */
  readonly stale: boolean
}

/** Why there is no snapshot to answer from. */
export type Absence = 'missing' | 'unavailable'

type Cached = {
  environment: EnvironmentSnapshot
  /** When hub or KV last said that there is nothing newer. */
  confirmedAt: number
  /** When the hub, which unlike KV is never behind, was asked for what it last answered; 0 when it never was. */
  askedHubAt: number
  nextCheckMs: number
  /** Until when a refresh is taken to be under way; a time and not a flag, so that one cut off lets go. */
  leaseUntil: number
  /** Not before this is a refresh tried again after one that failed. */
  retryAt: number
  /** What was answered, until the hub has counted it. */
  readonly served: ServedTally
}

/** Keeps one snapshot for each environment that is asked for, and keeps it fresh. */
export class SnapshotCache {
  private readonly cached = new Map<string, Cached>()
  private readonly absent = new Map<string, { readonly absence: Absence; readonly until: number }>()
  private readonly loadingUntil = new Map<string, number>()
  private readonly now: () => number
  /** Made when it is first sent: an isolate has no randomness before its first request. */
  private isolateId: string | undefined

  /** @param now milliseconds since 1970 */
  constructor(now: () => number) {
    this.now = now
  }

  /** The snapshot when it may answer as it is, without waiting for anything; undefined when `acquire` must. */
  view(environment: string): View | undefined {
    const cached = this.cached.get(environment)
    if (!cached || this.isExpired(cached)) return undefined
    return { environment: cached.environment, stale: false }
  }

  /** Gets a snapshot that is missing or older than a minute: loads it, or waits a moment for news of it. */
  async acquire(
    bindings: Bindings,
    environment: string,
    waitUntil: WaitUntil,
  ): Promise<Result<View, Absence>> {
    if (!this.cached.has(environment)) {
      const absence = await this.acquireCold(bindings, environment, waitUntil)
      if (absence) return err(absence)
    }
    const cached = this.cached.get(environment)
    if (!cached) return err('unavailable')
    if (this.isExpired(cached) && this.now() >= cached.retryAt) {
      const refreshed = this.isLeased(cached) ? this.untilLeaseEnds(cached) : this.refresh(bindings, cached)
      waitUntil(refreshed)
      await Promise.race([refreshed, scheduler.wait(MAX_WAIT_MS)])
    }
    if (this.isGone(cached)) return err('missing')
    return ok({ environment: cached.environment, stale: this.isExpired(cached) })
  }

  /**
   * Gets a snapshot that is at least at a version, as a client that has heard of that version must be answered.
   * @returns the snapshot, whatever its version, if the hub was just asked; 'unavailable' if it could not be
   */
  async acquireAtLeast(
    bindings: Bindings,
    environment: string,
    hint: { readonly version: number; readonly changedAt: number },
    waitUntil: WaitUntil,
  ): Promise<Result<View, Absence>> {
    const acquired = await this.acquire(bindings, environment, waitUntil)
    const cached = this.cached.get(environment)
    if (!acquired.ok || !cached) return acquired
    const isFresh = () =>
      cached.environment.flags.version >= hint.version && cached.askedHubAt >= hint.changedAt
    if (isFresh()) return acquired
    const asked = this.askHub(bindings, cached)
    waitUntil(asked)
    const answered = await asked
    if (this.isGone(cached)) return err('missing')
    return answered || isFresh() ? ok({ environment: cached.environment, stale: false }) : err('unavailable')
  }

  /** Asks for news because a key is not known, which a key made a moment ago is not either. */
  async recheck(bindings: Bindings, environment: string, waitUntil: WaitUntil): Promise<View | undefined> {
    const cached = this.cached.get(environment)
    const now = this.now()
    if (!cached || now - cached.confirmedAt < RECHECK_MS || now < cached.retryAt || this.isLeased(cached)) {
      return undefined
    }
    const refreshed = this.refresh(bindings, cached)
    waitUntil(refreshed)
    await Promise.race([refreshed, scheduler.wait(LANE_TIMEOUT_MS)])
    if (this.isGone(cached)) return undefined
    return { environment: cached.environment, stale: this.isExpired(cached) }
  }

  /**
   * After an answer: counts it, and asks for news when it is time. To be called before anything else is waited for:
   * it is counted for the version that the flags are at.
   */
  settle(bindings: Bindings, flags: Snapshot, evaluations: number, waitUntil: WaitUntil): void {
    const cached = this.cached.get(flags.environment)
    if (!cached) return
    const now = this.now()
    cached.served.add(flags.version, evaluations, now)
    this.refreshWhenOlder(bindings, cached, cached.nextCheckMs, now, waitUntil)
  }

  /** Asks for news of a snapshot that was confirmed longer ago than `milliseconds`, unless that is under way. */
  freshen(bindings: Bindings, environment: string, milliseconds: number, waitUntil: WaitUntil): void {
    const cached = this.cached.get(environment)
    if (cached) this.refreshWhenOlder(bindings, cached, milliseconds, this.now(), waitUntil)
  }

  /** Forgets everything, as a new isolate has. */
  clear(): void {
    this.cached.clear()
    this.absent.clear()
    this.loadingUntil.clear()
    this.isolateId = undefined
  }

  /** Whether the hub said meanwhile that the environment was deleted. */
  private isGone(cached: Cached): boolean {
    return this.cached.get(cached.environment.flags.environment) !== cached
  }

  private isExpired(cached: Cached): boolean {
    return this.now() - cached.confirmedAt > Math.max(MAX_UNCONFIRMED_MS, cached.nextCheckMs)
  }

  private isLeased(cached: Cached): boolean {
    return cached.leaseUntil > this.now()
  }

  private refreshWhenOlder(
    bindings: Bindings,
    cached: Cached,
    milliseconds: number,
    now: number,
    waitUntil: WaitUntil,
  ): void {
    if (now - cached.confirmedAt <= milliseconds || now < cached.retryAt || this.isLeased(cached)) return
    cached.leaseUntil = now + LEASE_MS
    // Not even begun before the answer is on its way.
    waitUntil(scheduler.wait(0).then(() => this.refresh(bindings, cached)))
  }

  private async untilLeaseEnds(cached: Cached): Promise<void> {
    const deadline = this.now() + MAX_WAIT_MS
    while (this.isLeased(cached) && this.isExpired(cached) && this.now() < deadline)
      await scheduler.wait(POLL_MS)
  }

  /** Asks the hub, and KV when the hub does not answer. Never throws. */
  private async refresh(bindings: Bindings, cached: Cached): Promise<void> {
    cached.leaseUntil = this.now() + LEASE_MS
    let confirmed = await this.askHub(bindings, cached)
    if (!confirmed) {
      cached.leaseUntil = this.now() + LEASE_MS
      confirmed = await this.askKv(bindings, cached)
    }
    cached.retryAt = confirmed ? 0 : this.now() + RETRY_MS
    cached.leaseUntil = 0
  }

  private async askHub(bindings: Bindings, cached: Cached): Promise<boolean> {
    const { environment, version } = cached.environment.flags
    const askedAt = this.now()
    this.isolateId ??= crypto.randomUUID().slice(-12)
    const report = cached.served.report(askedAt)
    try {
      const newer = await askHub(bindings, environment, {
        version,
        report: { isolate: this.isolateId, ...report },
      })
      cached.served.confirm(report)
      if (newer.gone) {
        this.drop(cached)
        return true
      }
      if (!(await this.take(bindings, cached, newer))) return false
      this.confirm(cached, newer.nextCheckMs)
      cached.askedHubAt = Math.max(cached.askedHubAt, askedAt)
      return true
    } catch (error) {
      console.warn('hub not reached', { environment, error: String(error) })
      return false
    }
  }

  /** Forgets an environment that the hub says was deleted. */
  private drop(cached: Cached): void {
    const { environment } = cached.environment.flags
    if (this.isGone(cached)) return
    this.cached.delete(environment)
    this.remember(environment, 'missing')
  }

  private async take(bindings: Bindings, cached: Cached, newer: Newer): Promise<boolean> {
    if (newer.delta === null || newer.version <= cached.environment.flags.version) return true
    if (newer.delta !== 'whole') {
      const patched = patchEnvironment(cached.environment, newer.delta)
      if (patched.ok) {
        cached.environment = patched.value
        return true
      }
      console.error('delta not taken', {
        environment: cached.environment.flags.environment,
        reason: patched.error,
      })
    }
    const { environment } = cached.environment.flags
    const text = await readVersion(bindings, environment, newer.version)
    return text !== null && this.replace(cached, text)
  }

  private async askKv(bindings: Bindings, cached: Cached): Promise<boolean> {
    const { environment, version } = cached.environment.flags
    try {
      const latest = await readLatest(bindings, environment)
      if (!latest || (latest.version !== version && !this.replace(cached, latest.text))) return false
      this.confirm(cached, HUB_DOWN_CHECK_MS)
      return true
    } catch (error) {
      console.warn('KV not reached', { environment, error: String(error) })
      return false
    }
  }

  /** Takes a whole snapshot over what is there; not one that is older or cannot be read. */
  private replace(cached: Cached, text: string): boolean {
    const { environment, version } = cached.environment.flags
    const opened = openEnvironment(environment, text)
    if (!opened.ok) {
      console.error('snapshot not taken', { environment, reason: opened.error })
      return false
    }
    if (opened.value.flags.version > version) cached.environment = opened.value
    return opened.value.flags.version >= version
  }

  private confirm(cached: Cached, nextCheckMs: number): void {
    cached.confirmedAt = this.now()
    cached.nextCheckMs = nextCheckMs
    cached.retryAt = 0
  }

  private async acquireCold(
    bindings: Bindings,
    environment: string,
    waitUntil: WaitUntil,
  ): Promise<Absence | undefined> {
    // Others are loading it: wait for what they get, no longer than their lease.
    while ((this.loadingUntil.get(environment) ?? 0) > this.now() && !this.cached.has(environment)) {
      await scheduler.wait(POLL_MS)
    }
    if (this.cached.has(environment)) return undefined
    const known = this.absent.get(environment)
    if (known && known.until > this.now()) return known.absence
    const loading = this.load(bindings, environment).finally(() => this.loadingUntil.delete(environment))
    waitUntil(loading)
    return loading
  }

  /** Loads the snapshot for the first time: from KV, else from the hub. Never throws. */
  private async load(bindings: Bindings, environment: string): Promise<Absence | undefined> {
    this.loadingUntil.set(environment, this.now() + LEASE_MS)
    const fromKv = await this.read(environment, 'KV', () => readFromKv(bindings, environment))
    if (!fromKv.ok) this.loadingUntil.set(environment, this.now() + LEASE_MS)
    const opened = fromKv.ok
      ? fromKv
      : await this.read(environment, 'hub', () => readFromHub(bindings, environment))
    if (!opened.ok) {
      this.remember(environment, opened.error)
      return opened.error
    }
    // A request whose load was thought to be cut off comes after one that has loaded meanwhile.
    if (this.cached.has(environment)) return undefined
    this.cached.set(environment, {
      environment: opened.value,
      // What KV holds may be older than a minute, so the hub is asked before the first answer.
      confirmedAt: fromKv.ok ? Number.NEGATIVE_INFINITY : this.now(),
      askedHubAt: 0,
      nextCheckMs: opened.value.settings.refreshSeconds * 1_000,
      leaseUntil: 0,
      retryAt: 0,
      served: new ServedTally(),
    })
    return undefined
  }

  private async read(
    environment: string,
    lane: string,
    get: () => Promise<string | null>,
  ): Promise<Result<EnvironmentSnapshot, Absence>> {
    try {
      const text = await get()
      if (text === null) return err('missing')
      const opened = openEnvironment(environment, text)
      if (opened.ok) return opened
      console.error('snapshot not taken', { environment, lane, reason: opened.error })
    } catch (error) {
      console.warn('snapshot not loaded', { environment, lane, error: String(error) })
    }
    return err('unavailable')
  }

  /** Keeps for a moment what could not be had, so that asking for it again stays cheap. */
  private remember(environment: string, absence: Absence): void {
    if (this.absent.size >= MAX_ABSENT) this.absent.clear()
    this.absent.set(environment, { absence, until: this.now() + ABSENT_MS[absence] })
  }
}

/** The isolate's own: module scope outlives requests. */
export const snapshotCache = new SnapshotCache(() => Date.now())
