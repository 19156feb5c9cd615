// `npm run check`: all that must hold before anything is tested. Every check is run, also after one has failed.
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { checkBindings } from './checks/bindings.ts'
import type { Finding } from './checks/finding.ts'
import { checkImportTable } from './checks/import-table.ts'
import { checkLockFiles } from './checks/lock-file.ts'
import { checkOpenApi } from './checks/openapi.ts'
import { runTool } from './checks/tool.ts'
import { checkWorkerBudget } from './checks/worker-budget.ts'

const ROOT = resolve(import.meta.dirname, '..')
process.chdir(ROOT)

/** TypeScript's projects; the benchmarks only where their own packages are installed. */
const PROJECTS = [
  'tsconfig.json',
  'src/engine/tsconfig.json',
  'src/statistics/tsconfig.json',
  'tsconfig.test.json',
  'dashboard/tsconfig.json',
  ...(existsSync('bench/node_modules') ? ['bench/tsconfig.json', 'bench/workers/tsconfig.json'] : []),
]

const CHECKS: readonly (readonly [name: string, run: () => Promise<Finding>])[] = [
  ['biome ci', () => runTool('@biomejs/biome', 'biome', 'ci', '--colors=off', '.')],
  ...PROJECTS.filter((project) => existsSync(project)).map(
    (project) => [`tsc -p ${project}`, () => runTool('typescript', 'tsc', '-p', project)] as const,
  ),
  ['who may import whom', () => checkImportTable(ROOT)],
  ['bindings in step', () => checkBindings(ROOT)],
  ['lock files', () => checkLockFiles(ROOT)],
  ['OpenAPI document', checkOpenApi],
  ['dashboard build', () => runTool('vite', 'vite', 'build', 'dashboard')],
  ['Worker build and budget', () => checkWorkerBudget(ROOT)],
]

async function findingOf(run: () => Promise<Finding>): Promise<Finding> {
  try {
    return await run()
  } catch (error) {
    return { problems: [error instanceof Error ? (error.stack ?? error.message) : String(error)] }
  }
}

for (const [name, run] of CHECKS) {
  const start = performance.now()
  const { problems, figures } = await findingOf(run)
  const seconds = `${((performance.now() - start) / 1000).toFixed(1)} s`.padStart(7)
  const verdict = problems.length === 0 ? 'ok    ' : 'FAILED'
  process.stdout.write(`${verdict} ${seconds}  ${name}${figures ? `: ${figures}` : ''}\n`)
  if (problems.length === 0) continue
  process.stdout.write(`${problems.join('\n')}\n\n`)
  process.exitCode = 1
}
