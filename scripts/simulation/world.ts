// What the world is like while a rollout goes through it: how many come, how often they fail, whom the ramp gives what.

export const BLOCKS_PER_MINUTE = 6
export const BLOCKS_PER_HOUR = 360
export const BLOCKS_PER_DAY = 24 * BLOCKS_PER_HOUR

/** From which hour on which share of the public is treated. */
export type Ramp = readonly { readonly hour: number; readonly share: number }[]

/** Up, down and up again, several times before hour 24 and after it; never more than `exposure`. */
export function rampUpAndDown(exposure: number): Ramp {
  return [
    { hour: 0, share: exposure / 4 },
    { hour: 2, share: exposure },
    { hour: 9, share: exposure / 4 },
    { hour: 11, share: exposure },
    { hour: 30, share: exposure / 4 },
    { hour: 35, share: exposure },
    { hour: 60, share: exposure / 4 },
    { hour: 64, share: exposure },
  ]
}

/** The shares that a ramp cuts the buckets at, and 1. */
export function edgesOf(ramp: Ramp): number[] {
  const shares = new Set(ramp.map(({ share }) => share).filter((share) => share > 0 && share < 1))
  return [...[...shares].sort((a, b) => a - b), 1]
}

/** The share by block, and whether a stage begins with it. */
export class Schedule {
  private readonly starts: ReadonlyMap<number, number>
  share = 0

  constructor(ramp: Ramp) {
    this.starts = new Map(ramp.map(({ hour, share }) => [hour * BLOCKS_PER_HOUR, share]))
  }

  /** Goes on to a block; whether a stage begins with it. */
  advance(block: number): boolean {
    const share = this.starts.get(block)
    if (share === undefined) return false
    this.share = share
    return true
  }
}

/** How often people fail at an hour, compared with the mean: a daily swing, and two incidents of 20 minutes a day. */
export function movingBaseline(block: number): number {
  const hour = block / BLOCKS_PER_HOUR
  const ofDay = hour % 24
  const swing = 1 + 0.5 * Math.sin((2 * Math.PI * hour) / 24)
  // In the second, the ramp goes up at the hours 11 and 35.
  const isIncident = (ofDay > 5.5 && ofDay < 5.84) || (ofDay > 10.83 && ofDay < 11.17)
  return isIncident ? 4 * swing : swing
}

/** How many people come at an hour, compared with the mean. */
export function movingTraffic(block: number): number {
  return 1 + 0.6 * Math.sin((2 * Math.PI * (block / BLOCKS_PER_HOUR - 9)) / 24)
}
