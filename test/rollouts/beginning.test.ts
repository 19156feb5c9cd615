// What a rollout's start finds on its flag, and makes of it without moving anybody.
import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { refusalOf } from '../support/actors.ts'
import { archive, deleteEnvironment, splitting } from '../support/catalog.ts'
import { dump, emptyDatabase, rows } from '../support/database.ts'
import { putMetric } from '../support/measurements.ts'
import {
  createLiveFlag,
  deed,
  getRollout,
  mustDo,
  planRollout,
  startRollout,
  stateOf,
} from '../support/rollout-calls.ts'
import {
  api,
  createEnvironment,
  createKey,
  evaluate,
  field,
  from,
  putConfiguration,
  silenceLogs,
  warm,
} from '../support/worker.ts'

silenceLogs()

let environment = ''

beforeEach(async () => {
  await emptyDatabase()
  environment = await createEnvironment()
})

const UNITS = Array.from({ length: 120 }, (_, index) => `user-${index}`)

async function variantsOf(flag: string, context: object = {}): Promise<readonly unknown[]> {
  const { key } = await createKey(environment)
  await warm(environment)
  const answers = await Promise.all(
    UNITS.map((targetingKey) => evaluate(key, flag, { targetingKey, ...context })),
  )
  return answers.map(({ body }) => field(body, 'variant'))
}

async function refusedStart(id: string, json: object = {}) {
  const before = await dump()
  const answer = await deed(id, 'start', json)
  expect(await dump()).toEqual(before)
  return refusalOf(answer)
}

const configurationOf = async (flag: string) =>
  (await api('GET', `/flags/${flag}/environments/${environment}`)).body

const ALL = [{ name: 'all', percentage: 100, hold: '1h' }]

describe('a rollout does not start', () => {
  it('on a flag that is off', async () => {
    const flag = await createLiveFlag(environment, { enabled: false })
    expect(await refusedStart(await planRollout(environment, flag))).toEqual([409, 'flag_off'])
  })

  it('on a flag that was archived since', async () => {
    const flag = await createLiveFlag(environment)
    const id = await planRollout(environment, flag)
    await archive(flag, 1)
    expect(await refusedStart(id)).toEqual([409, 'archived'])
  })

  it('where everyone has the variant', async () => {
    const flag = await createLiveFlag(environment, { fallthrough: { variant: 'on' } })
    expect(await refusedStart(await planRollout(environment, flag))).toEqual([409, 'serves_everyone'])
  })

  it('beside another one of the flag, whatever that one waits for', async () => {
    const flag = await createLiveFlag(environment)
    const first = await startRollout(environment, flag, { startAt: '2199-01-01T00:00:00Z' })
    const second = await planRollout(environment, flag)
    expect(await refusedStart(second)).toEqual([409, 'rollout_running'])
    const other = await createEnvironment()
    await putConfiguration(other, flag, { fallthrough: { variant: 'off' } })
    await startRollout(other, flag)
    await mustDo(first, 'cancel')
    await mustDo(second, 'start')
  })

  it('on metrics of which nothing ever arrived, unless it is forced', async () => {
    const flag = await createLiveFlag(environment)
    await putMetric('errors', { kind: 'error' })
    const id = await planRollout(environment, flag, {
      guardrails: [{ metric: 'errors', test: 'regression' }],
    })
    expect(await refusedStart(id)).toEqual([409, 'metric_silent'])
    await mustDo(id, 'start', { force: true })
    expect(await stateOf(id)).toBe('running')
  })

  it('on a plan whose metric was deleted since', async () => {
    const flag = await createLiveFlag(environment)
    await putMetric('errors', { kind: 'error' })
    const id = await planRollout(environment, flag, {
      guardrails: [{ metric: 'errors', test: 'regression' }],
    })
    await api('DELETE', '/metrics/errors', undefined, from(1))
    expect(await refusedStart(id)).toEqual([422, 'invalid'])
  })
})

