import { describe, expect, it } from 'vitest'
import type { Membership } from '../../../src/telemetry/counting/unit.ts'
import type { CountingPlan } from '../../../src/telemetry/counting-plan.ts'
import { makeMeasurement, makeMetric, makePlan, makeTag, START, unitId } from './events.ts'
import { Story } from './story.ts'

const DAY_MS = 24 * 60 * 60_000
const DAY_S = DAY_MS / 1_000
const secondStage = makePlan({ version: 2, measurements: [makeMeasurement({ stage: 2 })] })

function watching(overrides: Parameters<typeof makeMetric>[0], bounds: number[] = []): CountingPlan {
  const metric = makeMetric(overrides)
  const metrics = [{ metric: metric.key, bounds }]
  return makePlan({ metrics: [metric], measurements: [makeMeasurement({ metrics })] })
}

function memberOf(story: Story, unit = 0): Membership | undefined {
  return story.shard.unit(unitId(unit))?.memberships.get('m1')
}

function daysOf(member: Membership | undefined): number[] {
  return Array.from({ length: 90 }, (_, day) => day).filter(
    (day) => ((member?.days[Math.floor(day / 30)] ?? 0) >> (day % 30)) & 1,
  )
}

describe('of each unit is kept', () => {
  it('its first exposure: when, arm, stratum, stage, variant, and the values of slices', () => {
    const story = new Story().exposure(1, { slices: ['DE', null] })
    story.exposure(2, { slices: ['FR', 'x'], variant: 'other' })
    story.plan(3, secondStage).exposure(4, { tag: makeTag({ stage: 2, stratum: 'b', arm: 'c' }) })
    expect(memberOf(story)).toMatchObject({
      firstAt: START + 1_000,
      firstStage: 1,
      firstStratum: 'a',
      firstArm: 't',
      firstVariant: 'on',
      slices: ['DE', null],
      stage: 2,
      stratum: 'b',
      arm: 'c',
      variant: 'off',
    })
  })

  it('in an experiment, the epoch and arm of the first exposure for ever', () => {
    const experiment = (stage: number) =>
      makePlan({ version: stage, measurements: [makeMeasurement({ kind: 'experiment', stage })] })
    const story = new Story(experiment(1)).exposure(1).plan(2, experiment(2))
    story.exposure(3, { tag: makeTag({ stage: 2, arm: 'c' }) }).event(4)
    expect(memberOf(story)).toMatchObject({ stage: 1, arm: 't', mixed: true })
    expect(story.arm(1)).toMatchObject({ units: 1, mixed: 1 })
    expect(story.moments()?.hits).toBe(1)
    expect(story.arm(2, 'c')).toBeUndefined()
  })

  it('the days on which it was seen, for 90 days', () => {
    const story = new Story().exposure(0)
    for (const day of [1, 29, 30, 59, 60, 89, 90]) story.event(day * DAY_S, { name: 'anything' })
    expect(daysOf(memberOf(story))).toEqual([0, 1, 29, 30, 59, 60, 89])
    story.event(95 * DAY_S, { name: 'anything', at: START + 61.5 * DAY_MS })
    expect(daysOf(memberOf(story))).toEqual([0, 1, 29, 30, 59, 60, 61, 89])
    expect(story.shard.unit(unitId(0))?.lastDay).toBe(Math.floor(START / DAY_MS) + 95)
  })

  it('a mark if it met a second variant within one stage', () => {
    const story = new Story().exposure(1).plan(2, secondStage)
    story.exposure(3, { tag: makeTag({ stage: 2 }), variant: 'new' })
    expect([memberOf(story)?.mixed, story.arm(2)?.mixed]).toEqual([false, 0])
    story.exposure(4, { tag: makeTag({ stage: 2 }), variant: 'newer' })
    expect([memberOf(story)?.mixed, story.arm(2)?.mixed]).toEqual([true, 1])
  })

  it('per metric, the first hit, the count, and the sums of values and denominators', () => {
    const ratio = watching({ key: 'rate', event: 'click', kind: 'ratio', denominator: 'view' })
    const story = new Story(ratio).exposure(1)
    story
      .event(2, { name: 'view' })
      .event(3, { name: 'view', value: 4 })
      .event(4, { name: 'click', value: 2 })
    story.event(5, { name: 'click', value: 3, at: START + 3_500 }).event(6, { name: 'click' })
    expect(memberOf(story)?.metrics.get('rate')).toMatchObject({
      firstAt: START + 3_500,
      count: 2,
      sum: 5,
      denominator: 5,
    })
  })

  it('per latency, the observations of the stage and those above each bound', () => {
    const story = new Story(watching({ kind: 'latency' }, [10, 20])).exposure(1)
    for (const value of [5, 15, 20, 25]) story.event(2, { value })
    expect(memberOf(story)?.metrics.get('bought')).toMatchObject({ observations: 4, above: [3, 1] })
    expect(story.moments()?.bounds).toEqual([
      { bound: 10, o: 4, oo: 16, b: 3, bb: 9, ob: 12 },
      { bound: 20, o: 4, oo: 16, b: 1, bb: 1, ob: 4 },
    ])
  })

  it('for 35 days what it did by the day, exposed or not, where a metric asks for it', () => {
    const story = new Story(watching({ kind: 'mean', preExposure: true }))
    for (const [day, value] of [
      [0, 1],
      [1, 2],
      [1, 3],
      [34, 4],
      [35, 5],
    ] as const) {
      story.event(day * DAY_S, { value })
    }
    const first = Math.floor(START / DAY_MS)
    expect(story.shard.unit(unitId(0))?.daily.get('bought')).toEqual([
      { day: first + 1, count: 2, sum: 5 },
      { day: first + 34, count: 1, sum: 4 },
      { day: first + 35, count: 1, sum: 5 },
    ])
    story.event(35 * DAY_S, { value: 1, unit: unitId(1), home: false })
    expect(story.shard.unit(unitId(1))).toBeUndefined()
  })

  it('nothing of events that are not believed', () => {
    const story = new Story(watching({ preExposure: true })).event(1, { trusted: false })
    expect(story.shard.unit(unitId(0))).toBeUndefined()
  })
})

