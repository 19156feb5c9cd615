// A client key is public: anybody who has it can claim to be anybody. An environment with context keys therefore
// takes a client's context only out of a JWT that the application's server signed, and nothing from beside it.
import type { JWK } from 'jose'
import type { KeyRecord } from '../catalog/entities.ts'
import type { EnvironmentSnapshot } from '../catalog/environment-snapshot.ts'
import type { EvaluationContext } from '../engine/context.ts'
import { isJsonObject, type JsonObject } from '../engine/json.ts'
import { err, ok, type Result } from '../engine/result.ts'
import type { RequestFault } from './evaluation-request.ts'

/** The longest signed context that is looked at, in characters. */
export const MAX_SIGNED_CONTEXT = 8_192
const ALGORITHMS = ['ES256', 'RS256', 'PS256', 'EdDSA']
const MAX_KEYS_TRIED = 5
/** How far the clocks of whoever signs and of the edge may be apart. */
const TOLERANCE_SECONDS = 30
const MAX_LIFETIME_SECONDS = 24 * 3_600
const MAX_REMEMBERED = 1_000

/** What a JWT says, and until when, in milliseconds since 1970. */
type Signed = { readonly context: EvaluationContext; readonly subject: string; readonly until: number }

type Remembered = Signed & {
  /** The very list that held the key which signed it: a change of an environment's settings brings another. */
  readonly keys: readonly JsonObject[]
}

/** By the JWT's text; as long as the isolate lives. */
const remembered = new Map<string, Remembered>()

function refuse(errorDetails: string) {
  return err<RequestFault>({ status: 400, errorCode: 'INVALID_CONTEXT', errorDetails })
}

/** The signed context, unless what the client says beside it is that it is somebody else's. */
function toContext({ context, subject }: Signed, sent: EvaluationContext) {
  const { targetingKey = subject } = sent
  if (targetingKey !== subject) return refuse("the targetingKey must be the signedContext's sub")
  return ok(context)
}

/**
 * The context that a caller is evaluated with, when that can be said without waiting: as it was sent where nothing
 * must be signed, and what was signed where that was verified before.
 * @param now milliseconds since 1970
 * @returns undefined when `verifyContext` must find out
 */
export function knownContext(
  key: KeyRecord,
  { settings }: EnvironmentSnapshot,
  sent: EvaluationContext,
  now: number,
): Result<EvaluationContext, RequestFault> | undefined {
  const { contextKeys } = settings
  if (key.kind !== 'client' || !contextKeys?.length) return ok(sent)
  const { signedContext } = sent
  const found = typeof signedContext === 'string' ? remembered.get(signedContext) : undefined
  return found?.keys === contextKeys && now < found.until ? toContext(found, sent) : undefined
}

/** What a JWT's payload holds, if one of the keys signed it. */
async function verifySignature(
  token: string,
  keys: readonly JsonObject[],
): Promise<Result<Uint8Array, RequestFault>> {
  // Only environments that demand it load it.
  const [{ decodeProtectedHeader }, { compactVerify }] = await Promise.all([
    import('jose/decode/protected_header'),
    import('jose/jws/compact/verify'),
  ])
  let header: ReturnType<typeof decodeProtectedHeader>
  try {
    header = decodeProtectedHeader(token)
  } catch {
    return refuse('the signedContext is no JWT')
  }
  const { alg, kid } = header
  if (!ALGORITHMS.some((allowed) => allowed === alg)) {
    return refuse(`the signedContext's alg must be one of ${ALGORITHMS.join(', ')}`)
  }
  const candidates = keys.filter((key) => kid === undefined || key.kid === undefined || key.kid === kid)
  for (const candidate of candidates.slice(0, MAX_KEYS_TRIED)) {
    try {
      const { payload } = await compactVerify(token, candidate as JWK, { algorithms: ALGORITHMS })
      return ok(payload)
    } catch {
      // Not by this key; a key of another algorithm, or one that is none, throws too.
    }
  }
  return refuse('the signedContext is signed by no key of this environment')
}

function parsePayload(payload: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(payload))
  } catch {
    return undefined
  }
}

/** Checks the claims of a JWT whose signature is genuine. */
function readClaims(claims: unknown, environment: string, now: number): Result<Signed, RequestFault> {
  if (!isJsonObject(claims)) return refuse('the signedContext is no JWT')
  const { aud, exp, iat, nbf, sub, context = {} } = claims
  const audience = `rampart/${environment}`
  if (!(Array.isArray(aud) ? aud : [aud]).includes(audience)) {
    return refuse(`the signedContext's aud must be ${audience}`)
  }
  if (typeof exp !== 'number') return refuse('the signedContext must have an exp in seconds')
  const until = (exp + TOLERANCE_SECONDS) * 1_000
  if (now >= until) return refuse('the signedContext has expired')
  if (iat !== undefined && !(typeof iat === 'number' && exp - iat <= MAX_LIFETIME_SECONDS)) {
    return refuse('the signedContext must expire within 24 hours of its iat')
  }
  if (nbf !== undefined && !(typeof nbf === 'number' && now >= (nbf - TOLERANCE_SECONDS) * 1_000)) {
    return refuse('the signedContext is not valid yet')
  }
  if (typeof sub !== 'string' || sub === '') {
    return refuse("the signedContext's sub must be a text that is not empty")
  }
  if (!isJsonObject(context)) return refuse("the signedContext's context must be an object")
  return ok({ context: { ...context, targetingKey: sub }, subject: sub, until })
}

function remember(token: string, verified: Remembered): void {
  if (remembered.size >= MAX_REMEMBERED && !remembered.has(token)) {
    const oldest = remembered.keys().next()
    if (!oldest.done) remembered.delete(oldest.value)
  }
  remembered.set(token, verified)
}

/**
 * Verifies the signed context that a client sent: the algorithm, the signature by one of the environment's keys, for
 * whom and until when it is meant.
 * @param now milliseconds since 1970
 * @returns the context that was signed, with nothing of what was sent beside it; or which check failed
 */
export async function verifyContext(
  { flags, settings }: EnvironmentSnapshot,
  sent: EvaluationContext,
  now: number,
): Promise<Result<EvaluationContext, RequestFault>> {
  const { contextKeys: keys = [] } = settings
  const { signedContext: token } = sent
  if (typeof token !== 'string') return refuse('the context must have a signedContext, which is a JWT')
  if (token.length > MAX_SIGNED_CONTEXT) {
    return refuse(`the signedContext must have at most ${MAX_SIGNED_CONTEXT} characters`)
  }
  const payload = await verifySignature(token, keys)
  if (!payload.ok) return payload
  const signed = readClaims(parsePayload(payload.value), flags.environment, now)
  if (!signed.ok) return signed
  remember(token, { ...signed.value, keys })
  return toContext(signed.value, sent)
}
