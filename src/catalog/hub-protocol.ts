// What isolates and their environment's hub say to each other. The hub itself is hub.ts.
import type { Bindings } from '../bindings.ts'
import type { Delta } from './environment-snapshot.ts'
import type { Propagation } from './propagation.ts'
import type { ServedReport } from './served-report.ts'

export { MAX_REPORT_ENTRIES, type ReportEntry, type ServedReport } from './served-report.ts'

/** What an isolate tells when it asks for news. */
export type NewerRequest = {
  /** The version that it has; 0 when it has none. */
  readonly version: number
  /** What it has answered. */
  readonly report?: ServedReport
}

/** What the hub answers. */
export type Newer = {
  /** The version that the hub has; 0 when it has none. */
  readonly version: number
  /** How long the isolate may go before it asks again, in milliseconds. */
  readonly nextCheckMs: number
  /** What has changed; 'whole' when that is too much to send, null when nothing has. */
  readonly delta: Delta | 'whole' | null
  /** The environment was deleted, as the database itself says: what the isolate holds of it is to be dropped. */
  readonly gone?: true
}

/** What came of a publication. */
export type Publication = {
  /** 0 when there is no such environment (any more). */
  readonly version: number
  /**
   * Whether the hub serves the version, and KV has it or will have it within a second. Of an environment that was
   * deleted: whether KV has let go of it.
   */
  readonly published: boolean
}

/** The hub as others call it. */
export type Hub = {
  /** Brings the hub up to the newest version in the database, and KV up to the hub. */
  publish(): Promise<Publication>
  /** What an isolate does not have yet. */
  newer(request: NewerRequest): Promise<Newer>
  /** The whole snapshot's text; null when the environment does not exist. */
  whole(): Promise<string | null>
  /** How the newest change has spread, by what isolates have reported; null when the hub knows of none. */
  propagation(): Promise<Propagation | null>
}

/** The hub of one environment. */
export function hubOf(bindings: Bindings, environment: string): Hub {
  // The namespace is typed without its class, because bindings stand below the catalog.
  return bindings.HUB.getByName(environment) as unknown as Hub
}

/** The KV key of an environment's newest snapshot; its metadata carries the version. */
export function latestKey(environment: string): string {
  return `snapshot:${environment}`
}

/** The KV key of an environment's snapshot at one version: never changes, and expires after a day. */
export function versionKey(environment: string, version: number): string {
  return `snapshot:${environment}:${version}`
}
