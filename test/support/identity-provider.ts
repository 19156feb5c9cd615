// Identity providers as the outside world has them: keys, signed JWTs, and addresses that `fetch` finds.
import {
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTHeaderParameters,
  type JWTPayload,
  SignJWT,
} from 'jose'
import { afterEach, beforeEach, vi } from 'vitest'

/** A pair of keys with its name and algorithm. */
export type SigningKey = {
  readonly kid: string
  readonly alg: string
  readonly privateKey: CryptoKey
  readonly publicKey: CryptoKey
  readonly jwk: JWK
}

export async function makeSigningKey(kid: string, alg = 'RS256'): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  return { kid, alg, privateKey, publicKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }
}

/** Signs claims; `header` may say anything else. */
export function sign(
  claims: JWTPayload,
  { kid, alg, privateKey }: SigningKey,
  header: Partial<JWTHeaderParameters> = {},
): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg, kid, typ: 'JWT', ...header }).sign(privateKey)
}

/** What the outside answers by address: JSON, a response, or whatever a function does. */
export type Answers = { [url: string]: object | (() => Response | Promise<Response>) }

/** Puts answers where `fetch` finds them, for each test of a file; `calls` are the addresses that were asked. */
export function serveOutside(): { readonly answers: Answers; readonly calls: string[] } {
  const outside: { answers: Answers; calls: string[] } = { answers: {}, calls: [] }
  beforeEach(() => {
    for (const url of Object.keys(outside.answers)) delete outside.answers[url]
    outside.calls.length = 0
    vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
      const url = input instanceof Request ? input.url : String(input)
      outside.calls.push(url)
      const answer = outside.answers[url]
      if (answer === undefined) throw new TypeError('network connection lost')
      const response = typeof answer === 'function' ? await answer() : Response.json(answer)
      const location = response.headers.get('location')
      return location !== null && init?.redirect !== 'manual' ? fetch(location) : response
    })
  })
  afterEach(() => {
    vi.mocked(globalThis.fetch).mockRestore()
  })
  return outside
}
