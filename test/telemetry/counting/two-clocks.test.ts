import { describe, expect, it } from 'vitest'
import { makeMeasurement, makeMetric, makePlan, makeTag, START, unitId } from './events.ts'
import { Story } from './story.ts'

const MINUTE_MS = 60_000
const secondStage = makePlan({ version: 2, measurements: [makeMeasurement({ stage: 2 })] })
const watching = (metric: Parameters<typeof makeMetric>[0], bounds: number[] = []) =>
  makePlan({
    metrics: [makeMetric(metric)],
    measurements: [makeMeasurement({ metrics: [{ metric: metric?.key ?? 'bought', bounds }] })],
  })

describe('reports', () => {
  it('book an event to its own minute, late or not', () => {
    const story = new Story()
    const at = START - 47 * 60 * MINUTE_MS
    story.event(5, { at }).event(6)
    const { counting } = story.shard
    expect(counting.cells('minute', at).map(({ count }) => count)).toEqual([1])
    expect(counting.cells('minute', START).map(({ count }) => count)).toEqual([1])
    const hour = Math.floor(START / (60 * MINUTE_MS)) * 60 * MINUTE_MS
    expect(counting.cells('hour', hour).map(({ count }) => count)).toEqual([1])
  })
})

describe('guards', () => {
  it('go by arrival, whenever an event says that it happened', () => {
    const story = new Story().exposure(5).event(25, { at: START + 6_000 })
    expect(story.risk(60)).toEqual(['0: 0/1', '2: 1/1'])
  })

  it('never change a block that has closed', () => {
    const story = new Story().exposure(5)
    const before = story.blocks(10)
    story.event(11, { at: START + 6_000 }).exposure(12, { unit: unitId(1), at: START + 6_000 })
    expect(story.blocks(30).filter(({ block }) => block === 0)).toEqual(before)
  })

  it.each(['t', 'c'])(
    'let a unit enter at its first tagged exposure in the current stage, in arm %s',
    (arm) => {
      const story = new Story().exposure(5, { tag: makeTag({ arm }) })
      expect(story.risk(20, 'bought', { arm })).toEqual(['0: 0/1'])
      expect(story.sum(20, 'entered', arm)).toBe(1)
    },
  )

  it('let nobody enter by an exposure without a tag, by one that is not believed, or by an event', () => {
    const story = new Story().exposure(1, { tag: null }).exposure(2, { trusted: false }).event(3)
    expect(story.blocks(20)).toEqual([])
  })

  it.each([
    ['another flag', { flag: 'f2' }],
    ['a measurement that the plan does not have', { tag: makeTag({ id: 'm9' }) }],
    ['another kind of unit', { unitKind: 'company' }],
    ['nobody', { unit: null, unitKind: '' }],
  ])('let nobody enter by the exposure of %s: it is in the series alone', (_, exposure) => {
    const story = new Story().exposure(1, exposure)
    expect(story.blocks(20)).toEqual([])
    expect(story.shard.counting.totals('m1')).toEqual([])
    expect(story.shard.counting.cells('minute', START)).toMatchObject([{ metric: null, count: 1, units: 0 }])
  })

  it('let a unit leave when it is hit, and count it in the block in which it was', () => {
    const story = new Story()
      .exposure(5)
      .exposure(6, { unit: unitId(1) })
      .event(15)
      .exposure(25)
    expect(story.risk(40)).toEqual(['0: 0/2', '1: 1/2', '2: 0/1'])
  })

  it('let a unit leave after a window without an exposure, counted from the end of the block of the last', () => {
    // The window is a minute: after block 0 come six, and with the next it is gone.
    expect(new Story().exposure(5).risk(90)).toEqual(['0: 0/1', '7: 0/0'])
    expect(new Story().exposure(5).exposure(35).risk(120)).toEqual(['0: 0/1', '3: 0/1', '10: 0/0'])
    expect(new Story().exposure(5).event(72).risk(90)).toEqual(['0: 0/1', '7: 0/0'])
  })

  it('let an exposure bring back who had left, without counting it as entered again', () => {
    const story = new Story().exposure(5).exposure(85).event(86)
    expect(story.risk(100)).toEqual(['0: 0/1', '7: 0/0', '8: 1/1'])
    expect(story.sum(100, 'entered')).toBe(1)
  })

  it('hit a unit at most once per rollout and metric, not again in a later stage', () => {
    const story = new Story().exposure(1).event(2).event(3)
    story
      .plan(10, secondStage)
      .exposure(11, { tag: makeTag({ stage: 2 }) })
      .event(12)
    expect(story.risk(40)).toEqual(['0: 1/1', '1: 0/0'])
    expect(story.risk(40, 'bought', { stage: 2 })).toEqual(['1: 0/0'])
    expect(story.sum(40, 'entered')).toBe(2)
  })

  it('hit a unit only under the tag of the current stage, and count others as ignored', () => {
    const story = new Story()
      .exposure(1)
      .plan(10, secondStage)
      .exposure(11, { tag: makeTag({ stage: 2 }) })
    story.event(12, { tag: makeTag() })
    expect(story.sum(20, 'ignored')).toBe(1)
    expect(story.risk(20, 'bought', { stage: 2 })).toEqual(['1: 0/1'])
    story.event(21, { tag: makeTag({ stage: 2 }) })
    expect(story.risk(30, 'bought', { stage: 2 })).toEqual(['1: 0/1', '2: 1/1'])
    // The reports have both.
    expect(story.moments('bought', 2)?.events).toBe(2)
  })

  it('count hits of an earlier stage as ignored before the unit is exposed in the current one', () => {
    const story = new Story().exposure(1).plan(10, secondStage).event(12, { tag: makeTag() }).event(13)
    expect(story.sum(20, 'ignored')).toBe(1)
    expect(story.moments()?.events).toBe(2)
  })

  it('empty all risk sets when the stage changes, and tell both stages in the block of the change', () => {
    const story = new Story()
      .exposure(1)
      .exposure(2, { unit: unitId(1) })
      .event(11)
    story.plan(15, secondStage).exposure(16, { tag: makeTag({ stage: 2 }), unit: unitId(1) })
    expect(story.risk(30)).toEqual(['0: 0/2', '1: 1/1'])
    expect(story.risk(30, 'bought', { stage: 2 })).toEqual(['1: 0/1'])
  })

  it('let nobody be at risk in a stage that comes again, until the next exposure', () => {
    const story = new Story()
      .exposure(1)
      .plan(2, secondStage)
      .plan(3, makePlan({ version: 3 }))
      .event(4)
    expect(story.risk(10)).toEqual(['0: 0/0'])
    story.exposure(11).event(12)
    expect(story.risk(20)).toEqual(['0: 0/0', '1: 1/1'])
    expect(story.sum(20, 'entered')).toBe(2)
  })

  it('let a unit whose stratum changed stay out until the next stage', () => {
    const story = new Story()
      .exposure(1)
      .exposure(11, { tag: makeTag({ stratum: 'b' }) })
      .exposure(12)
      .event(13)
    expect(story.risk(20)).toEqual(['0: 0/1', '1: 0/0'])
    expect(story.risk(20, 'bought', { stratum: 'b' })).toEqual([])
    story
      .plan(21, secondStage)
      .exposure(22, { tag: makeTag({ stage: 2, stratum: 'b' }) })
      .event(23)
    expect(story.risk(30, 'bought', { stage: 2, stratum: 'b' })).toEqual(['2: 1/1'])
  })

  it('wait for the plan where a tag is ahead of it', () => {
    const ahead = { tag: makeTag({ stage: 2 }) }
    const story = new Story().exposure(1, ahead).event(2)
    expect(story.risk(10, 'bought', { stage: 2 })).toEqual([])
    story.plan(11, secondStage).exposure(12, ahead).event(13)
    expect(story.risk(20, 'bought', { stage: 2 })).toEqual(['1: 1/1'])
    expect([story.sum(20, 'firsts'), story.sum(20, 'entered')]).toEqual([1, 1])
  })

  it('begin anew with a measurement that was out of the plan in between', () => {
    const story = new Story().exposure(1).event(2)
    story.plan(11, makePlan({ version: 2, measurements: [] })).event(12)
    story
      .plan(21, makePlan({ version: 3 }))
      .exposure(22)
      .event(23)
    expect(story.risk(30)).toEqual(['0: 1/1', '1: 0/0', '2: 1/1'])
    expect(story.arm()).toMatchObject({ units: 1, firsts: 1 })
    expect(story.moments()).toMatchObject({ hits: 1, events: 1 })
  })

  it('join an event to an exposure that arrives up to 60 s after it', () => {
    const early = (second: number) => new Story().event(0).exposure(second)
    expect(early(60).risk(100)[0]).toBe('6: 1/1')
    expect(early(61).risk(100)[0]).toBe('6: 0/1')
  })

  it('join no event that happened more than 60 s before the exposure', () => {
    const late = (ms: number) => new Story().exposure(30).event(31, { at: START + 30_000 - ms })
    expect(late(60_000).moments()?.events).toBe(1)
    expect(late(60_001).moments()).toBeUndefined()
  })

  it('compare observations of units in the risk sets with the bounds', () => {
    const story = new Story(watching({ key: 'waited', event: 'wait', kind: 'latency' }, [100, 300]))
    const wait = (second: number, value: number, unit = 0) =>
      story.event(second, { kind: 'measure', name: 'wait', value, unit: unitId(unit) })
    story.exposure(1)
    wait(2, 200)
    wait(3, 400)
    wait(4, 400, 1)
    wait(12, 100)
    const bounds = story.blocks(20).map(({ metrics }) => metrics[0]?.bounds)
    expect(bounds).toEqual([
      [
        { bound: 100, units: 1, unitsAbove: 1, observations: 2, above: 2 },
        { bound: 300, units: 1, unitsAbove: 0, observations: 2, above: 1 },
      ],
      [
        { bound: 100, units: 0, unitsAbove: 0, observations: 1, above: 0 },
        { bound: 300, units: 0, unitsAbove: 0, observations: 1, above: 0 },
      ],
    ])
  })

  it('see who is alive by what the application says, not by what Rampart noticed', () => {
    const story = new Story().exposure(1, { automatic: true })
    expect(story.sum(10, 'live')).toBe(0)
    story.event(11, { name: 'anything' }).event(12).exposure(21)
    expect([story.sum(30, 'live'), story.sum(30, 'firstLive')]).toEqual([2, 1])
  })

  it('see who is alive in a stage that the plan had not come to when the unit did', () => {
    const ahead = makeTag({ stage: 2 })
    const story = new Story().exposure(1, { tag: ahead }).event(2).plan(3, secondStage).event(4)
    expect(story.sum(10, 'live')).toBe(1)
  })

  it('leave out blocks in which nothing happened', () => {
    const story = new Story().exposure(1).event(45)
    expect(story.blocks(59).map(({ block }) => block)).toEqual([0, 4])
  })

  it('answer an hour of blocks at once, and say where to go on', () => {
    const story = new Story().exposure(1).exposure(3605)
    const { counting } = story.shard
    counting.advance(START + 4_000_000)
    const first = counting.blocks({ from: START })
    expect(first.through).toBe(START + 3_600_000)
    const next = counting.blocks({ from: first.through })
    expect(next.through).toBe(START + 4_000_000)
    expect([...first.blocks, ...next.blocks].map(({ start }) => (start - START) / 10_000)).toEqual([
      0, 7, 360, 367,
    ])
  })
})

