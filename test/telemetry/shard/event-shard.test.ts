import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  type Count,
  type KeptContext,
  type Shard,
  type ShardMessage,
  shardName,
  shardOf,
  type Tallied,
  type UsageStep,
} from '../../../src/telemetry/shard-protocol.ts'
import { moveClock, stopClock, uniqueName } from '../../support/worker.ts'
import { readDisk } from './disk.ts'
import { makeTallies } from './messages.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

let environment = ''
let shard: Shard

const stub = () => env.EVENTS.getByName(shardName(environment, 0))
const evict = () => evictDurableObject(stub())
/** Has what was recorded folded in, and what is old retired. */
const fold = () => runDurableObjectAlarm(stub())
const alarmAt = () => runInDurableObject(stub(), (_, state) => state.storage.getAlarm())
const minuteOf = (instant: number) => instant - (instant % MINUTE_MS)

beforeAll(stopClock)

/** A shard that nobody has called, at noon of a day of its own. */
beforeEach(() => {
  moveClock(DAY_MS + 12 * HOUR_MS - (Date.now() % DAY_MS))
  environment = uniqueName('environment')
  shard = shardOf(env, environment, 0)
})

/** What is counted in a report: `{ a: { on: 2 } }`, for one reason. */
type Answers = { readonly [flag: string]: { readonly [variant: string]: number } }

function toCounts(variants: Answers[string]): Count[] {
  return Object.entries(variants).map(([name, evaluations]) => ({
    variant: name === 'none' ? null : name,
    reason: 'STATIC',
    evaluations,
  }))
}

function makeReport(answers: Answers, tallied: Partial<Tallied> = {}, at = Date.now()): ShardMessage {
  const flags = new Map(Object.entries(answers).map(([flag, variants]) => [flag, toCounts(variants)]))
  return makeTallies({
    minutes: new Map([[minuteOf(at), flags]]),
    uncounted: false,
    contexts: null,
    ...tallied,
  })
}

const tally = (answers: Answers, tallied: Partial<Tallied> = {}, at = Date.now()) =>
  shard.take(makeReport(answers, tallied, at))

/** Everything that was counted, as `{ flag: { variant: evaluations } }`. */
async function totals(step: UsageStep = 'day'): Promise<Answers> {
  const found: { [flag: string]: { [variant: string]: number } } = {}
  for (const { flags } of await shard.usage({ from: 0, to: Date.now() + 3 * DAY_MS, step })) {
    for (const [flag, counts] of flags) {
      const variants = found[flag] ?? {}
      found[flag] = variants
      for (const { variant, evaluations } of counts) {
        variants[variant ?? 'none'] = (variants[variant ?? 'none'] ?? 0) + evaluations
      }
    }
  }
  return found
}

/** The rows that there are, as `hour 3` for three of that kind. */
async function rowsOnDisk(): Promise<string[]> {
  return runInDurableObject(stub(), (_, { storage }) => {
    const tables = storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'packed'").toArray()
    if (tables.length === 0) return []
    const query = 'SELECT kind, count(*) AS rows FROM packed GROUP BY kind ORDER BY kind'
    return [...storage.sql.exec(query)].map(({ kind, rows }) => `${kind} ${rows}`)
  })
}

/** Whether a text stands in any row of any table. */
const isOnDisk = (text: string) =>
  runInDurableObject(stub(), (_, { storage }) => readDisk(storage.sql).includes(text))

