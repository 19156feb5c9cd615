// What watches: the product's own guard, and what others do, all on the same counts.
import {
  advanceMixture,
  logEvidence,
  type Mixture,
  newMixture,
  regressionLikelihoods,
  type StratumCounts,
  skipBlocks,
} from '../../src/statistics/guard-mixture.ts'

/** No alarm has been given. */
export const NEVER = -1

/** A mixture that is told of blocks with hits, and catches up with the others when it is asked. */
class Comparison {
  private readonly ratios: readonly number[]
  private readonly tolerated: number
  private mixture: Mixture
  private skipped = 0

  constructor(ratios: readonly number[], tolerated: number) {
    this.ratios = ratios
    this.tolerated = tolerated
    this.mixture = newMixture(ratios.length)
  }

  /** The evidence after the block that was taken last; less than `least` where it certainly is. */
  evidence(least: number): number {
    this.mixture = skipBlocks(this.mixture, this.skipped)
    this.skipped = 0
    let most = Number.NEGATIVE_INFINITY
    for (const value of this.mixture.logE) if (value > most) most = value
    for (const value of this.mixture.logSR) if (value > most) most = value
    // A mean is not more than the most.
    return most < least ? most : logEvidence(this.mixture)
  }

  take(strata: readonly StratumCounts[]): void {
    const likelihoods = regressionLikelihoods(strata, this.ratios, this.tolerated)
    if (!likelihoods) {
      this.skipped++
      return
    }
    this.mixture = advanceMixture(skipBlocks(this.mixture, this.skipped), likelihoods)
    this.skipped = 0
  }
}

/**
 * The product's regression guard at several α at once: of hits by the less of two comparisons, against those at risk and
 * against the shares that are granted; of anything else by one. It looks after every block: between hits its evidence can
 * only grow, and by the restarts' weights alone, so that looking at both ends of such a stretch is to look all along it.
 */
export class Guard {
  /** The block of the first alarm, for each α. */
  readonly alarms: number[]
  private readonly limits: readonly number[]
  private readonly lowest: number
  private readonly own: Comparison
  private readonly granted: Comparison
  private isOfHits = false
  private isSkipping = false
  private waiting: number

  constructor(ratios: readonly number[], tolerated: number, alphas: readonly number[]) {
    this.limits = alphas.map((alpha) => -Math.log(alpha))
    this.lowest = Math.min(...this.limits)
    this.alarms = alphas.map(() => NEVER)
    this.waiting = alphas.length
    this.own = new Comparison(ratios, tolerated)
    this.granted = new Comparison(ratios, tolerated)
  }

  /** @param granted the same hits with the shares that are granted in place of units; left out where it is not of hits */
  take(block: number, strata: readonly StratumCounts[], granted?: readonly StratumCounts[]): void {
    if (this.waiting === 0) return
    const hasHits = strata.some(({ xT, xC }) => xT + xC > 0)
    if (hasHits && this.isSkipping) this.look(block - 1)
    this.isOfHits = granted !== undefined
    this.own.take(strata)
    if (granted) this.granted.take(granted)
    this.isSkipping = !hasHits
    if (hasHits) this.look(block)
  }

  /** Looks at the evidence as it stands after a block. */
  look(block: number): void {
    const { own, granted, limits, alarms, lowest } = this
    const evidence = own.evidence(lowest)
    if (evidence < lowest) return
    const least = this.isOfHits ? Math.min(evidence, granted.evidence(lowest)) : evidence
    for (const [index, limit] of limits.entries()) {
      if (alarms[index] !== NEVER || least < limit) continue
      alarms[index] = block
      this.waiting--
    }
  }
}

/** Hits and units of both arms in one block, as those see them who know no risk sets: a unit is whoever begins a visit. */
export type ArmsCounts = {
  readonly xT: number
  readonly unitsT: number
  readonly xC: number
  readonly unitsC: number
}

/** What is looked at after every block, and gives one alarm at most. */
export abstract class Peer {
  alarm = NEVER

