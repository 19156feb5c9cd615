// Random draws that a seed repeats. Pure but for the generator's own state.

export class Draws {
  private state: number

  constructor(seed: number) {
    this.state = seed | 0
  }

  /** Evenly between 0 and 1, never 0: mulberry32. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (((mixed ^ (mixed >>> 14)) >>> 0) + 0.5) / 2 ** 32
  }

  /** How many of so many come true, each with a probability: by the lengths of the gaps between those that do. */
  binomial(count: number, probability: number): number {
    if (!(probability > 0) || count <= 0) return 0
    if (probability >= 1) return count
    if (probability > 0.5) return count - this.binomial(count, 1 - probability)
    const perGap = Math.log1p(-probability)
    let found = 0
    for (let at = 0; ; found++) {
      at += Math.floor(Math.log(this.next()) / perGap) + 1
      if (at > count) return found
    }
  }

  /** How many come by themselves where so many do on average. */
  poisson(mean: number): number {
    let found = 0
    for (let left = mean + Math.log(this.next()); left > 0; found++) left += Math.log(this.next())
    return found
  }
}
