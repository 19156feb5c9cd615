// Builders for what the engine reads. Each makes something valid; a test says only what it is about.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { evaluate, explain, type Visibility } from '../../src/engine/evaluate.ts'
import type { Evaluation } from '../../src/engine/evaluation.ts'
import type { Flag, Grant, RolloutGrants, Segment, Serve, Split } from '../../src/engine/flag.ts'
import { type EntityChange, type EntityKind, Snapshot } from '../../src/engine/snapshot.ts'
import { readSnapshotText, type Section, writeSnapshotText } from '../../src/engine/snapshot-text.ts'
import type { Explanation } from '../../src/engine/trace.ts'

/** The time at which all tests take place: 2026-03-01T12:00:00Z. */
export const NOW = 1_772_366_400_000

/** A flag as a snapshot's text holds it; its key and its rollout stand beside it. */
export type FlagEntity = Omit<Flag, 'key' | 'rollout'>

/** A segment as a snapshot's text holds it. */
export type SegmentEntity = Omit<Segment, 'key'>

/** Entities by key; `unknown`, so that a test can put rubbish there. */
export type Entities = { readonly [key: string]: unknown }

/** A boolean flag with the variants `on` (true) and `off` (false) that serves `off` to everyone. */
export function makeFlag(overrides: Partial<FlagEntity> = {}): FlagEntity {
  return {
    type: 'boolean',
    variants: [
      { name: 'on', value: true },
      { name: 'off', value: false },
    ],
    metadata: {},
    clientVisible: false,
    enabled: true,
    offVariant: 'off',
    prerequisites: [],
    targets: [],
    rules: [],
    fallthrough: { variant: 'off' },
    ...overrides,
  }
}

/** A string flag whose variants are named like their values; it serves the first one. */
export function makeTextFlag(names: readonly string[], overrides: Partial<FlagEntity> = {}): FlagEntity {
  const [first = ''] = names
  return makeFlag({
    type: 'string',
    variants: names.map((name) => ({ name, value: name })),
    offVariant: null,
    fallthrough: { variant: first },
    ...overrides,
  })
}

/** Serves by weight, `{ on: 50, off: 50 }`, in the order of the names. */
export function makeSplit(
  weights: { readonly [variant: string]: number },
  overrides: Partial<Omit<Split, 'weights'>> = {},
): Serve {
  const entries = Object.entries(weights).map(([variant, weight]) => ({ variant, weight }))
  return { split: { weights: entries, by: 'targetingKey', seed: 'split-seed', ...overrides } }
}

/** A measured rollout of `on` to nobody yet. */
export function makeRollout(overrides: Partial<RolloutGrants> = {}): RolloutGrants {
  return {
    id: 'r1',
    variant: 'on',
    seed: 'rollout-seed',
    by: 'targetingKey',
    stage: 0,
    grants: [makeGrant()],
    measured: true,
    ...overrides,
  }
}

/** A grant to everyone, of 0 percent. */
export function makeGrant(overrides: Partial<Grant> = {}): Grant {
  return { audience: null, percentage: 0, ...overrides }
}

/** A segment that holds for nobody. */
export function makeSegment(overrides: Partial<SegmentEntity> = {}): SegmentEntity {
  return { condition: null, included: [], excluded: [], ...overrides }
}

export type SnapshotContents = {
  readonly environment?: string
  readonly version?: number
  readonly flags?: Entities
  readonly segments?: Entities
  readonly rollouts?: Entities
}

function toSection(entities: Entities = {}): Section {
  return new Map(Object.entries(entities).map(([key, entity]) => [key, JSON.stringify(entity)]))
}

/** The text of a snapshot with these entities. */
export function makeSnapshotText(contents: SnapshotContents): string {
  const { environment = 'production', version = 1, flags, segments, rollouts } = contents
  const sections = {
    flags: toSection(flags),
    segments: toSection(segments),
    rollouts: toSection(rollouts),
  }
  return writeSnapshotText({ environment, version, sections })
}

/** Reads a snapshot's text, which must be whole. */
export function openSnapshot(text: string): Snapshot {
  const read = readSnapshotText(text)
  if (!read.ok) throw new Error(read.error)
  return new Snapshot(read.value)
}

/** A snapshot that went through its text, as every snapshot does. */
export function makeSnapshot(contents: SnapshotContents): Snapshot {
  return openSnapshot(makeSnapshotText(contents))
}

/** A snapshot with one flag, `flag`. */
export function makeSnapshotOf(flag: unknown, rollout?: unknown): Snapshot {
  return makeSnapshot({ flags: { flag }, rollouts: rollout === undefined ? {} : { flag: rollout } })
}

/** A change as a delta brings it; null: the entity is gone. */
export function makeChange(kind: EntityKind, key: string, entity: unknown): EntityChange {
  return { kind, key, text: entity === null ? null : JSON.stringify(entity) }
}

/** Evaluates `flag`, unless another key is said, at NOW. */
export function evaluateFlag(
  snapshot: Snapshot,
  context: { readonly [attribute: string]: unknown } = {},
  key = 'flag',
  visible: Visibility = 'all',
): Evaluation {
  return evaluate(snapshot, key, context, NOW, visible)
}

/** Explains `flag`, unless another key is said, at NOW. */
export function explainFlag(
  snapshot: Snapshot,
  context: { readonly [attribute: string]: unknown } = {},
  key = 'flag',
): Explanation {
  return explain(snapshot, key, context, NOW)
}

/** The variant that a flag serves; undefined when it serves none. */
export function variantOf(evaluation: Evaluation): string | undefined {
  return evaluation.reason === 'ERROR' ? undefined : evaluation.variant
}

/**
 * An evaluation as other languages can say it: without what is undefined, without our words for a failure, and of an
 * assignment the tag alone.
 */
export function toPlain(evaluation: Evaluation): unknown {
  const { assignment, ...rest } = { assignment: undefined, ...evaluation }
  const plain: unknown = JSON.parse(
    JSON.stringify({ ...rest, tag: assignment?.tag, errorMessage: undefined }),
  )
  return plain
}

/** Units `user-0`, `user-1` … */
export function makeUnits(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `user-${index}`)
}

/**
 * Reads vectors. Not by an import: a bundler would make `__proto__` in them a prototype.
 * @param name the file's name without its ending
 */
export function readVectors<T>(name: string): T {
  return JSON.parse(readFileSync(join(import.meta.dirname, '..', 'vectors', `${name}.json`), 'utf8'))
}
