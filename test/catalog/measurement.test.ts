// The texts of metrics and measurements in a snapshot, and which kind of unit an attribute names.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  METRIC_KINDS,
  type Measurement,
  type Metric,
  measurementText,
  metricText,
  parseMeasurementText,
  parseMetricText,
  unitKindOf,
} from '../../src/catalog/measurement.ts'

it.each([
  ['targetingKey', 'user'],
  ['user.id', 'user'],
  ['company.id', 'company'],
  ['company.key', 'company'],
  ['company.plan', 'company.plan'],
  ['a.b.id', 'a.b'],
  ['device', 'device'],
  ['id', 'id'],
  ['.id', '.id'],
  ['company.idx', 'company.idx'],
])('units by %s are of the kind %s', (by, kind) => {
  expect(unitKindOf(by)).toBe(kind)
})

const finite = fc.double({ noNaN: true, noDefaultInfinity: true })
const names = fc.string({ unit: 'binary', maxLength: 20 })

const metrics = fc.record<Metric>({
  key: names,
  event: names,
  kind: fc.constantFrom(...METRIC_KINDS),
  denominator: fc.option(names),
  unit: names,
  goodDirection: fc.constantFrom('up', 'down'),
  cap: fc.option(finite),
  preExposure: fc.boolean(),
})

const measurements = fc.record<Measurement>({
  id: names,
  flag: names,
  kind: fc.constantFrom('rollout', 'experiment'),
  by: names,
  stage: fc.nat(),
  shards: fc.integer({ min: 1, max: 16 }),
  windowMs: fc.nat(),
  exposure: fc.constantFrom('use', 'assignment'),
  metrics: fc.array(fc.record({ metric: names, bounds: fc.array(finite, { maxLength: 4 }) })),
  slices: fc.array(names),
})

/** As JSON has it, which knows no zero below zero. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

describe('a text is read as it was written', () => {
  it('of every metric', () => {
    fc.assert(
      fc.property(metrics, (metric) => {
        expect(parseMetricText(metric.key, metricText(metric))).toEqual(plain(metric))
      }),
    )
  })

  it('of every measurement', () => {
    fc.assert(
      fc.property(measurements, (measurement) => {
        const read = parseMeasurementText(measurement.id, measurementText(measurement))
        expect(read).toEqual(plain(measurement))
      }),
    )
  })

  it('or not at all', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect([parseMetricText('m', text), parseMeasurementText('r', text)]).toEqual([undefined, undefined])
      }),
    )
  })
})
