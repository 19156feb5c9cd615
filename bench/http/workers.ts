// Workers in workerd, each in a process of its own, asked on a socket of their own: no entry Worker of Miniflare's and
// no router for static files stands before them.
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, type V4WorkerOptions } from 'miniflare'
import { build as bundle } from 'vite'
import { unstable_getMiniflareWorkerOptions } from 'wrangler'
import { type Server, startServer } from '../../scripts/server.ts'
import { readSnapshotText } from '../../src/engine/snapshot-text.ts'
import { toSnapshotText } from '../contenders/rampart.ts'
import { makeFlagSet } from '../support/flags.ts'
import { FLAG_COUNT } from './flag-count.ts'
import { startProcess } from './processor-time.ts'
import { SERVER_KEY } from './server-key.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const BUNDLES = join(ROOT, '.wrangler', 'bench')
const ADMIN_TOKEN = 'bench-admin'
const ENVIRONMENT = 'production'

/** A Worker that runs. */
export type Running = { readonly url: URL; readonly pid: number; readonly stop: () => Promise<void> }

/** Bundles one of the Workers in bench/workers, and describes it to Miniflare. */
export async function bundleWorker(name: string): Promise<V4WorkerOptions> {
  await bundle({
    configFile: false,
    logLevel: 'error',
    ssr: { target: 'webworker', noExternal: true },
    build: {
      ssr: join(import.meta.dirname, '../workers', `${name}.ts`),
      outDir: join(BUNDLES, name),
      emptyOutDir: true,
      rollupOptions: { external: [/^cloudflare:/], output: { entryFileNames: 'worker.js' } },
    },
  })
  const { workerOptions } = unstable_getMiniflareWorkerOptions(join(ROOT, 'wrangler.toml'))
  return {
    name,
    modules: [{ type: 'ESModule', path: join(BUNDLES, name, 'worker.js') }],
    modulesRoot: join(BUNDLES, name),
    compatibilityDate: String(workerOptions.compatibilityDate),
    unsafeDirectSockets: [{}],
  }
}

/** Bundles and starts one of the Workers. */
export async function startWorker(name: string): Promise<Running> {
  const worker = await bundleWorker(name)
  const { started: miniflare, pid } = await startProcess(async () => {
    const created = new Miniflare({
      ...convertV4MiniflareOptions({ workers: [worker], cf: false }),
      host: '127.0.0.1',
      port: 0,
      log: new Log(LogLevel.WARN),
    })
    await created.ready
    return created
  })
  return { url: await miniflare.unsafeGetDirectURL(name), pid, stop: () => miniflare.dispose() }
}

/** Starts what `build` made of Rampart, as it is deployed; it is empty until it is filled. */
export async function startDeployed(
  adminToken: string,
  fillUp: (url: URL, server: Server) => Promise<void>,
): Promise<Running> {
  const persist = await mkdtemp(join(tmpdir(), 'rampart-bench-'))
  // A Worker that does nothing but have a socket that leads to Rampart.
  const door: V4WorkerOptions = {
    name: 'door',
    modules: true,
    script: 'export default {}',
    unsafeDirectSockets: [{ serviceName: 'rampart' }],
  }
  const { started: server, pid } = await startProcess(() =>
    startServer({ port: 0, persist, adminToken, beside: [door] }),
  )
  const stop = async () => {
    await server.stop()
    await rm(persist, { recursive: true, force: true })
  }
  const url = await server.miniflare.unsafeGetDirectURL('door')
  try {
    await fillUp(url, server)
  } catch (error) {
    await stop()
    throw error
  }
  return { url, pid, stop }
}

/** Starts it with the flags that are asked for. */
export function startRampart(): Promise<Running> {
  return startDeployed(ADMIN_TOKEN, fill)
}

/** Rampart makes seeds itself where a draft has none. */
function withoutSeed(name: string, value: unknown): unknown {
  return name === 'seed' ? undefined : value
}

/** Makes the environment, its segment, flags and key through the management API. */
async function fill(url: URL) {
  const put = async (path: string, draft: object, headers: { readonly [name: string]: string } = {}) => {
    const method = path.endsWith('/keys') ? 'POST' : 'PUT'
    const response = await fetch(new URL(`/api/v1/${path}`, url), {
      method,
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json', ...headers },
      body: JSON.stringify(draft),
    })
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
  }
  const isNew = { 'if-none-match': '*' }
  const snapshot = readSnapshotText(toSnapshotText(makeFlagSet(FLAG_COUNT)))
  if (!snapshot.ok) throw new Error(snapshot.error)
  const { flags = new Map(), segments = new Map() } = snapshot.value.sections
  await put(`environments/${ENVIRONMENT}`, { name: 'Production' }, isNew)
  for (const [key, text] of segments) {
    await put(`environments/${ENVIRONMENT}/segments/${key}`, JSON.parse(text), isNew)
  }
  for (const [key, text] of flags) {
    const { type, variants, metadata, clientVisible, ...configuration } = JSON.parse(text, withoutSeed)
    await put(`flags/${key}`, { type, variants, metadata, clientVisible }, isNew)
    await put(`flags/${key}/environments/${ENVIRONMENT}`, configuration, { 'if-match': '"1"' })
  }
  const hash = createHash('sha256').update(SERVER_KEY).digest('hex')
  await put(`environments/${ENVIRONMENT}/keys`, { kind: 'server', name: 'Bench', hash })
}
