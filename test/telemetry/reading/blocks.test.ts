import fc from 'fast-check'
import { expect, it } from 'vitest'
import { BLOCK_MS, type Blocks, type GuardBlock } from '../../../src/telemetry/counting/blocks.ts'
import { mergeBlocks } from '../../../src/telemetry/reading/blocks.ts'

const START = 1_795_000_000_000

/** What is so in one block of one arm of one shard; `atRisk` is the risk set at its end. */
type Moment = { readonly atRisk: number; readonly hit: number; readonly live: number }

const NOTHING: Moment = { atRisk: 0, hit: 0, live: 0 }

const startOf = (index: number) => START + index * BLOCK_MS

function makeBlock(index: number, arm: string, { atRisk, hit, live }: Moment): GuardBlock {
  return {
    start: startOf(index),
    measurement: 'm',
    stage: 0,
    stratum: '1',
    arm,
    firsts: live,
    entered: hit,
    live,
    firstLive: hit,
    ignored: live,
    metrics: [
      {
        metric: 'errors',
        x: hit,
        n: atRisk + hit,
        bounds: [{ bound: 10, units: live, unitsAbove: hit, observations: live, above: hit }],
      },
    ],
  }
}

/** What a shard answers: the blocks in which something happened, and where `from` cuts, each arm's last before it. */
function answerOf(arms: ReadonlyMap<string, readonly Moment[]>, closed: number, from = 0): Blocks {
  const all = [...arms].map(([arm, moments]) => {
    const own = moments.slice(0, closed).flatMap((moment, index) => {
      const isAsBefore = moment.atRisk === (moments[index - 1] ?? NOTHING).atRisk
      return isAsBefore && moment.hit === 0 && moment.live === 0 ? [] : [makeBlock(index, arm, moment)]
    })
    return {
      blocks: own.filter(({ start }) => start >= startOf(from)),
      before: own.findLast(({ start }) => start < startOf(from)) ?? [],
    }
  })
  return {
    through: startOf(closed),
    blocks: all.flatMap(({ blocks }) => blocks).sort((a, b) => a.start - b.start),
    before: all.flatMap(({ before }) => before),
  }
}

const LENGTH = 12
const few = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(3))
const moments = fc.array(fc.record({ atRisk: fc.oneof(fc.constant(5), fc.nat(6)), hit: few, live: few }), {
  minLength: LENGTH,
  maxLength: LENGTH,
})
const shards = fc.array(fc.record({ t: moments, c: moments, closed: fc.integer({ min: 1, max: LENGTH }) }), {
  minLength: 1,
  maxLength: 4,
})

it('says what was so in all shards together, at every block in which something happened in one', () => {
  fc.assert(
    fc.property(shards, fc.nat(LENGTH - 1), (list, from) => {
      const parts = list.map(({ t, c, closed }) =>
        answerOf(
          new Map([
            ['c', c],
            ['t', t],
          ]),
          closed,
          from,
        ),
      )
      const closed = Math.min(...list.map((shard) => shard.closed))
      const expected = Array.from({ length: closed }, (_, index) =>
        (['c', 't'] as const).flatMap((arm) => {
          const isSaid = parts.some(({ blocks }) =>
            blocks.some((block) => block.arm === arm && block.start === startOf(index)),
          )
          const total = (of: keyof Moment) =>
            list.reduce((sum, shard) => sum + (shard[arm][index] ?? NOTHING)[of], 0)
          const all = { atRisk: total('atRisk'), hit: total('hit'), live: total('live') }
          return isSaid && index >= from ? [makeBlock(index, arm, all)] : []
        }),
      ).flat()
      expect(mergeBlocks(parts)).toEqual({ through: startOf(closed), blocks: expected })
    }),
  )
})

it('is the same in whatever order the shards answer', () => {
  fc.assert(
    fc.property(shards, (list) => {
      const parts = list.map(({ t, closed }) => answerOf(new Map([['t', t]]), closed))
      expect(mergeBlocks(parts.toReversed())).toEqual(mergeBlocks(parts))
    }),
  )
})

it('keeps stages, strata and measurements apart', () => {
  const block = makeBlock(0, 't', { atRisk: 1, hit: 1, live: 1 })
  const blocks = [
    block,
    { ...block, stage: 1 },
    { ...block, stratum: '2' },
    { ...block, measurement: 'another' },
  ]
  const merged = mergeBlocks([
    { through: startOf(1), blocks, before: [] },
    { through: startOf(1), blocks, before: [] },
  ])
  expect(merged.blocks).toHaveLength(4)
  for (const { metrics } of merged.blocks) expect(metrics[0]).toMatchObject({ x: 2, n: 4 })
})

it('adds metrics that only one shard has', () => {
  const one = makeBlock(0, 't', { atRisk: 3, hit: 1, live: 0 })
  const other = { ...one, metrics: one.metrics.map((metric) => ({ ...metric, metric: 'latency' })) }
  const { blocks } = mergeBlocks([
    { through: startOf(1), blocks: [one], before: [] },
    { through: startOf(1), blocks: [other], before: [] },
  ])
  expect(blocks.map(({ metrics }) => metrics.map(({ metric, n }) => [metric, n]))).toEqual([
    [
      ['errors', 4],
      ['latency', 4],
    ],
  ])
})

it('has closed nothing when no shard answers', () => {
  expect(mergeBlocks([])).toEqual({ through: 0, blocks: [] })
})
