// What people do to a rollout by hand: what comes of it, and what is refused without changing anything.
import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { createActor, refusalOf } from '../support/actors.ts'
import { dump, emptyDatabase } from '../support/database.ts'
import {
  createLiveFlag,
  deed,
  getRollout,
  mustDo,
  patchPlan,
  planRollout,
  postPlan,
  startRollout,
  stateOf,
  timelineOf,
} from '../support/rollout-calls.ts'
import {
  api,
  createEnvironment,
  createKey,
  evaluate,
  field,
  from,
  moveClock,
  putConfiguration,
  silenceLogs,
  warm,
} from '../support/worker.ts'

silenceLogs()

let environment = ''
let flag = ''

beforeEach(async () => {
  await emptyDatabase()
  environment = await createEnvironment()
  flag = await createLiveFlag(environment)
})

const protect = () =>
  env.DB.prepare('UPDATE environments SET protected = 1 WHERE key = ?').bind(environment).run()

async function servedTo(count: number): Promise<number> {
  const { key } = await createKey(environment)
  await warm(environment)
  const units = Array.from({ length: count }, (_, index) => `user-${index}`)
  const answers = await Promise.all(units.map((targetingKey) => evaluate(key, flag, { targetingKey })))
  return answers.filter(({ body }) => field(body, 'variant') === 'on').length
}

/** Asks for something that must be refused, and holds that nothing has changed by it. */
async function refused(ask: () => ReturnType<typeof deed>) {
  const before = await dump()
  const answer = await ask()
  expect(await dump()).toEqual(before)
  return refusalOf(answer)
}

describe('a draft', () => {
  it('is made, read, changed, listed and thrown away, and reaches no edge', async () => {
    const made = await postPlan(environment, flag)
    expect(made).toMatchObject({
      status: 201,
      body: { flag, environment, variant: 'on', state: 'draft', revision: 1, stage: -1, granted: [] },
    })
    const id = String(field(made.body, 'id'))
    expect(await patchPlan(id, { alpha: 0.05 })).toMatchObject({
      status: 200,
      body: { revision: 2, plan: { alpha: 0.05 } },
    })
    const listed = await api('GET', `/rollouts?environment=${environment}&flag=${flag}&state=draft`)
    expect(field(listed.body, 'rollouts')).toEqual([await getRollout(id)])
    expect(field((await api('GET', '/rollouts?state=running')).body, 'rollouts')).toEqual([])
    expect(await servedTo(10)).toBe(0)
    expect(await api('DELETE', `/rollouts/${id}`, undefined, from(2))).toMatchObject({
      status: 200,
      body: { id },
    })
    expect(refusalOf(await api('GET', `/rollouts/${id}`))).toEqual([404, 'not_found'])
  })

  it('is listed page by page, newest first', async () => {
    const ids: string[] = []
    for (let count = 0; count < 3; count++) {
      moveClock(1)
      ids.unshift(await planRollout(environment, flag))
    }
    const first = await api('GET', `/rollouts?environment=${environment}&limit=2`)
    const cursor = String(field(first.body, 'nextCursor'))
    const second = await api('GET', `/rollouts?environment=${environment}&limit=2&cursor=${cursor}`)
    const idsOf = (body: unknown) => Array.from(Object(field(body, 'rollouts')), (row) => field(row, 'id'))
    expect([idsOf(first.body), idsOf(second.body)]).toEqual([ids.slice(0, 2), ids.slice(2)])
  })

  it.each<[string, object, string, string]>([
    ['no stages', { stages: [] }, 'stages', 'limit'],
    ['a variant that the flag lacks', { variant: 'blue' }, 'variant', 'unknown_variant'],
    [
      'a metric that there is not',
      { guardrails: [{ metric: 'none', test: 'regression' }] },
      'guardrails[0].metric',
      'unknown_metric',
    ],
    ['half of all false alarms', { alpha: 0.5 }, 'alpha', 'type'],
    ['a field that nobody knows', { unheardOf: 1 }, 'unheardOf', 'unknown_field'],
  ])('with %s is refused with the path', async (_, plan, path) => {
    const answer = await postPlan(environment, flag, plan)
    expect(refusalOf(answer)).toEqual([422, 'invalid'])
    expect(field(field(answer.body, 'error'), 'details')).toMatchObject([{ path }])
  })

  it('of a flag or an environment that there is not is refused', async () => {
    expect(refusalOf(await postPlan(environment, 'none'))).toEqual([404, 'not_found'])
    expect(refusalOf(await postPlan('none', flag))).toEqual([404, 'not_found'])
  })

  it('is changed only from what it is, and only while it is one', async () => {
    const id = await planRollout(environment, flag)
    expect(await refused(() => patchPlan(id, { alpha: 0.05 }, 2))).toEqual([412, 'stale'])
    expect(await refused(() => api('PATCH', `/rollouts/${id}`, { plan: {} }))).toEqual([
      428,
      'revision_required',
    ])
    await mustDo(id, 'start')
    expect(await refused(() => patchPlan(id, { alpha: 0.05 }, 2))).toEqual([409, 'not_a_draft'])
    expect(await refused(() => api('DELETE', `/rollouts/${id}`, undefined, from(2)))).toEqual([
      409,
      'not_a_draft',
    ])
  })

  it('stays with its flag and environment', async () => {
    const id = await planRollout(environment, flag)
    const other = await createLiveFlag(environment)
    await patchPlan(id, { flag: other, environment: 'other' })
    expect(await getRollout(id)).toMatchObject({ flag, environment, plan: { flag, environment } })
  })
})

