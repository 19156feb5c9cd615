import { describe, expect, it } from 'vitest'
import { findBindingFaults, type WranglerBindings } from '../../scripts/checks/bindings.ts'

const CONFIG: WranglerBindings = {
  assets: { binding: 'ASSETS' },
  kv_namespaces: [{ binding: 'SNAPSHOTS' }],
  d1_databases: [{ binding: 'DB' }],
  durable_objects: { bindings: [{ name: 'HUB', class_name: 'Hub' }] },
  ratelimits: [{ name: 'LIMIT' }],
  migrations: [{ new_sqlite_classes: ['Hub'] }],
}

const MEMBERS = {
  ASSETS: 'readonly ASSETS: Fetcher',
  SNAPSHOTS: 'readonly SNAPSHOTS: KVNamespace',
  DB: '/** Everything. */ readonly DB: D1Database',
  HUB: 'readonly HUB: DurableObjectNamespace',
  LIMIT: 'readonly LIMIT: RateLimit',
  ADMIN_TOKEN: 'readonly ADMIN_TOKEN?: string',
}

const INDEX = `export { Hub } from './hub.ts'\nexport default { fetch }`

/** What is wrong once some members of `Bindings`, some of wrangler.toml, or the Worker's exports are others. */
function faults(
  members: { readonly [name: string]: string } = {},
  config: WranglerBindings = {},
  index = INDEX,
  source = '',
): string[] {
  const lines = Object.values({ ...MEMBERS, ...members }).join('\n')
  return findBindingFaults({ ...CONFIG, ...config }, source, `export type Bindings = {\n${lines}\n}`, index)
}

it('finds nothing when both agree', () => {
  expect(faults()).toEqual([])
  expect(faults({ HUB: 'readonly HUB: DurableObjectNamespace<Hub>' })).toEqual([])
})

describe('names and types', () => {
  it.each(['ASSETS: Fetcher', 'SNAPSHOTS: KVNamespace', 'DB: D1Database', 'LIMIT: RateLimit'])(
    'misses %s in the type',
    (member) => {
      expect(faults({ [member.replace(/:.*/, '')]: '' })).toEqual([
        `src/bindings.ts lacks ${member}, which wrangler.toml binds`,
      ])
    },
  )

  it('misses a member in wrangler.toml', () => {
    expect(faults({ EXTRA: 'readonly EXTRA: KVNamespace' })).toEqual([
      'wrangler.toml does not bind EXTRA: KVNamespace',
    ])
    expect(faults({}, { kv_namespaces: [] })).toEqual(['wrangler.toml does not bind SNAPSHOTS: KVNamespace'])
  })

  it('compares types', () => {
    expect(faults({ DB: 'readonly DB: KVNamespace' })).toEqual([
      'src/bindings.ts has DB: KVNamespace, but it is D1Database',
    ])
  })

  it('knows that what is bound is always there', () => {
    expect(faults({ DB: 'readonly DB?: D1Database' })).toEqual([
      'src/bindings.ts has DB?, but wrangler.toml always binds it',
    ])
  })

  it('takes an optional string for a secret, and nothing else', () => {
    expect(faults({ EXTRA: 'readonly EXTRA?: string' })).toEqual([])
    expect(faults({ EXTRA: 'readonly EXTRA: string' })).toHaveLength(1)
    expect(faults({ EXTRA: 'readonly EXTRA?: KVNamespace' })).toHaveLength(1)
  })
})

describe('what only some deployments bind', () => {
  const OPTIONAL = { EMAIL: 'readonly EMAIL?: SendEmail' }
  const SHOWN = '# Where e-mail is set up:\n# [[send_email]]\n# name = "EMAIL"\n'

  it.each([
    ['is shown', OPTIONAL, {}, SHOWN, []],
    ['is bound', OPTIONAL, { send_email: [{ name: 'EMAIL' }] }, '', []],
    ['is not shown', OPTIONAL, {}, '', ['wrangler.toml does not show how EMAIL: SendEmail is bound']],
    [
      'is shown under another name',
      OPTIONAL,
      {},
      SHOWN.replace('EMAIL', 'MAIL'),
      ['wrangler.toml does not show how EMAIL: SendEmail is bound'],
    ],
    [
      'is shown, and taken for granted',
      { EMAIL: 'readonly EMAIL: SendEmail' },
      {},
      SHOWN,
      ['wrangler.toml does not bind EMAIL: SendEmail'],
    ],
    [
      'is bound, and taken for granted',
      { EMAIL: 'readonly EMAIL: SendEmail' },
      { send_email: [{ name: 'EMAIL' }] },
      '',
      ['src/bindings.ts has EMAIL: SendEmail, which not every deployment has'],
    ],
    [
      'is bound, and not in the type',
      {},
      { send_email: [{ name: 'EMAIL' }] },
      '',
      ['src/bindings.ts lacks EMAIL: SendEmail, which wrangler.toml binds'],
    ],
  ])('%s', (_, members, config, source, found) => {
    expect(faults(members, config, INDEX, source)).toEqual(found)
  })
})

describe('Durable Object classes', () => {
  it.each([`import { Hub } from './hub.ts'`, `export type { Hub } from './hub.ts'`])(
    'must be exported as values: %s',
    (index) => {
      expect(faults({}, {}, index)).toEqual(['src/index.ts does not export Hub'])
    },
  )

  it.each([
    ['made', [{ new_classes: ['Hub'] }], 0],
    [
      'made by another name',
      [{ new_sqlite_classes: ['Old'] }, { renamed_classes: [{ from: 'Old', to: 'Hub' }] }],
      0,
    ],
    ['never made', [], 1],
    ['made and deleted', [{ new_sqlite_classes: ['Hub'] }, { deleted_classes: ['Hub'] }], 1],
    ['renamed', [{ new_sqlite_classes: ['Hub'] }, { renamed_classes: [{ from: 'Hub', to: 'New' }] }], 1],
  ])('need a migration: %s', (_, migrations, count) => {
    expect(faults({}, { migrations })).toHaveLength(count)
  })
})
