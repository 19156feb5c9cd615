// A snapshot in memory. Each entity waits as text until it is asked for, is then parsed and compiled once, and is
// compiled again only when it has changed itself: flags and segments find each other through the snapshot.
import { compileSegment } from './compile-condition.ts'
import { compileFlag, type EntitySource, type Evaluator } from './compile-flag.ts'
import { fail } from './evaluation.ts'
import type { Flag, Segment } from './flag.ts'
import type { Matcher } from './operators.ts'
import { parseFlag, parseSegment } from './parse-flag.ts'
import type { Problem } from './problem.ts'
import { err, ok, type Result } from './result.ts'
import { compareKeys, type SnapshotText, writeSnapshotText } from './snapshot-text.ts'
import type { Recorder } from './trace.ts'

/** The kinds of entities that the engine reads. */
export type EntityKind = 'flags' | 'segments' | 'rollouts'

/** One entity's new text; null when it is gone. */
export type EntityChange = { readonly kind: EntityKind; readonly key: string; readonly text: string | null }

/** A flag of a snapshot, ready to answer. */
export type CompiledFlag = {
  readonly key: string
  readonly clientVisible: boolean
  readonly evaluate: Evaluator
}

function parseText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function problemsOf(parsed: Result<unknown, readonly Problem[]>): readonly Problem[] {
  return parsed.ok ? [] : parsed.error
}

function remember<T>(known: Map<string, T | undefined>, key: string, make: () => T): T | undefined {
  const found = known.get(key)
  // What could not be made is remembered as well, so that it is not tried anew in every evaluation.
  if (found !== undefined || known.has(key)) return found
  const made = make()
  known.set(key, made)
  return made
}

function describe(problems: readonly Problem[]): string {
  const [first] = problems
  return first ? `${first.path || 'the entity'} ${first.message}` : 'it cannot be read'
}

/** All flags and segments of one environment at one version. */
export class Snapshot {
  readonly environment: string
  private currentVersion: number
  private readonly texts: { readonly [kind in EntityKind]: Map<string, string> }
  private readonly flags = new Map<string, CompiledFlag>()
  private readonly segments = new Map<string, Matcher | undefined>()
  private sortedKeys: readonly string[] | undefined
  private sortedFlags: readonly CompiledFlag[] | undefined
  private readonly source: EntitySource

  /** Takes over the texts of the sections `flags`, `segments` and `rollouts`; nothing is parsed yet. */
  constructor({ environment, version, sections }: SnapshotText) {
    this.environment = environment
    this.currentVersion = version
    this.texts = {
      flags: new Map(sections.flags),
      segments: new Map(sections.segments),
      rollouts: new Map(sections.rollouts),
    }
    this.source = {
      recorder: null,
      evaluatorOf: (flag) => this.flag(flag)?.evaluate,
      matcherOf: (segment) => this.segment(segment),
    }
  }

  get version(): number {
    return this.currentVersion
  }

  /** The keys of all flags, in code-unit order. */
  keys(): readonly string[] {
    this.sortedKeys ??= [...this.texts.flags.keys()].sort(compareKeys)
    return this.sortedKeys
  }

  /** Whether there is a flag of that key. */
  has(key: string): boolean {
    return this.texts.flags.has(key)
  }

  /** The snapshot's text, as it stands now: what the engine reads, and nothing else. */
  toText(): string {
    return writeSnapshotText({ environment: this.environment, version: this.version, sections: this.texts })
  }

  /** The flag of that key, compiled at its first use; undefined when there is none. */
  flag(key: string): CompiledFlag | undefined {
    const known = this.flags.get(key)
    if (known) return known
    const compiled = this.compileFlag(key, this.source)
    // A key that no flag has is not remembered: callers could fill the memory with them.
    if (compiled) this.flags.set(key, compiled)
    return compiled
  }

  /** All flags in the order of their keys, each compiled at its first use. */
  all(): readonly CompiledFlag[] {
    this.sortedFlags ??= this.keys().flatMap((key) => this.flag(key) ?? [])
    return this.sortedFlags
  }

