import { expect, it } from 'vitest'
import { packageOf, readImports } from '../../scripts/checks/imports.ts'

it('reads every kind of import with its line', () => {
  const source = `// 🚦 import a from './not-this.ts'
import './effect.ts'
import value, { type AlsoType } from './value.ts'
import { type StaysBehind } from './stays-behind.ts'
import type { Type } from './type.ts'
export { again } from './again.ts'
export * from './all.ts'
export type { Only } from './only.ts'
export type Inline = import('./inline.ts').Inline
const text = "import x from './nor-this.ts'"
export const lazy = <T,>(name: string) => [import('./lazy.ts'), import(\`./\${name}.ts\`), text, value as T]
/* import './nor-that.ts' */
export { lazy as default }
`
  expect(readImports('a.ts', source)).toEqual([
    { specifier: './effect.ts', kind: 'value', line: 2 },
    { specifier: './value.ts', kind: 'value', line: 3 },
    { specifier: './stays-behind.ts', kind: 'value', line: 4 },
    { specifier: './type.ts', kind: 'type', line: 5 },
    { specifier: './again.ts', kind: 'value', line: 6 },
    { specifier: './all.ts', kind: 'value', line: 7 },
    { specifier: './only.ts', kind: 'type', line: 8 },
    { specifier: './inline.ts', kind: 'type', line: 9 },
    { specifier: './lazy.ts', kind: 'dynamic', line: 11 },
    { specifier: undefined, kind: 'dynamic', line: 11 },
  ])
})

it('reads components', () => {
  const source = `import { h } from 'preact'\nexport const Page = () => <p>import 'this'</p>\n`
  expect(readImports('page.tsx', source)).toEqual([{ specifier: 'preact', kind: 'value', line: 1 }])
})

it('refuses a file that it cannot parse', () => {
  expect(() => readImports('a.ts', 'import {')).toThrow('a.ts: ')
})

it.each([
  ['zod', 'zod'],
  ['drizzle-orm/d1', 'drizzle-orm'],
  ['@hono/zod-openapi', '@hono/zod-openapi'],
  ['@stdlib/stats/base/dists', '@stdlib/stats'],
  ['node:fs/promises', 'node:fs'],
])('%s belongs to %s', (specifier, name) => {
  expect(packageOf(specifier)).toBe(name)
})
