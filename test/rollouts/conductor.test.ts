// Steps of several rollouts in one batch, and what becomes of them when one cannot be carried out.
import { env } from 'cloudflare:workers'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { carryOut, type Step } from '../../src/rollouts/conductor.ts'
import { decide } from '../../src/rollouts/decide.ts'
import type { Decision } from '../../src/rollouts/decision.ts'
import { rollBack } from '../../src/rollouts/deeds.ts'
import { auditAfter, auditEnd, dump, rows } from '../support/database.ts'
import {
  clockIn,
  createSite,
  type Site,
  standingOf,
  storeRollout,
  tickIn,
  timelineOf,
} from '../support/guarded.ts'
import { makeObservations, makeStage } from '../support/rollouts.ts'
import { configure, createFlag, silenceLogs, stopClock, uniqueName } from '../support/worker.ts'

const ADA = { actor: 'ada', via: 'test', comment: 'because', requestId: 'request' }
const STAGES = [makeStage({ percentage: 20 }), makeStage({ percentage: 100 })]

let site: Site = { environment: '', flag: '', key: '' }
let last = 0

const author = () => ({ ...ADA, now: Date.now() })

/** A rollout of another flag of the site, which waits to begin. */
async function another(plan = {}): Promise<string> {
  const flag = uniqueName('other')
  await createFlag(flag)
  await configure(site.environment, flag, { fallthrough: { variant: 'off' } })
  return storeRollout({ environment: site.environment, flag }, { stages: STAGES, ...plan })
}

/** What the clock would do about a rollout that waits. */
async function begin(id: string): Promise<Step> {
  const rollout = await standingOf(id)
  const decision = decide(rollout.plan, rollout.progress, makeObservations(), Date.now())
  expect(decision.deed).toBe('advance')
  return { rollout, decision, evidence: null }
}

async function takeBack(id: string): Promise<Step> {
  const rollout = await standingOf(id)
  const call = { mode: 'immediate', audiences: [] } as const
  const outcome = rollBack(rollout.plan, rollout.progress, call, Date.now())
  if (!outcome.ok) throw new Error('it cannot be rolled back')
  return { rollout, decision: outcome.value, evidence: null }
}

const carry = async (steps: readonly Step[]) =>
  (await carryOut(env, author(), steps)).map((outcome) => (outcome.ok ? 'done' : outcome.error.reason))

const versionOf = async () => {
  const [row] = await rows<{ version: number }>(
    'SELECT version FROM environments WHERE key = ?',
    site.environment,
  )
  return row?.version ?? 0
}

/** The same step, decided on a rollout as it no longer is. */
const stale = (step: Step): Step => ({ ...step, rollout: { ...step.rollout, revision: 99 } })

/** A step whose grants name a segment that is not there. */
const unfounded = (step: Step): Step => {
  const { plan } = step.rollout
  const [first, ...others] = plan.stages
  const stages = first ? [{ ...first, audience: { segment: 'nowhere' } }, ...others] : []
  return { ...step, rollout: { ...step.rollout, plan: { ...plan, stages } } }
}

silenceLogs()
beforeAll(async () => {
  stopClock()
  // The first is slow: everything is loaded with it.
  await tickIn((await createSite()).environment)
})
beforeEach(async () => {
  site = await createSite()
  last = await auditEnd()
})
afterEach(async () => {
  expect(await rows('SELECT * FROM guard')).toEqual([])
})

describe('steps of one environment', () => {
  it('are one version, with a row, a decision and an entry of the audit for each', async () => {
    const ids = [await another(), await another(), await another()]
    last = await auditEnd()
    const before = await versionOf()
    expect(await carry(await Promise.all(ids.map(begin)))).toEqual(['done', 'done', 'done'])
    expect(await versionOf()).toBe(before + 1)
    for (const id of ids) {
      expect(await timelineOf(id)).toEqual(['advance start'])
      expect(await standingOf(id)).toMatchObject({
        revision: 2,
        progress: { state: 'running', epoch: 1, grantedVersion: before + 1 },
      })
    }
    const entries = await auditAfter(last)
    expect(entries.map((entry) => [entry.action, entry.target_key, entry.actor, entry.comment])).toEqual(
      ids.map((id) => ['rollout.advance', id, 'ada', 'because']),
    )
  })

  it('that are stale are left out, and the others are still one batch', async () => {
    const [one, other, third] = [await another(), await another(), await another()]
    const before = await versionOf()
    const steps = [await begin(one), stale(await begin(other)), await begin(third)]
    expect(await carry(steps)).toEqual(['done', 'stale', 'done'])
    expect(await versionOf()).toBe(before + 1)
    expect(await timelineOf(other)).toEqual([])
  })

  it('of which one cannot be carried out are carried out one by one, rollbacks first', async () => {
    const running = await another()
    await carry([await begin(running)])
    const ids = await Promise.all([another(), another()])
    const [bad, good] = ids
    const steps = [unfounded(await begin(bad)), await begin(good), await takeBack(running)]
    expect(await carry(steps)).toEqual(['unknown_reference', 'done', 'done'])
    const order = await rows<{ deed: string }>(
      'SELECT deed FROM rollout_decisions WHERE rollout IN (?, ?) ORDER BY id DESC LIMIT 2',
      running,
      good,
    )
    expect(order.map(({ deed }) => deed)).toEqual(['advance', 'rollback'])
  })

  it('are put off where too many would have to be carried out one by one', async () => {
    const ids: string[] = []
    for (let count = 0; count < 8; count++) ids.push(await another())
    const steps: Step[] = []
    for (const [index, id] of ids.entries()) {
      steps.push(index === 0 ? unfounded(await begin(id)) : await begin(id))
    }
    const outcomes = await carry(steps)
    expect(outcomes).toEqual([
      'unknown_reference',
      ...Array.from({ length: 5 }, () => 'done'),
      'put_off',
      'put_off',
    ])
  })
})

describe('a step', () => {
  it('of a person that begins something guarded wakes the clock', async () => {
    await carry([await begin(await another({ guardrails: [] }))])
    expect((await clockIn(site.environment).status()).nextAt).toBeNull()
    await carry([await begin(await another())])
    expect((await clockIn(site.environment).status()).nextAt).toBeGreaterThan(Date.now())
  })

  it('that changes nothing is written down, and changes no version and no revision', async () => {
    const id = await another()
    const rollout = await standingOf(id)
    const decision: Decision = {
      deed: 'hold',
      reason: { code: 'outside_window', words: 'not now' },
      progress: rollout.progress,
      proven: null,
      notices: [],
    }
    const before = await dump('rollouts', 'environments', 'history')
    expect(await carry([{ rollout, decision, evidence: null }])).toEqual(['done'])
    expect(await dump('rollouts', 'environments', 'history')).toEqual(before)
    expect(await timelineOf(id)).toEqual(['hold outside_window'])
  })

  it('keeps its evidence as it is, and null where there is none', async () => {
    const id = await another()
    const step = await begin(id)
    await carry([{ ...step, evidence: { text: 'a "quoted" text', blocks: [1, 2] } }])
    await carry([await takeBack(id)])
    const found = await rows<{ evidence: string | null }>(
      'SELECT evidence FROM rollout_decisions WHERE rollout = ? ORDER BY id',
      id,
    )
    expect(found.map(({ evidence }) => evidence && JSON.parse(evidence))).toEqual([
      { text: 'a "quoted" text', blocks: [1, 2] },
      null,
    ])
  })
})
