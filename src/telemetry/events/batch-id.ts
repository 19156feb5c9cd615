// Ids of batches: UUIDv7 (RFC 9562, 5.7), so that shards know how old one is that they do not remember.

export type BatchId = {
  /** 16 of them. */
  readonly bytes: Uint8Array
  /** When it was made, by its own account, in milliseconds since 1970. */
  readonly at: number
}

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i

/** The instant in the first 48 bits. */
function instantOf(bytes: Uint8Array): number {
  let at = 0
  for (let i = 0; i < 6; i++) at = at * 0x100 + (bytes[i] ?? 0)
  return at
}

/** Reads a UUIDv7; undefined when it is none. */
export function parseBatchId(text: string): BatchId | undefined {
  if (!UUID_V7.test(text)) return undefined
  const digits = text.replaceAll('-', '')
  const bytes = Uint8Array.from({ length: 16 }, (_, i) => Number.parseInt(digits.slice(i * 2, i * 2 + 2), 16))
  return { bytes, at: instantOf(bytes) }
}

/** Makes a UUIDv7. */
export function createBatchId(now: number): BatchId {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  const at = Math.max(0, Math.floor(now))
  for (let i = 5, rest = at; i >= 0; i--, rest = Math.floor(rest / 0x100)) bytes[i] = rest % 0x100
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f)
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f)
  return { bytes, at }
}

/** Writes a batch id as a UUID. */
export function formatBatchId({ bytes }: BatchId): string {
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
