// JWTs of people and services: signed by Cloudflare Access, or by the OIDC issuer that the operator trusts. What a
// token says is looked at only once its signature, issuer, audience and times hold.
import {
  createLocalJWKSet,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose'
import type { Bindings } from '../bindings.ts'
import { RemoteDocument } from './remote-document.ts'
import type { Result } from './result.ts'

/** Who signs identities, and for whom. */
export type Issuer = {
  readonly kind: 'access' | 'oidc'
  /** What `iss` must be, letter by letter. */
  readonly issuer: string
  /** What must be `aud`, or be in it. */
  readonly audience: string
  /** null: the issuer's discovery document says. */
  readonly jwksUrl: string | null
  readonly algorithms: readonly string[]
}

/** Why a JWT stands for nobody; `unavailable`: its issuer's keys cannot be had, so nobody knows. */
export type JwtError = 'invalid' | 'expired' | 'unavailable'

/** What a JWT says once it is verified. */
export type Claims = JWTPayload

const MAX_AGE_MS = 600_000
/** A key that is unknown is looked for again at most this often, so that made-up names of keys cost nothing. */
const UNKNOWN_KEY_COOLDOWN_MS = 30_000
const CLOCK_TOLERANCE_SECONDS = 30
const MAX_TOKEN_LENGTH = 16_384

// With a shared secret, whoever knows the public key could sign.
const ASYMMETRIC = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
]
/** Issuers sign more than identities (logout tokens, security events); those say so here. */
const IDENTITY_TYPE = /^(application\/)?(at\+)?jwt$/i

/** Whether keys may come from an address: encrypted, or this machine's own. */
function isTrustworthy(url: string): boolean {
  const { protocol, hostname } = URL.parse(url) ?? {}
  return (
    protocol === 'https:' || (protocol === 'http:' && (hostname === 'localhost' || hostname === '127.0.0.1'))
  )
}

/** Cloudflare Access, when team and audience are configured. */
export function accessIssuer({ ACCESS_TEAM, ACCESS_AUDIENCE }: Bindings): Issuer | undefined {
  if (!ACCESS_TEAM || !ACCESS_AUDIENCE || !/^[a-z0-9-]+$/i.test(ACCESS_TEAM)) return undefined
  const issuer = `https://${ACCESS_TEAM.toLowerCase()}.cloudflareaccess.com`
  return {
    kind: 'access',
    issuer,
    audience: ACCESS_AUDIENCE,
    jwksUrl: `${issuer}/cdn-cgi/access/certs`,
    algorithms: ['RS256'],
  }
}

/** The OIDC issuer, when it and the audience are configured, and its keys travel encrypted. */
export function oidcIssuer({ OIDC_ISSUER, OIDC_AUDIENCE, OIDC_JWKS_URL }: Bindings): Issuer | undefined {
  if (!OIDC_ISSUER || !OIDC_AUDIENCE || !isTrustworthy(OIDC_JWKS_URL || OIDC_ISSUER)) return undefined
  return {
    kind: 'oidc',
    issuer: OIDC_ISSUER,
    audience: OIDC_AUDIENCE,
    jwksUrl: OIDC_JWKS_URL || null,
    algorithms: ASYMMETRIC,
  }
}

const discoveries = new Map<string, RemoteDocument<string>>()
const keySets = new Map<string, RemoteDocument<JWTVerifyGetKey>>()

function documentAt<T>(
  documents: Map<string, RemoteDocument<T>>,
  url: string,
  parse: (json: unknown) => T,
): RemoteDocument<T> {
  const document = documents.get(url) ?? new RemoteDocument(url, parse)
  documents.set(url, document)
  return document
}

/** Forgets every issuer's keys, as a new isolate has. */
export function clearKeys(): void {
  discoveries.clear()
  keySets.clear()
}

// OpenID Connect Discovery 1.0, section 4: a slash at the end of the issuer goes; section 4.3: the document must name
// the very issuer that it was asked for.
async function discoverJwksUrl(issuer: string): Promise<string | undefined> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const parse = (json: unknown) => {
    const named: unknown = Reflect.get(Object(json), 'issuer')
    const jwksUrl: unknown = Reflect.get(Object(json), 'jwks_uri')
    if (named !== issuer) throw new Error(`speaks for ${JSON.stringify(named)}`)
    if (typeof jwksUrl !== 'string' || !isTrustworthy(jwksUrl)) throw new Error('names no address of keys')
    return jwksUrl
  }
  return documentAt(discoveries, url, parse).load(MAX_AGE_MS)
}

async function loadKeys(url: string, maxAgeMs: number): Promise<JWTVerifyGetKey | undefined> {
  // jose itself throws when this is no key set.
  const parse = (json: unknown) => createLocalJWKSet(json as JSONWebKeySet)
  return documentAt(keySets, url, parse).load(maxAgeMs)
}

type Failure = Exclude<JwtError, 'unavailable'> | 'unknown_key'

function failureOf(error: unknown): Failure {
  if (error instanceof errors.JWTExpired) return 'expired'
  if (error instanceof errors.JWKSNoMatchingKey) return 'unknown_key'
  // A published key that the platform cannot read is the issuer's affair.
  if (!(error instanceof errors.JOSEError)) console.warn('JWT not verified', { error: String(error) })
  return 'invalid'
}

async function verifyWith(
  keys: JWTVerifyGetKey,
  token: string,
  { issuer, audience, algorithms }: Issuer,
  now: number,
): Promise<Result<Claims, Failure>> {
  try {
    const { payload, protectedHeader } = await jwtVerify(token, keys, {
      issuer,
      audience,
      algorithms: [...algorithms],
      requiredClaims: ['exp'],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: new Date(now),
    })
    const { typ } = protectedHeader
    if (typ !== undefined && !IDENTITY_TYPE.test(typ)) return { ok: false, error: 'invalid' }
    return { ok: true, value: payload }
  } catch (error) {
    return { ok: false, error: failureOf(error) }
  }
}

function narrowed(result: Result<Claims, Failure>): Result<Claims, JwtError> {
  if (result.ok) return result
  return { ok: false, error: result.error === 'unknown_key' ? 'invalid' : result.error }
}

/**
 * Verifies a JWT: signed with one of the issuer's keys and an asymmetric algorithm, for this audience, not before its
 * `nbf` nor after its `exp`, which it must have (30 s of tolerance). A key that is not known is looked for once more.
 */
export async function verifyJwt(
  token: string,
  issuer: Issuer,
  now: number,
): Promise<Result<Claims, JwtError>> {
  if (token.length > MAX_TOKEN_LENGTH) return { ok: false, error: 'invalid' }
  const url = issuer.jwksUrl ?? (await discoverJwksUrl(issuer.issuer))
  const keys = url === undefined ? undefined : await loadKeys(url, MAX_AGE_MS)
  if (url === undefined || !keys) return { ok: false, error: 'unavailable' }
  const first = await verifyWith(keys, token, issuer, now)
  if (first.ok || first.error !== 'unknown_key') return narrowed(first)
  const newer = await loadKeys(url, UNKNOWN_KEY_COOLDOWN_MS)
  if (!newer) return { ok: false, error: 'unavailable' }
  return narrowed(newer === keys ? first : await verifyWith(newer, token, issuer, now))
}
