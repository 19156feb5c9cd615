import { describe, expect, it } from 'vitest'
import { decide } from '../../../src/rollouts/decide.ts'
import type { Decision, Deed, ReasonCode } from '../../../src/rollouts/decision.ts'
import { grantsOf, largestPercentage } from '../../../src/rollouts/grants.ts'
import type { Observations, Reading } from '../../../src/rollouts/observations.ts'
import type { AdvanceWindow, Plan } from '../../../src/rollouts/plan.ts'
import { newProgress, type Progress } from '../../../src/rollouts/progress.ts'
import {
  DAY_MS,
  HOUR_MS,
  MINUTE_MS,
  makeGuardReading,
  makeGuardrail,
  makeObservations,
  makePlan,
  makeReading,
  makeSignal,
  makeStage,
} from '../../support/rollouts.ts'

const T0 = 1_772_366_400_000

/** Decides, and stores what was decided as whoever carries it out does. */
function step(plan: Plan, progress: Progress, observations: Observations, now: number): Decision {
  const decision = decide(plan, progress, observations, now)
  const next = decision.progress
  return { ...decision, progress: { ...next, grantedVersion: next.grantedVersion ?? next.epoch } }
}

/** What a rollout does at each of some instants, and the most that anybody is given then. */
function follow(
  plan: Plan,
  hours: readonly number[],
  observationsAt: (progress: Progress, now: number) => Observations,
): readonly (readonly [hours: number, deed: Deed, reason: ReasonCode, percentage: number])[] {
  let progress: Progress = { ...newProgress(), state: 'scheduled' }
  return hours.map((hour) => {
    const now = T0 + hour * HOUR_MS
    const decision = step(plan, progress, observationsAt(progress, now), now)
    progress = decision.progress
    return [hour, decision.deed, decision.reason.code, largestPercentage(plan, progress)]
  })
}

/** The hub has published what was granted last, at once. */
function publishedAtOnce({ epoch, grantedAt }: Progress): Observations {
  return makeObservations({ published: { version: epoch, at: grantedAt ?? 0 } })
}

