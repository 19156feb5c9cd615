import { createHash } from 'node:crypto'
import { CHECKOUT_PLAN, DEMO_KEYS, ENVIRONMENTS, FLAGS, METRICS, SEGMENTS } from './demo-catalog.ts'
import type { Server } from './server.ts'

type Call = (
  method: string,
  path: string,
  body?: unknown,
  headers?: { [name: string]: string },
) => Promise<unknown>

function client(url: URL, adminToken: string): Call {
  return async (method, path, body, headers = {}) => {
    const response = await fetch(new URL(path, url), {
      method,
      headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
    return response.json()
  }
}

const isNew = { 'if-none-match': '*' }
const comment = 'demo'

/**
 * Fills an empty deployment with the demo shop, through the management API, and starts the rollout of its new checkout.
 * @returns whether it was empty
 */
export async function seed(server: Server, adminToken: string): Promise<boolean> {
  const call = client(server.url, adminToken)
  const { environments } = (await call('GET', '/api/v1/environments')) as { environments: unknown[] }
  if (environments.length > 0) return false
  for (const { key, ...environment } of ENVIRONMENTS) {
    await call('PUT', `/api/v1/environments/${key}`, { ...environment, comment }, isNew)
    for (const { key: segment, ...draft } of SEGMENTS) {
      await call('PUT', `/api/v1/environments/${key}/segments/${segment}`, { ...draft, comment }, isNew)
    }
  }
  for (const { key, configurations: _, ...flag } of FLAGS) {
    await call('PUT', `/api/v1/flags/${encodeURIComponent(key)}`, { ...flag, comment }, isNew)
  }
  for (const { key, configurations } of FLAGS) {
    for (const [environment, configuration] of Object.entries(configurations)) {
      const path = `/api/v1/flags/${encodeURIComponent(key)}/environments/${environment}`
      await call('PUT', path, { ...configuration, comment }, { 'if-match': '"1"' })
    }
  }
  for (const { environment, kind, key } of DEMO_KEYS) {
    const hash = createHash('sha256').update(key).digest('hex')
    await call('POST', `/api/v1/environments/${environment}/keys`, {
      kind,
      name: 'Local demo',
      hash,
      comment,
    })
  }
  for (const { key, ...metric } of METRICS)
    await call('PUT', `/api/v1/metrics/${key}`, { ...metric, comment }, isNew)
  const { id } = (await call('POST', '/api/v1/rollouts', { plan: CHECKOUT_PLAN, comment })) as { id: string }
  // Nothing has happened in this shop yet, which is what a start otherwise waits for.
  await call('POST', `/api/v1/rollouts/${id}/start`, { force: true, comment })
  await server.tick()
  return true
}
