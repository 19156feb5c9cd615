import { equalsInConstantTime } from '../access/constant-time.ts'
import { hashKey } from '../access/key.ts'
import type { KeyRecord } from '../catalog/entities.ts'

const MAX_REMEMBERED = 1_000

type Remembered = {
  readonly hash: string
  keys: ReadonlyMap<string, KeyRecord>
  record: KeyRecord | undefined
}

/**
 * Finds out who a key is: by its hash, compared with every hash of the environment in constant time. What was found
 * is remembered for as long as the environment's keys stay the same; keys that nobody has are not.
 */
export class KeyCheck {
  private readonly remembered = new Map<string, Remembered>()

  /** The record of a key that was checked before against these very keys; undefined when `check` must. */
  known(key: string, keys: ReadonlyMap<string, KeyRecord>): KeyRecord | undefined {
    const found = this.remembered.get(key)
    return found?.keys === keys ? found.record : undefined
  }

  /** The record of a key, or undefined when the environment has no such key. */
  async check(key: string, keys: ReadonlyMap<string, KeyRecord>): Promise<KeyRecord | undefined> {
    const hash = this.remembered.get(key)?.hash ?? (await hashKey(key))
    let record: KeyRecord | undefined
    for (const candidate of keys.values()) {
      if (equalsInConstantTime(candidate.hash, hash)) record = candidate
    }
    if (record) this.remember(key, { hash, keys, record })
    else this.remembered.delete(key)
    return record
  }

  private remember(key: string, found: Remembered): void {
    if (this.remembered.size >= MAX_REMEMBERED && !this.remembered.has(key)) {
      const oldest = this.remembered.keys().next()
      if (!oldest.done) this.remembered.delete(oldest.value)
    }
    this.remembered.set(key, found)
  }
}

/** The isolate's own. */
export const keyCheck = new KeyCheck()