describe('a rollout that nothing stands in the way of', () => {
  it('goes through its stages, each for as long as it holds', () => {
    expect(follow(makePlan(), [0, 0.5, 0.9, 1, 1.5, 2, 2.5, 3, 4], publishedAtOnce)).toEqual([
      [0, 'advance', 'start', 10],
      [0.5, 'confirm', 'hold_not_over', 10],
      [0.9, 'hold', 'hold_not_over', 10],
      [1, 'advance', 'hold_over', 50],
      [1.5, 'confirm', 'hold_not_over', 50],
      [2, 'advance', 'hold_over', 100],
      [2.5, 'confirm', 'hold_not_over', 100],
      [3, 'finish', 'last_stage_over', 100],
      [4, 'hold', 'nothing_to_do', 100],
    ])
  })

  it('goes one stage further after hours without a tick, and not two', () => {
    expect(follow(makePlan(), [0, 3, 3.1, 4], publishedAtOnce)).toEqual([
      [0, 'advance', 'start', 10],
      [3, 'advance', 'hold_over', 50],
      [3.1, 'confirm', 'hold_not_over', 50],
      [4, 'advance', 'hold_over', 100],
    ])
  })

  it('counts a hold from when the hub has published it, so that an outage delays and never skips', () => {
    const published = ({ epoch }: Progress, now: number) =>
      makeObservations({
        published: now < T0 + 5 * HOUR_MS ? { version: 0, at: T0 } : { version: epoch, at: T0 + 5 * HOUR_MS },
      })
    expect(follow(makePlan(), [0, 2, 4.9, 5.5, 6], published)).toEqual([
      [0, 'advance', 'start', 10],
      [2, 'hold', 'not_published', 10],
      [4.9, 'hold', 'not_published', 10],
      [5.5, 'confirm', 'hold_not_over', 10],
      [6, 'advance', 'hold_over', 50],
    ])
  })

  it('does nothing when the clock goes backwards, and counts on from where it was', () => {
    expect(follow(makePlan(), [0, 1, 0.5, -48, 1.5, 2], publishedAtOnce)).toEqual([
      [0, 'advance', 'start', 10],
      [1, 'advance', 'hold_over', 50],
      [0.5, 'confirm', 'hold_not_over', 50],
      [-48, 'hold', 'hold_not_over', 50],
      [1.5, 'hold', 'hold_not_over', 50],
      [2, 'advance', 'hold_over', 100],
    ])
  })

  it('is looked at more and more rarely, then ends', () => {
    const plan = makePlan({
      stages: [makeStage({ percentage: 100, holdMs: 0 })],
      watch: [
        { forMs: 2 * HOUR_MS, everyMs: HOUR_MS },
        { forMs: DAY_MS, everyMs: 12 * HOUR_MS },
      ],
    })
    expect(follow(plan, [0, 1, 1.5, 2, 3, 14, 15, 26.9, 27], publishedAtOnce)).toEqual([
      [0, 'advance', 'start', 100],
      [1, 'complete', 'last_stage_over', 100],
      [1.5, 'hold', 'nothing_to_do', 100],
      [2, 'look', 'look_due', 100],
      [3, 'hold', 'nothing_to_do', 100],
      [14, 'look', 'look_due', 100],
      [15, 'hold', 'nothing_to_do', 100],
      [26.9, 'look', 'look_due', 100],
      [27, 'finish', 'watch_over', 100],
    ])
  })

  it('passes through stages that last no time, where nothing is watched', () => {
    const brief = makeStage({ percentage: 20, holdMs: 0 })
    const stages = [makeStage({ percentage: 10 }), brief, makeStage({ percentage: 50 })]
    expect(follow(makePlan({ stages }), [0, 1], publishedAtOnce)[1]).toEqual([1, 'advance', 'hold_over', 50])
    const gated = [stages[0] ?? brief, brief, makeStage({ percentage: 50, approval: true })]
    expect(follow(makePlan({ stages: gated }), [0, 1], publishedAtOnce)[1]).toEqual([
      1,
      'advance',
      'hold_over',
      20,
    ])
  })
})

/** A rollout in its first stage, 10 % of everyone, which the edge has had for an hour: its hold is over. */
function heldProgress(overrides: Partial<Progress> = {}): Progress {
  return {
    ...newProgress(),
    state: 'running',
    stage: 0,
    epoch: 1,
    startedAt: T0 - HOUR_MS,
    grantedAt: T0 - HOUR_MS,
    grantedVersion: 1,
    publishedAt: T0 - HOUR_MS,
    ...overrides,
  }
}

function observe(reading: Partial<Reading> = {}, overrides: Partial<Observations> = {}): Observations {
  return makeObservations({ reading: makeReading(T0, reading), ...overrides })
}

const GUARDED = makePlan({ guardrails: [makeGuardrail()] })
const BROKEN = makeGuardReading({ verdict: 'broken', words: 'treated 14 of 900, control 31 of 8,100' })
const { sampleRatio, life } = makeReading(T0)
const MISMATCH = { sampleRatio: { ...sampleRatio, mismatch: true } }
const ALL_SILENT = { life: { ...life, verdict: 'all_silent' as const } }
const SILENT = { life: { ...life, verdict: 'treatment_silent' as const } }
const NEXT_APPROVED = [makeStage({ percentage: 10 }), makeStage({ percentage: 50, approval: true })]
const NEXT_GATED = [
  makeStage({ percentage: 10 }),
  makeStage({ percentage: 50, gates: [{ name: 'ci-green', maxAgeMs: HOUR_MS }] }),
]
const NEEDY = [makeStage({ percentage: 10, minUnits: 1_000 }), makeStage({ percentage: 50 })]
// A Sunday, at noon.
const WORKDAYS: AdvanceWindow = { days: [1, 2, 3, 4, 5], from: 540, to: 1_020, timeZone: 'Europe/Dublin' }

