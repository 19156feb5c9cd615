// What the clock does when something fails, is late, or happens twice.
import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { hubOf } from '../../src/catalog/hub-protocol.ts'
import { clearEnvironment } from '../../src/rollouts/clear-environment.ts'
import { RolloutClock } from '../../src/rollouts/clock.ts'
import { carryOut } from '../../src/rollouts/conductor.ts'
import { rollBack } from '../../src/rollouts/deeds.ts'
import { BLOCK_MS } from '../../src/telemetry/counting/blocks.ts'
import { shardName } from '../../src/telemetry/shard-protocol.ts'
import { dump, rows } from '../support/database.ts'
import {
  clockIn,
  createSite,
  pass,
  rebindClock,
  type Site,
  standingOf,
  storeRollout,
  tickIn,
  timelineOf,
  visit,
} from '../support/guarded.ts'
import { HOUR_MS, MINUTE_MS, makeStage } from '../support/rollouts.ts'
import { runTick } from '../support/tick.ts'
import {
  configure,
  createFlag,
  HUB_DOWN,
  moveClock,
  silenceLogs,
  silent,
  stopClock,
  uniqueName,
  unreachable,
  withDatabase,
  withHub,
  withShards,
} from '../support/worker.ts'

const HEALTHY = { treated: 0.02, others: 0.02 }
const BAD = { treated: 0.6, others: 0.02 }
const LONG = [makeStage({ percentage: 20, holdMs: 6 * HOUR_MS }), makeStage({ percentage: 100 })]

/** A clock that has nothing in memory but what is on its disk. */
function restarted<T>(environment: string, ask: (clock: RolloutClock) => Promise<T>): Promise<T> {
  return runInDurableObject(env.CLOCK.getByName(environment), (_, state) => ask(new RolloutClock(state, env)))
}

/** A site with a rollout in its first stage, which the edge has. */
async function begin(plan = {}): Promise<Site & { readonly id: string }> {
  const site = await createSite()
  const id = await storeRollout(site, { stages: LONG, ...plan })
  await tickIn(site.environment)
  await pass(site.environment, BLOCK_MS)
  return { ...site, id }
}

const throughOf = async (environment: string, id: string) =>
  (await clockIn(environment).reading(id))?.through ?? 0

silenceLogs()
beforeAll(async () => {
  stopClock()
  // The first is slow: everything is loaded with it.
  await tickIn((await createSite()).environment)
})
afterEach(async () => {
  expect(await rows('SELECT * FROM guard')).toEqual([])
})

describe('at the same time', () => {
  it('two ticks are one', async () => {
    const site = await createSite()
    const id = await storeRollout(site)
    const [one, other] = await Promise.all([tickIn(site.environment), tickIn(site.environment)])
    expect([one.tickedAt, other.tickedAt]).toContain(Date.now())
    expect(await timelineOf(id)).toEqual(['advance start'])
  })

  it('a tick and a person who both take a rollout back do it once', async () => {
    const site = await begin()
    await visit(site, 150, BAD)
    moveClock(2 * BLOCK_MS)
    const rollout = await standingOf(site.id)
    const call = { mode: 'immediate', audiences: [] } as const
    const decision = rollBack(rollout.plan, rollout.progress, call, Date.now())
    if (!decision.ok) throw new Error('it cannot be rolled back')
    const author = { actor: 'ada', via: 'test', comment: 'enough', now: Date.now(), requestId: 'r' }
    const step = { rollout, decision: decision.value, evidence: null }
    const [outcomes] = await Promise.all([carryOut(env, author, [step]), tickIn(site.environment)])
    const by = await rows<{ actor: string }>(
      "SELECT actor FROM rollout_decisions WHERE rollout = ? AND deed = 'rollback'",
      site.id,
    )
    expect(by).toHaveLength(1)
    expect(by[0]?.actor).toBe(outcomes[0]?.ok ? 'ada' : 'clock')
    expect((await standingOf(site.id)).progress).toMatchObject({ state: 'rolled_back', epoch: 2 })
    expect(await rows('SELECT id FROM incidents WHERE rollout = ?', site.id)).toHaveLength(1)
  })

  it('of two who decide on the same revision one wins, and the other is told', async () => {
    const { id } = await begin()
    const rollout = await standingOf(id)
    const call = { mode: 'immediate', audiences: [] } as const
    const decision = rollBack(rollout.plan, rollout.progress, call, Date.now())
    if (!decision.ok) throw new Error('it cannot be rolled back')
    const author = { actor: 'ada', via: 'test', comment: '', now: Date.now(), requestId: 'r' }
    const step = { rollout, decision: decision.value, evidence: null }
    const outcomes = await Promise.all([carryOut(env, author, [step]), carryOut(env, author, [step])])
    const results = outcomes.map(([outcome]) => (outcome?.ok ? 'done' : outcome?.error.reason))
    expect(results.sort()).toEqual(['done', 'stale'])
  })
})

