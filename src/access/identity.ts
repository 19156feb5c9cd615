// From what a verified JWT says to who that is. Pure. No two kinds of people can have the same id, whatever names an
// issuer lets them choose: an e-mail holds no colon, services and subjects carry their kind.
import type { Claims, Issuer } from './jwt.ts'

/** Who somebody is, as their issuer vouches. */
export type Identity = {
  /** `ada@example.com`, `service:<name>` of a Cloudflare Access service token, or `sub:<subject>`. */
  readonly id: string
  /** For people to read; anybody may have chosen it. */
  readonly name: string
  /** What members may be matched by: `groups:release`, `custom.groups:release`. */
  readonly claims: readonly string[]
}

const MAX_CLAIMS = 500
const MAX_LENGTH = 256
const MAX_DEPTH = 4

/** Claims about the token and not about who it stands for; and `service`, which would look like a service's id. */
const NOT_MATCHED = [
  ...['iss', 'aud', 'jti', 'nonce', 'sid', 'azp', 'typ', 'type', 'at_hash', 'c_hash', 's_hash'],
  ...['identity_nonce', 'service'],
]

// Neither spaces nor what cannot be seen, which would let two addresses look alike.
const EMAIL = /^[^\s:@\p{Cc}\p{Cf}]{1,64}@[^\s:@\p{Cc}\p{Cf}]{1,189}$/u
const CLAIM = /^[^\s:\p{Cc}\p{Cf}][^\p{Cc}\p{Cf}]*:[^\p{Cc}\p{Cf}]+$/u

/**
 * The form in which an e-mail is compared; undefined when it is none. Only A–Z become small: the full rules make a
 * `k` of the Kelvin sign, and so one person of two.
 */
export function parseEmail(text: string): string | undefined {
  if (!EMAIL.test(text)) return undefined
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}

/** The form in which a member's id is stored: an e-mail or `claim:value`; undefined when it is neither. */
export function parseMemberId(text: string): string | undefined {
  if (text.length > MAX_LENGTH) return undefined
  return parseEmail(text) ?? (CLAIM.test(text) ? text : undefined)
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= MAX_LENGTH ? value : undefined
}

function flatten(path: string, value: unknown, depth: number): readonly string[] {
  if (typeof value === 'string') return [`${path}:${value}`]
  if (Array.isArray(value))
    return value.flatMap((entry) => (typeof entry === 'string' ? [`${path}:${entry}`] : []))
  if (typeof value !== 'object' || value === null || depth >= MAX_DEPTH) return []
  return Object.entries(value).flatMap(([name, entry]) => flatten(`${path}.${name}`, entry, depth + 1))
}

const isRefused = ({ email_verified }: Claims) => email_verified === false || email_verified === 'false'
const isVerified = ({ email_verified }: Claims) => email_verified === true || email_verified === 'true'

/** Every text that the claims hold, with where; what is too long is left out, never cut to something else. */
function matchableClaims(claims: Claims, kind: Issuer['kind']): readonly string[] {
  const left = new Set(NOT_MATCHED)
  if (isRefused(claims)) left.add('email')
  // Cloudflare names services by it; elsewhere people may choose it.
  if (kind !== 'access') left.add('common_name')
  return Object.entries(claims)
    .filter(([name]) => !left.has(name))
    .flatMap(([name, value]) => flatten(name, value, 1))
    .filter((claim) => claim.length <= MAX_LENGTH)
    .slice(0, MAX_CLAIMS)
}

/** Access only lets in whose address it has checked, and need not say so; an OIDC issuer has to. */
function emailOf(claims: Claims, kind: Issuer['kind']): string | undefined {
  const isChecked = isVerified(claims) || (kind === 'access' && !isRefused(claims))
  const email = textOf(claims.email)
  return isChecked && email !== undefined ? parseEmail(email) : undefined
}

function idOf(claims: Claims, kind: Issuer['kind']): string | undefined {
  const service = kind === 'access' ? textOf(claims.common_name) : undefined
  const subject = textOf(claims.sub)
  return (
    emailOf(claims, kind) ??
    (service === undefined ? undefined : `service:${service}`) ??
    (subject === undefined ? undefined : `sub:${subject}`)
  )
}

/** Who verified claims stand for; undefined when they name nobody. */
export function toIdentity(claims: Claims, kind: Issuer['kind']): Identity | undefined {
  const id = idOf(claims, kind)
  if (id === undefined) return undefined
  return {
    id,
    name: textOf(claims.name) ?? id,
    claims: matchableClaims(claims, kind),
  }
}
