// What a block adds to the evidence of a guardrail. Pure.
import {
  entryLikelihoods,
  logMean,
  regressionLikelihoods,
  type StratumCounts,
  thresholdLikelihoods,
} from '../../statistics/guard-mixture.ts'
import type { GuardEvidence } from './evidence.ts'
import type { Method, Process } from './processes.ts'
import { type Arms, boundIn, hitsIn, isCompared, type Slot, type Stratum, treatedAtRisk } from './slots.ts'
import { addToTally } from './tallies.ts'
import { advanceTrack, bothAfter, newTrack, type Testimony, type Track } from './track.ts'
import { spansAfter, windowEvidence } from './window.ts'

type Compare = Extract<Method, { kind: 'compare' }>
type Entries = Extract<Method, { kind: 'entries' }>
type Exceedance = Extract<Method, { kind: 'exceedance' }>
type Window = Extract<Method, { kind: 'window' }>

/** What a guardrail is told of a block: the strata that it is about, and both sides of the block's arms. */
type Seen = {
  readonly metric: string
  readonly audience: number | null
  readonly slot: Slot
  readonly strata: readonly Stratum[]
  readonly epochs: number
  readonly after: Arms
}

function withTestimony(
  guard: GuardEvidence,
  size: number,
  block: number,
  testimony: Testimony,
): GuardEvidence {
  return { ...guard, track: advanceTrack(guard.track ?? newTrack(size), block, testimony) }
}

function countsOf({ treatment, control }: Stratum, metric: string, bound: number | null): StratumCounts {
  if (bound === null) {
    const [t, c] = [hitsIn(treatment, metric), hitsIn(control, metric)]
    return { xT: t.x, nT: t.n, xC: c.x, nC: c.n }
  }
  const [t, c] = [boundIn(treatment, metric, bound), boundIn(control, metric, bound)]
  return { xT: t?.unitsAbove ?? 0, nT: t?.units ?? 0, xC: c?.unitsAbove ?? 0, nC: c?.units ?? 0 }
}

function tallyComparison(guard: GuardEvidence, { bound }: Compare, { strata, metric }: Seen): GuardEvidence {
  let { treatment, control } = guard
  for (const stratum of strata) {
    if (!isCompared(stratum)) continue
    const { xT, nT, xC, nC } = countsOf(stratum, metric, bound)
    const [t, c] = [stratum.treatment.block?.entered ?? 0, stratum.control.block?.entered ?? 0]
    treatment = addToTally(treatment, { hits: xT, units: bound === null ? t : nT })
    control = addToTally(control, { hits: xC, units: bound === null ? c : nC })
  }
  return { ...guard, treatment, control }
}

/** Hits as if each of them were treated with the probability that is granted: exact where the variant has no effect. */
function grantedCounts({ share, treatment, control }: Stratum, metric: string): StratumCounts {
  const [nT, nC] = [share, 100 - share]
  return { xT: hitsIn(treatment, metric).x, nT, xC: hitsIn(control, metric).x, nC }
}

function advanced(
  track: Track | null,
  counts: readonly StratumCounts[],
  { ratios, tolerated }: Compare['harm'],
  block: number,
): Track | null {
  const logLikelihoods = regressionLikelihoods(counts, ratios, tolerated)
  return logLikelihoods ? advanceTrack(track ?? newTrack(ratios.length), block, { logLikelihoods }) : track
}

function summed(
  logE: readonly number[] | null | undefined,
  counts: readonly StratumCounts[],
  { ratios, tolerated }: Compare['safe'],
): readonly number[] {
  const more = regressionLikelihoods(counts, ratios, tolerated)
  return ratios.map((_, k) => (logE?.[k] ?? 0) + (more?.[k] ?? 0))
}

