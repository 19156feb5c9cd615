// The heap of a Worker in workerd, by its inspector: what Node's heap says is twice too much, because workerd's
// pointers are half as long.
import { join, resolve } from 'node:path'
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, type V4WorkerOptions } from 'miniflare'
import { build } from 'vite'

const BUNDLES = join(resolve(import.meta.dirname, '../..'), '.wrangler', 'bench', 'memory')

/** A Worker whose heap can be asked for. */
export type Inspected = {
  readonly post: (path: string, body: string) => Promise<string>
  /** Bytes in use after everything has been collected that can be. */
  readonly usedBytes: () => Promise<number>
  readonly stop: () => Promise<void>
}

type Answer = {
  readonly id?: number
  readonly result?: { readonly usedSize?: number; readonly backingStorageSize?: number }
}

async function connect(url: string): Promise<(method: string) => Promise<Answer>> {
  const socket = new WebSocket(url)
  await new Promise((opened, failed) => {
    socket.addEventListener('open', opened)
    socket.addEventListener('error', () => failed(new Error(`${url} does not answer`)))
  })
  const waiting = new Map<number, (answer: Answer) => void>()
  socket.addEventListener('message', ({ data }) => {
    const answer: Answer = JSON.parse(String(data))
    if (answer.id !== undefined) waiting.get(answer.id)?.(answer)
  })
  let last = 0
  return (method) => {
    const id = ++last
    socket.send(JSON.stringify({ id, method }))
    return new Promise((answered) => waiting.set(id, answered))
  }
}

/** Bundles and starts a Worker, with its inspector. */
export async function startInspected(
  name: 'memory' | 'shard-memory',
  options: Pick<V4WorkerOptions, 'durableObjects'> = {},
): Promise<Inspected> {
  await build({
    configFile: false,
    logLevel: 'error',
    ssr: { target: 'webworker', noExternal: true },
    build: {
      ssr: join(import.meta.dirname, '../workers', `${name}.ts`),
      outDir: BUNDLES,
      emptyOutDir: true,
      rollupOptions: { external: [/^cloudflare:/], output: { entryFileNames: 'worker.js' } },
    },
  })
  const miniflare = new Miniflare({
    ...convertV4MiniflareOptions({
      workers: [
        {
          ...options,
          name,
          modules: [{ type: 'ESModule', path: join(BUNDLES, 'worker.js') }],
          modulesRoot: BUNDLES,
          compatibilityDate: '2026-10-20',
        },
      ],
    }),
    host: '127.0.0.1',
    port: 0,
    inspectorPort: 0,
    log: new Log(LogLevel.WARN),
  })
  const url = await miniflare.ready
  const inspector = await miniflare.getInspectorURL()
  const listed = await fetch(`http://${inspector.host}/json`)
  const [target] = (await listed.json()) as { readonly webSocketDebuggerUrl: string }[]
  if (!target) throw new Error('the inspector lists no Worker')
  const ask = await connect(target.webSocketDebuggerUrl)
  return {
    async post(path, body) {
      const response = await fetch(new URL(path, url), { method: 'POST', body })
      if (!response.ok) throw new Error(`${path}: ${response.status}`)
      return response.text()
    },
    async usedBytes() {
      // workerd does not collect when it is asked to, but it does before it takes a snapshot of its heap.
      await ask('HeapProfiler.enable')
      await ask('HeapProfiler.takeHeapSnapshot')
      const { result } = await ask('Runtime.getHeapUsage')
      if (result?.usedSize === undefined) throw new Error('the inspector does not tell the heap')
      return result.usedSize + (result.backingStorageSize ?? 0)
    },
    stop: () => miniflare.dispose(),
  }
}