describe('what is decided when the hold of 10 % is over', () => {
  it.each<[string, Plan, Observations, Partial<Progress>, Deed, ReasonCode]>([
    ['all is well', GUARDED, observe({ guards: [makeGuardReading()] }), {}, 'advance', 'hold_over'],
    [
      'all is shown to be safe',
      GUARDED,
      observe({ guards: [makeGuardReading({ shownSafe: true })] }),
      {},
      'advance',
      'shown_safe',
    ],
    ['a guardrail is broken', GUARDED, observe({ guards: [BROKEN] }), {}, 'rollback', 'guard_broken'],
    [
      'it is broken, and everything else stands still',
      GUARDED,
      observe({ guards: [BROKEN], ...MISMATCH }, { unreadSince: 1 }),
      {},
      'rollback',
      'guard_broken',
    ],
    [
      'it is broken while paused',
      GUARDED,
      observe({ guards: [BROKEN] }),
      { state: 'paused', pausedAt: T0 },
      'rollback',
      'guard_broken',
    ],
    ['the treated are silent', GUARDED, observe(SILENT), {}, 'rollback', 'treatment_silent'],
    ['everybody is silent', GUARDED, observe(ALL_SILENT), {}, 'hold', 'all_silent'],
    ['the arms have the wrong size', GUARDED, observe(MISMATCH), {}, 'hold', 'sample_ratio'],
    [
      'a shard was not read for half a minute',
      GUARDED,
      observe({}, { unreadSince: T0 - 30_001 }),
      {},
      'hold',
      'unread',
    ],
    [
      'a shard was not read for less',
      GUARDED,
      observe({ guards: [makeGuardReading()] }, { unreadSince: T0 - 30_000 }),
      {},
      'advance',
      'hold_over',
    ],
    ['nothing was read', GUARDED, makeObservations(), {}, 'hold', 'not_read_yet'],
    [
      'what was read ends before the stage',
      GUARDED,
      observe({}),
      { publishedAt: T0 + 1, pausedMs: -HOUR_MS },
      'hold',
      'not_read_yet',
    ],
    [
      'what was read is old',
      GUARDED,
      makeObservations({ reading: makeReading(T0 - MINUTE_MS) }),
      {},
      'hold',
      'unread',
    ],
    ['nothing is watched, and nothing was read', makePlan(), makeObservations(), {}, 'advance', 'hold_over'],
    ['it is paused', makePlan(), observe(), { state: 'paused', pausedAt: T0 }, 'hold', 'paused'],
    [
      'it was paused for half of the time',
      makePlan(),
      observe(),
      { pausedMs: HOUR_MS / 2 },
      'hold',
      'hold_not_over',
    ],
    [
      'nobody has approved the next stage',
      makePlan({ stages: NEXT_APPROVED }),
      observe(),
      {},
      'hold',
      'approval_missing',
    ],
    [
      'somebody has approved another',
      makePlan({ stages: NEXT_APPROVED }),
      observe(),
      { approved: [2] },
      'hold',
      'approval_missing',
    ],
    [
      'somebody has approved it',
      makePlan({ stages: NEXT_APPROVED }),
      observe(),
      { approved: [1] },
      'advance',
      'hold_over',
    ],
    ['its gate has not passed', makePlan({ stages: NEXT_GATED }), observe(), {}, 'hold', 'gate_missing'],
    [
      'its gate passed',
      makePlan({ stages: NEXT_GATED }),
      observe({}, { signals: [makeSignal({ at: T0 })] }),
      {},
      'advance',
      'hold_over',
    ],
    [
      'its gate passed long ago',
      makePlan({ stages: NEXT_GATED }),
      observe({}, { signals: [makeSignal({ at: T0 - HOUR_MS - 1 })] }),
      {},
      'hold',
      'gate_missing',
    ],
    [
      'its gate passed, and failed since',
      makePlan({ stages: NEXT_GATED }),
      observe({}, { signals: [makeSignal({ at: T0, passed: false }), makeSignal({ at: T0 - 1 })] }),
      {},
      'hold',
      'gate_failed',
    ],
    ['too few units came, and it waits', makePlan({ stages: NEEDY }), observe(), {}, 'hold', 'too_few_units'],
    [
      'too few units came, and it is extended',
      makePlan({ stages: NEEDY, whenTooFew: 'extend' }),
      observe(),
      {},
      'hold',
      'extended',
    ],
    [
      'too few units came, and it was extended',
      makePlan({ stages: NEEDY, whenTooFew: 'extend' }),
      observe(),
      { extended: true },
      'hold',
      'extended',
    ],
    [
      'too few units came, though it was extended for as long again',
      makePlan({ stages: NEEDY, whenTooFew: 'extend' }),
      observe(),
      { extended: true, publishedAt: T0 - 2 * HOUR_MS },
      'hold',
      'too_few_units',
    ],
    [
      'enough units came in the extension',
      makePlan({ stages: NEEDY, whenTooFew: 'extend' }),
      observe({ units: { treatment: 1_000, control: 9_000 } }),
      { extended: true },
      'advance',
      'hold_over',
    ],
    [
      'too few units came, and it goes on',
      makePlan({ stages: NEEDY, whenTooFew: 'advance' }),
      observe(),
      {},
      'advance',
      'hold_over',
    ],
    [
      'too few units came, and it goes back',
      makePlan({ stages: NEEDY, whenTooFew: 'rollback' }),
      observe(),
      {},
      'rollback',
      'too_few_units',
    ],
    [
      'it must be shown safe, and is not',
      { ...GUARDED, advanceWhen: 'shown-safe' },
      observe({ guards: [makeGuardReading()] }),
      {},
      'hold',
      'not_shown_safe',
    ],
    [
      'it must be shown safe, and is',
      { ...GUARDED, advanceWhen: 'shown-safe' },
      observe({ guards: [makeGuardReading({ shownSafe: true })] }),
      {},
      'advance',
      'shown_safe',
    ],
    ['it is Sunday', makePlan({ windows: [WORKDAYS] }), observe(), {}, 'hold', 'outside_window'],
    [
      'it is Sunday, and a guardrail is broken',
      { ...GUARDED, windows: [WORKDAYS] },
      observe({ guards: [BROKEN] }),
      {},
      'rollback',
      'guard_broken',
    ],
    [
      'a signal that takes it back failed',
      makePlan({ signals: [{ kind: 'scan', action: 'rollback', mode: 'immediate' }] }),
      observe({}, { signals: [makeSignal({ kind: 'scan', passed: false })] }),
      {},
      'rollback',
      'signal_failed',
    ],
    [
      'a signal that holds it failed',
      makePlan({ signals: [{ kind: 'scan', action: 'hold', mode: 'immediate' }] }),
      observe({}, { signals: [makeSignal({ kind: 'scan', passed: false })] }),
      {},
      'hold',
      'signal_hold',
    ],
    [
      'it failed, and passed since',
      makePlan({ signals: [{ kind: 'scan', action: 'rollback', mode: 'immediate' }] }),
      observe(
        {},
        { signals: [makeSignal({ kind: 'scan', at: 1 }), makeSignal({ kind: 'scan', passed: false })] },
      ),
      {},
      'advance',
      'hold_over',
    ],
    [
      'a signal that no plan names failed',
      makePlan(),
      observe({}, { signals: [makeSignal({ passed: false })] }),
      {},
      'advance',
      'hold_over',
    ],
  ])('%s', (_, plan, observations, progress, deed, code) => {
    const decision = decide(plan, heldProgress(progress), observations, T0)
    expect([decision.deed, decision.reason.code]).toEqual([deed, code])
  })

  it('says whether the stage that it leaves was proven', () => {
    const provenWith = (shownSafe: boolean) =>
      decide(GUARDED, heldProgress(), observe({ guards: [makeGuardReading({ shownSafe })] }), T0).proven
    expect([provenWith(true), provenWith(false)]).toEqual([true, false])
    expect(decide(makePlan(), heldProgress(), observe(), T0).proven).toBe(false)
  })

  it('proves nothing by a limit that nothing was held against', () => {
    const test = { kind: 'threshold', side: 'above', limit: 0.1, quantile: null, literal: null } as const
    const plan = makePlan({ guardrails: [makeGuardrail({ test })] })
    const guards = [makeGuardReading({ shownSafe: true, verdict: 'waiting' })]
    expect(decide(plan, heldProgress(), observe({ guards }), T0).proven).toBe(false)
  })
})

