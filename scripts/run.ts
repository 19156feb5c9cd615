import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const require = createRequire(import.meta.url)

/** Where a package's command is started from: the file that its package.json names in `bin`. */
export function binOf(packageName: string, command = packageName): string {
  const manifest = require.resolve(`${packageName}/package.json`)
  const { bin } = require(manifest)
  return join(dirname(manifest), typeof bin === 'string' ? bin : bin[command])
}

/**
 * Runs a package's command to its end with this very Node.
 * @returns what it printed, both streams in order
 * @throws when it ends with another code than 0
 */
export async function run(packageName: string, ...args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [binOf(packageName), ...args], {
    env: { ...process.env, WRANGLER_SEND_METRICS: 'false', CI: 'true' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const collect = (chunk: Buffer) => {
    output += chunk.toString()
  }
  child.stdout.on('data', collect)
  child.stderr.on('data', collect)
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  if (code !== 0) throw new Error(`${packageName} ${args.join(' ')} ended with ${code}:\n${output}`)
  return output
}
