import { type KeyKind, parseKey } from '../access/key.ts'
import { countFailure, isLimited } from '../access/sign-in-limit.ts'
import type { Bindings } from '../bindings.ts'
import { isExpired, type KeyRecord } from '../catalog/entities.ts'
import { err, ok, type Result } from '../engine/result.ts'
import { keyCheck } from './key-check.ts'
import { snapshotCache, type View, type WaitUntil } from './snapshot-cache.ts'

/** Who asks, and what may be answered from. */
export type Caller = { readonly key: KeyRecord; readonly view: View }

/** Why a request is not let in. */
export type Denial = 'unauthorized' | 'limited' | 'unavailable'

/** The key that a request carries. */
export function keyOf(headers: Headers): string | undefined {
  const authorization = headers.get('authorization')
  const bearer = authorization === null ? undefined : /^Bearer\s+(\S+)\s*$/i.exec(authorization)?.[1]
  return bearer ?? headers.get('x-api-key') ?? undefined
}

/** Counts a failed check against its address, so that keys cannot be guessed in bulk. */
export async function deny(bindings: Bindings, request: Request): Promise<Result<never, Denial>> {
  return err((await countFailure(bindings, request, 'evaluation')) ? 'limited' : 'unauthorized')
}

function letsIn(record: KeyRecord | undefined, kind: KeyKind, now: number): record is KeyRecord {
  return record?.kind === kind && !isExpired(record, now)
}

/** The caller when its snapshot is in memory and its key was checked before: without waiting for anything. */
function knownCaller(key: string | undefined, now: number): Caller | undefined {
  const parsed = key === undefined ? undefined : parseKey(key)
  const view = parsed && snapshotCache.view(parsed.environment)
  if (key === undefined || !parsed || !view) return undefined
  const record = keyCheck.known(key, view.environment.keys)
  return letsIn(record, parsed.kind, now) ? { key: record, view } : undefined
}

async function identify(key: string, kind: KeyKind, view: View, now: number): Promise<Caller | undefined> {
  const { keys } = view.environment
  const record = keyCheck.known(key, keys) ?? (await keyCheck.check(key, keys))
  return letsIn(record, kind, now) ? { key: record, view } : undefined
}

/**
 * Finds out who asks; loads the snapshot of the environment that the key names when it is not there.
 * @param now milliseconds since 1970
 * @param key if it is not in the request's headers
 */
export async function authenticate(
  bindings: Bindings,
  request: Request,
  now: number,
  waitUntil: WaitUntil,
  key: string | undefined = keyOf(request.headers),
): Promise<Result<Caller, Denial>> {
  const known = knownCaller(key, now)
  if (known) return ok(known)
  if (isLimited(request, 'evaluation', now)) return err('limited')
  const parsed = key === undefined ? undefined : parseKey(key)
  if (key === undefined || !parsed) return deny(bindings, request)
  const present = snapshotCache.view(parsed.environment)
  const view = present ? ok(present) : await snapshotCache.acquire(bindings, parsed.environment, waitUntil)
  if (!view.ok) return view.error === 'missing' ? deny(bindings, request) : err('unavailable')
  const caller = await identify(key, parsed.kind, view.value, now)
  if (caller) return ok(caller)
  const newer = await snapshotCache.recheck(bindings, parsed.environment, waitUntil)
  const newcomer = newer && (await identify(key, parsed.kind, newer, now))
  return newcomer ? ok(newcomer) : deny(bindings, request)
}
