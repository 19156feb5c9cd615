// Bounds on means that hold at every look: an asymptotic confidence sequence, as GrowthBook's safe rollouts have it. Pure.

/** Sums over the totals of units. */
export type Sums = {
  readonly n: number
  readonly sum: number
  readonly sumSquares: number
}

/** The same of a ratio of two sums, with those of its denominator and of the products. */
export type RatioSums = Sums & {
  readonly denominator: number
  readonly denominatorSquares: number
  readonly products: number
}

/** Something estimated, its standard error, and from how many units. */
export type Estimate = {
  readonly value: number
  readonly error: number
  readonly units: number
}

/** Units of an arm, and those of them that have anything to tell: a purchase, an observation. */
export type Backing = { readonly units: number; readonly hits: number }

/** So many units with anything to tell must be expected in each arm before means are nearly normal. */
const BURN_IN = 50

function variance(n: number, sum: number, sumSquares: number): number {
  return Math.max(0, (sumSquares - (sum * sum) / n) / (n - 1))
}

/** A mean over units: `v = (Σy² - (Σy)²/n)/(n-1)`, statistics.md section 2. Needs two units to have an error. */
export function meanOf({ n, sum, sumSquares }: Sums): Estimate {
  return { value: sum / n, error: Math.sqrt(variance(n, sum, sumSquares) / n), units: n }
}

/** One sum over the other, by the delta method: `v = (v_y - 2R·cov + R²·v_d)/m_d²`, statistics.md section 2. */
export function ratioOf({
  n,
  sum,
  sumSquares,
  denominator,
  denominatorSquares,
  products,
}: RatioSums): Estimate {
  const ratio = sum / denominator
  const mean = denominator / n
  const covariance = (products - (sum * denominator) / n) / (n - 1)
  const unitVariance =
    (variance(n, sum, sumSquares) -
      2 * ratio * covariance +
      ratio ** 2 * variance(n, denominator, denominatorSquares)) /
    mean ** 2
  return { value: ratio, error: Math.sqrt(Math.max(0, unitVariance) / n), units: n }
}

/** Treatment less what is tolerated: `tolerated` times control, 1 for no worse at all. */
export function differenceOf(treatment: Estimate, control: Estimate, tolerated = 1): Estimate {
  return {
    value: treatment.value - tolerated * control.value,
    error: Math.hypot(treatment.error, tolerated * control.error),
    units: treatment.units + control.units,
  }
}

/** One arm less a limit. */
export function excessOf(arm: Estimate, limit: number): Estimate {
  return { ...arm, value: arm.value - limit }
}

/**
 * Differences within strata as one, weighted by `1/error²`; undefined when none of them has an error, since without one
 * nothing is known of how far it may be off.
 */
export function combineStrata(differences: readonly Estimate[]): Estimate | undefined {
  let [weights, sum, units] = [0, 0, 0]
  for (const { value, error, units: own } of differences) {
    if (!(error > 0)) continue
    weights += 1 / error ** 2
    sum += value / error ** 2
    units += own
  }
  return weights > 0 ? { value: sum / weights, error: 1 / Math.sqrt(weights), units } : undefined
}

/**
 * Whether bounds may be looked at: 50 units with anything to tell are to be expected in each arm, by the share of both
 * arms together. An arm's own number would let in those that are high by chance.
 */
export function isBurntIn(arms: readonly Backing[]): boolean {
  let [hits, units, fewest] = [0, 0, Number.POSITIVE_INFINITY]
  for (const arm of arms) {
    hits += arm.hits
    units += arm.units
    fewest = Math.min(fewest, arm.units)
  }
  return units > 0 && (fewest * hits) / units >= BURN_IN
}

/**
 * The share of α that the stage of that number, counted from 0, may use: `1/((k+1)·(k+2))`, which sums to 1. Sums begin
 * anew with a stage, and each beginning is another chance of a false alarm.
 */
export function stageShare(stage: number): number {
  return 1 / ((stage + 1) * (stage + 2))
}

/** The parameter ρ of a sequence of two sides that is narrowest at so many units: `ρ² = (-2·ln α + ln(1 - 2·ln α))/N*`. */
export function rhoOf(alpha: number, tunedFor: number): number {
  const log = -2 * Math.log(alpha)
  return Math.sqrt((log + Math.log1p(log)) / tunedFor)
}

/**
 * A bound that holds at all looks together with probability 1 - α (`side` is where the difference would be too much:
 * `above` has a lower bound, above 0 when it is proven), and the evidence that the difference is on that side: at
 * `ln(1/α)` or more where the bound is past 0.
 *
 * `half = error·√(2·(N·ρ²+1)/(N·ρ²)·ln(1 + √(N·ρ²+1)/(2α)))`, ρ for 2α, N the units: Waudby-Smith and others, arXiv
 * 2103.06476, as in statistics.md section 2; evidence by `p = S/(2·(e^u - 1))`, `S = √(N·ρ²+1)`,
 * `u = z²·N·ρ²/(2·(N·ρ²+1))`. Its promise is asymptotic: wait for `isBurntIn`.
 *
 * @param tunedFor for how many units it is narrowest
 */
export function oneSidedSequence(
  { value, error, units }: Estimate,
  alpha: number,
  tunedFor: number,
  side: 'above' | 'below',
): { readonly bound: number; readonly logEvidence: number } {
  const information = units * rhoOf(2 * alpha, tunedFor) ** 2
  const root = Math.sqrt(information + 1)
  const half = error * Math.sqrt(((2 * (information + 1)) / information) * Math.log1p(root / (2 * alpha)))
  const z = (side === 'above' ? value : -value) / error
  return {
    bound: side === 'above' ? value - half : value + half,
    logEvidence: z > 0 ? Math.max(0, logOdds(z ** 2 * (information / (2 * (information + 1))), root)) : 0,
  }
}

/** `-ln(S/(2·(e^u - 1)))`, for large u too. */
function logOdds(u: number, root: number): number {
  return u + Math.log(-Math.expm1(-u)) + Math.log(2 / root)
}
