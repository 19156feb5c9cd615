// The management API as the demo calls it.

/** One call; its answer's JSON, or its text where it is none. */
export type Call = <Answer>(method: string, path: string, body?: object) => Promise<Answer>

/** A management client; a refusal is thrown with what it says. */
export function createCall(url: URL, token: string): Call {
  return async <Answer>(method: string, path: string, body?: object) => {
    const response = await fetch(new URL(`/api/v1${path}`, url), {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false
    return (isJson ? JSON.parse(text) : text) as Answer
  }
}
