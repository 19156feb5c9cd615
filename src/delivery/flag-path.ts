/** Where single evaluations live; the flag's key is the rest of the path. */
export const SINGLE_PREFIX = '/ofrep/v1/evaluate/flags/'

/** Decodes what can be decoded and leaves the rest, such as a percent sign that stands for itself. */
function decodeLeniently(raw: string): string {
  return raw.replace(/(?:%[0-9a-f]{2})+/gi, (run) => {
    try {
      return decodeURIComponent(run)
    } catch {
      return run
    }
  })
}

/**
 * The flag keys that a path can mean, likeliest first. Most clients encode the key; some old ones send it as it is,
 * so that `100% sure` is no valid encoding and `a%20b` may be meant literally.
 */
export function flagKeysOf(path: string): readonly string[] {
  const raw = path.slice(SINGLE_PREFIX.length)
  if (!raw.includes('%')) return [raw]
  const decoded = decodeLeniently(raw)
  return decoded === raw ? [raw] : [decoded, raw]
}
