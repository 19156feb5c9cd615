import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { apiAs, createActor, refusalOf } from '../support/actors.ts'
import { auditAfter, auditEnd, emptyDatabase, rows } from '../support/database.ts'
import { runTick } from '../support/tick.ts'
import {
  type Answer,
  api,
  configure,
  createEnvironment,
  createFlag,
  createKey,
  createSegment,
  evaluate,
  evaluateAll,
  field,
  from,
  moveClock,
  putConfiguration,
  putFlag,
  putSegment,
  silenceLogs,
  uniqueName,
  warm,
} from '../support/worker.ts'

const DEFAULTS = { refreshSeconds: 30, protected: false, keepContexts: false, contextKeys: [], shards: 2 }
const CONTEXT_KEY = { kty: 'EC', crv: 'P-256', x: 'eA', y: 'eQ', kid: 'k1' }

silenceLogs()

beforeEach(emptyDatabase)

const get = async (environment: string) => (await api('GET', `/environments/${environment}`)).body
const put = (environment: string, draft: object, revision = 0) =>
  api('PUT', `/environments/${environment}`, draft, from(revision))
const remove = (environment: string, revision = 1) =>
  api('DELETE', `/environments/${environment}`, undefined, from(revision))
const configurationOf = async (flag: string, environment: string) =>
  (await api('GET', `/flags/${flag}/environments/${environment}`)).body

async function succeed(answer: Promise<Answer>): Promise<unknown> {
  const { status, body } = await answer
  expect([status, body]).toEqual([200, expect.anything()])
  return body
}

/** What the edge answers to each unit, of everything it has. */
async function answersTo(units: readonly object[], environment: string, key: string): Promise<unknown[]> {
  await warm(environment)
  const answers: unknown[] = []
  for (const unit of units) {
    const { body } = await evaluateAll(key, unit)
    const flags = field(body, 'flags') as object[]
    answers.push(flags.map((flag) => ['key', 'reason', 'variant', 'value'].map((name) => field(flag, name))))
  }
  return answers
}

describe('a new environment', () => {
  it('has every flag, switched off, and nothing else', async () => {
    await createFlag('a')
    await createFlag('b')
    const environment = uniqueName('new')
    const head = await auditEnd()
    expect(await succeed(put(environment, { name: 'New', comment: 'why' }))).toEqual({
      revision: 1,
      environments: { [environment]: { version: 1, published: true } },
    })
    expect(await get(environment)).toMatchObject({
      ...{ key: environment, name: 'New', ...DEFAULTS, version: 1, revision: 1 },
      ...{ bytes: expect.any(Number), createdAt: expect.any(Number) },
    })
    for (const flag of ['a', 'b']) {
      expect(await configurationOf(flag, environment)).toMatchObject({
        enabled: false,
        rules: [],
        revision: 1,
      })
    }
    expect((await api('GET', `/environments/${environment}/segments`)).body).toMatchObject({ segments: [] })
    expect((await api('GET', `/environments/${environment}/keys`)).body).toEqual({ keys: [] })
    expect(await auditAfter(head)).toMatchObject([
      { action: 'environment.create', target_kind: 'environment', target_key: environment, comment: 'why' },
    ])
  })

  it.each(['Production', 'a_b', '-a', 'a'.repeat(41), 'ä'])('cannot be called %s', async (key) => {
    expect(refusalOf(await put(encodeURIComponent(key), { name: 'x' }))).toEqual([400, 'malformed'])
  })

  it.each(['a', '0', 'a-b', 'a'.repeat(40), 'constructor'])('can be called %s', async (key) => {
    await createFlag('flag')
    await succeed(put(key, { name: 'x' }))
    await configure(key, 'flag')
    const { environments } = Object((await api('GET', '/flags/flag')).body)
    expect(environments).toMatchObject({ [key]: { enabled: true } })
    await succeed(remove(key))
  })

  it.each<[name: string, draft: object]>([
    ['without a name', { name: '' }],
    ['that is not refreshed', { name: 'x', refreshSeconds: 0 }],
    ['that is refreshed too seldom', { name: 'x', refreshSeconds: 61 }],
    ['with a field that is none', { name: 'x', colour: 'red' }],
    ['with a secret among its public keys', { name: 'x', contextKeys: [{ ...CONTEXT_KEY, d: 'ZA' }] }],
    ['with six of them', { name: 'x', contextKeys: Array.from({ length: 6 }, () => CONTEXT_KEY) }],
  ])('is none %s', async (_, draft) => {
    expect(refusalOf(await put('new', draft))).toEqual([400, 'malformed'])
  })

  it('is new, or refused', async () => {
    const environment = await createEnvironment()
    expect(refusalOf(await put(environment, { name: 'x' }))).toEqual([412, 'stale'])
    expect(refusalOf(await api('PUT', '/environments/other', { name: 'x' }))).toEqual([
      428,
      'revision_required',
    ])
    expect(refusalOf(await put('other', { name: 'x' }, 1))).toEqual([412, 'stale'])
  })

  it.each<[role: 'developer' | 'releaser' | 'admin', environments: string[] | null, refusal: unknown]>([
    ['developer', null, [403, 'forbidden']],
    ['releaser', null, [403, 'forbidden']],
    ['admin', ['other'], [403, 'wrong_environment']],
  ])('is not made by a %s of %s', async (role, environments, refusal) => {
    const token = await createActor({ role, environments })
    const answer = await apiAs(token, 'PUT', '/environments/new', { name: 'x' }, from(0))
    expect(refusalOf(answer)).toEqual(refusal)
  })
})

