import { describe, expect, it } from 'vitest'
import type { Metric } from '../../../../src/catalog/measurement.ts'
import type { GuardFact } from '../../../../src/rollouts/incidents/facts.ts'
import { type Verifying, verify } from '../../../../src/rollouts/incidents/verification.ts'
import type { SeriesCell } from '../../../../src/telemetry/counting/series.ts'
import { MINUTE_MS } from '../../../support/rollouts.ts'

const T0 = Date.UTC(2026, 2, 1, 12)
const METRIC: Metric = {
  key: 'failed',
  event: 'failed',
  kind: 'error',
  denominator: null,
  unit: 'user',
  goodDirection: 'down',
  cap: null,
  preExposure: false,
}
const GUARD: GuardFact = {
  guardrail: 'errors',
  metric: 'failed',
  test: { kind: 'regression', tolerance: 0.1, quantile: null },
  audience: null,
  treatment: { hits: 40, units: 1_000 },
  control: { hits: 40, units: 4_000 },
  ratio: 4,
  oneIn: 500,
  enough: 100,
  words: 'treated 40 of 1,000, control 40 of 4,000',
}

/** Cells of one arm in one minute: exposures, and hits of the metric. */
function cells(
  minute: number,
  arm: string,
  exposures: number,
  hits: number,
  more: Partial<SeriesCell> = {},
): SeriesCell[] {
  const cell: SeriesCell = {
    start: T0 + minute * MINUTE_MS,
    metric: null,
    flag: 'checkout',
    variant: arm === 't' ? 'on' : 'off',
    measurement: 'r1',
    stage: minute < 0 ? 2 : 3,
    stratum: '1',
    arm,
    count: exposures,
    sum: 0,
    squares: 0,
    denominator: 0,
    units: 0,
    sketch: null,
    ...more,
  }
  return [cell, { ...cell, metric: 'failed', count: hits }]
}

/** A rollback at T0: the treated failed in 4 of 100 before, the control in 1 of 100. */
const BEFORE = [...cells(-5, 't', 1_000, 40), ...cells(-5, 'c', 4_000, 40)]

const verifying = (after: readonly SeriesCell[], more: Partial<Verifying> = {}): Verifying => ({
  rollout: 'r1',
  variant: 'on',
  epoch: 3,
  audiences: null,
  guards: [GUARD],
  metrics: new Map([['failed', METRIC]]),
  cells: [...BEFORE, ...after],
  partial: false,
  before: { from: T0 - 60 * MINUTE_MS, to: T0 },
  since: T0,
  ...more,
})

const at = (minute: number) => T0 + minute * MINUTE_MS

const stateAt = (minute: number, after: readonly SeriesCell[], more: Partial<Verifying> = {}) =>
  verify(verifying(after, more), at(minute)).state

describe('a rollback is verified', () => {
  it('when nobody is served and what broke is as the control was', () => {
    const after = [...cells(0, 'c', 500, 5), ...cells(1, 'c', 500, 5)]
    expect(verify(verifying(after), at(2))).toEqual({
      state: 'verified',
      words:
        'Verified: nobody was given "on" by it in the two minutes before 2026-03-01 12:02:00 UTC; failed is at 1 %, the control was at 1 % before, the treated at 4 %.',
    })
  })

  it.each<[string, readonly SeriesCell[], Partial<Verifying>, string]>([
    ['before two minutes are over', cells(1, 'c', 1_000, 10), { since: T0 + 1 }, 'verified'],
    [
      'while somebody is served',
      [...cells(0, 'c', 1_000, 10), ...cells(1, 't', 1, 0, { stage: 2 })],
      {},
      'verified',
    ],
    ['while it is as bad as it was', cells(0, 'c', 1_000, 40), {}, 'failed'],
    ['while it is a little beyond the tolerance', cells(0, 'c', 1_000, 12), {}, 'failed'],
    ['while there is too little to tell', cells(0, 'c', 100, 1), {}, 'failed'],
    ['while a shard does not answer', cells(0, 'c', 1_000, 10), { partial: true }, 'failed'],
  ])('not %s', (_, after, more, later) => {
    expect(stateAt(2, after, more)).toBe('pending')
    expect(stateAt(29, after, more)).toBe(later === 'verified' ? 'verified' : 'pending')
    expect(stateAt(31, after, more)).toBe(later)
  })

  it('not by what others do: another rollout, or an audience that was not taken back', () => {
    const other = cells(1, 't', 100, 50, { measurement: 'r2' })
    const elsewhere = cells(1, 't', 100, 50, { stratum: '2' })
    const after = [...cells(0, 'c', 1_000, 10), ...other]
    expect(stateAt(2, after)).toBe('verified')
    const part = { audiences: [0], guards: [{ ...GUARD, audience: { place: 0, name: 'Ireland' } }] }
    expect(stateAt(2, [...after, ...elsewhere], part)).toBe('verified')
    expect(stateAt(2, [...after, ...cells(1, 't', 100, 50)], part)).toBe('pending')
  })

  it('where much is good, when it is as high as the control was', () => {
    const more = { metrics: new Map<string, Metric>([['failed', { ...METRIC, goodDirection: 'up' }]]) }
    expect(stateAt(2, cells(0, 'c', 2_000, 17), more)).toBe('pending')
    expect(stateAt(2, cells(0, 'c', 2_000, 19), more)).toBe('verified')
  })

  it('without a control, when it keeps the limit that it broke', () => {
    const test = { kind: 'threshold', side: 'above', limit: 0.02, quantile: null, literal: null } as const
    const more = { guards: [{ ...GUARD, test, control: null }] }
    const alone = (hits: number) => ({
      ...verifying(cells(0, 'c', 1_000, hits), more),
      cells: [...cells(-5, 't', 1_000, 40), ...cells(0, 'c', 1_000, hits)],
    })
    expect(verify(alone(20), at(2)).state).toBe('verified')
    expect(verify(alone(30), at(2)).state).toBe('pending')
  })

  it('of a rollback by hand, when nobody is served', () => {
    expect(stateAt(2, [], { guards: [] })).toBe('verified')
    expect(stateAt(2, cells(1, 't', 3, 0, { stage: 2 }), { guards: [] })).toBe('pending')
  })
})
