import type { Change } from '../catalog/change.ts'

/**
 * What goes into the batch of a rollout's step beside its own rows: a split that is taken over, grants that become the
 * flag's own, a flag that is switched off.
 */
export type Part = Pick<Change, 'guards' | 'writes' | 'entities' | 'revisions'>

/** Nothing. */
export const NO_PART: Part = { guards: [], writes: [], entities: [], revisions: [] }

/** Parts as one. */
export function joinParts(parts: readonly Part[]): Part {
  return {
    guards: parts.flatMap(({ guards }) => guards),
    writes: parts.flatMap(({ writes }) => writes),
    entities: parts.flatMap(({ entities }) => entities),
    revisions: parts.flatMap(({ revisions }) => revisions),
  }
}
