// Some contexts of the last day, of environments that keep them: the newest of each targeting key.
import { isJsonObject } from '../../engine/json.ts'
import { type KeptContext, MAX_CONTEXTS } from '../shard-protocol.ts'
import type { PackedRows } from './packed-rows.ts'

/** How long a context is kept. */
const CONTEXTS_KEPT_MS = 86_400_000

/** Whom a context is of; one without a targeting key stands for itself. */
function subjectOf(text: string): string {
  const context: unknown = JSON.parse(text)
  const key = isJsonObject(context) ? context.targetingKey : undefined
  return typeof key === 'string' ? key : text
}

/** Keeps the contexts of one shard: at most 200, and a day at most. */
export class ContextStore {
  private readonly rows: PackedRows
  private readonly contexts = new Map<string, KeptContext>()
  private isChanged = false

  constructor(rows: PackedRows) {
    this.rows = rows
    for (const [at, text] of rows.load('contexts', 0) ?? []) {
      this.contexts.set(subjectOf(text), { at, text })
    }
  }

  get isEmpty(): boolean {
    return this.contexts.size === 0
  }

  /** When the oldest context has been kept for long enough; undefined when there is none. */
  get expiresAt(): number | undefined {
    if (this.contexts.size === 0) return undefined
    return Math.min(...[...this.contexts.values()].map(({ at }) => at)) + CONTEXTS_KEPT_MS
  }

  /** Takes contexts; null: the environment does not keep any, so what there is goes too. */
  add(contexts: readonly KeptContext[] | null): void {
    if (contexts === null) {
      this.isChanged ||= this.contexts.size > 0
      this.contexts.clear()
      return
    }
    for (const context of contexts) {
      const subject = subjectOf(context.text)
      this.contexts.delete(subject)
      this.contexts.set(subject, context)
      const [oldest] = this.contexts.keys()
      if (this.contexts.size > MAX_CONTEXTS && oldest !== undefined) this.contexts.delete(oldest)
      this.isChanged = true
    }
  }

  /** Those of the last day, oldest first. */
  list(now: number): KeptContext[] {
    return [...this.contexts.values()].filter(({ at }) => now - at < CONTEXTS_KEPT_MS)
  }

  /** Lets old ones go, and writes what has changed: into one row, or two where contexts are large. */
  fold(now: number): void {
    for (const [subject, { at }] of this.contexts) {
      if (now - at < CONTEXTS_KEPT_MS) continue
      this.contexts.delete(subject)
      this.isChanged = true
    }
    if (!this.isChanged) return
    this.rows.save(
      'contexts',
      0,
      [...this.contexts.values()].map(({ at, text }) => [at, text]),
    )
    this.isChanged = false
  }
}