describe('a copied environment', () => {
  const UNITS = Array.from({ length: 200 }, (_, index) => ({
    targetingKey: `unit-${index}`,
    plan: index % 3 === 0 ? 'pro' : 'free',
    company: { id: `company-${index % 20}` },
  }))
  const split = (on: number, by: string) => ({
    split: {
      weights: [
        { variant: 'on', weight: on },
        { variant: 'off', weight: 100 - on },
      ],
      by,
    },
  })
  const pro = { attribute: 'plan', op: 'equals', values: ['pro'] }
  let source = ''

  beforeEach(async () => {
    source = await createEnvironment({ refreshSeconds: 7, protected: false })
    for (const flag of ['base', 'split', 'rules', 'off', 'untouched']) await createFlag(flag)
    await createSegment(source, 'pro', { condition: pro, excluded: ['unit-3'], description: 'who pays' })
    await createSegment(source, 'chosen', { condition: { segment: 'pro' }, included: ['unit-1', 'unit-2'] })
    await configure(source, 'base', { offVariant: 'off', fallthrough: split(70, 'company.id') })
    await configure(source, 'split', {
      ...{ offVariant: 'off', fallthrough: split(30, 'targetingKey') },
      prerequisites: [{ flag: 'base', variants: ['on'] }],
    })
    await configure(source, 'rules', {
      targets: [{ variant: 'off', units: ['unit-5'] }],
      rules: [
        { id: 'r', description: 'chosen', when: { segment: 'chosen' }, serve: split(50, 'targetingKey') },
      ],
      fallthrough: { variant: 'off' },
    })
    await configure(source, 'off', { enabled: false, offVariant: 'off' })
  })

  it('answers the same to everybody, and goes its own way from there', async () => {
    const { key } = await createKey(source)
    const expected = await answersTo(UNITS, source, key)
    // All there is to answer must be there, or the comparison says little.
    expect(new Set(expected.flat().map((answer) => String(Object(answer)[1]))).size).toBeGreaterThan(3)
    const copy = await createEnvironment({ copyFrom: source })
    const { key: copiedKey } = await createKey(copy)
    expect(await answersTo(UNITS, copy, copiedKey)).toEqual(expected)

    await putConfiguration(copy, 'base', { enabled: false, offVariant: 'off' }, 1)
    await putSegment(copy, 'chosen', { included: [] }, 1)
    expect(await answersTo(UNITS, source, key)).toEqual(expected)
    expect(await answersTo(UNITS, copy, copiedKey)).not.toEqual(expected)
  })

  it("has configurations and segments as they are, and nothing that is the source's own", async () => {
    await createKey(source)
    const copy = await createEnvironment({ copyFrom: source })
    for (const flag of ['base', 'split', 'rules', 'off', 'untouched']) {
      const { revision: _, updatedAt: __, ...configuration } = Object(await configurationOf(flag, source))
      expect(await configurationOf(flag, copy)).toMatchObject({ ...configuration, revision: 1 })
    }
    for (const segment of ['pro', 'chosen']) {
      const path = (environment: string) => `/environments/${environment}/segments/${segment}`
      const { updatedAt: _, ...copied } = Object((await api('GET', path(source))).body)
      expect((await api('GET', path(copy))).body).toMatchObject(copied)
    }
    expect((await api('GET', `/environments/${copy}/keys`)).body).toEqual({ keys: [] })
    expect(await get(copy)).toMatchObject({ ...DEFAULTS, version: 1 })
    const secrets = await rows('SELECT DISTINCT signing_secret FROM environments')
    expect(secrets).toHaveLength(2)
    // What it names is held as in the source.
    const path = `/environments/${copy}/segments/pro`
    expect(refusalOf(await api('DELETE', path, undefined, from(1)))).toEqual([409, 'still_referenced'])
  })

  it('needs a source, and one that is reached', async () => {
    expect(refusalOf(await put('new', { name: 'x', copyFrom: 'none' }))).toEqual([404, 'not_found'])
    const token = await createActor({ role: 'admin', environments: ['new'] })
    const copying = { name: 'x', copyFrom: source }
    const answer = await apiAs(token, 'PUT', '/environments/new', copying, from(0))
    expect(refusalOf(answer)).toEqual([403, 'wrong_environment'])
    expect((await api('GET', '/environments/new')).status).toBe(404)
  })
})

