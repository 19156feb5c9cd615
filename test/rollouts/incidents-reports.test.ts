// What people are told of without anything having just happened: digests, reports, and looks at what everyone has.
import { runDurableObjectAlarm } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { DEFAULT_SHARDS } from '../../src/catalog/layouts.ts'
import { digests } from '../../src/rollouts/incidents/digests.ts'
import { reportLooks } from '../../src/rollouts/watch-looks.ts'
import { shardName } from '../../src/telemetry/shard-protocol.ts'
import { createChannel } from '../support/channels.ts'
import { rows } from '../support/database.ts'
import { createSite, ERROR, guardErrors, standingOf, storeRollout, visit } from '../support/guarded.ts'
import { measure } from '../support/measurements.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../support/rollouts.ts'
import { createEnvironment, createFlag, moveClock, stopClock, uniqueName } from '../support/worker.ts'

/** A Monday at seven, after whatever a test makes now: 1970 began on a Thursday. */
const SEVEN = (Math.floor((Date.now() / DAY_MS - 4) / 7) * 7 + 4 + 14) * DAY_MS + 7 * HOUR_MS

const say = (at: number) => `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`

type Owed = { readonly kind: string; readonly text: string; readonly notice: string }

const owedTo = (environment: string) =>
  rows<Owed>(
    `SELECT body ->> 'kind' AS kind, body ->> 'text' AS text, notice FROM deliveries
      WHERE environment = ? ORDER BY id`,
    environment,
  )

const kindsOf = async (environment: string) => (await owedTo(environment)).map(({ kind }) => kind)

beforeAll(() => stopClock())
beforeEach(async () => {
  await env.DB.prepare('DELETE FROM channels').run()
})

describe('digests', () => {
  const EVENTS = ['digest.daily', 'report.weekly']

  /** A rollout that began and was held, so long ago. */
  async function ran(environment: string, at: number): Promise<string> {
    const flag = uniqueName('flag')
    await createFlag(flag)
    const id = await storeRollout({ environment, flag }, {}, { state: 'running', stage: 0, startedAt: at })
    const decide = env.DB.prepare(`INSERT INTO rollout_decisions
      (rollout, at, deed, reason, actor, comment, stage, epoch) VALUES (?, ?, ?, ?, 'clock', '', 0, 1)`)
    await env.DB.batch([
      decide.bind(id, at, 'advance', JSON.stringify({ code: 'start', words: 'it starts' })),
      decide.bind(id, at, 'hold', JSON.stringify({ code: 'unread', words: 'a shard is silent' })),
      env.DB.prepare('UPDATE rollouts SET updated_at = ? WHERE id = ?').bind(at, id),
    ])
    return flag
  }

  it('are made at seven, once each, of what happened since the one before', async () => {
    const environment = await createEnvironment()
    await createChannel(environment, { events: EVENTS })
    const flag = await ran(environment, SEVEN - HOUR_MS)
    await digests(env, SEVEN - MINUTE_MS)
    const before = await kindsOf(environment)
    expect(before).not.toContain('digest.daily')
    await digests(env, SEVEN)
    await digests(env, SEVEN + MINUTE_MS)
    const [daily, weekly, ...others] = (await owedTo(environment)).slice(before.length)
    expect([daily?.kind, weekly?.kind, others]).toEqual(['digest.daily', 'report.weekly', []])
    expect(daily?.text).toBe(
      `From ${say(SEVEN - DAY_MS)} to ${say(SEVEN)}.\nRollouts:\n- ${flag}, "on" (stage "10 %"): started; is held: a shard is silent.`,
    )
    expect(weekly?.text).toContain(`From ${say(SEVEN - 7 * DAY_MS)} to ${say(SEVEN)}.`)
  }, 20_000)

  it('are not made of an empty day, nor where no channel wants them', async () => {
    const [quiet, deaf] = [await createEnvironment(), await createEnvironment()]
    await createChannel(quiet, { events: ['digest.daily'] })
    await createChannel(deaf, { events: ['incident.opened'] })
    await ran(deaf, SEVEN - HOUR_MS)
    await digests(env, SEVEN)
    expect([await kindsOf(quiet), await kindsOf(deaf)]).toEqual([[], []])
    const made = await rows('SELECT kind, about FROM reports_made WHERE environment = ?', quiet)
    expect(made).toEqual([{ kind: 'digest.daily', about: SEVEN - DAY_MS }])
  })

  it('tell of a rollout that ran on without a decision', async () => {
    const environment = await createEnvironment()
    await createChannel(environment, { events: ['digest.daily'] })
    const flag = await ran(environment, SEVEN - 3 * DAY_MS)
    await digests(env, SEVEN)
    expect((await owedTo(environment)).map(({ text }) => text.split('\n').at(-1))).toEqual([
      `- ${flag}, "on" (stage "10 %"): ran.`,
    ])
  })
})

describe('a look at what everyone has', () => {
  /** A watched rollout whose flag was measured a week ago, and is now. */
  async function watched(failing: number): Promise<{ readonly id: string; readonly environment: string }> {
    const site = await createSite()
    const { environment, flag } = site
    await createChannel(environment, { events: ['guard.notice'] })
    await measure(environment, { flag, metrics: [{ key: ERROR, kind: 'error', goodDirection: 'down' }] })
    await visit(site, 800, { treated: 0.05, others: 0.05 })
    // A shard writes down once a day what it has counted.
    await Promise.all(
      Array.from({ length: DEFAULT_SHARDS }, (_, index) =>
        runDurableObjectAlarm(env.EVENTS.getByName(shardName(environment, index))),
      ),
    )
    moveClock(7 * DAY_MS)
    await visit(site, 800, { treated: failing, others: failing })
    const progress = { state: 'watching', stage: 2, startedAt: 1, endedAt: Date.now() - DAY_MS } as const
    const plan = { guardrails: [guardErrors()], watch: [{ forMs: 7 * DAY_MS, everyMs: HOUR_MS }] }
    moveClock(HOUR_MS)
    const id = await storeRollout(site, plan, { ...progress, lookedAt: Date.now() })
    return { id, environment }
  }

  it('tells of what is worse than in the same hours a week before, once a day', async () => {
    const { id, environment } = await watched(0.4)
    await reportLooks(env)
    await reportLooks(env)
    const [first, ...others] = await owedTo(environment)
    expect(others).toEqual([])
    expect(first?.kind).toBe('guard.notice')
    expect(first?.text).toMatch(
      /^guarded-error is at (40|39\.\d) %; in the same hours of the weeks before it was at (5|4\.\d+) %\. There is no control any more/,
    )
    const { progress } = await standingOf(id)
    const again = JSON.stringify({ ...progress, lookedAt: Number(progress.lookedAt) + MINUTE_MS })
    await env.DB.prepare('UPDATE rollouts SET progress = ? WHERE id = ?').bind(again, id).run()
    await reportLooks(env)
    expect(await owedTo(environment)).toHaveLength(1)
    expect(await rows('SELECT about FROM reports_made WHERE environment = ?', environment)).toEqual([
      { about: Number(progress.lookedAt) + MINUTE_MS },
    ])
  })

  it('tells of nothing where all is as it was', async () => {
    const { environment } = await watched(0.05)
    await reportLooks(env)
    expect(await owedTo(environment)).toEqual([])
  })
})
