import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { attributeEvents } from '../../../src/telemetry/events/attribute-events.ts'
import { encodeBatch } from '../../../src/telemetry/events/batch-codec.ts'
import { createBatchId } from '../../../src/telemetry/events/batch-id.ts'
import { parseEvents } from '../../../src/telemetry/events/parse-events.ts'
import { routeEvents } from '../../../src/telemetry/events/route-events.ts'
import { makeEnvironment, makeMeasurement, NOW, SERVER } from './fixtures.ts'

const HOUR_MS = 3_600_000
const EXPOSURE = { kind: 'exposure', flag: 'checkout', variant: 'on', unit: 'ada' }
const TRACK = { kind: 'track', name: 'purchase', unit: 'ada' }
const MEASURE = { kind: 'measure', name: 'load', value: 120 }
const LATENCIES = new Set(['load'])

function parse(...events: unknown[]) {
  return parseEvents(events, LATENCIES, NOW)
}

const ADA = [{ kind: 'user', name: 'ada' }]
const BARE = { flag: '', variant: '', tag: null, attributes: null, at: NOW }

describe('an event', () => {
  it('is an exposure, a track or a measure', () => {
    expect(parse(EXPOSURE, TRACK, MEASURE)).toEqual({
      rejected: [],
      events: [
        {
          ...BARE,
          kind: 'exposure',
          name: '',
          flag: 'checkout',
          variant: 'on',
          units: ADA,
          value: Number.NaN,
        },
        { ...BARE, kind: 'track', name: 'purchase', units: ADA, value: Number.NaN },
        { ...BARE, kind: 'measure', name: 'load', units: [], value: 120 },
      ],
    })
  })

  it('says more where it can, and what is not known is let be', () => {
    const exposure = {
      ...EXPOSURE,
      tag: 'r1.0.k.t',
      attributes: { plan: 'pro' },
      value: 'x',
      name: 7,
      extra: {},
    }
    const track = { ...TRACK, value: -2.5, tag: 'anything', flag: 7, variant: [], attributes: 'x' }
    const measure = { ...MEASURE, flag: 'checkout', variant: 'on', unit: 'ada', tag: null, at: null }
    expect(parse(exposure, track, measure)).toMatchObject({
      rejected: [],
      events: [
        { tag: 'r1.0.k.t', attributes: { plan: 'pro' } },
        { value: -2.5, tag: 'anything', flag: '', variant: '', attributes: null },
        { flag: 'checkout', variant: 'on', units: ADA, tag: null, at: NOW },
      ],
    })
  })

  it.each([
    ['a text', 'ada', ADA],
    ['a number', 42, [{ kind: 'user', name: '42' }]],
    ['a number with a fraction', -1.5, [{ kind: 'user', name: '-1.5' }]],
    ['as long as one can be', 'x'.repeat(512), [{ kind: 'user', name: 'x'.repeat(512) }]],
    ['an object by kinds', { user: 'ada', company: 7 }, [...ADA, { kind: 'company', name: '7' }]],
    [
      'an object by attributes',
      { 'company.id': 'acme', targetingKey: 'ada' },
      [{ kind: 'company', name: 'acme' }, ...ADA],
    ],
    ['two of a kind, of which the first counts', { targetingKey: 'ada', user: 'bob' }, ADA],
    ['an object with nothing in between', { user: 'ada', company: null }, ADA],
    ['of a kind like a prototype', JSON.parse('{"__proto__":"ada"}'), [{ kind: '__proto__', name: 'ada' }]],
  ])('has a unit that is %s', (_, unit, units) => {
    expect(parse({ ...TRACK, unit }).events).toEqual([expect.objectContaining({ units })])
  })

  it.each([
    ['2023-11-14T22:13:20Z', NOW],
    ['2023-11-14T23:13:20.250+01:00', NOW + 250],
    [NOW - 48 * HOUR_MS, NOW - 48 * HOUR_MS],
    [NOW + 300_000, NOW + 300_000],
    [NOW - 0.5, NOW - 1],
  ])('happened at %s', (at, milliseconds) => {
    expect(parse({ ...TRACK, at }).events).toEqual([expect.objectContaining({ at: milliseconds })])
  })

  it.each([
    ['invalid_event', null],
    ['invalid_event', 'track'],
    ['invalid_event', [TRACK]],
    ['unknown_kind', {}],
    ['unknown_kind', { ...TRACK, kind: 'Track' }],
    ['unknown_kind', { ...TRACK, kind: ['track'] }],
    ['invalid_name', { ...TRACK, name: '' }],
    ['invalid_name', { ...TRACK, name: 7 }],
    ['invalid_name', { ...TRACK, name: undefined }],
    ['invalid_name', { ...MEASURE, name: 'x'.repeat(201) }],
    ['invalid_flag', { ...EXPOSURE, flag: undefined }],
    ['invalid_flag', { ...EXPOSURE, flag: '' }],
    ['invalid_flag', { ...EXPOSURE, flag: 'x'.repeat(10_000) }],
    ['invalid_flag', { ...MEASURE, flag: 7 }],
    ['invalid_variant', { ...EXPOSURE, variant: undefined }],
    ['invalid_variant', { ...EXPOSURE, variant: true }],
    ['invalid_variant', { ...MEASURE, variant: '' }],
    ['invalid_unit', { ...TRACK, unit: undefined }],
    ['invalid_unit', { ...EXPOSURE, unit: null }],
    ['invalid_unit', { ...TRACK, unit: '' }],
    ['invalid_unit', { ...TRACK, unit: true }],
    ['invalid_unit', { ...TRACK, unit: ['ada'] }],
    ['invalid_unit', { ...TRACK, unit: 'x'.repeat(513) }],
    ['invalid_unit', { ...TRACK, unit: Number.NaN }],
    ['invalid_unit', { ...TRACK, unit: {} }],
    ['invalid_unit', { ...TRACK, unit: { user: null } }],
    ['invalid_unit', { ...TRACK, unit: { user: { id: 'ada' } } }],
    ['invalid_unit', { ...TRACK, unit: { ['x'.repeat(201)]: 'ada' } }],
    ['invalid_unit', { ...TRACK, unit: { '': 'ada' } }],
    ['invalid_unit', { ...TRACK, unit: { a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1, h: 1, i: 1 } }],
    ['invalid_value', { ...MEASURE, value: undefined }],
    ['invalid_value', { ...MEASURE, value: null }],
    ['invalid_value', { ...MEASURE, value: '7' }],
    ['invalid_value', { ...MEASURE, value: 'NaN' }],
    ['invalid_value', { ...TRACK, value: 1e308 }],
    ['invalid_value', { ...TRACK, value: 1.1e15 }],
    ['invalid_value', { ...TRACK, value: Number.NEGATIVE_INFINITY }],
    ['negative_latency', { ...MEASURE, value: -1 }],
    ['negative_latency', { ...TRACK, name: 'load', value: -0.001 }],
    ['invalid_tag', { ...EXPOSURE, tag: 7 }],
    ['invalid_tag', { ...EXPOSURE, tag: 'x'.repeat(513) }],
    ['invalid_attributes', { ...EXPOSURE, attributes: [] }],
    ['invalid_attributes', { ...EXPOSURE, attributes: 'plan' }],
    ['invalid_at', { ...TRACK, at: 'yesterday' }],
    ['invalid_at', { ...TRACK, at: '2023-02-30T00:00:00Z' }],
    ['invalid_at', { ...TRACK, at: Number.POSITIVE_INFINITY }],
    ['invalid_at', { ...TRACK, at: {} }],
    ['too_old', { ...TRACK, at: NOW - 48 * HOUR_MS - 1 }],
    ['too_old', { ...TRACK, at: -1e308 }],
    ['too_old', { ...TRACK, at: NOW / 1_000 }],
    ['too_far_ahead', { ...TRACK, at: NOW + 300_001 }],
    ['too_far_ahead', { ...TRACK, at: 1e308 }],
  ])('is refused as %s: %j', (code, event) => {
    expect(parse(TRACK, event, MEASURE)).toMatchObject({
      events: [{ kind: 'track' }, { kind: 'measure' }],
      rejected: [{ index: 1, code, message: expect.stringMatching(/^the |^an /) }],
    })
  })

  it('is refused or read, whatever it is', () => {
    const fields = fc.constantFrom(
      'kind',
      'name',
      'flag',
      'variant',
      'unit',
      'value',
      'tag',
      'attributes',
      'at',
    )
    const values = fc.oneof(fc.constantFrom('exposure', 'track', 'measure', NOW, 'ada'), fc.jsonValue())
    const anything = fc.oneof(fc.jsonValue(), fc.dictionary(fields, values))
    fc.assert(
      fc.property(fc.array(anything), (events) => {
        const { events: parsed, rejected } = parseEvents(events, LATENCIES, NOW)
        expect(parsed.length + rejected.length).toBe(events.length)
      }),
      { numRuns: 3_000 },
    )
  })
})

