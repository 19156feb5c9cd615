import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Measurement, Metric } from '../../../src/catalog/measurement.ts'
import { armNameOf } from '../../../src/telemetry/counting/block-book.ts'
import type { GuardBlock } from '../../../src/telemetry/counting/blocks.ts'
import type { Counting, Input } from '../../../src/telemetry/counting/counting.ts'
import { wasSeenOn } from '../../../src/telemetry/counting/memberships.ts'
import type { SeriesCell } from '../../../src/telemetry/counting/series.ts'
import type { ArmTotals, Moments } from '../../../src/telemetry/counting/totals.ts'
import type { CountingPlan } from '../../../src/telemetry/counting-plan.ts'
import type { ShardEvent } from '../../../src/telemetry/events/event.ts'
import { makeEvent, makeMeasurement, makeMetric, START, unitId } from './events.ts'
import { Reference } from './reference.ts'
import { ShardMemory, type Step } from './shard-memory.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const METRICS: Metric[] = [
  makeMetric({ key: 'bought', event: 'buy' }),
  makeMetric({ key: 'purchases', event: 'buy', kind: 'count', cap: 2, preExposure: true }),
  makeMetric({ key: 'revenue', event: 'buy', kind: 'mean', cap: 9, preExposure: true }),
  makeMetric({ key: 'per-view', event: 'buy', kind: 'ratio', denominator: 'view' }),
  makeMetric({ key: 'failed', event: 'fail', kind: 'error', goodDirection: 'down' }),
  makeMetric({ key: 'waited', event: 'wait', kind: 'latency', goodDirection: 'down' }),
]

type Shape = {
  readonly stage1: number
  readonly stage2: number
  readonly has1: boolean
  readonly has2: boolean
  readonly extra: boolean
  readonly bounds: readonly number[]
  readonly windowMs: number
}

function measurementsOf({ stage1, stage2, has1, has2, extra, bounds, windowMs }: Shape): Measurement[] {
  const first = makeMeasurement({
    stage: stage1,
    windowMs,
    metrics: [
      { metric: 'bought', bounds: [] },
      { metric: 'waited', bounds },
      { metric: 'revenue', bounds: [3] },
      ...(extra ? ['failed', 'purchases'].map((metric) => ({ metric, bounds: [] })) : []),
    ],
  })
  const second = makeMeasurement({
    id: 'm2',
    flag: 'f2',
    kind: 'experiment',
    stage: stage2,
    shards: 2,
    metrics: ['purchases', 'per-view', 'failed'].map((metric) => ({ metric, bounds: [] })),
  })
  const third = makeMeasurement({ id: 'm3', flag: 'f1', by: 'company.id', stage: stage1 })
  return [...(has1 ? [first] : []), ...(has2 ? [second] : []), third]
}

function planOf(shape: Shape, version: number): CountingPlan {
  return { version, fingerprint: String(version), metrics: METRICS, measurements: measurementsOf(shape) }
}

const shapes: fc.Arbitrary<Shape> = fc.record({
  stage1: fc.constantFrom(1, 1, 1, 2, 3),
  stage2: fc.constantFrom(1, 1, 2),
  has1: fc.constantFrom(true, true, true, true, true, false),
  has2: fc.constantFrom(true, true, true, false),
  extra: fc.boolean(),
  bounds: fc.constantFrom([], [2], [2], [2, 4], [4]),
  windowMs: fc.constantFrom(20_000, 45_000),
})

/** How long before its arrival an event happened. */
const lags = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 5_000 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 3 * MINUTE }) },
  { weight: 2, arbitrary: fc.integer({ min: DAY, max: 2 * DAY }) },
)

/** An event, and how many stages its tag is ahead of the plan that is in force when it arrives. */
type Drawn = { readonly lag: number; readonly ahead: number; readonly event: Partial<ShardEvent> }

const aheads = fc.constantFrom(0, 0, 0, 0, 0, 0, -1, 1)

const tags = fc.record({
  id: fc.constantFrom('m1', 'm1', 'm1', 'm1', 'm2', 'm2', 'm3', 'm9'),
  stage: fc.constant(0),
  stratum: fc.constantFrom('a', 'a', 'a', 'b'),
  arm: fc.constantFrom('t', 't', 't', 'c'),
})

/** Four users, of whom two are in the shard of m2, and two companies. */
const units = fc.constantFrom(0, 0, 0, 0, 1, 2, 2, 3, 4, 5)

type Common = Pick<ShardEvent, 'trusted' | 'automatic' | 'primary' | 'home'> & {
  readonly lag: number
  readonly ahead: number
  readonly number: number
  readonly isNobody: boolean
}

const commons: fc.Arbitrary<Common> = fc.record({
  lag: lags,
  ahead: aheads,
  number: units,
  trusted: fc.constantFrom(true, true, true, true, true, false),
  automatic: fc.boolean(),
  primary: fc.constantFrom(true, true, true, false),
  home: fc.constantFrom(true, true, true, false),
  isNobody: fc.constantFrom(false, false, false, false, false, false, true),
})

