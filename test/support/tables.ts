// The whole database as it stands: to see that nothing changed, and to put it back.
import { env } from 'cloudflare:workers'

type Row = { readonly [column: string]: unknown }

/** All tables of ours with all their rows. */
export type Tables = ReadonlyMap<string, readonly Row[]>

const isOurs = (name: string) => !name.startsWith('sqlite_') && !name.startsWith('_cf_')

async function schemaOf(type: 'table' | 'trigger'): Promise<{ name: string; sql: string }[]> {
  const { results } = await env.DB.prepare('SELECT name, sql FROM sqlite_master WHERE type = ? ORDER BY name')
    .bind(type)
    .all<{ name: string; sql: string }>()
  return results.filter(({ name }) => isOurs(name))
}

const ourTables = schemaOf('table')

/** Reads every table. */
export async function readTables(): Promise<Tables> {
  const names = (await ourTables).map(({ name }) => name)
  const contents = await env.DB.batch<Row>(
    names.map((name) => env.DB.prepare(`SELECT * FROM "${name}" ORDER BY rowid`)),
  )
  return new Map(names.map((name, index) => [name, contents[index]?.results ?? []]))
}

/** Puts every table back to what it was. */
export async function writeTables(tables: Tables): Promise<void> {
  const triggers = await schemaOf('trigger')
  const emptied = [...tables.keys()].map((name) => env.DB.prepare(`DELETE FROM "${name}"`))
  const filled = [...tables].flatMap(([name, contents]) => {
    if (contents.length === 0) return []
    const columns = Object.keys(contents[0] ?? {})
    const values = columns.map((_, index) => `value ->> ${index}`).join(', ')
    const fill = `INSERT INTO "${name}" (${columns.map((column) => `"${column}"`).join(', ')})
      SELECT ${values} FROM json_each(?)`
    const json = JSON.stringify(contents.map((row) => columns.map((column) => row[column])))
    return [env.DB.prepare(fill).bind(json)]
  })
  await env.DB.batch([
    // Tables are filled in any order.
    env.DB.prepare('PRAGMA defer_foreign_keys = on'),
    ...triggers.map(({ name }) => env.DB.prepare(`DROP TRIGGER "${name}"`)),
    ...emptied,
    ...filled,
    ...triggers.map(({ sql }) => env.DB.prepare(sql)),
  ])
}
