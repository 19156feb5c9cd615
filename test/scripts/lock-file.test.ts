import { describe, expect, it } from 'vitest'
import { findLockFaults, findLooseVersions, type LockFile } from '../../scripts/checks/lock-file.ts'

const WORKERD = Object.fromEntries(
  ['linux-64', 'linux-arm64', 'darwin-64', 'darwin-arm64', 'windows-64'].map((platform) => [
    `@cloudflare/workerd-${platform}`,
    '1.0.0',
  ]),
)

/** A lock file with workerd for every platform, and some packages that are others. */
function makeLock(packages: LockFile['packages']): LockFile {
  const platforms = Object.keys(WORKERD).map((name) => [`node_modules/${name}`, { version: '1.0.0' }])
  const workerd = { version: '1.0.0', optionalDependencies: WORKERD }
  return { packages: { 'node_modules/workerd': workerd, ...Object.fromEntries(platforms), ...packages } }
}

describe('versions', () => {
  it.each(['1.2.3', '0.1.0', '5.20261023.2-beta', '1.0.0-rc.1'])('%s is exact', (version) => {
    expect(findLooseVersions({ dependencies: { a: version } })).toEqual([])
  })

  it.each([
    '^1.2.3',
    '~1.2.3',
    '1.2',
    '1.x',
    '*',
    'latest',
    '>=1.2.3',
    '1.2.3 || 2.0.0',
    'file:../a',
    'git+https://h/a',
  ])('%s is not', (version) => {
    const fault = [`a has ${version}, which is not an exact version`]
    expect(findLooseVersions({ dependencies: { a: version } })).toEqual(fault)
    expect(findLooseVersions({ devDependencies: { a: version } })).toEqual(fault)
    expect(findLooseVersions({ optionalDependencies: { a: version } })).toEqual(fault)
  })
})

describe('addresses', () => {
  it('takes a lock file without any, and one that links a folder', () => {
    expect(findLockFaults(makeLock({ 'node_modules/sdk': { resolved: 'sdk/js' } }))).toEqual([])
  })

  it('refuses those of a registry, in one line', () => {
    const resolved = 'https://registry.example/a.tgz'
    expect(
      findLockFaults(makeLock({ 'node_modules/a': { resolved }, 'node_modules/b': { resolved } })),
    ).toEqual(['2 packages carry a "resolved" address, the first is node_modules/a'])
  })
})

describe('platforms', () => {
  it('misses a package that is not locked', () => {
    const { 'node_modules/@cloudflare/workerd-darwin-arm64': _, ...packages } = makeLock({}).packages
    expect(findLockFaults({ packages })).toEqual([
      'node_modules/workerd needs @cloudflare/workerd-darwin-arm64 1.0.0, locked is none',
    ])
  })

  it('misses a package that is locked in another version', () => {
    const lock = makeLock({ 'node_modules/@cloudflare/workerd-windows-64': { version: '0.9.0' } })
    expect(findLockFaults(lock)).toEqual([
      'node_modules/workerd needs @cloudflare/workerd-windows-64 1.0.0, locked is 0.9.0',
    ])
  })

  it('finds it beside a tool that another package brings along', () => {
    const nested = 'node_modules/tool/node_modules'
    const inner = (version: string) => ({
      [`${nested}/workerd`]: {
        version: '2.0.0',
        optionalDependencies: { ...WORKERD, '@cloudflare/workerd-linux-64': '2.0.0' },
      },
      [`${nested}/@cloudflare/workerd-linux-64`]: { version },
    })
    expect(findLockFaults(makeLock(inner('2.0.0')))).toEqual([])
    expect(findLockFaults(makeLock(inner('2.1.0')))).toHaveLength(1)
  })

  it('wants a tool to have a package for each platform', () => {
    const lock = makeLock({ 'node_modules/esbuild': { version: '1.0.0', optionalDependencies: {} } })
    expect(findLockFaults(lock)).toEqual(
      ['Linux x64', 'Linux arm64', 'macOS x64', 'macOS arm64', 'Windows x64'].map(
        (platform) => `node_modules/esbuild has no package for ${platform}`,
      ),
    )
  })

  it('wants any version of a dependency whose version may move', () => {
    const tool = { version: '1.0.0', optionalDependencies: { fsevents: '~2.3.3' } }
    expect(
      findLockFaults(makeLock({ 'node_modules/a': tool, 'node_modules/fsevents': { version: '2.3.4' } })),
    ).toEqual([])
    expect(findLockFaults(makeLock({ 'node_modules/a': tool }))).toEqual([
      'node_modules/a needs fsevents ~2.3.3, locked is none',
    ])
  })
})
