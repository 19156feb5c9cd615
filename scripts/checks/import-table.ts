import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join, posix, relative, sep } from 'node:path'
import type { Finding } from './finding.ts'
import { type ImportKind, packageOf, readImports } from './imports.ts'

type Rule = {
  /** Rooms that may be imported, besides the room itself. */
  readonly rooms: readonly string[]
  /** Rooms of which types alone may be imported. */
  readonly typesOf?: readonly string[]
  /** For a room that may be imported in part: the files that may, by their path in it. */
  readonly files?: { readonly [room: string]: readonly string[] }
  /** Packages that may be imported, `@scope/*` for a whole scope; any when left out. */
  readonly packages?: readonly string[]
}

const UP_TO_RELEASES = [
  'bindings.ts',
  'http',
  'ledger',
  'access',
  'notifications',
  'engine',
  'statistics',
  'catalog',
  'telemetry',
  'delivery',
  'rollouts',
  'experiments',
]

const OUTCOMES: Rule = {
  rooms: [
    'bindings.ts',
    'engine',
    'statistics',
    'catalog',
    'telemetry',
    'notifications',
    'access',
    'ledger',
    'http',
  ],
}

const OUTSIDE: Rule = { rooms: ['engine', 'statistics'], typesOf: ['app.ts'] }

/** Who may import whom: folders and single files under src/, and what stands beside it. */
const TABLE: { readonly [room: string]: Rule } = {
  engine: { rooms: [], packages: ['re2js'] },
  statistics: { rooms: [], packages: ['@stdlib/*'] },
  'bindings.ts': { rooms: [] },
  http: { rooms: ['bindings.ts'] },
  ledger: { rooms: ['bindings.ts'] },
  access: { rooms: ['bindings.ts', 'http', 'ledger'] },
  notifications: { rooms: ['bindings.ts', 'http', 'access', 'ledger'] },
  catalog: { rooms: ['bindings.ts', 'engine', 'access', 'ledger', 'http'] },
  telemetry: { rooms: ['bindings.ts', 'engine', 'statistics', 'catalog', 'access', 'http'] },
  delivery: {
    rooms: ['bindings.ts', 'engine', 'catalog', 'telemetry', 'access', 'http'],
    files: {
      catalog: ['environment-snapshot.ts', 'entities.ts', 'hub-protocol.ts'],
      telemetry: ['isolate/reporter.ts', 'isolate/exposures.ts', 'events/tag.ts', 'events/track.ts'],
    },
  },
  rollouts: OUTCOMES,
  experiments: OUTCOMES,
  releases: { rooms: UP_TO_RELEASES },
  // What app.ts and index.ts load at its first use.
  'management.ts': { rooms: [...UP_TO_RELEASES, 'releases'] },
  'tick.ts': { rooms: [...UP_TO_RELEASES, 'releases'] },
  'app.ts': { rooms: [...UP_TO_RELEASES, 'releases', 'management.ts'] },
  'index.ts': { rooms: [...UP_TO_RELEASES, 'releases', 'app.ts', 'tick.ts'] },
  dashboard: OUTSIDE,
  sdk: OUTSIDE,
}

/** What an evaluation must not wait for: an isolate that only evaluates never loads these. */
const OFF_THE_ROAD = ['zod', '@hono/zod-openapi', 'drizzle-orm', 'jose']

/** A rule broken by one line of one file. */
export type Violation = {
  readonly file: string
  readonly line: number
  readonly message: string
}

type Edge = {
  readonly specifier: string
  readonly kind: ImportKind
  readonly line: number
  /** The file that is meant; undefined for a package. */
  readonly target: string | undefined
}

/** For each file that was reached, the one before it. */
type CameFrom = ReadonlyMap<string, string | undefined>

function roomOf(path: string): string | undefined {
  const [top, next] = path.split('/')
  const room = top === 'src' ? next : top
  return room !== undefined && Object.hasOwn(TABLE, room) ? room : undefined
}

function describe(room: string, { rooms, typesOf = [], packages = [] }: Rule): string {
  const allowed = [...rooms, ...typesOf.map((other) => `types of ${other}`), ...packages]
  return `${room} may import ${allowed.length > 0 ? allowed.join(', ') : 'nothing outside itself'}`
}

function mayImportPackage({ packages }: Rule, specifier: string): boolean {
  const name = packageOf(specifier)
  return packages === undefined || packages.includes(name) || packages.includes(`${posix.dirname(name)}/*`)
}

/** Why the table forbids an import; undefined when it does not. */
function faultOf(room: string, rule: Rule, { specifier, target, kind }: Edge): string | undefined {
  if (target === undefined) return mayImportPackage(rule, specifier) ? undefined : describe(room, rule)
  const other = roomOf(target)
  if (other === room) return undefined
  if (other === undefined) return describe(room, rule)
  if (kind === 'type' && rule.typesOf?.includes(other)) return undefined
  if (!rule.rooms.includes(other)) return describe(room, rule)
  const part = rule.files?.[other]
  if (part === undefined || part.includes(posix.relative(`src/${other}`, target))) return undefined
  return `${room} may import of ${other} only ${part.join(', ')}`
}

