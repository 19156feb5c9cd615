// Tags as texts: `<measurement>.<stage>.<stratum>.<arm>`, and for client keys signed. No clock: `now` is in
// milliseconds since 1970.
import type { EnvironmentSnapshot } from '../../catalog/environment-snapshot.ts'
import { DEFAULT_UNIT } from '../../engine/flag.ts'
import type { Tag } from './event.ts'
import { nodeCrypto } from './node-crypto.ts'

const EPOCH_MS = 6 * 3_600_000
/** A tag is good in the epoch that signed it and in the one after. */
const VALID_EPOCHS = 2
/** 128 bits in base64url. */
const SIGNATURE_LENGTH = 22

const TAG = /^([A-Za-z0-9_-]{1,64})\.(0|[1-9]\d{0,5})\.([0-9a-z]{1,12})\.([a-z0-9_-]{1,40})$/
const SIGNED = /^(.+)\.(\d{1,9})\.([A-Za-z0-9_-]{22})$/

/** Reads a tag without a signature; undefined when it is none. */
export function parseTag(text: string): Tag | undefined {
  const [, id, stage, stratum, arm] = TAG.exec(text) ?? []
  if (id === undefined || stratum === undefined || arm === undefined) return undefined
  return { id, stage: Number(stage), stratum, arm }
}

function signatureOf(environment: EnvironmentSnapshot, id: string, signed: string, unit: string): string {
  const { flags, settings, measurements } = environment
  const by = measurements.get(id)?.by ?? DEFAULT_UNIT
  return (
    nodeCrypto()
      .createHmac('sha256', `tag:${settings.signingSecret}`)
      // As JSON, so that nothing can be moved from one part to another.
      .update(JSON.stringify([flags.environment, by, unit, signed]))
      .digest('base64url')
      .slice(0, SIGNATURE_LENGTH)
  )
}

function equalsInConstantTime(a: string, b: string): boolean {
  const encoder = new TextEncoder()
  return a.length === b.length && nodeCrypto().timingSafeEqual(encoder.encode(a), encoder.encode(b))
}

/** Signs a tag for one unit: `<tag>.<epoch>.<signature>`, good in the 6-hour epoch that `now` is in and in the next. */
export function signTag(environment: EnvironmentSnapshot, tag: string, unit: string, now: number): string {
  const signed = `${tag}.${Math.floor(now / EPOCH_MS)}`
  const id = tag.slice(0, tag.indexOf('.'))
  return `${signed}.${signatureOf(environment, id, signed, unit)}`
}

/**
 * Reads a signed tag that a unit was given; the unit is the one that the measurement goes by.
 * @returns undefined when it is forged, another unit's, or too old
 */
export function verifyTag(
  environment: EnvironmentSnapshot,
  text: string,
  unit: string,
  now: number,
): Tag | undefined {
  const [, plain = '', epoch = '', signature = ''] = SIGNED.exec(text) ?? []
  const tag = parseTag(plain)
  const age = Math.floor(now / EPOCH_MS) - Number(epoch)
  if (!tag || age < 0 || age >= VALID_EPOCHS) return undefined
  const genuine = signatureOf(environment, tag.id, `${plain}.${epoch}`, unit)
  return equalsInConstantTime(genuine, signature) ? tag : undefined
}
