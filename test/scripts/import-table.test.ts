import { describe, expect, it } from 'vitest'
import { findViolations } from '../../scripts/checks/import-table.ts'

type Tree = { readonly [path: string]: string }

/** What is wrong with a made-up tree, as `npm run check` prints it. */
function violations(tree: Tree): string[] {
  const found = findViolations(new Map(Object.entries(tree)))
  return found.map(({ file, line, message }) => `${file}:${line} ${message}`)
}

/** What is wrong when one file imports another, which is there and empty. */
function imports(from: string, to: string, statement: (specifier: string) => string): string[] {
  const up = '../'.repeat(from.split('/').length - 1)
  return violations({ [from]: statement(`'${up}${to}'`), [to]: '' })
}

const asValue = (specifier: string) => `import ${specifier}`
const asType = (specifier: string) => `import type { T } from ${specifier}`
const again = (specifier: string) => `export * from ${specifier}`
const inline = (specifier: string) => `export type T = import(${specifier}).T`
const lazily = (specifier: string) => `await import(${specifier})`

describe('rooms', () => {
  it.each([
    ['src/http/a.ts', 'src/bindings.ts'],
    ['src/ledger/a.ts', 'src/bindings.ts'],
    ['src/access/a.ts', 'src/ledger/b.ts'],
    ['src/notifications/a.ts', 'src/access/b.ts'],
    ['src/catalog/a.ts', 'src/engine/b.ts'],
    ['src/telemetry/a.ts', 'src/statistics/b.ts'],
    ['src/delivery/a.ts', 'src/engine/b.ts'],
    ['src/rollouts/a.ts', 'src/notifications/b.ts'],
    ['src/experiments/a.ts', 'src/telemetry/b.ts'],
    ['src/releases/a.ts', 'src/experiments/b.ts'],
    ['src/engine/a.ts', 'src/engine/b.ts'],
    ['src/app.ts', 'src/releases/routes.ts'],
    ['src/index.ts', 'src/app.ts'],
    ['dashboard/src/a.tsx', 'src/engine/b.ts'],
    ['sdk/js/a.ts', 'src/statistics/b.ts'],
  ])('%s may import %s', (from, to) => {
    expect(imports(from, to, asValue)).toEqual([])
  })

  it.each([
    ['src/engine/a.ts', 'src/http/b.ts'],
    ['src/engine/a.ts', 'src/bindings.ts'],
    ['src/statistics/a.ts', 'src/engine/b.ts'],
    ['src/bindings.ts', 'src/catalog/b.ts'],
    ['src/http/a.ts', 'src/engine/b.ts'],
    ['src/ledger/a.ts', 'src/http/b.ts'],
    ['src/access/a.ts', 'src/catalog/b.ts'],
    ['src/notifications/a.ts', 'src/catalog/b.ts'],
    ['src/catalog/a.ts', 'src/delivery/b.ts'],
    ['src/telemetry/a.ts', 'src/ledger/b.ts'],
    ['src/delivery/a.ts', 'src/ledger/b.ts'],
    ['src/rollouts/a.ts', 'src/experiments/b.ts'],
    ['src/experiments/a.ts', 'src/rollouts/b.ts'],
    ['src/releases/a.ts', 'src/app.ts'],
    ['src/app.ts', 'src/index.ts'],
    ['src/catalog/a.ts', 'scripts/b.ts'],
    ['dashboard/src/a.tsx', 'src/catalog/b.ts'],
    ['sdk/js/a.ts', 'dashboard/src/b.ts'],
  ])('%s may not import %s', (from, to) => {
    expect(imports(from, to, asValue)[0]).toContain(`${from}:1 imports `)
  })

  it.each([
    ['an import', asValue],
    ['an import of types', asType],
    ['a re-export', again],
    ['a type in place', inline],
    ['an import when needed', lazily],
  ])('counts %s', (_, statement) => {
    expect(imports('src/http/a.ts', 'src/ledger/b.ts', statement)).toEqual([
      'src/http/a.ts:1 imports ../../src/ledger/b.ts: http may import bindings.ts',
    ])
  })

  it('knows every file of src', () => {
    const outside = 'is in no room of the import table'
    expect(violations({ 'src/helpers.ts': '', 'src/misc/a.ts': '' })).toEqual([
      `src/helpers.ts:1 ${outside}`,
      `src/misc/a.ts:1 ${outside}`,
    ])
  })
})

describe('parts of rooms', () => {
  it.each([
    ['catalog', 'hub-protocol.ts', 'tables.ts', 'environment-snapshot.ts, entities.ts, hub-protocol.ts'],
    [
      'telemetry',
      'isolate/reporter.ts',
      'events/reporter.ts',
      'isolate/reporter.ts, isolate/exposures.ts, events/tag.ts, events/track.ts',
    ],
  ])('delivery may import only some of %s', (room, allowed, forbidden, list) => {
    expect(imports('src/delivery/a.ts', `src/${room}/${allowed}`, asValue)).toEqual([])
    expect(imports('src/delivery/a.ts', `src/${room}/${forbidden}`, asType)).toEqual([
      `src/delivery/a.ts:1 imports ../../src/${room}/${forbidden}: delivery may import of ${room} only ${list}`,
    ])
  })

  it('the dashboard and the SDKs may import types of the app, not the app', () => {
    for (const from of ['dashboard/src/a.ts', 'sdk/js/a.ts']) {
      expect(imports(from, 'src/app.ts', asType)).toEqual([])
      expect(imports(from, 'src/app.ts', asValue)).toHaveLength(1)
      expect(imports(from, 'src/app.ts', lazily)).toHaveLength(1)
    }
  })
})