describe('arm sums', () => {
  it.each([
    ['conversion', 1, { y: 1, yy: 1, d: 0, yd: 0 }],
    ['error', 1, { y: 1, yy: 1, d: 0, yd: 0 }],
    ['count', null, { y: 3, yy: 9, d: 0, yd: 0 }],
    ['count', 2, { y: 2, yy: 4, d: 0, yd: 0 }],
    ['mean', null, { y: 6, yy: 36, d: 0, yd: 0 }],
    ['mean', 5, { y: 5, yy: 25, d: 0, yd: 0 }],
    ['latency', null, { y: 6, yy: 36, d: 3, dd: 9, yd: 18 }],
    ['resource', 4, { y: 4, yy: 16, d: 3, dd: 9, yd: 12 }],
    ['ratio', 4, { y: 4, yy: 16, d: 2, dd: 4, yd: 8 }],
  ] as const)('are over totals of units, for a %s with the cap %s', (kind, cap, expected) => {
    const story = new Story(watching({ kind, cap, denominator: kind === 'ratio' ? 'view' : null }))
    story.exposure(1)
    for (const value of [1, 2, 3]) story.event(2, { value })
    story.event(3, { name: 'view' }).event(3, { name: 'view' })
    expect(story.moments()).toMatchObject({ hits: 1, events: 3, ...expected })
  })

  it('are, in a later stage, of what came after the unit entered it; those of the earlier stay', () => {
    const story = new Story(watching({ kind: 'count' })).exposure(1).event(2).event(3)
    const later = watching({ kind: 'count' })
    story.plan(4, { ...later, measurements: [makeMeasurement({ stage: 2 })] })
    story.event(5)
    story.exposure(6, { tag: makeTag({ stage: 2 }) }).event(7)
    expect(story.moments('bought', 1)).toMatchObject({ hits: 1, events: 3, y: 3, yy: 9 })
    expect(story.moments('bought', 2)).toMatchObject({ hits: 1, events: 1, y: 1, yy: 1 })
  })

  it('know what each unit did in the 14 days before the day of its first exposure', () => {
    const story = new Story(watching({ kind: 'mean', preExposure: true }))
    for (const [day, value] of [
      [0, 100],
      [1, 1],
      [14, 2],
      [15, 1000],
    ] as const) {
      story.event(day * DAY_S, { value })
    }
    story.exposure(15 * DAY_S + 100).event(15 * DAY_S + 101, { value: 5 })
    expect(story.moments()).toMatchObject({ x: 3, xx: 9, y: 5, xy: 15 })
  })

  it('go on by what a metric was when it was first watched', () => {
    const story = new Story(watching({ kind: 'count', cap: 2 })).exposure(1).event(2).event(3)
    story.plan(4, watching({ kind: 'mean', cap: null })).event(5, { value: 50 })
    expect(story.moments()).toMatchObject({ events: 3, y: 2, yy: 4 })
  })

  it('begin anew to compare when the bounds change', () => {
    const story = new Story(watching({ kind: 'latency' }, [10])).exposure(1).event(2, { value: 20 })
    story.plan(3, watching({ kind: 'latency' }, [30])).event(4, { value: 40 })
    expect(story.moments()?.bounds).toEqual([{ bound: 30, o: 1, oo: 1, b: 1, bb: 1, ob: 1 }])
    story.plan(5, watching({ kind: 'latency' }, [10])).event(6, { value: 1 })
    expect(story.moments()?.bounds).toEqual([{ bound: 10, o: 1, oo: 1, b: 0, bb: 0, ob: 0 }])
  })
})

