// From unknown JSON to a checked flag. Whether the segments and prerequisites that it names exist, and lead in no
// circle, is checked where all of them are known: when it is saved.
import { asObject, readBoolean, readList, readText, readTexts } from './fields.ts'
import {
  DEFAULT_UNIT,
  type Flag,
  type FlagConfiguration,
  type FlagDefinition,
  type FlagMetadata,
  type FlagType,
  type Grant,
  type Prerequisite,
  type RolloutGrants,
  type Rule,
  type Segment,
  type Serve,
  type Split,
  type Target,
  type Variant,
} from './flag.ts'
import { parseBucketing } from './foreign-bucketing.ts'
import { isJsonObject, type Json, type JsonObject } from './json.ts'
import { parseCondition } from './parse-condition.ts'
import { below, type Problem, Problems } from './problem.ts'
import { err, ok, type Result } from './result.ts'

export const MAX_VARIANTS = 64
export const MAX_RULES = 1_000
export const MAX_GRANTS = 50
const MAX_WEIGHT = 1_000_000
/** Other systems allow more entries, larger weights, and a variant more than once. */
const MAX_FOREIGN_WEIGHTS = 1_000
const MAX_FOREIGN_WEIGHT = 2 ** 31 - 1

const FLAG_TYPES: readonly FlagType[] = ['boolean', 'string', 'number', 'object']

/** Tells whether a text can be a flag's key: 1 to 200 printable characters that every URL can carry. */
export function isFlagKey(key: string): boolean {
  if (key.length < 1 || key.length > 200 || key !== key.trim() || key === '.' || key === '..') return false
  return key.isWellFormed() && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(key)
}

function isFlagType(value: unknown): value is FlagType {
  return FLAG_TYPES.some((type) => type === value)
}

function isOfType(value: unknown, type: FlagType): value is Json {
  if (type === 'object') return isJsonObject(value)
  if (type === 'number') return Number.isFinite(value)
  return typeof value === type
}

function parseVariants(from: JsonObject, type: FlagType | undefined, problems: Problems): Variant[] {
  const variants: Variant[] = []
  const names = new Set<string>()
  for (const [index, entry] of readList(from, 'variants', '', problems, MAX_VARIANTS).entries()) {
    const path = below('variants', index)
    const object = asObject(entry, path, problems)
    const name = readText(object, 'name', path, problems, 200)
    if (names.has(name)) problems.add(below(path, 'name'), 'duplicate', 'is used twice')
    names.add(name)
    const { value } = object
    if (type && isOfType(value, type)) {
      variants.push({ name, value })
      continue
    }
    if (type) problems.add(below(path, 'value'), 'type', `must be of the flag's type, ${type}`)
    variants.push({ name, value: null })
  }
  if (names.size === 0) problems.add('variants', 'limit', 'must have at least one entry')
  return variants
}

const NO_METADATA: FlagMetadata = {}

/** Reads flat metadata; left out, it is empty. */
function parseMetadata(value: unknown, problems: Problems): FlagMetadata {
  const metadata: [string, string | number | boolean][] = []
  for (const [key, entry] of Object.entries(asObject(value ?? {}, 'metadata', problems))) {
    if (typeof entry === 'string' || typeof entry === 'boolean' || Number.isFinite(entry)) {
      metadata.push([key, entry as string | number | boolean])
    } else problems.add(below('metadata', key), 'type', 'must be a text, a number, true or false')
  }
  return metadata.length > 0 ? Object.fromEntries(metadata) : NO_METADATA
}

function readDefinition(key: string, from: JsonObject, problems: Problems): FlagDefinition {
  if (!isFlagKey(key)) problems.add('key', 'type', 'must be 1 to 200 printable characters, not "." or ".."')
  const type = isFlagType(from.type) ? from.type : undefined
  if (!type) problems.add('type', 'type', `must be one of ${FLAG_TYPES.join(', ')}`)
  return {
    key,
    type: type ?? 'boolean',
    variants: parseVariants(from, type, problems),
    metadata: parseMetadata(from.metadata, problems),
    clientVisible: readBoolean(from, 'clientVisible', '', problems),
  }
}

type Names = ReadonlySet<string>

function readVariant(
  from: JsonObject,
  field: string,
  path: string,
  names: Names,
  problems: Problems,
): string {
  const variant = readText(from, field, path, problems, 200)
  if (variant !== '' && !names.has(variant)) {
    problems.add(below(path, field), 'unknown_variant', `the flag has no variant "${variant}"`)
  }
  return variant
}

