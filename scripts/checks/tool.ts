import { execFile } from 'node:child_process'
import { binOf } from '../run.ts'
import type { Finding } from './finding.ts'

const MAX_OUTPUT_BYTES = 64 * 1024 * 1024

/** Runs a package's command with this very Node, so that no shell or platform script is needed. */
export function runTool(packageName: string, command: string, ...args: readonly string[]): Promise<Finding> {
  const options = {
    env: { ...process.env, WRANGLER_SEND_METRICS: 'false' },
    maxBuffer: MAX_OUTPUT_BYTES,
  }
  return new Promise((resolve) => {
    execFile(process.execPath, [binOf(packageName, command), ...args], options, (error, stdout, stderr) => {
      const output = `${stdout}${stderr}`.trim()
      resolve({ problems: error ? [output === '' ? error.message : output] : [] })
    })
  })
}
