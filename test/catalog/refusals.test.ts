import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Problem } from '../../src/engine/problem.ts'
import {
  archive,
  changed,
  deleteEnvironment,
  deleteFlag,
  deleteSegment,
  needing,
  OK,
  serving,
  splitting,
  status,
  within,
} from '../support/catalog.ts'
import { dump, emptyDatabase, rows } from '../support/database.ts'
import {
  type Answer,
  api,
  ask,
  configure,
  createEnvironment,
  createFlag,
  createSegment,
  field,
  from,
  ON_OFF,
  putConfiguration,
  putFlag,
  putSegment,
  silenceLogs,
  uniqueName,
} from '../support/worker.ts'

let environment = ''

/** A deployment with one environment and nothing else. */
async function setUp(): Promise<void> {
  await emptyDatabase()
  environment = await createEnvironment()
}

silenceLogs()

afterEach(async () => {
  expect(await rows('SELECT * FROM guard')).toEqual([])
})

/** Flags that need each other, c → b → a, and segments that name each other, u → t → s. */
async function setUpReferences(): Promise<void> {
  await setUp()
  await createFlag('a')
  await createFlag('b')
  await createFlag('c')
  await createSegment(environment, 's')
  await createSegment(environment, 't', within('s'))
  await createSegment(environment, 'u', within('t'))
  await configure(environment, 'b', needing('a', 'off'), 1)
  await configure(environment, 'c', needing('b'), 1)
  await createFlag('old')
  await archive('old', 1)
  await createFlag('split')
  await configure(environment, 'split', splitting(1, 1), 1)
  await createEnvironment()
}