describe('a report', () => {
  it('is counted by hour, flag, variant and reason', async () => {
    const hour = Date.now()
    const flags = new Map([
      [
        'a',
        [
          { variant: 'on', reason: 'STATIC', evaluations: 2 },
          { variant: 'on', reason: 'SPLIT', evaluations: 3 },
          { variant: null, reason: 'ERROR', evaluations: 4 },
        ],
      ],
      ['__proto__', [{ variant: 'on', reason: 'STATIC', evaluations: 5 }]],
    ])
    const later = new Map([['a', [{ variant: 'on', reason: 'SPLIT', evaluations: 10 }]]])
    const minutes = new Map([
      [hour, flags],
      [hour + MINUTE_MS, later],
      [hour - MINUTE_MS, later],
    ])
    await tally({}, { minutes })
    expect(await shard.usage({ from: hour - HOUR_MS, to: hour + HOUR_MS, step: 'hour' })).toEqual([
      { start: hour - HOUR_MS, flags: later },
      {
        start: hour,
        flags: new Map([
          [
            'a',
            [
              { variant: 'on', reason: 'STATIC', evaluations: 2 },
              { variant: 'on', reason: 'SPLIT', evaluations: 13 },
              { variant: null, reason: 'ERROR', evaluations: 4 },
            ],
          ],
          ['__proto__', [{ variant: 'on', reason: 'STATIC', evaluations: 5 }]],
        ]),
      },
    ])
    expect(await shard.usage({ from: hour, to: hour + HOUR_MS, step: 'hour', flag: '__proto__' })).toEqual([
      { start: hour, flags: new Map([['__proto__', [{ variant: 'on', reason: 'STATIC', evaluations: 5 }]]]) },
    ])
  })

  it('counts once, however often it is sent', async () => {
    const first = makeReport({ a: { on: 1 } })
    const second = makeReport({ a: { on: 10 } })
    for (const report of [first, first, second, first, second]) await shard.take(report)
    expect(await totals()).toEqual({ a: { on: 11 } })
  })

  it('counts once when the shard has restarted in between', async () => {
    const report = makeReport({ a: { on: 1 } })
    await shard.take(report)
    await evict()
    await shard.take(report)
    expect(await totals()).toEqual({ a: { on: 1 } })
  })

  it('counts once when an hour has begun in between', async () => {
    const report = makeReport({ a: { on: 1 } })
    await shard.take(report)
    moveClock(HOUR_MS)
    await tally({ a: { on: 10 } })
    await evict()
    await shard.take(report)
    expect(await totals()).toEqual({ a: { on: 11 } })
  })
})

describe('what came in', () => {
  it('is counted at once, and written as it came until it is folded in', async () => {
    await tally({ a: { on: 1 } })
    await tally({ a: { on: 10 } })
    expect([await totals('hour'), await rowsOnDisk()]).toEqual([{ a: { on: 11 } }, []])
    await evict()
    expect(await totals('hour')).toEqual({ a: { on: 11 } })
    await fold()
    expect([await totals('hour'), await rowsOnDisk()]).toEqual([
      { a: { on: 11 } },
      ['activity 1', 'hour 1', 'state 1'],
    ])
    await tally({ b: { on: 100 } })
    await evict()
    expect(await totals()).toEqual({ a: { on: 11 }, b: { on: 100 } })
  })

  it('may be more than a row can hold', async () => {
    const key = (index: number) => `${'旗'.repeat(190)}-${index}`
    const answers = Object.fromEntries(
      Array.from({ length: 6_000 }, (_, index) => [key(index), { on: index }]),
    )
    await tally(answers)
    await evict()
    await fold()
    expect(await rowsOnDisk()).toEqual(['activity 3', 'hour 3', 'state 1'])
    await evict()
    await tally({ [key(1)]: { on: 1 } })
    expect(await totals()).toEqual({ ...answers, [key(1)]: { on: 2 } })
    expect((await shard.activity()).flags.size).toBe(6_000)
  })

  it('is nothing where nobody ever counted, and asking leaves nothing behind', async () => {
    expect([
      await shard.usage({ from: 0, to: Date.now(), step: 'day' }),
      await shard.activity(),
      await shard.contexts(),
      await rowsOnDisk(),
      await alarmAt(),
    ]).toEqual([[], { knownSince: null, uncountedAt: null, flags: new Map() }, [], [], null])
  })
})

