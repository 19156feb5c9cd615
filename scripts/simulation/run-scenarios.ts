// Spreads runs over threads. What comes out does not depend on how many there are.
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Outcome, Scenario } from './scenario.ts'
import type { Played, Portion } from './worker.ts'

/** Small enough that threads end at about the same time. */
const PORTION_RUNS = 20

function portionsOf(scenarios: readonly Scenario[], seed: number): Portion[] {
  return scenarios.flatMap(({ id, runs }) => {
    const count = Math.ceil(runs / PORTION_RUNS)
    return Array.from({ length: count }, (_, index) => {
      const first = index * PORTION_RUNS
      return { scenario: id, seed, first, runs: Math.min(PORTION_RUNS, runs - first) }
    })
  })
}

/** One thread: takes portions until there are no more. */
function work(portions: Portion[], take: (played: Played) => void): Promise<void> {
  const worker = new Worker(join(import.meta.dirname, 'worker.ts'))
  return new Promise((resolve, reject) => {
    const next = () => {
      const portion = portions.shift()
      if (portion) worker.postMessage(portion)
      else void worker.terminate().then(() => resolve())
    }
    worker.on('message', (played: Played) => {
      take(played)
      next()
    })
    worker.on('error', reject)
    next()
  })
}

/** @param told how many runs of how many are over */
export async function runScenarios(
  scenarios: readonly Scenario[],
  seed: number,
  threads: number,
  told: (done: number, of: number) => void,
): Promise<Outcome[]> {
  const portions = portionsOf(scenarios, seed)
  const all = scenarios.reduce((sum, { runs }) => sum + runs, 0)
  const alarms = new Map(scenarios.map(({ id }) => [id, [] as (readonly number[])[]]))
  let done = 0
  const take = ({ portion, alarms: played }: Played) => {
    const runs = alarms.get(portion.scenario)
    for (const [index, run] of played.entries()) if (runs) runs[portion.first + index] = run
    done += played.length
    told(done, all)
  }
  await Promise.all(Array.from({ length: threads }, () => work(portions, take)))
  return scenarios.map(({ id }) => ({ scenario: id, alarms: alarms.get(id) ?? [] }))
}