describe('a rollout', () => {
  it('starts, advances, and leaves its variant in the fallthrough when it is through', async () => {
    const id = await planRollout(environment, flag)
    const started = await deed(id, 'start', { comment: 'go' })
    expect(started).toMatchObject({
      status: 200,
      body: {
        id,
        state: 'running',
        stage: 0,
        epoch: 1,
        revision: 2,
        environments: { [environment]: { published: true } },
      },
    })
    const half = await servedTo(60)
    expect(half).toBeGreaterThan(10)
    expect(half).toBeLessThan(50)
    expect(await deed(id, 'advance')).toMatchObject({ status: 200, body: { stage: 1, state: 'running' } })
    expect(await servedTo(60)).toBe(60)
    expect(await deed(id, 'complete')).toMatchObject({ status: 200, body: { state: 'done' } })
    const configuration = (await api('GET', `/flags/${flag}/environments/${environment}`)).body
    expect(configuration).toMatchObject({ fallthrough: { variant: 'on' }, revision: 3 })
    expect(await servedTo(60)).toBe(60)
    expect((await timelineOf(id)).map(([name]) => name)).toEqual(['advance', 'advance', 'finish'])
  })

  it('pauses, goes on, is given another percentage and is taken back', async () => {
    const id = await startRollout(environment, flag)
    await mustDo(id, 'pause', { comment: 'lunch' })
    expect(await stateOf(id)).toBe('paused')
    await mustDo(id, 'percentage', { percentage: 0.5 })
    expect(await getRollout(id)).toMatchObject({ state: 'paused', granted: [{ percentage: 0.5 }], epoch: 2 })
    await mustDo(id, 'resume')
    expect(await stateOf(id)).toBe('running')
    expect(await deed(id, 'rollback', { comment: 'it fails' })).toMatchObject({
      body: { state: 'rolled_back', environments: { [environment]: { published: true } } },
    })
    expect(await servedTo(40)).toBe(0)
    expect(await timelineOf(id)).toEqual([
      ['advance', 'start', 'admin'],
      ['pause', 'by_hand', 'admin'],
      ['set_percentage', 'by_hand', 'admin'],
      ['resume', 'by_hand', 'admin'],
      ['rollback', 'by_hand', 'admin'],
    ])
  })

  it('is taken back step by step, and from there only altogether', async () => {
    const id = await startRollout(environment, flag)
    await mustDo(id, 'rollback', { mode: 'gradual' })
    expect(await getRollout(id)).toMatchObject({ state: 'rolling_back', granted: [{ percentage: 25 }] })
    expect(await refused(() => deed(id, 'rollback', { mode: 'gradual' }))).toEqual([409, 'wrong_state'])
    await mustDo(id, 'rollback')
    expect(await getRollout(id)).toMatchObject({ state: 'rolled_back', granted: [{ percentage: 0 }] })
  })

  it('is taken back from one audience by its name', async () => {
    const audience = { attribute: 'country', op: 'equals', values: ['IE'] }
    const stages = [
      { name: 'Ireland', audience, percentage: 100, hold: '0s' },
      { name: 'all', percentage: 50, hold: '1h' },
    ]
    const id = await startRollout(environment, flag, { stages })
    expect(await refused(() => deed(id, 'rollback', { mode: 'partial', audiences: ['France'] }))).toEqual([
      422,
      'unknown_audience',
    ])
    await mustDo(id, 'rollback', { mode: 'partial', audiences: ['Ireland'] })
    expect(await getRollout(id)).toMatchObject({ blocked: ['Ireland'] })
  })

  it('waits for its instant, and is cancelled before', async () => {
    const id = await startRollout(environment, flag, { startAt: '2199-01-01T00:00:00Z' })
    expect(await stateOf(id)).toBe('scheduled')
    expect(await refused(() => deed(id, 'rollback'))).toEqual([409, 'wrong_state'])
    await mustDo(id, 'cancel')
    expect(await stateOf(id)).toBe('cancelled')
    expect(await servedTo(10)).toBe(0)
  })

  it('passes no gate and no approval by hand, and approvals can come early', async () => {
    const stages = [
      { name: 'half', percentage: 50, hold: '1h' },
      { name: 'most', percentage: 90, hold: '1h', approval: true },
      { name: 'all', percentage: 100, hold: '1h', gates: ['ci-green'] },
    ]
    const id = await startRollout(environment, flag, { stages })
    const answer = await deed(id, 'advance')
    expect(refusalOf(answer)).toEqual([409, 'obstacle'])
    expect(field(field(answer.body, 'error'), 'details')).toMatchObject({ code: 'approval_missing' })
    expect(await refused(() => deed(id, 'approve', { stage: 'none' }))).toEqual([422, 'unknown_stage'])
    await mustDo(id, 'approve', { stage: 'most' })
    await mustDo(id, 'advance')
    const gated = await deed(id, 'advance')
    expect(field(field(gated.body, 'error'), 'details')).toMatchObject({ code: 'gate_missing' })
    await mustDo(id, 'signals', { kind: 'ci-green', passed: true })
    await mustDo(id, 'advance')
    expect(await refused(() => deed(id, 'advance'))).toEqual([409, 'no_stage_left'])
  })

  it.each([
    ['start', {}, 'wrong_state'],
    ['resume', {}, 'wrong_state'],
    ['cancel', {}, 'wrong_state'],
    ['complete', {}, 'stages_left'],
  ])('that runs is not asked to %s', async (name, json, code) => {
    const id = await startRollout(environment, flag)
    expect(await refused(() => deed(id, name, json))).toEqual([409, code])
  })

  it('gives nobody more by hand than the next stage would', async () => {
    const id = await startRollout(environment, flag, {
      stages: [
        { percentage: 5, hold: '1h' },
        { percentage: 20, hold: '1h' },
        { percentage: 100, hold: '1h' },
      ],
    })
    expect(await refused(() => deed(id, 'percentage', { percentage: 20.001 }))).toEqual([
      422,
      'percentage_out_of_range',
    ])
    await mustDo(id, 'percentage', { percentage: 20 })
  })

  it('does what was decided on another revision only if nothing was said of it', async () => {
    const id = await startRollout(environment, flag)
    expect(await refused(() => deed(id, 'pause', { revision: 1 }))).toEqual([412, 'stale'])
    expect((await deed(id, 'pause', { revision: 2 })).status).toBe(200)
  })

  it('leaves a colleague’s draft of the flag as fresh as it was', async () => {
    const id = await startRollout(environment, flag)
    await mustDo(id, 'advance')
    expect((await putConfiguration(environment, flag, { fallthrough: { variant: 'off' } }, 2)).status).toBe(
      200,
    )
  })
})

