// Finds out who acts through the management API. What D1 says of tokens and members is remembered for less than 5 s,
// so that a page's many reads do not each wait for it twice; a right that was taken away ends within that time.
import type { Bindings } from '../bindings.ts'
import type { Actor, Grant } from './actor.ts'
import { equalsInConstantTime } from './constant-time.ts'
import { type Identity, toIdentity } from './identity.ts'
import { accessIssuer, clearKeys, type Issuer, oidcIssuer, verifyJwt } from './jwt.ts'
import { hashKey } from './key.ts'
import { grantOf, loadGrantsFor } from './members.ts'
import type { Result } from './result.ts'
import { ShortMemory } from './short-memory.ts'
import { grantOfToken, isLive, loadToken, parseToken, type TokenWithOwner } from './tokens.ts'

/**
 * Why nobody acts: nothing that says who it is; something that stands for nobody; something that has expired; an
 * identity provider that cannot be reached; somebody who may do nothing; or a browser that another site steers.
 */
export type AuthenticationError =
  | 'missing'
  | 'invalid'
  | 'expired'
  | 'unavailable'
  | 'no_member'
  | 'cross_site'

type Authentication = Result<Actor, AuthenticationError>

const rememberedTokens = new ShortMemory<TokenWithOwner>()
const rememberedGrants = new ShortMemory<Grant>()

/** Forgets what tokens and members may: after a change of rights, this isolate obeys at once. */
export function forgetRights(): void {
  rememberedTokens.clear()
  rememberedGrants.clear()
}

/** Forgets rights and issuers' keys, as a new isolate has. */
export function clearAuthentication(): void {
  forgetRights()
  clearKeys()
}

const refused = (error: AuthenticationError): Authentication => ({ ok: false, error })

function bearerOf(headers: Headers): string | undefined {
  return /^Bearer\s+(\S+)\s*$/i.exec(headers.get('authorization') ?? '')?.[1]
}

/** Whether another site makes a browser change something here, with the identity that the browser adds by itself. */
function isCrossSite({ method, headers, url }: Request): boolean {
  // A socket is opened with GET, and what it says is not kept from other sites as an answer is.
  if ((method === 'GET' || method === 'HEAD') && !headers.has('upgrade')) return false
  const origin = headers.get('origin')
  const site = headers.get('sec-fetch-site')
  const isForeign = origin !== null && origin !== new URL(url).origin
  return isForeign || (site !== null && site !== 'same-origin' && site !== 'none')
}

async function tokenOf(text: string, { DB }: Bindings, now: number): Promise<TokenWithOwner | undefined> {
  const hash = await hashKey(text)
  const remembered = rememberedTokens.get(hash, now)
  if (remembered) return remembered
  const found = await loadToken(DB, hash)
  // What is no token is not remembered: it would push out those that are, and a new one has to work at once.
  if (found) rememberedTokens.set(hash, found, now)
  return found
}

async function actorOfToken(text: string, bindings: Bindings, now: number): Promise<Authentication> {
  const found = parseToken(text) && (await tokenOf(text, bindings, now))
  if (!found || found.token.revokedAt !== null) return refused('invalid')
  if (!isLive(found.token, now)) return refused('expired')
  const { id, owner } = found.token
  const actor = { id: owner, via: `token:${id}`, issuedBy: found.token.createdBy, ...grantOfToken(found) }
  return { ok: true, value: actor }
}

async function grantFor(identity: Identity, { DB }: Bindings, now: number): Promise<Grant | undefined> {
  const key = await hashKey(JSON.stringify([identity.id, identity.claims]))
  const remembered = rememberedGrants.get(key, now)
  if (remembered) return remembered
  const grant = grantOf(identity, await loadGrantsFor(DB, identity))
  if (grant) rememberedGrants.set(key, grant, now)
  return grant
}

async function actorOfJwt(
  text: string,
  issuer: Issuer,
  bindings: Bindings,
  now: number,
): Promise<Authentication> {
  const claims = await verifyJwt(text, issuer, now)
  if (!claims.ok) return claims
  const identity = toIdentity(claims.value, issuer.kind)
  if (!identity) return refused('invalid')
  const grant = await grantFor(identity, bindings, now)
  return grant ? { ok: true, value: { id: identity.id, via: 'jwt', ...grant } } : refused('no_member')
}

async function actorOfBearer(text: string, bindings: Bindings, now: number): Promise<Authentication> {
  const { ADMIN_TOKEN } = bindings
  if (ADMIN_TOKEN && equalsInConstantTime(text, ADMIN_TOKEN)) {
    return { ok: true, value: { id: 'admin', via: 'admin', role: 'admin', environments: null } }
  }
  if (text.startsWith('rp_token_')) return actorOfToken(text, bindings, now)
  const issuer = text.split('.').length === 3 ? oidcIssuer(bindings) : undefined
  return issuer ? actorOfJwt(text, issuer, bindings, now) : refused('invalid')
}

/**
 * Finds out who acts: by the bearer token (the bootstrap secret, a management token, an OIDC issuer's JWT), which
 * alone counts when there is one; else by the identity that Cloudflare Access put before the request, with which no
 * other site may change anything.
 */
export async function authenticate(
  request: Request,
  bindings: Bindings,
  now: number,
): Promise<Authentication> {
  const bearer = bearerOf(request.headers)
  if (bearer !== undefined) return actorOfBearer(bearer, bindings, now)
  const assertion = request.headers.get('cf-access-jwt-assertion')
  const issuer = accessIssuer(bindings)
  if (assertion === null || !issuer) return refused('missing')
  if (isCrossSite(request)) return refused('cross_site')
  return actorOfJwt(assertion, issuer, bindings, now)
}