  /** The flag compiled for a single explanation: apart from the snapshot's own, and reporting to the recorder. */
  recordedFlag(key: string, recorder: Recorder): CompiledFlag | undefined {
    // Compiled once each, so that what guards against circles works here as it does elsewhere.
    const flags = new Map<string, CompiledFlag | undefined>()
    const segments = new Map<string, Matcher | undefined>()
    const flag = (key: string) => remember(flags, key, () => this.compileFlag(key, source))
    const source: EntitySource = {
      recorder,
      evaluatorOf: (key) => flag(key)?.evaluate,
      matcherOf: (key) => remember(segments, key, () => this.compileSegment(key, source)),
    }
    return flag(key)
  }

  /**
   * Moves the snapshot to a newer version by what changed in between. The changes are all parsed first: if one is
   * bad, or the version is older, nothing is taken.
   */
  patch(version: number, changes: readonly EntityChange[]): Result<void, string> {
    if (version < this.currentVersion) return err(`version ${version} is older than ${this.currentVersion}`)
    for (const { kind, key } of changes) {
      const problems = this.check(kind, key, changes)
      if (problems.length > 0) return err(`${kind} "${key}": ${describe(problems)}`)
    }
    for (const change of changes) this.apply(change)
    this.currentVersion = version
    return ok(undefined)
  }

  /** Parses every entity; those that have problems, by kind and key. */
  problems(): readonly {
    readonly kind: EntityKind
    readonly key: string
    readonly problems: readonly Problem[]
  }[] {
    const kinds: readonly EntityKind[] = ['flags', 'segments']
    return kinds.flatMap((kind) =>
      [...this.texts[kind].keys()].flatMap((key) => {
        const problems = this.check(kind, key, [])
        return problems.length > 0 ? [{ kind, key, problems }] : []
      }),
    )
  }

  /** The flag of that key as data, or what is wrong with it; undefined when there is none. */
  parsedFlag(key: string): Result<Flag, readonly Problem[]> | undefined {
    const text = this.texts.flags.get(key)
    if (text === undefined) return undefined
    const rollout = this.texts.rollouts.get(key)
    return parseFlag(key, parseText(text), rollout === undefined ? null : parseText(rollout))
  }

  /** The segment of that key as data, or what is wrong with it; undefined when there is none. */
  parsedSegment(key: string): Result<Segment, readonly Problem[]> | undefined {
    const text = this.texts.segments.get(key)
    return text === undefined ? undefined : parseSegment(key, parseText(text))
  }

  /** What would be wrong with an entity after the changes. */
  private check(kind: EntityKind, key: string, changes: readonly EntityChange[]): readonly Problem[] {
    const textAfter = (wanted: EntityKind) => {
      const change = changes.findLast((change) => change.kind === wanted && change.key === key)
      return change ? change.text : (this.texts[wanted].get(key) ?? null)
    }
    const text = textAfter(kind === 'segments' ? 'segments' : 'flags')
    if (text === null) return []
    if (kind === 'segments') return problemsOf(parseSegment(key, parseText(text)))
    const rollout = textAfter('rollouts')
    return problemsOf(parseFlag(key, parseText(text), rollout === null ? null : parseText(rollout)))
  }

  private apply({ kind, key, text }: EntityChange): void {
    const texts = this.texts[kind]
    if (kind === 'flags' && texts.has(key) !== (text !== null)) this.sortedKeys = undefined
    if (text === null) texts.delete(key)
    else texts.set(key, text)
    if (kind === 'segments') this.segments.delete(key)
    else {
      this.flags.delete(key)
      this.sortedFlags = undefined
    }
  }

  private segment(key: string): Matcher | undefined {
    return remember(this.segments, key, () => this.compileSegment(key, this.source))
  }

  private compileSegment(key: string, source: EntitySource): Matcher | undefined {
    const parsed = this.parsedSegment(key)
    return parsed?.ok ? compileSegment(parsed.value, source) : undefined
  }

  private compileFlag(key: string, source: EntitySource): CompiledFlag | undefined {
    const parsed = this.parsedFlag(key)
    if (!parsed) return undefined
    if (!parsed.ok) {
      const failure = fail(key, 'PARSE_ERROR', `the flag cannot be read: ${describe(parsed.error)}`)
      return { key, clientVisible: false, evaluate: () => failure }
    }
    return { key, clientVisible: parsed.value.clientVisible, evaluate: compileFlag(parsed.value, source) }
  }
}
