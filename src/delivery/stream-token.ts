// EventSource sends no headers, so a stream's URL carries a token in place of the key: signed, good for 24 hours,
// and the same for all of a 6-hour epoch, so that URLs (and the ETags they are part of) stay put.

import { isEnvironmentKey } from '../access/key.ts'
import { isExpired, type KeyRecord } from '../catalog/entities.ts'
import type { EnvironmentSnapshot } from '../catalog/environment-snapshot.ts'

const EPOCH_MS = 6 * 3_600_000
/** A token is good in the epoch that made it and in the three after. */
const VALID_EPOCHS = 4
const MAX_REMEMBERED = 1_000

/** What a token says of itself, before its signature is checked. */
export type StreamToken = {
  readonly environment: string
  readonly keyId: string
  readonly epoch: number
  readonly signature: string
}

const remembered = new Map<string, string>()

/** The epoch of an instant in milliseconds since 1970. */
export function epochOf(now: number): number {
  return Math.floor(now / EPOCH_MS)
}

async function importSecret(signingSecret: string): Promise<CryptoKey> {
  const secret = new TextEncoder().encode(`stream:${signingSecret}`)
  return crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify'])
}

function claims(environment: string, keyId: string, epoch: number): string {
  return `${environment}.${keyId}.${epoch}`
}

function toBase64Url(bytes: ArrayBuffer): string {
  const binary = String.fromCharCode(...new Uint8Array(bytes))
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (byte) => byte.charCodeAt(0))
  } catch {
    return undefined
  }
}

/** The token of a key in an epoch if it was signed before; undefined when `signStreamToken` must. */
export function knownStreamToken(
  environment: EnvironmentSnapshot,
  key: KeyRecord,
  epoch: number,
): string | undefined {
  return remembered.get(
    `${environment.settings.signingSecret} ${claims(environment.flags.environment, key.id, epoch)}`,
  )
}

/** Signs the token of a key in an epoch. */
export async function signStreamToken(
  environment: EnvironmentSnapshot,
  key: KeyRecord,
  epoch: number,
): Promise<string> {
  const { signingSecret } = environment.settings
  const signed = claims(environment.flags.environment, key.id, epoch)
  const secret = await importSecret(signingSecret)
  const signature = await crypto.subtle.sign('HMAC', secret, new TextEncoder().encode(signed))
  const token = `${signed}.${toBase64Url(signature)}`
  if (remembered.size >= MAX_REMEMBERED) remembered.clear()
  remembered.set(`${signingSecret} ${signed}`, token)
  return token
}

/** Reads what a token says of itself; undefined when it is none. */
export function parseStreamToken(token: string): StreamToken | undefined {
  const [environment, keyId, epoch, signature, ...rest] = token.split('.')
  if (!environment || !keyId || !epoch || !signature || rest.length > 0) return undefined
  if (!isEnvironmentKey(environment) || !/^\d{1,12}$/.test(epoch)) return undefined
  return { environment, keyId, epoch: Number(epoch), signature }
}

/**
 * Checks a token against the environment that it names.
 * @returns the key that it stands for, or undefined when it is forged, too old, or of a key that was revoked or has
 *   ended
 */
export async function verifyStreamToken(
  token: StreamToken,
  environment: EnvironmentSnapshot,
  now: number,
): Promise<KeyRecord | undefined> {
  const age = epochOf(now) - token.epoch
  const signature = fromBase64Url(token.signature)
  if (!signature || age < 0 || age >= VALID_EPOCHS) return undefined
  const signed = new TextEncoder().encode(claims(token.environment, token.keyId, token.epoch))
  const secret = await importSecret(environment.settings.signingSecret)
  const genuine = await crypto.subtle.verify('HMAC', secret, signature, signed)
  const key = genuine ? environment.keys.get(token.keyId) : undefined
  return key && !isExpired(key, now) ? key : undefined
}
