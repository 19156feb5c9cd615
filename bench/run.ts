// Runs the benches: all of them, or those that are named. `node bench/run.ts engine`
import { execSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'

const directory = import.meta.dirname
const benches = readdirSync(directory)
  .filter((file) => file.endsWith('.ts') && file !== basename(import.meta.filename))
  .map((file) => basename(file, '.ts'))
  .sort()

const wanted = process.argv.slice(2)
const unknown = wanted.filter((bench) => !benches.includes(bench))
if (unknown.length > 0) {
  console.error(`There is no bench ${unknown.join(', ')}; there are ${benches.join(', ')}.`)
  process.exit(1)
}

// The peers have a lock file of their own, so that the product's installation does not bring them along.
if (!existsSync(join(directory, 'node_modules'))) execSync('npm ci', { cwd: directory, stdio: 'inherit' })

let failed = false
for (const bench of wanted.length > 0 ? wanted : benches) {
  console.log(`\n== ${bench} ==`)
  const { status } = spawnSync(process.execPath, ['--expose-gc', join(directory, `${bench}.ts`)], {
    stdio: 'inherit',
  })
  if (status !== 0) {
    failed = true
    console.error(`\nThe bench ${bench} did not run to its end.`)
  }
}
process.exit(failed ? 1 : 0)
