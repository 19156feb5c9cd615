// What a rule of a runbook does on a day on which nothing is wrong. Pure.
import { poissonShare, poissonTails } from './distributions.ts'

const DAY_MS = 86_400_000

/** A rule that a runbook has: a share of what was counted in a window, beside a limit. */
export type WindowRule = {
  readonly side: 'above' | 'below'
  readonly limit: number
  readonly windowMs: number
  /** How many units (or observations) are judged in a window. */
  readonly units: number
}

/**
 * The probability that a rule fires at least once on a day while the share never changes from `base`. Windows overlap, so
 * days are not so many chances: Alm's approximation for scans, `1 - F·e^(-c·ν)` (1983), with F the probability that the
 * first window does not, ν how often the count passes the limit on a day, and c the part of those that begin a new
 * excursion: `(k - μ)/k` above, `(μ - k)/μ` below. Hits are Poisson's, looks all the time: both make it a little too high.
 */
export function falseAlarmsOnADay({ side, limit, windowMs, units }: WindowRule, base: number): number {
  const expected = base * units
  const passes = (day: number, hits: number) => (day * expected * poissonShare(hits, expected)) / windowMs
  const rest = Math.max(0, DAY_MS - windowMs)
  // A hundredth of 300 is 3, whatever binary fractions make of it.
  const atLimit = limit * units
  const whole = Math.round(atLimit)
  const isWhole = Math.abs(atLimit - whole) <= 1e-9 * whole
  if (side === 'above') {
    const k = isWhole ? whole + 1 : Math.ceil(atLimit)
    if (k > units || expected === 0) return 0
    if (k <= expected) return 1
    const { less } = poissonTails(k, expected)
    return 1 - less * Math.exp((-(k - expected) / k) * passes(rest, k - 1))
  }
  const k = isWhole ? whole - 1 : Math.floor(atLimit)
  if (k < 0) return 0
  if (k >= expected) return 1
  const { least } = poissonTails(k + 1, expected)
  return 1 - least * Math.exp((-(expected - k) / expected) * passes(rest, k))
}
