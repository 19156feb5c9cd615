import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { ArmTotals, Moments } from '../../../src/telemetry/counting/totals.ts'
import { mergeTotals } from '../../../src/telemetry/reading/totals.ts'

const BOUNDS = [10, 20]

/** A unit's total and denominator, what it was before, and its observations, all and above each bound. */
type Observed = {
  readonly stage: number
  readonly arm: string
  readonly y: number
  readonly d: number
  readonly x: number
  readonly o: number
  readonly b: readonly [number, number]
}

/** The sums over some units, from what they are defined as. */
function momentsOf(units: readonly Observed[]): Moments {
  const sum = (of: (unit: Observed) => number) => units.reduce((all, unit) => all + of(unit), 0)
  return {
    hits: sum(({ y }) => Math.min(1, y)),
    events: sum(({ y }) => y),
    y: sum(({ y }) => y),
    yy: sum(({ y }) => y * y),
    d: sum(({ d }) => d),
    dd: sum(({ d }) => d * d),
    yd: sum(({ y, d }) => y * d),
    x: sum(({ x }) => x),
    xx: sum(({ x }) => x * x),
    xy: sum(({ x, y }) => x * y),
    bounds: BOUNDS.map((bound, index) => ({
      bound,
      o: sum(({ o }) => o),
      oo: sum(({ o }) => o * o),
      b: sum(({ b }) => b[index] ?? 0),
      bb: sum(({ b }) => (b[index] ?? 0) ** 2),
      ob: sum(({ o, b }) => o * (b[index] ?? 0)),
    })),
  }
}

function totalsOf(units: readonly Observed[]): ArmTotals[] {
  const arms = Map.groupBy(units, ({ stage, arm }) => `${stage}${arm}`)
  return [...arms]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, list]) =>
      list.slice(0, 1).map(({ stage, arm }) => ({
        stage,
        stratum: '1',
        arm,
        units: list.length,
        firsts: list.length,
        mixed: list.filter(({ x }) => x === 0).length,
        metrics: new Map([['orders', momentsOf(list)]]),
      })),
    )
}

const small = fc.nat(5)
const unit: fc.Arbitrary<Observed> = fc.record({
  stage: fc.nat(1),
  arm: fc.constantFrom('c', 't'),
  y: small,
  d: small,
  x: small,
  o: small,
  b: fc.tuple(small, small),
})

it('is the sum over the units of all shards', () => {
  fc.assert(
    fc.property(fc.array(fc.array(unit, { maxLength: 20 }), { maxLength: 4 }), (shards) => {
      expect(mergeTotals(shards.map(totalsOf))).toEqual(totalsOf(shards.flat()))
    }),
  )
})

it('keeps strata apart, and has metrics and bounds that only one shard has', () => {
  const [one] = totalsOf([{ stage: 0, arm: 't', y: 1, d: 0, x: 0, o: 1, b: [1, 0] }])
  if (!one) throw new Error('there are none')
  const moments = momentsOf([])
  const bound = { bound: 5, o: 1, oo: 1, b: 1, bb: 1, ob: 1 }
  const another = { ...one, metrics: new Map([['errors', { ...moments, bounds: [bound] }]]) }
  const merged = mergeTotals([[one], [{ ...one, stratum: '2' }, another]])
  expect(merged.map(({ stratum, units }) => [stratum, units])).toEqual([
    ['1', 2],
    ['2', 1],
  ])
  expect(merged[0]?.metrics).toEqual(new Map([...one.metrics, ...another.metrics]))
})
