import { expect, it } from 'vitest'
import { LogHistogram } from '../../../src/statistics/log-histogram.ts'
import type { JourneyQuery } from '../../../src/telemetry/counting/journeys.ts'
import { reduceUnits } from '../../../src/telemetry/counting/reduce-units.ts'
import type { Unit } from '../../../src/telemetry/counting/unit.ts'
import { makeMeasurement, makeMetric, makePlan, makeTag, START, unitId } from './events.ts'
import { Story } from './story.ts'

const DAY_S = 24 * 60 * 60
const query: JourneyQuery = {
  measurement: 'm1',
  metric: 'bought',
  days: [1, 7],
  of: null,
  features: [],
  total: 'events',
  now: START + 10 * DAY_S * 1_000,
  cursor: null,
}

const plan = makePlan({
  metrics: ['bought', 'searched', 'shared'].map((key) => makeMetric({ key, event: key, kind: 'mean' })),
  measurements: [
    makeMeasurement({ metrics: ['bought', 'searched', 'shared'].map((metric) => ({ metric, bounds: [] })) }),
  ],
})

/** Four units of one arm, exposed on day 0 but for the last, which is on day 9; and one of the other. */
function tell(): Unit[] {
  const did = (unit: number, second: number, name = 'bought') =>
    story.event(second, { name, unit: unitId(unit), value: 2.5 })
  const story = new Story(plan)
  for (const unit of [0, 1, 2]) story.exposure(0, { unit: unitId(unit) })
  story.exposure(0, { unit: unitId(4), tag: makeTag({ arm: 'c' }) })
  did(0, 100)
  did(0, 200)
  did(0, 200, 'searched')
  did(0, 200, 'shared')
  did(1, 200, 'searched')
  did(1, 3 * DAY_S)
  did(0, 8 * DAY_S)
  story.exposure(9 * DAY_S + 1, { unit: unitId(3) })
  did(3, 9 * DAY_S + 1)
  return [0, 1, 2, 3, 4].flatMap((unit) => story.shard.unit(unitId(unit)) ?? [])
}

const units = tell()
const treated = (asked: Partial<JourneyQuery> = {}) => {
  return reduceUnits({ ...query, ...asked }, units).find(({ arm }) => arm === 't')
}

it('counts units by arm and variant, and those that did it', () => {
  const counts = reduceUnits(query, units).map(({ arm, variant, units, did }) => ({
    arm,
    variant,
    units,
    did,
  }))
  expect(counts).toEqual([
    { arm: 't', variant: 'on', units: 4, did: 3 },
    { arm: 'c', variant: 'off', units: 1, did: 0 },
  ])
})

it('counts who did it in time, of those who have had the time', () => {
  expect(treated()).toMatchObject({ matured: [3, 3], didInTime: [1, 2] })
})

it('counts who did it of those who had the chance', () => {
  expect(treated({ of: 'searched' })).toMatchObject({ ofUnits: 2, ofDid: 2 })
  expect(treated()).toMatchObject({ ofUnits: 4, ofDid: 3 })
})

it('keeps the times to the first in a log-histogram of seconds, a second at least', () => {
  const seconds = new LogHistogram()
  for (const second of [1, 100, 3 * DAY_S]) seconds.add(second)
  expect(treated()?.times).toEqual(seconds.pack())
})

it('adds up events or values, and the weeks in which units were seen', () => {
  expect(treated()).toMatchObject({ total: 5, activeWeeks: 5 })
  expect(treated({ total: 'values' })?.total).toBe(12.5)
})

it.each([
  [13.9, [0, 0, 0], [0, 0, 0]],
  [14, [3, 0, 0], [1, 0, 0]],
  [44, [4, 4, 3], [1, 0, 0]],
])('after %s days counts who came back in weeks 1, 2 and 4', (days, returning, returned) => {
  expect(treated({ now: START + days * DAY_S * 1_000 })).toMatchObject({ returning, returned })
})

it('counts who used several features', () => {
  expect(treated({ features: ['searched', 'shared'] })?.usedSeveral).toBe(1)
  expect(treated({ features: ['searched', 'shared', 'bought'] })?.usedSeveral).toBe(2)
})

it('says nothing of a measurement that nobody is in', () => {
  expect(reduceUnits({ ...query, measurement: 'm2' }, units)).toEqual([])
})
