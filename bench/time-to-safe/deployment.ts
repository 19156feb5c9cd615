// Rampart as it is deployed, with some features, each in an environment of its own and under its own metrics, so that no
// change of one hides another's. Its cron comes every minute.
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build, startServer } from '../../scripts/server.ts'
import { eventsOf } from './shop.ts'

const ADMIN_TOKEN = 'bench-admin'
const CRON_MS = 60_000

/** The server key of a feature's environment, which is called as the feature. */
export const serverKeyOf = (flag: string) => `rp_server_${flag}_bench`

/** Calls the management API; a refusal is thrown. */
export type Call = <Answer>(
  method: string,
  path: string,
  body?: object,
  headers?: { readonly [name: string]: string },
) => Promise<Answer>

export type Deployment = { readonly url: URL; readonly call: Call; readonly stop: () => Promise<void> }

async function fill(call: Call, flags: readonly string[]): Promise<void> {
  const isNew = { 'if-none-match': '*' }
  for (const flag of flags) {
    await call('PUT', `/environments/${flag}`, { name: flag }, isNew)
    const hash = createHash('sha256').update(serverKeyOf(flag)).digest('hex')
    await call('POST', `/environments/${flag}/keys`, { kind: 'server', name: 'Bench', hash })
  }
  for (const flag of flags) {
    const { error, completed } = eventsOf(flag)
    await call('PUT', `/metrics/${error}`, { event: error, kind: 'error' }, isNew)
    await call('PUT', `/metrics/${completed}`, { event: completed, kind: 'conversion' }, isNew)
    const variants = [
      { name: 'on', value: true },
      { name: 'off', value: false },
    ]
    await call('PUT', `/flags/${flag}`, { type: 'boolean', variants }, isNew)
    const configuration = { enabled: true, offVariant: 'off', fallthrough: { variant: 'off' } }
    await call('PUT', `/flags/${flag}/environments/${flag}`, configuration, { 'if-match': '"1"' })
  }
}

/** Builds, starts and fills it. */
export async function deploy(flags: readonly string[]): Promise<Deployment> {
  await build()
  const persist = await mkdtemp(join(tmpdir(), 'rampart-bench-safe-'))
  const server = await startServer({ port: 0, persist, adminToken: ADMIN_TOKEN })
  const call: Call = async (method, path, body, headers = {}) => {
    const response = await fetch(new URL(`/api/v1${path}`, server.url), {
      method,
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
    return response.json()
  }
  await fill(call, flags)
  const cron = setInterval(() => void server.tick(), CRON_MS)
  return {
    url: server.url,
    call,
    async stop() {
      clearInterval(cron)
      await server.stop()
      await rm(persist, { recursive: true, force: true })
    },
  }
}
