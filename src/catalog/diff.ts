// What two versions of a document of the catalog differ in, said so that a release owner understands it. Pure.
import type { FlagDefinition, FlagMetadata, Segment, Variant } from '../engine/flag.ts'
import type { JsonObject } from '../engine/json.ts'
import { describeCondition } from './describe-condition.ts'
import { CONFIGURATION_FIELDS } from './diff-configuration.ts'
import {
  canonicalJson,
  type Difference,
  diffEntries,
  diffSets,
  type EntryWords,
  entryPath,
  pairEntries,
} from './difference.ts'
import { type DiffField, diffSwitch, diffText, diffValue, type Fields } from './document-fields.ts'
import { DEFAULT_SHARDS } from './layouts.ts'
import type { MetricDraft } from './operation.ts'
import { count, quote, type ReadonlyJson } from './wording.ts'

export type { Difference } from './difference.ts'

/** A flag's definition with its notes. */
export type FlagDocument = Omit<FlagDefinition, 'key'> & {
  readonly description: string
  readonly tags: readonly string[]
  readonly owner: string
  readonly temporary: boolean
}

/** A segment with its description. */
export type SegmentDocument = Omit<Segment, 'key'> & { readonly description: string }

/** An environment's own fields. */
export type EnvironmentDocument = {
  readonly name: string
  readonly refreshSeconds: number
  readonly protected: boolean
  readonly keepContexts: boolean
  readonly contextKeys: readonly { readonly [field: string]: ReadonlyJson }[]
  readonly shards: number
}

/** A metric with its notes. */
export type MetricDocument = MetricDraft

/** The documents that can be compared; a configuration is the engine's `FlagConfiguration`. */
export type DocumentKind = 'flag' | 'configuration' | 'segment' | 'environment' | 'metric'

const VARIANTS: EntryWords<Variant> = {
  list: 'variants',
  thing: 'variant',
  nameOf: ({ name }) => name,
  added: (subject, { value }) => `${subject} added: ${quote(value)}`,
  diff: (path, subject, before, after) =>
    diffValue(`${path}.value`, `${subject}: its value`, before.value, after.value),
}

function ownValue<T>(object: { readonly [key: string]: T }, key: string): T | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

function diffMetadata(before: FlagMetadata = {}, after: FlagMetadata = {}): Difference[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...keys].flatMap((key) =>
    diffValue(
      entryPath('metadata', key),
      `metadata ${quote(key)}`,
      ownValue(before, key),
      ownValue(after, key),
    ),
  )
}

const FLAG_FIELDS: Fields<FlagDocument & { readonly archived: boolean }> = {
  type: (before, after) => diffValue('type', 'type', before, after),
  variants: (before = [], after = []) => diffEntries(before, after, VARIANTS),
  metadata: diffMetadata,
  clientVisible: diffSwitch(
    'clientVisible',
    'client keys may see it now',
    'client keys may no longer see it',
  ),
  description: (before, after) => diffText('description', 'description', before, after),
  tags: (before = [], after = []) =>
    diffSets('tags', before, after, (kind, number, names) =>
      number === 1 ? `tag ${kind}: ${names}` : `${number} tags ${kind}: ${names}`,
    ),
  owner: (before, after) => diffText('owner', 'owner', before, after),
  temporary: diffSwitch('temporary', 'temporary now', 'permanent now'),
  archived: diffSwitch('archived', 'archived: it is at no edge now', 'no longer archived'),
}

/** A list of units of a segment; `are` says what being on it means. */
function diffUnits(path: string, are: string): DiffField<readonly string[]> {
  return (before = [], after = []) =>
    diffSets(path, before, after, (kind, number, names) => {
      const adverb = kind === 'added' ? 'now' : 'no longer'
      return `${count(number, 'unit')} ${adverb} ${are}: ${names}`
    })
}

const SEGMENT_FIELDS: Fields<SegmentDocument> = {
  description: FLAG_FIELDS.description,
  condition: (before, after) => diffValue('condition', 'condition', before, after, describeCondition),
  included: diffUnits('included', 'included'),
  excluded: diffUnits('excluded', 'excluded'),
}

type ContextKey = EnvironmentDocument['contextKeys'][number]

