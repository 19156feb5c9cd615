import { compileSegment } from '../engine/compile-condition.ts'
import type { EntitySource } from '../engine/compile-flag.ts'
import type { Flag, Segment } from '../engine/flag.ts'
import { Snapshot } from '../engine/snapshot.ts'
import type { SnapshotText } from '../engine/snapshot-text.ts'

/** What a flag leans on in its environment: other flags and segments, to run it against and to read. */
export type Surroundings = EntitySource & {
  /** undefined when there is none of that key, or it cannot be read. */
  readonly flagOf: (key: string) => Flag | undefined
  readonly segmentOf: (key: string) => Segment | undefined
}

function remember<T>(make: (key: string) => T): (key: string) => T {
  const known = new Map<string, { readonly value: T }>()
  return (key) => {
    const found = known.get(key) ?? { value: make(key) }
    known.set(key, found)
    return found.value
  }
}

/** Opens the sections `flags`, `segments` and `rollouts` of a snapshot; each entity is parsed when first asked for. */
export function openSurroundings(sections: SnapshotText['sections']): Surroundings {
  const snapshot = new Snapshot({ environment: '', version: 0, sections })
  const flagOf = remember((key) => {
    const parsed = snapshot.parsedFlag(key)
    return parsed?.ok ? parsed.value : undefined
  })
  const segmentOf = remember((key) => {
    const parsed = snapshot.parsedSegment(key)
    return parsed?.ok ? parsed.value : undefined
  })
  const surroundings: Surroundings = {
    recorder: null,
    flagOf,
    segmentOf,
    evaluatorOf: (key) => snapshot.flag(key)?.evaluate,
    matcherOf: remember((key) => {
      const segment = segmentOf(key)
      return segment && compileSegment(segment, surroundings)
    }),
  }
  return surroundings
}
