// How all that was counted and held of an environment's rollouts is forgotten, once it was deleted.
import type { Bindings } from '../bindings.ts'
import { withTimeout } from '../http/with-timeout.ts'
import { clearShards } from '../telemetry/reading/clear-shards.ts'
import { clockOf } from './clock-protocol.ts'

const CLOCK_TIMEOUT_MS = 2_000

/** Clears the first so many shards of an environment, and its clock; throws when one does not answer. */
export async function clearEnvironment(
  bindings: Bindings,
  environment: string,
  shards: number,
): Promise<void> {
  await clearShards(bindings, environment, shards)
  await withTimeout(clockOf(bindings, environment).clear(), CLOCK_TIMEOUT_MS)
}
