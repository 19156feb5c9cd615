import { describe, expect, it } from 'vitest'
import type { Metric } from '../../../../src/catalog/measurement.ts'
import { type Counted, compareWithWeeks } from '../../../../src/rollouts/watch.ts'
import { makeGuardrail } from '../../../support/rollouts.ts'

const METRIC: Metric = {
  key: 'checkout-error',
  event: 'checkout-error',
  kind: 'error',
  denominator: null,
  unit: 'user',
  goodDirection: 'down',
  cap: null,
  preExposure: false,
}
const ORDERS: Metric = { ...METRIC, key: 'orders', kind: 'conversion', goodDirection: 'up' }
const LATENCY: Metric = { ...METRIC, key: 'latency', kind: 'latency' }
const P95 = makeGuardrail({
  test: { kind: 'threshold', side: 'above', limit: 1_000, quantile: 0.95, literal: null },
})

const counted = (exposures: number, events: number, quantile: number | null = null): Counted => ({
  exposures,
  events,
  sum: 0,
  denominator: 0,
  quantile,
})

describe('a metric is compared with the same hours of the weeks before', () => {
  it.each<[string, Metric, Counted, readonly Counted[], boolean]>([
    [
      'clearly worse than both',
      METRIC,
      counted(10_000, 200),
      [counted(9_000, 90), counted(11_000, 120)],
      true,
    ],
    [
      'worse than one of them alone',
      METRIC,
      counted(10_000, 200),
      [counted(9_000, 90), counted(9_000, 180)],
      false,
    ],
    ['worse by no more than weeks differ', METRIC, counted(100_000, 1_200), [counted(100_000, 1_000)], false],
    ['worse by what counting alone may show', METRIC, counted(1_000, 45), [counted(1_000, 31)], false],
    ['better', METRIC, counted(10_000, 40), [counted(9_000, 90)], false],
    ['without a week before', METRIC, counted(10_000, 200), [counted(0, 0)], false],
    ['too rare to tell', METRIC, counted(10_000, 29), [counted(10_000, 30)], false],
    ['fewer, where many are good', ORDERS, counted(10_000, 300), [counted(10_000, 600)], true],
    ['none, where many are good', ORDERS, counted(10_000, 0), [counted(10_000, 600)], true],
    ['more, where many are good', ORDERS, counted(10_000, 900), [counted(10_000, 600)], false],
  ])('%s', (_, metric, now, weeks, isWorse) => {
    expect(compareWithWeeks(metric, makeGuardrail(), now, weeks) !== undefined).toBe(isWorse)
  })

  it('says by how much, and that it proves nothing', () => {
    const weeks = [counted(10_000, 100), counted(10_000, 80)]
    expect(compareWithWeeks(METRIC, makeGuardrail(), counted(10_000, 200), weeks)).toEqual({
      ratio: 2,
      words:
        'checkout-error is at 2 %; in the same hours of the weeks before it was at 1 % and 0.8 %. There is no control any more, so this only says that it is different.',
    })
  })

  it('looks at the quantile that the guardrail looks at', () => {
    const weeks = [counted(10_000, 10_000, 400)]
    expect(compareWithWeeks(LATENCY, P95, counted(10_000, 10_000, 800), weeks)?.ratio).toBe(2)
    expect(compareWithWeeks(LATENCY, P95, counted(10_000, 10_000, 450), weeks)).toBeUndefined()
  })
})