function drawn({ lag, ahead, number, isNobody, ...rest }: Common, event: Partial<ShardEvent>): Drawn {
  const whose = { unit: unitId(number), unitKind: number > 3 ? 'company' : 'user' }
  return { lag, ahead, event: { ...rest, ...(isNobody ? { unit: null, unitKind: '' } : whose), ...event } }
}

const exposures: fc.Arbitrary<Drawn> = fc
  .tuple(commons, fc.option(tags, { freq: 8 }), fc.constantFrom('on', 'on', 'on', 'off'), fc.boolean())
  .map(([common, tag, variant, isOther]) => {
    const flag = tag?.id === 'm2' || (isOther && tag === null) ? 'f2' : 'f1'
    return drawn(common, { kind: 'exposure', name: '', flag, variant, tag, slices: ['x', null] })
  })

const outcomes: fc.Arbitrary<Drawn> = fc
  .tuple(
    commons,
    fc.option(tags, { freq: 2 }),
    fc.constantFrom('buy', 'buy', 'view', 'fail', 'wait', 'wait', 'other'),
    fc.constantFrom(Number.NaN, 0, 1, 2, 3, 5, 7),
    fc.constantFrom('', '', 'f1', 'f2'),
    fc.constantFrom('track', 'measure'),
  )
  .map(([common, tag, name, value, flag, kind]) => {
    return drawn(common, { kind, name, value, tag, flag, variant: flag && 'on' })
  })

type Move =
  | { readonly kind: 'events'; readonly events: readonly Drawn[] }
  | { readonly kind: 'plan'; readonly shape: Shape }
  | { readonly kind: 'erase'; readonly number: number }

/** What happens, how long after what happened before, and what becomes of the shard then. */
type Turn = { readonly wait: number; readonly move: Move; readonly after: 'fold' | 'restart' | undefined }

const moves: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 14,
    arbitrary: fc
      .array(fc.oneof(exposures, outcomes), { minLength: 1, maxLength: 5 })
      .map((events) => ({ kind: 'events' as const, events })),
  },
  { weight: 2, arbitrary: shapes.map((shape) => ({ kind: 'plan' as const, shape })) },
  { weight: 2, arbitrary: units.map((number) => ({ kind: 'erase' as const, number })) },
)

const turns: fc.Arbitrary<Turn> = fc.record({
  wait: fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0, max: 8_000 }) },
    { weight: 2, arbitrary: fc.integer({ min: 8_000, max: 70_000 }) },
    { weight: 1, arbitrary: fc.integer({ min: MINUTE, max: 20 * MINUTE }) },
  ),
  move: moves,
  after: fc.constantFrom(undefined, undefined, undefined, 'fold', 'restart'),
})

const stories = fc.tuple(shapes, fc.array(turns, { minLength: 5, maxLength: 60 }))

function stepsOf([first, turns]: readonly [Shape, readonly Turn[]]): (Step & Pick<Turn, 'after'>)[] {
  let at = START
  let version = 1
  let shape = first
  const steps = turns.map(({ wait, move, after }) => {
    at += wait
    let input: Input
    if (move.kind === 'plan') {
      shape = move.shape
      input = { kind: 'plan', plan: planOf(shape, ++version) }
    } else if (move.kind === 'erase') input = { kind: 'erase', unit: unitId(move.number) }
    else {
      const events = move.events.map(({ lag, ahead, event }) => {
        const stage = (event.tag?.id === 'm2' ? shape.stage2 : shape.stage1) + ahead
        return makeEvent({ ...event, tag: event.tag ? { ...event.tag, stage } : null, at: at - lag })
      })
      input = { kind: 'events', events }
    }
    return { at, input, after }
  })
  return [{ at: START, input: { kind: 'plan', plan: planOf(first, 1) }, after: undefined }, ...steps]
}

/** Puts what has no order of its own in one. */
function inOrder<T>(list: readonly T[]): T[] {
  const keyed = list.map((one) => ({ one, key: JSON.stringify(one) }))
  return keyed.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ one }) => one)
}

/** Everything that counting says of a story that began at START. */
type Said = {
  readonly blocks: readonly GuardBlock[]
  readonly totals: readonly (readonly unknown[])[]
  readonly minutes: readonly SeriesCell[]
  readonly hours: readonly SeriesCell[]
  readonly names: readonly unknown[]
}

const isZero = ({ bounds, ...sums }: Moments) =>
  [sums, ...bounds.map(({ bound: _, ...rest }) => rest)].every((one) =>
    Object.values(one).every((n) => n === 0),
  )

