// Finds out which statements a change consists of: takes it with Rampart's own code on the real database, up to the
// batch, which is written down instead of carried out. The floor then carries out the very same statements without
// any of that code.
import type { Actor } from '../../src/access/actor.ts'
import { commitChange } from '../../src/catalog/change.ts'
import type { Export } from '../../src/catalog/export-document.ts'
import type { Operation } from '../../src/catalog/operation.ts'
import { submit } from '../../src/catalog/submit.ts'
import { planImport } from '../../src/catalog/transfer.ts'
import type { Result } from '../../src/engine/result.ts'
import type { Author } from '../../src/ledger/author.ts'
import { rolloutAttachments } from '../../src/rollouts/attachments.ts'

const ACTOR: Actor = { id: 'admin', via: 'token:bench', role: 'admin', environments: null }

type Bindings = { readonly DB: D1Database }

type Recorded = { readonly sql: string; readonly values: readonly unknown[] }

/** What a change does at the database. */
type Recording = {
  /** Queries before the batch. */
  readonly queries: number
  readonly statements: readonly Recorded[]
}

const QUERIES: readonly PropertyKey[] = ['all', 'first', 'raw', 'run']

/** An object of which some members are others; its own methods keep their `this`. */
function override<T extends object>(target: T, others: (name: PropertyKey) => unknown): T {
  return new Proxy(target, {
    get(_, name) {
      const other = others(name)
      if (other !== undefined) return other
      const own: unknown = Reflect.get(target, name)
      return typeof own === 'function' ? own.bind(target) : own
    },
  })
}

/** Acts on the database of the recorder. */
type Act = (recorder: D1Database, author: Author) => Promise<Result<unknown, unknown>>

async function record(database: D1Database, act: Act): Promise<Recording> {
  const prepared = new Map<D1PreparedStatement, Recorded>()
  let queries = 0
  let statements: readonly Recorded[] = []

  const prepare = (sql: string, values: readonly unknown[]): D1PreparedStatement => {
    const bound = database.prepare(sql).bind(...values)
    const statement = override(bound, (name) => {
      if (name === 'bind') return (...given: readonly unknown[]) => prepare(sql, given)
      if (QUERIES.includes(name)) queries++
      return undefined
    })
    prepared.set(statement, { sql, values })
    return statement
  }
  const batch = async (all: readonly D1PreparedStatement[]) => {
    statements = all.flatMap((statement) => prepared.get(statement) ?? [])
    return [{ results: [{ versions: '{}', revision: 0 }] }]
  }
  const recorder = override(database, (name) => {
    if (name === 'prepare') return (sql: string) => prepare(sql, [])
    return name === 'batch' ? batch : undefined
  })

  const author = {
    ...{ actor: ACTOR.id, via: ACTOR.via, comment: '' },
    ...{ now: Date.now(), requestId: crypto.randomUUID() },
  }
  const acted = await act(recorder, author)
  if (!acted.ok) throw new Error(JSON.stringify(acted.error))
  if (statements.length === 0) throw new Error('there was no batch')
  return { queries, statements }
}

const change =
  (operation: Operation): Act =>
  (database, author) =>
    submit(
      { database, contexts: async () => [], attached: rolloutAttachments },
      ACTOR,
      operation,
      null,
      author,
    )

const fill =
  (document: Export): Act =>
  async (database, author) => {
    const planned = planImport(document, author.now)
    return planned.ok ? commitChange(database, planned.value, author) : planned
  }

const count = ({ queries, statements }: Recording) => ({ queries, statements: statements.length })

/** Answers operations with their recordings; `/counts` and `/import` only with how much there is in them. */
export default {
  async fetch(request: Request, { DB }: Bindings): Promise<Response> {
    const { pathname } = new URL(request.url)
    if (pathname === '/import') {
      return Response.json(count(await record(DB, fill(await request.json()))))
    }
    const operations: readonly Operation[] = await request.json()
    const recordings: Recording[] = []
    for (const operation of operations) recordings.push(await record(DB, change(operation)))
    return Response.json(pathname === '/counts' ? recordings.map(count) : recordings)
  },
}
