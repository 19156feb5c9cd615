// Every management route, held to what all of them promise. What a route is for is tested with its room.
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { includesRole, ROLES } from '../../src/access/actor.ts'
import { BINDINGS, refusalOf, serveIdentities } from '../support/access.ts'
import { readTables, type Tables, writeTables } from '../support/tables.ts'
import { codesOf, faultsOf, OPERATIONS, type Operation, parametersOf } from './document.ts'
import {
  createFixture,
  ELSEWHERE,
  ENVIRONMENTS,
  EXPIRED_TOKEN,
  type Fixture,
  OWN,
  protect,
  REVOKED_TOKEN,
  UNKNOWN_TOKEN,
} from './fixture.ts'
import { joinAll, type Oddities, type People, type Reply, send, withoutDatabase } from './requests.ts'
import { type Ask, CASES, type RouteCase } from './route-cases.ts'

const identities = serveIdentities()
let fixture: Fixture
let people: People
let stranger: string
let tables: Tables

beforeAll(async () => {
  fixture = await createFixture()
  people = await joinAll(identities)
  stranger = await identities.jwtOf('stranger@example.com')
  tables = await readTables()
})

/** A way to be refused: what it is called, the answer, and the request. */
type Row = readonly [
  name: string,
  status: number,
  code: string,
  how: () => { readonly as: string | undefined; readonly ask?: Partial<Ask> } & Oddities,
]

const admin = () => people.admin.everywhere

const whoRows: readonly Row[] = [
  ['nobody', 401, 'unauthorized', () => ({ as: undefined })],
  ['a token that nobody has issued', 401, 'unauthorized', () => ({ as: UNKNOWN_TOKEN })],
  ['a token that was revoked', 401, 'unauthorized', () => ({ as: REVOKED_TOKEN })],
  ['a token that has expired', 401, 'expired', () => ({ as: EXPIRED_TOKEN })],
  ['somebody who is no member', 403, 'no_member', () => ({ as: stranger })],
]

function roleRows({ role }: RouteCase): readonly Row[] {
  return ROLES.filter((lower) => !includesRole(lower, role)).map((lower) => [
    `a ${lower}`,
    403,
    'forbidden',
    () => ({ as: people[lower].everywhere }),
  ])
}

function elsewhereRows({ elsewhere, ask }: RouteCase): readonly Row[] {
  if (!elsewhere) return []
  const how = () => ({ as: people.admin.limited, ask: ask(ELSEWHERE, fixture) })
  return [['somebody who does not reach the environment', ...elsewhere, how]]
}

function bodyRows({ requestBody }: Operation, route: RouteCase): readonly Row[] {
  if (!requestBody) return []
  const { maxBytes = 4 * 1024 * 1024, unknownField = [400, 'malformed'], ask } = route
  const tooLong = String(maxBytes + 1)
  const withMore = () => ({ json: { ...ask(OWN, fixture).json, unheardOf: 1 } })
  return [
    ['JSON that ends too soon', 400, 'malformed', () => ({ as: admin(), body: '{"comment":"' })],
    ['JSON that is no object', 400, 'malformed', () => ({ as: admin(), body: '[]' })],
    ['a form', 415, 'malformed', () => ({ as: admin(), headers: { 'content-type': 'text/plain' } })],
    ['a field that is not known', ...unknownField, () => ({ as: admin(), ask: withMore() })],
    [
      'a body that is too large',
      413,
      'too_large',
      () => ({ as: admin(), headers: { 'content-length': tooLong } }),
    ],
  ]
}

function revisionRows(operation: Operation): readonly Row[] {
  if (!parametersOf(operation, 'header').includes('if-match')) return []
  return [
    [
      'a change that does not say what it was made from',
      428,
      'revision_required',
      () => ({ as: admin(), ask: { revision: undefined } }),
    ],
    ['a change of what has changed since', 412, 'stale', () => ({ as: admin(), ask: { revision: 99 } })],
  ]
}

function nameRows(operation: Operation, { ask, unknown = {} }: RouteCase): readonly Row[] {
  return parametersOf(operation, 'path').map((name) => {
    // As a member is named: an e-mail.
    const value = operation.path.includes('/members/') ? 'nobody@example.com' : 'nowhere'
    const path = () => ({ ...ask(OWN, fixture).path, [name]: value })
    const how = () => ({ as: admin(), ask: { path: path(), revision: 7 } })
    const [status, code] = unknown[name] ?? [404, 'not_found']
    return [`a ${name} that there is not`, status, code, how]
  })
}

