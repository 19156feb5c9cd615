import { env } from 'cloudflare:workers'
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { toHex } from '../../../src/access/key.ts'
import { SETTINGS_KEY, settingsText } from '../../../src/catalog/entities.ts'
import { openEnvironment } from '../../../src/catalog/environment-snapshot.ts'
import { fail } from '../../../src/engine/evaluation.ts'
import { writeSnapshotText } from '../../../src/engine/snapshot-text.ts'
import type { CountingPlan } from '../../../src/telemetry/counting-plan.ts'
import { loadContexts, loadFlagActivity, loadUsage } from '../../../src/telemetry/reading/usage.ts'
import {
  type Shard,
  type ShardMessage,
  shardName,
  shardOf,
  type Taken,
} from '../../../src/telemetry/shard-protocol.ts'
import { makeIsolate, on } from '../../support/isolate.ts'
import {
  BULK,
  configure,
  createEnvironment,
  createFlag,
  createKey,
  makeFlags,
  makeRequest,
  moveClock,
  SINGLE,
  serve,
  silenceLogs,
  silent,
  uniqueName,
  unreachable,
  warm,
  withShards,
} from '../../support/worker.ts'

const DAY_MS = 86_400_000
const HOLD_MS = 15_000
const LEASE_MS = 2_500

silenceLogs()

let environment = ''

/** How often each flag was evaluated, whichever the shard. */
async function totals(of = environment): Promise<{ [flag: string]: number }> {
  const now = Date.now()
  const { flags } = await loadUsage(env, of, { from: now - DAY_MS, to: now + DAY_MS, step: 'day' })
  return Object.fromEntries(flags.map(({ flag, evaluations }) => [flag, evaluations]))
}

type Take = (message: ShardMessage, shard: Shard) => Promise<Taken>

/** Bindings whose shards write down the messages that come, by their ids, and do with them what a test says. */
function watchShards(take: Take) {
  const messages: { readonly shard: string; readonly id: string }[] = []
  const bindings = withShards(env, (shard) => ({
    take: (message: ShardMessage) => {
      messages.push({ shard, id: toHex(message.id) })
      return take(message, shardOf(env, environment, shard === shardName(environment, 0) ? 0 : 1))
    },
  }))
  return { messages, bindings }
}

const arrive: Take = (message, shard) => shard.take(message)

beforeEach(() => {
  environment = uniqueName('environment')
})

describe('what an isolate counts', () => {
  it('is held for a quarter of a minute, by one request for all, and sent as a whole', async () => {
    const isolate = makeIsolate(environment)
    const { bindings, messages } = watchShards(arrive)
    expect([isolate.answer(bindings), isolate.answer(bindings), isolate.answer(bindings)]).toEqual([
      HOLD_MS,
      undefined,
      undefined,
    ])
    expect(messages).toEqual([])
    await isolate.settled()
    expect([messages.length, await totals()]).toEqual([1, { a: 3 }])
    isolate.move(1_000)
    expect(isolate.answer(bindings)).toBe(HOLD_MS)
    await isolate.settled()
    expect([new Set(messages.map(({ id }) => id)).size, await totals()]).toEqual([2, { a: 4 }])
  })

  it('is not sent when it is nothing', () => {
    const isolate = makeIsolate(environment)
    const unknown = fail('nowhere', 'FLAG_NOT_FOUND', '')
    expect(isolate.answer(env, { evaluations: [] })).toBeUndefined()
    expect(isolate.answer(env, { evaluations: [unknown] })).toBeUndefined()
    expect(isolate.answer(env)).toBe(HOLD_MS)
  })

  it('is sent by another request when the one that was to is cut off', async () => {
    const isolate = makeIsolate(environment)
    const { bindings, messages } = watchShards(arrive)
    vi.spyOn(scheduler, 'wait').mockImplementationOnce(silent)
    isolate.answer(bindings)
    isolate.cutOff()
    isolate.move(HOLD_MS + LEASE_MS - 1)
    expect(isolate.answer(bindings)).toBeUndefined()
    isolate.move(1)
    expect(isolate.answer(bindings)).toBe(0)
    await isolate.settled()
    expect([messages.length, await totals()]).toEqual([1, { a: 3 }])
  })

  it('goes to one shard, which others share evenly', async () => {
    const shards = new Set<string>()
    for (let i = 0; i < 40; i++) {
      const isolate = makeIsolate(environment)
      const { bindings, messages } = watchShards(async () => 'counted')
      for (let j = 0; j < 3; j++) {
        isolate.answer(bindings)
        await isolate.settled()
      }
      const own = new Set(messages.map(({ shard }) => shard))
      expect([messages.length, own.size]).toEqual([3, 1])
      for (const shard of own) shards.add(shard)
    }
    expect(shards).toEqual(new Set([shardName(environment, 0), shardName(environment, 1)]))
  })

  it('is apart for each environment', async () => {
    const isolate = makeIsolate(environment)
    const other = uniqueName('environment')
    expect([isolate.answer(env), isolate.answer(env, { of: other }), isolate.answer(env)]).toEqual([
      HOLD_MS,
      HOLD_MS,
      undefined,
    ])
    await isolate.settled()
    expect([await totals(), await totals(other)]).toEqual([{ a: 2 }, { a: 1 }])
  })
})

