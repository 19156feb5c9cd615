// Values by which what is counted can be taken apart later.

const MAX_SLICE = 100

/** An attribute's value as a slice: a text, cut short; null for what is no single value. */
export function toSlice(value: unknown): string | null {
  if (typeof value === 'string') return value.slice(0, MAX_SLICE)
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null
}
