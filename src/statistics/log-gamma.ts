// Differences of logarithms of the gamma function, without losing what large numbers would cancel. Pure.

/** From here on Stirling's series with four terms is exact to 12 digits. */
const STIRLING_FROM = 12

/** What Stirling's formula leaves: `ln Γ(x) - ((x-½)·ln x - x + ½·ln 2π)`, Abramowitz–Stegun 6.1.41. */
function stirlingRest(x: number): number {
  const square = 1 / (x * x)
  return (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680))) / x
}

/** `ln Γ(a+n) - ln Γ(a) - n·ln a` for a > 0 and n ≥ 0: how much more a rising factorial is than a power. */
export function logRisingOverPower(a: number, n: number): number {
  if (a >= STIRLING_FROM) {
    return (a + n - 0.5) * Math.log1p(n / a) - n + stirlingRest(a + n) - stirlingRest(a)
  }
  // Γ(a) = Γ(a+1)/a, as often as it takes.
  let factors = 0
  let base = a
  for (; base < STIRLING_FROM; base++) factors += Math.log((base + n) / base)
  return logRisingOverPower(base, n) + n * Math.log(base / a) - factors
}

/** ln Γ(x) for x > 0. */
export function logGamma(x: number): number {
  if (x < STIRLING_FROM) return logGamma(x + 1) - Math.log(x)
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + stirlingRest(x)
}
