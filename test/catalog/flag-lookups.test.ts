// A database is billed by the rows that it reads: what belongs to one flag, or to a page of them, is looked up.
import { env } from 'cloudflare:workers'
import { beforeAll, expect, it } from 'vitest'
import { commitChange } from '../../src/catalog/change.ts'
import { listFlags, loadListedFlag } from '../../src/catalog/flag-list.ts'
import { loadConfigurations, loadFlagIn } from '../../src/catalog/flag-store.ts'
import { planFlagSave } from '../../src/catalog/flags.ts'
import { createEnvironment, createFlag, ON_OFF, record } from '../support/worker.ts'

const AUTHOR = { actor: 'ada', via: 'admin', comment: '', now: 1, requestId: 'r' }

async function save(database: D1Database): Promise<unknown> {
  const draft = {
    ...({ type: 'boolean', variants: ON_OFF, metadata: {}, clientVisible: true } as const),
    ...{ description: '', tags: [], owner: '', temporary: false },
  }
  const planned = await planFlagSave(database, 'a', draft, 1, 1)
  if (!planned.ok) throw new Error(JSON.stringify(planned.error))
  return commitChange(database, planned.value, AUTHOR)
}

async function planOf(query: string): Promise<readonly string[]> {
  const count = new Set(query.match(/\?\d*/g)?.map((name, index) => (name === '?' ? index : name))).size
  const { results } = await env.DB.prepare(`EXPLAIN QUERY PLAN ${query}`)
    .bind(...Array.from({ length: count }, () => '[]'))
    .all<{ detail: string }>()
  return results.map(({ detail }) => detail)
}

beforeAll(async () => {
  await createEnvironment()
  await createFlag('a')
})

it.each<[what: string, load: (database: D1Database) => Promise<unknown>]>([
  ['a page of flags', (database) => listFlags(database, {}, null, 50)],
  [
    'those that are on somewhere',
    (database) => listFlags(database, { environment: 'e', enabled: true }, null, 50),
  ],
  ['one flag as a list shows it', (database) => loadListedFlag(database, 'a', null)],
  ['one flag in all environments', (database) => loadConfigurations(database, 'a')],
  ['one flag in one environment', (database) => loadFlagIn(database, 'a', 'e')],
  ['what a change of a flag touches', save],
])('looks up the configurations of %s, and never goes through all', async (_, load) => {
  const { bindings, calls } = record(env)
  await load(bindings.DB)
  const queries = calls.flatMap((call) => (call.startsWith('DB.prepare ') ? [call.slice(11)] : []))
  const plans = (await Promise.all(queries.map(planOf))).flat()
  const touched = plans.filter((step) => /flag_configurations|configured/.test(step))
  expect(touched.filter((step) => step.startsWith('SCAN'))).toEqual([])
  expect(touched).not.toEqual([])
})
