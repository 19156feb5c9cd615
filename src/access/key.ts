// Evaluation keys: rp_<kind>_<environment>_<secret>. The key names its environment, so that the edge knows which
// snapshot holds its hash; only hashes are ever stored.

export type KeyKind = 'server' | 'client'

/** What a key says of itself, before anything is checked. */
export type ParsedKey = { readonly kind: KeyKind; readonly environment: string }

const KEY = /^rp_(server|client)_([a-z0-9][a-z0-9-]{0,39})_([A-Za-z0-9]{1,64})$/

/** Tells whether a text can be an environment's key. */
export function isEnvironmentKey(text: string): boolean {
  return /^[a-z0-9][a-z0-9-]{0,39}$/.test(text)
}

/** Reads what a key says of itself; undefined when it is no key. */
export function parseKey(key: string): ParsedKey | undefined {
  const match = KEY.exec(key)
  const [, kind, environment] = match ?? []
  if (environment === undefined || (kind !== 'server' && kind !== 'client')) return undefined
  return { kind, environment }
}

export function toHex(bytes: ArrayBuffer | Uint8Array): string {
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** The SHA-256 of a key, as it is stored: hex. */
export async function hashKey(key: string): Promise<string> {
  return toHex(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(key)))
}

/** Random bytes in hex. */
export function randomHex(bytes: number): string {
  return toHex(crypto.getRandomValues(new Uint8Array(bytes)))
}

/** Makes a new key with 128 random bits. */
export function createKey(kind: KeyKind, environment: string): string {
  return `rp_${kind}_${environment}_${randomHex(16)}`
}
