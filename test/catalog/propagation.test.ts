import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ReportEntry } from '../../src/catalog/hub-protocol.ts'
import { PropagationMeter } from '../../src/catalog/propagation.ts'

const MINUTE_MS = 60_000
/** When the change to version 5 happened; all times here are milliseconds after it. */
const CHANGED_AT = 1_700_000_000_000
const V = 5

type Span = readonly [version: number, evaluations: number, from: number, to: number]

/** A report's entries for spans, as they are told at `at`. */
function entriesOf(at: number, spans: readonly Span[], told = 0): ReportEntry[] {
  return spans.map(([version, evaluations, from, to], i) => ({
    sequence: told + i + 1,
    version,
    evaluations,
    endedMsAgo: at - to,
    lastedMs: to - from,
  }))
}

/** A meter that follows version 5, and what is done with it at times after the change. */
function makeMeter(meter = new PropagationMeter(null, CHANGED_AT - 50_000)) {
  const told = new Map<string, number>()
  return {
    meter,
    change: (version: number, at: number) => meter.change(version, null, CHANGED_AT + at),
    report: (isolate: string, at: number, version: number, spans: readonly Span[] = [], withheldMs = 0) => {
      const before = told.get(isolate) ?? 0
      told.set(isolate, before + spans.length)
      const entries = entriesOf(at, spans, before)
      meter.report(version, { isolate, entries, withheldMs }, CHANGED_AT + at)
    },
    read: (at: number) => {
      const read = meter.read(CHANGED_AT + at)
      if (!read) throw new Error('there was no change')
      return read
    },
  }
}

function makeChanged() {
  const made = makeMeter()
  made.change(V, 0)
  return made
}

/** The parts that have evaluations: where each begins, how many, and the share at the version. */
const filled = ({ timeline }: ReturnType<ReturnType<typeof makeMeter>['read']>) =>
  timeline.flatMap(({ second, evaluations, share }) =>
    evaluations > 0 ? [[second, evaluations, share] as const] : [],
  )

