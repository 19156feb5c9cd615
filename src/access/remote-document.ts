// JSON documents that an identity provider publishes, kept for as long as the isolate lives.

const TIMEOUT_MS = 5_000
/** How long a provider that could not be read is left alone. */
const RETRY_MS = 5_000
const POLL_MS = 25

type Held<T> = { readonly value: T; readonly at: number }

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

async function fetchJson(url: string, signal: AbortSignal): Promise<unknown> {
  // Whoever can make the provider redirect must not be able to choose the keys.
  const response = await fetch(url, { redirect: 'manual', headers: { accept: 'application/json' }, signal })
  if (response.ok) return response.json()
  await response.body?.cancel()
  throw new Error(`answered with ${response.status}`)
}

async function fetchInTime(url: string): Promise<unknown> {
  const abort = new AbortController()
  let timer: ReturnType<typeof setTimeout> | null = null
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no answer within ${TIMEOUT_MS} ms`))
      abort.abort()
    }, TIMEOUT_MS)
  })
  try {
    return await Promise.race([fetchJson(url, abort.signal), timeout])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * A document behind an address, fetched by one request at a time. The others wait by looking again: a promise of
 * another request hangs for ever when that request is cut off, a lease runs out.
 */
export class RemoteDocument<T> {
  private readonly url: string
  private readonly parse: (json: unknown) => T
  private held: Held<T> | undefined
  private leasedUntil = 0
  private retryAt = 0

  /** @param parse throws when the document is not what it must be */
  constructor(url: string, parse: (json: unknown) => T) {
    this.url = url
    this.parse = parse
  }

  /** The document, fetched at most `maxAgeMs` ago; undefined when the provider cannot be reached within 5 s. */
  async load(maxAgeMs: number): Promise<T | undefined> {
    // Counted, not timed, so that nobody waits for ever whatever the clock does.
    for (let waited = 0; waited <= TIMEOUT_MS; waited += POLL_MS) {
      const now = Date.now()
      if (this.held && now - this.held.at < maxAgeMs) return this.held.value
      if (now < this.retryAt) return undefined
      if (now >= this.leasedUntil) return this.fetch(now)
      await sleep(POLL_MS)
    }
    return undefined
  }

  private async fetch(now: number): Promise<T | undefined> {
    this.leasedUntil = now + TIMEOUT_MS
    try {
      const value = this.parse(await fetchInTime(this.url))
      this.held = { value, at: now }
      return value
    } catch (error) {
      console.warn('identity provider not reachable', { url: this.url, error: String(error) })
      this.retryAt = Date.now() + RETRY_MS
      return undefined
    }
  }
}