function parseSplit(value: unknown, path: string, names: Names, problems: Problems): Split {
  const from = asObject(value, path, problems)
  const foreign = from.bucketing !== undefined
  const [maxWeights, maxWeight] = foreign
    ? [MAX_FOREIGN_WEIGHTS, MAX_FOREIGN_WEIGHT]
    : [MAX_VARIANTS, MAX_WEIGHT]
  const seen = new Set<string>()
  const weights = readList(from, 'weights', path, problems, maxWeights).map((entry, index) => {
    const entryPath = below(below(path, 'weights'), index)
    const object = asObject(entry, entryPath, problems)
    const variant = readVariant(object, 'variant', entryPath, names, problems)
    if (seen.has(variant) && !foreign) problems.add(below(entryPath, 'variant'), 'duplicate', 'is used twice')
    seen.add(variant)
    const { weight } = object
    if (typeof weight === 'number' && Number.isInteger(weight) && weight >= 0 && weight <= maxWeight) {
      return { variant, weight }
    }
    problems.add(below(entryPath, 'weight'), 'type', `must be a whole number from 0 to ${maxWeight}`)
    return { variant, weight: 1 }
  })
  if (weights.reduce((sum, { weight }) => sum + weight, 0) === 0) {
    problems.add(below(path, 'weights'), 'limit', 'must sum to more than 0')
  }
  const by = from.by === undefined ? DEFAULT_UNIT : readText(from, 'by', path, problems, 500)
  const seed = readText(from, 'seed', path, problems, 200)
  if (!foreign) return { weights, by, seed }
  const bucketing = parseBucketing(from.bucketing)
  if (bucketing) return { weights, by, seed, bucketing }
  problems.add(below(path, 'bucketing'), 'type', 'must be a known bucketing scheme')
  return { weights, by, seed }
}

function parseServe(value: unknown, path: string, names: Names, problems: Problems): Serve {
  const from = asObject(value, path, problems)
  const splits = Object.hasOwn(from, 'split')
  if (splits === Object.hasOwn(from, 'variant')) {
    problems.add(path, 'type', 'must have exactly one of variant, split')
    return { variant: '' }
  }
  if (splits) return { split: parseSplit(from.split, below(path, 'split'), names, problems) }
  return { variant: readVariant(from, 'variant', path, names, problems) }
}

function parsePrerequisite(value: unknown, path: string, problems: Problems): Prerequisite {
  const from = asObject(value, path, problems)
  const variants = readTexts(from, 'variants', path, problems, MAX_VARIANTS)
  if (variants.length === 0) problems.add(below(path, 'variants'), 'limit', 'must have at least one entry')
  return { flag: readText(from, 'flag', path, problems, 200), variants }
}

function parseTarget(value: unknown, path: string, names: Names, problems: Problems): Target {
  const from = asObject(value, path, problems)
  return {
    variant: readVariant(from, 'variant', path, names, problems),
    units: readTexts(from, 'units', path, problems),
  }
}

function parseRule(value: unknown, path: string, names: Names, problems: Problems): Rule {
  const from = asObject(value, path, problems)
  const rule = {
    id: readText(from, 'id', path, problems, 100),
    when: parseCondition(from.when, below(path, 'when'), problems),
    serve: parseServe(from.serve, below(path, 'serve'), names, problems),
  }
  if (from.description === undefined) return rule
  const description = from.description === '' ? '' : readText(from, 'description', path, problems, 2_000)
  return { ...rule, description }
}

function readConfiguration(from: JsonObject, names: Names, problems: Problems): FlagConfiguration {
  const ids = new Set<string>()
  const rules = readList(from, 'rules', '', problems, MAX_RULES).map((entry, index) => {
    const path = below('rules', index)
    const rule = parseRule(entry, path, names, problems)
    if (ids.has(rule.id)) problems.add(below(path, 'id'), 'duplicate', 'is used twice')
    ids.add(rule.id)
    return rule
  })
  return {
    enabled: readBoolean(from, 'enabled', '', problems),
    offVariant: from.offVariant == null ? null : readVariant(from, 'offVariant', '', names, problems),
    prerequisites: readList(from, 'prerequisites', '', problems, 100).map((entry, index) =>
      parsePrerequisite(entry, below('prerequisites', index), problems),
    ),
    targets: readList(from, 'targets', '', problems, MAX_VARIANTS).map((entry, index) =>
      parseTarget(entry, below('targets', index), names, problems),
    ),
    rules,
    fallthrough: parseServe(from.fallthrough, 'fallthrough', names, problems),
  }
}