describe("an environment's own fields", () => {
  it.each<[string, object]>([
    ['name', { name: 'Other' }],
    ['refreshSeconds', { refreshSeconds: 5 }],
    ['protected', { protected: true }],
    ['keepContexts', { keepContexts: true }],
    ['contextKeys', { contextKeys: [CONTEXT_KEY] }],
    ['shards', { shards: 3 }],
  ])('change: %s', async (_, change) => {
    const environment = await createEnvironment()
    const secret = await rows('SELECT signing_secret FROM environments')
    const saved = await succeed(put(environment, { name: 'x', ...change }, 1))
    expect(saved).toEqual({ revision: 2, environments: { [environment]: { version: 2, published: true } } })
    expect(await get(environment)).toMatchObject({
      name: 'x',
      ...DEFAULTS,
      ...change,
      revision: 2,
      version: 2,
    })
    expect(await rows('SELECT signing_secret FROM environments')).toEqual(secret)
    expect(refusalOf(await put(environment, { name: 'y' }, 1))).toEqual([412, 'stale'])
  })

  it('reach the edge: how a context must come there', async () => {
    const environment = await createEnvironment()
    await createFlag('a', { clientVisible: true })
    const { key } = await createKey(environment, 'client')
    await warm(environment)
    expect((await evaluate(key, 'a', {})).status).toBe(200)
    await succeed(put(environment, { name: 'x', contextKeys: [CONTEXT_KEY] }, 1))
    await warm(environment)
    expect((await evaluate(key, 'a', {})).status).toBe(400)
  })

  it('are seen by whoever reaches it, and not by others', async () => {
    const [own, other] = [await createEnvironment(), await createEnvironment()]
    const token = await createActor({ role: 'viewer', environments: [own] })
    const { body } = await apiAs(token, 'GET', '/environments')
    expect((field(body, 'environments') as object[]).map((shown) => field(shown, 'key'))).toEqual([own])
    expect((await apiAs(token, 'GET', `/environments/${own}`)).status).toBe(200)
    expect(refusalOf(await apiAs(token, 'GET', `/environments/${other}`))).toEqual([403, 'wrong_environment'])
  })
})