describe('a rollout that waits to begin', () => {
  const scheduled: Progress = { ...newProgress(), state: 'scheduled' }
  it.each<[string, Partial<Plan>, Partial<Observations>, Deed, ReasonCode]>([
    ['for nothing', {}, {}, 'advance', 'start'],
    ['for its instant', { startAt: T0 + 1 }, {}, 'hold', 'waiting_for_start'],
    ['for its instant, which is now', { startAt: T0 }, {}, 'advance', 'start'],
    ['for another', {}, { notDone: ['other0000000'] }, 'hold', 'waiting_for_others'],
    ['for Monday', { windows: [WORKDAYS] }, {}, 'hold', 'outside_window'],
    ['for an approval', { stages: [makeStage({ approval: true })] }, {}, 'hold', 'approval_missing'],
    [
      'for a gate',
      { stages: [makeStage({ gates: [{ name: 'ci-green', maxAgeMs: null }] })] },
      {},
      'hold',
      'gate_missing',
    ],
    [
      'although a signal that would take it back failed',
      { signals: [{ kind: 'scan', action: 'rollback', mode: 'immediate' }] },
      { signals: [makeSignal({ kind: 'scan', passed: false })] },
      'hold',
      'signal_hold',
    ],
  ])('%s', (_, plan, observations, deed, code) => {
    const decision = decide(makePlan(plan), scheduled, makeObservations(observations), T0)
    expect([decision.deed, decision.reason.code]).toEqual([deed, code])
  })
})