it('takes no long look at a unit of too many kinds', () => {
  const unit = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, 1]))
  const start = performance.now()
  expect(parse({ ...TRACK, unit }).rejected).toMatchObject([{ code: 'invalid_unit' }])
  expect(performance.now() - start).toBeLessThan(1_000)
})

describe('the largest batches', () => {
  const kinds = 'abcdefgh'.split('')
  const measurement = makeMeasurement({ id: 'r', by: 'a', slices: kinds.map((kind) => `s${kind}`) })
  const environment = makeEnvironment([measurement])

  /** 5,000 events that differ in all they can, with units of 8 kinds, in at most 1 MiB. */
  function makeBody(make: (i: number, filler: string) => object): unknown[] {
    const length = JSON.stringify({ events: Array.from({ length: 5_000 }, (_, i) => make(i, '')) }).length
    const filler = 'é'.repeat(Math.floor((1024 * 1024 - 100 - length) / 5_000 / 2))
    const body = JSON.stringify({ events: Array.from({ length: 5_000 }, (_, i) => make(i, filler)) })
    expect(new TextEncoder().encode(body).length).toBeLessThan(1024 * 1024)
    return JSON.parse(body).events
  }
  const unit = (i: number) => Object.fromEntries(kinds.map((kind) => [kind, i]))

  it.each<[string, (i: number, filler: string) => object]>([
    ['measures', (i, filler) => ({ kind: 'measure', name: i + filler, value: 0.1, unit: unit(i) })],
    [
      'exposures with slices',
      (i, filler) => ({
        kind: 'exposure',
        flag: 'f',
        variant: i + filler,
        tag: 'r.0.k.t',
        unit: unit(i),
        attributes: { sa: i, sb: i, sc: i },
      }),
    ],
    [
      'tracks at instants of their own',
      (i, filler) => ({
        kind: 'track',
        name: i + filler,
        value: 0.1,
        at: NOW - (i % 2) * 100_000_000,
        unit: unit(i),
      }),
    ],
  ])('fit into a row: %s', (_, make) => {
    const id = createBatchId(NOW)
    const { events, rejected } = parseEvents(makeBody(make), LATENCIES, NOW)
    expect([events.length, rejected]).toEqual([5_000, []])
    const attributed = attributeEvents(events, environment, SERVER, NOW)
    const [copies = []] = routeEvents(attributed, [], 1, id).values()
    expect(copies).toHaveLength(40_000)
    expect(encodeBatch(copies).length).toBeLessThan(1_900_000)
  })
})