function diffContextKeys(
  before: readonly ContextKey[] = [],
  after: readonly ContextKey[] = [],
): Difference[] {
  const { added, removed } = pairEntries(before, after, canonicalJson)
  const subject = ({ kid = null }: ContextKey) =>
    kid === null ? 'a key that signs contexts' : `key ${quote(kid)}, which signs contexts,`
  return [
    ...added.map((key): Difference => {
      return { path: 'contextKeys', kind: 'added', after: key, text: `${subject(key)} was added` }
    }),
    ...removed.map((key): Difference => {
      return { path: 'contextKeys', kind: 'removed', before: key, text: `${subject(key)} was removed` }
    }),
  ]
}

const ENVIRONMENT_FIELDS: Fields<EnvironmentDocument> = {
  name: (before, after) => diffText('name', 'name', before, after),
  refreshSeconds: (before, after) =>
    diffValue('refreshSeconds', 'refresh interval', before, after, (seconds) => `${seconds} s`),
  protected: diffSwitch('protected', 'protected now: a change needs a second person', 'no longer protected'),
  keepContexts: diffSwitch(
    'keepContexts',
    'some contexts of the last day are kept now',
    'contexts are no longer kept',
  ),
  contextKeys: diffContextKeys,
  shards: (before = DEFAULT_SHARDS, after = DEFAULT_SHARDS) =>
    diffValue('shards', 'number of shards', before, after),
}

const METRIC_FIELDS: Fields<MetricDocument> = {
  event: (before, after) => diffText('event', 'event', before, after),
  kind: (before, after) => diffValue('kind', 'kind', before, after),
  denominator: (before, after) => diffValue('denominator', 'denominator', before, after),
  unit: (before, after) => diffText('unit', 'unit', before, after),
  goodDirection: (before, after) => diffValue('goodDirection', 'good direction', before, after),
  cap: (before, after) => diffValue('cap', 'cap', before, after),
  preExposure: diffSwitch(
    'preExposure',
    'days are kept of every unit now, exposed or not',
    'days are no longer kept of units that are not exposed',
  ),
  description: FLAG_FIELDS.description,
  tags: FLAG_FIELDS.tags,
  owner: FLAG_FIELDS.owner,
}

function isPresent(value: unknown): value is ReadonlyJson {
  return value != null
}

/** Nothing that changes may stay hidden from whoever approves it, whether it is known here or not. */
function diffOthers(known: object, before: object, after: object): Difference[] {
  const old = new Map<string, unknown>(Object.entries(before))
  const now = new Map<string, unknown>(Object.entries(after))
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((field) => {
    if (Object.hasOwn(known, field)) return []
    const [was, is] = [old.get(field), now.get(field)]
    return diffValue(field, field, isPresent(was) ? was : null, isPresent(is) ? is : null)
  })
}

function diffFields<D extends object>(
  fields: Fields<D>,
  before: Partial<D>,
  after: Partial<D>,
): Difference[] {
  const differences: Difference[] = []
  for (const field in fields) differences.push(...fields[field](before[field], after[field]))
  return [...differences, ...diffOthers(fields, before, after)]
}

function diffPresent(kind: DocumentKind, before: JsonObject, after: JsonObject): Difference[] {
  switch (kind) {
    case 'flag':
      return diffFields(FLAG_FIELDS, before, after)
    case 'configuration':
      return diffFields(CONFIGURATION_FIELDS, before, after)
    case 'segment':
      return diffFields(SEGMENT_FIELDS, before, after)
    case 'environment':
      return diffFields(ENVIRONMENT_FIELDS, before, after)
    case 'metric':
      return diffFields(METRIC_FIELDS, before, after)
  }
}

/**
 * What two versions of a document differ in; null: it does not exist. Nothing, exactly if both are the same JSON but
 * for the order of fields, the order and repetition of tags, of units and of a prerequisite's variants, the order of
 * context keys, and a field that is missing where the other has its empty value. The documents are as they
 * were parsed when they were saved.
 */
export function diffDocuments(
  kind: DocumentKind,
  before: JsonObject | null,
  after: JsonObject | null,
): readonly Difference[] {
  if (before === null) {
    return after === null
      ? []
      : [{ path: '', kind: 'added', text: 'created' }, ...diffPresent(kind, {}, after)]
  }
  return after === null ? [{ path: '', kind: 'removed', text: 'deleted' }] : diffPresent(kind, before, after)
}