  take(block: number, counts: ArmsCounts): void {
    if (this.alarm === NEVER && this.isAlarmed(counts)) this.alarm = block
  }

  protected abstract isAlarmed(counts: ArmsCounts): boolean
}

/** "More than this share of the treated failed within five minutes", of 20 treated at least. */
export class FixedThreshold extends Peer {
  private readonly limit: number
  private readonly hits = new Float64Array(30)
  private readonly units = new Float64Array(30)
  private place = 0
  private x = 0
  private n = 0

  constructor(limit: number) {
    super()
    this.limit = limit
  }

  protected isAlarmed({ xT, unitsT }: ArmsCounts): boolean {
    this.x += xT - (this.hits[this.place] ?? 0)
    this.n += unitsT - (this.units[this.place] ?? 0)
    this.hits[this.place] = xT
    this.units[this.place] = unitsT
    this.place = (this.place + 1) % 30
    return this.n >= 20 && this.x > this.limit * this.n
  }
}

abstract class Cumulative extends Peer {
  protected xT = 0
  protected nT = 0
  protected xC = 0
  protected nC = 0

  protected add({ xT, unitsT, xC, unitsC }: ArmsCounts): boolean {
    this.xT += xT
    this.nT += unitsT
    this.xC += xC
    this.nC += unitsC
    return this.nT > 0 && this.nC > 0 && xT > 0
  }
}

/** A one-sided z-test of two shares, pooled variance, on everything so far, whenever somebody looks. */
export class RepeatedZTest extends Cumulative {
  private readonly quantile: number

  /** @param quantile of the normal distribution, 1 - α */
  constructor(quantile: number) {
    super()
    this.quantile = quantile
  }

  protected isAlarmed(counts: ArmsCounts): boolean {
    if (!this.add(counts)) return false
    const { xT, nT, xC, nC } = this
    const share = (xT + xC) / (nT + nC)
    const error = Math.sqrt(share * (1 - share) * (1 / nT + 1 / nC))
    return error > 0 && xT / nT - xC / nC >= this.quantile * error
  }
}

/**
 * A one-sided asymptotic confidence sequence of the difference, on everything so far, tuned for 5,000 units: statistics.md
 * section 2 has the formula. It has no burn-in.
 */
export class ConfidenceSequence extends Cumulative {
  private readonly alpha: number
  private readonly rho2: number

  constructor(alpha: number, tunedFor = 5000) {
    super()
    this.alpha = alpha
    const log = -2 * Math.log(2 * alpha)
    this.rho2 = (log + Math.log(1 + log)) / tunedFor
  }

  protected isAlarmed(counts: ArmsCounts): boolean {
    if (!this.add(counts)) return false
    const { xT, nT, xC, nC, rho2, alpha } = this
    const [shareT, shareC] = [xT / nT, xC / nC]
    if (shareT <= shareC || nT < 2 || nC < 2) return false
    const variance = (shareT * (1 - shareT)) / (nT - 1) + (shareC * (1 - shareC)) / (nC - 1)
    const grown = (nT + nC) * rho2
    const width = Math.sqrt(
      ((variance * 2 * (grown + 1)) / grown) * Math.log(1 + Math.sqrt(grown + 1) / (2 * alpha)),
    )
    return variance > 0 && shareT - shareC > width
  }
}

/** What nobody has: Wald's test on the treated alone that knows what their share is, what it would be, and since when. */
export class Oracle extends Peer {
  private readonly share: number
  private readonly ratio: number
  private readonly limit: number
  private evidence = 0

  constructor(share: number, ratio: number, alpha: number) {
    super()
    this.share = share
    this.ratio = ratio
    this.limit = -Math.log(alpha)
  }

  protected isAlarmed({ xT, unitsT }: ArmsCounts): boolean {
    const { share, ratio } = this
    this.evidence += xT * Math.log(ratio) + (unitsT - xT) * Math.log((1 - share * ratio) / (1 - share))
    return this.evidence >= this.limit
  }
}