describe('a rollback', () => {
  it('never ends before the rollout was complete, by a clock that goes backwards', () => {
    const watching = heldProgress({ state: 'watching', stage: 2, endedAt: T0 })
    const { deed, progress } = decide(GUARDED, watching, observe({ guards: [BROKEN] }), T0 - DAY_MS)
    expect([deed, progress.state, progress.endedAt]).toEqual(['rollback', 'rolled_back', T0])
  })

  const gradual = makePlan({
    guardrails: [
      makeGuardrail({ mode: 'gradual' }),
      makeGuardrail({ id: 'crash', metric: 'crash', mode: 'immediate' }),
    ],
  })

  it('takes steps that are below what is served, each for as long as they hold, and ends', () => {
    const at40 = heldProgress({ stage: 1, overrides: { 0: 40 } })
    let progress = at40
    const steps = [0, 5, 10, 15, 20].map((minutes) => {
      const now = T0 + minutes * MINUTE_MS
      const published = { version: progress.epoch, at: progress.grantedAt ?? 0 }
      const decision = step(gradual, progress, observe({ guards: [BROKEN] }, { published }), now)
      progress = decision.progress
      return [
        minutes,
        decision.deed,
        decision.reason.code,
        progress.state,
        largestPercentage(gradual, progress),
      ]
    })
    expect(steps).toEqual([
      [0, 'rollback', 'guard_broken', 'rolling_back', 25],
      [5, 'confirm', 'hold_not_over', 'rolling_back', 25],
      [10, 'rollback', 'step_over', 'rolled_back', 0],
      [15, 'hold', 'nothing_to_do', 'rolled_back', 0],
      [20, 'hold', 'nothing_to_do', 'rolled_back', 0],
    ])
  })

  it('does not wait for a publication that the hub does not tell of', () => {
    const descending = decide(gradual, heldProgress({ stage: 1 }), observe({ guards: [BROKEN] }), T0).progress
    const unpublished = makeObservations({ published: null })
    const ceilingAfter = (minutes: number) =>
      decide(gradual, descending, unpublished, T0 + minutes * MINUTE_MS).progress.descent?.ceiling
    expect([ceilingAfter(9), ceilingAfter(10)]).toEqual([25, 0])
  })

  it('goes straight to nothing when a guardrail asks for that while it goes down', () => {
    const descending = decide(gradual, heldProgress({ stage: 1 }), observe({ guards: [BROKEN] }), T0).progress
    const crashed = observe({ guards: [BROKEN, { ...BROKEN, guardrail: 'crash' }] })
    expect(decide(gradual, descending, crashed, T0 + 1)).toMatchObject({
      deed: 'rollback',
      reason: { code: 'guard_broken', subject: 'crash' },
      progress: { state: 'rolled_back', descent: { mode: 'immediate', ceiling: 0, cause: 'crash' } },
    })
  })

  it('is immediate when one guardrail asks for that and another does not', () => {
    const guards = [BROKEN, { ...BROKEN, guardrail: 'crash' }]
    expect(decide(gradual, heldProgress({ stage: 1 }), observe({ guards }), T0)).toMatchObject({
      deed: 'rollback',
      reason: { subject: 'crash' },
      progress: { state: 'rolled_back', epoch: 2, endedAt: T0 },
    })
  })

  it('says in words which audience went bad, and by how much', () => {
    expect(decide(GUARDED, heldProgress(), observe({ guards: [BROKEN] }), T0).reason).toEqual({
      code: 'guard_broken',
      subject: 'checkout-error-regression',
      words: 'checkout-error: treated 14 of 900, control 31 of 8,100',
    })
  })

  describe('of the audience that went bad', () => {
    const ireland = { attribute: 'cf.country', op: 'equals', values: ['IE'] } as const
    const spain = { attribute: 'cf.country', op: 'equals', values: ['ES'] } as const
    const plan = makePlan({
      stages: [
        makeStage({ name: 'Ireland', audience: ireland, percentage: 50 }),
        makeStage({ name: 'Spain', audience: spain, percentage: 50 }),
        makeStage({ percentage: 10 }),
      ],
      guardrails: [makeGuardrail({ mode: 'partial' })],
    })
    const badAt = (...audiences: number[]) =>
      observe({ guards: audiences.map((audience) => ({ ...BROKEN, audience })) })

    it('leaves the others what they have, and their hold', () => {
      const { deed, reason, progress } = decide(plan, heldProgress({ stage: 2 }), badAt(0), T0)
      expect([deed, reason.words]).toEqual([
        'rollback',
        'checkout-error among "Ireland": treated 14 of 900, control 31 of 8,100',
      ])
      expect(progress).toEqual(heldProgress({ stage: 2, epoch: 2, blocked: [0] }))
      expect(grantsOf(plan, progress)).toEqual([
        { audience: ireland, percentage: 0 },
        { audience: { all: [spain, { not: ireland }] }, percentage: 50 },
        { audience: { not: ireland }, percentage: 10 },
      ])
    })

    it('happens once, and of several at once', () => {
      const progress = heldProgress({ stage: 2 })
      expect(decide(plan, progress, badAt(0, 1), T0).progress).toMatchObject({ blocked: [0, 1], epoch: 2 })
      const blocked = { ...progress, blocked: [0] }
      expect(decide(plan, blocked, badAt(0), T0).deed).not.toBe('rollback')
      expect(decide(plan, blocked, badAt(0, 1), T0).progress).toMatchObject({ blocked: [0, 1] })
    })

    it.each([
      ['nobody else is left', 0, [0]],
      ['it is everyone', 2, [2]],
    ])('takes back the rollout when %s', (_, stage, audiences) => {
      const { progress } = decide(plan, heldProgress({ stage }), badAt(...audiences), T0)
      expect(progress).toMatchObject({ state: 'rolled_back', blocked: [], descent: { ceiling: 0 } })
      expect(largestPercentage(plan, progress)).toBe(0)
    })
  })
})

