// A server that was killed outright leaves its workerd behind, which then holds the port. Its process ids are kept
// beside the data, so that the next start can end it.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const FILE = 'runtime.json'

function commandOf(pid: number): string {
  try {
    return execFileSync('ps', ['-p', String(pid), '-o', 'command='], { encoding: 'utf8' })
  } catch {
    // No such process, or no `ps`: then nothing is known to be ours, and nothing is ended.
    return ''
  }
}

/** Remembers the processes of the server that keeps its data in `persist`. */
export function rememberRuntime(persist: string, pids: readonly number[]): void {
  mkdirSync(persist, { recursive: true })
  writeFileSync(join(persist, FILE), JSON.stringify(pids))
}

/** Forgets them: the server has ended as it should. */
export function forgetRuntime(persist: string): void {
  rmSync(join(persist, FILE), { force: true })
}

/** Ends what a killed server left running; a process id that is another program's by now is left alone. */
export function endLeftover(persist: string): void {
  let pids: unknown
  try {
    pids = JSON.parse(readFileSync(join(persist, FILE), 'utf8'))
  } catch {
    return
  }
  for (const pid of Array.isArray(pids) ? pids : []) {
    if (typeof pid === 'number' && commandOf(pid).includes('workerd')) process.kill(pid)
  }
  forgetRuntime(persist)
}
