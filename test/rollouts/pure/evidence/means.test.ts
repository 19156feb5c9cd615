import { describe, expect, it } from 'vitest'
import { newEvidence } from '../../../../src/rollouts/evidence/evidence.ts'
import { takeBlocks } from '../../../../src/rollouts/evidence/take-blocks.ts'
import type { ArmTotals, Moments } from '../../../../src/telemetry/counting/totals.ts'
import {
  endOf,
  makeGround,
  makeGuard,
  makeMetric,
  makePlan,
  readFirst,
  START,
  TOLERANT,
  threshold,
} from './ground.ts'

const MOMENTS: Moments = {
  hits: 0,
  events: 0,
  y: 0,
  yy: 0,
  d: 0,
  dd: 0,
  yd: 0,
  x: 0,
  xx: 0,
  xy: 0,
  bounds: [],
}

/** The totals of an arm whose every unit has one of two values, half of them each. */
function makeTotals(
  arm: string,
  units: number,
  low: number,
  high: number,
  more: Partial<ArmTotals> = {},
): ArmTotals {
  const moments: Moments = {
    ...MOMENTS,
    hits: units,
    events: units,
    y: (units * (low + high)) / 2,
    yy: (units * (low ** 2 + high ** 2)) / 2,
  }
  const metrics = new Map([['errors', moments]])
  return { stage: 1, stratum: '1', arm, units, firsts: units, mixed: 0, metrics, ...more }
}

describe('means', () => {
  const metrics = [makeMetric('errors', 'mean')]
  const ground = makeGround(makePlan({ guardrails: [makeGuard(TOLERANT)] }), metrics)

  it('are compared over units, each stratum within itself', () => {
    const same = [makeTotals('t', 1000, 0, 20), makeTotals('c', 9000, 0, 20)]
    const evidence = takeBlocks(newEvidence(START), ground, { through: endOf(1), blocks: [] }, same)
    expect(readFirst(evidence, ground, same)).toMatchObject({
      verdict: 'fine',
      shownSafe: true,
      words: 'treated 10 on average over 1,000 units, control 10 on average over 9,000 units: 1 times',
    })
    // Insiders have ten times as much, in both arms: only together would that look like a difference.
    const insiders = [
      makeTotals('t', 900, 0, 200, { stratum: '3' }),
      makeTotals('c', 100, 0, 200, { stratum: '3' }),
    ]
    expect(readFirst(evidence, ground, [...same, ...insiders]).verdict).toBe('fine')
  })

  it('that are too high break it, and stay broken', () => {
    const worse = [makeTotals('t', 1000, 0, 30), makeTotals('c', 9000, 0, 20)]
    const evidence = takeBlocks(newEvidence(START), ground, { through: endOf(1), blocks: [] }, worse)
    expect(readFirst(evidence, ground)).toMatchObject({ verdict: 'broken', shownSafe: false })
    expect(readFirst(newEvidence(START), ground, worse).verdict).toBe('waiting')
  })

  it('wait for 50 units with anything to tell in each arm', () => {
    const few = [makeTotals('t', 49, 10, 30), makeTotals('c', 9000, 0, 1)]
    const evidence = takeBlocks(newEvidence(START), ground, { through: endOf(1), blocks: [] }, few)
    expect(readFirst(evidence, ground, few).verdict).toBe('waiting')
  })

  it('against a limit go by the treated who had anything to tell', () => {
    const rated = makeGround(makePlan({ guardrails: [makeGuard(threshold(7, { side: 'below' }))] }), metrics)
    const totals = (low: number, high: number) => {
      const arm = makeTotals('t', 400, low, high)
      return [{ ...arm, units: 10_000 }]
    }
    const take = (arms: readonly ArmTotals[]) =>
      readFirst(takeBlocks(newEvidence(START), rated, { through: endOf(1), blocks: [] }, arms), rated, arms)
    expect(take(totals(6, 9))).toMatchObject({ verdict: 'fine', treatment: { hits: 3000, units: 400 } })
    expect(take(totals(5, 7)).verdict).toBe('broken')
  })
})
