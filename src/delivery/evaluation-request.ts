// From a request's bytes to an evaluation context, checked by hand: the evaluation road loads no validator.
import type { EvaluationContext } from '../engine/context.ts'
import { isJsonObject } from '../engine/json.ts'
import { err, ok, type Result } from '../engine/result.ts'

/** The largest evaluation request, in bytes. */
export const MAX_REQUEST_BYTES = 512 * 1024

/** Why a request cannot be evaluated, in OFREP's words, and the HTTP status that fits. */
export type RequestFault = {
  readonly status: 400 | 413 | 415
  readonly errorCode: 'PARSE_ERROR' | 'INVALID_CONTEXT'
  readonly errorDetails: string
}

const NO_CONTEXT: EvaluationContext = {}

function fault(status: RequestFault['status'], errorCode: RequestFault['errorCode'], errorDetails: string) {
  return err<RequestFault>({ status, errorCode, errorDetails })
}

/** Reads a body up to a limit; undefined when it is longer. */
async function readText(request: Request, maximum: number): Promise<string | undefined> {
  const declared = Number(request.headers.get('content-length') ?? Number.NaN)
  if (declared > maximum) return undefined
  if (declared <= maximum) return request.text()
  if (!request.body) return ''
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  for await (const chunk of request.body) {
    bytes += chunk.byteLength
    if (bytes > maximum) return undefined
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}

/** Reads the evaluation context out of a request's body; an empty body and a missing context are an empty one. */
export function parseContext(body: string): Result<EvaluationContext, RequestFault> {
  if (body === '') return ok(NO_CONTEXT)
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return fault(400, 'PARSE_ERROR', 'the body is no JSON')
  }
  if (!isJsonObject(value)) return fault(400, 'PARSE_ERROR', 'the body must be an object')
  const { context } = value
  if (context === undefined) return ok(NO_CONTEXT)
  if (!isJsonObject(context)) return fault(400, 'INVALID_CONTEXT', 'the context must be an object')
  const { targetingKey } = context
  if (targetingKey !== undefined && typeof targetingKey !== 'string') {
    return fault(400, 'INVALID_CONTEXT', 'the targetingKey must be a text')
  }
  return ok(context)
}

/** Reads an evaluation request. */
export async function readContext(request: Request): Promise<Result<EvaluationContext, RequestFault>> {
  const type = request.headers.get('content-type')
  if (type !== null && !/\bjson\b/i.test(type))
    return fault(415, 'PARSE_ERROR', 'the content type must be JSON')
  const body = await readText(request, MAX_REQUEST_BYTES)
  if (body === undefined) {
    return fault(413, 'INVALID_CONTEXT', `the request must have at most ${MAX_REQUEST_BYTES} bytes`)
  }
  return parseContext(body)
}

const EDGE_ATTRIBUTES = ['country', 'region', 'city', 'continent', 'colo', 'asn', 'timezone'] as const

/**
 * Puts what the edge knows of a client in the context as `cf`, in place of whatever the client says of that itself.
 */
export function withEdgeAttributes(context: EvaluationContext, request: Request): EvaluationContext {
  const known = request.cf
  const cf = Object.fromEntries(EDGE_ATTRIBUTES.map((name) => [name, known?.[name]]))
  const own = Object.entries(context).filter(([name]) => name !== 'cf' && !name.startsWith('cf.'))
  return Object.fromEntries([...own, ['cf', cf]])
}