describe('a deleted environment', () => {
  let environment = ''
  let key = ''
  let other = ''

  beforeEach(async () => {
    environment = await createEnvironment()
    other = await createEnvironment()
    await createFlag('a')
    await createFlag('b')
    await createSegment(environment, 'staff', { included: ['ada'] })
    await createSegment(other, 'staff', { included: ['ada'] })
    await configure(environment, 'a', {
      offVariant: 'off',
      rules: [{ id: 'staff', when: { segment: 'staff' }, serve: { variant: 'on' } }],
      prerequisites: [{ flag: 'b', variants: ['on'] }],
    })
    await configure(other, 'a')
    key = (await createKey(environment)).key
    await warm(environment)
    expect((await evaluate(key, 'a', {})).status).toBe(200)
  })

  it('is gone, with all that it held; the others are not', async () => {
    const left = await configurationOf('a', other)
    const head = await auditEnd()
    expect(await succeed(remove(environment))).toMatchObject({ revision: 0 })
    for (const path of ['', '/segments', '/segments/staff', '/keys']) {
      expect((await api('GET', `/environments/${environment}${path}`)).status).toBe(404)
    }
    expect((await api('GET', `/flags/a/environments/${environment}`)).status).toBe(404)
    expect(Object.keys(Object(field((await api('GET', '/flags/a')).body, 'environments')))).toEqual([other])
    for (const table of ['flag_configurations', 'segments', 'keys', 'entity_references']) {
      expect(await rows(`SELECT * FROM ${table} WHERE environment = ?`, environment)).toEqual([])
    }
    expect(await configurationOf('a', other)).toEqual(left)
    expect(await auditAfter(head)).toMatchObject([{ action: 'environment.delete', target_key: environment }])
  })

  it('leaves its history', async () => {
    await succeed(remove(environment))
    const { body } = await api('GET', `/flags/a/history?environment=${environment}`)
    const shown = (field(body, 'revisions') as object[]).filter((entry) => field(entry, 'environment') !== '')
    expect(shown).toMatchObject([
      { revision: 3, differences: [{ kind: 'removed', text: 'deleted' }] },
      { revision: 2 },
      { revision: 1 },
    ])
  })

  it('opens to its keys no more, and KV lets go of it', async () => {
    await succeed(remove(environment))
    await warm(environment)
    expect((await evaluate(key, 'a', {})).status).toBe(401)
    moveClock(60_000)
    await runTick()
    expect(await env.SNAPSHOTS.get(`snapshot:${environment}`)).toBeNull()
    expect(await rows("SELECT * FROM outbox WHERE kind = 'publish'")).toEqual([])
  })

  it('takes no more changes, and a flag may go that only it held', async () => {
    expect(refusalOf(await api('DELETE', '/flags/b', undefined, from(1)))).toEqual([409, 'still_referenced'])
    await succeed(remove(environment))
    expect(refusalOf(await putSegment(environment, 'new'))).toEqual([404, 'not_found'])
    expect(refusalOf(await putConfiguration(environment, 'a', {}, 2))).toEqual([404, 'not_found'])
    const creation = api('POST', `/environments/${environment}/keys`, { kind: 'server', name: 'x' })
    expect(refusalOf(await creation)).toEqual([404, 'not_found'])
    expect(refusalOf(await remove(environment))).toEqual([404, 'not_found'])
    await succeed(api('DELETE', '/flags/b', undefined, from(1)))
  })

  it.each([
    ['without its revision', {}, [428, 'revision_required']],
    ['at an old one', from(7), [412, 'stale']],
  ])('is not deleted %s', async (_, headers, refusal) => {
    const answer = await api('DELETE', `/environments/${environment}`, undefined, headers)
    expect(refusalOf(answer)).toEqual(refusal)
    expect((await evaluate(key, 'a', {})).status).toBe(200)
  })

  it('comes back under its key with nothing of what it was, and its numbers go on', async () => {
    const version = Number(field(await get(environment), 'version'))
    await succeed(remove(environment))
    expect(await succeed(put(environment, { name: 'Anew' }))).toEqual({
      revision: 3,
      environments: { [environment]: { version: version + 2, published: true } },
    })
    expect(await get(environment)).toMatchObject({ name: 'Anew', ...DEFAULTS, revision: 3 })
    expect((await api('GET', `/environments/${environment}/segments`)).body).toMatchObject({ segments: [] })
    expect((await api('GET', `/environments/${environment}/keys`)).body).toEqual({ keys: [] })
    expect(await configurationOf('a', environment)).toMatchObject({
      ...{ enabled: false, offVariant: null, rules: [], prerequisites: [], revision: 4 },
    })
    await warm(environment)
    expect((await evaluate(key, 'a', {})).status).toBe(401)
    const { key: newKey } = await createKey(environment)
    await warm(environment)
    const { body } = await evaluate(newKey, 'a', { targetingKey: 'ada' })
    expect(body).toMatchObject({ reason: 'DISABLED' })
    // The old segment is neither held nor found.
    const naming = { rules: [{ id: 'r', when: { segment: 'staff' }, serve: { variant: 'on' } }] }
    expect(refusalOf(await putConfiguration(environment, 'a', naming, 4))).toEqual([422, 'unknown_reference'])
    expect(await putSegment(environment, 'staff')).toMatchObject({ body: { revision: 3 } })
  })

  it('does not come back by a change that was asked for before', async () => {
    await succeed(put(environment, { name: 'x', protected: true }, 1))
    const asked = await putSegment(environment, 'late', { included: ['x'] })
    const id = String(field(field(asked.body, 'changeRequest'), 'id'))
    await rows('DELETE FROM environments WHERE key = ?', environment)
    const token = await createActor({ role: 'releaser' })
    const approved = await apiAs(token, 'POST', `/change-requests/${id}/approve`, {})
    expect(refusalOf(approved)).toEqual([412, 'stale'])
    expect(await rows("SELECT * FROM segments WHERE key = 'late'")).toEqual([])
  })

  it('is the same to a flag that changes its definition afterwards', async () => {
    await succeed(remove(environment))
    const { environments } = Object(await succeed(putFlag('a', { clientVisible: true }, 1)))
    expect(Object.keys(environments)).toEqual([other])
  })
})
