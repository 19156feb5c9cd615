// Timelines of a rollout in two strata, as blocks say them and as they were.
import fc from 'fast-check'
import type { BoundCounts, GuardBlock } from '../../../../src/telemetry/counting/blocks.ts'
import { makeBlock, makeCounts } from './ground.ts'

/** The stratum of everyone, and that of insiders, who are everyone too. */
export const STRATA = ['1', '2'] as const
export const ARMS = ['t', 'c'] as const
export const BOUND = 400

/** What happened to an arm in one block; `leave`: without a hit. */
export type Moment = {
  readonly enter: number
  readonly hit: number
  readonly leave: number
  readonly observed: number
  readonly above: number
  readonly live: number
}

/** By stratum and arm, block by block. */
export type Timeline = { readonly [arm: string]: readonly Moment[] }

const few = fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.nat(4))

const moment = fc.record({
  enter: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.nat(30)),
  hit: few,
  leave: few,
  observed: few,
  above: few,
  live: few,
})

const quiet: Moment = { enter: 0, hit: 0, leave: 0, observed: 0, above: 0, live: 0 }

const moments = fc.array(fc.oneof(fc.constant(quiet), moment), { minLength: 30, maxLength: 30 })

export const timelines: fc.Arbitrary<Timeline> = fc.record(
  Object.fromEntries(STRATA.flatMap((stratum) => ARMS.map((arm) => [`${stratum}.${arm}`, moments] as const))),
)

/** An arm in a block, with the risk set before and after it. */
export type Known = Moment & { readonly before: number; readonly after: number }

/** What there can be of an arm's moments: nobody leaves who is not there. */
export function knownOf(moments: readonly Moment[]): readonly Known[] {
  let [atRisk, lifeless, unobserved] = [0, 0, 0]
  return moments.map((moment) => {
    const before = atRisk
    const there = before + moment.enter
    const hit = Math.min(moment.hit, there)
    const leave = Math.min(moment.leave, there - hit)
    const live = Math.min(moment.live, lifeless + moment.enter)
    const observed = Math.min(moment.observed, unobserved + moment.enter)
    atRisk = there - hit - leave
    lifeless += moment.enter - live
    unobserved += moment.enter - observed
    return {
      ...moment,
      hit,
      leave,
      live,
      observed,
      above: Math.min(moment.above, observed),
      before,
      after: atRisk,
    }
  })
}

function blockOf(index: number, stratum: string, arm: string, known: Known): GuardBlock[] {
  const { enter, hit, leave, live, observed, above, after } = known
  if (enter + hit + leave + live + observed === 0) return []
  const counts: BoundCounts = {
    bound: BOUND,
    units: observed,
    unitsAbove: above,
    observations: 3 * observed,
    above: 2 * above,
  }
  const metrics = [
    makeCounts(hit, after + hit),
    makeCounts(0, after, { metric: 'latency', bounds: observed > 0 ? [counts] : [] }),
  ]
  return [makeBlock(index, { stratum, arm, entered: enter, firsts: enter, live, firstLive: live, metrics })]
}

/** The blocks of a timeline: where nothing happened to an arm, there is none. */
export function blocksOf(timeline: Timeline): readonly GuardBlock[] {
  const arms = Object.entries(timeline).map(([name, moments]) => [name, knownOf(moments)] as const)
  return arms
    .flatMap(([name, known]) => {
      const [stratum = '', arm = ''] = name.split('.')
      return known.flatMap((one, index) => blockOf(index, stratum, arm, one))
    })
    .sort((a, b) => a.start - b.start)
}
