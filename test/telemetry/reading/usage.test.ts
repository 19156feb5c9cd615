import { env } from 'cloudflare:workers'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Bindings } from '../../../src/bindings.ts'
import { loadContexts, loadFlagActivity, loadUsage } from '../../../src/telemetry/reading/usage.ts'
import { shardName, shardOf, type Tallied } from '../../../src/telemetry/shard-protocol.ts'
import {
  moveClock,
  silenceLogs,
  silent,
  stopClock,
  uniqueName,
  unreachable,
  withShards,
} from '../../support/worker.ts'

import { makeTallies } from '../shard/messages.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

let environment = ''
let noon = 0

silenceLogs()
beforeAll(stopClock)

/** An environment that nobody has asked, at noon of a day of its own. */
beforeEach(() => {
  moveClock(DAY_MS + 12 * HOUR_MS - (Date.now() % DAY_MS))
  noon = Date.now()
  environment = uniqueName('environment')
})

type Line = readonly [flag: string, variant: string | null, reason: string, evaluations: number]

/** Lets a shard count something at an instant. */
async function count(index: number, at: number, lines: readonly Line[], tallied: Partial<Tallied> = {}) {
  const byFlag = [...Map.groupBy(lines, ([flag]) => flag)]
  const flags = new Map(
    byFlag.map(([flag, own]) => [
      flag,
      own.map(([, variant, reason, evaluations]) => ({ variant, reason, evaluations })),
    ]),
  )
  const minutes = new Map(lines.length > 0 ? [[at, flags]] : [])
  const message = makeTallies({ minutes, uncounted: false, contexts: null, ...tallied })
  await shardOf(env, environment, index).take(message)
}

/** Bindings of which the second shard fails. */
const withOne = (failing: () => Promise<never>) =>
  withShards(env, (name) =>
    name === shardName(environment, 1) ? { usage: failing, activity: failing, contexts: failing } : {},
  )

describe('usage', () => {
  it('has both shards together, by variant and by reason over time, most used first', async () => {
    await count(0, noon, [
      ['a', 'on', 'STATIC', 1],
      ['a', 'on', 'SPLIT', 2],
      ['b', null, 'ERROR', 50],
    ])
    await count(1, noon, [['a', 'on', 'STATIC', 10]])
    await count(1, noon - HOUR_MS, [['a', 'off', 'STATIC', 20]])
    await count(0, noon - 3 * HOUR_MS, [['a', 'on', 'STATIC', 1_000]])
    expect(await loadUsage(env, environment, { from: noon - HOUR_MS, to: noon + 1, step: 'hour' })).toEqual({
      step: 'hour',
      starts: [noon - HOUR_MS, noon],
      partial: false,
      flags: [
        {
          flag: 'b',
          evaluations: 50,
          variants: [{ name: null, evaluations: 50, counts: [0, 50] }],
          reasons: [{ name: 'ERROR', evaluations: 50, counts: [0, 50] }],
        },
        {
          flag: 'a',
          evaluations: 33,
          variants: [
            { name: 'off', evaluations: 20, counts: [20, 0] },
            { name: 'on', evaluations: 13, counts: [0, 13] },
          ],
          reasons: [
            { name: 'STATIC', evaluations: 31, counts: [20, 11] },
            { name: 'SPLIT', evaluations: 2, counts: [0, 2] },
          ],
        },
      ],
    })
  })

  it('is that of one flag where one is asked for', async () => {
    await count(0, noon, [
      ['a', 'on', 'STATIC', 1],
      ['b', 'on', 'STATIC', 2],
    ])
    const query = { from: noon, to: noon + HOUR_MS, step: 'hour', flag: 'b' } as const
    const { flags } = await loadUsage(env, environment, query)
    expect(flags.map(({ flag, evaluations }) => [flag, evaluations])).toEqual([['b', 2]])
  })

  it.each<[name: string, from: number, to: number, step: 'hour' | 'day', starts: number[]]>([
    ['whole steps are answered as they are', 0, 2 * HOUR_MS, 'hour', [0, HOUR_MS]],
    ['a part of a step is answered as a whole', 0.5 * HOUR_MS, 1.5 * HOUR_MS, 'hour', [0, HOUR_MS]],
    ["a day is UTC's", 0, 1, 'day', [-12 * HOUR_MS]],
    ['an empty range has no steps', HOUR_MS, HOUR_MS, 'hour', []],
    ['a range that ends before it begins has none either', HOUR_MS, 0, 'hour', []],
  ])('%s', async (_, from, to, step, starts) => {
    const usage = await loadUsage(env, environment, { from: noon + from, to: noon + to, step })
    expect(usage).toEqual({ step, starts: starts.map((start) => noon + start), flags: [], partial: false })
  })

  it.each([
    ['hour', 15 * 24],
    ['day', 401],
  ] as const)('of a range that is too long has the last steps: %s', async (step, steps) => {
    const { starts } = await loadUsage(env, environment, { from: 0, to: noon, step })
    expect(starts).toHaveLength(steps)
    expect(noon - (starts.at(-1) ?? 0)).toBeLessThanOrEqual(DAY_MS)
  })

  it.each([
    ['fails', unreachable],
    ['does not answer in time', silent],
  ])('is partial when a shard %s', async (_, failing) => {
    await count(0, noon, [['a', 'on', 'STATIC', 1]])
    await count(1, noon, [['a', 'on', 'STATIC', 10]])
    const query = { from: noon, to: noon + HOUR_MS, step: 'hour' } as const
    const started = performance.now()
    const { flags, partial } = await loadUsage(withOne(failing), environment, query)
    expect([flags[0]?.evaluations, partial, performance.now() - started < 3_000]).toEqual([1, true, true])
  })
})

