// Evidence that something got worse, which may be looked at as often as one likes, for as long as one likes. Pure.

/** Ratios that are tried, as multiples of what is tolerated: upwards for errors, downwards for conversions. */
export const UP: readonly number[] = [1.25, 1.5, 2, 3, 5, 10]
export const DOWN: readonly number[] = [0.95, 0.9, 0.8, 0.65, 0.5, 0.2]

/** How many blocks of 10 seconds an hour has. */
export const BLOCKS_PER_HOUR = 360

/** Not less than Σ 1/((h+1)·ln²(h+2)) over all hours h ≥ 0: with it the weights of all beginnings sum to 1 at most. */
export const WEIGHT_SUM = 3.3878

/**
 * The evidence of one guard: for each ratio that is tried, the logarithm of the likelihood ratio since the beginning, and
 * that of its Shiryaev–Roberts mixture over later beginnings.
 */
export type Mixture = {
  /** Blocks that were taken in, empty ones too; of `advanceEntries`, stages. */
  readonly blocks: number
  readonly logE: readonly number[]
  readonly logSR: readonly number[]
}

/** Evidence of nothing yet. */
export function newMixture(size = UP.length): Mixture {
  const none = new Array<number>(size).fill(Number.NEGATIVE_INFINITY)
  return { blocks: 0, logE: new Array<number>(size).fill(0), logSR: none }
}

/** ln(e^a + e^b). */
function logAdd(a: number, b: number): number {
  const high = a > b ? a : b
  const low = a > b ? b : a
  return low === Number.NEGATIVE_INFINITY ? high : high + Math.log1p(Math.exp(low - high))
}

/** The logarithm of the mean of numbers that are given as logarithms. */
export function logMean(logs: readonly number[]): number {
  const high = Math.max(...logs)
  if (high === Number.NEGATIVE_INFINITY) return high
  let sum = 0
  for (const log of logs) sum += Math.exp(log - high)
  return high + Math.log(sum / logs.length)
}

/** The weight of a beginning with some block of that hour: DESIGN section 8. */
function weightInHour(hour: number, blocksPerHour: number): number {
  return 1 / (WEIGHT_SUM * (hour + 1) * Math.log(hour + 2) ** 2 * blocksPerHour)
}

/**
 * Takes one block in, with which the change may have begun: `SR ← (SR + w)·e^l`, DESIGN section 8. `logLikelihoods` are
 * those of what the block holds, one for each ratio; left out where nothing happened.
 */
export function advanceMixture(
  { blocks, logE, logSR }: Mixture,
  logLikelihoods?: readonly number[],
  blocksPerHour = BLOCKS_PER_HOUR,
): Mixture {
  const logWeight = Math.log(weightInHour(Math.floor(blocks / blocksPerHour), blocksPerHour))
  return {
    blocks: blocks + 1,
    logE: logLikelihoods ? logE.map((value, k) => value + (logLikelihoods[k] ?? 0)) : logE,
    logSR: logSR.map((value, k) => logAdd(value, logWeight) + (logLikelihoods?.[k] ?? 0)),
  }
}

/** Takes in blocks in which nothing happened, however many, as if one after the other. */
export function skipBlocks(mixture: Mixture, count: number, blocksPerHour = BLOCKS_PER_HOUR): Mixture {
  if (count <= 0) return mixture
  const end = mixture.blocks + count
  let weight = 0
  for (let block = mixture.blocks; block < end; ) {
    const hour = Math.floor(block / blocksPerHour)
    const next = Math.min(end, (hour + 1) * blocksPerHour)
    weight += (next - block) * weightInHour(hour, blocksPerHour)
    block = next
  }
  const logWeight = Math.log(weight)
  const logSR = mixture.logSR.map((value) => logAdd(value, logWeight))
  return { blocks: end, logE: mixture.logE, logSR }
}

/**
 * Takes in what entered and was hit in one block of the stage of that number, counted from 1, by `entryLikelihoods`. The
 * change may have begun only with a stage. A unit is paid for when it enters: a later beginning would count hits that
 * nobody paid for, of units that are at risk and of those that come back after they had left the risk set.
 */