describe('a change that is refused', () => {
  // Each leaves no trace, so that one deployment is enough for all of them.
  beforeAll(setUpReferences)

  const REFUSED: readonly (readonly [
    name: string,
    code: number,
    reason: string,
    act: () => Promise<Answer>,
  ])[] = [
    ['of an older revision', 412, 'stale', () => putConfiguration(environment, 'b', {}, 1)],
    ['of a revision that is still to come', 412, 'stale', () => putConfiguration(environment, 'b', {}, 3)],
    ['of a definition of an older revision', 412, 'stale', () => putFlag('a', {}, 2)],
    ['of a segment of an older revision', 412, 'stale', () => putSegment(environment, 's', {}, 2)],
    ['to make a flag that there is', 412, 'stale', () => putFlag('a')],
    ['to make a configuration that there is', 412, 'stale', () => putConfiguration(environment, 'a', {}, 0)],
    ['to make a segment that there is', 412, 'stale', () => putSegment(environment, 's')],
    [
      'to make an environment that there is',
      412,
      'stale',
      () => api('PUT', `/environments/${environment}`, { name: 'x' }, from(0)),
    ],
    [
      'of an environment of an older revision',
      412,
      'stale',
      () => api('PUT', `/environments/${environment}`, { name: 'x' }, from(2)),
    ],
    [
      'of an environment that does not exist',
      412,
      'stale',
      () => api('PUT', '/environments/nowhere', { name: 'x' }, from(1)),
    ],
    [
      'to copy an environment that does not exist',
      404,
      'not_found',
      () => api('PUT', '/environments/new', { name: 'x', copyFrom: 'nowhere' }, from(0)),
    ],
    [
      'of an environment, without saying what it was made from',
      428,
      'revision_required',
      () => api('PUT', `/environments/${environment}`, { name: 'x' }),
    ],
    ['to delete an environment of an older revision', 412, 'stale', () => deleteEnvironment(environment, 2)],
    [
      'to delete an environment without saying what it was made from',
      428,
      'revision_required',
      () => api('DELETE', `/environments/${environment}`),
    ],
    ['to delete an environment that does not exist', 404, 'not_found', () => deleteEnvironment('nowhere')],
    ['to archive a flag of an older revision', 412, 'stale', () => archive('a', 2)],
    ['to archive a flag that another needs', 409, 'still_referenced', () => archive('a', 1)],
    ['to archive a flag that is archived', 409, 'archived', () => archive('old', 2)],
    ['to bring back a flag that is not archived', 412, 'stale', () => archive('a', 1, 'unarchive')],
    [
      'to configure a flag that is archived',
      409,
      'archived',
      () => putConfiguration(environment, 'old', {}, 1),
    ],
    [
      'to need a flag that is archived',
      422,
      'unknown_reference',
      () => putConfiguration(environment, 'a', needing('old'), 1),
    ],
    [
      'to need a variant that the flag does not have',
      422,
      'unknown_variant',
      () => putConfiguration(environment, 'a', needing('split', 'maybe'), 1),
    ],
    [
      'to take away a variant that another flag needs',
      422,
      'unknown_variant',
      () => putFlag('a', { variants: ON_OFF.slice(0, 1) }, 1),
    ],
    [
      'to give units another variant',
      409,
      'moves_units',
      () => putConfiguration(environment, 'split', splitting(1, 3), 2),
    ],
    [
      'of a seed',
      422,
      'invalid',
      () => putConfiguration(environment, 'split', { ...splitting(1, 1, 'mine'), allowMoves: true }, 2),
    ],
    [
      'of the type of a flag that is on',
      422,
      'invalid',
      () => putFlag('b', { type: 'string', variants: [{ name: 'on', value: 'x' }] }, 1),
    ],
    [
      'in an emergency, of more than the switch',
      422,
      'not_only_off',
      () =>
        api(
          'PATCH',
          `/flags/b/environments/${environment}`,
          { enabled: false, offVariant: 'off', emergency: true },
          from(2),
        ),
    ],
    [
      'in the past',
      422,
      'in_the_past',
      () => putFlag('a', { description: 'x', applyAt: '2020-01-01T00:00:00Z' }, 1),
    ],
    [
      'with a field inside that is not known',
      422,
      'invalid',
      () => putConfiguration(environment, 'a', { fallthrough: { variant: 'on', colour: 'red' } }, 1),
    ],
    ['to delete a flag of an older revision', 412, 'stale', () => deleteFlag('c', 2)],
    ['to delete a segment of an older revision', 412, 'stale', () => deleteSegment(environment, 'u', 2)],
    [
      'to name a segment that does not exist',
      422,
      'unknown_reference',
      () => putConfiguration(environment, 'a', serving('x'), 1),
    ],
    [
      'of a segment, to name one that does not exist',
      422,
      'unknown_reference',
      () => putSegment(environment, 's', within('x'), 1),
    ],
    [
      'to need a flag that does not exist',
      422,
      'unknown_reference',
      () => putConfiguration(environment, 'a', needing('x'), 1),
    ],
    ['to need itself', 422, 'reference_cycle', () => putConfiguration(environment, 'a', needing('a'), 1)],
    [
      'to need what needs it',
      422,
      'reference_cycle',
      () => putConfiguration(environment, 'a', needing('b'), 1),
    ],
    [
      'to need what needs it in the end',
      422,
      'reference_cycle',
      () => putConfiguration(environment, 'a', needing('c'), 1),
    ],
    [
      'of a segment, to name itself',
      422,
      'reference_cycle',
      () => putSegment(environment, 's', within('s'), 1),
    ],
    [
      'of a segment, to name what names it',
      422,
      'reference_cycle',
      () => putSegment(environment, 's', within('t'), 1),
    ],
    [
      'of a segment, to name what names it in the end',
      422,
      'reference_cycle',
      () => putSegment(environment, 's', within('u'), 1),
    ],
    ['to delete a flag that another needs', 409, 'still_referenced', () => deleteFlag('a', 1)],
    [
      'to delete a segment that another names',
      409,
      'still_referenced',
      () => deleteSegment(environment, 's', 1),
    ],
    [
      'to serve a variant that does not exist',
      422,
      'invalid',
      () => putConfiguration(environment, 'a', { fallthrough: { variant: 'x' } }, 1),
    ],
    [
      'to take away a variant that is served',
      422,
      'invalid',
      () => putFlag('c', { variants: [{ name: 'off', value: false }] }, 1),
    ],
    ['of a flag that does not exist', 404, 'not_found', () => putConfiguration(environment, 'x', {}, 1)],
    [
      'in an environment that does not exist',
      404,
      'not_found',
      () => putConfiguration('nowhere', 'a', {}, 0),
    ],
    [
      'of a segment in an environment that does not exist',
      404,
      'not_found',
      () => putSegment('nowhere', 's'),
    ],
    [
      'to make a key where there is no environment',
      404,
      'not_found',
      () => api('POST', '/environments/nowhere/keys', { kind: 'server', name: 'x' }),
    ],
    ['to delete a flag that does not exist', 404, 'not_found', () => deleteFlag('x', 1)],
    ['to delete a segment that does not exist', 404, 'not_found', () => deleteSegment(environment, 'x', 1)],
    ['to delete a segment that was never there', 404, 'not_found', () => deleteSegment(environment, 'x', 0)],
    [
      'to revoke a key that does not exist',
      404,
      'not_found',
      () => api('DELETE', `/environments/${environment}/keys/x`),
    ],
    [
      'without saying what it was made from',
      428,
      'revision_required',
      () => api('PUT', '/flags/a', { type: 'boolean', variants: ON_OFF }),
    ],
    [
      'to delete without saying what it was made from',
      428,
      'revision_required',
      () => api('DELETE', '/flags/c'),
    ],
    [
      'of a revision that is none',
      428,
      'revision_required',
      () => api('PUT', '/flags/a', { type: 'boolean', variants: ON_OFF }, { 'if-match': '*' }),
    ],
    ['with a member that is not known', 400, 'malformed', () => putFlag('d', { colour: 'red' })],
    ['without what it must have', 400, 'malformed', () => api('PUT', '/flags/d', {}, from(0))],
    ['of a key that no flag can have', 400, 'malformed', () => putFlag('x'.repeat(201))],
    [
      'of a name that no environment can have',
      400,
      'malformed',
      () => api('PUT', '/environments/Production', { name: 'x' }, from(0)),
    ],
    [
      'in JSON that breaks off',
      400,
      'malformed',
      () =>
        ask('/api/v1/flags/d', {
          method: 'PUT',
          body: '{"type":',
          headers: { authorization: 'Bearer test-admin', 'content-type': 'application/json', ...from(0) },
        }),
    ],
    [
      'in another content type',
      415,
      'malformed',
      () =>
        ask('/api/v1/flags/d', {
          method: 'PUT',
          body: 'type=boolean',
          headers: { authorization: 'Bearer test-admin', 'content-type': 'text/plain', ...from(0) },
        }),
    ],
    [
      'by nobody',
      401,
      'unauthorized',
      () =>
        ask('/api/v1/flags/d', {
          method: 'PUT',
          json: { type: 'boolean', variants: ON_OFF },
          headers: from(0),
        }),
    ],
    [
      'at a place that is none',
      404,
      'not_found',
      () => api('PUT', '/flag/d', { type: 'boolean', variants: ON_OFF }),
    ],
  ]

  it.each(REFUSED)('%s, is %d %s and leaves no trace', async (_, code, reason, act) => {
    const before = await dump()
    const { status, body } = await act()
    expect({ status, body }).toEqual({
      status: code,
      body: {
        error: {
          code: reason,
          message: expect.stringMatching(/^[^A-Z]/),
          requestId: expect.any(String),
          ...(reason === 'invalid' || (reason === 'malformed' && 'details' in Object(field(body, 'error')))
            ? { details: expect.any(Array) }
            : {}),
          ...(reason === 'moves_units'
            ? { details: expect.objectContaining({ moved: expect.any(Object) }) }
            : {}),
        },
      },
    })
    expect(await dump()).toEqual(before)
  })

  it('to move units says how many, and which', async () => {
    const { body } = await putConfiguration(environment, 'split', splitting(1, 3), 2)
    const { message, details } = Object(field(body, 'error'))
    expect(message).toBe('25.0 % of the units would get another variant: say allowMoves if they may')
    expect(details).toMatchObject({
      changed: { share: 0.25, exact: true },
      moved: { share: 0.25, exact: true },
      splits: [{ place: 'fallthrough', moved: 0.25, transitions: [{ from: 'on', to: 'off', share: 0.25 }] }],
    })
    const before = await rows('SELECT version FROM environments WHERE key = ?', environment)
    const answer = await putConfiguration(environment, 'split', { ...splitting(1, 3), allowMoves: true }, 2)
    expect(answer.body).toEqual(changed(3, environment, Number(field(before[0], 'version')) + 1))
    await configure(environment, 'split', { ...splitting(1, 1), allowMoves: true }, 3)
  })

  it('to move units is refused where nothing that was tried reaches the place', async () => {
    const key = uniqueName('shadowed')
    const is = (value: string) => ({ attribute: 'x', op: 'equals', values: [value] })
    const rules = (on: number) => {
      const { split } = splitting(on, 10 - on).fallthrough
      return { rules: [{ id: 'nobody', when: { all: [is('a'), is('b')] }, serve: { split } }] }
    }
    await createFlag(key)
    await configure(environment, key, rules(5))
    const { status, body } = await putConfiguration(environment, key, rules(6), 2)
    const { code, message, details } = Object(field(body, 'error'))
    expect([status, code]).toEqual([409, 'moves_units'])
    expect(message).toBe('some units would get another variant: say allowMoves if they may')
    expect(details).toMatchObject({
      moved: { share: 0 },
      splits: [{ place: { rule: 'nobody' }, moved: 0.1 }],
    })
    expect((await putConfiguration(environment, key, { ...rules(6), allowMoves: true }, 2)).status).toBe(200)
  })

  it.each<[string, readonly Problem[], () => Promise<Answer>]>([
    [
      'a seed that it changes',
      [
        {
          path: 'fallthrough.split.seed',
          rule: 'seed_changed',
          message: 'must stay "kept", or units would move',
        },
      ],
      async () => {
        const key = uniqueName('seeded')
        await createFlag(key)
        await configure(environment, key, splitting(1, 1, 'kept'))
        return putConfiguration(environment, key, splitting(1, 1, 'other'), 2)
      },
    ],
    [
      'a type that it changes under somebody',
      [{ path: 'type', rule: 'type_changed', message: 'must stay boolean: variants are live in here' }],
      () => putFlag('b', { type: 'string', variants: [{ name: 'on', value: 'x' }] }, 1),
    ],
  ])('for %s says where and why', async (_, problems, act) => {
    const { status, body } = await act()
    const here = problems.map(({ message, ...rest }) => ({
      ...rest,
      message: message.replace('live in here', `live in ${environment}`),
    }))
    expect([status, field(field(body, 'error'), 'details')]).toEqual([422, here])
  })
})

