import { Agent, request } from 'node:http'

/** Requests under way at a time. */
const CONCURRENCY = 16

const agent = new Agent({ keepAlive: true, maxSockets: CONCURRENCY, maxFreeSockets: CONCURRENCY })

/** A POST of JSON, ready to be sent again and again. */
export type Post = { readonly body: string; readonly headers: { readonly [name: string]: string } }

/** What came back; a header that came more than once is joined. */
export type Reply = { readonly status: number; readonly etag: string | undefined; readonly text: string }

/** Makes a POST with the headers that a client sends, and some more. */
export function createPost(body: string, more: { readonly [name: string]: string } = {}): Post {
  const length = String(Buffer.byteLength(body))
  return { body, headers: { 'content-type': 'application/json', 'content-length': length, ...more } }
}

/** Sends one request over a connection that is kept. */
export function send(url: URL, { body, headers }: Post): Promise<Reply> {
  return new Promise((resolve, reject) => {
    request(url.href, { method: 'POST', agent, headers }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          etag: response.headers.etag,
          text: Buffer.concat(chunks).toString(),
        }),
      )
    })
      .on('error', reject)
      .end(body)
  })
}

/** Sends `count` requests, going round the posts, a few at a time; an answer of another status is a mistake. */
export async function sendMany(url: URL, posts: readonly Post[], count: number, status: number) {
  let sent = 0
  const sendInTurn = async () => {
    while (sent < count) {
      const post = posts[sent++ % posts.length]
      if (!post) throw new Error('there is nothing to send')
      const reply = await send(url, post)
      if (reply.status !== status) throw new Error(`${url.pathname}: ${reply.status} ${reply.text}`)
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, sendInTurn))
}

/** Stops keeping connections. */
export function closeConnections() {
  agent.destroy()
}