describe('time', () => {
  it('folds hours into days after two weeks, and neither loses nor doubles anything', async () => {
    const start = Date.now()
    for (const hours of [0, 1, 30]) {
      await tally({ a: { on: 1 } }, {}, start + hours * HOUR_MS)
    }
    await tally({ a: { off: 5 }, b: { on: 7 } }, {}, start + HOUR_MS)
    const before = await totals()
    expect([before, await rowsOnDisk()]).toEqual([{ a: { on: 3, off: 5 }, b: { on: 7 } }, []])

    moveClock(14 * DAY_MS)
    await fold()
    expect(await rowsOnDisk()).toEqual(['activity 1', 'hour 3', 'state 1'])
    moveClock(DAY_MS)
    await fold()
    expect([await totals(), await rowsOnDisk()]).toEqual([
      before,
      ['activity 1', 'day 1', 'hour 1', 'state 1'],
    ])
    const dayOf = (instant: number) => instant - (instant % DAY_MS)
    expect(await shard.usage({ from: 0, to: start + DAY_MS, step: 'hour' })).toEqual([])
    expect(await shard.usage({ from: dayOf(start), to: dayOf(start) + DAY_MS, step: 'day' })).toEqual([
      {
        start: dayOf(start),
        flags: new Map([
          [
            'a',
            [
              { variant: 'on', reason: 'STATIC', evaluations: 2 },
              { variant: 'off', reason: 'STATIC', evaluations: 5 },
            ],
          ],
          ['b', [{ variant: 'on', reason: 'STATIC', evaluations: 7 }]],
        ]),
      },
    ])

    // What comes very late is added to its day in the end.
    await tally({ b: { on: 100 } }, {}, start)
    moveClock(DAY_MS)
    await fold()
    expect([await totals(), await rowsOnDisk()]).toEqual([
      { ...before, b: { on: 107 } },
      ['activity 1', 'day 2', 'state 1'],
    ])
  })

  it('lets days go after 400', async () => {
    await tally({ a: { on: 1 } })
    moveClock(20 * DAY_MS)
    await tally({ b: { on: 1 } })
    moveClock(380 * DAY_MS)
    await fold()
    expect([await totals(), (await shard.activity()).flags.size]).toEqual([{ a: { on: 1 }, b: { on: 1 } }, 2])
    moveClock(DAY_MS)
    await fold()
    expect([await totals(), [...(await shard.activity()).flags.keys()]]).toEqual([{ b: { on: 1 } }, ['b']])
  })
})

describe('the activity of flags', () => {
  it('is when each was evaluated first and last, and when it answered each variant last', async () => {
    const start = Date.now()
    await tally({ a: { on: 1, off: 1 }, b: { none: 1 } })
    moveClock(5 * MINUTE_MS)
    await tally({ a: { on: 1 } })
    moveClock(HOUR_MS)
    await tally({ a: { on: 1 } })
    await tally({ a: { on: 1 } }, {}, Date.now() - MINUTE_MS)
    const expected = {
      knownSince: start,
      uncountedAt: null,
      flags: new Map([
        [
          'a',
          {
            firstEvaluatedAt: start,
            lastEvaluatedAt: start + HOUR_MS + 5 * MINUTE_MS,
            variants: new Map([
              ['on', start + HOUR_MS + 5 * MINUTE_MS],
              ['off', start],
            ]),
          },
        ],
        ['b', { firstEvaluatedAt: start, lastEvaluatedAt: start, variants: new Map([[null, start]]) }],
      ]),
    }
    expect(await shard.activity()).toEqual(expected)
    await evict()
    expect(await shard.activity()).toEqual(expected)
    moveClock(30 * DAY_MS)
    await fold()
    expect([await shard.activity(), await rowsOnDisk()]).toEqual([
      expected,
      ['activity 1', 'day 1', 'state 1'],
    ])
  })

  it('has what comes late', async () => {
    const start = Date.now()
    moveClock(3 * HOUR_MS)
    await tally({ a: { on: 1 } })
    await tally({ a: { off: 1 } }, {}, start)
    await tally({ a: { on: 1 } }, {}, start + 2.5 * HOUR_MS)
    await tally({ a: { off: 1 } }, {}, start - MINUTE_MS)
    const { flags } = await shard.activity()
    expect(flags.get('a')).toEqual({
      firstEvaluatedAt: start - MINUTE_MS,
      lastEvaluatedAt: start + 3 * HOUR_MS,
      variants: new Map([
        ['off', start],
        ['on', start + 3 * HOUR_MS],
      ]),
    })
  })

  it('has the last answer of a variant, whatever its reason', async () => {
    moveClock(5 * MINUTE_MS)
    const start = Date.now()
    const because = (reason: string) => new Map([['a', [{ variant: 'on', reason, evaluations: 1 }]]])
    const minutes = new Map([
      [start, because('STATIC')],
      [start - MINUTE_MS, because('SPLIT')],
    ])
    await tally({}, { minutes })
    expect((await shard.activity()).flags.get('a')?.variants).toEqual(new Map([['on', start]]))
  })

  it('is written once an hour, and known at every moment', async () => {
    await tally({ a: { on: 1 } })
    const stored = () =>
      runInDurableObject(stub(), (_, { storage }) =>
        storage.sql.exec("SELECT body FROM packed WHERE kind = 'activity'").one(),
      )
    await fold()
    const before = await stored()
    moveClock(5 * MINUTE_MS)
    await tally({ a: { on: 1 } })
    await tally({ a: { on: 1 } }, {}, Date.now() - MINUTE_MS)
    await fold()
    expect([await stored(), (await shard.activity()).flags.get('a')?.lastEvaluatedAt]).toEqual([
      before,
      Date.now(),
    ])
  })

  it('tells when flags were evaluated uncounted, to the hour', async () => {
    const start = Date.now()
    await tally({ a: { on: 1 } })
    const uncountedAt = async () => (await shard.activity()).uncountedAt
    expect(await uncountedAt()).toBeNull()
    moveClock(10 * MINUTE_MS)
    await tally({}, { uncounted: true })
    expect(await uncountedAt()).toBe(start + 10 * MINUTE_MS)
    moveClock(30 * MINUTE_MS)
    await tally({}, { uncounted: true })
    expect(await uncountedAt()).toBe(start + 10 * MINUTE_MS)
    moveClock(30 * MINUTE_MS)
    await tally({}, { uncounted: true })
    moveClock(2 * HOUR_MS)
    await fold()
    await evict()
    expect(await uncountedAt()).toBe(start + 70 * MINUTE_MS)
  })
})

