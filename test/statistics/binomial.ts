// Probabilities of small numbers of hits, counted out.

/** How many ways there are to choose `k` of `n`. */
export function combinationsOf(n: number, k: number): number {
  let ways = 1
  for (let index = 1; index <= k; index++) ways = (ways * (n - k + index)) / index
  return ways
}

/** The probabilities of 0 to `n` hits among `n` units of which each is hit with that probability. */
export function binomialShares(n: number, probability: number): number[] {
  return Array.from(
    { length: n + 1 },
    (_, x) => combinationsOf(n, x) * probability ** x * (1 - probability) ** (n - x),
  )
}
