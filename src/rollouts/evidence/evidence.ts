// What is known of a rollout from its guard blocks: small, immutable, and a function of the blocks alone. Pure.
import { BLOCK_MS } from '../../telemetry/counting/blocks.ts'
import { type Life, newLife } from './life.ts'
import { newShares, type Shares } from './sample-ratio.ts'
import type { Arms } from './slots.ts'
import { type BothTallies, NO_TALLIES } from './tallies.ts'
import type { Track } from './track.ts'

/** Hits and units of the treated in a span of a literal window, and the number of its first block. */
export type Span = { readonly block: number; readonly hits: number; readonly units: number }

/**
 * Likelihoods in a stage that the treated fare less than twice as badly, for each ratio: against those at risk, and against
 * the shares that are granted; and the most that both have said.
 */
export type Safety = {
  readonly logE: readonly number[]
  readonly granted: readonly number[] | null
  readonly peak: number
}

/** The evidence of one guardrail, for one audience or all together. */
export type GuardEvidence = BothTallies & {
  /** Of what is judged block by block; of comparisons of hits, against those at risk. */
  readonly track: Track | null
  /** Of comparisons of hits: against the shares that are granted. What both say counts. */
  readonly granted: Track | null
  /** Of comparisons. */
  readonly safe: Safety | null
  /** Of literal windows: what happened in this epoch and is not too old. */
  readonly window: readonly Span[]
  /**
   * Of comparisons of hits, literal windows and means: the most that they have said; and of the latter two, after how many
   * blocks they first said enough.
   */
  readonly peak: number | null
  readonly brokenAfter: number | null
}

/** All that is known of a rollout. */
export type Evidence = {
  /** The start of block 0, in milliseconds since 1970. */
  readonly startedAt: number
  /** The end of the last block that was taken. */
  readonly through: number
  /** The epoch whose blocks count, and the stage that it belongs to; -1 before the first. */
  readonly epoch: number
  readonly stage: number
  /** How many epochs there have been. */
  readonly epochs: number
  /** Both arms of the strata that were met in this epoch. */
  readonly arms: Arms
  /** By the key of the process. */
  readonly guards: ReadonlyMap<string, GuardEvidence>
  /** Units that came in this stage. */
  readonly units: BothTallies
  readonly shares: Shares
  readonly life: Life
}

/** A guardrail's evidence of nothing yet. */
export const NO_EVIDENCE: GuardEvidence = {
  ...NO_TALLIES,
  track: null,
  granted: null,
  safe: null,
  window: [],
  peak: null,
  brokenAfter: null,
}

/**
 * Evidence of nothing yet.
 * @param startedAt when the first stage was granted, in milliseconds since 1970: blocks before it do not count
 */
export function newEvidence(startedAt: number): Evidence {
  const start = Math.floor(startedAt / BLOCK_MS) * BLOCK_MS
  return {
    startedAt: start,
    through: start,
    epoch: -1,
    stage: -1,
    epochs: 0,
    arms: new Map(),
    guards: new Map(),
    units: NO_TALLIES,
    shares: newShares(),
    life: newLife(),
  }
}

/** How many blocks have been taken, empty ones too. */
export function blocksTaken({ startedAt, through }: Pick<Evidence, 'startedAt' | 'through'>): number {
  return Math.round((through - startedAt) / BLOCK_MS)
}
