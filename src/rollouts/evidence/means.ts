// Means over units, from sums over totals: of one epoch at a time, each stratum compared within itself. Pure.
import {
  type Backing,
  combineStrata,
  differenceOf,
  type Estimate,
  excessOf,
  isBurntIn,
  meanOf,
  oneSidedSequence,
  type RatioSums,
  ratioOf,
  stageShare,
} from '../../statistics/confidence-sequence.ts'
import type { ArmTotals } from '../../telemetry/counting/totals.ts'
import type { ArmCount } from '../observations.ts'
import { blocksTaken, type Evidence, type GuardEvidence, NO_EVIDENCE } from './evidence.ts'
import type { Method, Process } from './processes.ts'
import { CONTROL, ownerOf, TREATMENT } from './slots.ts'
import { sayCount, sayNumber, sayTimes } from './words.ts'

type Means = Extract<Method, { kind: 'means' }>

/** For how many units bounds are narrowest: what a first step often has in an hour. */
const TUNED_FOR = 5000

/** Sums over the units of an arm, and how many of them had any event. */
type ArmSums = RatioSums & Backing

const NOTHING: ArmSums = {
  units: 0,
  hits: 0,
  n: 0,
  sum: 0,
  sumSquares: 0,
  denominator: 0,
  denominatorSquares: 0,
  products: 0,
}

type StratumSums = { readonly treatment: ArmSums; readonly control: ArmSums }

function add(a: ArmSums, b: ArmSums): ArmSums {
  return {
    units: a.units + b.units,
    hits: a.hits + b.hits,
    n: a.n + b.n,
    sum: a.sum + b.sum,
    sumSquares: a.sumSquares + b.sumSquares,
    denominator: a.denominator + b.denominator,
    denominatorSquares: a.denominatorSquares + b.denominatorSquares,
    products: a.products + b.products,
  }
}

function sumsOf({ units, metrics }: ArmTotals, metric: string, ofHitUnits: boolean): ArmSums {
  const found = metrics.get(metric)
  if (!found) return { ...NOTHING, units: ofHitUnits ? 0 : units, n: ofHitUnits ? 0 : units }
  const { hits, y, yy, d, dd, yd } = found
  const n = ofHitUnits ? hits : units
  return { units: n, hits, n, sum: y, sumSquares: yy, denominator: d, denominatorSquares: dd, products: yd }
}

/** Sums of the present epoch, by stratum. */
function strataOf(
  { guardrail, audience }: Process,
  { limit }: Means,
  { epoch }: Evidence,
  totals: readonly ArmTotals[],
): readonly StratumSums[] {
  const strata = new Map<string, StratumSums>()
  for (const arm of totals) {
    const { stage, stratum } = arm
    if (stage !== epoch || (audience !== null && ownerOf(stratum) !== audience)) continue
    // Of a limit for means, who had nothing to tell is no unit: a satisfaction that nobody gave is not 0.
    const sums = sumsOf(arm, guardrail.metric, limit !== null)
    const known = strata.get(stratum) ?? { treatment: NOTHING, control: NOTHING }
    if (arm.arm === TREATMENT) strata.set(stratum, { ...known, treatment: add(known.treatment, sums) })
    if (arm.arm === CONTROL) strata.set(stratum, { ...known, control: add(known.control, sums) })
  }
  return [...strata.values()]
}

function estimateOf({ isRatio }: Means, sums: ArmSums): Estimate {
  return isRatio ? ratioOf(sums) : meanOf(sums)
}

/** How far the treated are beyond what is tolerated; undefined while there is too little to tell. */
function excess(method: Means, strata: readonly StratumSums[]): Estimate | undefined {
  const { tolerated, limit } = method
  if (limit !== null) {
    const treated = strata.map(({ treatment }) => treatment).reduce(add, NOTHING)
    return isBurntIn([treated]) ? combineStrata([excessOf(estimateOf(method, treated), limit)]) : undefined
  }
  const telling = strata.filter(({ treatment, control }) => isBurntIn([treatment, control]))
  const differences = telling.map(({ treatment, control }) =>
    differenceOf(estimateOf(method, treatment), estimateOf(method, control), tolerated ?? 1),
  )
  return combineStrata(
    differences.filter(({ value, error }) => Number.isFinite(value) && Number.isFinite(error)),
  )
}

