import { describe, expect, it } from 'vitest'
import type { Result } from '../../../src/engine/result.ts'
import { decide } from '../../../src/rollouts/decide.ts'
import type { Decision } from '../../../src/rollouts/decision.ts'
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
} from '../../../src/rollouts/deeds.ts'
import { largestPercentage } from '../../../src/rollouts/grants.ts'
import type { Plan } from '../../../src/rollouts/plan.ts'
import { newProgress, type Progress, type RolloutState } from '../../../src/rollouts/progress.ts'
import {
  HOUR_MS,
  makeGuardReading,
  makeGuardrail,
  makeObservations,
  makePlan,
  makeReading,
  makeSignal,
  makeStage,
} from '../../support/rollouts.ts'

const T0 = 1_772_366_400_000

const PLAN = makePlan()
const IRELAND = { attribute: 'cf.country', op: 'equals', values: ['IE'] } as const

function running(overrides: Partial<Progress> = {}): Progress {
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

function done(result: Result<Decision, DeedError>): Decision {
  if (!result.ok) throw new Error(JSON.stringify(result.error))
  return result.value
}

/** Why it was refused; undefined when it was not. */
function refusal(result: Result<Decision, DeedError>): DeedError | undefined {
  return result.ok ? undefined : result.error
}

describe('starting', () => {
  const begin = (plan: Plan, needsApproval = false) =>
    start(plan, newProgress(), { observations: makeObservations(), needsApproval }, T0)

  it('grants the first stage', () => {
    expect(done(begin(PLAN))).toEqual({
      deed: 'advance',
      reason: { code: 'start', words: 'it starts: "10 %" begins' },
      progress: { ...newProgress(), state: 'running', stage: 0, epoch: 1, startedAt: T0, grantedAt: T0 },
      proven: null,
      notices: [],
    })
  })

  it('schedules it where something stands before the first stage', () => {
    const { deed, reason, progress } = done(begin(makePlan({ startAt: T0 + HOUR_MS })))
    expect([deed, reason.code, progress.state, progress.epoch]).toEqual([
      'schedule',
      'waiting_for_start',
      'scheduled',
      0,
    ])
  })

  it('waits for a second person, whose approval begins it', () => {
    const waiting = done(begin(PLAN, true))
    expect([waiting.deed, waiting.reason.code, waiting.progress.state]).toEqual([
      'schedule',
      'approval_missing',
      'awaiting_approval',
    ])
    const observations = makeObservations()
    expect(decide(PLAN, waiting.progress, observations, T0 + HOUR_MS).deed).toBe('hold')
    const { deed, progress } = done(approve(PLAN, waiting.progress, { stage: null, observations }, T0))
    expect([deed, progress.state, progress.stage, progress.approved]).toEqual(['advance', 'running', 0, [0]])
  })
})

describe('pausing', () => {
  it('stops the hold, which goes on from where it stood', () => {
    const paused = done(pause(PLAN, running({ publishedAt: T0 - HOUR_MS / 2 }), T0)).progress
    const resumed = done(resume(PLAN, paused, makeObservations(), T0 + 5 * HOUR_MS)).progress
    const deedAfter = (hours: number) => decide(PLAN, resumed, makeObservations(), T0 + hours * HOUR_MS).deed
    expect([deedAfter(5.4), deedAfter(5.5)]).toEqual(['hold', 'advance'])
  })

  it('does not shorten a hold that has not begun', () => {
    const paused = done(pause(PLAN, running({ publishedAt: null }), T0)).progress
    const observations = makeObservations({ published: { version: 1, at: T0 + 2 * HOUR_MS } })
    const known = decide(PLAN, paused, observations, T0 + 2 * HOUR_MS).progress
    expect([known.state, known.publishedAt, known.pausedAt]).toEqual([
      'paused',
      T0 + 2 * HOUR_MS,
      T0 + 2 * HOUR_MS,
    ])
    const resumed = done(resume(PLAN, known, makeObservations(), T0 + 3 * HOUR_MS)).progress
    const deedAfter = (hours: number) => decide(PLAN, resumed, observations, T0 + hours * HOUR_MS).deed
    expect([deedAfter(3.9), deedAfter(4)]).toEqual(['hold', 'advance'])
  })

  it('keeps a rollout that has not begun from beginning', () => {
    const scheduled: Progress = { ...newProgress(), state: 'scheduled' }
    const paused = done(pause(PLAN, scheduled, T0)).progress
    expect(decide(PLAN, paused, makeObservations(), T0).reason.code).toBe('paused')
    expect(done(resume(PLAN, paused, makeObservations(), T0)).progress.state).toBe('scheduled')
  })
})

describe('approving', () => {
  const plan = makePlan({
    stages: [10, 50, 100].map((percentage) => makeStage({ percentage, approval: true })),
  })
  const give = (progress: Progress, stage: number | null) =>
    approve(plan, progress, { stage, observations: makeObservations() }, T0)

  it('lets the next stage begin when its time has come, and only that one', () => {
    const { deed, progress } = done(give(running({ publishedAt: T0 }), null))
    expect([deed, progress.approved, progress.stage]).toEqual(['approve', [1], 0])
    const next = decide(plan, progress, makeObservations(), T0 + HOUR_MS)
    expect([next.deed, next.progress.stage]).toEqual(['advance', 1])
  })

  it('may be ahead of its time, and once is enough', () => {
    const { approved } = done(give(done(give(running(), 2)).progress, 1)).progress
    expect(approved).toEqual([1, 2])
    expect(done(give(running({ approved }), 2)).progress.approved).toEqual([1, 2])
  })

  it.each([[0], [3]])('is refused for stage %i, which has begun or does not exist', (stage) => {
    expect(refusal(give(running(), stage))).toEqual({ reason: 'unknown_stage', stage })
  })
})

describe('advancing by hand', () => {
  const go = (plan: Plan, progress: Progress, observations = makeObservations()) =>
    advance(plan, progress, observations, T0)

  it('does not wait for the hold, for units, for the right hour or for what was counted', () => {
    const plan = makePlan({
      stages: [makeStage({ minUnits: 1_000 }), makeStage({ percentage: 50 })],
      guardrails: [makeGuardrail()],
      advanceWhen: 'shown-safe',
      windows: [{ days: [1], from: 0, to: 60, timeZone: 'UTC' }],
    })
    const { deed, reason, progress, proven } = done(go(plan, running({ publishedAt: T0 - 1 })))
    expect([deed, reason.code, progress.stage, proven]).toEqual(['advance', 'by_hand', 1, false])
  })

  it('begins a scheduled rollout before its instant', () => {
    const scheduled: Progress = { ...newProgress(), state: 'scheduled' }
    expect(done(go(makePlan({ startAt: T0 + HOUR_MS }), scheduled)).progress.stage).toBe(0)
  })

  const gated = makePlan({
    stages: [makeStage(), makeStage({ percentage: 50, gates: [{ name: 'ci-green', maxAgeMs: null }] })],
  })
  const approvable = makePlan({ stages: [makeStage(), makeStage({ percentage: 50, approval: true })] })
  const guarded = makePlan({ guardrails: [makeGuardrail()] })
  const reading = makeReading(T0, { guards: [makeGuardReading({ verdict: 'broken' })] })

  it.each<[string, Plan, Partial<Progress>, ReturnType<typeof makeObservations>, string]>([
    ['a gate that is closed', gated, {}, makeObservations(), 'gate_missing'],
    ['a stage that nobody approved', approvable, {}, makeObservations(), 'approval_missing'],
    ['a guardrail that is broken', guarded, {}, makeObservations({ reading }), 'guard_broken'],
    [
      'a stage that the edge does not have',
      PLAN,
      { publishedAt: null },
      makeObservations({ published: null }),
      'not_published',
    ],
    [
      'another rollout that is not done',
      PLAN,
      { ...newProgress(), state: 'scheduled' },
      makeObservations({ notDone: ['other0000000'] }),
      'waiting_for_others',
    ],
    [
      'a signal that failed',
      makePlan({ signals: [{ kind: 'scan', action: 'hold', mode: 'immediate' }] }),
      {},
      makeObservations({ signals: [makeSignal({ kind: 'scan', passed: false })] }),
      'signal_hold',
    ],
  ])('cannot wave aside %s', (_, plan, progress, observations, code) => {
    expect(refusal(go(plan, running(progress), observations))).toMatchObject({
      reason: 'obstacle',
      obstacle: { code },
    })
  })

  it('ends with the last stage', () => {
    expect(refusal(go(PLAN, running({ stage: 2 })))).toEqual({ reason: 'no_stage_left' })
  })
})

describe('setting a percentage', () => {
  const set = (plan: Plan, progress: Progress, percentage: number) =>
    setPercentage(plan, progress, percentage, T0)

  it('begins the hold anew', () => {
    const { deed, progress } = done(set(PLAN, running(), 20))
    expect(deed).toBe('set_percentage')
    expect(progress).toEqual(
      running({ epoch: 2, overrides: { 0: 20 }, grantedAt: T0, grantedVersion: null, publishedAt: null }),
    )
    expect(largestPercentage(PLAN, progress)).toBe(20)
  })

  it('changes nothing where it changes nothing', () => {
    const progress = running()
    expect(done(set(PLAN, progress, 10)).progress).toBe(progress)
  })

  it('is forgotten when a stage has more, and kept while a stage of another audience begins', () => {
    const plan = makePlan({
      stages: [
        makeStage({ percentage: 10 }),
        makeStage({ percentage: 5, audience: IRELAND }),
        makeStage({ percentage: 50 }),
      ],
    })
    let progress = done(set(plan, running(), 3)).progress
    const percentages = [1, 2].map(() => {
      const known = { ...progress, publishedAt: T0, grantedVersion: 1 }
      progress = done(advance(plan, known, makeObservations(), T0)).progress
      return progress.overrides[0] ?? null
    })
    expect(percentages).toEqual([3, null])
  })

  it.each<[string, Plan, Partial<Progress>, number, number]>([
    ['what the next stage gives', PLAN, {}, 51, 50],
    ['what the last stage gives', makePlan({ stages: [makeStage()] }), {}, 11, 10],
    [
      'what stands behind a gate',
      makePlan({
        stages: [makeStage(), makeStage({ percentage: 50, gates: [{ name: 'ci-green', maxAgeMs: null }] })],
      }),
      {},
      11,
      10,
    ],
    [
      'what nobody has approved',
      makePlan({ stages: [makeStage(), makeStage({ percentage: 50, approval: true })] }),
      {},
      11,
      10,
    ],
    ['a part of a thousandth', PLAN, {}, 0.0001, 50],
    ['less than nothing', PLAN, {}, -1, 50],
  ])('is refused beyond %s', (_, plan, progress, percentage, to) => {
    expect(refusal(set(plan, running(progress), percentage))).toEqual({
      reason: 'percentage_out_of_range',
      from: 0,
      to,
    })
  })

  it('is refused for an audience that was taken back', () => {
    expect(refusal(set(PLAN, running({ blocked: [0] }), 5))).toEqual({
      reason: 'unknown_audience',
      audience: 0,
    })
  })
})

describe('rolling back by hand', () => {
  const back = (
    plan: Plan,
    progress: Progress,
    mode: 'immediate' | 'gradual' | 'partial',
    audiences: number[] = [],
  ) => rollBack(plan, progress, { mode, audiences }, T0)

  it.each<[string, Partial<Progress>]>([
    ['running', {}],
    ['paused', { state: 'paused', pausedAt: T0 }],
    ['being watched', { state: 'watching', stage: 2, endedAt: T0 - 1 }],
    [
      'going down already',
      { state: 'rolling_back', descent: { mode: 'gradual', audiences: null, ceiling: 5, cause: 'x' } },
    ],
  ])('takes back at once what is %s', (_, progress) => {
    const { deed, reason, progress: after } = done(back(PLAN, running(progress), 'immediate'))
    expect([
      deed,
      reason.code,
      after.state,
      largestPercentage(PLAN, after),
      after.endedAt,
      after.pausedAt,
    ]).toEqual(['rollback', 'by_hand', 'rolled_back', 0, T0, null])
  })

  it('goes down step by step', () => {
    const { progress } = done(back(PLAN, running({ stage: 2 }), 'gradual'))
    expect([progress.state, largestPercentage(PLAN, progress)]).toEqual(['rolling_back', 50])
    expect(refusal(back(PLAN, progress, 'gradual'))).toMatchObject({ reason: 'wrong_state' })
  })

  it('takes back some audiences, even before they are reached', () => {
    const plan = makePlan({
      stages: [makeStage(), makeStage({ audience: IRELAND, percentage: 50 })],
    })
    const { progress, reason } = done(back(plan, running(), 'partial', [1]))
    expect([progress.state, progress.blocked, reason.words]).toEqual([
      'running',
      [1],
      '"50 %" taken back by hand',
    ])
    expect(refusal(back(plan, progress, 'partial', [1]))).toEqual({ reason: 'unknown_audience', audience: 1 })
    expect(refusal(back(plan, progress, 'partial', [7]))).toEqual({ reason: 'unknown_audience', audience: 7 })
    expect(refusal(back(plan, progress, 'partial'))).toEqual({ reason: 'unknown_audience', audience: -1 })
  })
})

describe('completing', () => {
  const watched = makePlan({ watch: [{ forMs: HOUR_MS, everyMs: HOUR_MS }] })
  const finish = (plan: Plan, progress: Progress) => complete(plan, progress, makeObservations(), T0)

  it('ends the hold of the last stage, then the watch', () => {
    const { deed, progress } = done(finish(watched, running({ stage: 2, publishedAt: T0 })))
    expect([deed, progress.state, progress.endedAt]).toEqual(['complete', 'watching', T0])
    const last = done(finish(watched, progress))
    expect([last.deed, last.progress.state]).toEqual(['finish', 'done'])
  })

  it('passes over no stage', () => {
    expect(refusal(finish(watched, running({ stage: 0 })))).toEqual({ reason: 'stages_left', left: 2 })
  })
})

const ALL: readonly RolloutState[] = [
  'draft',
  'awaiting_approval',
  'scheduled',
  'running',
  'paused',
  'rolling_back',
  'rolled_back',
  'watching',
  'done',
  'cancelled',
]

it.each<[string, (progress: Progress) => Result<Decision, DeedError>, readonly RolloutState[]]>([
  ['start', (p) => start(PLAN, p, { observations: makeObservations(), needsApproval: false }, T0), ['draft']],
  ['pause', (p) => pause(PLAN, p, T0), ['scheduled', 'running']],
  ['resume', (p) => resume(PLAN, p, makeObservations(), T0), ['paused']],
  [
    'approve',
    (p) => approve(PLAN, p, { stage: 2, observations: makeObservations() }, T0),
    ['awaiting_approval', 'scheduled', 'running', 'paused'],
  ],
  ['advance', (p) => advance(PLAN, p, makeObservations(), T0), ['scheduled', 'running']],
  ['set a percentage', (p) => setPercentage(PLAN, p, 5, T0), ['running', 'paused']],
  [
    'roll back',
    (p) => rollBack(PLAN, p, { mode: 'immediate', audiences: [] }, T0),
    ['running', 'paused', 'rolling_back', 'watching'],
  ],
  [
    'roll back gradually',
    (p) => rollBack(PLAN, p, { mode: 'gradual', audiences: [] }, T0),
    ['running', 'paused', 'watching'],
  ],
  ['cancel', (p) => cancel(PLAN, p, T0), ['draft', 'awaiting_approval', 'scheduled']],
])('one can %s in these states alone', (_, deed, allowed) => {
  const possible = ALL.filter(
    (state) => refusal(deed(running({ state, stage: 0 })))?.reason !== 'wrong_state',
  )
  expect(possible).toEqual(allowed)
})
