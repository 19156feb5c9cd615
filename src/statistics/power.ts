// How large a change must be to be found with the traffic that there is. Pure.
import { normalQuantileAbove } from './distributions.ts'
import { advanceMixture, logEvidence, newMixture, regressionLikelihoods, UP } from './guard-mixture.ts'

/** A stage of a guard that compares hits of two arms. */
export type GuardedStage = {
  /** The share of control's units that are hit in it. */
  readonly base: number
  /** Treatment's share of the units, in (0, 1). */
  readonly share: number
  /** Units of both arms that come in it. */
  readonly units: number
  /** Of this guard: the plan's, divided by its number of processes. */
  readonly alpha: number
  /** With which probability it is to be found. */
  readonly power: number
  /** How many times control's rate is tolerated; 1.1 unless said. */
  readonly tolerated?: number
  /** The guard's; `UP` unless said. A drop is looked for with `DOWN`. */
  readonly ratios?: readonly number[]
}

/** Halvings of the logarithm of a ratio: fine enough for any number that is shown. */
const HALVINGS = 40
/** Nothing that is more often than a thousand times as much is looked for. */
const MOST = 1000
/** The worst of the likely outcomes settles within as many corrections. */
const CORRECTIONS = 4

/** Hits of units of which each is hit with that probability, so many standard deviations from the mean. */
function hitsAt(units: number, probability: number, deviations: number): number {
  // The arcsine of a share's root has the same variance everywhere.
  const angle = Math.asin(Math.sqrt(probability)) + deviations / (2 * Math.sqrt(units))
  return units * Math.sin(Math.min(Math.max(angle, 0), Math.PI / 2)) ** 2
}

/** The evidence at a stage's end, when luck is as bad as it may be while the change is still to be found. */
function evidenceOf(stage: GuardedStage, ratio: number): number {
  const { base, share, units, power, tolerated = 1.1, ratios = UP } = stage
  const [nT, nC] = [units * share, units * (1 - share)]
  const [pT, pC] = [Math.min(1, base * ratio), base]
  const luck = normalQuantileAbove(1 - power)
  let [aside, back] = [0, 0]
  let evidence = Number.NEGATIVE_INFINITY
  for (let step = 0; step <= CORRECTIONS; step++) {
    const [xT, xC] = [hitsAt(nT, pT, aside), hitsAt(nC, pC, back)]
    const mixture = advanceMixture(
      newMixture(ratios.length),
      regressionLikelihoods([{ xT, nT, xC, nC }], ratios, tolerated),
    )
    evidence = logEvidence(mixture)
    // Bad luck goes the way on which evidence falls fastest: down the slope of the likeliest ratios.
    const most = Math.max(...mixture.logE)
    let [weights, slopeT, slopeC] = [0, 0, 0]
    for (const [k, tried] of ratios.entries()) {
      const weight = Math.exp((mixture.logE[k] ?? 0) - most)
      const control = Math.log((nC + nT * tolerated) / (nC + nT * tolerated * tried))
      weights += weight
      slopeT += weight * (Math.log(tried) + control)
      slopeC += weight * control
    }
    const [byT, byC] = [
      (slopeT / weights) * Math.sqrt(nT * pT * (1 - pT)),
      (slopeC / weights) * Math.sqrt(nC * pC * (1 - pC)),
    ]
    const length = Math.hypot(byT, byC)
    if (length === 0) break
    aside = (-luck * byT) / length
    back = (-luck * byC) / length
  }
  return evidence
}

/**
 * The smallest rise (with ratios below 1: the smallest drop) of treatment's rate, as a multiple of control's, that a guard
 * finds with that probability within a stage; undefined when it finds none. The evidence at the stage's end, without its
 * later beginnings, where the hits of both arms are as unfortunate as `power` allows: a first-order reliability method.
 * Looks before the end only help, so that it is found a little oftener.
 */
export function detectableRatio(stage: GuardedStage): number | undefined {
  const { base, share, units, alpha, tolerated = 1.1, ratios = UP } = stage
  if (!(base > 0 && base < 1 && share > 0 && share < 1 && units > 0)) return undefined
  const isFound = (ratio: number) => evidenceOf(stage, ratio) >= -Math.log(alpha)
  let missed = tolerated
  let found = (ratios[0] ?? 1) > 1 ? Math.min(1 / base, MOST) : 1 / MOST
  if (!isFound(found)) return undefined
  for (let step = 0; step < HALVINGS; step++) {
    const middle = Math.sqrt(missed * found)
    if (isFound(middle)) found = middle
    else missed = middle
  }
  return found
}

/** An experiment of a fixed size on a share of units. */
export type FixedTest = {
  /** What is expected of control, and what would have to be found of treatment. */
  readonly control: number
  readonly treatment: number
  readonly alpha: number
  readonly power: number
  /** Units of control for each of treatment. */
  readonly controlPerTreatment: number
  readonly sides: 1 | 2
}

/** Units that a test at one look needs: `(z_{1-α/s} + z_power)²·(v_C/κ + v_T)/d²`, statistics.md section 2. */
export function unitsNeeded({ control, treatment, alpha, power, controlPerTreatment, sides }: FixedTest): {
  readonly treatment: number
  readonly control: number
} {
  const z = normalQuantileAbove(alpha / sides) + normalQuantileAbove(1 - power)
  const variance = (control * (1 - control)) / controlPerTreatment + treatment * (1 - treatment)
  const units = Math.ceil((z ** 2 * variance) / (treatment - control) ** 2)
  return { treatment: units, control: Math.ceil(units * controlPerTreatment) }
}