describe('packages', () => {
  it.each([
    ['src/engine/a.ts', 're2js'],
    ['src/statistics/a.ts', '@stdlib/stats'],
    ['src/catalog/a.ts', 'drizzle-orm/d1'],
    ['src/catalog/a.ts', 'cloudflare:workers'],
    ['dashboard/src/a.ts', 'preact'],
  ])('%s may import %s', (from, name) => {
    expect(violations({ [from]: `import '${name}'` })).toEqual([])
  })

  it.each([
    ['src/engine/a.ts', 'hono', 'engine may import re2js'],
    ['src/engine/a.ts', 'node:crypto', 'engine may import re2js'],
    ['src/engine/a.ts', 'cloudflare:workers', 'engine may import re2js'],
    ['src/statistics/a.ts', 're2js', 'statistics may import @stdlib/*'],
    ['src/statistics/a.ts', 'node:fs', 'statistics may import @stdlib/*'],
  ])('%s may not import %s', (from, name, reason) => {
    expect(violations({ [from]: `import type { T } from '${name}'` })).toEqual([
      `${from}:1 imports ${name}: ${reason}`,
    ])
  })
})

describe('names', () => {
  it('refuses a file that is not there, which a name without extension may hide', () => {
    expect(violations({ 'src/http/a.ts': `import './b'`, 'src/http/b.ts': '' })).toEqual([
      'src/http/a.ts:1 imports ./b: there is no src/http/b',
    ])
  })

  it('refuses a computed name', () => {
    expect(violations({ 'src/http/a.ts': `\nconst b = './b.ts'\nawait import(b)` })).toEqual([
      'src/http/a.ts:3 imports a computed name, which cannot be followed',
    ])
  })

  it('lets a component import what is not code', () => {
    const tree = { 'dashboard/src/a.tsx': `import './style.css?inline'`, 'dashboard/src/style.css': 'p {}' }
    expect(violations(tree)).toEqual([])
  })
})

describe('the evaluation road', () => {
  it.each(['zod', '@hono/zod-openapi', 'drizzle-orm/d1', 'jose/jws/compact/verify'])(
    'starts at delivery and never loads %s',
    (name) => {
      expect(violations({ 'src/delivery/a.ts': `import '${name}'` })).toEqual([
        `src/delivery/a.ts:1 imports ${name}: on the evaluation road, src/delivery/a.ts`,
      ])
    },
  )

  it('starts at the Worker and goes on through what it loads', () => {
    const tree = {
      'src/index.ts': `import './app.ts'\nexport * from './catalog/hub.ts'`,
      'src/app.ts': '',
      'src/catalog/hub.ts': `import './tables.ts'`,
      'src/catalog/tables.ts': `import 'hono'\nimport { sql } from 'drizzle-orm'`,
    }
    const way = 'src/index.ts → src/catalog/hub.ts → src/catalog/tables.ts'
    expect(violations(tree)).toEqual([
      `src/catalog/tables.ts:2 imports drizzle-orm: on the evaluation road, ${way}`,
    ])
  })

  it('does not follow types, nor what is loaded when it is needed', () => {
    const tree = {
      'src/index.ts': `import type { T } from './catalog/tables.ts'\nawait import('./catalog/tables.ts')`,
      'src/catalog/tables.ts': `import 'drizzle-orm'`,
      'src/delivery/a.ts': `import type { T } from 'zod'\nawait import('zod')`,
    }
    expect(violations(tree)).toEqual([])
  })

  it('follows a type that is imported beside values, since the import stays when built', () => {
    const tree = {
      'src/index.ts': `import { type T } from './catalog/tables.ts'`,
      'src/catalog/tables.ts': `import 'drizzle-orm'`,
    }
    expect(violations(tree)).toHaveLength(1)
  })
})

describe('circles', () => {
  it('finds one through several files, types included', () => {
    const tree = {
      'src/http/a.ts': `import './b.ts'`,
      'src/http/b.ts': `\nimport type { C } from './c.ts'`,
      'src/http/c.ts': `export type A = import('./a.ts').A`,
    }
    const circle = 'src/http/a.ts → src/http/b.ts → src/http/c.ts → src/http/a.ts'
    expect(violations(tree)).toEqual([`src/http/c.ts:1 imports ./a.ts: a circle, ${circle}`])
  })

  it('tells of one circle where an import closes several', () => {
    const tree = {
      'src/http/a.ts': `import './b.ts'\nimport './c.ts'`,
      'src/http/b.ts': `import './c.ts'`,
      'src/http/c.ts': `import './a.ts'`,
      'src/access/a.ts': `import './b.ts'`,
      'src/access/b.ts': `import './a.ts'`,
    }
    expect(violations(tree)).toEqual([
      'src/http/c.ts:1 imports ./a.ts: a circle, src/http/a.ts → src/http/c.ts → src/http/a.ts',
      'src/access/b.ts:1 imports ./a.ts: a circle, src/access/a.ts → src/access/b.ts → src/access/a.ts',
    ])
  })

  it('finds a file that imports itself', () => {
    expect(violations({ 'src/http/a.ts': `import './a.ts'` })).toHaveLength(1)
  })

  it('lets two roads lead to one file, and a circle be closed when it is needed', () => {
    const tree = {
      'src/http/a.ts': `import './b.ts'\nimport './c.ts'`,
      'src/http/b.ts': `import './d.ts'`,
      'src/http/c.ts': `import './d.ts'`,
      'src/http/d.ts': `await import('./a.ts')`,
    }
    expect(violations(tree)).toEqual([])
  })
})
