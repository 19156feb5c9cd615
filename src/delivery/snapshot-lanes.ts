// The two lanes by which a snapshot comes to an isolate: KV, near and a minute behind at worst, and the hub, which is
// never behind. Each is asked for a limited time.
import type { Bindings } from '../bindings.ts'
import { hubOf, latestKey, type Newer, type NewerRequest, versionKey } from '../catalog/hub-protocol.ts'
import { withTimeout } from '../http/with-timeout.ts'

/** How long a lane may take to answer. */
export const LANE_TIMEOUT_MS = 2_000
/** The shortest that KV allows: how long a location may keep what it has read. */
const KV_CACHE_SECONDS = 30

const LATEST = { type: 'text', cacheTtl: KV_CACHE_SECONDS } as const

/** The newest snapshot that KV has. */
export type Latest = { readonly text: string; readonly version: number | undefined }

function inTime<T>(work: Promise<T>): Promise<T> {
  return withTimeout(work, LANE_TIMEOUT_MS)
}

/**
 * Asks the hub for what an isolate does not have.
 * @throws when the hub cannot be reached in time
 */
export async function askHub(bindings: Bindings, environment: string, request: NewerRequest): Promise<Newer> {
  return inTime(hubOf(bindings, environment).newer(request))
}

/**
 * Reads the newest snapshot's text from KV; null when it has none.
 * @throws when KV cannot be read in time
 */
export async function readFromKv(bindings: Bindings, environment: string): Promise<string | null> {
  return inTime(bindings.SNAPSHOTS.get(latestKey(environment), LATEST))
}

/**
 * Reads the newest snapshot from KV, and which version it is; null when there is none.
 * @throws when KV cannot be read in time
 */
export async function readLatest(bindings: Bindings, environment: string): Promise<Latest | null> {
  const reading = bindings.SNAPSHOTS.getWithMetadata<{ version?: number }>(latestKey(environment), LATEST)
  const { value, metadata } = await inTime(reading)
  return value === null ? null : { text: value, version: metadata?.version }
}

/**
 * Reads the whole snapshot from the hub; null when there is no such environment.
 * @throws when the hub cannot be reached in time
 */
export async function readFromHub(bindings: Bindings, environment: string): Promise<string | null> {
  return inTime(hubOf(bindings, environment).whole())
}

/**
 * Reads the snapshot of one version from KV, or a newer one from the hub where KV does not have it.
 * @throws when neither can be reached in time
 */
export async function readVersion(
  bindings: Bindings,
  environment: string,
  version: number,
): Promise<string | null> {
  const fromKv = await inTime(bindings.SNAPSHOTS.get(versionKey(environment, version), 'text')).catch(
    () => null,
  )
  return fromKv ?? readFromHub(bindings, environment)
}
