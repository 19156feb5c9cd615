import { expect, it } from 'vitest'
import type { Metric } from '../../../src/catalog/measurement.ts'
import { mergeNames, toEventNames } from '../../../src/telemetry/reading/event-names.ts'

function makeMetric(metric: Partial<Metric>): Metric {
  const defaults = { kind: 'conversion', denominator: null, unit: 'user', goodDirection: 'up' } as const
  return { key: 'orders', event: 'order', ...defaults, cap: null, preExposure: false, ...metric }
}

it('adds up what each shard has seen', () => {
  const names = mergeNames([
    [{ name: 'order', count: 3, firstAt: 10, lastAt: 30 }],
    [
      { name: 'order', count: 4, firstAt: 20, lastAt: 40 },
      { name: 'view', count: 1, firstAt: 5, lastAt: 5 },
    ],
  ])
  expect([...names.values()]).toEqual([
    { name: 'order', count: 7, firstAt: 10, lastAt: 40 },
    { name: 'view', count: 1, firstAt: 5, lastAt: 5 },
  ])
})

it('tells what metrics use from what none does, and what of theirs never came', () => {
  const seen = (name: string, lastAt: number) => ({ name, count: lastAt, firstAt: 1, lastAt })
  const names = mergeNames([
    [seen('old', 2), seen('order', 3), seen('view', 4), seen('newest', 9), seen('also old', 2)],
  ])
  const metrics = [
    makeMetric({ key: 'rate', event: 'order', kind: 'ratio', denominator: 'view' }),
    makeMetric({ key: 'errors', event: 'oops', kind: 'error' }),
  ]
  expect(toEventNames(names, metrics)).toEqual({
    unused: [seen('newest', 9), seen('also old', 2), seen('old', 2)],
    metrics: [
      { metric: 'errors', event: 'oops', count: 0, firstAt: null, lastAt: null },
      { metric: 'rate', event: 'order', count: 3, firstAt: 1, lastAt: 3 },
    ],
  })
})
