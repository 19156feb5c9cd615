import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isWithinWindows } from '../../../src/rollouts/advance-windows.ts'
import { durationText, parseDuration, sayDuration } from '../../../src/rollouts/durations.ts'
import { audiencesOf, boundsOf, grantsOf, placesIn, shareOf } from '../../../src/rollouts/grants.ts'
import { newProgress, type Progress } from '../../../src/rollouts/progress.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, makeGuardrail, makePlan, makeStage } from '../../support/rollouts.ts'
import { AUDIENCES, treatedUnits } from './world.ts'

const [INTERNAL, IRELAND, PRO] = AUDIENCES.filter((audience) => audience !== null)
const STAGES = [
  makeStage({ name: 'internal', audience: INTERNAL ?? null, percentage: 100 }),
  makeStage({ name: 'Ireland', audience: IRELAND ?? null, percentage: 20 }),
  makeStage({ name: 'Ireland again', audience: IRELAND ?? null, percentage: 50 }),
  makeStage({ name: 'all', percentage: 10 }),
]
const PLAN = makePlan({ stages: STAGES })

function at(stage: number, overrides: Partial<Progress> = {}): Progress {
  return { ...newProgress(), state: 'running', stage, ...overrides }
}

describe('what is granted', () => {
  it.each<[string, Progress, readonly number[]]>([
    ['nothing before the first stage', at(-1), []],
    ['one audience at the first', at(0), [100]],
    ['what came before stays', at(1), [100, 20]],
    ['the latest stage of an audience counts', at(2), [100, 50]],
    ['and so on', at(3), [100, 50, 10]],
    ['what was set by hand', at(3, { overrides: { 1: 30 } }), [100, 30, 10]],
    ['nothing to an audience that was taken back', at(3, { blocked: [1] }), [100, 0, 10]],
    [
      'at most the step of a rollback',
      at(3, { descent: { mode: 'gradual', audiences: null, ceiling: 25, cause: 'x' } }),
      [25, 25, 10],
    ],
    [
      'at most that step to those whom it concerns',
      at(3, { descent: { mode: 'gradual', audiences: [1], ceiling: 25, cause: 'x' } }),
      [100, 25, 10],
    ],
  ])('%s', (_, progress, expected) => {
    expect(grantsOf(PLAN, progress).map(({ percentage }) => percentage)).toEqual(expected)
  })

  it('to the others leaves out those that were taken back', () => {
    expect(grantsOf(PLAN, at(3, { blocked: [0, 1] })).map(({ audience }) => audience)).toEqual([
      { all: [INTERNAL, { not: IRELAND }] },
      { all: [IRELAND, { not: INTERNAL }] },
      { all: [{ not: INTERNAL }, { not: IRELAND }] },
    ])
  })

  it('takes one audience for the same in whatever order its fields stand', () => {
    const stages = [
      makeStage({ name: 'one', audience: { attribute: 'a', op: 'equals', values: [1] } }),
      makeStage({ name: 'same', audience: { values: [1], op: 'equals', attribute: 'a' } }),
    ]
    expect(audiencesOf(makePlan({ stages })).map(({ name }) => name)).toEqual(['one'])
  })
})

it('reads strata as their tags write them, however many audiences there are', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(49)), (places) => {
      const stratum = places.reduce((sum, place) => sum + 2 ** place, 0).toString(36)
      expect(placesIn(stratum)).toEqual([...places].sort((a, b) => a - b))
    }),
  )
})

it.each([
  ['0', 0],
  ['1', 100],
  ['2', 50],
  ['4', 10],
  ['6', 50],
  ['7', 100],
])('treats of stratum %s %i per cent', (stratum, share) => {
  expect(shareOf(PLAN, at(3), stratum)).toBe(share)
})

