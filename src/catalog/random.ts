/** Numbers that a seed decides: the same in every run. */
export type Random = {
  /** A whole number from 0 up to, not including, `limit`. */
  readonly below: (limit: number) => number
  /** True with a probability, 0 to 1. */
  readonly chance: (probability: number) => boolean
  /** One of a list; undefined when it is empty. */
  readonly pick: <T>(list: readonly T[]) => T | undefined
}

/** Makes a stream of numbers from a seed (mulberry32). */
export function createRandom(seed: number): Random {
  let state = seed | 0
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000
  }
  const below = (limit: number) => Math.floor(next() * limit)
  return {
    below,
    chance: (probability) => next() < probability,
    pick: (list) => list[below(list.length)],
  }
}
