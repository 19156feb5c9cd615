import { env } from 'cloudflare:workers'
import { sql } from 'drizzle-orm'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  type AuditFilter,
  type AuditRow,
  type ChainHead,
  exportAudit,
  hashRow,
  listAudit,
  sealAudit,
  verifyAudit,
} from '../../src/ledger/audit.ts'
import { type AuditEntry, commit } from '../../src/ledger/commit.ts'
import { override } from '../support/worker.ts'

const NOW = 1_772_366_400_000
const TRIGGERS = ['audit_rows_stay', 'audit_rows_are_sealed_once']

async function triggerTexts(): Promise<readonly string[]> {
  const { results } = await env.DB.prepare(
    "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit' ORDER BY name",
  ).all<{ sql: string }>()
  return results.map((row) => row.sql)
}

/** Does to the audit what only somebody with the database in their hands can do. */
async function tamper(...statements: readonly string[]): Promise<void> {
  const triggers = await triggerTexts()
  await env.DB.batch(
    [...TRIGGERS.map((name) => `DROP TRIGGER ${name}`), ...statements, ...triggers].map((text) =>
      env.DB.prepare(text),
    ),
  )
}

beforeEach(async () => {
  await tamper('DELETE FROM audit', "DELETE FROM sqlite_sequence WHERE name = 'audit'")
})

function makeEntry(overrides: Partial<AuditEntry> = {}): AuditEntry {
  return {
    actor: 'ada@example.com',
    via: 'jwt',
    action: 'flag.save',
    target: { kind: 'flag', key: 'checkout' },
    comment: 'why',
    details: { before: 'ü"\n', 10: 'ten', 9: [1.5, null] },
    requestId: 'r1',
    at: NOW,
    ...overrides,
  }
}

/** Writes entries as changes do. */
async function write(
  entries: readonly Partial<AuditEntry>[],
  environments: { readonly [environment: string]: number } = { production: 7, staging: 8 },
): Promise<void> {
  const result = await commit(env.DB, {
    guards: [],
    writes: [],
    entries: entries.map(makeEntry),
    environments: sql`${JSON.stringify(environments)}`,
    receipt: undefined,
    answer: { status: 200, body: {}, shows: [] },
    read: sql`SELECT 1`,
  })
  expect(result.ok).toBe(true)
}

