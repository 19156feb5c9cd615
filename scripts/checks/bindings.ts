import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseSync, Visitor } from 'vite'
import { unstable_readConfig } from 'wrangler'
import type { Finding } from './finding.ts'

/** The part of wrangler.toml that binds something or names a Durable Object class. */
export type WranglerBindings = {
  readonly assets?: { readonly binding?: string | undefined } | undefined
  readonly kv_namespaces?: readonly { readonly binding: string }[]
  readonly d1_databases?: readonly { readonly binding: string }[]
  readonly durable_objects?: {
    readonly bindings: readonly { readonly name: string; readonly class_name: string }[]
  }
  readonly ratelimits?: readonly { readonly name: string }[]
  readonly send_email?: readonly { readonly name: string }[]
  readonly migrations?: readonly {
    readonly new_classes?: readonly string[]
    readonly new_sqlite_classes?: readonly string[]
    readonly renamed_classes?: readonly { readonly from: string; readonly to: string }[]
    readonly deleted_classes?: readonly string[]
  }[]
}

type Member = { readonly type: string; readonly isOptional: boolean }

/** What wrangler.toml need not bind, and how it would: it stands there as a commented example. */
const OPTIONAL_TABLES: { readonly [type: string]: string } = { SendEmail: 'send_email' }

function boundTypes(config: WranglerBindings) {
  const { assets, kv_namespaces, d1_databases, durable_objects, ratelimits, send_email } = config
  const types = new Map<string, string>()
  if (assets?.binding) types.set(assets.binding, 'Fetcher')
  for (const { binding } of kv_namespaces ?? []) types.set(binding, 'KVNamespace')
  for (const { binding } of d1_databases ?? []) types.set(binding, 'D1Database')
  for (const { name } of durable_objects?.bindings ?? []) types.set(name, 'DurableObjectNamespace')
  for (const { name } of ratelimits ?? []) types.set(name, 'RateLimit')
  for (const { name } of send_email ?? []) types.set(name, 'SendEmail')
  return types
}

/** Whether wrangler.toml shows, commented out, how something is bound that not everybody has. */
function isShown(configSource: string, name: string, type: string): boolean {
  const table = OPTIONAL_TABLES[type]
  if (table === undefined) return false
  const lines = configSource.split('\n').map((line) => line.trim())
  const header = lines.indexOf(`# [[${table}]]`)
  return header >= 0 && lines[header + 1] === `# name = "${name}"`
}

/** The members of the type `Bindings`, a namespace's class left out: `DurableObjectNamespace<Hub>` is one too. */
function membersOf(bindingsSource: string): Map<string, Member> {
  const members = new Map<string, Member>()
  new Visitor({
    TSTypeAliasDeclaration({ id, typeAnnotation }) {
      if (id.name !== 'Bindings' || typeAnnotation.type !== 'TSTypeLiteral') return
      for (const member of typeAnnotation.members) {
        if (member.type !== 'TSPropertySignature' || member.key.type !== 'Identifier') continue
        const annotation = member.typeAnnotation?.typeAnnotation
        const text = annotation ? bindingsSource.slice(annotation.start, annotation.end) : 'any'
        members.set(member.key.name, { type: text.replace(/<.*>$/s, ''), isOptional: member.optional })
      }
    },
  }).visit(parseSync('bindings.ts', bindingsSource).program)
  return members
}

function exportedNames(indexSource: string): Set<string | null> {
  const { staticExports } = parseSync('index.ts', indexSource).module
  const values = staticExports.flatMap(({ entries }) => entries.filter(({ isType }) => !isType))
  return new Set(values.map(({ exportName }) => exportName.name))
}

function migratedClasses({ migrations }: WranglerBindings): Set<string> {
  const classes = new Set<string>()
  for (const step of migrations ?? []) {
    for (const name of [...(step.new_classes ?? []), ...(step.new_sqlite_classes ?? [])]) classes.add(name)
    for (const { from, to } of step.renamed_classes ?? []) if (classes.delete(from)) classes.add(to)
    for (const name of step.deleted_classes ?? []) classes.delete(name)
  }
  return classes
}

/**
 * Compares what wrangler.toml binds with the type `Bindings`, both ways, and Durable Object classes with what the
 * Worker exports and what migrations make.
 * @param configSource wrangler.toml itself, whose comments show what only some deployments bind
 */
export function findBindingFaults(
  config: WranglerBindings,
  configSource: string,
  bindingsSource: string,
  indexSource: string,
): string[] {
  const bound = boundTypes(config)
  const members = membersOf(bindingsSource)
  const faults: string[] = []
  for (const [name, type] of bound) {
    const member = members.get(name)
    if (!member) faults.push(`src/bindings.ts lacks ${name}: ${type}, which wrangler.toml binds`)
    else if (member.type !== type)
      faults.push(`src/bindings.ts has ${name}: ${member.type}, but it is ${type}`)
    else if (member.isOptional && OPTIONAL_TABLES[type] === undefined)
      faults.push(`src/bindings.ts has ${name}?, but wrangler.toml always binds it`)
    else if (!member.isOptional && OPTIONAL_TABLES[type] !== undefined)
      faults.push(`src/bindings.ts has ${name}: ${type}, which not every deployment has`)
  }
  for (const [name, { type, isOptional }] of members) {
    // A secret is set beside wrangler.toml, or not at all.
    const isSecret = isOptional && type === 'string'
    if (bound.has(name) || isSecret) continue
    if (!isOptional || OPTIONAL_TABLES[type] === undefined)
      faults.push(`wrangler.toml does not bind ${name}: ${type}`)
    else if (!isShown(configSource, name, type))
      faults.push(`wrangler.toml does not show how ${name}: ${type} is bound`)
  }
  const exported = exportedNames(indexSource)
  const migrated = migratedClasses(config)
  for (const { class_name } of config.durable_objects?.bindings ?? []) {
    if (!exported.has(class_name)) faults.push(`src/index.ts does not export ${class_name}`)
    if (!migrated.has(class_name)) faults.push(`wrangler.toml has no migration that makes ${class_name}`)
  }
  return faults
}

/** Holds src/bindings.ts and src/index.ts to wrangler.toml. */
export async function checkBindings(root: string): Promise<Finding> {
  const path = join(root, 'wrangler.toml')
  const config = unstable_readConfig({ config: path })
  const source = await readFile(path, 'utf8')
  const bindings = await readFile(join(root, 'src', 'bindings.ts'), 'utf8')
  const index = await readFile(join(root, 'src', 'index.ts'), 'utf8')
  return { problems: findBindingFaults(config, source, bindings, index) }
}
