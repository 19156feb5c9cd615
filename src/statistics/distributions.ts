// Distribution functions, to eight digits or more, in both tails. Pure. Short, because the Worker has little room: @stdlib's
// would take 39 KiB of it; the tests hold these to those.
import { logGamma } from './log-gamma.ts'

/** Lentz's method keeps its divisors away from 0 by this. */
const TINY = 1e-300
const PRECISION = 1e-15
/** Fractions need some multiple of the root of their parameters: enough for parameters of 10^10. */
const MAX_TERMS = 1_000_000

/** `a₁/(b₁ + a₂/(b₂ + …))`, by the modified Lentz method. `term` has aᵢ and bᵢ, from i = 1. */
function continuedFraction(term: (index: number) => readonly [a: number, b: number]): number {
  let [fraction, c, d] = [TINY, TINY, 0]
  for (let index = 1; index < MAX_TERMS; index++) {
    const [a, b] = term(index)
    d = 1 / (b + a * d || TINY)
    c = b + a / c || TINY
    fraction *= c * d
    if (Math.abs(c * d - 1) < PRECISION) break
  }
  return fraction
}

/** The regularised incomplete gamma functions P(a, x) and Q(a, x) for a > 0: Abramowitz–Stegun 6.5.29 and 6.5.31. */
function incompleteGamma(a: number, x: number): { readonly lower: number; readonly upper: number } {
  if (x <= 0) return { lower: 0, upper: 1 }
  const density = Math.exp(a * Math.log(x) - x - logGamma(a))
  if (x < a + 1) {
    let sum = 0
    let term = 1 / a
    for (let index = 1; term > sum * PRECISION; index++) {
      sum += term
      term *= x / (a + index)
    }
    return { lower: density * sum, upper: 1 - density * sum }
  }
  const upper =
    density *
    continuedFraction((index) => {
      const i = index - 1
      return [i === 0 ? 1 : i * (a - i), x + 2 * i + 1 - a]
    })
  return { lower: 1 - upper, upper }
}

/** The regularised incomplete beta function: the probability that Beta(a, b) is at most x; Abramowitz–Stegun 26.5.8. */
export function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0
  if (x >= 1) return 1
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a)
  const density = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x))
  const fraction = continuedFraction((index) => {
    if (index === 1) return [1, 1]
    const m = Math.floor((index - 1) / 2)
    const factor =
      index % 2 === 0
        ? (-(a + m) * (a + b + m)) / ((a + 2 * m) * (a + 2 * m + 1))
        : (m * (b - m)) / ((a + 2 * m - 1) * (a + 2 * m))
    return [factor * x, 1]
  })
  return (density * fraction) / a
}

/** The probability that a standard normal number is more than z. */
export function normalTail(z: number): number {
  const { lower, upper } = incompleteGamma(0.5, z ** 2 / 2)
  return z > 0 ? upper / 2 : 0.5 + lower / 2
}

/** The number that a standard normal one exceeds with probability p, 0 < p < 1. */
export function normalQuantileAbove(p: number): number {
  if (p > 0.5) return -normalQuantileAbove(1 - p)
  // Abramowitz–Stegun 26.2.23, then Halley's method, which triples the digits each time.
  const t = Math.sqrt(-2 * Math.log(p))
  let z =
    t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)))
  for (let step = 0; step < 2; step++) {
    const density = Math.exp(-(z ** 2) / 2) / Math.sqrt(2 * Math.PI)
    const error = (normalTail(z) - p) / density
    z += error / (1 - (z * error) / 2)
  }
  return z
}

/** The probability that a chi-square number with so many degrees of freedom is more than x. */
export function chiSquareTail(x: number, degrees: number): number {
  return incompleteGamma(degrees / 2, x / 2).upper
}

/** The probabilities of at least, and of less than, k hits where so many are expected: Poisson's distribution. */
export function poissonTails(k: number, expected: number): { readonly least: number; readonly less: number } {
  if (k <= 0) return { least: 1, less: 0 }
  const { lower, upper } = incompleteGamma(k, expected)
  return { least: lower, less: upper }
}

/** The probability of exactly k hits where so many are expected. */
export function poissonShare(k: number, expected: number): number {
  return Math.exp(k * Math.log(expected) - expected - logGamma(k + 1))
}
