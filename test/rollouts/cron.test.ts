// The cron's part: a clock that lost its alarm goes on, and people are told of one that had stopped.
import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeAll, beforeEach, expect, it } from 'vitest'
import type { Bindings } from '../../src/bindings.ts'
import { tickClocks } from '../../src/rollouts/cron.ts'
import { emptyDatabase, rows } from '../support/database.ts'
import { clockIn, createSite, pass, type Site, standingOf, storeRollout, tickIn } from '../support/guarded.ts'
import { MINUTE_MS, makeStage } from '../support/rollouts.ts'
import { moveClock, override, silenceLogs, stopClock, unreachable } from '../support/worker.ts'

const STAGES = [makeStage({ percentage: 10, holdMs: 2 * MINUTE_MS }), makeStage({ percentage: 50 })]

let site: Site = { environment: '', flag: '', key: '' }

const told = () =>
  rows<{ notice: string; title: string }>(
    "SELECT notice, body ->> 'title' AS title FROM deliveries WHERE body ->> 'kind' = 'clock.stopped'",
  )

/** Bindings whose clocks cannot be reached. */
function withoutClock(bindings: Bindings): Bindings {
  const getByName = (name: string) =>
    override(bindings.CLOCK.getByName(name), { tick: unreachable, status: unreachable })
  return { ...bindings, CLOCK: override(bindings.CLOCK, { getByName }) }
}

silenceLogs()
beforeAll(async () => {
  stopClock()
  // The first is slow: everything is loaded with it.
  await tickIn((await createSite()).environment)
})
beforeEach(async () => {
  await emptyDatabase()
  site = await createSite()
  await env.DB.prepare(
    `INSERT INTO channels (id, environment, kind, name, target, secret, events, enabled, revision, created_at, updated_at)
      VALUES ('c', ?, 'webhook', 'c', 'https://example.com', '', '["clock.stopped"]', 1, 1, 0, 0)`,
  )
    .bind(site.environment)
    .run()
})

it('begins what is due, and lets the clock tick by itself from then on', async () => {
  const id = await storeRollout(site, { stages: STAGES })
  await tickClocks(env, Date.now())
  expect((await standingOf(id)).progress).toMatchObject({ state: 'running', stage: 0 })
  const { nextAt } = await clockIn(site.environment).status()
  expect(nextAt).toBeGreaterThan(Date.now())
  const alarm = await runInDurableObject(env.CLOCK.getByName(site.environment), (_, { storage }) =>
    storage.getAlarm(),
  )
  expect(alarm).toBe(nextAt)
  expect(await told()).toEqual([])
})

it('leaves a clock without an alarm where nothing is guarded', async () => {
  const id = await storeRollout(site, { stages: STAGES, guardrails: [] })
  for (let minute = 0; minute < 5; minute++) {
    await tickClocks(env, Date.now())
    expect((await clockIn(site.environment).status()).nextAt).toBeNull()
    moveClock(MINUTE_MS)
  }
  expect((await standingOf(id)).progress).toMatchObject({ state: 'running', stage: 1 })
})

it('tells people once of a clock that had stopped, and starts it again', async () => {
  await storeRollout(site, { stages: STAGES })
  await tickIn(site.environment)
  await pass(site.environment, 10_000)
  moveClock(3 * MINUTE_MS)
  await tickClocks(env, Date.now())
  await tickClocks(env, Date.now())
  expect(await told()).toHaveLength(1)
  expect((await clockIn(site.environment).status()).tickedAt).toBe(Date.now())
})

it('tells people of a clock that cannot be reached, and leaves the others theirs', async () => {
  const other = await createSite()
  const id = await storeRollout(other, { stages: STAGES })
  await storeRollout(site, { stages: STAGES })
  const bindings: Bindings = {
    ...env,
    CLOCK: override(env.CLOCK, {
      getByName: (name: string) =>
        (name === site.environment ? withoutClock(env) : env).CLOCK.getByName(name),
    }),
  }
  await tickClocks(bindings, Date.now())
  expect(await told()).toMatchObject([{ title: expect.stringContaining(site.environment) }])
  expect((await standingOf(id)).progress.state).toBe('running')
})

it('has nothing to do where nothing is live', async () => {
  await tickClocks(withoutClock(env), Date.now())
  expect(await told()).toEqual([])
})
