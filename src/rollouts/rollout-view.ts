import type { JsonObject } from '../engine/json.ts'
import { audiencesOf, grantedPercentage, reachedAudiences } from './grants.ts'
import type { Rollout } from './rollout.ts'

/** A rollout as it is shown: the plan as it was written, how far it has come, and who is given what now. */
export function toView({ plan, progress, ...rollout }: Rollout, draft: JsonObject) {
  const { id, revision, seed, reversed, retries, createdBy, createdAt, updatedAt, startedBy } = rollout
  const { state, stage, epoch, startedAt, grantedAt, grantedVersion, publishedAt, pausedAt, endedAt } =
    progress
  const reached = reachedAudiences(plan, progress)
  return {
    ...{ id, environment: plan.environment, flag: plan.flag, variant: plan.variant, state, revision },
    plan: draft,
    stage,
    stages: plan.stages.map(({ name, percentage, holdMs, approval }, place) => ({
      ...{ name, percentage, holdMs },
      needsApproval: approval && !progress.approved.includes(place),
    })),
    granted: audiencesOf(plan)
      .map(({ name }, place) => ({ audience: name, percentage: grantedPercentage(plan, progress, place) }))
      .filter((_, place) => reached.includes(place)),
    blocked: progress.blocked.map((place) => audiencesOf(plan)[place]?.name ?? ''),
    ...{ epoch, startedAt, grantedAt, grantedVersion, publishedAt, pausedAt, endedAt },
    ...{ seed, reversed, retries, createdBy, createdAt, updatedAt, startedBy },
  }
}

export type RolloutView = ReturnType<typeof toView>
