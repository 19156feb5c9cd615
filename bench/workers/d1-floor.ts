// The least that can be done at the database for what the management API is asked: the same statements by the same
// route, behind a bare Hono router. Nobody is authenticated, nothing is checked, planned or published here.
import { Hono } from 'hono'

type Bindings = { readonly DB: D1Database; readonly SNAPSHOTS: KVNamespace }

const CONFIGURATION = `SELECT flag, environment, configuration, revision, updated_at FROM flag_configurations
  WHERE environment = ? AND flag = ? LIMIT 1`

const FLAGS = `SELECT key, type, variants, metadata, client_visible, description, tags, owner, temporary, stale, revision,
  archived_at, created_at, updated_at FROM flags WHERE key > ? ORDER BY key LIMIT ?`

/** The statements of a change as `batch-recorder.ts` found them: sent once, so that a change brings only its values. */
let statements: readonly string[] = []

let text = ''

export default new Hono<{ Bindings: Bindings }>()
  .get('/api/v1/flags/:flag/environments/:environment', async (c) => {
    const { flag, environment } = c.req.param()
    return c.json(await c.env.DB.prepare(CONFIGURATION).bind(environment, flag).first())
  })
  .put('/statements', async (c) => {
    statements = await c.req.json<string[]>()
    return c.body(null, 204)
  })
  .put('/api/v1/flags/:flag/environments/:environment', async (c) => {
    const values = await c.req.json<unknown[][]>()
    const { DB } = c.env
    const results = await DB.batch(
      statements.map((statement, index) => DB.prepare(statement).bind(...(values[index] ?? []))),
    )
    return c.json(results.at(-1)?.results[0])
  })
  .get('/api/v1/flags', async (c) => {
    const { after = '', limit } = c.req.query()
    const { results } = await c.env.DB.prepare(FLAGS).bind(after, Number(limit)).all()
    return c.json(results)
  })
  .put('/snapshots', async (c) => {
    const length = Number(c.req.query('bytes'))
    if (text.length !== length) text = 'x'.repeat(length)
    await c.env.SNAPSHOTS.put('floor', text)
    return c.body(null, 204)
  })
