// What a share or a quantile may be, at one look. Pure.
import { incompleteBeta, normalQuantileAbove } from './distributions.ts'
import type { LogHistogram } from './log-histogram.ts'

/** From low to high. */
export type Interval = { readonly low: number; readonly high: number }

/** So many halvings leave nothing of [0, 1] that a number could tell apart. */
const HALVINGS = 100

/** The share of which x of n were seen, with probability 1 - α: Wilson's interval, near enough for showing. */
export function wilson(x: number, n: number, alpha: number): Interval {
  if (n === 0) return { low: 0, high: 1 }
  const z = normalQuantileAbove(alpha / 2)
  const middle = (x + z ** 2 / 2) / (n + z ** 2)
  const half = (z / (n + z ** 2)) * Math.sqrt((x * (n - x)) / n + z ** 2 / 4)
  return { low: Math.max(0, middle - half), high: Math.min(1, middle + half) }
}

/** Where a rising function of a share passes a value. */
function shareWhere(rising: (share: number) => number, value: number): number {
  let [low, high] = [0, 1]
  for (let step = 0; step < HALVINGS; step++) {
    const middle = (low + high) / 2
    if (rising(middle) < value) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** The same, never too narrow: Clopper and Pearson's exact interval, by quantiles of the beta distribution. */
export function clopperPearson(x: number, n: number, alpha: number): Interval {
  return {
    low: x === 0 ? 0 : shareWhere((share) => incompleteBeta(share, x, n - x + 1), alpha / 2),
    high: x === n ? 1 : shareWhere((share) => incompleteBeta(share, x + 1, n - x), 1 - alpha / 2),
  }
}

/**
 * Ranks, counted from 1, between whose values a quantile lies with probability 1 - α: `⌊nν - z·√(nν(1-ν))⌋` and
 * `⌈nν + z·√(nν(1-ν))⌉` (Deng, Knoblich and Lu 2018), statistics.md section 2; as far as there are such ranks.
 */
export function quantileRanks(n: number, share: number, alpha: number): Interval {
  const half = normalQuantileAbove(alpha / 2) * Math.sqrt(n * share * (1 - share))
  return { low: Math.max(1, Math.floor(n * share - half)), high: Math.min(n, Math.ceil(n * share + half)) }
}

/** A quantile of independent values, and what it may be with probability 1 - α; undefined when there are none. */
export function quantileInterval(
  histogram: LogHistogram,
  share: number,
  alpha: number,
): (Interval & { readonly value: number }) | undefined {
  if (histogram.count === 0) return undefined
  const { low, high } = quantileRanks(histogram.count, share, alpha)
  return { value: histogram.quantile(share), low: histogram.valueAt(low), high: histogram.valueAt(high) }
}

/**
 * Shares between whose quantiles of t values the true quantile of `share` lies, at all looks together with probability
 * 1 - α: `f = 1.5·√(ν(1-ν)·ℓ) + 0.8·ℓ`, `ℓ = (1.4·ln ln(2.1·t) + ln(10/α))/t` (Howard and Ramdas 2022, equation 9).
 */
export function quantileBand(t: number, share: number, alpha: number): Interval {
  const l = (1.4 * Math.log(Math.log(2.1 * t)) + Math.log(10 / alpha)) / t
  const half = 1.5 * Math.sqrt(share * (1 - share) * l) + 0.8 * l
  return { low: Math.max(0, share - half), high: Math.min(1, share + half) }
}
