import { env } from 'cloudflare:workers'
import { sql } from 'drizzle-orm'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Grant } from '../../src/access/actor.ts'
import { type AuditRow, listAudit, sealAudit } from '../../src/ledger/audit.ts'
import { type AuditEntry, commit } from '../../src/ledger/commit.ts'
import { call, fetchApi, refusalOf, serveIdentities } from '../support/access.ts'
import { field, makeRequest, silenceLogs } from '../support/worker.ts'

silenceLogs()
const { join } = serveIdentities()

const START = Date.parse('2026-03-01T12:00:00Z')

async function write(entry: Partial<AuditEntry>, environments: { readonly [environment: string]: number }) {
  const deed: AuditEntry = {
    actor: 'ada@example.com',
    via: 'jwt',
    action: 'flag.save',
    target: { kind: 'flag', key: 'checkout' },
    comment: 'why',
    details: { changed: ['rules'] },
    requestId: 'r1',
    at: START,
    ...entry,
  }
  await commit(env.DB, {
    guards: [],
    writes: [],
    entries: [deed],
    environments: sql`${JSON.stringify(environments)}`,
    receipt: undefined,
    answer: { status: 200, body: {}, shows: [] },
    read: sql`SELECT 1`,
  })
}

beforeAll(async () => {
  await write({}, { production: 7, staging: 8 })
  await write({ at: START + 1_000, target: { kind: 'segment', key: 'beta' } }, { staging: 9 })
  await write({ at: START + 2_000, actor: 'bob@example.com', action: 'flag.delete' }, { production: 8 })
  await write({ at: START + 3_000, action: 'environment.save' }, { test: 1 })
})

/** Only what the tests themselves have written, and not what their members did. */
const UNTIL = 'to=2026-03-02T00:00:00Z'

async function idsOf(query: string, as = 'test-admin') {
  const { status, body } = await call('GET', `/audit?${UNTIL}&${query}`, { as })
  expect(status).toBe(200)
  const rows = field(body, 'entries')
  return Array.isArray(rows) ? rows.map((row) => field(row, 'id')) : rows
}

async function exported(query: string): Promise<Response> {
  const headers = { authorization: 'Bearer test-admin' }
  return fetchApi(makeRequest(`/api/v1/audit/export?${query}`, { method: 'GET', headers }))
}

describe('the audit', () => {
  it('is shown whole', async () => {
    const { body } = await call('GET', `/audit?${UNTIL}&limit=1`)
    expect(body).toEqual({
      entries: [
        {
          id: 4,
          at: START + 3_000,
          actor: 'ada@example.com',
          via: 'jwt',
          action: 'environment.save',
          targetKind: 'flag',
          targetKey: 'checkout',
          environments: { test: 1 },
          comment: 'why',
          details: { changed: ['rules'] },
          requestId: 'r1',
          hash: null,
        },
      ],
      nextCursor: expect.any(String),
    })
  })

  it.each<[string, readonly number[]]>([
    ['', [4, 3, 2, 1]],
    ['actor=bob%40example.com', [3]],
    ['action=flag.save', [2, 1]],
    ['targetKind=segment', [2]],
    ['targetKey=checkout', [4, 3, 1]],
    ['environment=staging', [2, 1]],
    ['from=2026-03-01T12:00:01Z', [4, 3, 2]],
    ['from=2026-03-01T13:00:01%2B01:00', [4, 3, 2]],
    ['actor=ada%40example.com&environment=production', [1]],
    ['actor=nobody', []],
  ])('is narrowed by %j, and exported alike', async (query, expected) => {
    expect(await idsOf(query)).toEqual(expected)
    const response = await exported(`${UNTIL}&${query}`)
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/x-ndjson'])
    const lines: AuditRow[] = new TextDecoder()
      .decode(await response.arrayBuffer())
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line))
    expect(lines.map(({ id }) => id)).toEqual(expected.toReversed())
    const whole = await listAudit(env.DB, {}, 200, undefined)
    for (const line of lines) expect(line).toEqual(whole.find(({ id }) => id === line.id))
  })

  it('ends before an instant', async () => {
    const { body } = await call('GET', '/audit?to=2026-03-01T12:00:01Z')
    expect(Reflect.get(Object(field(body, 'entries')), 'length')).toBe(1)
  })

  it('comes a part at a time', async () => {
    const first = (await call('GET', `/audit?${UNTIL}&limit=3`)).body
    const cursor = String(field(first, 'nextCursor'))
    expect(await idsOf(`limit=3&cursor=${cursor}`)).toEqual([1])
    expect(await idsOf('limit=4')).toEqual([4, 3, 2, 1])
  })

  it.each([
    'limit=0',
    'cursor=x',
    'from=yesterday',
    'to=2026-03-01',
    'from=1772366400000',
    'environment=Production',
    'actor=',
  ])('is not had with %s', async (query) => {
    expect(refusalOf(await call('GET', `/audit?${query}`))).toEqual([400, 'malformed'])
  })
})