describe('the activity of flags', () => {
  it('has both shards together', async () => {
    await count(0, noon, [
      ['a', 'on', 'STATIC', 1],
      ['b', 'on', 'STATIC', 1],
    ])
    moveClock(HOUR_MS)
    await count(1, noon + HOUR_MS, [['a', 'off', 'STATIC', 1]], { uncounted: true })
    expect(await loadFlagActivity(env, environment)).toEqual({
      knownSince: noon,
      uncountedAt: noon + HOUR_MS,
      partial: false,
      flags: new Map([
        [
          'a',
          {
            firstEvaluatedAt: noon,
            lastEvaluatedAt: noon + HOUR_MS,
            variants: new Map([
              ['on', noon],
              ['off', noon + HOUR_MS],
            ]),
          },
        ],
        ['b', { firstEvaluatedAt: noon, lastEvaluatedAt: noon, variants: new Map([['on', noon]]) }],
      ]),
    })
  })

  it('is partial when a shard fails', async () => {
    await count(0, noon, [['a', 'on', 'STATIC', 1]])
    const { partial, flags } = await loadFlagActivity(withOne(unreachable), environment)
    expect([partial, [...flags.keys()]]).toEqual([true, ['a']])
  })

  it('is not known where nothing was ever counted', async () => {
    expect(await loadFlagActivity(env, environment)).toEqual({
      knownSince: null,
      uncountedAt: null,
      partial: false,
      flags: new Map(),
    })
  })
})

describe('contexts', () => {
  const contextAt = (at: number) => ({ at, text: JSON.stringify({ targetingKey: `at-${at - noon}` }) })
  const loaded = async (bindings: Bindings = env) =>
    (await loadContexts(bindings, environment)).map(({ targetingKey }) => targetingKey)

  it('are those of both shards, newest first', async () => {
    await count(0, noon, [], { contexts: [contextAt(noon - 3), contextAt(noon - 1)] })
    await count(1, noon, [], { contexts: [contextAt(noon - 2)] })
    expect([await loaded(), await loaded(withOne(unreachable))]).toEqual([
      ['at--1', 'at--2', 'at--3'],
      ['at--1', 'at--3'],
    ])
  })

  it('are 200 at most', async () => {
    for (const index of [0, 1]) {
      const contexts = Array.from({ length: 150 }, (_, step) => contextAt(noon - 300 + 2 * step + index))
      await count(index, noon, [], { contexts })
    }
    const contexts = await loaded()
    expect([contexts.length, contexts[0], contexts.at(-1)]).toEqual([200, 'at--1', 'at--200'])
  })
})
