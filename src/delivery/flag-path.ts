/** Where single evaluations live; the flag's key is the rest of the path. */
export const SINGLE_PREFIX = '/ofrep/v1/evaluate/flags/'

/**
 * The flag keys that a path can mean, likeliest first. Most clients encode the key; some old ones send it as it is,
 * so that `100%` is no valid encoding and `a%20b` may be meant literally.
 */
export function flagKeysOf(path: string): readonly string[] {
  const raw = path.slice(SINGLE_PREFIX.length)
  try {
    const decoded = decodeURIComponent(raw)
    return decoded === raw ? [raw] : [decoded, raw]
  } catch {
    return [raw]
  }
}
