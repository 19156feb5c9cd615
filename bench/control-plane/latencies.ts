import { measureRounds, median } from '../support/rounds.ts'

/** Something that is asked again and again, one request after the other. */
export type Probe = {
  readonly name: string
  /** Asks once; milliseconds from the sending to the whole answer. */
  readonly ask: () => Promise<number>
}

/** What the answers to one probe took, in milliseconds. */
export type Latencies = {
  readonly name: string
  readonly all: readonly number[]
  /** The median of each round. */
  readonly medians: readonly number[]
}

/** The smallest value that so large a part of them, 0 to 1, does not exceed. */
export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const value = sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)]
  if (value === undefined) throw new Error('a percentile of nothing')
  return value
}

/** Asks all probes in interleaved rounds. */
export async function measureLatencies(
  probes: readonly Probe[],
  {
    rounds,
    warmUp,
    requests,
  }: { readonly rounds: number; readonly warmUp: number; readonly requests: number },
): Promise<Latencies[]> {
  const taken = new Map<Probe, number[][]>(probes.map((probe) => [probe, []]))
  const timed = probes.map((probe) => ({
    name: probe.name,
    run: async () => {
      const times: number[] = []
      for (let asked = 0; asked < requests; asked++) times.push(await probe.ask())
      taken.get(probe)?.push(times)
    },
  }))
  await measureRounds(timed, { rounds, warmUp })
  return probes.map((probe) => {
    const counted = taken.get(probe)?.slice(warmUp) ?? []
    return { name: probe.name, all: counted.flat(), medians: counted.map(median) }
  })
}

/** How many times as long one takes as the other: the middle of the rounds' ratios, in which a slow spell hits both. */
export function ratioOf(one: Latencies, other: Latencies): number {
  return median(one.medians.map((value, round) => value / (other.medians[round] ?? Number.NaN)))
}
