// The emergency stop, signals, and what is shown of a rollout.
import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { apiAs, createActor, refusalOf } from '../support/actors.ts'
import { apiWith } from '../support/catalog.ts'
import { auditAfter, auditEnd, dump, emptyDatabase, rows } from '../support/database.ts'
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
  createSegment,
  evaluate,
  field,
  putConfiguration,
  silenceLogs,
  warm,
  withDatabase,
} from '../support/worker.ts'

silenceLogs()

let environment = ''
let flag = ''

beforeEach(async () => {
  await emptyDatabase()
  environment = await createEnvironment()
  flag = await createLiveFlag(environment)
})

const stop = (json: object = {}) => api('POST', `/flags/${flag}/environments/${environment}/stop`, json)
const pathOfStop = () => `/flags/${flag}/environments/${environment}/stop`

async function isOff(): Promise<boolean> {
  const { key } = await createKey(environment)
  await warm(environment)
  return field((await evaluate(key, flag, { targetingKey: 'ada' })).body, 'reason') === 'DISABLED'
}

describe('the emergency stop', () => {
  it('switches the flag off and takes its rollout back in one batch', async () => {
    const id = await startRollout(environment, flag, { stages: [{ percentage: 100, hold: '1h' }] })
    const [before] = await rows<{ version: number }>(
      'SELECT version FROM environments WHERE key = ?',
      environment,
    )
    const end = await auditEnd()
    const answer = await stop({ comment: 'Cards are declined' })
    expect(answer).toMatchObject({
      status: 200,
      body: {
        switchedOff: true,
        rollout: id,
        environments: { [environment]: { version: Number(before?.version) + 1, published: true } },
      },
    })
    expect(await getRollout(id)).toMatchObject({ state: 'rolled_back', granted: [{ percentage: 0 }] })
    const told = await auditAfter(end)
    expect(await isOff()).toBe(true)
    expect((await api('GET', `/flags/${flag}/environments/${environment}`)).body).toMatchObject({
      enabled: false,
      revision: 3,
    })
    expect(told.map(({ action, comment }) => [action, comment])).toEqual([
      ['rollout.rollback', 'Cards are declined'],
      ['configuration.switch_off', 'Cards are declined'],
    ])
  })

  it('switches off a flag on which nothing goes on, and is content with one that is off', async () => {
    expect((await stop()).body).toMatchObject({ switchedOff: true, rollout: null })
    expect(await isOff()).toBe(true)
    expect((await stop()).body).toMatchObject({ switchedOff: false, rollout: null })
  })

  it('cancels a rollout that has granted nothing yet', async () => {
    const id = await startRollout(environment, flag, { startAt: '2199-01-01T00:00:00Z' })
    expect((await stop()).body).toMatchObject({ rollout: id })
    expect(await stateOf(id)).toBe('cancelled')
  })

  it('gets through whoever else changes the flag at that moment', async () => {
    const id = await startRollout(environment, flag)
    let changes = 0
    const bindings = withDatabase(env, {
      batch: async (statements: D1PreparedStatement[]) => {
        // Somebody else is first, three times.
        if (changes < 3) {
          changes++
          await putConfiguration(
            environment,
            flag,
            { offVariant: changes % 2 ? 'off' : null, fallthrough: { variant: 'off' } },
            changes + 1,
          )
        }
        return env.DB.batch(statements)
      },
    })
    expect(await apiWith(bindings, 'POST', pathOfStop(), {})).toMatchObject({
      status: 200,
      body: { switchedOff: true, rollout: id },
    })
    expect(await stateOf(id)).toBe('rolled_back')
    expect(await isOff()).toBe(true)
  })

  it('waits for nobody where a second person is needed, and takes a releaser there', async () => {
    await startRollout(environment, flag)
    await env.DB.prepare('UPDATE environments SET protected = 1').run()
    const developer = await createActor({ role: 'developer' })
    const releaser = await createActor({ role: 'releaser' })
    expect(refusalOf(await apiAs(developer, 'POST', pathOfStop(), {}))).toEqual([403, 'forbidden'])
    expect((await apiAs(releaser, 'POST', pathOfStop(), {})).status).toBe(200)
  })

  it('is refused where there is no such flag or environment', async () => {
    expect(refusalOf(await api('POST', `/flags/none/environments/${environment}/stop`, {}))).toEqual([
      404,
      'not_found',
    ])
    expect(refusalOf(await api('POST', `/flags/${flag}/environments/none/stop`, {}))).toEqual([
      404,
      'not_found',
    ])
  })
})

