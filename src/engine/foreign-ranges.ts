// What the imported schemes share: a unit has a position, weights are cut into ranges, and the first range that
// holds the position is the answer.

/** What is bucketed: the value of an attribute, undefined when it is missing or of another type. */
export type Unit = string | number | undefined

/** Tells the index into a split's weights, or `NOTHING`. */
export type AssignUnit = (unit: Unit) => number

/** The scheme serves the unit nothing. */
export const NOTHING = -1

const NEVER = -1

export function sumOf(weights: readonly number[]): number {
  return weights.reduce((sum, weight) => sum + weight, 0)
}

/** The first range whose end, exclusive, is above a position. */
export function firstAbove(ends: readonly number[], position: number): number {
  return ends.findIndex((end) => position < end)
}

/** The first range whose end, inclusive, is at or above a position. */
export function firstAtLeast(ends: readonly number[], position: number): number {
  return ends.findIndex((end) => position <= end)
}

/** The ends, inclusive, of the ranges of weights as parts of `whole`; nothing is ever in the range of a weight of 0. */
export function toInclusiveEnds(weights: readonly number[], whole: number): number[] {
  let cumulative = 0
  return weights.map((weight) => {
    cumulative += weight
    return weight > 0 ? cumulative / whole : NEVER
  })
}