describe('a report', () => {
  it.each<[string, Span, (readonly [number, number, number])[]]>([
    [
      'evenly over the seconds of its span',
      [V, 10, 2_000, 4_000],
      [
        [2, 5, 1],
        [3, 5, 1],
      ],
    ],
    [
      'in proportion where seconds are not whole',
      [V - 1, 8, 1_500, 3_500],
      [
        [1, 2, 0],
        [2, 4, 0],
        [3, 2, 0],
      ],
    ],
    ['where it happened when it took no time', [V, 7, 3_200, 3_200], [[3, 7, 1]]],
    ['in the second that begins, not in the one that ends', [V, 7, 3_000, 3_000], [[3, 7, 1]]],
    ['with what was before the change left out', [V - 1, 20, -9_000, 1_000], [[0, 2, 0]]],
    ['not at all when all of it was before the change', [V - 1, 20, -9_000, -1], []],
    ['from the change on when a clock that stood still says earlier', [V, 6, -50, -20], [[0, 6, 1]]],
    [
      'in tens of seconds after the first minute',
      [V, 12, 59_000, 71_000],
      [
        [59, 1, 1],
        [60, 10, 1],
        [70, 1, 1],
      ],
    ],
    ['as of the change when it is of a newer version, which holds it too', [V + 3, 4, 0, 0], [[0, 4, 1]]],
  ])('is counted %s', (_, span, expected) => {
    const { report, read } = makeChanged()
    report('a', Math.max(0, span[3]), V, [span])
    expect(filled(read(10 * MINUTE_MS))).toEqual(expected)
  })

  it('of some isolates makes the share of the version in each second', () => {
    const { report, read } = makeChanged()
    report('a', 4_000, V - 1, [[V - 1, 40, 0, 4_000]])
    report('b', 4_000, V, [
      [V - 1, 10, 0, 1_000],
      [V, 30, 1_000, 4_000],
    ])
    report('c', 4_000, V, [
      [V - 1, 60, 0, 3_000],
      [V, 20, 3_000, 4_000],
    ])
    const result = read(4_000)
    expect(filled(result)).toEqual([
      [0, 40, 0],
      [1, 40, 0.25],
      [2, 40, 0.25],
      [3, 40, 0.75],
    ])
    expect(result.reportedEvaluations).toBe(160)
    expect(result.isolates).toEqual({ known: 3, current: 2, lost: 0 })
  })

  it('that is sent again counts once', () => {
    const { meter, read } = makeChanged()
    const first = entriesOf(2_000, [[V, 3, 1_000, 1_000]])
    const second = entriesOf(4_000, [[V, 4, 3_000, 3_000]], 1)
    const again = first.map((entry) => ({ ...entry, endedMsAgo: entry.endedMsAgo + 2_000 }))
    meter.report(V, { isolate: 'a', entries: first, withheldMs: 0 }, CHANGED_AT + 2_000)
    meter.report(V, { isolate: 'a', entries: [...again, ...second], withheldMs: 0 }, CHANGED_AT + 4_000)
    meter.report(V, { isolate: 'a', entries: first, withheldMs: 0 }, CHANGED_AT + 4_000)
    expect(filled(read(5_000))).toEqual([
      [1, 3, 1],
      [3, 4, 1],
    ])
    meter.report(V, { isolate: 'b', entries: first, withheldMs: 0 }, CHANGED_AT + 2_000)
    expect(read(5_000).reportedEvaluations).toBe(10)
  })

  const good = { sequence: 1, version: V, evaluations: 5, endedMsAgo: 0, lastedMs: 0 }

  it.each<[string, unknown, number]>([
    ['is missing', undefined, 0],
    ['is a number', 5, 0],
    ['has no isolate', { entries: [good] }, 0],
    ['has an empty isolate', { isolate: '', entries: [good] }, 0],
    ['has an isolate that is a book', { isolate: 'x'.repeat(37), entries: [good] }, 0],
    ['has no entries', { isolate: 'a' }, 0],
    ['has entries that are a number', { isolate: 'a', entries: 7 }, 0],
    ['has entries that are none', { isolate: 'a', entries: [null, 5, [], {}, good] }, 5],
    ['has a negative number', { isolate: 'a', entries: [{ ...good, evaluations: -5 }] }, 0],
    ['has no number', { isolate: 'a', entries: [{ ...good, evaluations: Number.NaN }] }, 0],
    ['has too many', { isolate: 'a', entries: [{ ...good, evaluations: Number.POSITIVE_INFINITY }] }, 0],
    ['comes out of the future', { isolate: 'a', entries: [{ ...good, endedMsAgo: -1 }] }, 0],
    ['lasted for ever', { isolate: 'a', entries: [{ ...good, lastedMs: 1e300 }] }, 0],
    ['has a version that is a text', { isolate: 'a', entries: [{ ...good, version: '5' }] }, 0],
    ['has a sequence of none', { isolate: 'a', entries: [{ ...good, sequence: 0 }] }, 0],
    ['withholds nonsense', { isolate: 'a', entries: [good], withheldMs: 'all' }, 5],
    [
      'has more entries than fit',
      { isolate: 'a', entries: Array.from({ length: 9 }, (_, i) => ({ ...good, sequence: i + 1 })) },
      40,
    ],
  ])('that %s breaks nothing', (_, report, expected) => {
    const { meter, read } = makeChanged()
    meter.report(V, report, CHANGED_AT + 500)
    const result = read(1_000)
    expect(result.reportedEvaluations).toBe(expected)
    expect(result.timeline).toHaveLength(1)
  })
})