const writeRows = (count: number) =>
  env.DB.prepare(
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
    INSERT INTO audit (at, actor, via, action, target_kind, target_key, environments, comment, details, request_id)
    SELECT ? + i, 'ada', 'jwt', 'flag.save', 'flag', 'f' || i, '{}', '', '{}', 'r' || i FROM n WHERE i <= ?`,
  )
    .bind(count, NOW, count)
    .run()

async function rowAt(id: number): Promise<AuditRow> {
  const [row] = await listAudit(env.DB, {}, 1, id + 1)
  if (row?.id !== id) throw new Error(`there is no row ${id}`)
  return row
}

/** A chain of so many rows, all sealed. */
async function sealedChain(length: number): Promise<ChainHead> {
  await write(Array.from({ length }, (_, i) => ({ requestId: `r${i + 1}`, at: NOW + i })))
  const head = await sealAudit(env.DB)
  if (!head) throw new Error('nothing was sealed')
  return head
}

/** A database that lets something else happen before its nth statement is carried out. */
function interrupted(nth: number, happen: () => Promise<unknown>): D1Database {
  let count = 0
  const before = (statement: D1PreparedStatement): D1PreparedStatement => {
    const run =
      (method: 'raw' | 'all' | 'run') =>
      async (...values: never[]) => {
        if (++count === nth) await happen()
        return Reflect.apply(Reflect.get(statement, method), statement, values)
      }
    return override(statement, {
      bind: (...values: never[]) => before(statement.bind(...values)),
      raw: run('raw'),
      all: run('all'),
      run: run('run'),
    })
  }
  return override(env.DB, { prepare: (text: string) => before(env.DB.prepare(text)) })
}

const digest = async (text: string) =>
  new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))).toHex()

describe('the chain', () => {
  it('is nothing where nothing was done', async () => {
    expect(await sealAudit(env.DB)).toBeNull()
    expect(await verifyAudit(env.DB)).toEqual({ sealed: 0, unsealed: 0, broken: null, head: null })
  })

  it('is made of SHA-256 over the hash before and the row as it is stored', async () => {
    await write([{}, { comment: 'then', details: {} }], { staging: 8, 10: 1, 9: 2 })
    const head = await sealAudit(env.DB)
    const environments = '{"9":2,"10":1,"staging":8}'
    const details = '{"9":[1.5,null],"10":"ten","before":"ü\\"\\n"}'
    const deed = ['ada@example.com', 'jwt', 'flag.save', 'flag', 'checkout', environments]
    const first = await digest(JSON.stringify(['', 1, NOW, ...deed, 'why', details, 'r1']))
    const second = await digest(JSON.stringify([first, 2, NOW, ...deed, 'then', '{}', 'r1']))
    expect((await rowAt(1)).hash).toBe(first)
    expect(head).toEqual({ id: 2, hash: second })
    const { results } = await env.DB.prepare('SELECT environments, details FROM audit').all()
    expect(results).toEqual([
      { environments, details },
      { environments, details: '{}' },
    ])
    expect(await hashRow(first, { ...(await rowAt(2)), environments, details: '{}', hash: null })).toBe(
      second,
    )
  })

  it('holds when it is sealed at once', async () => {
    const head = await sealedChain(5)
    expect(head.id).toBe(5)
    expect(await verifyAudit(env.DB)).toEqual({ sealed: 5, unsealed: 0, broken: null, head })
    expect(await verifyAudit(env.DB, head)).toEqual({ sealed: 5, unsealed: 0, broken: null, head })
  })

  it('goes on where it ended', async () => {
    const first = await sealedChain(2)
    await write([{}, {}, {}])
    expect(await verifyAudit(env.DB, first)).toEqual({ sealed: 2, unsealed: 3, broken: null, head: first })
    const head = await sealAudit(env.DB)
    expect(head?.id).toBe(5)
    expect(await sealAudit(env.DB)).toEqual(head)
    expect(await verifyAudit(env.DB, first)).toEqual({ sealed: 5, unsealed: 0, broken: null, head })
  })

  it.each([999, 1_000, 1_001, 2_000, 2_345])('holds over %d rows', async (count) => {
    await writeRows(count)
    expect(await verifyAudit(env.DB)).toEqual({ sealed: 0, unsealed: count, broken: null, head: null })
    const head = await sealAudit(env.DB)
    expect(head?.id).toBe(count)
    expect(await verifyAudit(env.DB)).toEqual({ sealed: count, unsealed: 0, broken: null, head })
    await tamper(`UPDATE audit SET comment = 'x' WHERE id = ${count}`)
    expect((await verifyAudit(env.DB)).broken).toEqual({ id: count, reason: 'hash' })
  })
})

describe('two that seal at once', () => {
  it('seal alike', async () => {
    await writeRows(1_200)
    const heads = await Promise.all([sealAudit(env.DB), sealAudit(env.DB), sealAudit(env.DB)])
    expect(new Set(heads.map((head) => JSON.stringify(head))).size).toBe(1)
    expect(await verifyAudit(env.DB)).toEqual({ sealed: 1_200, unsealed: 0, broken: null, head: heads[0] })
  })

  it.each([
    ['after it has read where the chain ends', 2],
    ['after it has read what is not sealed', 3],
  ])('keep one chain when the other comes in %s', async (_, nth) => {
    await sealedChain(2)
    await write([{}, {}])
    const other = async () => {
      await sealAudit(env.DB)
      await write([{}])
      await sealAudit(env.DB)
      await write([{}])
    }
    await sealAudit(interrupted(nth, other))
    const head = await sealAudit(env.DB)
    expect(head?.id).toBe(6)
    expect(await verifyAudit(env.DB)).toEqual({ sealed: 6, unsealed: 0, broken: null, head })
  })
})

describe('a walk along the chain', () => {
  it.each([1, 2])('is not disturbed by rows that are added and sealed before its query %d', async (nth) => {
    const head = await sealedChain(2)
    await write([{}])
    const other = async () => {
      await write([{}])
      await sealAudit(env.DB)
      await write([{}])
    }
    const { broken, sealed, unsealed } = await verifyAudit(interrupted(nth, other), head)
    expect({ broken, sealed, unsealed }).toEqual({
      broken: null,
      sealed: nth === 1 ? 4 : 2,
      unsealed: 1,
    })
  })

  it('is not disturbed by sealing between two of its pages', async () => {
    await writeRows(1_500)
    const database = interrupted(3, () => sealAudit(env.DB))
    expect(await verifyAudit(database)).toEqual({ sealed: 0, unsealed: 1_500, broken: null, head: null })
  })
})

describe('what was done to a sealed row is found:', () => {
  it.each([
    ['at', 'at + 1'],
    ['actor', "'eve@example.com'"],
    ['via', "'admin'"],
    ['action', "'flag.delete'"],
    ['target_kind', "'segment'"],
    ['target_key', "'Checkout'"],
    ['environments', `'{"production":7}'`],
    ['environments', `'{"production":6,"production":7,"staging":8}'`],
    ['environments', "''"],
    ['comment', "''"],
    ['comment', "CAST('why' AS BLOB)"],
    ['details', "'{}'"],
    ['details', "details || ' '"],
    ['details', "'no JSON'"],
    ['request_id', "'r4'"],
    ['hash', `'${'0'.repeat(64)}'`],
    ['hash', "''"],
    ['hash', '(SELECT hash FROM audit WHERE id = 4)'],
  ])('%s becomes %s', async (column, value) => {
    await sealedChain(5)
    const { hash } = await rowAt(2)
    await tamper(`UPDATE audit SET ${column} = ${value} WHERE id = 3`)
    expect(await verifyAudit(env.DB)).toEqual({
      sealed: 2,
      unsealed: 0,
      broken: { id: 3, reason: 'hash' },
      head: { id: 2, hash },
    })
  })

  it.each([1, 3, 5])('row %d is deleted', async (id) => {
    await sealedChain(5)
    await tamper(`DELETE FROM audit WHERE id = ${id}`)
    const { sealed, broken } = await verifyAudit(env.DB)
    expect({ sealed, broken }).toEqual({ sealed: id - 1, broken: { id, reason: 'missing' } })
  })

  it('all rows are deleted', async () => {
    await sealedChain(2)
    await tamper('DELETE FROM audit')
    expect((await verifyAudit(env.DB)).broken).toEqual({ id: 1, reason: 'missing' })
  })

  it('the last row is deleted, and that it ever was', async () => {
    const head = await sealedChain(5)
    await tamper('DELETE FROM audit WHERE id = 5', "UPDATE sqlite_sequence SET seq = 4 WHERE name = 'audit'")
    expect((await verifyAudit(env.DB)).broken).toBeNull()
    expect((await verifyAudit(env.DB, head)).broken).toEqual({ id: 5, reason: 'missing' })
  })

  it('a row is changed, and how many there are is denied', async () => {
    await sealedChain(5)
    await tamper(
      "UPDATE audit SET comment = 'x' WHERE id = 4",
      "UPDATE sqlite_sequence SET seq = 2 WHERE name = 'audit'",
    )
    expect((await verifyAudit(env.DB)).broken).toEqual({ id: 4, reason: 'hash' })
  })

  it('two rows change places', async () => {
    await sealedChain(5)
    await tamper(
      'UPDATE audit SET id = 100 WHERE id = 2',
      'UPDATE audit SET id = 2 WHERE id = 3',
      'UPDATE audit SET id = 3 WHERE id = 100',
    )
    expect((await verifyAudit(env.DB)).broken).toEqual({ id: 2, reason: 'hash' })
  })

  it('two rows change all but their places and hashes', async () => {
    await sealedChain(5)
    await tamper(
      "UPDATE audit SET request_id = iif(id = 2, 'r3', 'r2'), at = iif(id = 2, at + 1, at - 1) WHERE id IN (2, 3)",
    )
    expect((await verifyAudit(env.DB)).broken).toEqual({ id: 2, reason: 'hash' })
  })

  it('a row is put in', async () => {
    await sealedChain(3)
    await tamper(
      'UPDATE audit SET id = 4 WHERE id = 3',
      `INSERT INTO audit SELECT 3, at, actor, via, action, target_kind, target_key, environments, comment, details,
        request_id, hash FROM audit WHERE id = 2`,
    )
    expect((await verifyAudit(env.DB)).broken).toEqual({ id: 3, reason: 'hash' })
  })

  it.each([0, -3])('a row is put in before all others, as %d', async (id) => {
    await sealedChain(2)
    await tamper(`INSERT INTO audit SELECT ${id}, at, actor, via, action, target_kind, target_key, environments,
      comment, details, request_id, NULL FROM audit WHERE id = 1`)
    expect((await verifyAudit(env.DB)).broken).toEqual({ id, reason: 'order' })
  })

  it.each([1, 3, 4])('row %d loses its seal', async (id) => {
    await sealedChain(5)
    await tamper(`UPDATE audit SET comment = 'x', hash = NULL WHERE id = ${id}`)
    expect((await verifyAudit(env.DB)).broken).toEqual({ id, reason: 'order' })
    await sealAudit(env.DB)
    expect((await verifyAudit(env.DB)).broken).toEqual({ id, reason: 'order' })
  })
})

describe('what was done to a row before it was sealed is found:', () => {
  it('it is deleted', async () => {
    await write([{}, {}, {}])
    await tamper('DELETE FROM audit WHERE id = 2')
    expect((await verifyAudit(env.DB)).broken).toEqual({ id: 2, reason: 'missing' })
    await sealAudit(env.DB)
    expect((await verifyAudit(env.DB)).broken).toEqual({ id: 2, reason: 'missing' })
  })
})

describe('a chain that was computed anew', () => {
  async function resealed(): Promise<{ readonly anchors: readonly ChainHead[] }> {
    await sealedChain(5)
    const rows = await listAudit(env.DB, {}, 5, undefined)
    const anchors = rows.map(({ id, hash }) => ({ id, hash: hash ?? '' }))
    await tamper('UPDATE audit SET hash = NULL WHERE id >= 3', "UPDATE audit SET comment = 'x' WHERE id = 3")
    return { anchors }
  }

  it('holds in itself, and is found by any head from there on', async () => {
    const { anchors } = await resealed()
    await sealAudit(env.DB)
    expect((await verifyAudit(env.DB)).broken).toBeNull()
    for (const anchor of anchors) {
      const { broken } = await verifyAudit(env.DB, anchor)
      expect(broken).toEqual(anchor.id < 3 ? null : { id: anchor.id, reason: 'hash' })
    }
  })

  it('is found by a head before it is sealed again', async () => {
    const { anchors } = await resealed()
    expect(await verifyAudit(env.DB)).toMatchObject({ sealed: 2, unsealed: 3, broken: null })
    for (const anchor of anchors) {
      const { broken } = await verifyAudit(env.DB, anchor)
      expect(broken).toEqual(anchor.id < 3 ? null : { id: anchor.id, reason: 'hash' })
    }
  })
})

describe('the audit', () => {
  it.each([
    ['at', 'at + 1'],
    ['actor', "'eve'"],
    ['via', "'admin'"],
    ['action', "'flag.delete'"],
    ['target_kind', "'segment'"],
    ['target_key', "'other'"],
    ['environments', "'{}'"],
    ['comment', "''"],
    ['details', "'{}'"],
    ['request_id', "'other'"],
    ['id', 'id + 100'],
  ])('refuses that %s is changed, sealed or not', async (column, value) => {
    await sealedChain(1)
    await write([{}])
    for (const id of [1, 2]) {
      const statement = env.DB.prepare(`UPDATE audit SET ${column} = ${value} WHERE id = ${id}`)
      await expect(statement.run()).rejects.toThrow('audit rows are never changed')
    }
  })

  it.each(["'0'", 'NULL', 'hash'])('refuses that a seal becomes %s', async (value) => {
    await sealedChain(1)
    await expect(env.DB.prepare(`UPDATE audit SET hash = ${value}`).run()).rejects.toThrow(
      'audit rows are never changed',
    )
  })

  it('refuses that rows are deleted, sealed or not', async () => {
    await sealedChain(1)
    await write([{}])
    for (const where of ['id = 1', 'id = 2', 'TRUE']) {
      const statement = env.DB.prepare(`DELETE FROM audit WHERE ${where}`)
      await expect(statement.run()).rejects.toThrow('audit rows are never deleted')
    }
    expect(await listAudit(env.DB, {}, 9, undefined)).toHaveLength(2)
  })
})

async function linesOf(filter: AuditFilter): Promise<unknown[]> {
  const text = await new Response(exportAudit(env.DB, filter)).text()
  expect(text === '' || text.endsWith('\n')).toBe(true)
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
}

describe('a list of the audit', () => {
  const ids = async (filter: AuditFilter, limit = 10, before?: number) =>
    (await listAudit(env.DB, filter, limit, before)).map(({ id }) => id)

  beforeEach(async () => {
    await write([{ at: NOW }], { production: 7, staging: 8 })
    await write([{ at: NOW + 1, action: 'flag.delete', target: { kind: 'flag', key: 'search' } }], {
      staging: 9,
    })
    await write(
      [
        {
          at: NOW + 2,
          actor: 'bob@example.com',
          action: 'token.create',
          target: { kind: 'token', key: 't1' },
        },
        { at: NOW + 3, target: { kind: 'segment', key: 'checkout' } },
      ],
      {},
    )
  })

  it('shows whole rows', async () => {
    expect(await rowAt(1)).toEqual({
      id: 1,
      at: NOW,
      actor: 'ada@example.com',
      via: 'jwt',
      action: 'flag.save',
      targetKind: 'flag',
      targetKey: 'checkout',
      environments: { production: 7, staging: 8 },
      comment: 'why',
      details: { before: 'ü"\n', 10: 'ten', 9: [1.5, null] },
      requestId: 'r1',
      hash: null,
    })
  })

  it.each<[string, AuditFilter, readonly number[]]>([
    ['newest first', {}, [4, 3, 2, 1]],
    ['by one actor', { actor: 'bob@example.com' }, [3]],
    ['of one action', { action: 'flag.save' }, [4, 1]],
    ['of one kind of target', { targetKind: 'flag' }, [2, 1]],
    ['of one key of target', { targetKey: 'checkout' }, [4, 1]],
    ['of one target', { targetKind: 'flag', targetKey: 'checkout' }, [1]],
    ['of one environment', { environment: 'staging' }, [2, 1]],
    ['of another environment', { environment: 'production' }, [1]],
    ['of an environment that only begins alike', { environment: 'stag' }, []],
    ['from an instant on', { from: NOW + 1 }, [4, 3, 2]],
    ['before an instant', { to: NOW + 1 }, [1]],
    ['between instants', { from: NOW + 1, to: NOW + 3 }, [3, 2]],
    ['at no time', { from: NOW, to: NOW }, []],
    ['of all together', { actor: 'ada@example.com', action: 'flag.save', environment: 'staging' }, [1]],
    ['of what would be everything if it were SQL', { actor: "' OR 1 = 1 --" }, []],
    ['of a key that is no pattern', { targetKey: 'check%' }, []],
  ])('can be had %s, and exported alike', async (_, filter, expected) => {
    expect(await ids(filter)).toEqual(expected)
    const rows = await listAudit(env.DB, filter, 10, undefined)
    expect(await linesOf(filter)).toEqual(rows.toReversed())
  })

  it('can be had a part at a time', async () => {
    expect(await ids({}, 3)).toEqual([4, 3, 2])
    expect(await ids({}, 3, 2)).toEqual([1])
    expect(await ids({ action: 'flag.save' }, 1, 4)).toEqual([1])
    expect(await ids({}, 3, 1)).toEqual([])
  })
})

describe('an export', () => {
  it.each([0, 1, 999, 1_000, 1_200, 2_000])('has each of %d rows once, oldest first', async (count) => {
    await writeRows(count)
    await sealAudit(env.DB)
    const lines = await linesOf({})
    expect(lines).toHaveLength(count)
    expect(lines).toEqual((await listAudit(env.DB, {}, count, undefined)).toReversed())
  })

  it('breaks off where it cannot go on, so that nobody takes it for the whole', async () => {
    await writeRows(1_500)
    const broken = interrupted(2, () => Promise.reject(new Error('lost')))
    await expect(new Response(exportAudit(broken, {})).text()).rejects.toThrow()
  })
})
