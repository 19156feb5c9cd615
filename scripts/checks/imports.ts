import { parseSync, Visitor } from 'vite'

/**
 * How an import binds two files. `value`: loaded with the file. `type`: gone once built. `dynamic`: loaded when
 * that line runs. `import { type T }` counts as `value`, because it stays behind as `import {}`.
 */
export type ImportKind = 'value' | 'type' | 'dynamic'

export type Import = {
  /** As written; undefined when it is computed. */
  readonly specifier: string | undefined
  readonly kind: ImportKind
  readonly line: number
}

/**
 * Reads every import of a TypeScript file: static, re-exported, of types alone, and `import()`.
 * @throws SyntaxError when the file cannot be parsed, since imports would then be missed
 */
export function readImports(path: string, source: string): Import[] {
  const { program, errors } = parseSync(path, source)
  const [error] = errors
  if (error) throw new SyntaxError(`${path}: ${error.message}`)

  const imports: Import[] = []
  const add = (start: number, specifier: string | undefined, kind: ImportKind) => {
    imports.push({ specifier, kind, line: source.slice(0, start).split('\n').length })
  }
  new Visitor({
    ImportDeclaration: (node) => add(node.start, node.source.value, node.importKind ?? 'value'),
    ExportAllDeclaration: (node) => add(node.start, node.source.value, node.exportKind ?? 'value'),
    ExportNamedDeclaration(node) {
      if (node.source) add(node.start, node.source.value, node.exportKind ?? 'value')
    },
    ImportExpression({ start, source: from }) {
      const isLiteral = from.type === 'Literal' && typeof from.value === 'string'
      add(start, isLiteral ? from.value : undefined, 'dynamic')
    },
    TSImportType: (node) => add(node.start, node.source.value, 'type'),
  }).visit(program)
  return imports.sort((a, b) => a.line - b.line)
}

/** The package that a specifier leads to: `drizzle-orm` for `drizzle-orm/d1`. */
export function packageOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}
