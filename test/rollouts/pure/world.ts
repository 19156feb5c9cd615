// A world in which a rollout lives: it stores what is decided as the conductor does, publishes when told to, and holds
// every decision to what a rollout promises. Units are placed by the engine itself.
import { expect } from 'vitest'
import { compileRollout, type Place } from '../../../src/engine/compile-rollout.ts'
import type { EvaluationContext } from '../../../src/engine/context.ts'
import type { Condition } from '../../../src/engine/flag.ts'
import type { Decision } from '../../../src/rollouts/decision.ts'
import { audiencesOf, grantedPercentage, grantsOf, largestPercentage } from '../../../src/rollouts/grants.ts'
import type { GuardReading, Observations, Reading, Signal } from '../../../src/rollouts/observations.ts'
import type { Plan } from '../../../src/rollouts/plan.ts'
import { newProgress, type Progress } from '../../../src/rollouts/progress.ts'
import { makeGuardReading, makeObservations, makeReading, makeSignal } from '../../support/rollouts.ts'

export const AUDIENCES: readonly (Condition | null)[] = [
  { attribute: 'group', op: 'equals', values: ['internal'] },
  { attribute: 'country', op: 'equals', values: ['IE'] },
  { attribute: 'plan', op: 'equals', values: ['pro'] },
  null,
]

const CONTEXTS: readonly EvaluationContext[] = ['internal', 'public'].flatMap((group) =>
  ['IE', 'DE'].flatMap((country) =>
    ['pro', 'free'].flatMap((plan) =>
      Array.from({ length: 10 }, (_, n) => ({
        targetingKey: `${group}-${country}-${plan}-${n}`,
        group,
        country,
        plan,
      })),
    ),
  ),
)

const NO_SEGMENTS = { matcherOf: () => undefined, recorder: null }

function placeBy(plan: Plan, progress: Progress): Place {
  return compileRollout(
    {
      id: 'r1',
      variant: plan.variant,
      seed: 'seed',
      by: plan.by,
      stage: progress.epoch,
      grants: grantsOf(plan, progress),
      measured: true,
    },
    NO_SEGMENTS,
  )
}

/** The units that get the variant, as the engine places them. */
export function treatedUnits(plan: Plan, progress: Progress): ReadonlySet<string> {
  const place = placeBy(plan, progress)
  return new Set(
    CONTEXTS.filter((context) => place(context, 0)?.treated).map((context) => String(context.targetingKey)),
  )
}

/** The units of some audiences, whether or not they get the variant. */
function unitsOf(plan: Plan, places: readonly number[]): ReadonlySet<string> {
  const percentages = audiencesOf(plan).map(({ condition }, place) => ({
    audience: condition,
    percentage: places.includes(place) ? 100 : 0,
  }))
  const place = compileRollout(
    {
      id: 'r1',
      variant: 'on',
      seed: 'seed',
      by: 'targetingKey',
      stage: 0,
      grants: percentages,
      measured: true,
    },
    NO_SEGMENTS,
  )
  return new Set(
    CONTEXTS.filter((context) => place(context, 0)?.treated).map((context) => String(context.targetingKey)),
  )
}

/** What a decision is held to beside the progress before and after. */
type Witness = {
  readonly by: 'clock' | 'hand'
  readonly observations: Observations
  /** The instant at which it was made, by the clock that went wrong. */
  readonly at: number
}

export class World {
  readonly plan: Plan
  progress: Progress
  now = 1_772_366_400_000
  /** What the reading says, but for its end. */
  reading: Partial<Reading> = {}
  broken = new Map<string, GuardReading>()
  unreadSince: number | null = null
  signals: readonly Signal[]
  quantiles: Observations['quantiles'] = {}
  /** What was observed once, and is given to a tick that is late. */
  kept: Observations | null = null
  private version = 0
  private published = { version: 0, at: 0 }
  /** Of the present stage, as the world knows it: when the edge got it, and for how long it was paused since. */
  private truth = { since: null as number | null, pausedMs: 0, pausedAt: null as number | null }

