// A latency guardrail compares with the control's own quantile: frozen by the clock from what shards have counted, then
// guarded by.
import { beforeAll, expect, it } from 'vitest'
import { BLOCK_MS } from '../../src/telemetry/counting/blocks.ts'
import { createSite, pass, standingOf, storeRollout, tickIn, timelineOf, visit } from '../support/guarded.ts'
import { putMetric } from '../support/measurements.ts'
import { HOUR_MS, makeGuardrail, makeStage } from '../support/rollouts.ts'
import { stopClock } from '../support/worker.ts'

const LATENCY = 'guarded-latency'
const NOBODY_FAILS = { treated: 0, others: 0 }

beforeAll(async () => {
  stopClock()
  await tickIn((await createSite()).environment)
})

it('is frozen once there is enough of it, and takes a rollout back that is slower', async () => {
  const site = await createSite()
  await putMetric(LATENCY, { kind: 'latency' })
  const test = { kind: 'regression', tolerance: 0.1, quantile: 0.95 } as const
  const id = await storeRollout(site, {
    stages: [makeStage({ percentage: 50, holdMs: 6 * HOUR_MS }), makeStage({ percentage: 100 })],
    guardrails: [makeGuardrail({ id: 'slow', metric: LATENCY, test })],
  })
  const fast = { name: LATENCY, of: () => 100 }
  await tickIn(site.environment)
  for (let block = 0; block < 6; block++) {
    await visit(site, 100, NOBODY_FAILS, fast)
    await pass(site.environment, BLOCK_MS)
  }
  expect((await standingOf(id)).progress.frozen).toEqual({})
  for (let block = 0; block < 8; block++) {
    await visit(site, 100, NOBODY_FAILS, fast)
    await pass(site.environment, BLOCK_MS)
  }
  const { frozen, epoch, stage } = (await standingOf(id)).progress
  expect([frozen.slow, epoch, stage]).toEqual([expect.closeTo(100, 0), 2, 0])
  const slow = { name: LATENCY, of: (isTreated: boolean) => (isTreated ? 400 : 90) }
  for (let block = 0; block < 3; block++) {
    await visit(site, 100, NOBODY_FAILS, slow)
    await pass(site.environment, BLOCK_MS)
  }
  expect((await standingOf(id)).progress.state).toBe('rolled_back')
  expect((await timelineOf(id)).filter((one) => !one.startsWith('hold'))).toEqual([
    'advance start',
    'confirm hold_not_over',
    'freeze frozen',
    'rollback guard_broken',
  ])
})
