// From a request's bytes to a batch whose events are still to be checked.
import { MAX_ID_AHEAD_MS } from '../../catalog/layouts.ts'
import { isJsonObject } from '../../engine/json.ts'
import { err, ok, type Result } from '../../engine/result.ts'
import { type BatchId, parseBatchId } from './batch-id.ts'

/** The largest body, as it is sent and as it is unpacked. */
export const MAX_BODY_BYTES = 1024 * 1024
/** The most events of a body. */
export const MAX_EVENTS = 5_000

/** So little at a time that what it unpacks to never fills the memory: a thousand times as much at most. */
const SLICE_BYTES = 4_096

/** Why a request holds no batch. */
export type BodyFault = {
  readonly code: 'malformed' | 'too_large' | 'unsupported'
  readonly message: string
}

/** A batch as it was sent. */
export type SentBatch = {
  readonly id: BatchId
  readonly events: readonly unknown[]
  /** The key in the body, of a client that cannot send headers. */
  readonly key: string | undefined
}

function fault(code: BodyFault['code'], message: string) {
  return err<BodyFault>({ code, message })
}

const TOO_LARGE = fault('too_large', `the body must have at most ${MAX_BODY_BYTES} bytes`)

/** Reads a stream up to the limit; undefined when there is more. */
async function readStream(stream: ReadableStream<Uint8Array>): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of stream) {
    length += chunk.length
    if (length > MAX_BODY_BYTES) return undefined
    chunks.push(chunk)
  }
  const bytes = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

function unpack(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let at = 0
  const slices = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at >= bytes.length) return controller.close()
      controller.enqueue(bytes.subarray(at, at + SLICE_BYTES))
      at += SLICE_BYTES
    },
  })
  return slices.pipeThrough(new DecompressionStream('gzip'))
}

/** What a request sends, up to the limit; undefined when there is more. */
async function readSent(request: Request): Promise<Uint8Array | undefined> {
  const declared = Number(request.headers.get('content-length') ?? Number.NaN)
  if (declared > MAX_BODY_BYTES) return undefined
  if (declared <= MAX_BODY_BYTES || !request.body) return new Uint8Array(await request.arrayBuffer())
  return readStream(request.body)
}

/** Reads a request's body, unpacked where it is packed. */
async function readBody(request: Request): Promise<Result<string, BodyFault>> {
  const { headers } = request
  const type = headers.get('content-type')
  if (type !== null && !/\bjson\b|^text\/plain\b/i.test(type)) {
    return fault('unsupported', 'the content type must be application/json or text/plain')
  }
  const encoding = headers.get('content-encoding')?.trim().toLowerCase() ?? 'identity'
  if (encoding !== 'gzip' && encoding !== 'identity') {
    return fault('unsupported', 'the content encoding must be gzip, if there is one')
  }
  try {
    const sent = await readSent(request)
    const bytes = sent && encoding === 'gzip' ? await readStream(unpack(sent)) : sent
    return bytes ? ok(new TextDecoder().decode(bytes)) : TOO_LARGE
  } catch {
    return fault('malformed', 'the body breaks off, or is not packed as it says')
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * Reads a batch off a body.
 * @param now milliseconds since 1970
 */
export function parseBatch(text: string, now: number): Result<SentBatch, BodyFault> {
  const body = parseJson(text)
  if (!isJsonObject(body)) return fault('malformed', 'the body must be a JSON object')
  const { id: idText, events, key } = body
  const id = typeof idText === 'string' ? parseBatchId(idText) : undefined
  if (!id) return fault('malformed', 'the id must be a UUIDv7')
  if (id.at > now + MAX_ID_AHEAD_MS) return fault('malformed', 'the id lies more than 10 minutes ahead')
  if (!Array.isArray(events) || events.length === 0) {
    return fault('malformed', `the events must be a list of 1 to ${MAX_EVENTS}`)
  }
  if (events.length > MAX_EVENTS) return fault('too_large', `there must be at most ${MAX_EVENTS} events`)
  return ok({ id, events, key: typeof key === 'string' ? key : undefined })
}

/**
 * Reads the batch that a request holds.
 * @param now milliseconds since 1970
 */
export async function readBatch(request: Request, now: number): Promise<Result<SentBatch, BodyFault>> {
  const body = await readBody(request)
  return body.ok ? parseBatch(body.value, now) : body
}
