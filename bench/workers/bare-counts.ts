// The least that can be done with a batch of events: its events added up in the Worker, and what they come to upserted
// in as many Durable Objects as Rampart has shards. No unit is known, nothing counts once, nobody is authenticated.
import { DurableObject } from 'cloudflare:workers'

const SHARDS = 8

type Event = { readonly kind: string; readonly name?: string; readonly flag?: string } & {
  readonly variant?: string
  readonly unit?: string
  readonly value?: number
}

type Sum = [key: string, count: number, sum: number]

type Bindings = {
  readonly COUNTS: DurableObjectNamespace<BareCounts>
  readonly ROWS: DurableObjectNamespace<BareRows>
}

/** Upserts counts that were added up before. */
export class BareCounts extends DurableObject {
  private readonly sql = this.ctx.storage.sql

  constructor(state: DurableObjectState, bindings: Bindings) {
    super(state, bindings)
    this.sql.exec(
      'CREATE TABLE IF NOT EXISTS counts (key TEXT PRIMARY KEY, count INTEGER, sum REAL) WITHOUT ROWID',
    )
  }

  async add(sums: readonly Sum[]): Promise<void> {
    for (const [key, count, sum] of sums) {
      this.sql.exec(
        `INSERT INTO counts VALUES (?, ?, ?)
          ON CONFLICT DO UPDATE SET count = count + excluded.count, sum = sum + excluded.sum`,
        key,
        count,
        sum,
      )
    }
  }
}

/** Keeps one row for each request. */
export class BareRows extends DurableObject {
  private readonly sql = this.ctx.storage.sql

  constructor(state: DurableObjectState, bindings: Bindings) {
    super(state, bindings)
    this.sql.exec('CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, body TEXT)')
  }

  async insert(body: string): Promise<void> {
    this.sql.exec('INSERT INTO rows (body) VALUES (?)', body)
  }
}

function shardOf(unit: string): number {
  let hash = 0
  for (let i = 0; i < unit.length; i++) hash = (Math.imul(hash, 31) + unit.charCodeAt(i)) | 0
  return (hash >>> 0) % SHARDS
}

function addUp(events: readonly Event[]): Map<number, Map<string, Sum>> {
  const minute = Math.floor(Date.now() / 60_000)
  const shards = new Map<number, Map<string, Sum>>()
  for (const { kind, name = '', flag = '', variant = '', unit = '', value = 0 } of events) {
    const shard = shardOf(unit)
    const sums = shards.get(shard) ?? new Map<string, Sum>()
    shards.set(shard, sums)
    const key = `${minute} ${kind} ${name} ${flag} ${variant}`
    const sum = sums.get(key)
    if (sum) {
      sum[1]++
      sum[2] += value
    } else sums.set(key, [key, 1, value])
  }
  return shards
}

export default {
  async fetch(request: Request, { COUNTS, ROWS }: Bindings): Promise<Response> {
    if (new URL(request.url).pathname === '/rows') {
      const text = await request.text()
      const { unit = '' } = JSON.parse(text).events[0]
      await ROWS.getByName(String(shardOf(unit))).insert(text)
      return Response.json({ accepted: 1, rejected: [] }, { status: 202 })
    }
    const { events } = await request.json<{ readonly events: readonly Event[] }>()
    const shards = [...addUp(events)]
    await Promise.all(shards.map(([shard, sums]) => COUNTS.getByName(String(shard)).add([...sums.values()])))
    return Response.json({ accepted: events.length, rejected: [] }, { status: 202 })
  },
}
