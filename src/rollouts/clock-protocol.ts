// What others say to an environment's rollout clock. The clock itself is clock.ts.
import type { Bindings } from '../bindings.ts'
import type { Reading } from './observations.ts'

/** How a clock is. */
export type ClockStatus = {
  /** When it last ticked, in milliseconds since 1970; 0: never. */
  readonly tickedAt: number
  /** When it is to tick by itself; null: only when the cron calls. */
  readonly nextAt: number | null
  /** How long the last tick took, how many calls outside it made, and how many rows it wrote, alarms included. */
  readonly tookMs: number
  readonly subrequests: number
  readonly rowsWritten: number
  readonly rollouts: number
}

/** A rollout's evidence as the clock holds it, packed as text: a function of the blocks up to `through`. */
export type HeldEvidence = { readonly through: number; readonly text: string }

/** The clock as others call it. */
export type Clock = {
  /**
   * Reads, decides and applies what is due. Safe to call at any time, by anybody, twice at once; what fails is logged,
   * and done at the next tick.
   */
  tick(now: number): Promise<ClockStatus>
  /** Something has begun that is guarded: from the next block on it ticks by itself. */
  wake(): Promise<void>
  status(): Promise<ClockStatus>
  /** What a rollout's guards say now; null where nothing was read. */
  reading(rollout: string): Promise<Reading | null>
  /** The evidence of a rollout now, and at the last checkpoint, at most an hour before. */
  evidence(rollout: string): Promise<{ readonly now: HeldEvidence; readonly checkpoint: HeldEvidence } | null>
  /** Forgets everything: the environment was deleted. */
  clear(): Promise<void>
}

/** The clock of one environment. */
export function clockOf(bindings: Bindings, environment: string): Clock {
  // The namespace is typed without its class, because bindings stand below rollouts.
  return bindings.CLOCK.getByName(environment) as unknown as Clock
}
