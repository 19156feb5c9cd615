import { describe, expect, it } from 'vitest'
import { decide } from '../../../../src/rollouts/decide.ts'
import { rollBack } from '../../../../src/rollouts/deeds.ts'
import { incidentIdOf, openIncidents } from '../../../../src/rollouts/incidents/opening.ts'
import { factsOf, type Opening } from '../../../../src/rollouts/incidents/opening-facts.ts'
import type { GuardReading, Reading } from '../../../../src/rollouts/observations.ts'
import type { Plan } from '../../../../src/rollouts/plan.ts'
import { newProgress, type Progress } from '../../../../src/rollouts/progress.ts'
import type { Rollout } from '../../../../src/rollouts/rollout.ts'
import {
  HOUR_MS,
  MINUTE_MS,
  makeGuardReading,
  makeGuardrail,
  makeObservations,
  makePlan,
  makeReading,
  makeStage,
} from '../../../support/rollouts.ts'

const NOW = 100 * HOUR_MS
const IRELAND = { attribute: 'cf.country', op: 'equals', values: ['IE'] } as const
const STAGES = [
  makeStage({ name: 'Ireland', audience: IRELAND, percentage: 50 }),
  makeStage({ percentage: 10 }),
  makeStage({ percentage: 95 }),
  makeStage({ percentage: 100 }),
]
const AUTHOR = { actor: 'clock', comment: '', now: NOW }

const BROKEN: GuardReading = makeGuardReading({
  verdict: 'broken',
  evidence: 6,
  treatment: { hits: 14, units: 900 },
  control: { hits: 31, units: 8_100 },
  words: 'treated 14 of 900, control 31 of 8,100: 4.1 times',
  since: NOW - 5 * MINUTE_MS,
})

/** What a rollout that stands somewhere decides when it reads something. */
function opening(progress: Partial<Progress>, reading: Reading, plan: Partial<Plan> = {}): Opening {
  const rollout: Rollout = {
    id: 'r1',
    plan: makePlan({ stages: STAGES, guardrails: [makeGuardrail()], ...plan }),
    seed: 's',
    reversed: false,
    progress: {
      ...newProgress(),
      ...{
        state: 'running',
        stage: 1,
        epoch: 3,
        startedAt: 0,
        grantedAt: 0,
        grantedVersion: 1,
        publishedAt: 0,
      },
      ...progress,
    },
    revision: 4,
    retries: null,
    createdBy: 'ada',
    createdAt: 0,
    updatedAt: 0,
    startedBy: 'ada',
  }
  const observations = makeObservations({ reading })
  return { rollout, reading, decision: decide(rollout.plan, rollout.progress, observations, NOW) }
}

const broken = (more: Partial<GuardReading> = {}) =>
  makeReading(NOW - 10_000, { guards: [{ ...BROKEN, ...more }] })

/** The notice of what is opened, and how long somebody has to acknowledge it. */
function noticeOf(one: Opening) {
  const [notice] = openIncidents([one], AUTHOR).notices
  return { notice, withinMs: Number(notice?.facts.acknowledgeBy) - NOW }
}

describe('what a rollback opens', () => {
  it('has an id that is the same however often it is composed', () => {
    const one = opening({}, broken())
    expect(one.decision.deed).toBe('rollback')
    expect(incidentIdOf(one)).toBe('r1-4')
    expect(openIncidents([one], AUTHOR).notices).toEqual(openIncidents([one], AUTHOR).notices)
  })

  it.each<[string, Partial<Progress>, number]>([
    ['15 minutes while it ramps', {}, 15 * MINUTE_MS],
    ['an hour while it keeps some back', { stage: 2 }, 60 * MINUTE_MS],
    ['an hour at 100 %', { stage: 3 }, 60 * MINUTE_MS],
    [
      '15 minutes where a percentage was set back by hand',
      { stage: 2, overrides: { 1: 20 } },
      15 * MINUTE_MS,
    ],
    ['four hours while it is only watched', { state: 'watching', stage: 3, endedAt: 0 }, 240 * MINUTE_MS],
  ])('gives people %s', (_, progress, withinMs) => {
    const watch = [{ forMs: 1_000 * HOUR_MS, everyMs: HOUR_MS }]
    expect(noticeOf(opening(progress, broken(), { watch })).withinMs).toBe(withinMs)
  })

  it('begins with the evidence, and tells when it began and when there was enough', () => {
    const { notice } = noticeOf(opening({}, broken()))
    expect(notice?.text).toMatch(/^checkout-error: treated 14 of 900, control 31 of 8,100: 4\.1 times\n/)
    expect(notice?.facts).toMatchObject({
      beganAt: NOW - 5 * MINUTE_MS,
      detectedAt: NOW - 10_000,
      affected: 900,
      subject: 'checkout-error-regression',
    })
  })

  it('counts what the guardrails counted, and those alone that take back', () => {
    const quiet = makeGuardrail({ id: 'quiet', action: 'notify' })
    const reading = makeReading(NOW, { guards: [BROKEN, { ...BROKEN, guardrail: 'quiet' }] })
    const { guards, phase } = factsOf(opening({}, reading, { guardrails: [makeGuardrail(), quiet] }))
    expect([guards.map(({ guardrail }) => guardrail), phase]).toEqual([
      ['checkout-error-regression'],
      'ramping',
    ])
    expect(guards[0]?.ratio).toBeCloseTo(14 / 900 / (31 / 8_100), 12)
    expect(guards[0]?.oneIn).toBeCloseTo(Math.exp(6), 9)
  })

  it('is about the audience that went bad where that is taken back alone', () => {
    const guardrails = [makeGuardrail({ mode: 'partial' })]
    const facts = factsOf(opening({}, broken({ audience: 0 }), { guardrails }))
    expect(facts).toMatchObject({
      mode: 'partial',
      audiences: [0],
      affected: 900,
      shares: [
        { audience: 'Ireland', before: 50, after: 0 },
        { audience: '10 %', before: 10, after: 10 },
      ],
      guards: [{ audience: { place: 0, name: 'Ireland' } }],
    })
  })

  it('by hand has no evidence and is detected when it is done', () => {
    const { rollout } = opening({}, makeReading(NOW))
    const done = rollBack(rollout.plan, rollout.progress, { mode: 'immediate', audiences: [] }, NOW)
    if (!done.ok) throw new Error('it cannot be rolled back')
    const one = { rollout, decision: done.value, reading: null }
    expect(factsOf(one)).toMatchObject({ guards: [], affected: null, audiences: null, mode: 'immediate' })
    expect(noticeOf(one).notice?.facts).toMatchObject({ beganAt: null, detectedAt: NOW })
  })

  it('is nothing new for a further step of the same rollback', () => {
    const descent = { mode: 'gradual', audiences: null, ceiling: 25, cause: 'x' } as const
    const one = opening({ state: 'rolling_back', descent, publishedAt: 0 }, makeReading(NOW))
    expect(one.decision.deed).toBe('rollback')
    expect(openIncidents([one], AUTHOR).notices).toEqual([])
    expect(openIncidents([one], AUTHOR).statements).not.toEqual([])
  })

  it('takes as many statements for a hundred as for one', () => {
    const many = Array.from({ length: 100 }, () => opening({}, broken()))
    const count = (some: readonly Opening[]) => openIncidents(some, AUTHOR).statements.length
    expect(count(many)).toBe(count(many.slice(0, 1)))
  })
})
