// What a tick costs: calls to anything outside, and rows on its own disk, however many rollouts there are.
import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeAll, expect, it } from 'vitest'
import type { Bindings } from '../../src/bindings.ts'
import { shardOf } from '../../src/telemetry/shard-protocol.ts'
import {
  clockIn,
  createSite,
  rebindClock,
  standingOf,
  storeRollout,
  tickIn,
  visit,
} from '../support/guarded.ts'
import { HOUR_MS, makeStage } from '../support/rollouts.ts'
import {
  configure,
  createFlag,
  moveClock,
  stopClock,
  uniqueName,
  withDatabase,
  withHub,
  withShards,
} from '../support/worker.ts'

const SHARDS = 8
const ROLLOUTS = 30
const AT_MOST = 20

const LONG = [makeStage({ percentage: 20, holdMs: 6 * HOUR_MS }), makeStage({ percentage: 100 })]

/** Bindings of an environment's clock that count its trips: to the database, to shards, to the hub. */
function counting(environment: string): { readonly bindings: Bindings; trips(): number } {
  let [trips, prepared, batched] = [0, 0, 0]
  const { DB } = env
  const database = withDatabase(env, {
    batch: (statements: D1PreparedStatement[]) => {
      trips++
      batched += statements.length
      return DB.batch(statements)
    },
    prepare: (query: string) => {
      prepared++
      return DB.prepare(query)
    },
  })
  const hub = withHub(database, {
    publish: () => {
      trips++
      const stub = env.HUB.getByName(environment)
      return Reflect.apply(Reflect.get(stub, 'publish'), stub, [])
    },
  })
  const bindings = withShards(hub, (name) => ({
    observe: (query: never) => {
      trips++
      return shardOf(env, environment, Number(name.split(':').at(-1))).observe(query)
    },
  }))
  // What is prepared and in no batch makes a trip of its own.
  return { bindings, trips: () => trips + prepared - batched }
}

const rowsWritten = (environment: string) =>
  runInDurableObject(env.CLOCK.getByName(environment), (_, { storage }) => {
    const [row] = storage.sql.exec<{ rows: number }>('SELECT count(*) AS rows FROM packed').toArray()
    return row?.rows ?? 0
  })

beforeAll(() => stopClock())

it('makes at most 20 calls with 8 shards, whether 30 rollouts begin, hold, or one of them is taken back', async () => {
  const site = await createSite({ shards: SHARDS })
  const { environment } = site
  const bad = await storeRollout(site, { stages: LONG })
  for (let other = 1; other < ROLLOUTS; other++) {
    const flag = uniqueName('calm')
    await createFlag(flag)
    await configure(environment, flag, { fallthrough: { variant: 'off' } })
    await storeRollout({ environment, flag }, { stages: LONG })
  }
  const spent: number[] = []
  const tick = async () => {
    const counted = counting(environment)
    await rebindClock(environment, counted.bindings)
    moveClock(10_000)
    const { subrequests, rollouts } = await tickIn(environment)
    expect([subrequests, rollouts <= ROLLOUTS]).toEqual([counted.trips(), true])
    spent.push(subrequests)
  }
  await tick()
  await tick()
  await tick()
  expect((await standingOf(bad)).progress).toMatchObject({ state: 'running', stage: 0 })
  await visit(site, 150, { treated: 0.6, others: 0.02 })
  moveClock(10_000)
  await tick()
  expect((await standingOf(bad)).progress.state).toBe('rolled_back')
  await tick()
  expect(Math.max(...spent)).toBeLessThanOrEqual(AT_MOST)
  // All that is kept is one row for the ticks, and one for checkpoints.
  expect(await rowsWritten(environment)).toBe(2)
  expect((await clockIn(environment).status()).rollouts).toBe(ROLLOUTS - 1)
}, 60_000)
