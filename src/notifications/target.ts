// Where a message may go, and how that is shown. Pure.
import type { Result } from '../access/result.ts'
import type { Channel, ChannelKind } from './channel.ts'
import { isPublicHost } from './public-address.ts'

/** Why nothing is sent to a target. */
export type TargetProblem = 'malformed' | 'not_https' | 'has_credentials' | 'private' | 'email_not_configured'

/** What the operator of a deployment allows. */
export type TargetRules = {
  /** Addresses that are not of the public internet, and plain HTTP. */
  readonly allowPrivate: boolean
  /** E-mail: there is a binding, and somebody whom it comes from. */
  readonly allowEmail: boolean
}

const LONGEST_URL = 2_000
const LONGEST_EMAIL = 254
const EMAIL = /^[^\s@<>()[\],;:"\\]{1,64}@[^\s@<>()[\],;:"\\]+\.[a-z0-9-]{2,}$/i
/** What is short enough to be an ordinary word of an address. */
const SHORTEST_SECRET = 6

function parseAddress(text: string, { allowPrivate }: TargetRules): Result<string, TargetProblem> {
  const url = text.length <= LONGEST_URL ? URL.parse(text) : null
  if (!url || !/^https?:$/.test(url.protocol)) return { ok: false, error: 'malformed' }
  if (url.username !== '' || url.password !== '') return { ok: false, error: 'has_credentials' }
  if (!allowPrivate && url.protocol !== 'https:') return { ok: false, error: 'not_https' }
  if (!allowPrivate && !isPublicHost(url)) return { ok: false, error: 'private' }
  url.hash = ''
  return { ok: true, value: url.href }
}

function parseEmail(text: string, { allowEmail }: TargetRules): Result<string, TargetProblem> {
  if (text.length > LONGEST_EMAIL || !EMAIL.test(text)) return { ok: false, error: 'malformed' }
  return allowEmail ? { ok: true, value: text } : { ok: false, error: 'email_not_configured' }
}

/** The form in which a target is kept, and to which messages go; or why none may. */
export function parseTarget(
  kind: ChannelKind,
  text: string,
  rules: TargetRules,
): Result<string, TargetProblem> {
  return kind === 'email' ? parseEmail(text, rules) : parseAddress(text, rules)
}

/** A target as it is shown: enough to tell it from others, and nothing that would let anybody send to it. */
export function maskTarget({ kind, target }: Pick<Channel, 'kind' | 'target'>): string {
  if (kind !== 'email') return `${URL.parse(target)?.origin ?? ''}/…`
  const at = target.lastIndexOf('@')
  return `${target.slice(0, 1)}…${target.slice(at)}`
}

function decodeSafely(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** A text without what only the channel may know: receivers repeat in their answers what they were sent. */
export function redact(text: string, { target, secret }: Pick<Channel, 'target' | 'secret'>): string {
  const url = URL.parse(target)
  const parts = url ? [...url.pathname.split('/'), ...url.search.split(/[?&=]/)] : []
  const known = [target, secret, ...parts, ...parts.map(decodeSafely)]
    .filter((part) => part.length >= SHORTEST_SECRET)
    .sort((one, other) => other.length - one.length)
  return known.reduce((redacted, part) => redacted.replaceAll(part, '…'), text)
}