it('watches what guardrails compare with: limits always, quantiles once they are frozen', () => {
  const latency = { metric: 'http-latency' } as const
  const plan = makePlan({
    guardrails: [
      makeGuardrail(),
      makeGuardrail({
        id: 'slow',
        ...latency,
        test: { kind: 'threshold', side: 'above', limit: 1_000, quantile: 0.95, literal: null },
      }),
      makeGuardrail({
        id: 'slower',
        ...latency,
        test: { kind: 'regression', tolerance: 0.1, quantile: 0.5 },
      }),
      makeGuardrail({
        id: 'constructor',
        ...latency,
        test: { kind: 'regression', tolerance: 0.1, quantile: 0.9 },
      }),
    ],
  })
  expect(boundsOf(plan, at(0))).toEqual([
    { metric: 'checkout-error', bounds: [] },
    { metric: 'http-latency', bounds: [1_000] },
  ])
  expect(boundsOf(plan, at(0, { frozen: { slower: 320, constructor: 1_000 } }))[1]?.bounds).toEqual([
    320, 1_000,
  ])
})

it('brings the same units back when a percentage rises again, and when a rollout is tried again', () => {
  fc.assert(
    fc.property(fc.nat(100), fc.nat(100), (low, high) => {
      const first = treatedUnits(PLAN, at(3, { overrides: { 2: high } }))
      const again = treatedUnits(PLAN, at(3, { epoch: 7, overrides: { 2: low } }))
      const [fewer, more] = low < high ? [again, first] : [first, again]
      expect(fewer.difference(more)).toEqual(new Set())
      expect(treatedUnits(PLAN, at(3, { epoch: 9, overrides: { 2: high } }))).toEqual(first)
    }),
    { numRuns: 30 },
  )
})

it('takes back exactly the units of an audience, wherever they are granted it', () => {
  const stages = [...STAGES, makeStage({ name: 'pro', audience: PRO ?? null, percentage: 100 })]
  const plan = makePlan({ stages })
  const before = treatedUnits(plan, at(4))
  const after = treatedUnits(plan, at(4, { blocked: [1] }))
  expect([...after].every((unit) => !unit.includes('-IE-'))).toBe(true)
  expect([...before].filter((unit) => !unit.includes('-IE-')).sort()).toEqual([...after].sort())
})

describe('the hours of a plan', () => {
  const office = { days: [1, 2, 3, 4, 5], from: 540, to: 1_020, timeZone: 'Europe/Dublin' }
  const night = { days: [5], from: 1_320, to: 120, timeZone: 'UTC' }
  it.each([
    ['no windows at all', [], '2026-03-01T12:00:00Z', true],
    ['Sunday', [office], '2026-03-01T12:00:00Z', false],
    ['Monday at nine', [office], '2026-03-02T09:00:00Z', true],
    ['Monday before nine', [office], '2026-03-02T08:59:59Z', false],
    ['Monday at five, when it is over', [office], '2026-03-02T17:00:00Z', false],
    ['Monday at eight in UTC, when it is nine in an Irish summer', [office], '2026-06-01T08:00:00Z', true],
    ['Friday night', [night], '2026-03-06T22:00:00Z', true],
    ['the small hours that belong to it', [night], '2026-03-07T01:59:00Z', true],
    ['the small hours of Friday, which belong to Thursday', [night], '2026-03-06T01:00:00Z', false],
    ['one of two', [office, night], '2026-03-07T00:30:00Z', true],
  ])('%s', (_, windows, at, expected) => {
    expect(isWithinWindows(windows, Date.parse(at))).toBe(expected)
  })
})

describe('spans of time', () => {
  it.each([
    ['250ms', 250],
    ['0s', 0],
    ['90s', 90_000],
    ['10m', 10 * MINUTE_MS],
    ['24h', DAY_MS],
    ['7d', 7 * DAY_MS],
  ])('%s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  it.each([[''], ['1'], ['h'], ['1.5h'], ['-1h'], ['1 h'], ['1w'], ['1h30m'], ['1e3s']])('not %j', (text) => {
    expect(parseDuration(text)).toBeUndefined()
  })

  it('are written as they are read', () => {
    fc.assert(
      fc.property(fc.nat(10 * DAY_MS), (ms) => {
        expect(parseDuration(durationText(ms))).toBe(ms)
      }),
    )
    expect([0, HOUR_MS, 90 * MINUTE_MS].map(durationText)).toEqual(['0s', '1h', '90m'])
  })

  it('are said in their two largest units', () => {
    expect([0, 999, 90_000, DAY_MS, DAY_MS + 3 * HOUR_MS + MINUTE_MS].map(sayDuration)).toEqual([
      '0 s',
      '1 s',
      '1 min 30 s',
      '1 d',
      '1 d 3 h',
    ])
  })
})
