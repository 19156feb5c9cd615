// What can be simulated: a scenario is played run by run, each from its own seed, and says when each detector alarmed.

export type Scenario = {
  readonly id: string
  /** How many runs the table takes. */
  readonly runs: number
  /** Whose alarms a run answers, in this order. */
  readonly detectors: readonly string[]
  /**
   * Plays one run.
   * @returns for each detector, after how many blocks it alarmed: of a regression, counted from its beginning, and
   * below 0 when it alarmed before; NaN: never
   */
  readonly play: (seed: number, run: number) => number[]
}

/** When each detector alarmed in each run. */
export type Outcome = { readonly scenario: string; readonly alarms: readonly (readonly number[])[] }

/** A seed of each scenario's own, so that rows are independent. */
export function seedOf(seed: number, id: string): number {
  let hash = seed | 0
  for (const letter of id) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x5bd1e995) ^ (hash >>> 13)
  return hash
}

/** Blocks until an alarm that was given after a block; NaN: never. */
export function blocksUntil(alarm: number, since = 0): number {
  if (alarm < 0) return Number.NaN
  // An alarm is given at the end of its block.
  return alarm < since ? alarm - since : alarm - since + 1
}
