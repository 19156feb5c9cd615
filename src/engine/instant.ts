const RFC3339 = /^\d{4}-\d{2}-\d{2}(?:[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d{2}:\d{2}))?$/
const RELATIVE = /^([+-])(\d{1,6})([smhdw])$/
const UNIT_MILLISECONDS: { readonly [unit: string]: number } = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

// `Date.parse` takes 30 February for 1 March.
function isDay(date: string): boolean {
  const day = Number(date.slice(8))
  return day <= 28 || new Date(date).getUTCDate() === day
}

/**
 * Reads an instant: RFC 3339 text (a date alone is its midnight in UTC) or milliseconds since 1970.
 * @returns milliseconds since 1970, or undefined when it is no instant
 */
export function parseInstant(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined
  if (typeof value !== 'string' || !RFC3339.test(value) || !isDay(value.slice(0, 10))) return undefined
  const milliseconds = Date.parse(value)
  return Number.isNaN(milliseconds) ? undefined : milliseconds
}

/**
 * Reads a limit that an instant is compared with: an instant, or a time relative to now such as `-30d` or `+2h`
 * (s, m, h, d, w).
 * @returns the limit in milliseconds since 1970 for a given now, or undefined when it is neither
 */
export function parseLimit(value: unknown): ((now: number) => number) | undefined {
  const relative = typeof value === 'string' ? RELATIVE.exec(value) : null
  if (relative) {
    const [, sign, count, unit] = relative
    const offset = Number(count) * (UNIT_MILLISECONDS[unit ?? ''] ?? 0) * (sign === '-' ? -1 : 1)
    return (now) => now + offset
  }
  const instant = parseInstant(value)
  return instant === undefined ? undefined : () => instant
}