describe('where a second person is needed', () => {
  it('whoever starts it does not approve it, and a rollback waits for nobody', async () => {
    const ada = await createActor({ role: 'releaser' })
    const grace = await createActor({ role: 'releaser' })
    const dev = await createActor({ role: 'developer' })
    const id = await planRollout(environment, flag)
    await protect()
    await mustDo(id, 'start', {}, ada)
    expect(await stateOf(id)).toBe('awaiting_approval')
    expect(await servedTo(20)).toBe(0)
    expect(await refused(() => deed(id, 'approve', {}, ada))).toEqual([403, 'own_change'])
    expect(await refused(() => deed(id, 'approve', {}, dev))).toEqual([403, 'forbidden'])
    await mustDo(id, 'approve', { comment: 'seen' }, grace)
    expect(await stateOf(id)).toBe('running')
    expect(await refused(() => deed(id, 'rollback', {}, dev))).toEqual([403, 'forbidden'])
    await mustDo(id, 'rollback', {}, ada)
    expect(await stateOf(id)).toBe('rolled_back')
  })
})

describe('who does not reach the environment', () => {
  it('is not told that there is a rollout', async () => {
    const id = await startRollout(environment, flag)
    const elsewhere = await createActor({ role: 'admin', environments: ['elsewhere'] })
    expect(await refused(() => deed(id, 'rollback', {}, elsewhere))).toEqual([404, 'not_found'])
  })
})