describe('who may read the audit', () => {
  it.each<[Grant['role'], Grant['environments'], string, readonly number[] | readonly [number, string]]>([
    ['viewer', null, '', [4, 3, 2, 1]],
    ['viewer', null, 'environment=test', [4]],
    ['viewer', ['staging'], 'environment=staging', [2, 1]],
    ['admin', ['staging', 'test'], 'environment=test', [4]],
    ['admin', ['staging'], '', [403, 'wrong_environment']],
    ['admin', ['staging'], 'environment=production', [403, 'wrong_environment']],
    ['admin', [], '', [403, 'wrong_environment']],
  ])('for a %s in %j with %j', async (role, environments, query, expected) => {
    const { jwt } = await join(role, environments)
    const answer = await call('GET', `/audit?${UNTIL}&${query}`, { as: jwt })
    if (answer.status !== 200) expect(refusalOf(answer)).toEqual(expected)
    else expect(await idsOf(query, jwt)).toEqual(expected)
  })

  it('sees of other environments not even that they were touched', async () => {
    const { jwt } = await join('viewer', ['staging', 'elsewhere'])
    const { body } = await call('GET', '/audit?environment=staging&to=2026-03-01T12:00:01Z', { as: jwt })
    expect(field(Reflect.get(Object(field(body, 'entries')), 0), 'environments')).toEqual({ staging: 8 })
  })

  it.each<[Grant['role'], Grant['environments'], readonly (readonly [number, string] | number)[]]>([
    ['admin', null, [200, 200]],
    [
      'admin',
      ['staging'],
      [
        [403, 'wrong_environment'],
        [403, 'wrong_environment'],
      ],
    ],
    ['releaser', null, [[403, 'forbidden'], 200]],
    [
      'viewer',
      ['staging'],
      [
        [403, 'forbidden'],
        [403, 'wrong_environment'],
      ],
    ],
  ])('for a %s in %j: to export and to verify it is %j', async (role, environments, expected) => {
    const { jwt } = await join(role, environments)
    const headers = { authorization: `Bearer ${jwt}` }
    const request = (path: string) => makeRequest(`/api/v1/audit${path}`, { method: 'GET', headers })
    const outcomes = []
    for (const path of ['/export?environment=staging', '/verify']) {
      const response = await fetchApi(request(path))
      if (response.status === 200) await response.arrayBuffer()
      const body = response.status === 200 ? null : await response.json()
      const { status, headers: answered } = response
      outcomes.push(status === 200 ? 200 : refusalOf({ status, headers: answered, body }))
    }
    expect(outcomes).toEqual(expected)
  })
})

describe('the chain', () => {
  it('is verified, and held to what was written down', async () => {
    const head = await sealAudit(env.DB)
    await write({}, {})
    const sealed = head?.id
    const expected = { sealed, unsealed: 1, broken: null, head }
    expect((await call('GET', '/audit/verify')).body).toEqual(expected)
    expect((await call('GET', `/audit/verify?anchor=${head?.id}:${head?.hash}`)).body).toEqual(expected)
    const { body } = await call('GET', `/audit/verify?anchor=1:${head?.hash}`)
    expect(body).toEqual({ sealed: 0, unsealed: 0, broken: { id: 1, reason: 'hash' }, head: null })
  })

  it.each(['1', '1:', ':', `0:${'0'.repeat(64)}`, `1:${'0'.repeat(63)}`, `1:${'G'.repeat(64)}`, '1:0:0'])(
    'is held to nothing else: %s',
    async (anchor) => {
      expect(refusalOf(await call('GET', `/audit/verify?anchor=${anchor}`))).toEqual([400, 'malformed'])
    },
  )
})