describe('what stands on a rollout', () => {
  it('is not taken from under it: flag, metric, environment', async () => {
    const flag = await createLiveFlag(environment)
    await putMetric('errors', { kind: 'error' })
    const plan = { guardrails: [{ metric: 'errors', test: 'regression' }], startAt: '2199-01-01T00:00:00Z' }
    const id = await planRollout(environment, flag, plan)
    await mustDo(id, 'start', { force: true })
    const before = await dump()
    const answers = [
      await archive(flag, 1),
      await api('DELETE', `/flags/${flag}`, undefined, from(1)),
      await api('DELETE', '/metrics/errors', undefined, from(1)),
      await deleteEnvironment(environment),
    ]
    for (const answer of answers) {
      expect(refusalOf(answer)).toEqual([409, 'rollout_running'])
      expect(field(field(answer.body, 'error'), 'message')).toContain(id)
    }
    expect(await dump()).toEqual(before)
    await mustDo(id, 'cancel')
    expect((await archive(flag, 1)).status).toBe(200)
  })

  it('goes with its environment', async () => {
    const flag = await createLiveFlag(environment)
    const id = await startRollout(environment, flag)
    await mustDo(id, 'signals', { kind: 'ci', passed: true })
    await mustDo(id, 'rollback')
    expect((await deleteEnvironment(environment)).status).toBe(200)
    for (const table of ['rollouts', 'rollout_decisions', 'rollout_signals', 'incidents', 'incident_notes']) {
      expect([table, await rows(`SELECT * FROM ${table}`)]).toEqual([table, []])
    }
  })
})

describe('a split that gives the variant already', () => {
  it.each([
    ['first', splitting(30, 70)],
    [
      'last',
      {
        fallthrough: {
          split: {
            weights: [
              { variant: 'off', weight: 70 },
              { variant: 'on', weight: 30 },
            ],
          },
        },
      },
    ],
  ])('is taken over from its %s range, and nobody moves', async (_, split) => {
    const flag = await createLiveFlag(environment, split)
    const before = await variantsOf(flag)
    const stages = [
      { percentage: 30, hold: '1h' },
      { percentage: 60, hold: '1h' },
    ]
    const id = await startRollout(environment, flag, { stages, takeOver: true })
    expect(await variantsOf(flag)).toEqual(before)
    expect(await configurationOf(flag)).toMatchObject({ fallthrough: { variant: 'off' }, revision: 3 })
    await mustDo(id, 'advance')
    const after = await variantsOf(flag)
    expect(after.filter((variant, unit) => before[unit] === 'on' && variant !== 'on')).toEqual([])
    await mustDo(id, 'rollback')
    expect(new Set(await variantsOf(flag))).toEqual(new Set(['off']))
  })

  it.each([
    [
      'a first stage that gives less',
      { stages: [{ percentage: 29.999, hold: '1h' }] },
      [422, 'first_stage_below_share'],
    ],
    [
      'a first stage for some',
      { stages: [{ audience: { attribute: 'a', op: 'exists', values: [] }, percentage: 100, hold: '1h' }] },
      [422, 'first_stage_below_share'],
    ],
    ['a start that waits', { stages: ALL, startAt: '2199-01-01T00:00:00Z' }, [422, 'take_over_waits']],
    ['another attribute', { stages: ALL, by: 'company.id' }, [409, 'other_unit']],
  ])('is not taken over by %s', async (_, plan, refusal) => {
    const flag = await createLiveFlag(environment, splitting(30, 70))
    const id = await planRollout(environment, flag, { takeOver: true, ...plan })
    expect(await refusedStart(id)).toEqual(refusal)
  })

  it('is taken over when a second person agrees, where one is needed', async () => {
    const flag = await createLiveFlag(environment, splitting(30, 70))
    const before = await variantsOf(flag)
    const id = await planRollout(environment, flag, {
      stages: [{ percentage: 30, hold: '1h' }],
      takeOver: true,
    })
    await env.DB.prepare('UPDATE environments SET protected = 1').run()
    await mustDo(id, 'start')
    expect(await configurationOf(flag)).toMatchObject({ revision: 2 })
    await env.DB.prepare("UPDATE rollouts SET started_by = json_set(started_by, '$.id', 'ada')").run()
    await mustDo(id, 'approve')
    expect(await configurationOf(flag)).toMatchObject({ fallthrough: { variant: 'off' }, revision: 3 })
    expect(await variantsOf(flag)).toEqual(before)
  })
})

