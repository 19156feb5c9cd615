import { type KeyKind, parseKey } from '../access/key.ts'
import type { Bindings } from '../bindings.ts'
import type { KeyRecord } from '../catalog/entities.ts'
import { err, ok, type Result } from '../engine/result.ts'
import { keyCheck } from './key-check.ts'
import { snapshotCache, type View, type WaitUntil } from './snapshot-cache.ts'

/** Who asks, and what may be answered from. */
export type Caller = { readonly key: KeyRecord; readonly view: View }

/** Why a request is not let in. */
export type Denial = 'unauthorized' | 'limited' | 'unavailable'

/** How long a caller that failed too often is asked to stay away, in seconds. */
export const DENIED_RETRY_SECONDS = 60

/** The key that a request carries. */
export function keyOf(headers: Headers): string | undefined {
  const authorization = headers.get('authorization')
  const bearer = authorization === null ? undefined : /^Bearer\s+(\S+)\s*$/i.exec(authorization)?.[1]
  return bearer ?? headers.get('x-api-key') ?? undefined
}

const MAX_LIMITED = 1_000
/** Until when an address that failed too often is refused without a further look; as long as the isolate lives. */
const limitedUntil = new Map<string, number>()

function addressOf(request: Request): string {
  return request.headers.get('cf-connecting-ip') ?? 'unknown'
}

/** Whether an address failed too often lately: then nothing is loaded for it, whatever environments it names. */
export function isLimited(request: Request, now: number): boolean {
  return (limitedUntil.get(addressOf(request)) ?? 0) > now
}

/** Counts a failed check against its address, so that keys cannot be guessed in bulk. */
export async function deny(bindings: Bindings, request: Request): Promise<Result<never, Denial>> {
  const address = addressOf(request)
  try {
    const { success } = await bindings.SIGN_IN_LIMIT.limit({ key: `evaluation:${address}` })
    if (success) return err('unauthorized')
  } catch (error) {
    console.warn('failed attempt not counted', { error: String(error) })
    return err('unauthorized')
  }
  if (limitedUntil.size >= MAX_LIMITED) limitedUntil.clear()
  limitedUntil.set(address, Date.now() + DENIED_RETRY_SECONDS * 1_000)
  return err('limited')
}

/** Forgets who failed, as a new isolate has. */
export function clearLimited(): void {
  limitedUntil.clear()
}

/** The caller when its snapshot is in memory and its key was checked before: without waiting for anything. */
export function knownCaller(request: Request): Caller | undefined {
  const key = keyOf(request.headers)
  const parsed = key === undefined ? undefined : parseKey(key)
  const view = parsed && snapshotCache.view(parsed.environment)
  if (key === undefined || !parsed || !view) return undefined
  const record = keyCheck.known(key, view.environment.keys)
  return record?.kind === parsed.kind ? { key: record, view } : undefined
}

async function identify(key: string, kind: KeyKind, view: View): Promise<Caller | undefined> {
  const { keys } = view.environment
  const record = keyCheck.known(key, keys) ?? (await keyCheck.check(key, keys))
  return record?.kind === kind ? { key: record, view } : undefined
}

/** Finds out who asks; loads the snapshot of the environment that the key names when it is not there. */
export async function authenticate(
  bindings: Bindings,
  request: Request,
  waitUntil: WaitUntil,
): Promise<Result<Caller, Denial>> {
  const known = knownCaller(request)
  if (known) return ok(known)
  if (isLimited(request, Date.now())) return err('limited')
  const key = keyOf(request.headers)
  const parsed = key === undefined ? undefined : parseKey(key)
  if (key === undefined || !parsed) return deny(bindings, request)
  const present = snapshotCache.view(parsed.environment)
  const view = present ? ok(present) : await snapshotCache.acquire(bindings, parsed.environment, waitUntil)
  if (!view.ok) return view.error === 'missing' ? deny(bindings, request) : err('unavailable')
  const caller = await identify(key, parsed.kind, view.value)
  if (caller) return ok(caller)
  const newer = await snapshotCache.recheck(bindings, parsed.environment, waitUntil)
  const newcomer = newer && (await identify(key, parsed.kind, newer))
  return newcomer ? ok(newcomer) : deny(bindings, request)
}
