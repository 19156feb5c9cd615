// Rampart as it is deployed, with twenty flags under measurement over eight shards; and the floor.
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, type V4WorkerOptions } from 'miniflare'
import { measureFlags } from '../../scripts/measure-flag.ts'
import { startProcess } from '../http/processor-time.ts'
import { bundleWorker, type Running, startDeployed } from '../http/workers.ts'
import { FLAG_COUNT, flagName } from './batches.ts'
import type { Target } from './load.ts'

const ADMIN_TOKEN = 'bench-admin'
const SERVER_KEY = 'rp_server_production_bench'

const METRICS = [
  { key: 'completed', event: 'checkout-completed', kind: 'conversion' },
  { key: 'items', event: 'item-added', kind: 'count' },
  { key: 'revenue', event: 'order-value', kind: 'mean' },
  { key: 'errors', event: 'checkout-error', kind: 'error' },
  { key: 'latency', event: 'checkout-latency', kind: 'latency' },
] as const

export type Rampart = Running & {
  readonly target: Target
  /** Asks the management API. */
  readonly get: <T>(path: string) => Promise<T>
}

type Call = (
  method: string,
  path: string,
  body: object,
  headers?: { readonly [name: string]: string },
) => Promise<void>

async function fill(call: Call, shards: number) {
  const isNew = { 'if-none-match': '*' }
  await call('PUT', 'environments/production', { name: 'Production', shards }, isNew)
  for (const { key, ...metric } of METRICS) await call('PUT', `metrics/${key}`, metric, isNew)
  for (let flag = 0; flag < FLAG_COUNT; flag++) {
    const variants = [
      { name: 'on', value: true },
      { name: 'off', value: false },
    ]
    const key = flagName(flag)
    await call('PUT', `flags/${key}`, { type: 'boolean', variants }, isNew)
    const configuration = { enabled: true, offVariant: 'off', fallthrough: { variant: 'off' } }
    await call('PUT', `flags/${key}/environments/production`, configuration, { 'if-match': '"1"' })
  }
  const hash = createHash('sha256').update(SERVER_KEY).digest('hex')
  await call('POST', 'environments/production/keys', { kind: 'server', name: 'Bench', hash })
}

/** A client of the management API at an address. */
function createAsk(url: URL) {
  return async (method: string, path: string, body?: object, headers = {}) => {
    const response = await fetch(new URL(`/api/v1/${path}`, url), {
      method,
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
    return response.json()
  }
}

/** Starts what `build` made, with so many shards and all flags measured. */
export async function startRampart(shards: number): Promise<Rampart> {
  const running = await startDeployed(ADMIN_TOKEN, async (url, server) => {
    const ask = createAsk(url)
    await fill(async (method, path, body, headers) => void (await ask(method, path, body, headers)), shards)
    await measureFlags(
      server,
      'production',
      Array.from({ length: FLAG_COUNT }, (_, flag) => ({
        id: flagName(flag),
        flag: flagName(flag),
        variant: 'on',
        seed: flagName(flag),
        grants: [{ audience: null, percentage: 50 }],
        metrics: METRICS.map(({ key, kind }) => ({
          metric: key,
          bounds: kind === 'latency' ? [400, 900] : [],
        })),
      })),
    )
  })
  const ask = createAsk(running.url)
  return {
    ...running,
    target: { url: new URL('/v1/events', running.url), headers: { authorization: `Bearer ${SERVER_KEY}` } },
    get: async <T>(path: string) => (await ask('GET', path)) as T,
  }
}

/** Starts the floor, with its data on disk too. */
export async function startFloor(): Promise<Running> {
  const persist = await mkdtemp(join(tmpdir(), 'rampart-bench-floor-'))
  const worker: V4WorkerOptions = {
    ...(await bundleWorker('bare-counts')),
    durableObjects: {
      COUNTS: { className: 'BareCounts', useSQLite: true },
      ROWS: { className: 'BareRows', useSQLite: true },
    },
  }
  const { started: miniflare, pid } = await startProcess(async () => {
    const created = new Miniflare({
      ...convertV4MiniflareOptions({ workers: [worker], cf: false }),
      host: '127.0.0.1',
      port: 0,
      resourcePersistencePath: persist,
      log: new Log(LogLevel.WARN),
    })
    await created.ready
    return created
  })
  return {
    url: await miniflare.unsafeGetDirectURL('bare-counts'),
    pid,
    stop: async () => {
      await miniflare.dispose()
      await rm(persist, { recursive: true, force: true })
    },
  }
}
