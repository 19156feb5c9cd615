// A write whose outcome the client did not learn can be sent again with the same Idempotency-Key: it gets the answer
// that the first one got. What is kept is encrypted under that key, of which only a hash is stored, because an answer
// may hold a secret that is shown once.
import { eq, lt } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { idempotencyKeys } from './tables.ts'

/** How long an answer is kept at least, in milliseconds. */
export const IDEMPOTENCY_MS = 24 * 3_600_000

const IV_BYTES = 12

/** What a request with an Idempotency-Key leaves behind. */
export type Receipt = {
  readonly id: string
  readonly fingerprint: string
  /** Milliseconds since 1970. */
  readonly at: number
  readonly seal: (text: string) => Promise<string>
  readonly open: (sealed: string) => Promise<string>
}

/** An answer that was given before. */
export type KeptAnswer = {
  readonly fingerprint: string
  readonly status: number
  readonly answer: string
  readonly environments: { readonly [environment: string]: number }
  readonly revision: number
}

const utf8 = new TextEncoder()

async function digest(...parts: readonly string[]): Promise<ArrayBuffer> {
  return crypto.subtle.digest('SHA-256', utf8.encode(JSON.stringify(parts)))
}

function toBase64(bytes: ArrayBuffer): string {
  return new Uint8Array(bytes).toBase64()
}

/** Tells whether a text can be an Idempotency-Key: 16 to 200 characters, as a UUID is, so that it cannot be guessed. */
export function isIdempotencyKey(text: string): boolean {
  return /^[\x21-\x7e]{16,200}$/.test(text)
}

/**
 * Makes the receipt for a request.
 * @param asked what the request asks: its method, path, condition and body
 */
export async function createReceipt(
  actor: string,
  key: string,
  asked: readonly string[],
  now: number,
): Promise<Receipt> {
  const secret = await crypto.subtle.importKey('raw', await digest('answer', key), 'AES-GCM', false, [
    'encrypt',
    'decrypt',
  ])
  return {
    id: toBase64(await digest('id', actor, key)),
    fingerprint: toBase64(await digest('request', ...asked)),
    at: now,
    async seal(text) {
      const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES))
      const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, secret, utf8.encode(text))
      return `${iv.toBase64()}.${toBase64(sealed)}`
    },
    async open(sealed) {
      const [iv = '', bytes = ''] = sealed.split('.')
      const algorithm = { name: 'AES-GCM', iv: Uint8Array.fromBase64(iv) }
      return new TextDecoder().decode(
        await crypto.subtle.decrypt(algorithm, secret, Uint8Array.fromBase64(bytes)),
      )
    },
  }
}

/** The answer that a request got before; undefined when it is new. */
export async function loadAnswer(database: D1Database, id: string): Promise<KeptAnswer | undefined> {
  return drizzle(database)
    .select({
      fingerprint: idempotencyKeys.fingerprint,
      status: idempotencyKeys.status,
      answer: idempotencyKeys.answer,
      environments: idempotencyKeys.environments,
      revision: idempotencyKeys.revision,
    })
    .from(idempotencyKeys)
    .where(eq(idempotencyKeys.id, id))
    .get()
}

/** Forgets answers that are older than a day. */
export async function forgetAnswers(database: D1Database, now: number): Promise<void> {
  await drizzle(database)
    .delete(idempotencyKeys)
    .where(lt(idempotencyKeys.createdAt, now - IDEMPOTENCY_MS))
}
