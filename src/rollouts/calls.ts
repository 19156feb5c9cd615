// The deeds that people call for, each with what it is decided on.

import { eq } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { Actor } from '../access/actor.ts'
import type { Bindings } from '../bindings.ts'
import { toRefusal } from '../catalog/refusals.ts'
import type { SaveError } from '../catalog/save-error.ts'
import { err, ok, type Result } from '../engine/result.ts'
import type { Refusal } from '../http/problem.ts'
import { type Beginning, clearing, prepareBeginning } from './beginning.ts'
import type { Decision } from './decision.ts'
import {
  advance,
  approve,
  cancel,
  complete,
  type DeedError,
  pause,
  resume,
  rollBack,
  setPercentage,
  start,
} from './deeds.ts'
import { type FoundRollout, toStarter } from './found-rollout.ts'
import { audiencesOf } from './grants.ts'
import type { Observations } from './observations.ts'
import { joinParts, type Part } from './part.ts'
import { type DeedCall, type Doing, secondPersonRefusal } from './perform.ts'
import type { RollbackMode } from './plan.ts'
import { deedRefusal, type StartError, startRefusal } from './refusals.ts'
import { rollouts } from './tables.ts'
import { loadReading, observeNow } from './world.ts'

type Decided = Result<Decision, DeedError>

function doingOf(decided: Decided, rest: Omit<Doing, 'decision'> = {}): Result<Doing, Refusal> {
  return decided.ok ? ok({ ...rest, decision: decided.value }) : err(deedRefusal(decided.error))
}

const START_REASONS: ReadonlySet<string> = new Set<StartError['reason']>([
  ...([
    'flag_off',
    'metric_silent',
    'serves_everyone',
    'fallthrough_splits',
    'nothing_to_take_over',
  ] as const),
  ...([
    'foreign_bucketing',
    'other_unit',
    'middle_range',
    'take_over_waits',
    'first_stage_below_share',
  ] as const),
])

function isStartError(error: StartError | SaveError): error is StartError {
  return START_REASONS.has(error.reason)
}

function beginningRefusal(error: StartError | SaveError): Refusal {
  return isStartError(error) ? startRefusal(error) : toRefusal(error)
}

/** What goes along when a rollout begins, or is let in among those that will. */
function partOf(beginning: Beginning, { progress }: Decision): Part {
  const hasBegun = progress.epoch !== beginning.rollout.progress.epoch
  return hasBegun ? beginning.part : joinParts([beginning.part, clearing(beginning)])
}

/** Starts a draft; in a protected environment it then waits for a second person. */
export function startCall(bindings: Bindings, actor: Actor, force: boolean): DeedCall {
  return {
    role: 'releaser',
    async decide(found, now) {
      const { plan, progress } = found.rollout
      const observations = await observeNow(bindings, found.rollout, now)
      const options = { observations, needsApproval: found.isProtected }
      const early = start(plan, progress, options, now)
      if (!early.ok) return err(deedRefusal(early.error))
      const begun = await prepareBeginning(bindings, found, force, now)
      if (!begun.ok) return err(beginningRefusal(begun.error))
      const { rollout } = begun.value
      const decided = start(rollout.plan, progress, options, now)
      if (!decided.ok) return err(deedRefusal(decided.error))
      const starter = drizzle(bindings.DB)
        .update(rollouts)
        .set({ startedBy: toStarter(actor) })
      const write = starter.where(eq(rollouts.id, rollout.id))
      // What waits for a second person changes nothing yet.
      const isLetIn = decided.value.progress.state !== 'awaiting_approval'
      const part = isLetIn ? partOf(begun.value, decided.value) : joinParts([])
      return ok({
        rollout: isLetIn ? rollout : found.rollout,
        decision: decided.value,
        part: { ...part, writes: [...part.writes, write] },
      })
    },
  }
}

/** Approves a stage by its name, or the next one; or the start of a rollout that waits for it. */
export function approveCall(bindings: Bindings, actor: Actor, stage: string | undefined): DeedCall {
  return {
    role: 'releaser',
    async decide(found, now) {
      const refusal = secondPersonRefusal(actor, found)
      if (refusal) return err(refusal)
      const { plan, progress } = found.rollout
      const place = stage === undefined ? null : plan.stages.findIndex(({ name }) => name === stage)
      const options = { stage: place, observations: await observeNow(bindings, found.rollout, now) }
      const decided = approve(plan, progress, options, now)
      const isStart = progress.state === 'awaiting_approval'
      if (!decided.ok || !isStart || decided.value.progress.state === 'awaiting_approval')
        return doingOf(decided)
      // Whether events arrive was asked when it was started.
      const begun = await prepareBeginning(bindings, found, true, now)
      if (!begun.ok) return err(beginningRefusal(begun.error))
      const { rollout } = begun.value
      const again = approve(rollout.plan, progress, options, now)
      return again.ok
        ? ok({ rollout, decision: again.value, part: partOf(begun.value, again.value) })
        : err(deedRefusal(again.error))
    },
  }
}

export const pauseCall: DeedCall = {
  role: 'developer',
  guarded: true,
  decide: async ({ rollout: { plan, progress } }, now) => doingOf(pause(plan, progress, now)),
}

export const cancelCall: DeedCall = {
  role: 'releaser',
  decide: async ({ rollout: { plan, progress } }, now) => doingOf(cancel(plan, progress, now)),
}

export function percentageCall(percentage: number): DeedCall {
  return {
    role: 'releaser',
    decide: async ({ rollout: { plan, progress } }, now) =>
      doingOf(setPercentage(plan, progress, percentage, now)),
  }
}

type Observed = (
  plan: FoundRollout['rollout']['plan'],
  progress: FoundRollout['rollout']['progress'],
  observations: Observations,
  now: number,
) => Decided

function observedCall(bindings: Bindings, deed: Observed): DeedCall {
  return {
    role: 'releaser',
    async decide(found, now) {
      const { rollout } = found
      const observations = await observeNow(bindings, rollout, now)
      return doingOf(deed(rollout.plan, rollout.progress, observations, now), {
        reading: observations.reading,
      })
    },
  }
}

export const resumeCall = (bindings: Bindings): DeedCall => observedCall(bindings, resume)
export const advanceCall = (bindings: Bindings): DeedCall => observedCall(bindings, advance)
export const completeCall = (bindings: Bindings): DeedCall => observedCall(bindings, complete)

/** Takes a rollout back, or the audiences of some names. */
export function rollbackCall(bindings: Bindings, mode: RollbackMode, names: readonly string[]): DeedCall {
  return {
    role: 'developer',
    guarded: true,
    async decide({ rollout }, now) {
      const { plan, progress } = rollout
      const known = audiencesOf(plan).map(({ name }) => name)
      const audiences = names.map((name) => known.indexOf(name))
      const decided = rollBack(plan, progress, { mode, audiences }, now)
      return doingOf(decided, { reading: decided.ok ? await loadReading(bindings, rollout) : null })
    },
  }
}