describe('what is not reported', () => {
  const unreported = (made: ReturnType<typeof makeMeter>, at: number) =>
    made.read(at).timeline.map(({ unreportedShare }) => unreportedShare)

  /** An isolate that answered ten a second until two seconds before the change, and one that answers thirty. */
  function makeTwo() {
    const made = makeMeter()
    made.report('a', -12_000, V - 1)
    made.report('a', -2_000, V - 1, [[V - 1, 100, -12_000, -2_000]])
    made.report('b', -10_000, V - 1)
    made.report('b', 0, V - 1, [[V - 1, 300, -10_000, 0]])
    made.change(V, 0)
    return made
  }

  it('is what isolates are expected to answer at the rate that they had, until they report', () => {
    const made = makeTwo()
    expect(unreported(made, 3_000)).toEqual([1, 1, 1])
    made.report('b', 2_000, V - 1, [[V - 1, 60, 0, 2_000]])
    expect(unreported(made, 3_000)).toEqual([10 / 40, 10 / 40, 1])
    made.report('a', 3_000, V - 1, [[V - 1, 30, 0, 3_000]])
    expect(unreported(made, 3_000)).toEqual([0, 0, expect.closeTo(30 / 40)])
    made.report('b', 3_000, V, [[V, 30, 2_000, 3_000]])
    expect(unreported(made, 3_000)).toEqual([0, 0, 0])
    expect(made.read(3_000).isolates).toEqual({ known: 2, current: 1, lost: 0 })
  })

  it('is what an isolate has no room to report', () => {
    const made = makeTwo()
    made.report('a', 4_000, V - 1, [[V - 1, 40, -2_000, 2_000]], 2_000)
    made.report('b', 4_000, V - 1, [[V - 1, 120, 0, 4_000]])
    const share = expect.closeTo(10 / 40)
    expect(unreported(made, 4_000)).toEqual([0, 0, share, share])
  })

  it('is nothing of isolates that have not reported in the two minutes before the change', () => {
    const made = makeMeter()
    made.report('early', -2 * MINUTE_MS - 2, V - 1)
    made.report('early', -2 * MINUTE_MS - 1, V - 1, [[V - 1, 10, -2 * MINUTE_MS - 1, -2 * MINUTE_MS - 1]])
    made.change(V, 0)
    expect([unreported(made, 1_000), made.read(1_000).isolates]).toEqual([
      [0],
      { known: 0, current: 0, lost: 0 },
    ])
    made.report('new', 1_000, V, [[V, 10, 0, 1_000]])
    expect(unreported(made, 3_000)).toEqual([0, 1, 1])
    expect(made.read(3_000).isolates).toEqual({ known: 1, current: 1, lost: 0 })
  })

  it('of an isolate that never comes back is unreported for two minutes, and then the isolate is lost', () => {
    const made = makeTwo()
    made.report('b', 2 * MINUTE_MS, V, [[V, 3_600, 0, 2 * MINUTE_MS]])
    const before = made.read(2 * MINUTE_MS)
    expect(before.timeline.map(({ unreportedShare }) => unreportedShare)).toEqual(
      before.timeline.map(() => expect.closeTo(0.25)),
    )
    expect(before.isolates).toEqual({ known: 2, current: 1, lost: 0 })
    const after = made.read(2 * MINUTE_MS + 1)
    expect(after.timeline.map(({ unreportedShare }) => unreportedShare)).toEqual([
      ...before.timeline.map(() => 0),
      1,
    ])
    expect(after.isolates).toEqual({ known: 2, current: 1, lost: 1 })
    made.report('a', 3 * MINUTE_MS, V, [[V - 1, 100, 0, 10_000]])
    const back = made.read(3 * MINUTE_MS)
    expect(back.isolates).toEqual({ known: 2, current: 2, lost: 0 })
    expect(back.sharesAt.map(({ second, share }) => [second, share])).toEqual([
      [1, 0.75],
      [5, 0.75],
      [10, 1],
      [30, 1],
      [60, 1],
    ])
  })

  it('of an isolate counts its rate of about the last two minutes', () => {
    const made = makeMeter()
    made.report('a', -130_000, V - 1)
    made.report('a', -70_000, V - 1, [[V - 1, 600, -130_000, -70_000]])
    made.report('a', -10_000, V - 1, [[V - 1, 1_200, -70_000, -10_000]])
    made.report('b', -10_000, V - 1, [[V - 1, 100, -20_000, -10_000]])
    made.change(V, 0)
    made.report('b', 1_000, V - 1, [[V - 1, 10, 0, 1_000]])
    // Half of the older minute is forgotten: (300 + 1,200) in 90 seconds.
    const rate = 1_500 / 90
    expect(unreported(made, 1_000)).toEqual([expect.closeTo(rate / (rate + 10))])
    made.report('a', 200_000, V, [[V, 400, 0, 200_000]])
    made.report('b', 200_000, V - 1, [[V - 1, 1, 200_000, 200_000]])
    const last = made.read(201_000).timeline.at(-1)
    expect(last?.unreportedShare).toBeCloseTo((400 / 210 + 1 / 199) / (1 + 400 / 210 + 1 / 199))
  })
})