/** Tells whether a number is a percentage as grants have them: 0 to 100, in steps of 0.001. */
export function isPercentage(value: number): boolean {
  return value >= 0 && value <= 100 && Math.round(value * 1_000) / 1_000 === value
}

function parseGrant(value: unknown, path: string, problems: Problems): Grant {
  const from = asObject(value, path, problems)
  const { percentage } = from
  const fits = typeof percentage === 'number' && isPercentage(percentage)
  if (!fits)
    problems.add(below(path, 'percentage'), 'type', 'must be a number from 0 to 100 in steps of 0.001')
  return {
    audience: from.audience == null ? null : parseCondition(from.audience, below(path, 'audience'), problems),
    percentage: fits ? percentage : 0,
  }
}

function readRollout(value: unknown, names: Names, problems: Problems): RolloutGrants {
  const from = asObject(value, 'rollout', problems)
  const { stage } = from
  const isStage = typeof stage === 'number' && Number.isInteger(stage) && stage >= 0
  if (!isStage) problems.add('rollout.stage', 'type', 'must be a whole number of at least 0')
  return {
    id: readText(from, 'id', 'rollout', problems, 100),
    variant: readVariant(from, 'variant', 'rollout', names, problems),
    seed: readText(from, 'seed', 'rollout', problems, 200),
    by: from.by === undefined ? DEFAULT_UNIT : readText(from, 'by', 'rollout', problems, 500),
    stage: isStage ? stage : 0,
    grants: readList(from, 'grants', 'rollout', problems, MAX_GRANTS).map((entry, index) =>
      parseGrant(entry, below('rollout.grants', index), problems),
    ),
    ...(from.reversed !== undefined && readBoolean(from, 'reversed', 'rollout', problems)
      ? { reversed: true }
      : {}),
    measured: from.measured !== undefined && readBoolean(from, 'measured', 'rollout', problems),
  }
}

function finish<T>(value: T, problems: Problems): Result<T, readonly Problem[]> {
  return problems.found.length === 0 ? ok(value) : err(problems.found)
}

/** Reads what a flag is in every environment. */
export function parseFlagDefinition(key: string, value: unknown): Result<FlagDefinition, readonly Problem[]> {
  const problems = new Problems()
  return finish(readDefinition(key, asObject(value, '', problems), problems), problems)
}

/** Reads what a flag is in one environment, against the variants that it has. */
export function parseFlagConfiguration(
  value: unknown,
  definition: FlagDefinition,
): Result<FlagConfiguration, readonly Problem[]> {
  const problems = new Problems()
  const names = new Set(definition.variants.map(({ name }) => name))
  return finish(readConfiguration(asObject(value, '', problems), names, problems), problems)
}

/** Reads a rollout's grants, against the variants that its flag has. */
export function parseRollout(
  value: unknown,
  definition: FlagDefinition,
): Result<RolloutGrants, readonly Problem[]> {
  const problems = new Problems()
  const names = new Set(definition.variants.map(({ name }) => name))
  return finish(readRollout(value, names, problems), problems)
}

/** Reads a flag as a snapshot holds it: definition and configuration in one, beside it a rollout or null. */
export function parseFlag(key: string, value: unknown, rollout: unknown): Result<Flag, readonly Problem[]> {
  const problems = new Problems()
  const from = asObject(value, '', problems)
  const definition = readDefinition(key, from, problems)
  const names = new Set(definition.variants.map(({ name }) => name))
  const configuration = readConfiguration(from, names, problems)
  const grants = rollout === null ? null : readRollout(rollout, names, problems)
  return finish({ ...definition, ...configuration, rollout: grants }, problems)
}

/** Reads a segment. */
export function parseSegment(key: string, value: unknown): Result<Segment, readonly Problem[]> {
  const problems = new Problems()
  const from = asObject(value, '', problems)
  const segment = {
    key,
    condition: from.condition == null ? null : parseCondition(from.condition, 'condition', problems),
    included: readTexts(from, 'included', '', problems, 100_000),
    excluded: readTexts(from, 'excluded', '', problems, 100_000),
  }
  return finish(segment, problems)
}
