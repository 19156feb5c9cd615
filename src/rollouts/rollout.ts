import type { Plan } from './plan.ts'
import type { Progress } from './progress.ts'

/** A rollout as it is stored. Instants are milliseconds since 1970. */
export type Rollout = {
  /** 12 lowercase letters and digits: what its tags begin with. */
  readonly id: string
  readonly plan: Plan
  /** Of its buckets: made once, kept by retries, taken over from what stood before. */
  readonly seed: string
  /** Whether units are counted from the top of the buckets, as a split taken over may need. */
  readonly reversed: boolean
  readonly progress: Progress
  /** Raised by each change of plan or progress: what is compared and set. */
  readonly revision: number
  /** The rollout that this one tries again; null: none. */
  readonly retries: string | null
  readonly createdBy: string
  readonly createdAt: number
  readonly updatedAt: number
  /** Who started it; null before. */
  readonly startedBy: string | null
}
