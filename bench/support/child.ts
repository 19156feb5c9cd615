import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

/** Runs a script beside this file in a process of its own; the numbers that it prints, of which there are `count`. */
export function numbersFrom(script: string, args: readonly (string | number)[], count: number): number[] {
  const child = spawnSync(
    process.execPath,
    ['--expose-gc', join(import.meta.dirname, script), ...args.map(String)],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const numbers = child.stdout.trim().split(/\s+/).map(Number)
  if (child.status !== 0 || numbers.length !== count || !numbers.every(Number.isFinite)) {
    throw new Error(`${script} ended with ${child.status ?? child.signal} and printed "${child.stdout}"`)
  }
  return numbers
}