describe('a message', () => {
  const lost: Take = async (message, shard) => {
    await shard.take(message)
    throw new Error('the answer was lost')
  }

  it.each<[name: string, take: Take]>([
    ['that the shard is too busy for', async () => 'overloaded'],
    ['that does not arrive', unreachable],
    ['that arrives without an answer', lost],
    ['that is never answered', silent],
  ])(
    '%s is sent again as it is, not before a quarter of a minute, and counts once',
    async (_, take) => {
      const isolate = makeIsolate(environment)
      const { bindings: failing, messages } = watchShards(take)
      isolate.answer(failing)
      await isolate.settled()
      isolate.move(1_000)
      expect(isolate.answer(failing, { evaluations: [on, { ...on, flagKey: 'b' }] })).toBe(HOLD_MS - 1_000)
      await isolate.settled()
      isolate.move(HOLD_MS)
      expect(isolate.answer(failing, { evaluations: [] })).toBe(0)
      await isolate.settled()
      expect(messages).toEqual(Array(3).fill(messages[0]))

      const { bindings: working, messages: arrived } = watchShards(arrive)
      expect(isolate.answer(working)).toBe(HOLD_MS)
      await isolate.settled()
      const [first] = messages
      expect(arrived).toEqual([first, { shard: first?.shard, id: expect.any(String) }])
      expect(arrived[1]?.id).not.toBe(first?.id)
      expect(await totals()).toEqual({ a: 3, b: 1 })
      expect(isolate.answer(working, { evaluations: [] })).toBeUndefined()
    },
    20_000,
  )

  it('whose answer is late strikes out no later one', async () => {
    const isolate = makeIsolate(environment)
    const answers: PromiseWithResolvers<Taken>[] = []
    const { bindings, messages } = watchShards(() => {
      const answer = Promise.withResolvers<Taken>()
      answers.push(answer)
      return answer.promise
    })
    const called = (times: number) => vi.waitFor(() => expect(messages).toHaveLength(times))
    isolate.answer(bindings)
    await called(1)
    isolate.move(HOLD_MS)
    isolate.answer(bindings)
    await called(2)
    answers[1]?.resolve('counted')
    await called(3)
    answers[0]?.resolve('counted')
    answers[2]?.reject(new Error('unreachable'))
    await isolate.settled()
    expect(messages).toHaveLength(3)
    isolate.move(HOLD_MS)
    isolate.answer(bindings)
    await called(4)
    const [first, second] = new Set(messages.map(({ id }) => id))
    expect(messages.map(({ id }) => id)).toEqual([first, first, second, second])
    isolate.cutOff()
  })

  it('is sent at once with the plan where the shard does not know it', async () => {
    const isolate = makeIsolate(environment)
    const plans: unknown[] = []
    const bindings = withShards(env, () => ({
      take: async (message: ShardMessage, plan?: CountingPlan): Promise<Taken> => {
        plans.push([toHex(message.id), message.plan, plan])
        return plan ? 'counted' : 'plan_wanted'
      },
    }))
    isolate.answer(bindings)
    await isolate.settled()
    const mark = { version: 1, fingerprint: expect.any(String) }
    const id = expect.any(String)
    expect(plans).toEqual([
      [id, mark, undefined],
      [id, mark, { ...mark, metrics: [], measurements: [] }],
    ])
    expect(Object(plans[1])[0]).toBe(Object(plans[0])[0])
    expect(isolate.answer(bindings, { evaluations: [] })).toBeUndefined()
  })

  it('that is too old for its shard is given up, and what it told is known not to be counted', async () => {
    const isolate = makeIsolate(environment)
    const tallied: ShardMessage['tallied'][] = []
    const watch = (taken: Taken) => {
      return withShards(env, () => ({
        take: async (message: ShardMessage) => {
          tallied.push(message.tallied)
          return taken
        },
      }))
    }
    isolate.answer(watch('expired'))
    await isolate.settled()
    isolate.answer(watch('counted'), { evaluations: [] })
    await isolate.settled()
    expect(tallied.map((one) => [one?.minutes.size, one?.uncounted])).toEqual([
      [1, false],
      [0, true],
    ])
  })
})