function idempotencyRows(operation: Operation): readonly Row[] {
  if (!parametersOf(operation, 'header').includes('Idempotency-Key')) return []
  const how = () => ({ as: admin(), headers: { 'idempotency-key': 'guessed' } })
  return [['an Idempotency-Key that can be guessed', 400, 'malformed', how]]
}

function databaseRows({ needsNoDatabase = false }: RouteCase): readonly Row[] {
  const bindings = withoutDatabase(BINDINGS)
  if (needsNoDatabase) return []
  return [['everybody while the database is down', 500, 'internal', () => ({ as: 'test-admin', bindings })]]
}

const rowsOf = (operation: Operation, route: RouteCase): readonly Row[] => [
  ...whoRows,
  ...roleRows(route),
  ...elsewhereRows(route),
  ...bodyRows(operation, route),
  ...revisionRows(operation),
  ...nameRows(operation, route),
  ...idempotencyRows(operation),
  ...databaseRows(route),
]

/** Holds a refusal to the one shape, and to what the document says of the route. */
function expectRefusal(operation: Operation, { status, type, headers, body }: Reply): void {
  expect(faultsOf(operation, status, type, body)).toEqual([])
  expect(body).toMatchObject({
    error: {
      code: expect.stringMatching(/^[a-z_]+$/),
      message: expect.stringMatching(/^\P{C}+$/u),
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    },
  })
  expect(headers.get('etag')).toBeNull()
  const [, code] = refusalOf({ status, headers, body })
  expect(codesOf(operation, status)).toContain(code)
}

it('has a valid request for every route of the document, and for no other', () => {
  expect(Object.keys(CASES).sort()).toEqual(OPERATIONS.map(({ route }) => route).sort())
})

describe.each(OPERATIONS.map((operation) => [operation.route, operation] as const))(
  '%s',
  (name, operation) => {
    const route = CASES[name]
    if (!route) return
    const changes = operation.method !== 'GET' && !('x-changes-nothing' in operation)

    it.each([
      ['nothing', []],
      ['everything', ENVIRONMENTS],
    ])('answers what the document says where %s is protected', async (_, guarded) => {
      await protect(...guarded)
      await route.prepare?.()
      const waits = guarded.length > 0 && '202' in operation.responses
      const before = await readTables()
      try {
        const { status, type, body } = await send(operation, route.ask(OWN, fixture), admin())
        expect([status, faultsOf(operation, status, type, body)]).toEqual([
          waits ? 202 : (route.status ?? 200),
          [],
        ])
        const after = await readTables()
        if (changes) expect(after).not.toEqual(before)
        else expect(after).toEqual(before)
      } finally {
        await writeTables(tables)
      }
    })

    it.each(rowsOf(operation, route))('refuses %s: %i %s', async (_, status, code, how) => {
      const log = vi.spyOn(console, 'error').mockImplementation(() => {})
      const { as, ask = {}, ...oddities } = how()
      const own = route.ask(OWN, fixture)
      const asked = { ...own, ...ask, ...(own.revision === undefined ? { revision: undefined } : {}) }
      const reply = await send(operation, asked, as, oddities)
      const told = log.mock.calls.map((call) => JSON.stringify(call))
      log.mockRestore()
      expect(refusalOf(reply)).toEqual([status, code])
      expectRefusal(operation, reply)
      expect(await readTables()).toEqual(tables)
      expect(told).toEqual(status === 500 ? [expect.stringContaining('secret_column')] : [])
      expect(JSON.stringify(reply.body)).not.toContain('secret')
    })

    if (route.elsewhere) return
    it('shows nothing of an environment that one does not reach', async () => {
      const { status, body } = await send(operation, route.ask(OWN, fixture), people.admin.limited)
      expect(status).toBe(200)
      expect(JSON.stringify(body)).not.toContain(ELSEWHERE)
    })
  },
)

describe('bodies', () => {
  const MIB = 1024 * 1024

  /** A body that does not say how long it is. */
  const streamOf = (bytes: number) => new Blob([new Uint8Array(bytes).fill(0x20)]).stream()

  it.each([
    ['PUT /api/v1/flags/{flag}', 4 * MIB, [400, 'malformed']],
    ['PUT /api/v1/flags/{flag}', 4 * MIB + 1, [413, 'too_large']],
    ['POST /api/v1/import', 4 * MIB + 1, [400, 'malformed']],
  ])('are counted while they are read: %s, %i bytes', async (name, bytes, refusal) => {
    const operation = OPERATIONS.find(({ route }) => route === name)
    const route = CASES[name]
    if (!operation || !route) throw new Error(`no ${name}`)
    const reply = await send(operation, route.ask(OWN, fixture), admin(), { body: streamOf(bytes) })
    expect(refusalOf(reply)).toEqual(refusal)
  })
})
