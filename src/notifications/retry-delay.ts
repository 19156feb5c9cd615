const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

const FIRST_DELAYS = [10 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE]
const LONGEST = 24 * HOUR

/** How often something is tried: until a day of waiting is over. */
export const MAX_ATTEMPTS =
  1 + FIRST_DELAYS.length + Math.floor((LONGEST - FIRST_DELAYS.reduce((sum, delay) => sum + delay, 0)) / HOUR)

/** How long after so many failed attempts the next one comes, in milliseconds; null: none comes. */
export function retryDelay(attempts: number): number | null {
  if (attempts >= MAX_ATTEMPTS) return null
  return FIRST_DELAYS[attempts - 1] ?? HOUR
}