describe('contexts', () => {
  const kept = async () => (await loadContexts(env, environment)).map(({ targetingKey }) => targetingKey)

  it('are sent along where the environment keeps them', async () => {
    const isolate = makeIsolate(environment)
    const settings = { keepContexts: true }
    isolate.answer(env, { settings, context: { targetingKey: 'ada' } })
    isolate.move(999)
    isolate.answer(env, { settings, context: { targetingKey: 'bob' } })
    isolate.move(1)
    isolate.answer(env, { settings, context: { targetingKey: 'cleo' } })
    await isolate.settled()
    expect([await kept(), await totals()]).toEqual([['cleo', 'ada'], { a: 3 }])
    isolate.handOutSnapshot(settings)
    await isolate.settled()
    expect(await kept()).toEqual(['cleo', 'ada'])
    isolate.answer(env, { context: { targetingKey: 'dan' } })
    await isolate.settled()
    expect(await kept()).toEqual([])
  })

  it.each([[true], [false], [undefined]])('are kept as the snapshot says: %s', (keepContexts) => {
    const settings = {
      refreshSeconds: 30,
      signingSecret: 'secret',
      ...(keepContexts === undefined ? {} : { keepContexts }),
    }
    const sections = { settings: new Map([[SETTINGS_KEY, settingsText(settings)]]) }
    const opened = openEnvironment(environment, writeSnapshotText({ environment, version: 1, sections }))
    const { keepContexts: _, ...without } = settings
    expect(opened.ok && opened.value.settings).toEqual(keepContexts ? settings : without)
  })

  it.each([[undefined], [false]])('are not where it does not: %s', async (keepContexts) => {
    const isolate = makeIsolate(environment)
    const settings = keepContexts === undefined ? {} : { keepContexts }
    isolate.answer(env, { settings, context: { targetingKey: 'ada' } })
    await isolate.settled()
    expect([await kept(), await totals()]).toEqual([[], { a: 1 }])
  })
})

