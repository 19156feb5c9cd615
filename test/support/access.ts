// The management API as people and programs call it, and people who come with a JWT.
import { env } from 'cloudflare:workers'
import { beforeAll, beforeEach } from 'vitest'
import type { Grant } from '../../src/access/actor.ts'
import type { Bindings } from '../../src/bindings.ts'
import { makeSigningKey, type SigningKey, serveOutside, sign } from './identity-provider.ts'
import { type Answer, makeRequest, read, serve, uniqueName } from './worker.ts'

const ISSUER = 'https://id.example'
const KEYS = 'https://id.example/keys'

/** Bindings with an OpenID Connect issuer whose JWTs are believed. */
export const BINDINGS: Bindings = {
  ...env,
  OIDC_ISSUER: ISSUER,
  OIDC_AUDIENCE: 'rampart',
  OIDC_JWKS_URL: KEYS,
}

export type Asking = {
  /** The bearer token; left out: the administrator's. */
  readonly as?: string
  readonly json?: unknown
  readonly headers?: { readonly [name: string]: string }
  readonly bindings?: Bindings
}

/** Hands a request to the Worker, and waits for what goes on after the answer. */
export async function fetchApi(request: Request, bindings: Bindings = BINDINGS): Promise<Response> {
  const { response, settled } = await serve(request, bindings)
  await settled()
  return response
}

/** Calls the management API. */
export async function call(
  method: string,
  path: string,
  { as = 'test-admin', json, headers = {}, bindings = BINDINGS }: Asking = {},
): Promise<Answer> {
  const sending = { method, headers: { authorization: `Bearer ${as}`, ...headers } }
  const request = makeRequest(`/api/v1${path}`, json === undefined ? sending : { ...sending, json })
  return read(await fetchApi(request, bindings))
}

/** An identity provider, for each test of a file. */
export function serveIdentities() {
  const outside = serveOutside()
  let key: SigningKey
  beforeAll(async () => {
    key = await makeSigningKey('k1', 'ES256')
  })
  beforeEach(() => {
    outside.answers[KEYS] = { keys: [key.jwk] }
  })

  const jwtOf = (email: string, claims: object = {}) => {
    const exp = Math.floor(Date.now() / 1_000) + 3_600
    const own = { iss: ISSUER, aud: 'rampart', exp, email, email_verified: true }
    return sign({ ...own, ...claims }, key)
  }

  return {
    /** The JWT of somebody, member or not. */
    jwtOf,

    /** How often the provider was asked for its keys in this test. */
    calls: () => outside.calls.length,

    /** Makes a member with these rights; their e-mail and their JWT. */
    async join(role: Grant['role'], environments: Grant['environments'] = null) {
      const email = `${uniqueName('member')}@example.com`
      const json = { name: 'Member', role, environments }
      const { status } = await call('PUT', `/members/${email}`, { json, headers: { 'if-none-match': '*' } })
      if (status !== 200) throw new Error(`no member: ${status}`)
      return { email, jwt: await jwtOf(email) }
    },
  }
}

/** What a refusal is told by: its status and code. */
export function refusalOf({ status, body }: Answer): readonly [number, unknown] {
  return [status, Reflect.get(Object(Reflect.get(Object(body), 'error')), 'code')]
}
