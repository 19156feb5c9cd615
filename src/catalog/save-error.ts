import type { Problem } from '../engine/problem.ts'
import type { RunningRollout } from './attachments.ts'
import type { ChangeError } from './change.ts'
import type { MetricUser } from './metric-store.ts'
import type { Preview } from './preview.ts'

/** Why a change was not taken; nothing of it was done. */
export type SaveError =
  | ChangeError
  | { readonly reason: 'not_found'; readonly what: string }
  | { readonly reason: 'invalid'; readonly problems: readonly Problem[] }
  | { readonly reason: 'too_large'; readonly limit: number }
  /** There may be no more of them. */
  | { readonly reason: 'too_many'; readonly limit: number; readonly what: string }
  /** Measurements watch the metric, whose meaning then stays. */
  | { readonly reason: 'metric_in_use'; readonly users: readonly MetricUser[] }
  /** Rollouts stand on it, and would fall. */
  | { readonly reason: 'rollout_running'; readonly rollouts: readonly RunningRollout[] }
  /** The flag is archived, so it is at no edge. */
  | { readonly reason: 'archived' }
  /** Units that a split has given a variant would get another, and the request does not say that they may. */
  | { readonly reason: 'moves_units'; readonly preview: Preview }
  /** An emergency may switch a flag off, and nothing else. */
  | { readonly reason: 'not_only_off' }
