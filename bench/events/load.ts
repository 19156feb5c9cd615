// Sends batches as fast as they are accepted, or so many a second.
import { Agent, request } from 'node:http'
import { type Batch, toBody } from './batches.ts'

export type Target = { readonly url: URL; readonly headers: { readonly [name: string]: string } }

/** What came of a run. */
export type Run = { readonly batches: number; readonly seconds: number; readonly refused: number }

/** Sends one body over a kept connection; its status. */
function post(agent: Agent, { url, headers }: Target, body: string): Promise<number> {
  const content = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }
  return new Promise((resolve, reject) => {
    request(url.href, { method: 'POST', agent, headers: { ...content, ...headers } }, (response) => {
      response.resume()
      response.on('error', reject)
      response.on('end', () => resolve(response.statusCode ?? 0))
    })
      .on('error', reject)
      .end(body)
  })
}

/** Sends what is asked of it, `connections` at a time, each batch until it is accepted. */
export async function sendAll(
  target: Target,
  batches: readonly Batch[],
  count: number,
  connections: number,
): Promise<Run> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  let sent = 0
  let refused = 0
  const sendInTurn = async () => {
    while (sent < count) {
      const batch = batches[sent++ % batches.length]
      if (!batch) throw new Error('there is nothing to send')
      const body = toBody(batch)
      for (
        let status = await post(agent, target, body);
        status !== 202;
        status = await post(agent, target, body)
      ) {
        if (status !== 429 && status !== 503) throw new Error(`${target.url}: ${status}`)
        refused++
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  }
  const start = performance.now()
  await Promise.all(Array.from({ length: connections }, sendInTurn))
  agent.destroy()
  return { batches: count, seconds: (performance.now() - start) / 1_000, refused }
}

/** Sends so many batches a second for some seconds, whether or not earlier ones were answered. */
export async function sendSteadily(
  target: Target,
  batches: readonly Batch[],
  perSecond: number,
  seconds: number,
): Promise<Run> {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  const count = Math.round(perSecond * seconds)
  const start = performance.now()
  let refused = 0
  const pending: Promise<void>[] = []
  for (let sent = 0; sent < count; sent++) {
    const wait = start + (sent * 1_000) / perSecond - performance.now()
    if (wait > 1) await new Promise((resolve) => setTimeout(resolve, wait))
    const batch = batches[sent % batches.length]
    if (!batch) throw new Error('there is nothing to send')
    pending.push(
      post(agent, target, toBody(batch)).then((status) => {
        if (status !== 202) refused++
      }),
    )
  }
  await Promise.all(pending)
  agent.destroy()
  return { batches: count, seconds: (performance.now() - start) / 1_000, refused }
}
