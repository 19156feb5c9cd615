// What is known of a rollback when it is decided. Pure.
import type { Decision } from '../decision.ts'
import { audiencesOf, grantedPercentage, reachedAudiences } from '../grants.ts'
import type { GuardReading, Reading } from '../observations.ts'
import type { Rollout } from '../rollout.ts'
import type { GuardFact, IncidentFacts, Phase, ShareFact } from './facts.ts'

/** A rollback, or its next step, as it is about to be carried out: the rollout is as it stood before. */
export type Opening = {
  readonly rollout: Rollout
  readonly decision: Decision
  /** What the guards said; null or left out where nothing was read. */
  readonly reading?: Reading | null
}

/** The share from which on a stage only keeps some back. */
const HOLD_BACK_PERCENTAGE = 95

function phaseOf({ plan, progress }: Rollout): Phase {
  if (progress.state === 'watching') return 'watching'
  const everyone = audiencesOf(plan).findIndex(({ condition }) => condition === null)
  const isReached = reachedAudiences(plan, progress).includes(everyone)
  const share = isReached ? grantedPercentage(plan, progress, everyone) : 0
  return share >= HOLD_BACK_PERCENTAGE ? 'hold_back' : 'ramping'
}

/** What each audience was given before the step, and what it is given after it. */
export function sharesOf({ rollout: { plan, progress }, decision }: Opening): ShareFact[] {
  return reachedAudiences(plan, progress).map((place) => ({
    audience: audiencesOf(plan)[place]?.name ?? '',
    before: grantedPercentage(plan, progress, place),
    after: grantedPercentage(plan, decision.progress, place),
  }))
}

function ratioOf({ treatment, control }: GuardReading): number | null {
  if (!control || control.hits === 0 || control.units === 0 || treatment.units === 0) return null
  return treatment.hits / treatment.units / (control.hits / control.units)
}

function guardFacts({ rollout: { plan }, decision, reading }: Opening): GuardFact[] {
  if (decision.reason.code !== 'guard_broken') return []
  return (reading?.guards ?? []).flatMap((guard): GuardFact[] => {
    const guardrail = plan.guardrails.find(({ id }) => id === guard.guardrail)
    if (guard.verdict !== 'broken' || guardrail?.action !== 'rollback') return []
    const { audience: place, treatment, control, evidence, limit, words } = guard
    const name = place === null ? undefined : audiencesOf(plan)[place]?.name
    return [
      {
        ...{
          guardrail: guardrail.id,
          metric: guardrail.metric,
          test: guardrail.test,
          treatment,
          control,
          words,
        },
        audience: place === null || name === undefined ? null : { place, name },
        ratio: ratioOf(guard),
        // Beyond what a stored number can hold it makes no difference.
        oneIn: Math.exp(Math.min(evidence, 700)),
        enough: Math.exp(Math.min(limit, 700)),
      },
    ]
  })
}

/** Whose audiences are taken back by a partial rollback; null: everyone's. */
function takenAudiences({ rollout, decision }: Opening): readonly number[] | null {
  const { descent, blocked } = decision.progress
  return descent ? null : blocked.filter((place) => !rollout.progress.blocked.includes(place))
}

/** The instant from which on it is likely to have gone wrong; null where nothing says so. */
export function beganAt({ decision, reading }: Opening): number | null {
  const { code, subject } = decision.reason
  if (code === 'treatment_silent') return reading?.life.since ?? null
  if (code !== 'guard_broken') return null
  const since = (reading?.guards ?? []).flatMap((guard) =>
    guard.guardrail === subject && guard.verdict === 'broken' && guard.since !== null ? [guard.since] : [],
  )
  return since.length > 0 ? Math.min(...since) : null
}

/** When there was enough to decide from: the end of the last block that was read; by hand, at once. */
export function detectedAt({ decision, reading }: Opening, at: number): number {
  const { code } = decision.reason
  const isCounted = code === 'guard_broken' || code === 'treatment_silent'
  return isCounted && reading ? Math.min(at, reading.through) : at
}

/** The facts that an incident begins with. */
export function factsOf(opening: Opening): IncidentFacts {
  const { rollout, decision, reading } = opening
  const { plan, progress } = rollout
  const stage = plan.stages[progress.stage]
  const guards = guardFacts(opening)
  const audiences = takenAudiences(opening)
  const units = reading?.units.treatment ?? null
  return {
    epoch: decision.progress.epoch,
    mode: decision.progress.descent?.mode ?? 'partial',
    audiences,
    phase: phaseOf(rollout),
    stage: stage ? { place: progress.stage, name: stage.name, since: progress.grantedAt } : null,
    variant: plan.variant,
    shares: sharesOf(opening),
    affected: audiences === null ? units : (guards[0]?.treatment.units ?? units),
    guards,
    safe: null,
    verified: '',
  }
}
