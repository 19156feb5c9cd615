// What a guarded rollout costs on Cloudflare's free plan: the isolate's and the shards' own code, run for a part of a
// day that is played through in a moment, and counted.
import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeAll, describe, expect, it } from 'vitest'
import { DEFAULT_SHARDS } from '../../src/catalog/layouts.ts'
import { snapshotCache } from '../../src/delivery/snapshot-cache.ts'
import { evaluate } from '../../src/engine/evaluate.ts'
import { BLOCK_MS } from '../../src/telemetry/counting/blocks.ts'
import { createBatchId, formatBatchId } from '../../src/telemetry/events/batch-id.ts'
import { Outbox } from '../../src/telemetry/isolate/outbox.ts'
import { shardName, shardOf, shardsOf } from '../../src/telemetry/shard-protocol.ts'
import { standingOf, storeRollout, tickIn } from '../support/guarded.ts'
import { putMetric } from '../support/measurements.ts'
import { makeGuardrail, makeStage } from '../support/rollouts.ts'
import {
  ask,
  configure,
  createEnvironment,
  createFlag,
  createKey,
  moveClock,
  stopClock,
  uniqueName,
  warm,
} from '../support/worker.ts'

const PER_SECOND = 100
const UNITS = 50_000
/** An isolate has saved up trips: a day is like what comes when they are spent. */
const WARM_UP_SECONDS = 300
const SECONDS = 1_200
const DAY_SECONDS = 86_400
const FREE_PLAN = 100_000

const HUB_CHECK_SECONDS = 5
const OUTCOMES_EVERY_SECONDS = 10

/** Requests to objects in a day beside what is counted here. */
const ELSEWHERE =
  // One isolate's questions to the hub while a guarded rollout runs, and the cron's two to the rollouts' clock.
  DAY_SECONDS / HUB_CHECK_SECONDS + 2 * (DAY_SECONDS / 60)

let environment = ''
let key = ''
let rollout = ''

async function shardRows(): Promise<number> {
  const all = await Promise.all(shardsOf(env, environment, DEFAULT_SHARDS).map((shard) => shard.status()))
  return all.reduce((sum, { rowsWritten }) => sum + rowsWritten, 0)
}

/** Numbers that look random and are the same in every run. */
function createDice(): (sides: number) => number {
  let state = 1
  return (sides) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * sides)
  }
}

beforeAll(async () => {
  stopClock()
  environment = await createEnvironment()
  const flag = uniqueName('checkout')
  await createFlag(flag)
  await configure(environment, flag, { fallthrough: { variant: 'off' } })
  await putMetric('free-plan-error', { kind: 'error' })
  rollout = await storeRollout(
    { environment, flag },
    {
      stages: [makeStage({ percentage: 50, holdMs: DAY_SECONDS * 1_000 })],
      guardrails: [makeGuardrail({ metric: 'free-plan-error' })],
    },
  )
  await tickIn(environment)
  key = (await createKey(environment)).key
  await warm(environment)
})

describe('a guarded rollout at 100 evaluations a second', () => {
  it('fits the free plan: 100,000 rows written and 100,000 requests to objects a day', async () => {
    const dice = createDice()
    const snapshot = snapshotCache.view(environment)?.environment
    if (!snapshot) throw new Error('there is no snapshot')
    const [measurement] = snapshot.measurements.values()
    const outbox = new Outbox(snapshot)
    let requests = 0
    let rows = 0
    let before = 0
    for (let second = 0; second < WARM_UP_SECONDS + SECONDS; second++) {
      if (second === WARM_UP_SECONDS) {
        requests = 0
        rows = 0
        before = await shardRows()
      }
      moveClock(1_000)
      const now = Date.now()
      for (let i = 0; i < PER_SECOND; i++) {
        const context = { targetingKey: `customer-${dice(UNITS)}` }
        const evaluation = evaluate(snapshot.flags, measurement?.flag ?? '', context, now)
        outbox.add(snapshot, { evaluations: [evaluation], context, isUse: true }, now)
      }
      if ((outbox.dueAt(now) ?? Number.POSITIVE_INFINITY) <= now) {
        for (const letter of outbox.write(0, now)) {
          const shard = shardOf(env, environment, letter.shard)
          const taken = await shard.take(letter.message)
          requests++
          if (taken === 'plan_wanted') {
            expect(await shard.take(letter.message, letter.plan)).toBe('counted')
            requests++
          } else expect(taken).toBe('counted')
          outbox.strikeOut(letter)
        }
      }
      // What came of the visits, from one server: a batch every ten seconds, to both shards.
      if (second % OUTCOMES_EVERY_SECONDS === 0) {
        const events = Array.from({ length: 200 }, () => ({
          kind: 'measure',
          name: 'free-plan-error',
          unit: `customer-${dice(UNITS)}`,
        }))
        const body = { id: formatBatchId(createBatchId(now)), events }
        expect((await ask('/v1/events', { key, json: body })).status).toBe(202)
        requests += DEFAULT_SHARDS
      }
      // The rollout's clock reads every block, by an alarm of its own.
      if (second % (BLOCK_MS / 1_000) === 0) {
        const { subrequests, rowsWritten } = await tickIn(environment)
        requests += 1 + subrequests
        rows += rowsWritten
      }
    }
    const aDay = DAY_SECONDS / SECONDS
    const spent = {
      requests: requests * aDay + ELSEWHERE,
      rows: (rows + (await shardRows()) - before) * aDay,
    }
    // All day long it was guarded.
    expect((await standingOf(rollout)).progress).toMatchObject({ state: 'running', stage: 0 })
    expect(spent.requests).toBeLessThanOrEqual(FREE_PLAN)
    expect(spent.rows).toBeLessThanOrEqual(FREE_PLAN)
  }, 120_000)
})

describe('an environment in which nothing happens', () => {
  it('costs nothing, however often it is looked at: no row, no alarm', async () => {
    const idle = await createEnvironment()
    for (const [index, shard] of shardsOf(env, idle, DEFAULT_SHARDS).entries()) {
      await shard.series({ from: 0, to: Date.now(), step: 'day' })
      await shard.blocks({ from: Date.now() - BLOCK_MS })
      expect((await shard.status()).rowsWritten).toBe(0)
      const alarm = await runInDurableObject(env.EVENTS.getByName(shardName(idle, index)), (_, state) =>
        state.storage.getAlarm(),
      )
      expect(alarm).toBeNull()
    }
  })
})