  constructor(plan: Plan, state: 'draft' | 'scheduled') {
    this.plan = plan
    this.signals = [makeSignal({ kind: 'gate', at: this.now })]
    this.progress = { ...newProgress(), state }
  }

  observe(): Observations {
    const guards = this.plan.guardrails.flatMap(({ id, mode }): GuardReading[] => {
      const places = mode === 'partial' ? audiencesOf(this.plan).map((_, place) => place) : [null]
      return places.map(
        (audience) => this.broken.get(`${id} ${audience}`) ?? makeGuardReading({ guardrail: id, audience }),
      )
    })
    return makeObservations({
      reading: makeReading(this.now, { guards, ...this.reading }),
      unreadSince: this.unreadSince,
      published: { ...this.published },
      signals: this.signals,
      quantiles: this.quantiles,
    })
  }

  publish(): void {
    this.published = { version: this.version, at: this.now }
    const { grantedVersion } = this.progress
    if (grantedVersion !== null && this.truth.since === null) {
      this.truth.since = this.now
      this.truth.pausedMs = 0
      if (this.truth.pausedAt !== null) this.truth.pausedAt = this.now
    }
  }

  /** Stores a decision, as the conductor does, after it was held to every promise. */
  store(decision: Decision, witness: Witness): void {
    const before = this.progress
    this.check(decision, witness)
    const { progress } = decision
    const isGranted = progress.grantedVersion === null && progress.stage >= 0
    if (progress.epoch !== before.epoch) this.version += 1
    this.progress = isGranted ? { ...progress, grantedVersion: this.version } : progress
    this.follow(before)
  }

  private follow(before: Progress): void {
    const { state, grantedVersion } = this.progress
    if (grantedVersion !== before.grantedVersion) {
      this.truth = { since: null, pausedMs: 0, pausedAt: state === 'paused' ? this.now : null }
    }
    if (state === 'paused' && before.state !== 'paused') this.truth.pausedAt = this.now
    if (state !== 'paused' && this.truth.pausedAt !== null) {
      this.truth.pausedMs += this.now - this.truth.pausedAt
      this.truth.pausedAt = null
    }
  }

  private check(decision: Decision, witness: Witness): void {
    const before = this.progress
    const after = decision.progress
    this.checkEpoch(before, after)
    this.checkState(before, after, decision)
    this.checkExposure(before, after, decision)
    if (witness.by === 'clock') expect(after.approved).toEqual(before.approved)
    if (after.stage !== before.stage) this.checkAdvance(before, after, witness)
  }

  private checkEpoch(before: Progress, after: Progress): void {
    const said = (progress: Progress) => JSON.stringify([grantsOf(this.plan, progress), progress.frozen])
    const isSame = said(before) === said(after)
    // Another stage, or the end, may grant what was granted before.
    const isOther = before.stage !== after.stage || before.state !== after.state
    expect(after.epoch - before.epoch).toBeLessThanOrEqual(isSame && !isOther ? 0 : 1)
    expect(after.epoch - before.epoch).toBeGreaterThanOrEqual(isSame ? 0 : 1)
    for (const field of ['startedAt', 'grantedAt', 'endedAt'] as const) {
      if (after[field] !== null) expect(after[field]).toBeGreaterThanOrEqual(before[field] ?? 0)
    }
  }

