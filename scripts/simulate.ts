// Simulates rollouts, good and bad, and prints what guards find. `npm run simulate`; `npm run simulate -- --scale 0.01`
// plays a hundredth of the runs, `--only '→ 2 %'` the scenarios with that in their names, `--write` puts the table into
// docs/statistics.md.
import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { SEED, scenarios } from './simulation/catalogue.ts'
import { runScenarios } from './simulation/run-scenarios.ts'
import { toTables } from './simulation/table.ts'

const PAGE = join(import.meta.dirname, '../docs/statistics.md')
const BEGIN = '<!-- simulation: begin -->'
const END = '<!-- simulation: end -->'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: `${SEED}` },
    scale: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    threads: { type: 'string', default: `${availableParallelism()}` },
    write: { type: 'boolean', default: false },
  },
})

function writeTable(text: string): void {
  const page = readFileSync(PAGE, 'utf8')
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`${PAGE} lacks ${BEGIN} and ${END}`)
  writeFileSync(PAGE, `${page.slice(0, begin + BEGIN.length)}\n\n${text}\n\n${page.slice(end)}`)
}

const seed = Number(values.seed)
const played = scenarios(Number(values.scale)).filter(({ id }) => id.includes(values.only))
const began = performance.now()
const outcomes = await runScenarios(played, seed, Number(values.threads), (done, of) => {
  if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${of} runs`)
})
if (process.stderr.isTTY) process.stderr.write('\r')
const tables = toTables(outcomes)
const seconds = ((performance.now() - began) / 1000).toFixed(0)
console.log(`${tables}\n\nSeed ${seed}; ${seconds} s on ${values.threads} threads.`)
const command = `npm run simulate -- --seed ${seed}${values.scale === '1' ? '' : ` --scale ${values.scale}`}`
if (values.write) writeTable(`${tables}\n\nFrom \`${command}\`.`)
