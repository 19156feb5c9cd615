// Failed attempts by address, on the evaluation road too: keys and tokens cannot be guessed in bulk, and somebody who
// tries costs nothing more.
import type { Bindings } from '../bindings.ts'

/** What somebody tries to get into; each counts for itself. */
export type Plane = 'evaluation' | 'management'

/** How long a caller that failed too often is asked to stay away, in seconds. */
export const LIMITED_RETRY_SECONDS = 60

const MAX_LIMITED = 1_000
/** Until when an address that failed too often is refused without a further look; as long as the isolate lives. */
const limitedUntil = new Map<string, number>()

function limitKey(request: Request, plane: Plane): string {
  return `${plane}:${request.headers.get('cf-connecting-ip') ?? 'unknown'}`
}

/** Whether an address failed too often lately: then nothing is loaded for it, whatever it names. */
export function isLimited(request: Request, plane: Plane, now: number): boolean {
  return (limitedUntil.get(limitKey(request, plane)) ?? 0) > now
}

/** Counts a failed attempt against its address; whether that is one too many. Never fails itself. */
export async function countFailure(bindings: Bindings, request: Request, plane: Plane): Promise<boolean> {
  const key = limitKey(request, plane)
  try {
    const { success } = await bindings.SIGN_IN_LIMIT.limit({ key })
    if (success) return false
  } catch (error) {
    console.warn('failed attempt not counted', { error: String(error) })
    return false
  }
  if (limitedUntil.size >= MAX_LIMITED) limitedUntil.clear()
  limitedUntil.set(key, Date.now() + LIMITED_RETRY_SECONDS * 1_000)
  return true
}

/** Forgets who failed, as a new isolate has. */
export function clearLimited(): void {
  limitedUntil.clear()
}
