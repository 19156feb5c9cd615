import type { ChildProcess } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'

/** What the kernel counts processor time in: 10 ms, whatever the machine. */
const MICROSECONDS_PER_TICK = 10_000

/** Whether a process's processor time can be read here; else there is wall time only. */
export const hasProcessorTime = process.platform === 'linux'

/** Microseconds that a process has had of all processors, its threads together; wall time where that is not told. */
export function microsecondsOf(pid: number): number {
  if (!hasProcessorTime) return performance.now() * 1_000
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The second field is the command in parentheses, which may contain anything; utime and stime are 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * MICROSECONDS_PER_TICK
}

/** Does what starts one process that stays; its id, which those who start it do not tell. */
export async function startProcess<T>(
  start: () => Promise<T>,
): Promise<{ readonly started: T; readonly pid: number }> {
  const children: ChildProcess[] = []
  const collect = (message: unknown) => {
    children.push((message as { process: ChildProcess }).process)
  }
  subscribe('child_process', collect)
  try {
    const started = await start()
    const running = children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)
    const [pid, ...others] = running.flatMap((child) => child.pid ?? [])
    if (pid === undefined || others.length > 0) throw new Error('not one process was started')
    return { started, pid }
  } finally {
    unsubscribe('child_process', collect)
  }
}
