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
  readonly migrations?: readonly {
    readonly new_classes?: readonly string[]
    readonly new_sqlite_classes?: readonly string[]
    readonly renamed_classes?: readonly { readonly from: string; readonly to: string }[]
    readonly deleted_classes?: readonly string[]
  }[]
}

type Member = { readonly type: string; readonly isOptional: boolean }

function boundTypes({ assets, kv_namespaces, d1_databases, durable_objects, ratelimits }: WranglerBindings) {
  const types = new Map<string, string>()
  if (assets?.binding) types.set(assets.binding, 'Fetcher')
  for (const { binding } of kv_namespaces ?? []) types.set(binding, 'KVNamespace')
  for (const { binding } of d1_databases ?? []) types.set(binding, 'D1Database')
  for (const { name } of durable_objects?.bindings ?? []) types.set(name, 'DurableObjectNamespace')
  for (const { name } of ratelimits ?? []) types.set(name, 'RateLimit')
  return types
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
 */
export function findBindingFaults(
  config: WranglerBindings,
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
    else if (member.isOptional) faults.push(`src/bindings.ts has ${name}?, but wrangler.toml always binds it`)
  }
  for (const [name, { type, isOptional }] of members) {
    // A secret is set beside wrangler.toml, or not at all.
    const isSecret = isOptional && type === 'string'
    if (!bound.has(name) && !isSecret) faults.push(`wrangler.toml does not bind ${name}: ${type}`)
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
  const config = unstable_readConfig({ config: join(root, 'wrangler.toml') })
  const bindings = await readFile(join(root, 'src', 'bindings.ts'), 'utf8')
  const index = await readFile(join(root, 'src', 'index.ts'), 'utf8')
  return { problems: findBindingFaults(config, bindings, index) }
}
