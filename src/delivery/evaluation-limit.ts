// How many evaluation requests a key may make. An isolate counts by itself and tells the platform's limit, which all
// isolates of a location share, of each thousand of them: after the answer, so that no request waits for it.
import type { Bindings } from '../bindings.ts'
import type { KeyRecord } from '../catalog/entities.ts'
import type { WaitUntil } from './snapshot-cache.ts'

/** How many requests one unit of the platform's limit stands for. */
const REQUESTS_PER_UNIT = 1_000
/** The period of EVALUATION_LIMIT in wrangler.toml. */
const WINDOW_MS = 10_000

type Usage = { requests: number; refusedUntil: number }

/** By the key's record, so that what is counted goes when the snapshot that holds the key does. */
const usageOf = new WeakMap<KeyRecord, Usage>()

async function report(bindings: Bindings, key: KeyRecord, usage: Usage): Promise<void> {
  // Not even begun before the answer is on its way.
  await scheduler.wait(0)
  const window = Math.floor(Date.now() / WINDOW_MS)
  try {
    const { success } = await bindings.EVALUATION_LIMIT.limit({ key: key.id })
    if (!success) usage.refusedUntil = (window + 1) * WINDOW_MS
  } catch (error) {
    console.warn('evaluations not counted', { key: key.id, error: String(error) })
  }
}

/**
 * Counts an evaluation request of a key. A limit that cannot be asked lets everybody in.
 * @param now milliseconds since 1970
 * @returns 0 when it may be answered, else after how many seconds the key may ask again
 */
export function countRequest(bindings: Bindings, key: KeyRecord, now: number, waitUntil: WaitUntil): number {
  let usage = usageOf.get(key)
  if (!usage) {
    usage = { requests: 0, refusedUntil: 0 }
    usageOf.set(key, usage)
  }
  if (now < usage.refusedUntil) return Math.ceil((usage.refusedUntil - now) / 1_000)
  usage.requests++
  if (usage.requests % REQUESTS_PER_UNIT === 0) waitUntil(report(bindings, key, usage))
  return 0
}