describe('when a share was reached', () => {
  /** Ten evaluations a second: in each so many of them at the version, null for none at all. */
  function makeShares(shares: readonly (number | null)[]) {
    const made = makeChanged()
    shares.forEach((share, second) => {
      if (share === null) return
      const at = second * 1_000
      made.report('a', at, V, [[V, share, at, at]])
      made.report('b', at, V, [[V - 1, 10 - share, at, at]])
    })
    return made.read(shares.length * 1_000)
  }

  it.each<[string, (number | null)[], (number | null)[]]>([
    ['nobody has reported', [null, null], [null, null, null, null]],
    ['all are there at once', [10, 10], [0, 0, 0, 0]],
    ['it rises', [0, 4, 5, 9, 10, 10], [2, 3, 4, 4]],
    ['it is half exactly', [0, 5, 5], [1, null, null, null]],
    ['it falls again', [10, 10, 4, 10], [3, 3, 3, 3]],
    ['it has fallen', [10, 10, 8], [0, null, null, null]],
    ['there are seconds without evaluations', [0, null, 10, null], [2, 2, 2, 2]],
    ['one in ten is left', [0, 9, 9], [1, 1, null, null]],
  ])('is the first second from which on it stays: %s', (_, shares, expected) => {
    const { half, p90, p99, all } = makeShares(shares).reached
    expect([half, p90, p99, all].map((reached) => reached?.second ?? null)).toEqual(expected)
  })

  it('says what was not reported then', () => {
    const made = makeMeter()
    made.report('silent', -10_000, V - 1)
    made.report('silent', 0, V - 1, [[V - 1, 100, -10_000, 0]])
    made.change(V, 0)
    made.report('a', 3_000, V, [
      [V - 1, 30, 0, 1_000],
      [V, 60, 1_000, 3_000],
    ])
    expect(made.read(3_000).reached.all).toEqual({ second: 1, unreportedShare: 0.25 })
    made.report('silent', 3_000, V - 1, [[V - 1, 20, 0, 2_000]])
    expect(made.read(3_000).reached.all).toEqual({ second: 2, unreportedShare: 0 })
  })
})

