// The clock of an environment's rollouts, with real shards, hub and database: what it does when all goes well, and what
// when not.
import { env } from 'cloudflare:workers'
import { beforeAll, describe, expect, it } from 'vitest'
import { hubOf } from '../../src/catalog/hub-protocol.ts'
import { readSnapshotText } from '../../src/engine/snapshot-text.ts'
import { type DecisionEvidence, replayDecision } from '../../src/rollouts/decision-evidence.ts'
import { listDecisions, loadDecision } from '../../src/rollouts/rollout-store.ts'
import { BLOCK_MS } from '../../src/telemetry/counting/blocks.ts'
import { rows } from '../support/database.ts'
import {
  createSite,
  pass,
  type Site,
  standingOf,
  storeRollout,
  tickIn,
  timelineOf,
  visit,
} from '../support/guarded.ts'
import { MINUTE_MS, makeStage } from '../support/rollouts.ts'
import { stopClock } from '../support/worker.ts'

const HEALTHY = { treated: 0.02, others: 0.02 }
const BAD = { treated: 0.6, others: 0.02 }

const QUICK = [
  makeStage({ percentage: 20, holdMs: MINUTE_MS }),
  makeStage({ percentage: 50, holdMs: MINUTE_MS, minUnits: 10 }),
  makeStage({ percentage: 100, holdMs: 0 }),
]

/** Grants and measurements as the hub serves them. */
async function atEdge({ environment, flag }: Site) {
  const read = readSnapshotText((await hubOf(env, environment).whole()) ?? '')
  if (!read.ok) throw new Error(read.error)
  const { rollouts, measurements } = read.value.sections
  const text = rollouts?.get(flag)
  return { grants: text === undefined ? null : JSON.parse(text), measured: [...(measurements?.keys() ?? [])] }
}

beforeAll(async () => {
  stopClock()
  // The first is slow: everything is loaded with it.
  await tickIn((await createSite()).environment)
})

describe('a rollout', () => {
  it('that is healthy goes through its stages, and everyone has the variant in the end', async () => {
    const site = await createSite()
    const id = await storeRollout(site, { stages: QUICK })
    await tickIn(site.environment)
    expect((await standingOf(id)).progress).toMatchObject({ state: 'running', stage: 0, epoch: 1 })
    expect(await atEdge(site)).toMatchObject({
      grants: { id, stage: 1, measured: true, grants: [{ audience: null, percentage: 20 }] },
      measured: [id],
    })
    for (let block = 0; block < 15; block++) {
      await visit(site, 30, HEALTHY)
      await pass(site.environment, BLOCK_MS)
    }
    expect(await timelineOf(id)).toEqual([
      'advance start',
      'confirm hold_not_over',
      'advance hold_over',
      'confirm hold_not_over',
      'advance hold_over',
      'finish last_stage_over',
    ])
    expect((await standingOf(id)).progress).toMatchObject({ state: 'done', stage: 2 })
    expect(await atEdge(site)).toEqual({ grants: null, measured: [] })
  })

  it('that is bad is taken back by what its units do, and the proof of it can be replayed', async () => {
    const site = await createSite()
    const id = await storeRollout(site, { stages: QUICK })
    await tickIn(site.environment)
    let blocks = 0
    while ((await standingOf(id)).progress.state === 'running' && blocks++ < 10) {
      await visit(site, 60, BAD)
      await pass(site.environment, BLOCK_MS)
    }
    const { plan, progress } = await standingOf(id)
    expect(progress).toMatchObject({ state: 'rolled_back', stage: 0 })
    expect(await atEdge(site)).toMatchObject({
      grants: { id, stage: progress.epoch, measured: true, grants: [{ percentage: 0 }] },
      measured: [id],
    })
    const [last] = await listDecisions(env.DB, id, 1)
    expect(last).toMatchObject({ deed: 'rollback', actor: 'clock', reason: { code: 'guard_broken' } })
    const row = await loadDecision(env.DB, id, last?.id ?? 0)
    const evidence = row?.evidence as unknown as DecisionEvidence
    const replayed = await replayDecision(plan, evidence)
    expect(replayed).toEqual({ ok: true, value: evidence.reading })
    expect(evidence.reading.guards).toMatchObject([{ guardrail: 'errors', verdict: 'broken' }])
    expect(await rows('SELECT rollout, state FROM incidents WHERE rollout = ?', id)).toEqual([
      { rollout: id, state: 'open' },
    ])
  })
})