describe('contexts', () => {
  const contextOf = (targetingKey: string, at = Date.now(), more = {}): KeptContext => ({
    at,
    text: JSON.stringify({ targetingKey, ...more }),
  })
  const keep = (contexts: readonly KeptContext[] | null) => tally({}, { contexts })

  it('are kept over a restart, the newest of each targeting key', async () => {
    await keep([contextOf('ada', Date.now(), { plan: 'free' }), contextOf('bob')])
    moveClock(MINUTE_MS)
    const newest = contextOf('ada', Date.now(), { plan: 'pro' })
    await keep([newest, { at: Date.now(), text: '{}' }, { at: Date.now(), text: '{}' }])
    const expected = [contextOf('bob', Date.now() - MINUTE_MS), newest, { at: Date.now(), text: '{}' }]
    expect(await shard.contexts()).toEqual(expected)
    await evict()
    expect(await shard.contexts()).toEqual(expected)
  })

  it('are 200 at most, the newest, however large they are', async () => {
    const contexts = Array.from({ length: 250 }, (_, index) =>
      contextOf(`unit-${index}`, Date.now() + index, { pad: 'x'.repeat(4_000) }),
    )
    await keep(contexts)
    await fold()
    await evict()
    expect(await shard.contexts()).toEqual(contexts.slice(50))
    expect(await rowsOnDisk()).toEqual(['activity 1', 'contexts 2', 'hour 1', 'state 1'])
  })

  it('are gone after a day, from the disk too', async () => {
    const start = Date.now()
    await keep([contextOf('ada', start - HOUR_MS)])
    expect(await alarmAt()).toBe(start + DAY_MS - HOUR_MS)
    await keep([contextOf('bob', start)])
    moveClock(23 * HOUR_MS - 1)
    expect(await shard.contexts()).toHaveLength(2)
    moveClock(1)
    expect(await shard.contexts()).toEqual([contextOf('bob', start)])
    await evict()
    expect(await fold()).toBe(true)
    expect([await isOnDisk('ada'), await isOnDisk('bob'), await alarmAt()]).toEqual([
      false,
      true,
      start + DAY_MS,
    ])
    moveClock(HOUR_MS)
    await fold()
    expect([await isOnDisk('bob'), await shard.contexts()]).toEqual([false, []])
  })

  it('are forgotten at once when the environment keeps none any more', async () => {
    await keep([contextOf('ada')])
    expect(await isOnDisk('ada')).toBe(true)
    await keep(null)
    expect([await isOnDisk('ada'), await shard.contexts()]).toEqual([false, []])
    await evict()
    expect(await shard.contexts()).toEqual([])
  })

  it('of a report that is sent again are kept once', async () => {
    const report = makeReport({}, { contexts: [contextOf('ada')] })
    await shard.take(report)
    await keep(null)
    await shard.take(report)
    expect(await shard.contexts()).toEqual([])
  })
})