describe('a change', () => {
  it('that nobody has heard of yet says so', () => {
    expect(new PropagationMeter(null, 0).read(CHANGED_AT)).toBeNull()
    const { meter, read } = makeMeter()
    meter.change(V, CHANGED_AT - 80, CHANGED_AT)
    expect(read(0)).toEqual({
      version: V,
      committedAt: CHANGED_AT - 80,
      changedAt: CHANGED_AT,
      publishedAt: null,
      listenedMs: 50_000,
      reportedEvaluations: 0,
      timeline: [],
      sharesAt: [1, 5, 10, 30, 60].map((second) => ({ second, share: null, unreportedShare: null })),
      reached: { half: null, p90: null, p99: null, all: null },
      isolates: { known: 0, current: 0, lost: 0 },
      previous: null,
    })
  })

  it('has a part for each second of a minute, and for each ten up to ten minutes', () => {
    const { read } = makeChanged()
    const seconds = (at: number) => read(at).timeline.map(({ second }) => second)
    expect(seconds(1)).toEqual([0])
    expect(seconds(1_001)).toEqual([0, 1])
    const all = seconds(24 * 60 * MINUTE_MS)
    expect([all.length, all[59], all[60], all[61], all.at(-1)]).toEqual([114, 59, 60, 70, 590])
  })

  it('that follows begins afresh, and the one before it goes on until its ten minutes are over', () => {
    const made = makeChanged()
    made.report('a', 2_000, V, [[V, 10, 0, 2_000]])
    made.report('b', 2_000, V - 1, [[V - 1, 30, 0, 2_000]])
    made.change(V + 1, 3_000)
    made.report('b', 4_000, V, [
      [V - 1, 10, 2_000, 3_000],
      [V, 10, 3_000, 4_000],
    ])
    made.report('a', 5_000, V + 1, [[V + 1, 5, 4_000, 5_000]])
    const { previous, ...newest } = made.read(5_000)
    expect([newest.version, filled({ ...newest, previous: null })]).toEqual([
      V + 1,
      [
        [0, 10, 0],
        [1, 5, 1],
      ],
    ])
    expect([previous?.version, previous && filled({ ...previous, previous: null })]).toEqual([
      V,
      [
        [0, 20, 0.25],
        [1, 20, 0.25],
        [2, 10, 0],
        [3, 10, 1],
        [4, 5, 1],
      ],
    ])
    made.change(V + 2, 6_000)
    expect(made.read(6_000).previous?.version).toBe(V + 1)
    made.report('a', 10 * MINUTE_MS + 3_000, V + 2, [[V + 2, 4, 599_000, 599_000]])
    const later = made.read(10 * MINUTE_MS + 3_000)
    expect([later.reportedEvaluations, later.previous?.reportedEvaluations]).toEqual([4, 15])
  })

  it('keeps what came of it when its ten minutes are over', () => {
    const made = makeChanged()
    made.report('a', 9 * MINUTE_MS, V, [[V, 10, 0, 0]])
    made.report('b', 9 * MINUTE_MS, V - 1)
    made.report('gone', 1_000, V - 1)
    const result = made.read(10 * MINUTE_MS)
    expect([result.reportedEvaluations, result.isolates]).toEqual([10, { known: 3, current: 1, lost: 1 }])
    made.report('a', 10 * MINUTE_MS + 1, V, [[V, 10, 0, 0]])
    made.report('c', 30 * MINUTE_MS, V)
    expect(made.read(60 * MINUTE_MS)).toEqual(result)
  })

  it('says when KV took it, alone or with a later one, however late', () => {
    const { meter, change, read } = makeChanged()
    meter.published(V - 1, CHANGED_AT + 500)
    expect(read(600).publishedAt).toBeNull()
    change(V + 1, 1_000)
    meter.published(V, CHANGED_AT + 1_500)
    expect([read(2_000).publishedAt, read(2_000).previous?.publishedAt]).toEqual([null, CHANGED_AT + 1_500])
    read(20 * MINUTE_MS)
    meter.published(V + 1, CHANGED_AT + 20 * MINUTE_MS)
    const { publishedAt, previous } = read(30 * MINUTE_MS)
    expect([publishedAt, previous?.publishedAt]).toEqual([CHANGED_AT + 20 * MINUTE_MS, CHANGED_AT + 1_500])
  })
})

