/** How long a change keeps isolates asking often. */
export const HOT_MS = 10 * 60_000
const HOT_CHECK_MS = 5_000
/** Beyond a minute an isolate refreshes before it answers, so no interval is longer. */
const MAX_CHECK_MS = 60_000
const MAX_CALLS_PER_SECOND = 200

/** What the interval depends on. */
export type CheckLoad = {
  /** The environment's own setting. */
  readonly refreshSeconds: number
  /** Since the last change, in milliseconds. */
  readonly sinceChangeMs: number
  /** Whether a measured rollout runs. */
  readonly watched: boolean
  /** Calls in the last second, and the interval that they had been given. */
  readonly callsPerSecond: number
  readonly currentMs: number
}

/**
 * How long isolates may go before they ask again: often while something moves, else as the environment says, and
 * stretched so that the hub answers fewer than 200 calls a second.
 */
export function nextCheckInterval(load: CheckLoad): number {
  const wanted = load.watched || load.sinceChangeMs < HOT_MS ? HOT_CHECK_MS : load.refreshSeconds * 1_000
  const own = Math.min(wanted, load.refreshSeconds * 1_000)
  const bearable = (load.callsPerSecond * load.currentMs) / MAX_CALLS_PER_SECOND
  return Math.round(Math.min(MAX_CHECK_MS, Math.max(own, bearable)))
}
