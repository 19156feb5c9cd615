// The only file that fetches: flags as a browser client gets them, over OFREP.

/** One flag as it was answered. */
export type Answer = {
  readonly key: string
  readonly value?: unknown
  readonly variant?: string
  readonly reason?: string
  readonly errorCode?: string
}

/** All flags of a client key for one context. */
export type Evaluated = {
  readonly flags: readonly Answer[]
  readonly environment: string
  readonly version: string
  /** Where changes are told; null when the server tells none. */
  readonly stream: string | null
}

type BulkBody = {
  readonly flags: readonly Answer[]
  readonly metadata?: { readonly flagSetId?: string; readonly version?: string }
  readonly eventStreams?: readonly { readonly endpoint?: { readonly requestUri: string } }[]
}

/**
 * Asks for all flags.
 * @throws an error that may be shown when the key is not known or the server does not answer as it should
 */
export async function evaluateAll(
  key: string,
  context: { readonly [name: string]: unknown },
): Promise<Evaluated> {
  const response = await fetch('/ofrep/v1/evaluate/flags', {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ context }),
  })
  if (response.status === 401) throw new Error('This key is not known.')
  if (response.status === 429) throw new Error('Too many failed attempts. Wait a minute.')
  if (!response.ok) throw new Error(`The server answered ${response.status}.`)
  const body = (await response.json()) as BulkBody
  return {
    flags: body.flags,
    environment: body.metadata?.flagSetId ?? '',
    version: body.metadata?.version ?? '',
    stream: body.eventStreams?.[0]?.endpoint?.requestUri ?? null,
  }
}

/**
 * Listens for changes.
 * @returns the function that stops listening
 */
export function listen(stream: string, onChange: () => void, onState: (open: boolean) => void): () => void {
  const source = new EventSource(stream)
  source.addEventListener('open', () => onState(true))
  source.addEventListener('error', () => onState(false))
  source.addEventListener('message', onChange)
  return () => source.close()
}