describe('signals', () => {
  it('come from whoever may only signal, who may do nothing else', async () => {
    const ci = await createActor({ role: 'signaller', owner: 'ci' })
    const id = await startRollout(environment, flag)
    const sent = { kind: 'ci-green', passed: false, link: 'https://ci.example/1', note: 'red' }
    expect(await deed(id, 'signals', sent, ci)).toMatchObject({
      status: 201,
      body: { ...sent, author: 'ci' },
    })
    const { body } = await api('GET', `/rollouts/${id}/signals`)
    expect(field(body, 'signals')).toMatchObject([{ ...sent, author: 'ci' }])
    for (const [method, path] of [
      ['GET', `/rollouts/${id}`],
      ['GET', `/rollouts/${id}/signals`],
      ['GET', '/flags'],
      ['GET', '/environments'],
      ['GET', '/me'],
      ['GET', '/tokens'],
      ['POST', `/rollouts/${id}/rollback`],
    ] as const) {
      expect([path, refusalOf(await apiAs(ci, method, path, method === 'POST' ? {} : undefined))]).toEqual([
        path,
        [403, 'forbidden'],
      ])
    }
  })

  it('are not a viewer’s to send, nor one’s who does not reach the environment', async () => {
    const id = await startRollout(environment, flag)
    const before = await dump('rollout_signals')
    const viewer = await createActor({ role: 'viewer' })
    const elsewhere = await createActor({ role: 'signaller', environments: ['elsewhere'] })
    expect(refusalOf(await deed(id, 'signals', { kind: 'ci', passed: true }, viewer))).toEqual([
      403,
      'forbidden',
    ])
    expect(refusalOf(await deed(id, 'signals', { kind: 'ci', passed: true }, elsewhere))).toEqual([
      404,
      'not_found',
    ])
    expect(await dump('rollout_signals')).toEqual(before)
  })

  it('are not heard any more by a rollout that has ended', async () => {
    const id = await startRollout(environment, flag)
    await mustDo(id, 'rollback')
    expect(refusalOf(await deed(id, 'signals', { kind: 'ci', passed: true }))).toEqual([409, 'wrong_state'])
  })
})

describe('the matrix', () => {
  it('shows what each rollout gives each audience, and changes drafts together or not at all', async () => {
    await createSegment(environment, 'beta')
    const running = await startRollout(environment, flag)
    const other = await createLiveFlag(environment)
    const draft = await planRollout(environment, other, {
      stages: [
        { audience: { segment: 'beta' }, percentage: 50, hold: '1h' },
        { percentage: 100, hold: '1h' },
      ],
    })
    const path = `/environments/${environment}/rollout-matrix`
    expect((await api('GET', path)).body).toMatchObject({
      audiences: ['', 'beta'],
      features: [
        { rollout: running, cells: [{ audience: '', present: 50, planned: 100 }] },
        {
          rollout: draft,
          cells: [
            { audience: 'beta', present: 0, planned: 50 },
            { audience: '', present: 0, planned: 100 },
          ],
        },
      ],
    })
    const edit = (rollout: string, revision: number) => ({
      rollout,
      revision,
      cells: [{ audience: 'beta', percentage: 80 }],
    })
    const before = await dump()
    expect(refusalOf(await api('PUT', path, { drafts: [edit(draft, 1), edit(running, 2)] }))).toEqual([
      409,
      'not_a_draft',
    ])
    expect(refusalOf(await api('PUT', path, { drafts: [edit(draft, 7)] }))).toEqual([412, 'stale'])
    expect(
      refusalOf(
        await api('PUT', path, {
          drafts: [{ ...edit(draft, 1), cells: [{ audience: 'none', percentage: 5 }] }],
        }),
      ),
    ).toEqual([422, 'invalid'])
    expect(await dump()).toEqual(before)
    expect(await api('PUT', path, { drafts: [edit(draft, 1)] })).toMatchObject({
      status: 200,
      body: { drafts: [{ rollout: draft, revision: 2 }] },
    })
    expect(field(field(await getRollout(draft), 'plan'), 'stages')).toMatchObject([
      { percentage: 80 },
      { percentage: 100 },
    ])
  })
})

describe('what is shown', () => {
  it('of templates is what a plan takes', async () => {
    await createSegment(environment, 'internal')
    await createSegment(environment, 'beta-testers')
    const { body } = await api('GET', '/rollout-templates?hold=2h&holdBack=false&segments=internal')
    const templates = Array.from<unknown>(Object(field(body, 'templates')))
    expect(templates.map((template) => field(template, 'name'))).toEqual([
      'canary',
      'progressive',
      'staged',
      'geographic',
      'segments',
      'timed',
      'linear',
      'custom',
    ])
    for (const template of templates) {
      await planRollout(environment, flag, { stages: field(template, 'stages') })
    }
    expect(field(templates[0], 'stages')).toMatchObject(
      [1, 5, 25, 50, 100].map((percentage) => ({ percentage })),
    )
  })

  it('of a rollout’s health is which promise holds, and what happens next and why', async () => {
    const id = await planRollout(environment, flag)
    const health = async () => (await api('GET', `/rollouts/${id}/health`)).body
    expect(await health()).toMatchObject({ promise: { code: 'waiting' }, stage: null })
    await mustDo(id, 'start')
    expect(await health()).toMatchObject({
      promise: { code: 'unguarded' },
      stage: 'half',
      next: { deed: 'confirm' },
    })
    await mustDo(id, 'rollback')
    expect(await health()).toMatchObject({ promise: { code: 'ended' }, state: 'rolled_back' })
  })

  it('of a decision is what it was decided from', async () => {
    const id = await startRollout(environment, flag)
    await mustDo(id, 'pause', { comment: 'lunch' })
    const { body } = await api('GET', `/rollouts/${id}/timeline?limit=1`)
    const [newest] = Array.from<unknown>(Object(field(body, 'decisions')))
    expect(newest).toMatchObject({
      deed: 'pause',
      comment: 'lunch',
      reason: { code: 'by_hand' },
      hasEvidence: false,
    })
    const decision = await api('GET', `/rollouts/${id}/timeline/${String(field(newest, 'id'))}`)
    expect(decision.body).toMatchObject({ deed: 'pause', evidence: null })
    const older = await api(
      'GET',
      `/rollouts/${id}/timeline?limit=1&cursor=${String(field(body, 'nextCursor'))}`,
    )
    expect(field(older.body, 'decisions')).toMatchObject([{ deed: 'advance' }])
  })
})