describe('a change that names others', () => {
  beforeEach(setUpReferences)

  it('and is not valid is told where and why', async () => {
    const { body } = await putConfiguration(
      environment,
      'a',
      { fallthrough: { variant: 'x' }, targets: [{ variant: 'on', units: [1] }] },
      1,
    )
    expect(field(field(body, 'error'), 'details')).toEqual([
      { path: 'targets[0].units[0]', rule: 'type', message: 'must be a text that is not empty' },
      { path: 'fallthrough.variant', rule: 'unknown_variant', message: 'the flag has no variant "x"' },
    ])
  })

  it.each([
    ['"1"', 200],
    ['1', 200],
    ['W/"1"', 200],
    ['"2"', 412],
    ['"1", "2"', 428],
    ['', 428],
    ['one', 428],
  ])('is made from what If-Match says: %s is %d', async (revision, expected) => {
    const answer = await api(
      'PUT',
      '/flags/a',
      { type: 'boolean', variants: ON_OFF },
      { 'if-match': revision },
    )
    expect(answer.status).toBe(expected)
  })

  it('away is taken once nobody names that any more', async () => {
    await configure(environment, 'b', {}, 2)
    expect((await deleteFlag('a', 1)).status).toBe(200)
    await putSegment(environment, 't', {}, 1)
    expect((await deleteSegment(environment, 's', 1)).status).toBe(200)
  })

  it('must find them in its own environment', async () => {
    const other = await createEnvironment()
    expect(status(await putConfiguration(other, 'a', serving('s')))).toEqual([422, 'unknown_reference'])
    expect(status(await putSegment(other, 'x', within('s')))).toEqual([422, 'unknown_reference'])
    expect(status(await putConfiguration(other, 'a', needing('b')))).toEqual(OK)
  })
})

