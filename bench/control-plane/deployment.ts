// Rampart as it is deployed, with other instances of the same build and the floor beside it, all on one database.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { V4WorkerOptions } from 'miniflare'
import { describeRampart, type Log, startServer } from '../../scripts/server.ts'
import { bundleWorker } from '../http/workers.ts'
import { type Client, createClient } from './client.ts'

const ADMIN_TOKEN = 'bench-admin'

/** Who is asked in the benches of the control plane. */
export type Deployment = {
  readonly rampart: Client
  /** The same build in another isolate, which has heard nothing of what the first one did. */
  readonly edge: Client
  /** The same build again, whose hub publishes nothing and cannot be asked. */
  readonly withoutHub: Client
  readonly floor: Client
  readonly recorder: Client
  readonly stop: () => Promise<void>
}

/** An instance of the same build under another name, on the same data, with a hub of this class. */
function instance(
  name: string,
  hub: { readonly className: string; readonly scriptName: string },
): V4WorkerOptions {
  const { assets: _, ...options } = describeRampart(ADMIN_TOKEN)
  return {
    ...options,
    name,
    durableObjects: {
      HUB: { ...hub, useSQLite: true },
      EVENTS: { className: 'EventShard', scriptName: 'rampart', useSQLite: true },
    },
    unsafeDirectSockets: [{}],
  }
}

/** Issues a management token: asking by the bootstrap secret would cost no look-up. */
async function issueToken(administrator: Client): Promise<string> {
  const body = JSON.stringify({ name: 'Bench', role: 'admin', environments: null })
  return JSON.parse((await administrator.ask('POST', '/api/v1/tokens', { body })).text).token
}

/** What is logged because one instance has no hub, and what workerd says of an alarm that was set anew. */
const EXPECTED = ['hub not reached', 'NOSENTRY SQLite alarm handler canceled']

/** Prints what is logged, but for what is expected. */
function printLog({ level, message }: Log) {
  if (!EXPECTED.some((text) => message.startsWith(text))) console.error(`${level}: ${message}`)
}

/** Starts what was built, empty, in a folder of its own. */
export async function deploy(): Promise<Deployment> {
  const persist = await mkdtemp(join(tmpdir(), 'rampart-bench-'))
  const { d1Databases = {}, kvNamespaces = {} } = describeRampart(ADMIN_TOKEN)
  const door: V4WorkerOptions = {
    name: 'door',
    modules: true,
    script: 'export default {}',
    unsafeDirectSockets: [{ serviceName: 'rampart' }],
  }
  const server = await startServer({
    port: 0,
    persist,
    adminToken: ADMIN_TOKEN,
    takeLog: printLog,
    beside: [
      door,
      instance('edge', { className: 'EnvironmentHub', scriptName: 'rampart' }),
      instance('without-hub', { className: 'DeafHub', scriptName: 'deaf-hub' }),
      {
        ...(await bundleWorker('deaf-hub')),
        durableObjects: { HUB: { className: 'DeafHub', useSQLite: true } },
      },
      { ...(await bundleWorker('d1-floor')), d1Databases, kvNamespaces },
      { ...(await bundleWorker('batch-recorder')), d1Databases },
    ],
  })
  const clients: Client[] = []
  const stop = async () => {
    for (const client of clients) client.close()
    await server.stop()
    await rm(persist, { recursive: true, force: true })
  }
  const connect = async (name: string, token?: string) => {
    const client = createClient(await server.miniflare.unsafeGetDirectURL(name), token)
    clients.push(client)
    return client
  }
  try {
    const token = await issueToken(await connect('door', ADMIN_TOKEN))
    return {
      rampart: await connect('door', token),
      edge: await connect('edge'),
      withoutHub: await connect('without-hub', token),
      floor: await connect('d1-floor'),
      recorder: await connect('batch-recorder'),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}
