import { describe, expect, it } from 'vitest'
import { canDoAbout, INCIDENT_DEEDS, type Incident } from '../../dashboard/src/incident.ts'
import {
  canDo,
  DEEDS,
  holdEnd,
  nextStage,
  type Rollout,
  stateOf,
  whyOf,
} from '../../dashboard/src/rollout.ts'
import { agoOf, percentageOf, spanOf } from '../../dashboard/src/wording.ts'

const HOUR = 3_600_000

const ROLLOUT: Rollout = {
  id: '7k2m4p9q1r3s',
  environment: 'production',
  flag: 'new-checkout',
  variant: 'on',
  state: 'running',
  stage: 0,
  stages: [
    { name: '10 %', percentage: 10, holdMs: HOUR, needsApproval: false },
    { name: 'half', percentage: 50, holdMs: HOUR, needsApproval: true },
    { name: 'all', percentage: 100, holdMs: 0, needsApproval: false },
  ],
  granted: [{ audience: 'everyone', percentage: 10 }],
  blocked: [],
  publishedAt: 1_000,
}

describe('what can be decided', () => {
  const deedsIn = (others: Partial<Rollout>) => DEEDS.filter((deed) => canDo(deed, { ...ROLLOUT, ...others }))

  it.each([
    ['draft', []],
    ['awaiting_approval', ['approve']],
    ['scheduled', []],
    ['running', ['pause', 'rollback']],
    ['paused', ['resume', 'rollback']],
    ['rolling_back', ['rollback']],
    ['rolled_back', []],
    ['watching', ['rollback']],
    ['done', []],
    ['cancelled', []],
  ])('about a rollout that is %s: %j', (state, deeds) => {
    expect(deedsIn({ state, stage: 1 })).toEqual(deeds)
    expect(stateOf({ ...ROLLOUT, state })).toMatch(/^[A-Z][a-z]/)
  })

  it('is whether the next stage may begin, where it waits for a person', () => {
    expect(deedsIn({ stage: 0 })).toEqual(['approve', 'pause', 'rollback'])
    expect(deedsIn({ stage: 2 })).toEqual(['pause', 'rollback'])
  })
})

it('says why: what would happen now, or what happened last where nothing would', () => {
  const health = { promise: { words: '' }, guards: [] }
  const last = {
    id: 7,
    at: 0,
    deed: 'rollback',
    reason: { code: 'by_hand', words: 'taken back by hand' },
    actor: 'grace@example.com',
    comment: '',
  }
  const whyAt = (code: string, ...decisions: (typeof last)[]) =>
    whyOf({ ...health, next: { code, words: 'it holds' } }, decisions)
  expect(whyAt('hold_not_over', last)).toBe('it holds')
  expect(whyAt('nothing_to_do', last)).toBe('taken back by hand')
  expect(whyAt('nothing_to_do')).toBe('it holds')
})

it('knows what can be done about an incident', () => {
  const deedsIn = (state: Incident['state']) => INCIDENT_DEEDS.filter((deed) => canDoAbout(deed, { state }))
  expect(deedsIn('open')).toEqual(['acknowledge', 'resolve'])
  expect(deedsIn('acknowledged')).toEqual(['resolve'])
  expect(deedsIn('resolved')).toEqual([])
})

it('knows what comes next, and when at the earliest', () => {
  expect(nextStage(ROLLOUT)?.name).toBe('half')
  expect(nextStage({ ...ROLLOUT, stage: -1 })?.name).toBe('10 %')
  expect(nextStage({ ...ROLLOUT, stage: 2 })).toBeUndefined()
  expect(nextStage({ ...ROLLOUT, state: 'rolled_back' })).toBeUndefined()
  expect(holdEnd(ROLLOUT)).toBe(1_000 + HOUR)
  expect(holdEnd({ ...ROLLOUT, publishedAt: null })).toBeNull()
  expect(holdEnd({ ...ROLLOUT, state: 'paused' })).toBeNull()
  expect(holdEnd({ ...ROLLOUT, stage: 2 })).toBeNull()
})

it.each([
  [0, '0 s'],
  [999, '0 s'],
  [59_000, '59 s'],
  [61_000, '1 min 1 s'],
  [HOUR, '1 h'],
  [HOUR + 59_000, '1 h'],
  [27 * HOUR, '1 d 3 h'],
  [30 * 24 * HOUR, '30 d'],
])('says %i ms as %s', (milliseconds, words) => {
  expect(spanOf(milliseconds)).toBe(words)
})

it('says how long ago something was, and shares without needless digits', () => {
  expect([agoOf(0, 59_999), agoOf(0, 90_000), agoOf(5_000, 0)]).toEqual([
    'just now',
    '1 min 30 s ago',
    'just now',
  ])
  expect([10, 0.125, 33.3333, 100].map(percentageOf)).toEqual(['10 %', '0.125 %', '33.333 %', '100 %'])
})
