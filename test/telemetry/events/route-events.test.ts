import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Measurement, unitKindOf } from '../../../src/catalog/measurement.ts'
import { createBatchId } from '../../../src/telemetry/events/batch-id.ts'
import { routeEvents } from '../../../src/telemetry/events/route-events.ts'
import { shardIndexOf } from '../../../src/telemetry/events/unit.ts'
import { anyAttributedEvent } from './arbitraries.ts'

const ID = createBatchId(1_700_000_000_000)

const anyMeasurement: fc.Arbitrary<Measurement> = fc.record({
  id: fc.string({ minLength: 1, maxLength: 8 }),
  flag: fc.constant('f'),
  kind: fc.constant('rollout'),
  by: fc.constantFrom('targetingKey', 'user', 'company', 'company.id', 'device.key', 'session'),
  stage: fc.nat(9),
  shards: fc.integer({ min: 1, max: 16 }),
  windowMs: fc.constant(1_800_000),
  exposure: fc.constant('use'),
  metrics: fc.constant([]),
  slices: fc.constant([]),
})

const anyRouting = [
  // Told apart by when they happened.
  fc.uniqueArray(anyAttributedEvent, { selector: ({ at }) => at, maxLength: 20 }),
  fc.array(anyMeasurement, { maxLength: 6 }),
  fc.integer({ min: 1, max: 16 }),
] as const

describe('events', () => {
  it('are each primary once: at the home of their first unit, or anywhere if about nobody', () => {
    fc.assert(
      fc.property(...anyRouting, (events, measurements, shards) => {
        const routed = [...routeEvents(events, measurements, shards, ID)].flatMap(([place, copies]) =>
          copies.map((copy) => ({ place, ...copy })),
        )
        for (const { at, units } of events) {
          const primaries = routed.filter((copy) => copy.at === at && copy.primary)
          expect(primaries).toHaveLength(1)
          const [first] = units
          expect(primaries[0]?.unit).toBe(first?.id ?? null)
          if (first) expect(primaries[0]?.place).toBe(shardIndexOf(first.id, shards))
        }
      }),
    )
  })

  it('reach the home of each unit and the place of each measurement of its kind, and nothing else, once', () => {
    fc.assert(
      fc.property(...anyRouting, (events, measurements, shards) => {
        const routed = routeEvents(events, measurements, shards, ID)
        const got = [...routed].flatMap(([place, copies]) =>
          copies
            .filter(({ unit }) => unit !== null)
            .map(({ at, unitKind, home }) => `${at} ${unitKind} ${place} ${home}`),
        )
        const wanted = events.flatMap(({ at, units }) =>
          units.flatMap(({ kind, id }) => {
            const home = shardIndexOf(id, shards)
            const own = measurements
              .filter(({ by }) => unitKindOf(by) === kind)
              .map((measurement) => shardIndexOf(id, measurement.shards))
            return [...new Set([home, ...own])].map((place) => `${at} ${kind} ${place} ${place === home}`)
          }),
        )
        expect(got.sort()).toEqual(wanted.sort())
      }),
    )
  })

  it('are copied with all they say; slices to the first unit alone', () => {
    fc.assert(
      fc.property(anyAttributedEvent, (event) => {
        const { units, trusted, slices, ...said } = event
        const copies = [...routeEvents([event], [], 4, ID).values()].flat()
        const wanted = units.map(({ kind, id, trusted }, i) => ({
          ...said,
          unitKind: kind,
          unit: id,
          trusted,
          home: true,
          primary: i === 0,
          slices: i === 0 ? slices : null,
        }))
        const nobody = { ...said, unitKind: '', unit: null, trusted, home: false, primary: true, slices }
        const byKind = (a: { unitKind: string }, b: { unitKind: string }) =>
          a.unitKind < b.unitKind ? -1 : 1
        expect(copies.sort(byKind)).toEqual(units.length === 0 ? [nobody] : wanted.sort(byKind))
      }),
    )
  })

  it('about nobody are spread by the id of their batch', () => {
    const event = fc.sample(anyAttributedEvent, 1).map((event) => ({ ...event, units: [] }))
    const places = Array.from({ length: 100 }, () => [...routeEvents(event, [], 4, createBatchId(1)).keys()])
    expect(new Set(places.flat())).toEqual(new Set([0, 1, 2, 3]))
  })
})