describe('a guardrail that pauses', () => {
  const plan = makePlan({ guardrails: [makeGuardrail({ action: 'pause' })] })
  const observations = observe({ guards: [BROKEN] })

  it('pauses once; after a person has resumed, it holds', () => {
    const paused = decide(plan, heldProgress(), observations, T0)
    expect([paused.deed, paused.reason.code, paused.progress.state]).toEqual([
      'pause',
      'guard_pause',
      'paused',
    ])
    const resumed: Progress = { ...paused.progress, state: 'running', pausedAt: null }
    const later = decide(plan, resumed, observations, T0)
    expect([later.deed, later.reason.code, later.progress.state]).toEqual(['hold', 'guard_pause', 'running'])
  })
})

describe('people are told', () => {
  it('of a guardrail that only notifies, once an hour, while the rollout goes on', () => {
    const plan = makePlan({
      stages: [makeStage({ holdMs: DAY_MS })],
      guardrails: [makeGuardrail({ action: 'would-roll-back' })],
    })
    let progress = heldProgress()
    const told = [0, 30, 59, 60, 90].map((minutes) => {
      const now = T0 + minutes * MINUTE_MS
      const reading = makeReading(now, { guards: [BROKEN] })
      const decision = decide(plan, progress, makeObservations({ reading }), now)
      progress = decision.progress
      return [minutes, decision.deed, decision.notices.map(({ code, subject }) => `${code} ${subject}`)]
    })
    expect(told).toEqual([
      [0, 'hold', ['guard_broken checkout-error-regression']],
      [30, 'hold', []],
      [59, 'hold', []],
      [60, 'hold', ['guard_broken checkout-error-regression']],
      [90, 'hold', []],
    ])
  })

  it('of what a stage waits for from them, once a day, and never of a hold that ends by itself', () => {
    const plan = makePlan({ stages: NEXT_APPROVED })
    let progress = heldProgress({ publishedAt: T0 })
    const told = [0.5, 1, 2, 24.9, 25].map((hours) => {
      const decision = decide(plan, progress, makeObservations(), T0 + hours * HOUR_MS)
      progress = decision.progress
      return [hours, decision.reason.code, decision.notices.length]
    })
    expect(told).toEqual([
      [0.5, 'hold_not_over', 0],
      [1, 'approval_missing', 1],
      [2, 'approval_missing', 0],
      [24.9, 'approval_missing', 0],
      [25, 'approval_missing', 1],
    ])
  })

  it('nothing that leaves the progress other than it was, when there is nothing to tell', () => {
    const progress = heldProgress({ publishedAt: T0 })
    expect(decide(GUARDED, progress, observe(), T0).progress).toBe(progress)
  })
})