describe('what an earlier rollout still grants', () => {
  const IRELAND = { attribute: 'country', op: 'equals', values: ['IE'] }

  async function endWith(flag: string, stages: readonly object[]): Promise<string> {
    const id = await startRollout(environment, flag, { stages })
    for (let stage = 1; stage < stages.length; stage++) await mustDo(id, 'advance')
    await mustDo(id, 'complete')
    expect(await stateOf(id)).toBe('done')
    return id
  }

  it('stands when it is done, and becomes the flag’s own when the next one starts', async () => {
    const flag = await createLiveFlag(environment)
    const stages = [
      { name: 'Ireland', audience: IRELAND, percentage: 100, hold: '1h' },
      { name: 'some', percentage: 40, hold: '1h' },
    ]
    const first = await endWith(flag, stages)
    const before = [await variantsOf(flag), await variantsOf(flag, { country: 'IE' })]
    expect(new Set(before[1])).toEqual(new Set(['on']))
    expect(await configurationOf(flag)).toMatchObject({ rules: [], revision: 2 })
    await startRollout(environment, flag, { stages: [{ percentage: 0.001, hold: '1h' }] })
    expect(await configurationOf(flag)).toMatchObject({
      revision: 3,
      rules: [{ id: `rollout-${first}-1`, when: IRELAND, serve: { variant: 'on' } }],
      fallthrough: {
        split: {
          weights: [
            { variant: 'on', weight: 40_000 },
            { variant: 'off', weight: 60_000 },
          ],
        },
      },
    })
    expect([await variantsOf(flag), await variantsOf(flag, { country: 'IE' })]).toEqual(before)
  })

  it('is what the next one goes on from that takes it over', async () => {
    const flag = await createLiveFlag(environment)
    const first = await endWith(flag, [{ name: 'some', percentage: 40, hold: '1h' }])
    const before = await variantsOf(flag)
    const second = await startRollout(environment, flag, {
      stages: [{ percentage: 40, hold: '1h' }],
      takeOver: true,
    })
    expect(await variantsOf(flag)).toEqual(before)
    const seedOf = async (id: string) => field(await getRollout(id), 'seed')
    expect(await seedOf(second)).toBe(await seedOf(first))
  })

  it('keeps the next one from starting where the fallthrough splits', async () => {
    const flag = await createLiveFlag(environment)
    await endWith(flag, [{ name: 'some', percentage: 40, hold: '1h' }])
    await putConfiguration(environment, flag, splitting(1, 1), 2)
    const id = await planRollout(environment, flag)
    expect(await refusedStart(id)).toEqual([409, 'fallthrough_splits'])
  })
})

describe('a rollout that was taken back', () => {
  it('is tried again with the same units, from a chosen stage', async () => {
    const flag = await createLiveFlag(environment)
    const stages = [
      { name: 'one', percentage: 1, hold: '1h' },
      { name: 'half', percentage: 50, hold: '2h', approval: true },
      { name: 'all', percentage: 100, hold: '0s' },
    ]
    const first = await startRollout(environment, flag, { stages })
    expect(refusalOf(await deed(first, 'retry'))).toEqual([409, 'wrong_state'])
    await mustDo(first, 'rollback')
    expect(refusalOf(await deed(first, 'retry', { stage: 'none' }))).toEqual([422, 'unknown_stage'])
    const again = await deed(first, 'retry', { stage: 'half' })
    expect(again).toMatchObject({
      status: 201,
      body: { state: 'draft', retries: first, seed: field(await getRollout(first), 'seed'), epoch: 0 },
    })
    expect(field(field(again.body, 'plan'), 'stages')).toEqual(stages.slice(1))
    const second = String(field(again.body, 'id'))
    await mustDo(second, 'start')
    // What the first one was still counted by is over: it would keep the flag from being archived.
    expect(await rows('SELECT id FROM measurements')).toEqual([])
  })

  it('is disputed once it has an incident', async () => {
    const flag = await createLiveFlag(environment)
    const id = await startRollout(environment, flag)
    expect(refusalOf(await deed(id, 'dispute'))).toEqual([409, 'no_incident'])
    await mustDo(id, 'rollback')
    const disputed = await deed(id, 'dispute', { comment: 'It was the provider' })
    expect(disputed).toMatchObject({ status: 200, body: { disputedBy: 'admin' } })
    const incident = await api('GET', `/incidents/${String(field(disputed.body, 'incident'))}`)
    expect(incident.body).toMatchObject({ disputedBy: 'admin', disputeNote: 'It was the provider' })
  })
})