function targetOf(file: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined
  return posix.join(posix.dirname(file), specifier.replace(/\?.*/, ''))
}

/** Follows imports breadth first: for each file that is reached, the one before it on a shortest way. */
function follow(starts: readonly string[], next: (file: string) => readonly Edge[]): CameFrom {
  const cameFrom = new Map<string, string | undefined>(starts.map((file) => [file, undefined]))
  // Keys that are added on the way are visited too.
  for (const file of cameFrom.keys()) {
    for (const { target } of next(file)) {
      if (target !== undefined && !cameFrom.has(target)) cameFrom.set(target, file)
    }
  }
  return cameFrom
}

function wayTo(file: string, cameFrom: CameFrom): string[] {
  const before = cameFrom.get(file)
  return before === undefined ? [file] : [...wayTo(before, cameFrom), file]
}

function findOnTheRoad(edges: ReadonlyMap<string, readonly Edge[]>): Violation[] {
  const loadedBy = (file: string) => (edges.get(file) ?? []).filter(({ kind }) => kind === 'value')
  const starts = [...edges.keys()].filter(
    (file) => file === 'src/index.ts' || file.startsWith('src/delivery/'),
  )
  const cameFrom = follow(starts, loadedBy)
  return [...cameFrom.keys()].flatMap((file) =>
    loadedBy(file)
      .filter(({ target, specifier }) => target === undefined && OFF_THE_ROAD.includes(packageOf(specifier)))
      .map(({ line, specifier }) => ({
        file,
        line,
        message: `imports ${specifier}: on the evaluation road, ${wayTo(file, cameFrom).join(' → ')}`,
      })),
  )
}

/** Finds the shortest circles that share no file: one import too many may close dozens. */
function findCircles(edges: ReadonlyMap<string, readonly Edge[]>): Violation[] {
  const boundTo = (file: string) => (edges.get(file) ?? []).filter(({ kind }) => kind !== 'dynamic')
  const circles: { readonly files: readonly string[]; readonly violation: Violation }[] = []
  for (const start of edges.keys()) {
    const cameFrom = follow([start], boundTo)
    for (const file of cameFrom.keys()) {
      const closing = boundTo(file).find(({ target }) => target === start)
      if (!closing) continue
      const files = wayTo(file, cameFrom)
      const message = `imports ${closing.specifier}: a circle, ${[...files, start].join(' → ')}`
      circles.push({ files, violation: { file, line: closing.line, message } })
      break
    }
  }
  const told = new Set<string>()
  const violations: Violation[] = []
  for (const { files, violation } of circles.sort((a, b) => a.files.length - b.files.length)) {
    if (files.some((file) => told.has(file))) continue
    for (const file of files) told.add(file)
    violations.push(violation)
  }
  return violations
}

/**
 * Holds every import of a tree to the table and the evaluation road, and finds circles.
 * @param files by path from the top of the repository, with `/`; only .ts and .tsx are read
 * @throws SyntaxError when one of them cannot be parsed
 */
export function findViolations(files: ReadonlyMap<string, string>): Violation[] {
  const violations: Violation[] = []
  const edges = new Map<string, Edge[]>()
  for (const [file, source] of files) {
    if (!/\.tsx?$/.test(file)) continue
    const room = roomOf(file)
    const rule = room === undefined ? undefined : TABLE[room]
    if (room === undefined || rule === undefined) {
      violations.push({ file, line: 1, message: 'is in no room of the import table' })
      continue
    }
    const found: Edge[] = []
    for (const { specifier, kind, line } of readImports(file, source)) {
      if (specifier === undefined) {
        violations.push({ file, line, message: 'imports a computed name, which cannot be followed' })
        continue
      }
      const edge = { specifier, kind, line, target: targetOf(file, specifier) }
      found.push(edge)
      // A name without its extension may build all the same, but nothing here would see where it leads.
      const isMissing = edge.target !== undefined && !files.has(edge.target)
      const fault = faultOf(room, rule, edge) ?? (isMissing ? `there is no ${edge.target}` : undefined)
      if (fault) violations.push({ file, line, message: `imports ${specifier}: ${fault}` })
    }
    edges.set(file, found)
  }
  return [...violations, ...findOnTheRoad(edges), ...findCircles(edges)]
}

/** Holds the repository's own imports to the table. */
export async function checkImportTable(root: string): Promise<Finding> {
  const files = new Map<string, string>()
  for (const folder of ['src', 'dashboard/src', 'sdk']) {
    if (!existsSync(join(root, folder))) continue
    for (const entry of await readdir(join(root, folder), { recursive: true, withFileTypes: true })) {
      const path = relative(root, join(entry.parentPath, entry.name)).replaceAll(sep, '/')
      if (!entry.isFile() || /\/(node_modules|dist)\//.test(path)) continue
      files.set(path, await readFile(join(root, path), 'utf8'))
    }
  }
  const problems = findViolations(files).map(({ file, line, message }) => `${file}:${line} ${message}`)
  return { problems, figures: `${files.size} files` }
}