describe('what a latency is compared with', () => {
  const plan = makePlan({
    guardrails: [makeGuardrail({ test: { kind: 'regression', tolerance: 0.1, quantile: 0.95 } })],
  })
  const quantiles = { 'checkout-error-regression': 840 }

  it('is frozen as soon as it is known, without touching what is granted', () => {
    const progress = heldProgress({ publishedAt: T0 })
    const decision = decide(plan, progress, observe({}, { quantiles }), T0)
    expect([decision.deed, decision.reason.code]).toEqual(['freeze', 'frozen'])
    expect(decision.progress).toEqual({ ...progress, epoch: 2, frozen: quantiles })
    expect(decide(plan, decision.progress, observe({}, { quantiles }), T0).deed).toBe('hold')
  })

  it('is frozen again with every stage', () => {
    const before = heldProgress({ frozen: { 'checkout-error-regression': 700 } })
    const guards = [makeGuardReading()]
    const { deed, progress } = decide(plan, before, observe({ guards }, { quantiles }), T0)
    expect([deed, progress.epoch, progress.frozen]).toEqual(['advance', 2, quantiles])
    expect(decide(plan, before, observe({ guards }), T0).progress.frozen).toEqual(before.frozen)
  })

  it('is asked for of no other guardrail', () => {
    const progress = heldProgress({ publishedAt: T0 })
    expect(decide(GUARDED, progress, observe({}, { quantiles }), T0).deed).toBe('hold')
  })
})