function afterComparison(guard: GuardEvidence, method: Compare, seen: Seen): GuardEvidence {
  const { harm, safe, bound } = method
  const { strata, metric, slot } = seen
  const tallied = tallyComparison(guard, method, seen)
  const counts = strata.map((stratum) => countsOf(stratum, metric, bound))
  if (counts.every(({ xT, xC }) => xT + xC === 0)) return tallied
  const track = advanced(guard.track, counts, harm, slot.block)
  const logE = summed(guard.safe?.logE, counts, safe)
  const best = guard.safe?.peak ?? 0
  if (bound !== null) {
    return { ...tallied, track, safe: { logE, granted: null, peak: Math.max(best, logMean(logE)) } }
  }
  const shares = strata.map((stratum) => grantedCounts(stratum, metric))
  const granted = advanced(guard.granted, shares, harm, slot.block)
  const grantedE = summed(guard.safe?.granted, shares, safe)
  return {
    ...tallied,
    track,
    granted,
    safe: {
      logE,
      granted: grantedE,
      peak: Math.max(best, Math.min(logMean(logE), logMean(grantedE))),
    },
    // Empty blocks since the last may have come to more than this one.
    peak: Math.max(
      guard.peak ?? 0,
      bothAfter(guard, slot.block),
      bothAfter({ track, granted }, slot.block + 1),
    ),
  }
}

function afterEntries(guard: GuardEvidence, { limit, ratios }: Entries, seen: Seen): GuardEvidence {
  const { strata, metric, slot, epochs } = seen
  let [hits, units] = [0, 0]
  for (const { treatment } of strata) {
    hits += treatment.block ? hitsIn(treatment, metric).x : 0
    units += treatment.block?.entered ?? 0
  }
  if (hits + units === 0) return guard
  const tallied = { ...guard, treatment: addToTally(guard.treatment, { hits, units }) }
  return withTestimony(tallied, ratios.length, slot.block, {
    logLikelihoods: entryLikelihoods(hits, units, limit, ratios),
    epochs,
  })
}

function afterExceedance(guard: GuardEvidence, method: Exceedance, seen: Seen): GuardEvidence {
  const { bound, limit, ratios } = method
  let [hits, units] = [0, 0]
  for (const { treatment } of seen.strata) {
    const counts = boundIn(treatment, seen.metric, bound)
    hits += counts?.unitsAbove ?? 0
    units += counts?.units ?? 0
  }
  if (units === 0) return guard
  const tallied = { ...guard, treatment: addToTally(guard.treatment, { hits, units }) }
  const logLikelihoods = thresholdLikelihoods(hits, units, limit, ratios)
  return withTestimony(tallied, ratios.length, seen.slot.block, { logLikelihoods })
}

function afterWindow(guard: GuardEvidence, method: Window, seen: Seen): GuardEvidence {
  const { strata, metric, audience, slot } = seen
  let [hits, units] = [0, 0]
  for (const { treatment } of strata) {
    if (!treatment.block) continue
    const counts = method.bound === null ? undefined : boundIn(treatment, metric, method.bound)
    hits += method.bound === null ? hitsIn(treatment, metric).x : (counts?.above ?? 0)
    units += counts?.observations ?? 0
  }
  const window = spansAfter(guard.window, method, slot.block, { hits, units })
  const atRisk = method.bound === null ? treatedAtRisk(seen.after, metric, audience) : 0
  const said = windowEvidence(window, method, slot.block + 1, atRisk)
  const peak = said === null ? guard.peak : Math.max(guard.peak ?? said, said)
  const brokenAfter = guard.brokenAfter ?? (said !== null && said > 0 ? slot.block + 1 : null)
  return { ...guard, window, peak, brokenAfter }
}

/**
 * The evidence of a guardrail after a block.
 * @param epochs how many have begun
 */
export function guardAfter(
  guard: GuardEvidence,
  { guardrail, audience, method }: Process,
  slot: Slot,
  epochs: number,
  after: Arms,
): GuardEvidence {
  const strata = audience === null ? slot.strata : slot.strata.filter(({ owner }) => owner === audience)
  if (strata.length === 0) return guard
  const seen = { metric: guardrail.metric, audience, slot, strata, epochs, after }
  switch (method.kind) {
    case 'compare':
      return afterComparison(guard, method, seen)
    case 'entries':
      return afterEntries(guard, method, seen)
    case 'exceedance':
      return afterExceedance(guard, method, seen)
    case 'window':
      return afterWindow(guard, method, seen)
    case 'means':
    case 'none':
      return guard
  }
}
