// Server-sent events: tells clients that there is something newer, never what. Served from the isolate's snapshot;
// a stream asks for news itself when nobody else does.
import type { Bindings } from '../bindings.ts'
import { isExpired, type KeyRecord } from '../catalog/entities.ts'
import type { SnapshotCache, WaitUntil } from './snapshot-cache.ts'

/** A stream ends after this, because the free plan counts what one request asks for; clients come back by themselves. */
export const MAX_STREAM_MS = 4 * 60_000
/** How often a stream sees to it that somebody has asked the hub: at most 48 times in its life. */
const ASK_MS = 5_000
const LOOK_MS = 1_000
const HEARTBEAT_MS = 15_000

export type StreamOptions = {
  readonly bindings: Bindings
  readonly cache: SnapshotCache
  readonly environment: string
  /** Whoever opened it: a stream ends when its key does. */
  readonly key: KeyRecord
  /** The version that the client last heard of by a stream; null when it has heard of none. */
  readonly lastEventId: string | null
  readonly waitUntil: WaitUntil
}

function changeEvent(version: number): string {
  const data = {
    type: 'refetchEvaluation',
    etag: String(version),
    lastModified: Math.floor(Date.now() / 1_000),
  }
  return `id: ${version}\nevent: message\ndata: ${JSON.stringify(data)}\n\n`
}

async function pump(writer: WritableStreamDefaultWriter<Uint8Array>, options: StreamOptions): Promise<void> {
  const { bindings, cache, environment, waitUntil } = options
  const encoder = new TextEncoder()
  const write = (text: string) => writer.write(encoder.encode(text))
  const endsAt = Date.now() + MAX_STREAM_MS
  let told = options.lastEventId
  let writtenAt = Date.now()
  // Where clients come back after: spread out, so that they do not come back together.
  await write(`retry: ${1_000 + Math.floor(Math.random() * 4_000)}\n\n`)
  let key: KeyRecord | undefined = options.key
  while (Date.now() < endsAt) {
    cache.freshen(bindings, environment, ASK_MS, waitUntil)
    const known = cache.view(environment)?.environment
    if (known) key = known.keys.get(options.key.id)
    if (!key || isExpired(key, Date.now())) return
    const version = known?.flags.version
    if (version !== undefined && String(version) !== told) {
      await write(changeEvent(version))
      told = String(version)
      writtenAt = Date.now()
    } else if (Date.now() - writtenAt >= HEARTBEAT_MS) {
      await write(': still here\n\n')
      writtenAt = Date.now()
    }
    await scheduler.wait(LOOK_MS)
  }
}

/**
 * Opens a stream of change notices. Its first event comes at once unless the client has heard of this version, so
 * that nothing that changed between a client's evaluation and its stream is missed.
 */
export function openStream(options: StreamOptions): ReadableStream<Uint8Array> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  const writer = writable.getWriter()
  const pumping = pump(writer, options)
    // Writing fails when the client has gone, which is how most streams end.
    .catch(() => undefined)
    .then(() => writer.close())
    .catch(() => undefined)
  options.waitUntil(pumping)
  return readable
}
