// What an exported deployment is as a document, and what can be wrong with one. Pure.
import type { members, tokens } from '../access/tables.ts'
import type { FlagConfiguration, Segment } from '../engine/flag.ts'
import { parseFlagConfiguration, parseFlagDefinition, parseSegment } from '../engine/parse-flag.ts'
import type { Problem } from '../engine/problem.ts'
import { err, ok, type Result } from '../engine/result.ts'
import type { StoredFlag } from './flag-store.ts'
import { MAX_METRICS, type NewMetric, parseMetric } from './metrics.ts'
import type { EnvironmentDraft, FlagDraft, MetricDraft, SegmentDraft } from './operation.ts'
import type { keys } from './tables.ts'
import { unknownFields } from './unknown-fields.ts'

export const EXPORT_FORMAT = 'rampart-export'
export const EXPORT_VERSION = 1

/** A key, by its hash. */
export type ExportedKey = Omit<typeof keys.$inferSelect, 'environment'>

/** A whole deployment. */
export type Export = {
  readonly format: typeof EXPORT_FORMAT
  readonly formatVersion: typeof EXPORT_VERSION
  /** Milliseconds since 1970. */
  readonly exportedAt: number
  readonly environments: readonly (EnvironmentDraft & {
    readonly key: string
    readonly segments: readonly (SegmentDraft & { readonly key: string })[]
    /** By their hashes, which let nobody in. */
    readonly keys: readonly ExportedKey[]
  })[]
  readonly flags: readonly (FlagDraft & {
    readonly key: string
    readonly archivedAt: number | null
    readonly configurations: { readonly [environment: string]: FlagConfiguration }
  })[]
  readonly metrics: readonly (MetricDraft & { readonly key: string })[]
  readonly members: readonly (typeof members.$inferSelect)[]
  /** By their hashes, which let nobody in. */
  readonly tokens: readonly (typeof tokens.$inferSelect)[]
}

/** A document's flags, segments and metrics once they are read. */
export type Checked = {
  readonly flags: readonly (StoredFlag & {
    readonly configurations: Export['flags'][number]['configurations']
  })[]
  readonly segments: ReadonlyMap<string, readonly (Segment & { readonly description: string })[]>
  readonly metrics: readonly NewMetric[]
}

function duplicates(path: string, names: readonly string[], field = 'key'): Problem[] {
  const seen = new Set<string>()
  return names.flatMap((name, index) => {
    if (!seen.has(name)) {
      seen.add(name)
      return []
    }
    return [{ path: `${path}[${index}].${field}`, rule: 'duplicate', message: 'is used twice' } as const]
  })
}

function within(path: string, problems: readonly Problem[]): Problem[] {
  return problems.map((problem) => ({
    ...problem,
    path: problem.path === '' ? path : `${path}.${problem.path}`,
  }))
}

function checkMetrics(exported: Export['metrics'], problems: Problem[]): NewMetric[] {
  problems.push(
    ...duplicates(
      'metrics',
      exported.map(({ key }) => key),
    ),
  )
  if (exported.length > MAX_METRICS) {
    problems.push({ path: 'metrics', rule: 'limit', message: `must have at most ${MAX_METRICS} entries` })
  }
  return exported.flatMap(({ key, ...draft }, index) => {
    const parsed = parseMetric(key, draft)
    if (parsed.ok) return [parsed.value]
    problems.push(...within(`metrics[${index}]`, parsed.error))
    return []
  })
}

/** Reads a document; its problems where it cannot be imported. What it names is checked when it is written. */
export function checkExport(document: Export, now: number): Result<Checked, readonly Problem[]> {
  const problems: Problem[] = [
    ...duplicates(
      'environments',
      document.environments.map(({ key }) => key),
    ),
    ...duplicates(
      'flags',
      document.flags.map(({ key }) => key),
    ),
  ]
  const checkedFlags = document.flags.flatMap((exported, index) => {
    const { key, archivedAt, configurations, ...draft } = exported
    const { description, tags, owner, temporary, ...defined } = draft
    const path = `flags[${index}]`
    const definition = parseFlagDefinition(key, defined)
    if (!definition.ok) {
      problems.push(...within(path, definition.error))
      return []
    }
    const parsed = document.environments.map(({ key: environment }) => {
      const place = `${path}.configurations.${environment}`
      const configuration = configurations[environment]
      if (!configuration) {
        problems.push({ path: place, rule: 'type', message: 'must be there' })
        return undefined
      }
      const result = parseFlagConfiguration(configuration, definition.value)
      problems.push(...within(place, result.ok ? unknownFields(configuration, result.value) : result.error))
      return result.ok ? ([environment, result.value] as const) : undefined
    })
    for (const environment of Object.keys(configurations)) {
      if (document.environments.some(({ key }) => key === environment)) continue
      const message = 'is of an environment that the document does not have'
      problems.push({ path: `${path}.configurations.${environment}`, rule: 'unknown_field', message })
    }
    const flag: Checked['flags'][number] = {
      ...definition.value,
      description,
      tags,
      owner,
      temporary,
      archivedAt,
      revision: 1,
      createdAt: now,
      updatedAt: now,
      configurations: Object.fromEntries(parsed.filter((entry) => entry !== undefined)),
    }
    return [flag]
  })
  const checkedSegments = new Map<string, (Segment & { readonly description: string })[]>()
  for (const [index, { key: environment, segments: exported, keys }] of document.environments.entries()) {
    const path = `environments[${index}].segments`
    const ids = keys.map(({ id }) => id)
    problems.push(
      ...duplicates(`environments[${index}].keys`, ids, 'id'),
      ...duplicates(
        path,
        exported.map(({ key }) => key),
      ),
    )
    const parsed = exported.flatMap(({ key, description, ...draft }, place) => {
      const result = parseSegment(key, draft)
      const found = result.ok ? unknownFields(draft, result.value) : result.error
      problems.push(...within(`${path}[${place}]`, found))
      return result.ok ? [{ ...result.value, description }] : []
    })
    checkedSegments.set(environment, parsed)
  }
  const checkedMetrics = checkMetrics(document.metrics, problems)
  if (problems.length > 0) return err(problems)
  return ok({ flags: checkedFlags, segments: checkedSegments, metrics: checkedMetrics })
}
