import type { Guard } from '../ledger/commit.ts'
import type { Statement } from '../ledger/statement.ts'

/** A rollout that goes on, or waits to begin. */
export type RunningRollout = {
  readonly id: string
  readonly environment: string
  readonly flag: string
  readonly state: string
}

/** What rollouts may be about: all that is said must be so. */
export type RolloutsOf =
  | { readonly environment: string }
  | { readonly flag: string }
  | { readonly metric: string }

/** What other rooms keep of what is configured. The catalog is handed it, because it stands below them. */
export type Attachments = {
  /** Rollouts that would lose the ground they stand on. */
  readonly running: (database: D1Database, of: RolloutsOf) => Promise<readonly RunningRollout[]>
  /** A guard: there are none such. */
  readonly isIdle: (of: RolloutsOf) => Guard
  /** What takes along all that belongs to an environment. */
  readonly belongings: (environment: string) => readonly Statement[]
}
