// Chance that is the same in every run.

/** Numbers in [0, 1): mulberry32. */
export function uniforms(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Numbers of the standard normal distribution, by Box and Muller. */
export function normals(seed: number): () => number {
  const uniform = uniforms(seed)
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform())
}

/** How many hits there are where so many are expected, by Poisson's distribution. */
export function poissons(seed: number): (mean: number) => number {
  const uniform = uniforms(seed)
  return (mean) => {
    const least = Math.exp(-mean)
    let hits = -1
    for (let product = 1; product > least; hits++) product *= uniform()
    return hits
  }
}

/** How many of n units are hit, each with that probability. */
export function hitsAmong(seed: number): (n: number, probability: number) => number {
  const uniform = uniforms(seed)
  return (n, probability) => {
    // From one hit to the next: geometric gaps, so that rare hits cost little.
    if (probability >= 1) return n
    let hits = 0
    for (let unit = 0; ; hits++) {
      unit += Math.floor(Math.log(1 - uniform()) / Math.log1p(-probability)) + 1
      if (unit > n) return hits
    }
  }
}