describe('two at once', () => {
  it('start one rollout of a flag', async () => {
    const ids = [await planRollout(environment, flag), await planRollout(environment, flag)]
    const answers = await Promise.all(ids.map((id) => deed(id, 'start')))
    const outcomes = answers.map((answer) => refusalOf(answer)).sort()
    expect(outcomes).toEqual([
      [200, undefined],
      [409, 'rollout_running'],
    ])
    const states = await Promise.all(ids.map(stateOf))
    expect(states.sort()).toEqual(['draft', 'running'])
  })

  it('start the same rollout once', async () => {
    const id = await planRollout(environment, flag)
    const answers = await Promise.all([deed(id, 'start'), deed(id, 'start')])
    expect(answers.map((answer) => refusalOf(answer)).sort()).toEqual([
      [200, undefined],
      [409, 'wrong_state'],
    ])
    expect((await timelineOf(id)).length).toBe(1)
  })

  it('approve and take back: what is taken back stays so', async () => {
    const stages = [
      { name: 'half', percentage: 50, hold: '1h' },
      { name: 'all', percentage: 100, hold: '1h', approval: true },
    ]
    const id = await startRollout(environment, flag, { stages })
    await Promise.all([deed(id, 'approve', { stage: 'all' }), deed(id, 'rollback')])
    expect(await getRollout(id)).toMatchObject({ state: 'rolled_back', granted: [{ percentage: 0 }] })
  })
})

describe('an Idempotency-Key', () => {
  it('gets the answer of the first time, and does nothing again', async () => {
    const id = await planRollout(environment, flag)
    const headers = { 'idempotency-key': crypto.randomUUID() }
    const first = await api('POST', `/rollouts/${id}/start`, {}, headers)
    const again = await api('POST', `/rollouts/${id}/start`, {}, headers)
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect([again.status, again.body]).toEqual([first.status, first.body])
    expect((await timelineOf(id)).length).toBe(1)
  })
})
