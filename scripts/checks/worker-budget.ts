import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, type V4WorkerOptions } from 'miniflare'
import { unstable_readConfig } from 'wrangler'
import type { Finding } from './finding.ts'
import { runTool } from './tool.ts'

const MAX_GZIP_KIB = 400
const MAX_START_UP_MS = 50
const COPIES = 4
const SETTLED_ROUNDS = 3
const MAX_ROUNDS = 20
const MAX_ATTEMPTS = 3

type Compatibility = Pick<V4WorkerOptions, 'compatibilityDate' | 'compatibilityFlags'>

/** The time until workerd has loaded some copies of a Worker and is ready for requests. */
async function readyMs(source: string, compatibility: Compatibility): Promise<number> {
  const workers = Array.from({ length: COPIES }, (_, copy): V4WorkerOptions => {
    const modules = [{ type: 'ESModule' as const, path: 'index.js', contents: source }]
    return { ...compatibility, name: `copy-${copy}`, modules }
  })
  const start = performance.now()
  const miniflare = new Miniflare({
    ...convertV4MiniflareOptions({ workers }),
    log: new Log(LogLevel.ERROR),
  })
  try {
    await miniflare.ready
    return performance.now() - start
  } finally {
    await miniflare.dispose()
  }
}

/**
 * Measures how long workerd takes to compile a Worker and run its top level.
 *
 * What is measured is the time until workerd is ready, less that of a Worker which is the same text in a comment:
 * starting the process and handing over the text cancel out. Several copies in one process make the difference
 * large beside its noise. Whatever else the machine does can only add time, so the least of several rounds is
 * closest to the truth, and rounds go on until the least times have settled.
 */
export async function measureStartUp(source: string, compatibility: Compatibility): Promise<number> {
  const comment = `/*${source.replaceAll('*/', '* /')}*/ export default { fetch: () => new Response() }`
  let least = Infinity
  let leastOfComment = Infinity
  let settled = 0
  for (let round = 0; round < MAX_ROUNDS && settled < SETTLED_ROUNDS; round++) {
    const ofComment = await readyMs(comment, compatibility)
    const ofSource = await readyMs(source, compatibility)
    settled = ofComment < leastOfComment || ofSource < least ? 0 : settled + 1
    leastOfComment = Math.min(leastOfComment, ofComment)
    least = Math.min(least, ofSource)
  }
  return Math.max(0, least - leastOfComment) / COPIES
}

/** Compares a Worker's figures with the budget. */
export function judge(gzipBytes: number, startUpMs: number): Finding {
  const kib = gzipBytes / 1024
  const size = `${kib.toFixed(1)} KiB gzip of ${MAX_GZIP_KIB}`
  const startUp = `start-up ${startUpMs.toFixed(1)} ms of ${MAX_START_UP_MS}`
  const problems: string[] = []
  if (kib > MAX_GZIP_KIB) problems.push(`the Worker is too large: ${size}`)
  if (startUpMs > MAX_START_UP_MS) problems.push(`the Worker starts too slowly: ${startUp}`)
  return { problems, figures: `${size}, ${startUp}` }
}

/** Builds the Worker as a deployment does and holds it to its budget. */
export async function checkWorkerBudget(root: string): Promise<Finding> {
  const config = join(root, 'wrangler.toml')
  const outdir = await mkdtemp(join(tmpdir(), 'rampart-worker-'))
  try {
    const args = ['deploy', '--dry-run', '--config', config, '--outdir', outdir]
    const build = await runTool('wrangler', 'wrangler', ...args)
    if (build.problems.length > 0) return build

    const scripts = (await readdir(outdir)).filter((name) => name.endsWith('.js'))
    const sizes = scripts.map(async (name) => gzipSync(await readFile(join(outdir, name))).length)
    const gzipBytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
    const { compatibility_date, compatibility_flags } = unstable_readConfig({ config })
    const compatibility = {
      ...(compatibility_date === undefined ? {} : { compatibilityDate: compatibility_date }),
      compatibilityFlags: compatibility_flags,
    }
    const source = await readFile(join(outdir, 'index.js'), 'utf8')
    let startUpMs = Infinity
    // A machine that is busy for minutes may spoil a whole measurement, but hardly several.
    for (let attempt = 0; attempt < MAX_ATTEMPTS && startUpMs > MAX_START_UP_MS; attempt++) {
      startUpMs = Math.min(startUpMs, await measureStartUp(source, compatibility))
    }
    return judge(gzipBytes, startUpMs)
  } finally {
    await rm(outdir, { recursive: true, force: true })
  }
}
