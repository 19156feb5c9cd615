// From alarms to figures with their standard errors. Pure.
import { BLOCKS_PER_MINUTE } from './world.ts'

/** How many of the runs alarmed within so many blocks. */
export function alarmsWithin(alarms: readonly number[], blocks: number): number {
  return alarms.filter((alarm) => alarm <= blocks).length
}

/** A share in percent and its standard error; of none and of all the error is that of one more or less. */
export function sayRate(count: number, runs: number): string {
  const share = count / runs
  const bounded = Math.min(Math.max(share, 1 / (runs + 1)), 1 - 1 / (runs + 1))
  const error = Math.sqrt((bounded * (1 - bounded)) / runs)
  return `${(100 * share).toFixed(2)} ± ${(100 * error).toFixed(2)}`
}

/** How long detectors took that did not alarm before: in minutes, never being longer than anything. */
export class Delays {
  /** The share of runs in which the alarm came before there was anything. */
  readonly before: number
  private readonly sorted: readonly number[]

  constructor(alarms: readonly number[]) {
    const after = alarms.filter((alarm) => !(alarm < 0))
    this.before = alarms.length > 0 ? 1 - after.length / alarms.length : 0
    this.sorted = after
      .map((alarm) => (Number.isNaN(alarm) ? Number.POSITIVE_INFINITY : alarm / BLOCKS_PER_MINUTE))
      .sort((a, b) => a - b)
  }

  get runs(): number {
    return this.sorted.length
  }

  quantile(share: number): number {
    const rank = Math.ceil(share * this.sorted.length)
    return this.sorted[Math.min(Math.max(rank, 1), this.sorted.length) - 1] ?? Number.NaN
  }

  /** Half of what lies between the order statistics that are one standard deviation of the rank to either side. */
  errorOf(share: number): number {
    const deviation = Math.sqrt((share * (1 - share)) / this.runs)
    return (this.quantile(share + deviation) - this.quantile(share - deviation)) / 2
  }
}

function sayMinutes(minutes: number): string {
  if (Number.isNaN(minutes)) return '–'
  return Number.isFinite(minutes) ? minutes.toFixed(1) : 'never'
}

/** Median with its standard error, and the 90 % quantile: `5.7 ± 0.1 / 11.2`. */
export function sayDelays(delays: Delays): string {
  // Of what nearly always alarms before, nothing is left to be said.
  if (delays.before > 0.5) return `${(100 * delays.before).toFixed(0)} % before`
  const median = delays.quantile(0.5)
  const error = delays.errorOf(0.5)
  const spread = Number.isFinite(error) ? ` ± ${error.toFixed(1)}` : ''
  return `${sayMinutes(median)}${spread} / ${sayMinutes(delays.quantile(0.9))}`
}
