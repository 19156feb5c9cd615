// Counts as people read them. Pure; no locale, so that what was said of a rollback is the same anywhere.

/** A whole number with commas: `8,100`. */
export function sayCount(count: number): string {
  return String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** A number to three significant digits, whole ones in full: `1,250`, `0.0123`. */
export function sayNumber(value: number): string {
  if (Number.isInteger(value) || Math.abs(value) >= 1000) return sayCount(value)
  return String(Number(value.toPrecision(3)))
}

/** A share as a percentage: `1.6 %`. */
export function sayShare(share: number): string {
  return `${sayNumber(Number((share * 100).toPrecision(2)))} %`
}

/** `14 of 900`. */
export function sayOf(hits: number, units: number): string {
  return `${sayCount(hits)} of ${sayCount(units)}`
}

/** How many times as much: `4.1 times`; undefined where there is nothing to divide by. */
export function sayTimes(value: number, base: number): string | undefined {
  if (!(base > 0) || !Number.isFinite(value)) return undefined
  const times = value / base
  return `${times < 1 ? Number(times.toFixed(2)) : Number(times.toFixed(1))} times`
}

/** `a false alarm at most 1 in 100`. */
export function sayFalseAlarm(alpha: number): string {
  return `a false alarm at most 1 in ${sayCount(1 / alpha)}`
}
