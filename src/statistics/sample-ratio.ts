// Whether units were shared out as they should be, which may be looked at as often as one likes. Pure.
import { logRisingOverPower } from './log-gamma.ts'

/** How close to the weights another way of sharing out is expected: the same as Optimizely's `ssrm_test`. */
const CONCENTRATION = 10_000

/**
 * The logarithm of the evidence that units are not shared out by their weights: a Dirichlet-multinomial Bayes factor,
 * `ln Γ(A) - ln Γ(A+n) + Σ (ln Γ(aᵢ+nᵢ) - ln Γ(aᵢ) - nᵢ·ln wᵢ)` with `aᵢ = A·wᵢ` (Lindon and Malek, arXiv 2011.03567).
 * While they are, it ever reaches ln(1/α) with probability α at most. Sums over periods of different weights are evidence
 * too. Weights are above 0, and need not sum to 1.
 */
export function logSampleRatio(
  counts: readonly number[],
  weights: readonly number[],
  concentration = CONCENTRATION,
): number {
  const weightSum = weights.reduce((sum, weight) => sum + weight, 0)
  let units = 0
  let log = 0
  for (const [arm, count] of counts.entries()) {
    units += count
    log += logRisingOverPower((concentration * (weights[arm] ?? 0)) / weightSum, count)
  }
  return log - logRisingOverPower(concentration, units)
}