describe('an erased unit', () => {
  const story = new Story(watching({ kind: 'mean', preExposure: true }, [10]))
  story.event(0, { value: 7, at: START - DAY_MS })
  for (const unit of [0, 1]) story.exposure(DAY_S, { unit: unitId(unit) })
  for (const unit of [0, 1]) story.event(DAY_S + 1, { unit: unitId(unit), value: 20 })
  story.tell(DAY_S + 12, { kind: 'erase', unit: unitId(0) })

  it('is in no sum and no risk set any more', () => {
    expect(story.shard.unit(unitId(0))).toBeUndefined()
    expect(story.arm()).toMatchObject({ units: 1, firsts: 1, mixed: 0 })
    expect(story.moments()).toEqual({
      hits: 1,
      events: 1,
      y: 20,
      yy: 400,
      d: 0,
      dd: 0,
      yd: 0,
      x: 0,
      xx: 0,
      xy: 0,
      bounds: [{ bound: 10, o: 1, oo: 1, b: 1, bb: 1, ob: 1 }],
    })
    story.shard.counting.advance(START + DAY_MS + 20_000)
    const { blocks } = story.shard.counting.blocks({ from: START + DAY_MS })
    expect(blocks.map(({ metrics }) => metrics[0]?.n)).toEqual([2, 1])
  })

  it('takes nothing out of comparisons that began after it', () => {
    const erased = new Story(watching({ kind: 'latency' }, [10])).exposure(1).event(2, { value: 20 })
    erased.exposure(3, { unit: unitId(1) }).plan(4, watching({ kind: 'latency' }, [30]))
    erased.event(5, { unit: unitId(1), value: 40 }).tell(6, { kind: 'erase', unit: unitId(0) })
    expect(erased.moments()?.bounds).toEqual([{ bound: 30, o: 1, oo: 1, b: 1, bb: 1, ob: 1 }])
  })

  it('takes nothing out of a measurement that began anew after it', () => {
    const erased = new Story().exposure(1).plan(2, makePlan({ version: 2, measurements: [] }))
    erased.plan(11, makePlan({ version: 3 })).exposure(12, { unit: unitId(1) })
    erased.tell(13, { kind: 'erase', unit: unitId(0) })
    expect(erased.arm()).toMatchObject({ units: 1, firsts: 1 })
    expect(erased.risk(20)).toEqual(['0: 0/0', '1: 0/1'])
  })

  it('stays in the series', () => {
    const overall = story.shard.counting.cells('minute', START + DAY_MS).find(({ flag, metric }) => {
      return metric === 'bought' && flag === ''
    })
    expect(overall).toMatchObject({ count: 2, sum: 40 })
  })

  it('waits for nothing any more', () => {
    const waiting = new Story()
      .event(1)
      .tell(2, { kind: 'erase', unit: unitId(0) })
      .exposure(3)
    expect(waiting.moments()).toBeUndefined()
  })
})
