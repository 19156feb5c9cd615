// What the edge has of a rollout: its grants, and the measurement that counts what comes of them. Pure.
import type { MeasurementDraft } from '../catalog/measurements.ts'
import type { RolloutGrants } from '../engine/flag.ts'
import { areForEveryone, areForNobody } from './fold-grants.ts'
import { boundsOf, grantsOf } from './grants.ts'
import type { Progress, RolloutState } from './progress.ts'
import type { Rollout } from './rollout.ts'

/** What the edge has of a rollout; null: nothing. */
export type AtEdge = {
  readonly grants: RolloutGrants | null
  readonly measurement: MeasurementDraft | null
}

/** States in which what is granted is counted; one that was rolled back until its verification is over. */
const COUNTED: readonly RolloutState[] = ['running', 'paused', 'rolling_back', 'rolled_back', 'watching']

const NOTHING: AtEdge = { grants: null, measurement: null }

/** What the edge is to have of a rollout that has come so far. */
export function atEdge({ id, plan, seed, reversed }: Rollout, progress: Progress): AtEdge {
  const measured = COUNTED.includes(progress.state)
  if (!measured && progress.state !== 'done') return NOTHING
  const grants = grantsOf(plan, progress)
  if (grants.length === 0) return NOTHING
  // What everyone has, the fallthrough serves from now on: see fold.ts.
  if (!measured && (areForEveryone(grants) || areForNobody(grants))) return NOTHING
  const { flag, variant, by, exposure, slices } = plan
  const stage = progress.epoch
  return {
    grants: { id, variant, seed, by, stage, grants, measured, ...(reversed ? { reversed } : {}) },
    measurement: measured
      ? {
          ...{ id, flag, kind: 'rollout', by, stage, exposure, slices },
          windowMs: plan.windowMs,
          metrics: boundsOf(plan, progress),
        }
      : null,
  }
}