describe('a meter', () => {
  it('that is read from its text goes on where it was', () => {
    const made = makeMeter()
    made.report('a', -10_000, V - 1)
    made.report('a', 0, V - 1, [[V - 1, 100, -10_000, 0]])
    made.change(V - 1, -60_000)
    made.change(V, 0)
    const entries = entriesOf(2_000, [[V, 5, 1_000, 2_000]])
    made.meter.report(V, { isolate: 'b', entries, withheldMs: 0 }, CHANGED_AT + 2_000)
    const again = makeMeter(new PropagationMeter(made.meter.toText(), CHANGED_AT))
    expect(again.read(3_000)).toEqual(made.read(3_000))
    again.meter.report(V, { isolate: 'b', entries, withheldMs: 0 }, CHANGED_AT + 3_000)
    expect(again.read(3_000).reportedEvaluations).toBe(5)
    made.read(10 * MINUTE_MS)
    expect(new PropagationMeter(made.meter.toText(), CHANGED_AT).read(CHANGED_AT + 60 * MINUTE_MS)).toEqual(
      again.read(60 * MINUTE_MS),
    )
  })

  it('listens from its start on, and says up to two minutes of it', () => {
    const { meter, change, read } = makeChanged()
    const listened = [read(0).listenedMs]
    change(V + 1, 70_001)
    listened.push(read(70_001).listenedMs)
    const again = makeMeter(new PropagationMeter(meter.toText(), CHANGED_AT + 80_000))
    again.change(V + 2, 90_000)
    listened.push(again.read(90_000).listenedMs)
    expect(listened).toEqual([50_000, 120_000, 10_000])
  })

  it.each([
    ['of another format', (text: string) => text.replace('"format":1', '"format":2')],
    ['that was cut off', (text: string) => text.slice(0, -1)],
  ])('that is read from a text %s knows nothing', (_, spoil) => {
    const text = spoil(makeChanged().meter.toText())
    expect(new PropagationMeter(text, CHANGED_AT).read(CHANGED_AT)).toBeNull()
  })

  it('follows the newest change for ten minutes', () => {
    const { meter, change } = makeMeter()
    const isFollowing = (at: number) => meter.isFollowing(CHANGED_AT + at)
    expect(isFollowing(0)).toBe(false)
    change(V, 0)
    expect([isFollowing(10 * MINUTE_MS - 1), isFollowing(10 * MINUTE_MS)]).toEqual([true, false])
  })

  it('remembers 5,000 isolates, and all others together', () => {
    const made = makeMeter()
    const report = (i: number, at: number, version = V - 1) =>
      made.report(`isolate-${i}`, at, version, [[version, 10, at - 1_000, at]])
    for (let i = 0; i < 6_000; i++) report(i, 0)
    made.change(V, 0)
    made.report('one', 1_000, V, [[V, 60_000, 0, 1_000]])
    expect(made.read(1_000).isolates).toEqual({ known: 6_001, current: 1, lost: 0 })
    expect(made.read(1_000).timeline[0]?.unreportedShare).toBeCloseTo(0.5)
    expect(made.meter.toText().length).toBeLessThan(1_000_000)
    // Those that come back take the places of others, which are then remembered together in their stead.
    for (let i = 0; i < 1_000; i++) report(i, 1_000, V)
    expect(made.read(1_000).isolates).toEqual({ known: 6_001, current: 1_001, lost: 0 })
    expect(made.read(1_000).timeline[0]?.unreportedShare).toBeCloseTo(50_000 / 120_000)
    expect(made.read(2 * MINUTE_MS + 1).isolates).toEqual({ known: 6_001, current: 1_001, lost: 5_000 })
    made.report('later', 20 * MINUTE_MS, V)
    made.change(V + 1, 20 * MINUTE_MS)
    expect(made.read(20 * MINUTE_MS).isolates.known).toBe(1)
    expect(made.meter.toText().length).toBeLessThan(50_000)
  })
})

describe('whatever is reported', () => {
  const span = fc
    .record({
      isolate: fc.integer({ min: 0, max: 5 }),
      version: fc.integer({ min: V - 2, max: V + 2 }),
      evaluations: fc.integer({ min: 1, max: 1_000 }),
      from: fc.integer({ min: -30_000, max: 590_000 }),
      lastedMs: fc.integer({ min: 0, max: 9_999 }),
      delay: fc.integer({ min: 0, max: 9_999 }),
    })
    .map((drawn) => ({ ...drawn, at: Math.min(599_999, drawn.from + drawn.lastedMs + drawn.delay) }))

  it('is in the timeline: all that was answered since the change, at the version and at older ones', () => {
    fc.assert(
      fc.property(fc.array(span, { maxLength: 40 }), (spans) => {
        const made = makeMeter()
        const before = spans.filter(({ at }) => at < 0)
        const after = spans.filter(({ at }) => at >= 0).sort((a, b) => a.at - b.at)
        const send = ({ isolate, version, evaluations, from, lastedMs, at }: (typeof spans)[number]) =>
          made.report(`${isolate}`, at, version, [
            [version, evaluations, from, Math.min(at, from + lastedMs)],
          ])
        before.forEach(send)
        made.change(V, 0)
        after.forEach(send)
        const expected = { current: 0, older: 0 }
        for (const { version, evaluations, from, lastedMs, at } of after) {
          const to = Math.min(at, from + lastedMs)
          const since = to > from ? Math.max(0, to - Math.max(0, from)) / (to - from) : Number(to >= 0)
          if (version >= V) expected.current += evaluations
          else expected.older += evaluations * since
        }
        const { timeline, reportedEvaluations } = made.read(600_000)
        const current = timeline.reduce((sum, part) => sum + part.evaluations * (part.share ?? 0), 0)
        expect(current).toBeCloseTo(expected.current, 5)
        expect(reportedEvaluations - current).toBeCloseTo(expected.older, 5)
        for (const { share, unreportedShare } of timeline) {
          expect(share === null || (share >= 0 && share <= 1)).toBe(true)
          expect(unreportedShare >= 0 && unreportedShare <= 1).toBe(true)
        }
      }),
    )
  })
})