describe('the Worker counts', () => {
  let real = ''
  let server = ''
  let client = ''

  beforeAll(async () => {
    await createFlag('seen', { clientVisible: true })
    await createFlag('hidden')
    await createFlag('split')
    await createFlag('disabled')
  })

  beforeEach(async () => {
    real = await createEnvironment()
    await configure(real, 'seen')
    await configure(real, 'hidden')
    await configure(real, 'split', {
      fallthrough: { split: { weights: [{ variant: 'on', weight: 1 }], seed: 's' } },
    })
    await configure(real, 'disabled', { enabled: false })
    server = (await createKey(real)).key
    client = (await createKey(real, 'client')).key
    await warm(real)
  })

  /** What was counted, as `seen on STATIC: 1`. */
  async function counted(): Promise<string[]> {
    const now = Date.now()
    const { flags } = await loadUsage(env, real, { from: now - DAY_MS, to: now, step: 'day' })
    return flags.flatMap(({ flag, variants, reasons }) => {
      const names = (series: typeof variants) =>
        series.map(({ name, evaluations }) => `${name} ${evaluations}`)
      return `${flag}: ${[...names(variants), ...names(reasons)].join(', ')}`
    })
  }

  async function asked(path: string, key: string, headers = {}, method = 'POST'): Promise<Response> {
    const sending = { method, key, headers, ...(method === 'POST' ? { json: {} } : {}) }
    const { response, settled } = await serve(makeRequest(path, sending), env)
    await settled()
    return response
  }

  const ALL = [
    'disabled: null 1, DISABLED 1',
    'hidden: on 1, STATIC 1',
    'seen: on 1, STATIC 1',
    'split: null 1, ERROR 1',
  ]

  it('a single evaluation', async () => {
    await asked(`${SINGLE}seen`, server)
    await asked(`${SINGLE}split`, server)
    await asked(`${SINGLE}seen`, client)
    expect(await counted()).toEqual(['seen: on 2, STATIC 2', 'split: null 1, ERROR 1'])
  })

  it('no flag that does not exist, or that the client must not see', async () => {
    expect((await asked(`${SINGLE}nowhere`, server)).status).toBe(404)
    expect((await asked(`${SINGLE}hidden`, client)).status).toBe(404)
    expect(await counted()).toEqual([])
  })

  it('every flag of a bulk evaluation', async () => {
    await asked(BULK, server)
    expect(await counted()).toEqual(ALL)
  })

  it('the flags that a client sees, when nothing has changed for it too', async () => {
    const etag = (await asked(BULK, client)).headers.get('etag') ?? ''
    expect((await asked(BULK, client, { 'if-none-match': etag })).status).toBe(304)
    expect(await counted()).toEqual(['seen: on 2, STATIC 2'])
  })

  it('what other Workers ask', async () => {
    const { flags, settled } = makeFlags(real, env)
    await flags.getBooleanValue('seen', false)
    await flags.getBooleanValue('nowhere', false)
    await flags.getAll()
    await settled()
    expect(await counted()).toEqual([
      'seen: on 2, STATIC 2',
      ...ALL.filter((line) => !line.startsWith('seen')),
    ])
  })

  it('nothing where it refuses to evaluate', async () => {
    const { response, settled } = await serve(makeRequest(BULK, { key: server, json: [] }), env)
    await settled()
    expect([response.status, await counted()]).toEqual([400, []])
  })

  it('a snapshot that is fetched as evaluations that it does not see', async () => {
    const uncountedAt = async () => (await loadFlagActivity(env, real)).uncountedAt
    await asked(BULK, server)
    expect(await uncountedAt()).toBeNull()
    moveClock(1_000)
    expect((await asked('/v1/snapshot', client, {}, 'GET')).status).toBe(403)
    expect(await uncountedAt()).toBeNull()
    expect((await asked('/v1/snapshot', server, {}, 'GET')).status).toBe(200)
    expect(await uncountedAt()).toBeGreaterThan(0)
  })

  it('without failing or waiting when no shard can be reached', async () => {
    const bindings = withShards(env, () => ({ take: unreachable }))
    const { response, settled } = await serve(
      makeRequest(`${SINGLE}seen`, { key: server, json: {} }),
      bindings,
    )
    expect(response.status).toBe(200)
    await settled()
    await asked(`${SINGLE}seen`, server)
    expect(await counted()).toEqual(['seen: on 2, STATIC 2'])
  })
})