describe('what has made guards roll back healthy releases', () => {
  it('is not n of active units: a hit that lags behind its exposure is one of those at risk', () => {
    const story = new Story(makePlan({ measurements: [makeMeasurement({ windowMs: 30 * 60_000 })] }))
    for (let unit = 0; unit < 10; unit++) story.exposure(1, { unit: unitId(unit) })
    story.event(305, { unit: unitId(3) })
    expect(story.risk(310)).toEqual(['0: 0/10', '30: 1/10'])
  })

  it('is not a pool of audiences: strata are apart', () => {
    const story = new Story()
    for (let unit = 0; unit < 4; unit++) {
      story.exposure(1, { unit: unitId(unit), tag: makeTag({ stratum: unit < 2 ? 'a' : 'b' }) })
    }
    story.event(2, { unit: unitId(2) })
    expect(story.risk(10)).toEqual(['0: 0/2'])
    expect(story.risk(10, 'bought', { stratum: 'b' })).toEqual(['0: 1/2'])
  })

  it('is not two errors of one unit: they are one hit', () => {
    const story = new Story(watching({ key: 'failed', event: 'fail', kind: 'error' }))
    story.exposure(1)
    for (const second of [2, 3, 14, 25]) story.event(second, { name: 'fail' })
    expect(story.risk(40, 'failed')).toEqual(['0: 1/1', '1: 0/0', '2: 0/0'])
    expect(story.moments('failed')).toMatchObject({ hits: 1, events: 4, y: 1, yy: 1 })
  })

  it('is not a sample ratio of active units: first exposures count once', () => {
    const story = new Story()
    for (const second of [1, 11, 21, 200, 400]) story.exposure(second)
    story.plan(500, secondStage).exposure(501, { tag: makeTag({ stage: 2 }) })
    expect(story.sum(520, 'firsts')).toBe(1)
    expect(story.arm(1)).toMatchObject({ units: 1, firsts: 1 })
    expect(story.arm(2)).toMatchObject({ units: 1, firsts: 0 })
  })
})
