// When a safe version was where nearly everything is answered, by what the hub was told. Pure. No clock.
import type { Propagation } from '../../catalog/propagation.ts'
import type { ChangePropagation } from '../../catalog/propagation-timeline.ts'
import type { SafeFact } from './facts.ts'

/** Below so much unreported, the answer is not waited for any longer; nor after so long. */
const SETTLED_SHARE = 0.01
const SETTLED_MS = 2 * 60_000

/** When 99 % of what was reported was on a version or a newer one, and what was not reported then. */
export type Safe = SafeFact & { readonly at: number }

/** The oldest change that the hub follows which has the version: its own, or one that came after it. */
function changeWith(version: number, propagation: Propagation): ChangePropagation | undefined {
  const changes = [propagation, propagation.previous].filter((change) => change !== null)
  return changes.filter((change) => change.version >= version).sort((a, b) => a.version - b.version)[0]
}

/**
 * When a version was safe; null while that is not known, and where nothing is reported. Where the hub follows only a
 * newer change, that one's: by then at the latest.
 */
export function safeBy(version: number, propagation: Propagation | null, now: number): Safe | null {
  const change = propagation && changeWith(version, propagation)
  const reached = change?.reached.p99
  if (!change || !reached) return null
  const { second, unreportedShare } = reached
  // Isolates that are yet to report may still say that they were behind.
  if (unreportedShare > SETTLED_SHARE && now < change.changedAt + SETTLED_MS) return null
  return { seconds: second, unreportedShare, at: change.changedAt + second * 1_000 }
}