/**
 * Logarithm of the evidence of means; null while there is too little to tell. Sums begin anew with each epoch, so each
 * has its own part of the process's α.
 */
function meansEvidence(
  { limit }: Process,
  method: Means,
  { epochs }: Evidence,
  strata: readonly StratumSums[],
): number | null {
  const found = excess(method, strata)
  if (!found) return null
  const share = stageShare(Math.max(0, epochs - 1))
  const { logEvidence } = oneSidedSequence(found, Math.exp(-limit) * share, TUNED_FOR, method.side)
  return logEvidence + Math.log(share)
}

function saidBefore(guard: GuardEvidence, said: number | null): number | null {
  if (said === null) return guard.peak
  return guard.peak === null ? said : Math.max(guard.peak, said)
}

/** The evidence of guardrails, with what those of means say by the totals. */
export function meansAfter(
  evidence: Evidence,
  processes: readonly Process[],
  totals: readonly ArmTotals[],
): ReadonlyMap<string, GuardEvidence> {
  const guards = new Map(evidence.guards)
  for (const process of processes) {
    const { method, key, limit } = process
    if (method.kind !== 'means') continue
    const guard = guards.get(key) ?? NO_EVIDENCE
    const strata = strataOf(process, method, evidence, totals)
    const peak = saidBefore(guard, meansEvidence(process, method, evidence, strata))
    const isBroken = peak !== null && peak >= limit
    guards.set(key, {
      ...guard,
      peak,
      brokenAfter: guard.brokenAfter ?? (isBroken ? blocksTaken(evidence) : null),
    })
  }
  return guards
}

function averageOf({ isRatio }: Means, { sum, n, denominator }: ArmSums): number {
  return sum / (isRatio ? denominator : n)
}

function sayAverage(method: Means, sums: ArmSums): string {
  return `${sayNumber(averageOf(method, sums))} on average over ${sayCount(sums.n)} units`
}

function sayMeans(method: Means, treatment: ArmSums, control: ArmSums): string {
  const treated = `treated ${sayAverage(method, treatment)}`
  if (method.limit !== null) {
    return `${treated}, limit ${method.side === 'above' ? '' : 'at least '}${sayNumber(method.limit)}`
  }
  const times = sayTimes(averageOf(method, treatment), averageOf(method, control))
  return `${treated}, control ${sayAverage(method, control)}${times === undefined ? '' : `: ${times}`}`
}

/** What means say now, and have said at most. */
export function readMeans(
  guard: GuardEvidence,
  process: Process,
  method: Means,
  evidence: Evidence,
  totals: readonly ArmTotals[],
): {
  readonly evidence: number
  readonly isBroken: boolean
  readonly isWaiting: boolean
  readonly treatment: ArmCount
  readonly control: ArmCount | null
  readonly words: string
} {
  const strata = strataOf(process, method, evidence, totals)
  const said = meansEvidence(process, method, evidence, strata)
  const shown = strata.filter((one) => method.limit !== null || (one.treatment.n > 0 && one.control.n > 0))
  const treatment = shown.map((stratum) => stratum.treatment).reduce(add, NOTHING)
  const control = shown.map((stratum) => stratum.control).reduce(add, NOTHING)
  const most = saidBefore(guard, said)
  return {
    evidence: said ?? 0,
    isBroken: most !== null && most >= process.limit,
    isWaiting: said === null,
    treatment: { hits: treatment.sum, units: treatment.n },
    control: method.limit === null ? { hits: control.sum, units: control.n } : null,
    words: said === null ? 'too few units have anything to tell yet' : sayMeans(method, treatment, control),
  }
}
