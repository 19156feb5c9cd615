// Requests for routes, and who makes them.
import { env } from 'cloudflare:workers'
import type { Role } from '../../src/access/actor.ts'
import type { Bindings } from '../../src/bindings.ts'
import { BINDINGS, fetchApi, type serveIdentities } from '../support/access.ts'
import { from, makeRequest } from '../support/worker.ts'
import type { Operation } from './document.ts'
import { GUARDED, OWN } from './fixture.ts'
import type { Ask } from './route-cases.ts'

/** A refusal or an answer, with what its body is said to be. */
export type Reply = {
  readonly status: number
  readonly headers: Headers
  readonly type: string
  readonly body: unknown
}

/** How a request differs from a valid one. */
export type Oddities = {
  readonly bindings?: Bindings
  readonly headers?: { readonly [name: string]: string }
  /** Sent in place of the JSON. */
  readonly body?: BodyInit
}

/** The request that a case asks for; without a token nobody makes it. */
export function requestOf(
  { method, path }: Operation,
  ask: Ask,
  as: string | undefined,
  { headers = {}, body }: Oddities = {},
): Request {
  const place = path.replaceAll(/\{(\w+)\}/g, (_, name) => encodeURIComponent(ask.path?.[name] ?? ''))
  const query = ask.query === undefined ? '' : `?${new URLSearchParams({ ...ask.query })}`
  const json = ask.json === undefined ? null : JSON.stringify(ask.json)
  return makeRequest(place + query, {
    method,
    headers: {
      ...(as === undefined ? {} : { authorization: `Bearer ${as}` }),
      ...(json === null ? {} : { 'content-type': 'application/json' }),
      ...(ask.revision === undefined ? {} : from(ask.revision)),
      ...headers,
    },
    ...(json === null && body === undefined ? {} : { body: body ?? json ?? '' }),
  })
}

/** Makes the request that a case asks for. */
export async function send(
  operation: Operation,
  ask: Ask,
  as: string | undefined,
  oddities: Oddities = {},
): Promise<Reply> {
  const response = await fetchApi(requestOf(operation, ask, as, oddities), oddities.bindings ?? BINDINGS)
  const type = (response.headers.get('content-type') ?? '').replace(/;.*/, '')
  const text = await response.text()
  const body: unknown = type === 'application/json' ? JSON.parse(text) : text
  return { status: response.status, headers: response.headers, type, body }
}

/** People's JWTs by what they may: everywhere, and everywhere but `ELSEWHERE`. */
export type People = { readonly [role in Role]: { readonly everywhere: string; readonly limited: string } }

/** Lets somebody in for each role, everywhere and limited. */
export async function joinAll({ join }: ReturnType<typeof serveIdentities>): Promise<People> {
  const joinBoth = async (role: Role) => {
    const everywhere = await join(role)
    const limited = await join(role, [GUARDED, OWN])
    return { everywhere: everywhere.jwt, limited: limited.jwt }
  }
  return {
    signaller: await joinBoth('signaller'),
    viewer: await joinBoth('viewer'),
    developer: await joinBoth('developer'),
    releaser: await joinBoth('releaser'),
    admin: await joinBoth('admin'),
  }
}

const HOW_DATABASES_FAIL = 'D1_ERROR: no such column: secret_column'

/** Bindings whose database refuses whatever it is asked. */
export function withoutDatabase(bindings: Bindings): Bindings {
  const fail = () => {
    throw new Error(HOW_DATABASES_FAIL)
  }
  return { ...bindings, DB: new Proxy(env.DB, { get: () => fail }) }
}
