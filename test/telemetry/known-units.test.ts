// Everything through HTTP: what ten thousand units did is told in batches, block by block, and read again; what it must
// come to is worked out from the list of their deeds alone.
import { beforeAll, describe, expect, it } from 'vitest'
import { createBatchId, formatBatchId } from '../../src/telemetry/events/batch-id.ts'
import { measure } from '../support/measurements.ts'
import {
  api,
  ask,
  configure,
  createEnvironment,
  createFlag,
  createKey,
  field,
  moveClock,
  stopClock,
  warm,
} from '../support/worker.ts'
import {
  armOf,
  BLOCKS,
  BOUND_MS,
  DEEDS,
  durationOf,
  type ExpectedBlock,
  eventsOf,
  expectBlock,
  expectIgnored,
  METRICS,
  STAGE_BLOCK,
  stratumOf,
  UNITS,
  unitsOf,
  WINDOW,
} from './known-units.ts'

const BLOCK_MS = 10_000
const BATCH = 1_000
const FLAG = 'known-checkout'
const ID = 'known'

const KINDS = { purchase: 'conversion', failure: 'error', duration: 'latency', revenue: 'mean' } as const

const ARMS = [0, 1].flatMap((stage) => [
  { stage, stratum: '3', arm: 't' },
  { stage, stratum: '2', arm: 't' },
  { stage, stratum: '2', arm: 'c' },
])

let environment = ''
let key = ''
let begun = 0

const inStage = (stage: number) =>
  measure(environment, {
    id: ID,
    flag: FLAG,
    stage,
    windowMs: WINDOW * BLOCK_MS,
    grants: [
      { audience: { attribute: 'internal', op: 'equals', values: [true] }, percentage: 100 },
      { audience: null, percentage: stage === 0 ? 10 : 50 },
    ],
    metrics: METRICS.map((name) => ({
      key: name,
      kind: KINDS[name],
      bounds: name === 'duration' ? [BOUND_MS] : [],
    })),
  })

function toEvent({ unit, name, value, stage, age }: (typeof DEEDS)[number]): object {
  const tag = stage === undefined ? {} : { tag: `${ID}.${stage}.${stratumOf(unit)}.${armOf(unit, stage)}` }
  const common = { unit: `unit-${unit}`, ...tag, ...(age === undefined ? {} : { at: Date.now() - age }) }
  if (name === 'exposure') {
    const variant = armOf(unit, stage ?? 0) === 't' ? 'on' : 'off'
    return { kind: 'exposure', flag: FLAG, variant, ...common }
  }
  const kind = name === 'purchase' || name === 'revenue' ? 'track' : 'measure'
  return { kind, name, ...common, ...(value === undefined ? {} : { value }) }
}

async function post(events: readonly object[]): Promise<void> {
  const id = formatBatchId(createBatchId(Date.now()))
  const body = { id, events }
  // Each batch is told twice, as by a client that did not hear the answer.
  for (let times = 0; times < 2; times++) {
    const answer = await ask('/v1/events', { key, json: body })
    expect([answer.status, answer.body]).toEqual([202, { accepted: events.length, rejected: [] }])
  }
}

async function tell(block: number): Promise<void> {
  const events = DEEDS.filter((deed) => deed.block === block).map(toEvent)
  for (let at = 0; at < events.length; at += BATCH) await post(events.slice(at, at + BATCH))
}

async function read<T>(path: string): Promise<T> {
  const { status, body } = await api('GET', `/environments/${environment}${path}`)
  expect(status, JSON.stringify(body)).toBe(200)
  return body as T
}

beforeAll(async () => {
  stopClock()
  environment = await createEnvironment()
  await createFlag(FLAG)
  await configure(environment, FLAG, { fallthrough: { variant: 'off' } })
  key = (await createKey(environment)).key
  moveClock(60_000 - (Date.now() % 60_000) + 1)
  begun = Date.now() - 1
  for (let block = 0; block < BLOCKS; block++) {
    if (block === 0 || block === STAGE_BLOCK) {
      await inStage(block === 0 ? 0 : 1)
      await warm(environment)
    }
    await tell(block)
    moveClock(BLOCK_MS)
  }
  moveClock(BLOCK_MS)
}, 120_000)

