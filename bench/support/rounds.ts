/** One thing that is timed: `run` does all the work of one round. */
export type Timed = { readonly name: string; readonly run: () => void | Promise<void> }

/** What one contender took, in milliseconds. */
export type Timing = { readonly name: string; readonly median: number; readonly rounds: readonly number[] }

/** The middle of the values; of an even number of them, the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)]
  const lower = sorted[Math.floor((sorted.length - 1) / 2)]
  if (upper === undefined || lower === undefined) throw new Error('the median of nothing')
  return (lower + upper) / 2
}

/** Collects garbage where the process lets us, so that nobody pays for what another one left. */
export function collectGarbage(): void {
  globalThis.gc?.()
}

/**
 * Times all contenders in interleaved rounds, so that a noisy moment of the machine hits all alike. The first
 * rounds only warm up and are thrown away; the order turns by one each round.
 */
export async function measureRounds(
  contenders: readonly Timed[],
  { rounds, warmUp }: { readonly rounds: number; readonly warmUp: number },
): Promise<Timing[]> {
  const taken = new Map<Timed, number[]>(contenders.map((contender) => [contender, []]))
  for (let round = -warmUp; round < rounds; round++) {
    const first = (round + warmUp) % contenders.length
    for (const contender of [...contenders.slice(first), ...contenders.slice(0, first)]) {
      collectGarbage()
      const start = performance.now()
      await contender.run()
      const milliseconds = performance.now() - start
      if (round >= 0) taken.get(contender)?.push(milliseconds)
    }
  }
  return contenders.map((contender) => {
    const times = taken.get(contender) ?? []
    return { name: contender.name, median: median(times), rounds: times }
  })
}
