// What a plan is warned of, where its health is asked for.
import { beforeEach, expect, it } from 'vitest'
import { emptyDatabase } from '../support/database.ts'
import { putMetric } from '../support/measurements.ts'
import { createLiveFlag, mustDo, planRollout } from '../support/rollout-calls.ts'
import { api, createEnvironment, field, silenceLogs } from '../support/worker.ts'

silenceLogs()

beforeEach(emptyDatabase)

const GUARDED = { guardrails: [{ metric: 'checkout-error', test: 'threshold', above: 0.1 }] }

/** A rollout is live that no event has come for yet. */
async function startGuarded(environment: string, flag: string): Promise<string> {
  const id = await planRollout(environment, flag, GUARDED)
  await mustDo(id, 'start', { force: true })
  return id
}

async function warningsOf(id: string): Promise<unknown> {
  return field((await api('GET', `/rollouts/${id}/health`)).body, 'warnings')
}

it('warns of a draft whose metric a live rollout of the same environment watches, and of nobody else’s', async () => {
  const [environment, elsewhere] = [await createEnvironment(), await createEnvironment()]
  await putMetric('checkout-error', { kind: 'error', goodDirection: 'down' })
  const [first, second] = [await createLiveFlag(environment), await createLiveFlag(environment)]
  const other = await createLiveFlag(elsewhere)
  const draft = await planRollout(environment, second, GUARDED)
  expect(await warningsOf(draft)).toEqual([])
  await startGuarded(elsewhere, other)
  expect(await warningsOf(draft)).toEqual([])
  const live = await startGuarded(environment, first)
  const [warning] = Array.from<unknown>(Object(await warningsOf(draft)))
  expect(warning).toEqual({
    code: 'shared_metric',
    path: 'guardrails[0].metric',
    message: `checkout-error is watched by ${first} (${live}) too: what one of them breaks may take back ${second}`,
  })
})
