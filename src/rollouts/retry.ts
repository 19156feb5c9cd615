// A rollout that was taken back, tried again: a new draft with the same buckets and fresh evidence.
import type { SaveError } from '../catalog/save-error.ts'
import { isJsonObject, type JsonObject } from '../engine/json.ts'
import { err, type Result } from '../engine/result.ts'
import type { Author } from '../ledger/author.ts'
import type { Answer } from '../ledger/commit.ts'
import type { DeedError } from './deeds.ts'
import { createDraft } from './drafts.ts'
import type { FoundRollout } from './found-rollout.ts'
import { audienceAt } from './grants.ts'
import type { Plan } from './plan.ts'
import type { RolloutState } from './progress.ts'

const ENDED: readonly RolloutState[] = ['rolled_back', 'cancelled']

type RetryError = SaveError | Extract<DeedError, { reason: 'wrong_state' | 'unknown_stage' }>

/**
 * The stages of a plan that is to begin at one of them: what came before is granted without waiting for anything, each
 * audience once, so that nobody is left out who had it before.
 */
function stagesFrom(stages: readonly JsonObject[], plan: Plan, from: number): readonly JsonObject[] {
  const places = plan.stages.map((_, place) => audienceAt(plan, place))
  // The last one of each audience; that of the chosen stage comes with it.
  const isLast = (place: number) => !places.slice(place + 1, from + 1).includes(places[place] ?? -1)
  const before = stages
    .slice(0, from)
    .filter((_, place) => isLast(place))
    .map(({ approval: _, gates: __, minUnits: ___, ...stage }) => ({ ...stage, hold: '0s' }))
  return [...before, ...stages.slice(from)]
}

/**
 * Plans a rollout anew that was taken back or cancelled.
 * @param stage the name of the stage to begin with; undefined: the first
 */
export async function retryRollout(
  database: D1Database,
  { rollout, draft }: FoundRollout,
  stage: string | undefined,
  author: Author,
): Promise<Result<Answer, RetryError>> {
  const { plan, progress, id, seed, reversed } = rollout
  if (!ENDED.includes(progress.state)) {
    return err({ reason: 'wrong_state', state: progress.state, allowed: ENDED })
  }
  const from = stage === undefined ? 0 : plan.stages.findIndex(({ name }) => name === stage)
  if (from < 0) return err({ reason: 'unknown_stage', stage: from })
  const stages = Array.isArray(draft.stages) ? draft.stages.filter(isJsonObject) : []
  // What was taken over is the rollout's own by now, and its instant has passed.
  const { takeOver, startAt: _, ...fields } = draft
  const isTaken = progress.epoch > 0 || takeOver === undefined
  const again = {
    ...fields,
    ...(isTaken ? {} : { takeOver }),
    stages: stagesFrom(stages, plan, from),
  }
  return createDraft(database, again, author, { id, seed, reversed })
}