  private checkState(before: Progress, after: Progress, { deed }: Decision): void {
    const ends = ['rolled_back', 'done', 'cancelled']
    if (ends.includes(before.state)) expect(after).toBe(before)
    if (before.state === 'rolling_back') {
      expect(['rolling_back', 'rolled_back']).toContain(after.state)
      expect(after.stage).toBe(before.stage)
      expect(after.descent?.ceiling).toBeLessThanOrEqual(before.descent?.ceiling ?? 0)
    }
    if (deed === 'rollback' && after.state === 'rolling_back') {
      expect(after.descent?.ceiling).toBeLessThan(largestPercentage(this.plan, before))
      if (before.state === 'rolling_back') {
        const since = before.publishedAt ?? before.grantedAt ?? 0
        expect(this.now - since).toBeGreaterThanOrEqual(this.plan.rollback.holdMs)
      }
    }
    for (const place of before.blocked) expect(after.blocked).toContain(place)
    if (deed === 'hold' || deed === 'confirm') expect(after.state).toBe(before.state)
  }

  private checkExposure(before: Progress, after: Progress, { deed }: Decision): void {
    const had = treatedUnits(this.plan, before)
    const has = treatedUnits(this.plan, after)
    const newlyBlocked = after.blocked.filter((place) => !before.blocked.includes(place))
    if (deed === 'advance') {
      expect(had.difference(has)).toEqual(new Set())
      for (const [place] of audiencesOf(this.plan).entries()) {
        const percentage = grantedPercentage(this.plan, after, place)
        expect(percentage).toBeGreaterThanOrEqual(grantedPercentage(this.plan, before, place))
      }
    } else if (deed === 'rollback' && newlyBlocked.length > 0 && after.descent === null) {
      expect(has).toEqual(had.difference(unitsOf(this.plan, newlyBlocked)))
    } else if (deed === 'rollback') {
      expect(has.difference(had)).toEqual(new Set())
      if (after.state === 'rolled_back') expect(has.size).toBe(0)
    } else if (deed === 'set_percentage') {
      // One way or the other, never both.
      expect(Math.min(has.difference(had).size, had.difference(has).size)).toBe(0)
    } else expect(has).toEqual(had)
  }

  private checkAdvance(before: Progress, after: Progress, { by, observations, at }: Witness): void {
    const { stages, guardrails, whenTooFew } = this.plan
    for (let place = before.stage + 1; place <= after.stage; place++) {
      const stage = stages[place]
      if (stage?.approval) expect(after.approved).toContain(place)
      for (const { name, maxAgeMs } of stage?.gates ?? []) {
        const newest = observations.signals.filter(({ kind }) => kind === name).at(0)
        expect(newest?.passed).toBe(true)
        if (maxAgeMs !== null) expect(at - (newest?.at ?? 0)).toBeLessThanOrEqual(maxAgeMs)
      }
      if (place < after.stage) {
        expect(guardrails).toEqual([])
        expect(stage).toMatchObject({ holdMs: 0, minUnits: 0 })
      }
    }
    expect(after.stage).toBeGreaterThan(before.stage)
    expect(after.stage === before.stage + 1 || guardrails.length === 0).toBe(true)
    if (before.stage < 0) return
    const isBroken = [...this.broken.values()].some(
      ({ guardrail, audience }) =>
        guardrails.some(({ id, action }) => id === guardrail && action === 'rollback') &&
        !(audience !== null && before.blocked.includes(audience)),
    )
    // What was observed before it broke may still be acted on; that is for the next tick.
    if (observations !== this.kept) expect(isBroken).toBe(false)
    expect(this.truth.since).not.toBeNull()
    if (by === 'hand') return
    const { since, pausedMs } = this.truth
    expect(this.now - (since ?? this.now) - pausedMs).toBeGreaterThanOrEqual(
      stages[before.stage]?.holdMs ?? 0,
    )
    const { reading, unreadSince } = observations
    expect(reading?.sampleRatio.mismatch).toBe(false)
    expect(reading?.life.verdict).not.toBe('all_silent')
    expect(unreadSince === null || at - unreadSince <= 30_000).toBe(true)
    if (whenTooFew !== 'advance') {
      expect(reading?.units.treatment).toBeGreaterThanOrEqual(stages[before.stage]?.minUnits ?? 0)
    }
  }
}