export function advanceEntries(mixture: Mixture, logLikelihoods: readonly number[], stage: number): Mixture {
  const begun =
    mixture.blocks < stage ? advanceMixture({ ...mixture, blocks: stage - 1 }, undefined, 1) : mixture
  return {
    blocks: begun.blocks,
    logE: begun.logE.map((value, k) => value + (logLikelihoods[k] ?? 0)),
    logSR: begun.logSR.map((value, k) => value + (logLikelihoods[k] ?? 0)),
  }
}

/**
 * ln G, G = ½·mean E + ½·mean SR. At `ln(1/α)` or more it is enough: under the null hypothesis this ever happens with
 * probability α at most.
 */
export function logEvidence({ logE, logSR }: Mixture): number {
  return logAdd(logMean(logE), logMean(logSR)) - Math.LN2
}

/** Hits and units of both arms of one stratum in one block. */
export type StratumCounts = {
  readonly xT: number
  readonly nT: number
  readonly xC: number
  readonly nC: number
}

/** No share that is tried against a limit below it is more than this. */
const MAX_SHARE = 0.9

/** What a hit says where none at all is allowed: more than any limit of evidence, and still a number. */
const LOG_PROOF = 1000

/**
 * Treatment's share of the hits against the null hypothesis that its rate is at most `tolerated` times that of control
 * (at least, for ratios below 1): `Σ xT·ln(θ/θ₀) + xC·ln((1-θ)/(1-θ₀))` with `θ = nT·r/(nT·r + nC)`, statistics.md
 * section 3.2, summed over strata. Strata without both arms say nothing; undefined when none says anything.
 */
export function regressionLikelihoods(
  strata: readonly StratumCounts[],
  ratios: readonly number[],
  tolerated: number,
): readonly number[] | undefined {
  let sums: number[] | undefined
  for (const { xT, nT, xC, nC } of strata) {
    if (nT <= 0 || nC <= 0 || xT + xC <= 0) continue
    sums ??= new Array<number>(ratios.length).fill(0)
    const atNull = nT * tolerated
    for (const [k, ratio] of ratios.entries()) {
      const logUnits = Math.log((nC + atNull) / (nC + atNull * ratio))
      sums[k] = (sums[k] ?? 0) + xT * Math.log(ratio) + (xT + xC) * logUnits
    }
  }
  return sums
}

/**
 * One arm against a limit c, where a unit is judged in the block in which it comes: `x·ln r + (n-x)·ln((1-c·r)/(1-c))`,
 * DESIGN section 8, r at most 0.9/c. The null hypothesis is a share of at most c (at least, for ratios below 1).
 */
export function thresholdLikelihoods(
  x: number,
  n: number,
  limit: number,
  ratios: readonly number[],
): readonly number[] {
  const proves = (ratio: number) => (ratio > 1 ? limit <= 0 && x > 0 : limit >= 1 && x < n)
  if (limit <= 0 || limit >= 1) return ratios.map((ratio) => (proves(ratio) ? LOG_PROOF : 0))
  const most = (limit < MAX_SHARE ? MAX_SHARE : (1 + limit) / 2) / limit
  return ratios.map((tried) => {
    const ratio = Math.min(tried, most)
    return x * Math.log(ratio) + (n - x) * Math.log((1 - limit * ratio) / (1 - limit))
  })
}

/**
 * One arm against a limit c, where units may be hit long after they entered: `hits·ln r - entered·ln(1 + c·(r-1))`. Each
 * unit is paid for when it enters with the mean of what it can ever bring, so that no lag can make evidence. Ratios above
 * 1 only: a hit that is still to come would else count as one that does not. Goes into `advanceEntries`.
 */
export function entryLikelihoods(
  hits: number,
  entered: number,
  limit: number,
  ratios: readonly number[],
): readonly number[] {
  if (limit <= 0) return ratios.map(() => (hits > 0 ? LOG_PROOF : 0))
  return ratios.map((ratio) => hits * Math.log(ratio) - entered * Math.log1p(limit * (ratio - 1)))
}
