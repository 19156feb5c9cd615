// The only file that fetches from the management API. Behind Cloudflare Access the session says who asks; else a token
// that was typed, which the tab keeps and nothing else.

const STORED_TOKEN = 'rampart.token'

/** Who asks, and what they may. */
export type Me = { readonly id: string; readonly role: string }

/** Why something was not done, in words that may be shown. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

function tokenHeader(): { readonly [name: string]: string } {
  const token = sessionStorage.getItem(STORED_TOKEN)
  return token === null ? {} : { authorization: `Bearer ${token}` }
}

async function refusalOf(response: Response): Promise<Refused> {
  try {
    const { error } = (await response.json()) as { error: { code: string; message: string } }
    return new Refused(error.code, error.message)
  } catch {
    // Cloudflare Access answers with a page of its own when a session is over.
    return new Refused(String(response.status), `The server answered ${response.status}.`)
  }
}

async function ask(path: string, init: RequestInit = {}): Promise<unknown> {
  const response = await fetch(`/api/v1${path}`, {
    ...init,
    headers: { ...tokenHeader(), ...init.headers },
  }).catch(() => {
    throw new Refused(
      'unreachable',
      'The server cannot be reached. If your session is over, load this page again.',
    )
  })
  if (!response.ok) throw await refusalOf(response)
  return response.json()
}

/** Reads something of the management API. */
export function read<T>(path: string): Promise<T> {
  // What the API answers is described by its document, and tested there.
  return ask(path) as Promise<T>
}

/**
 * Does something.
 * @param repeatKey the same for the same deed, so that it happens once however often it is sent
 */
export async function act(path: string, body: object, repeatKey: string): Promise<void> {
  await ask(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': repeatKey },
    body: JSON.stringify(body),
  })
}

/** Who asks; undefined when nobody is recognised. */
export async function whoAmI(): Promise<Me | undefined> {
  try {
    return await read<Me>('/me')
  } catch (error) {
    if (error instanceof Refused && ['unauthorized', 'expired'].includes(error.code)) return undefined
    throw error
  }
}

/** Keeps a token until the tab is closed. */
export function keepToken(token: string): void {
  sessionStorage.setItem(STORED_TOKEN, token)
}

/** Forgets the token, where one was typed. */
export function forgetToken(): void {
  sessionStorage.removeItem(STORED_TOKEN)
}

/** Whether somebody has typed a token, who can so be another. */
export function hasToken(): boolean {
  return sessionStorage.getItem(STORED_TOKEN) !== null
}