describe('what leads on', () => {
  const MAX = 10

  beforeEach(setUp)

  const segment = (i: number) => `s${i}`
  /** Segments 0 to n, each within the one before it. */
  async function chain(first: number, last: number): Promise<void> {
    await createSegment(environment, segment(first))
    for (let i = first + 1; i <= last; i++)
      await createSegment(environment, segment(i), within(segment(i - 1)))
  }

  it('may lead through ten others and no more', async () => {
    await chain(0, MAX)
    const before = await dump()
    expect(status(await putSegment(environment, segment(MAX + 1), within(segment(MAX))))).toEqual([
      422,
      'nested_too_deep',
    ])
    expect(await dump()).toEqual(before)
    await createFlag('a')
    expect(status(await putConfiguration(environment, 'a', serving(segment(MAX))))).toEqual([
      422,
      'nested_too_deep',
    ])
    expect(status(await putConfiguration(environment, 'a', serving(segment(MAX - 1))))).toEqual(OK)
  })

  it.each([
    [5, 4, OK],
    [5, 5, [422, 'nested_too_deep']],
  ])('counts what is joined in the middle: %d below and %d above', async (below, above, expected) => {
    await chain(0, below)
    await chain(20, 20 + above)
    expect(status(await putSegment(environment, segment(20), within(segment(below)), 1))).toEqual(expected)
  })

  it('counts prerequisites as it counts segments', async () => {
    for (let i = 0; i <= MAX; i++) await createFlag(`f${i}`)
    for (let i = 1; i < MAX; i++) await configure(environment, `f${i}`, needing(`f${i - 1}`))
    expect(status(await putConfiguration(environment, 'f10', needing('f9')))).toEqual(OK)
    await createSegment(environment, 's')
    expect(status(await putConfiguration(environment, 'f0', serving('s')))).toEqual([422, 'nested_too_deep'])
  })
})