/** Metrics of which nothing is left say nothing. */
function plain(totals: readonly ArmTotals[]): readonly unknown[] {
  return inOrder(
    totals.map(({ metrics, ...arm }) => ({
      ...arm,
      metrics: inOrder([...metrics].filter(([, moments]) => !isZero(moments))),
    })),
  )
}

function blocksOf(counting: Counting, until: number): GuardBlock[] {
  const blocks: GuardBlock[] = []
  for (let from = START; from < until; ) {
    const part = counting.blocks({ from })
    blocks.push(...part.blocks)
    from = part.through
  }
  return blocks
}

/** Holds what is said of the time before an instant to the blocks themselves. */
function checkBefore(counting: Counting, blocks: readonly GuardBlock[], from: number): void {
  const stages = new Map(counting.plan?.measurements.map(({ id, stage }) => [id, stage]))
  const last = new Map<string, GuardBlock>()
  for (const block of blocks) {
    if (block.start < from && stages.get(block.measurement) === block.stage) last.set(armNameOf(block), block)
  }
  const before = new Map(counting.blocks({ from }).before.map((block) => [armNameOf(block), block]))
  for (const [arm, block] of before) expect(block).toEqual(last.get(arm))
  for (const [arm, { measurement, stage, stratum, arm: name, metrics }] of last) {
    // Whoever was in an earlier measurement of the same id is in none now.
    const isKnown = counting
      .totals(measurement)
      .some((one) => one.stage === stage && one.stratum === stratum && one.arm === name)
    if (!before.has(arm) && isKnown) expect(metrics.map(({ x, n }) => n - x)).toEqual(metrics.map(() => 0))
  }
}

function saidBy(counting: Counting, until: number): Said {
  counting.advance(until)
  const closed = blocksOf(counting, until)
  for (let from = START; from < until; from += 7 * MINUTE + 10_000) checkBefore(counting, closed, from)
  const starts = (first: number, width: number) =>
    Array.from({ length: Math.ceil((until - first) / width) }, (_, index) => first + index * width)
  const firstMinute = START - 2 * DAY
  const firstHour = Math.floor(firstMinute / HOUR) * HOUR
  return {
    blocks: inOrder(closed),
    totals: ['m1', 'm2', 'm3'].map((id) => plain(counting.totals(id))),
    minutes: inOrder(starts(firstMinute, MINUTE).flatMap((start) => counting.cells('minute', start))),
    hours: inOrder(starts(firstHour, HOUR).flatMap((start) => counting.cells('hour', start))),
    names: inOrder(counting.names()),
  }
}

function saidByReference(reference: Reference, until: number): Said {
  reference.advance(until)
  return {
    blocks: inOrder(reference.blocks),
    totals: ['m1', 'm2', 'm3'].map((id) => plain(reference.totals(id))),
    minutes: inOrder(reference.cells(MINUTE)),
    hours: inOrder(reference.cells(HOUR)),
    names: inOrder(reference.names()),
  }
}

const KNOWN_UNITS = [0, 1, 2, 3, 4, 5].map(unitId)

/** The days on which each unit was seen, by measurement. */
function daysOf(days: (measurement: string, unit: string) => readonly number[] | undefined): unknown {
  return ['m1', 'm2', 'm3'].map((id) => KNOWN_UNITS.map((unit) => days(id, unit)))
}

function daysIn(shard: ShardMemory): unknown {
  // What a measurement left behind that was out of the plan in between is not anyone's membership any more.
  const opened = new Map(shard.counting.save().books.map(([id, , openedEra]) => [id, openedEra]))
  return daysOf((id, unit) => {
    const member = shard.unit(unit)?.memberships.get(id)
    if (!member || member.era < (opened.get(id) ?? Number.POSITIVE_INFINITY)) return undefined
    return Array.from({ length: 90 }, (_, day) => day).filter((day) => wasSeenOn(member.days, day))
  })
}

const RUNS = Number(process.env.COUNTING_RUNS ?? 300)

it('says what going through all events again would say, however often it was killed', () => {
  fc.assert(
    fc.property(stories, (story) => {
      const steps = stepsOf(story)
      const until = Math.ceil(((steps.at(-1)?.at ?? START) + 2 * MINUTE) / MINUTE) * MINUTE
      const reference = new Reference(0)
      const undisturbed = new ShardMemory(0)
      const killed = new ShardMemory(0)
      for (const step of steps) {
        reference.apply(step.input, step.at)
        undisturbed.apply(step)
        killed.apply(step)
        if (step.after === 'fold') killed.fold()
        if (step.after === 'restart') killed.restart()
      }
      const expected = saidByReference(reference, until)
      expect(saidBy(undisturbed.counting, until)).toEqual(expected)
      expect(saidBy(killed.counting, until)).toEqual(expected)
      expect(daysIn(undisturbed)).toEqual(daysOf((id, unit) => reference.daysSeen(id, unit)))
      expect(daysIn(killed)).toEqual(daysIn(undisturbed))
    }),
    { numRuns: RUNS },
  )
})
