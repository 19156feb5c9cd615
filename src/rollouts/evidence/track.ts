// A sequential test over time: its mixture up to the last block that told something, what it came to at most, and from
// when on. Pure. Blocks are numbered from the evidence's beginning; empty ones are taken in when the next one tells
// something, so that nothing depends on how often anybody looked.
import {
  advanceEntries,
  advanceMixture,
  logEvidence,
  type Mixture,
  newMixture,
  skipBlocks,
} from '../../statistics/guard-mixture.ts'

export type Track = {
  readonly mixture: Mixture
  /** The most that the evidence has come to. */
  readonly peak: number
  /** For each ratio: the least that its likelihood has come to, and after how many blocks. */
  readonly lowest: readonly number[]
  readonly lowestAfter: readonly number[]
}

/** What a block says: logarithms of likelihood ratios, one for each ratio. */
export type Testimony = {
  readonly logLikelihoods: readonly number[]
  /** Where units are paid for as they come: how many epochs have begun, since evidence begins with nothing else there. */
  readonly epochs?: number
}

/** Evidence of nothing yet. */
export function newTrack(size: number): Track {
  const none = new Array<number>(size).fill(0)
  const mixture = newMixture(size)
  return { mixture, peak: logEvidence(mixture), lowest: none, lowestAfter: none }
}

/** The evidence after so many blocks, those since the last that told something being empty. */
function mixtureAfter({ mixture }: Track, blocks: number): Mixture {
  return skipBlocks(mixture, blocks - mixture.blocks)
}

/** Takes a block in that tells something. */
export function advanceTrack(track: Track, block: number, { logLikelihoods, epochs }: Testimony): Track {
  const skipped = epochs === undefined ? mixtureAfter(track, block) : track.mixture
  const mixture =
    epochs === undefined
      ? advanceMixture(skipped, logLikelihoods)
      : advanceEntries(skipped, logLikelihoods, epochs)
  const peak = Math.max(track.peak, logEvidence(skipped), logEvidence(mixture))
  const isLower = mixture.logE.map((value, k) => value < (track.lowest[k] ?? 0))
  return {
    mixture,
    peak,
    lowest: mixture.logE.map((value, k) => (isLower[k] ? value : (track.lowest[k] ?? 0))),
    lowestAfter: isLower.map((is, k) => (is ? block + 1 : (track.lowestAfter[k] ?? 0))),
  }
}

/** Natural logarithm of the evidence after so many blocks; not for units that are paid for as they come. */
export function evidenceAfter(track: Track, blocks: number): number {
  return logEvidence(mixtureAfter(track, blocks))
}

/**
 * What both comparisons of hits say after so many blocks: the less of the two. Each is wrong somewhere: against those at
 * risk where most hits come with a unit's first exposure, because then those who come matter and not those who stay; against
 * the shares that are granted where an arm is not exposed as it should be. The less is evidence wherever one of them is.
 */
export function bothAfter(
  { track, granted }: { readonly track: Track | null; readonly granted: Track | null },
  blocks: number,
): number {
  if (!track || !granted) return 0
  return Math.min(evidenceAfter(track, blocks), evidenceAfter(granted, blocks))
}

/**
 * After how many blocks that began for which there is evidence: where the likelihood of the ratio that fits best was
 * lowest.
 */
export function beginningOf({ mixture, lowest, lowestAfter }: Track): number {
  let rise = Number.NEGATIVE_INFINITY
  let beginning = 0
  for (const [k, value] of mixture.logE.entries()) {
    const own = value - (lowest[k] ?? 0)
    if (own <= rise) continue
    rise = own
    beginning = lowestAfter[k] ?? 0
  }
  return beginning
}
