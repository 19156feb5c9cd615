// What isolates and their environment's hub say to each other. The hub itself is hub.ts.
import type { Bindings } from '../bindings.ts'
import type { Delta } from './environment-snapshot.ts'

/** What an isolate tells when it asks for news. */
export type NewerRequest = {
  /** The version that it has; 0 when it has none. */
  readonly version: number
  /** Evaluations that it has served since it last asked, at that version. */
  readonly served: number
}

/** What the hub answers. */
export type Newer = {
  /** The version that the hub has; 0 when the environment does not exist. */
  readonly version: number
  /** How long the isolate may go before it asks again, in milliseconds. */
  readonly nextCheckMs: number
  /** What has changed; 'whole' when that is too much to send, null when nothing has. */
  readonly delta: Delta | 'whole' | null
}

/** What came of a publication. */
export type Publication = {
  readonly version: number
  /** Whether the hub serves the version, and KV has it or will have it within a second. */
  readonly published: boolean
}

/** Which versions the isolates have reported to have answered with since the last change. */
export type Propagation = {
  readonly version: number
  /** When the hub learned of the version, in milliseconds since 1970. */
  readonly changedAt: number
  readonly served: readonly { readonly version: number; readonly evaluations: number }[]
}

/** The hub as others call it. */
export type Hub = {
  /** Brings the hub up to the newest version in the database, and KV up to the hub. */
  publish(): Promise<Publication>
  /** What an isolate does not have yet. */
  newer(request: NewerRequest): Promise<Newer>
  /** The whole snapshot's text; null when the environment does not exist. */
  whole(): Promise<string | null>
  /** How far the newest version has come, by what isolates have reported. */
  propagation(): Promise<Propagation>
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
