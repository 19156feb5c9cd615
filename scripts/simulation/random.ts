// Draws from a seeded generator. The same seed makes the same draws on every machine.

/** ln k! less its leading terms `½·ln 2π + (k+½)·ln(k+1) - (k+1)`. */
function stirlingTail(k: number): number {
  if (k < STIRLING_TAILS.length) return STIRLING_TAILS[k] ?? 0
  const next = k + 1
  const squared = next * next
  return (1 / 12 - (1 / 360 - 1 / 1260 / squared) / squared) / next
}

const STIRLING_TAILS = Array.from({ length: 10 }, (_, k) => {
  let logFactorial = 0
  for (let i = 2; i <= k; i++) logFactorial += Math.log(i)
  return logFactorial - (0.5 * Math.log(2 * Math.PI) + (k + 0.5) * Math.log(k + 1) - (k + 1))
})

/** Means from which on counts are drawn by rejection, which takes the same time whatever they are. */
const LARGE = 10

/** A source of random draws: sfc32, begun from a seed and the number of a stream. */
export class Random {
  private a: number
  private b: number
  private c: number
  private counter = 1

  constructor(seed: number, stream = 0) {
    this.a = seed | 0
    this.b = stream | 0
    this.c = 0x2545f491
    for (let round = 0; round < 20; round++) this.next()
  }

  /** Evenly spread in (0, 1). */
  next(): number {
    const sum = (((this.a + this.b) | 0) + this.counter) | 0
    this.counter = (this.counter + 1) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = (this.c << 21) | (this.c >>> 11)
    this.c = (this.c + sum) | 0
    return ((sum >>> 0) + 0.5) / 4294967296
  }

  /** Normal, mean 0 and variance 1. */
  normal(): number {
    return Math.sqrt(-2 * Math.log(this.next())) * Math.cos(2 * Math.PI * this.next())
  }

  /** How many tries fail before the first that does not. */
  geometric(chance: number): number {
    return Math.floor(Math.log(this.next()) / Math.log1p(-chance))
  }

  poisson(mean: number): number {
    if (mean <= 0) return 0
    if (mean >= LARGE) return this.largePoisson(mean)
    const draw = this.next()
    // e^-m ≥ 1 - m: mostly nothing more needs to be known.
    if (draw <= 1 - mean) return 0
    let k = 0
    let term = Math.exp(-mean)
    let left = draw - term
    while (left > 0 && k < 1000) {
      k++
      term *= mean / k
      left -= term
    }
    return k
  }

  binomial(n: number, chance: number): number {
    if (n <= 0 || chance <= 0) return 0
    if (chance >= 1) return n
    if (chance > 0.5) return n - this.binomial(n, 1 - chance)
    if (n * chance >= LARGE) return this.largeBinomial(n, chance)
    const draw = this.next()
    if (draw <= 1 - n * chance) return 0
    const odds = chance / (1 - chance)
    let k = 0
    let term = Math.exp(n * Math.log1p(-chance))
    let left = draw - term
    while (left > 0 && k < n) {
      k++
      term *= (odds * (n - k + 1)) / k
      left -= term
    }
    return k
  }

  /** Transformed rejection with squeeze: Hörmann 1993, PTRS. */
  private largePoisson(mean: number): number {
    const b = 0.931 + 2.53 * Math.sqrt(mean)
    const a = -0.059 + 0.02483 * b
    const squeeze = 0.9277 - 3.6224 / (b - 2)
    while (true) {
      const u = this.next() - 0.5
      const v = this.next()
      const us = 0.5 - Math.abs(u)
      const k = Math.floor(((2 * a) / us + b) * u + mean + 0.43)
      if (us >= 0.07 && v <= squeeze) return k
      if (k < 0 || (us < 0.013 && v > us)) continue
      const logAccept = Math.log((v * (1.1239 + 1.1328 / (b - 3.4))) / (a / (us * us) + b))
      const logFactorial =
        0.5 * Math.log(2 * Math.PI) + (k + 0.5) * Math.log(k + 1) - (k + 1) + stirlingTail(k)
      if (logAccept <= k * Math.log(mean) - mean - logFactorial) return k
    }
  }

  /** Transformed rejection with squeeze: Hörmann 1993, BTRS; chance ≤ ½. */
  private largeBinomial(n: number, chance: number): number {
    const deviation = Math.sqrt(n * chance * (1 - chance))
    const b = 1.15 + 2.53 * deviation
    const a = -0.0873 + 0.0248 * b + 0.01 * chance
    const squeeze = 0.92 - 4.2 / b
    while (true) {
      const u = this.next() - 0.5
      const v = this.next()
      const us = 0.5 - Math.abs(u)
      const k = Math.floor(((2 * a) / us + b) * u + n * chance + 0.5)
      if (us >= 0.07 && v <= squeeze) return k
      if (k < 0 || k > n) continue
      const odds = chance / (1 - chance)
      const mode = Math.floor((n + 1) * chance)
      const logAccept = Math.log((v * (2.83 + 5.1 / b) * deviation) / (a / (us * us) + b))
      const bound =
        (mode + 0.5) * Math.log((mode + 1) / (odds * (n - mode + 1))) +
        (n + 1) * Math.log((n - mode + 1) / (n - k + 1)) +
        (k + 0.5) * Math.log((odds * (n - k + 1)) / (k + 1)) +
        stirlingTail(mode) +
        stirlingTail(n - mode) -
        stirlingTail(k) -
        stirlingTail(n - k)
      if (logAccept <= bound) return k
    }
  }
}
