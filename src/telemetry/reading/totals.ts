// Sums over the units of a measurement, of all shards together.
import type { Bindings } from '../../bindings.ts'
import type { ArmTotals, Moments } from '../counting/totals.ts'
import { askShards } from './ask-shards.ts'

type BoundMoments = Moments['bounds'][number]

/** The totals of one measurement, and whether a shard did not answer, so that something is missing. */
export type Totals = { readonly arms: readonly ArmTotals[]; readonly partial: boolean }

function addBound(a: BoundMoments, b: BoundMoments): BoundMoments {
  return {
    bound: a.bound,
    o: a.o + b.o,
    oo: a.oo + b.oo,
    b: a.b + b.b,
    bb: a.bb + b.bb,
    ob: a.ob + b.ob,
  }
}

function addBounds(a: readonly BoundMoments[], b: readonly BoundMoments[]): readonly BoundMoments[] {
  const sums = new Map(a.map((one) => [one.bound, one]))
  for (const one of b) {
    const sum = sums.get(one.bound)
    sums.set(one.bound, sum ? addBound(sum, one) : one)
  }
  return [...sums.values()].sort((one, other) => one.bound - other.bound)
}

function addMoments(a: Moments, b: Moments): Moments {
  return {
    hits: a.hits + b.hits,
    events: a.events + b.events,
    y: a.y + b.y,
    yy: a.yy + b.yy,
    d: a.d + b.d,
    dd: a.dd + b.dd,
    yd: a.yd + b.yd,
    x: a.x + b.x,
    xx: a.xx + b.xx,
    xy: a.xy + b.xy,
    bounds: addBounds(a.bounds, b.bounds),
  }
}

function addArms(a: ArmTotals, b: ArmTotals): ArmTotals {
  const metrics = new Map(a.metrics)
  for (const [key, moments] of b.metrics) {
    const sum = metrics.get(key)
    metrics.set(key, sum ? addMoments(sum, moments) : moments)
  }
  return {
    ...a,
    units: a.units + b.units,
    firsts: a.firsts + b.firsts,
    mixed: a.mixed + b.mixed,
    metrics,
  }
}

function inOrder(a: ArmTotals, b: ArmTotals): number {
  if (a.stage !== b.stage) return a.stage - b.stage
  if (a.stratum !== b.stratum) return a.stratum < b.stratum ? -1 : 1
  return a.arm < b.arm ? -1 : 1
}

/** Adds up what each shard has, by stage, stratum and arm. */
export function mergeTotals(parts: readonly (readonly ArmTotals[])[]): readonly ArmTotals[] {
  const sums = new Map<string, ArmTotals>()
  for (const totals of parts.flat()) {
    const key = JSON.stringify([totals.stage, totals.stratum, totals.arm])
    const sum = sums.get(key)
    sums.set(key, sum ? addArms(sum, totals) : totals)
  }
  return [...sums.values()].sort(inOrder)
}

/** Loads the totals of one measurement. */
export async function loadTotals(
  bindings: Bindings,
  environment: string,
  measurement: string,
): Promise<Totals> {
  const { answers, partial } = await askShards(bindings, environment, (shard) => shard.totals(measurement))
  return { arms: mergeTotals(answers), partial }
}
