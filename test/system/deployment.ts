// One deployment for one test file: the built Worker with the demo shop in it, on a free port, its data in a folder
// of its own.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seed } from '../../scripts/seed.ts'
import { type Server, type ServerOptions, startServer } from '../../scripts/server.ts'

export const ADMIN_TOKEN = 'system-admin'

export type Deployment = Server & {
  /** A call to the management API; its answer's body, and the status in `status`. */
  readonly manage: (method: string, path: string, body?: unknown, headers?: HeadersInit) => Promise<Response>
  /** Stops it and removes its data. */
  readonly remove: () => Promise<void>
}

export async function deploy(options: Pick<ServerOptions, 'beside' | 'variables'> = {}): Promise<Deployment> {
  const persist = await mkdtemp(join(tmpdir(), 'rampart-'))
  const server = await startServer({ port: 0, persist, adminToken: ADMIN_TOKEN, ...options })
  await seed(server, ADMIN_TOKEN)
  return {
    ...server,
    manage: (method, path, body, headers = {}) =>
      fetch(new URL(path, server.url), {
        method,
        headers: {
          authorization: `Bearer ${ADMIN_TOKEN}`,
          'content-type': 'application/json',
          ...Object.fromEntries(new Headers(headers)),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    async remove() {
      await server.stop()
      await rm(persist, { recursive: true, force: true })
    },
  }
}

/** Changes one flag's configuration in one environment, from whatever revision it has. */
export async function changeConfiguration(
  deployment: Deployment,
  flag: string,
  environment: string,
  change: { readonly [field: string]: unknown },
): Promise<void> {
  const path = `/api/v1/flags/${encodeURIComponent(flag)}/environments/${environment}`
  const current = await deployment.manage('GET', path)
  const {
    revision,
    updatedAt: _,
    ...configuration
  } = (await current.json()) as {
    revision: number
    updatedAt: number
    [field: string]: unknown
  }
  const response = await deployment.manage(
    'PUT',
    path,
    { ...configuration, ...change },
    { 'if-match': `"${revision}"` },
  )
  if (!response.ok) throw new Error(`${flag}: ${response.status} ${await response.text()}`)
}
