// Receivers of webhooks as the outside world has them: addresses that `fetch` finds, and what was sent there.
import { afterEach, beforeEach, vi } from 'vitest'

/** A request that arrived. */
export type Received = {
  readonly url: string
  readonly headers: { readonly [name: string]: string }
  readonly body: string
  /** Whether redirects would have been followed. */
  readonly redirect: string
}

type Answering = (received: Received, signal: AbortSignal) => Response | Promise<Response>

/** Takes whatever is fetched in each test of a file; what is answered is 200 `ok` until a test says otherwise. */
export function receive() {
  const received: Received[] = []
  const ok: Answering = () => new Response('ok')
  let answering = ok
  beforeEach(() => {
    received.length = 0
    answering = ok
    vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
      const request = new Request(input, init)
      const one = {
        url: request.url,
        headers: Object.fromEntries(request.headers),
        body: await request.text(),
        redirect: request.redirect,
      }
      received.push(one)
      return answering(one, request.signal)
    })
  })
  afterEach(() => {
    vi.mocked(globalThis.fetch).mockRestore()
  })
  return {
    received,
    answer(next: Answering) {
      answering = next
    },
  }
}