type Row = {
  readonly start: number
  readonly stage: number
  readonly stratum: string
  readonly arm: string
  readonly ignored: number
  readonly metrics: readonly {
    readonly metric: string
    readonly x: number
    readonly n: number
    readonly bounds: readonly { readonly observations: number; readonly above: number }[]
  }[]
} & Pick<ExpectedBlock, 'firsts' | 'entered' | 'live' | 'firstLive'>

type Sums = { readonly metric: string } & typeof NONE

const NONE = { hits: 0, events: 0, y: 0, yy: 0 }
const NOTHING = { firsts: 0, entered: 0, live: 0, firstLive: 0 }

/** What a row says, or that there is none: nothing happened, and the risk sets are as the block before left them. */
function toBlock(row: Row | undefined, before: ExpectedBlock | undefined): ExpectedBlock {
  const of = (metric: string) => row?.metrics.find((one) => one.metric === metric)
  const hits = (metric: 'purchase' | 'failure') => {
    const left = (before?.[metric].n ?? 0) - (before?.[metric].x ?? 0)
    return row ? { x: of(metric)?.x ?? 0, n: of(metric)?.n ?? 0 } : { x: 0, n: left }
  }
  const { firsts, entered, live, firstLive } = row ?? NOTHING
  const [bound] = of('duration')?.bounds ?? []
  return {
    firsts,
    entered,
    live,
    firstLive,
    purchase: hits('purchase'),
    failure: hits('failure'),
    duration: {
      n: row ? (of('duration')?.n ?? 0) : (before?.duration.n ?? 0),
      observations: bound?.observations ?? 0,
      above: bound?.above ?? 0,
    },
  }
}

