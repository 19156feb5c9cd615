// How instants, shares and counts are said. Pure.

/** An instant as people read it: `2026-03-01 12:00:05 UTC`. */
export function sayInstant(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

/** A whole number with separators: `8,100`. */
export function sayCount(count: number): string {
  return Math.round(count).toLocaleString('en-US')
}

/** A number to three significant digits, without an exponent where it can be. */
export function sayNumber(value: number): string {
  return value.toLocaleString('en-US', { maximumSignificantDigits: 3 })
}

/** A share from 0 to 1, as a percentage. */
export function sayShare(share: number): string {
  return `${sayNumber(share * 100)} %`
}
