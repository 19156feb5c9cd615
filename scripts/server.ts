// Rampart as it is deployed, on this machine: the built Worker and dashboard in the real workerd, with bindings as
// wrangler.toml has them. `npm start`, the system tests and the benchmarks all run this.
import type { ChildProcess } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import {
  convertV4MiniflareOptions,
  LogLevel,
  Miniflare,
  Log as MiniflareLog,
  type V4WorkerOptions,
} from 'miniflare'
import { unstable_getMiniflareWorkerOptions } from 'wrangler'
import { isJsonObject } from '../src/engine/json.ts'
import { endLeftover, forgetRuntime, rememberRuntime } from './leftover.ts'
import { run } from './run.ts'

const ROOT = resolve(import.meta.dirname, '..')
const BUILD = join(ROOT, '.wrangler', 'build')

export type ServerOptions = {
  readonly port: number
  /** Where data is kept; what is there is used. */
  readonly persist: string
  readonly adminToken: string
  /** Whether its database has every migration already. */
  readonly isMigrated?: boolean
  /** Variables and secrets beside the administrator's token. */
  readonly variables?: { readonly [name: string]: string }
  /** Other Workers that run beside it, with their own code, as Miniflare takes them. */
  readonly beside?: readonly V4WorkerOptions[]
  /** Takes what the Workers log; left out, it is printed. */
  readonly takeLog?: (log: Log) => void
}

/** A line that a Worker has logged. */
export type Log = { readonly level: string; readonly message: string }

export type Server = {
  readonly url: URL
  readonly miniflare: Miniflare
  /** The processes that it runs in. */
  readonly pids: readonly number[]
  /** Runs the cron once. */
  readonly tick: () => Promise<void>
  readonly stop: () => Promise<void>
}

/** Builds the dashboard and the Worker, the same as a deployment does. */
export async function build(): Promise<void> {
  await run('vite', 'build', join(ROOT, 'dashboard'), '--logLevel', 'error')
  await run('wrangler', 'deploy', '--dry-run', '--config', join(ROOT, 'wrangler.toml'), '--outdir', BUILD)
}

async function migrate(persist: string): Promise<void> {
  await mkdir(persist, { recursive: true })
  const config = join(ROOT, 'wrangler.toml')
  await run(
    'wrangler',
    'd1',
    'migrations',
    'apply',
    'DB',
    '--local',
    '--persist-to',
    persist,
    '--config',
    config,
  )
}

/** Starts Miniflare, and remembers the processes that it starts in turn, which it does not tell itself. */
async function startRuntime(
  persist: string,
  create: () => Miniflare,
): Promise<{ readonly miniflare: Miniflare; readonly pids: readonly number[] }> {
  const children: ChildProcess[] = []
  const collect = (message: unknown) => {
    if (isJsonObject(message)) children.push(message.process as ChildProcess)
  }
  subscribe('child_process', collect)
  try {
    const miniflare = create()
    await miniflare.ready
    const pids = children.flatMap(({ pid }) => pid ?? [])
    rememberRuntime(persist, pids)
    return { miniflare, pids }
  } finally {
    unsubscribe('child_process', collect)
  }
}

/** Describes what `build` made to Miniflare, with bindings as wrangler.toml has them. */
export function describeRampart(
  adminToken: string,
  variables: { readonly [name: string]: string } = {},
): V4WorkerOptions {
  const { workerOptions } = unstable_getMiniflareWorkerOptions(join(ROOT, 'wrangler.toml'))
  const { modulesRules: _, ...options } = workerOptions
  return {
    ...options,
    name: 'rampart',
    modules: [{ type: 'ESModule', path: join(BUILD, 'index.js') }],
    modulesRoot: BUILD,
    bindings: {
      ...(isJsonObject(options.bindings) ? options.bindings : {}),
      ...variables,
      ADMIN_TOKEN: adminToken,
    },
  }
}

/** Migrates the database and starts what `build` made. */
export async function startServer({
  port,
  persist,
  adminToken,
  isMigrated = false,
  variables = {},
  beside = [],
  takeLog,
}: ServerOptions): Promise<Server> {
  endLeftover(persist)
  if (!isMigrated) await migrate(persist)
  const rampart = describeRampart(adminToken, variables)
  const { miniflare, pids } = await startRuntime(
    persist,
    () =>
      new Miniflare({
        ...convertV4MiniflareOptions({ workers: [rampart, ...beside] }),
        ...(takeLog ? { handleStructuredLogs: takeLog } : {}),
        host: '127.0.0.1',
        port,
        resourcePersistencePath: join(persist, 'v3'),
        log: new MiniflareLog(LogLevel.WARN),
      }),
  )
  const url = await miniflare.ready
  return {
    url,
    miniflare,
    pids,
    async tick() {
      const worker = await miniflare.getWorker('rampart')
      const { outcome } = await worker.scheduled({ cron: '* * * * *', scheduledTime: new Date() })
      if (outcome !== 'ok') throw new Error(`the cron ended with ${outcome}`)
    },
    async stop() {
      await miniflare.dispose()
      forgetRuntime(persist)
    },
  }
}