describe('shards that cannot be reached', () => {
  it('hold the rollout after half a minute; once they are back nothing is missing', async () => {
    const site = await begin()
    const before = await throughOf(site.environment, site.id)
    const one = shardName(site.environment, 1)
    const broken = withShards(env, (name) => (name === one ? { observe: unreachable } : {}))
    await rebindClock(site.environment, broken)
    await visit(site, 150, BAD)
    await pass(site.environment, 5 * BLOCK_MS)
    expect(await throughOf(site.environment, site.id)).toBe(before)
    expect((await standingOf(site.id)).progress.state).toBe('running')
    expect((await timelineOf(site.id)).at(-1)).toBe('hold unread')
    await rebindClock(site.environment, env)
    await pass(site.environment, BLOCK_MS)
    expect((await standingOf(site.id)).progress.state).toBe('rolled_back')
  })

  it('do not keep a rollback from happening when its proof cannot be read', async () => {
    const site = await begin()
    await visit(site, 150, BAD)
    let asked = 0
    const observe = (shard: string) => async (query: never) => {
      // The first call to each shard is the tick's own.
      if (++asked > 2) throw new Error('unreachable')
      const index = Number(shard.split(':').at(-1))
      const { shardOf } = await import('../../src/telemetry/shard-protocol.ts')
      return shardOf(env, site.environment, index).observe(query)
    }
    await rebindClock(
      site.environment,
      withShards(env, (name) => ({ observe: observe(name) })),
    )
    moveClock(2 * BLOCK_MS)
    await tickIn(site.environment)
    const [row] = await rows<{ deed: string; evidence: string }>(
      'SELECT deed, evidence FROM rollout_decisions WHERE rollout = ? ORDER BY id DESC LIMIT 1',
      site.id,
    )
    expect([row?.deed, JSON.parse(row?.evidence ?? '{}').blocks]).toEqual(['rollback', null])
  })
})

describe('a database that fails', () => {
  it('at any statement of a rollback leaves nothing of it; the next tick takes it back', async () => {
    const site = await begin()
    await visit(site, 150, BAD)
    moveClock(2 * BLOCK_MS)
    const before = await dump()
    const fault = () => env.DB.prepare('SELECT abs(-9223372036854775807 - 1)')
    let statements = 1
    for (let position = 0; position <= statements; position++) {
      const batch = (given: D1PreparedStatement[]) => {
        // The tick's own reading, and that of the ground of measurements, are small.
        if (given.length < 8) return env.DB.batch(given)
        statements = given.length
        return env.DB.batch([...given.slice(0, position), fault(), ...given.slice(position)])
      }
      await rebindClock(site.environment, withDatabase(env, { batch }))
      await tickIn(site.environment)
      expect([position, await dump()]).toEqual([position, before])
      expect((await clockIn(site.environment).status()).nextAt).toBeGreaterThan(Date.now())
    }
    expect(statements).toBeGreaterThan(8)
    await rebindClock(site.environment, env)
    await tickIn(site.environment)
    expect((await standingOf(site.id)).progress.state).toBe('rolled_back')
  }, 60_000)

  it('that cannot even be read leaves the alarm set, which tries again', async () => {
    const site = await begin()
    const bindings = withDatabase(env, { batch: unreachable })
    await rebindClock(site.environment, bindings)
    moveClock(BLOCK_MS)
    await runDurableObjectAlarm(env.CLOCK.getByName(site.environment))
    await rebindClock(site.environment, env)
    moveClock(BLOCK_MS)
    expect(await runDurableObjectAlarm(env.CLOCK.getByName(site.environment))).toBe(true)
    expect((await clockIn(site.environment).status()).tickedAt).toBe(Date.now())
  })
})