describe('ten thousand units whose deeds are known', () => {
  it('have the guard blocks that their deeds come to', async () => {
    const from = new Date(begun).toISOString()
    const { blocks } = await read<{ blocks: Row[] }>(`/measurements/${ID}/blocks?from=${from}`)
    for (const place of ARMS) {
      const units = Array.from({ length: UNITS }, (_, unit) => unit).filter(
        (unit) => stratumOf(unit) === place.stratum && armOf(unit, place.stage) === place.arm,
      )
      const rows = new Map(
        blocks
          .filter(
            ({ stage, stratum, arm }) =>
              stage === place.stage && stratum === place.stratum && arm === place.arm,
          )
          .map((row) => [row.start, row]),
      )
      const [first, end] = place.stage === 0 ? [0, STAGE_BLOCK] : [STAGE_BLOCK, BLOCKS]
      let before: ExpectedBlock | undefined
      for (let block = first; block < end; block++) {
        const expected = expectBlock(units, block)
        const found = toBlock(rows.get(begun + block * BLOCK_MS), before)
        expect(found, `${JSON.stringify(place)} in block ${block}`).toEqual(expected)
        before = expected
      }
    }
  })

  it('have hits of an earlier stage counted as ignored', async () => {
    const from = new Date(begun).toISOString()
    const { blocks } = await read<{ blocks: Row[] }>(`/measurements/${ID}/blocks?from=${from}`)
    const ignored = Array.from({ length: BLOCKS }, (_, block) =>
      blocks
        .filter(({ start }) => start === begun + block * BLOCK_MS)
        .reduce((sum, row) => sum + row.ignored, 0),
    )
    const expected = Array.from({ length: BLOCKS }, (_, block) => expectIgnored(block))
    expect(ignored).toEqual(expected)
    expect(expected.some((count) => count > 0)).toBe(true)
  })

  it('have the sums over units that their deeds come to', async () => {
    const { arms } = await read<{ arms: readonly object[] }>(`/measurements/${ID}/totals`)
    const expected = ARMS.map((place) => {
      const units = unitsOf(place.stage, place.stratum, place.arm)
      return {
        ...place,
        units: units.length,
        firsts: place.stage === 0 ? units.length : 0,
        mixed: 0,
        metrics: Object.fromEntries(
          METRICS.map((metric) => {
            const events = units.map((unit) => eventsOf(unit, place.stage, metric))
            const totals = events.map((own) =>
              metric === 'purchase' || metric === 'failure'
                ? Math.min(1, own.length)
                : own.reduce((sum, { value = 0 }) => sum + value, 0),
            )
            const sum = (of: readonly number[]) => of.reduce((total, one) => total + one, 0)
            return [
              metric,
              {
                hits: events.filter((own) => own.length > 0).length,
                events: sum(events.map((own) => own.length)),
                y: sum(totals),
                yy: sum(totals.map((y) => y * y)),
              },
            ]
          }),
        ),
      }
    })
    const found = ARMS.map((place) => {
      const arm = arms.find((one) =>
        (['stage', 'stratum', 'arm'] as const).every((name) => field(one, name) === place[name]),
      )
      const metrics = field(arm, 'metrics') as readonly Sums[]
      return {
        ...place,
        units: field(arm, 'units'),
        firsts: field(arm, 'firsts'),
        mixed: field(arm, 'mixed'),
        metrics: Object.fromEntries(
          METRICS.map((name) => {
            const { hits, events, y, yy } = metrics.find(({ metric }) => metric === name) ?? NONE
            return [name, { hits, events, y, yy }]
          }),
        ),
      }
    })
    expect(found).toEqual(expected)
  })

  it('are counted by the minute in which it happened, and their quantiles are within 1 %', async () => {
    const range = `from=${new Date(begun - 4 * 3_600_000).toISOString()}&to=${new Date(begun + 600_000).toISOString()}`
    type Total = { readonly count: number; readonly sum: number; readonly p50: number; readonly p95: number }
    type Found = {
      readonly series: readonly {
        flag: string
        total: Total
        points: readonly { start: number; count: number }[]
      }[]
    }
    const of = async (metric: string) => {
      const { series } = await read<Found>(`/series?step=minute&metric=${metric}&${range}`)
      return { all: series.find(({ flag }) => flag === ''), ofFlag: series.find(({ flag }) => flag === FLAG) }
    }
    const purchases = DEEDS.filter(({ name }) => name === 'purchase')
    const late = purchases.filter(({ age }) => age !== undefined)
    const { all, ofFlag } = await of('purchase')
    expect([all?.total.count, ofFlag?.total.count]).toEqual([
      purchases.length,
      purchases.length - late.length,
    ])
    const byMinute = new Map<number, number>()
    for (const { block, age = 0 } of purchases) {
      const at = begun + 1 + block * BLOCK_MS - age
      const minute = at - (at % 60_000)
      byMinute.set(minute, (byMinute.get(minute) ?? 0) + 1)
    }
    expect(new Map(all?.points.map(({ start, count }) => [start, count]))).toEqual(
      new Map([...byMinute].sort(([a], [b]) => a - b)),
    )
    const durations = Array.from({ length: UNITS }, (_, unit) => durationOf(unit)).sort((a, b) => a - b)
    const { ofFlag: duration } = await of('duration')
    expect(duration?.total).toMatchObject({ count: UNITS, sum: durations.reduce((sum, one) => sum + one, 0) })
    for (const [name, share] of [
      ['p50', 0.5],
      ['p95', 0.95],
    ] as const) {
      const exact = durations[Math.ceil(share * UNITS) - 1] ?? Number.NaN
      expect(Math.abs((duration?.total[name] ?? Number.NaN) / exact - 1)).toBeLessThanOrEqual(0.0101)
    }
  })
})
