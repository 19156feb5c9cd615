const MAX_AGE_MS = 5_000
const MAX_ENTRIES = 1_000

/** Remembers what was read for less than 5 s; of more than a thousand things, the newest. */
export class ShortMemory<T> {
  private readonly entries = new Map<string, { readonly value: T; readonly at: number }>()

  get(key: string, now: number): T | undefined {
    const entry = this.entries.get(key)
    return entry && Math.abs(now - entry.at) < MAX_AGE_MS ? entry.value : undefined
  }

  /** @param at when reading began */
  set(key: string, value: T, at: number): void {
    // Anew at the end, so that what comes first is always the oldest.
    this.entries.delete(key)
    const oldest = this.entries.keys().next()
    if (this.entries.size >= MAX_ENTRIES && !oldest.done) this.entries.delete(oldest.value)
    this.entries.set(key, { value, at })
  }

  clear(): void {
    this.entries.clear()
  }
}
