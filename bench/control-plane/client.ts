import { Agent, type IncomingHttpHeaders, request } from 'node:http'

/** What came back. */
export type Reply = {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** When it was sent and when the whole answer was there, in milliseconds of `performance.now()`. */
  readonly sentAt: number
  readonly answeredAt: number
}

type Ask = {
  readonly body?: string | undefined
  readonly headers?: { readonly [name: string]: string }
}

/** Asks one Worker over connections that are kept; those who ask one after another use one connection. */
export type Client = {
  /** @throws unless the answer's status is 2xx */
  readonly ask: (method: string, path: string, asked?: Ask) => Promise<Reply>
  readonly close: () => void
}

/** Makes a client; with a token, every request carries it. */
export function createClient(url: URL, token?: string): Client {
  const agent = new Agent({ keepAlive: true })
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const ask = (method: string, path: string, { body, headers = {} }: Ask = {}): Promise<Reply> => {
    const content =
      body === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }
    const sentAt = performance.now()
    return new Promise((resolve, reject) => {
      request(
        new URL(path, url).href,
        { method, agent, headers: { ...authorization, ...content, ...headers } },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () => {
            const answeredAt = performance.now()
            const text = Buffer.concat(chunks).toString()
            const status = response.statusCode ?? 0
            if (status < 200 || status > 299) {
              reject(new Error(`${method} ${path}: ${status} ${text.slice(0, 500)}`))
            } else resolve({ status, headers: response.headers, text, sentAt, answeredAt })
          })
        },
      )
        .on('error', reject)
        .end(body)
    })
  }
  return { ask, close: () => agent.destroy() }
}
