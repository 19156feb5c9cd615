import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Finding } from './finding.ts'

type Versions = { readonly [name: string]: string }

/** The part of a package.json that is checked. */
export type Manifest = {
  readonly dependencies?: Versions
  readonly devDependencies?: Versions
  readonly optionalDependencies?: Versions
}

/** The part of a package-lock.json that is checked. */
export type LockFile = {
  readonly packages: {
    readonly [path: string]: {
      readonly version?: string
      readonly resolved?: string
      readonly optionalDependencies?: Versions
    }
  }
}

/** Tools that come as a package for each platform. One for Windows on ARM is not demanded: workerd has none. */
const PLATFORM_TOOLS = ['workerd', '@biomejs/biome', 'esbuild', 'rolldown', 'typescript']

const PLATFORMS = {
  'Linux x64': /linux-x?64/,
  'Linux arm64': /linux-arm64/,
  'macOS x64': /darwin-x?64/,
  'macOS arm64': /darwin-arm64/,
  'Windows x64': /win(32|dows)-x?64/,
}

const EXACT_VERSION = /^\d+\.\d+\.\d+(-[\w.-]+)?$/

/** Names the dependencies whose version may move between two installations. */
export function findLooseVersions(manifest: Manifest): string[] {
  const { dependencies, devDependencies, optionalDependencies } = manifest
  return Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })
    .filter(([, version]) => !EXACT_VERSION.test(version))
    .map(([name, version]) => `${name} has ${version}, which is not an exact version`)
}

/** The version that Node would find for a package's dependency: its own folder's first, then upwards. */
function lockedVersion({ packages }: LockFile, path: string, name: string): string | undefined {
  const found = packages[`${path}/node_modules/${name}`.replace(/^\//, '')]
  if (found || path === '') return found?.version
  return lockedVersion({ packages }, path.slice(0, Math.max(path.lastIndexOf('/node_modules/'), 0)), name)
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
}

/** Finds what would make `npm ci` fail elsewhere: a registry's address, or a platform's package left out. */
export function findLockFaults(lock: LockFile): string[] {
  const faults: string[] = []
  const entries = Object.entries(lock.packages)
  const addressed = entries.filter(([, { resolved }]) => resolved?.includes('://'))
  const [first] = addressed
  if (first) faults.push(`${addressed.length} packages carry a "resolved" address, the first is ${first[0]}`)
  for (const [path, { optionalDependencies = {} }] of entries) {
    const names = Object.keys(optionalDependencies)
    const platforms = PLATFORM_TOOLS.includes(nameOf(path)) ? Object.entries(PLATFORMS) : []
    for (const [platform, pattern] of platforms) {
      if (!names.some((name) => pattern.test(name))) faults.push(`${path} has no package for ${platform}`)
    }
    // An npm that runs on one platform may leave out the others' packages, which are all optional.
    for (const [name, wanted] of Object.entries(optionalDependencies)) {
      const locked = lockedVersion(lock, path, name)
      const isRight = EXACT_VERSION.test(wanted) ? locked === wanted : locked !== undefined
      if (!isRight) faults.push(`${path} needs ${name} ${wanted}, locked is ${locked ?? 'none'}`)
    }
  }
  return faults
}

/** Holds the repository's lock files and the versions in each package.json beside them. */
export async function checkLockFiles(root: string): Promise<Finding> {
  const problems: string[] = []
  for (const folder of ['', 'bench/']) {
    const read = async (name: string) => JSON.parse(await readFile(join(root, folder, name), 'utf8'))
    if (!existsSync(join(root, folder, 'package-lock.json'))) continue
    const manifest: Manifest = await read('package.json')
    const lock: LockFile = await read('package-lock.json')
    problems.push(...findLooseVersions(manifest).map((fault) => `${folder}package.json: ${fault}`))
    problems.push(...findLockFaults(lock).map((fault) => `${folder}package-lock.json: ${fault}`))
  }
  return { problems }
}