describe('a step that is committed', () => {
  it('and not published, because the hub is down, is published by the cron and then confirmed', async () => {
    const site = await createSite()
    const id = await storeRollout(site, { stages: LONG })
    await rebindClock(site.environment, withHub(env, HUB_DOWN))
    await tickIn(site.environment)
    await pass(site.environment, MINUTE_MS)
    expect(await timelineOf(id)).toEqual(['advance start', 'hold not_published'])
    await rebindClock(site.environment, env)
    moveClock(MINUTE_MS)
    await runTick()
    await runDurableObjectAlarm(env.HUB.getByName(site.environment))
    moveClock(MINUTE_MS)
    await runTick()
    expect((await timelineOf(id)).at(-1)).toBe('confirm hold_not_over')
    expect(await hubOf(env, site.environment).whole()).toContain(id)
  })

  it('by a tick that never came back is found by the one after its lease', async () => {
    const site = await createSite()
    const id = await storeRollout(site, { stages: LONG })
    await rebindClock(site.environment, withHub(env, { publish: silent }))
    void tickIn(site.environment)
    await vi.waitFor(async () => expect(await timelineOf(id)).toEqual(['advance start']))
    await rebindClock(site.environment, env)
    moveClock(BLOCK_MS)
    expect((await tickIn(site.environment)).tickedAt).toBeLessThan(Date.now())
    // An alarm that comes meanwhile does nothing but set the next one.
    const clock = env.CLOCK.getByName(site.environment)
    await runInDurableObject(clock, (_, { storage }) => storage.setAlarm(Date.now() + 1_000))
    expect(await runDurableObjectAlarm(clock)).toBe(true)
    expect((await clockIn(site.environment).status()).nextAt).toBeGreaterThan(Date.now())
    moveClock(3 * BLOCK_MS)
    expect((await tickIn(site.environment)).tickedAt).toBe(Date.now())
    expect((await standingOf(id)).progress).toMatchObject({ state: 'running', stage: 0, epoch: 1 })
  })
})

describe('a rollout that cannot begin', () => {
  it('holds up the others for no longer than a tick', async () => {
    const site = await createSite()
    const stages = [makeStage({ audience: { segment: 'nowhere' } })]
    const broken = await storeRollout(site, { stages })
    const ids: string[] = []
    for (let other = 0; other < 9; other++) {
      const flag = uniqueName('sound')
      await createFlag(flag)
      await configure(site.environment, flag, { fallthrough: { variant: 'off' } })
      ids.push(await storeRollout({ environment: site.environment, flag }, { stages: LONG }))
    }
    const running = async () => {
      const all = await Promise.all(ids.map(standingOf))
      return all.filter(({ progress }) => progress.state === 'running').length
    }
    await tickIn(site.environment)
    expect(await running()).toBe(5)
    moveClock(BLOCK_MS)
    await tickIn(site.environment)
    expect([await running(), (await standingOf(broken)).progress.state]).toEqual([9, 'scheduled'])
  }, 20_000)
})

describe('a clock', () => {
  it('that did not tick for two hours takes in all that has happened, and goes on', async () => {
    const site = await begin()
    await visit(site, 60, HEALTHY)
    moveClock(HOUR_MS)
    await visit(site, 150, BAD)
    moveClock(HOUR_MS)
    await tickIn(site.environment)
    expect(Date.now() - (await throughOf(site.environment, site.id))).toBeLessThan(2 * BLOCK_MS)
    expect((await standingOf(site.id)).progress.state).toBe('rolled_back')
  })

  it('that goes backwards changes nothing, and dates nothing before what it has done', async () => {
    const site = await begin()
    const { tickedAt } = await clockIn(site.environment).status()
    const before = await standingOf(site.id)
    expect((await clockIn(site.environment).tick(tickedAt - HOUR_MS)).tickedAt).toBe(tickedAt)
    expect(await standingOf(site.id)).toEqual(before)
  })

  it('that is started again knows what it knew', async () => {
    const site = await begin()
    await visit(site, 60, HEALTHY)
    await pass(site.environment, 2 * BLOCK_MS)
    const known = await clockIn(site.environment).evidence(site.id)
    expect(known?.now.through).toBeGreaterThan(known?.checkpoint.through ?? 0)
    expect(await restarted(site.environment, (clock) => clock.evidence(site.id))).toEqual(known)
  })

  it('lets go of a rollout whose row is gone', async () => {
    const site = await begin()
    expect(await clockIn(site.environment).evidence(site.id)).not.toBeNull()
    await env.DB.prepare('DELETE FROM rollouts WHERE id = ?').bind(site.id).run()
    expect(await tickIn(site.environment)).toMatchObject({ rollouts: 0, nextAt: null })
    expect(await clockIn(site.environment).evidence(site.id)).toBeNull()
  })

  it('of an environment that is deleted is cleared with its shards', async () => {
    const site = await begin()
    await clearEnvironment(env, site.environment, 2)
    expect(await clockIn(site.environment).status()).toMatchObject({ tickedAt: 0, nextAt: null, rollouts: 0 })
    expect(await clockIn(site.environment).evidence(site.id)).toBeNull()
  })

  it('of an environment that is gone forgets everything, and stops', async () => {
    const site = await begin()
    await env.DB.prepare('DELETE FROM environments WHERE key = ?').bind(site.environment).run()
    expect(await tickIn(site.environment)).toMatchObject({ tickedAt: 0, nextAt: null })
    const left = await runInDurableObject(env.CLOCK.getByName(site.environment), (_, { storage }) =>
      storage.getAlarm(),
    )
    expect(left).toBeNull()
  })
})
