// Beside Rampart, on its data: asks its rollouts' clock to tick, and reads what a tick reads without anything else.

import type { Bindings } from '../../src/bindings.ts'
import { hubOf } from '../../src/catalog/hub-protocol.ts'
import { clockOf } from '../../src/rollouts/clock-protocol.ts'
import { shardsOf } from '../../src/telemetry/shard-protocol.ts'

const ENVIRONMENT = 'production'
const SHARDS = 8
const BLOCK_MS = 10_000

/** The floor: the rollouts' rows, and the last blocks of every shard, all merely read. */
async function readBarely({ DB, ...bindings }: Bindings): Promise<object> {
  const [rollouts] = await DB.batch([
    DB.prepare("SELECT * FROM rollouts WHERE environment = ? AND state = 'running'").bind(ENVIRONMENT),
    DB.prepare('SELECT layouts FROM environments WHERE key = ?').bind(ENVIRONMENT),
  ])
  const from = Math.floor((Date.now() - 2_000) / BLOCK_MS) * BLOCK_MS - BLOCK_MS
  const query = { blocks: { from }, totals: [], series: [] }
  const parts = await Promise.all(
    shardsOf({ DB, ...bindings }, ENVIRONMENT, SHARDS).map((shard) => shard.observe(query)),
  )
  const blocks = parts.reduce((sum, part) => sum + part.blocks.blocks.length, 0)
  return { rollouts: rollouts?.results.length, blocks }
}

export default {
  async fetch(request: Request, bindings: Bindings): Promise<Response> {
    switch (new URL(request.url).pathname) {
      case '/tick':
        return Response.json(await clockOf(bindings, ENVIRONMENT).tick(Date.now()))
      case '/publish':
        return Response.json(await hubOf(bindings, ENVIRONMENT).publish())
      default:
        return Response.json(await readBarely(bindings))
    }
  },
} satisfies ExportedHandler<Bindings>
