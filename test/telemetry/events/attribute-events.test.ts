import { describe, expect, it } from 'vitest'
import { attributeEvents, type Sender } from '../../../src/telemetry/events/attribute-events.ts'
import { parseEvents } from '../../../src/telemetry/events/parse-events.ts'
import { signTag } from '../../../src/telemetry/events/tag.ts'
import { createUnitHasher } from '../../../src/telemetry/events/unit.ts'
import { CLIENT, makeEnvironment, makeMeasurement, NOW, SERVER } from './fixtures.ts'

const environment = makeEnvironment([
  makeMeasurement({ id: 'r1', slices: ['plan', 'cf.country', 'device.class', 'bot', 'company.size'] }),
  makeMeasurement({ id: 'r2', by: 'company.id', slices: ['plan'] }),
])
const hash = createUnitHasher('secret')
const R1 = { id: 'r1', stage: 1, stratum: 'k', arm: 't' }
const R2 = { id: 'r2', stage: 0, stratum: '1', arm: 'c' }
const SIX_HOURS_MS = 6 * 3_600_000

function attribute(sender: Sender, ...events: object[]) {
  const parsed = parseEvents(events, new Set(), NOW)
  expect(parsed.rejected).toEqual([])
  return attributeEvents(parsed.events, environment, sender, NOW)
}

const EXPOSURE = { kind: 'exposure', flag: 'checkout', variant: 'on', unit: 'ada' }
const TRACK = { kind: 'track', name: 'purchase', unit: 'ada' }
const user = (trusted: boolean) => ({ kind: 'user', id: hash('user', 'ada'), trusted })
const company = (trusted: boolean) => ({ kind: 'company', id: hash('company', 'acme'), trusted })

describe('with a server key', () => {
  it.each([
    ['without a tag', undefined, null],
    ['with a tag', 'r1.1.k.t', R1],
    ['with the tag of what nobody knows', 'r9.1.k.t', { ...R1, id: 'r9' }],
    ['with a text that is no tag', 'nonsense', null],
    ['with a text like a prototype', '__proto__', null],
  ])('events are believed: %s', (_, tag, expected) => {
    expect(attribute(SERVER, { ...TRACK, tag })).toMatchObject([
      { trusted: true, tag: expected, units: [user(true)], slices: null },
    ])
  })

  it('events about nobody are believed, and so is each of several units', () => {
    const both = { ...TRACK, unit: { user: 'ada', company: 'acme' } }
    expect(attribute(SERVER, { kind: 'measure', name: 'load', value: 1 }, both)).toMatchObject([
      { units: [], trusted: true },
      { units: [user(true), company(true)], trusted: true },
    ])
  })

  it('the unit that the tag is of comes first', () => {
    const both = { ...TRACK, unit: { user: 'ada', company: 'acme' }, tag: 'r2.0.1.c' }
    expect(attribute(SERVER, both)).toMatchObject([{ units: [company(true), user(true)], tag: R2 }])
  })

  it.each([
    ['nothing', undefined, [null, null, null, null, null]],
    [
      'flat ones',
      { plan: 'pro', 'cf.country': 'FR', 'device.class': 'fridge', bot: true },
      ['pro', 'FR', 'fridge', 'true', null],
    ],
    ['nested ones', { cf: { country: 'FR' }, company: { size: 12 } }, [null, 'FR', null, null, '12']],
    ['what is no text', { plan: { name: 'pro' }, bot: null, company: ['x'] }, [null, null, null, null, null]],
    ['long ones', { plan: 'x'.repeat(10_240) }, ['x'.repeat(100), null, null, null, null]],
  ])('the declared attributes are kept of what it says: %s', (_, attributes, slices) => {
    expect(attribute(SERVER, { ...EXPOSURE, tag: 'r1.1.k.t', attributes })).toMatchObject([{ slices }])
  })

  it.each([
    ['an exposure without a tag', EXPOSURE],
    ['a unit of another kind', { ...EXPOSURE, unit: { company: 'acme' }, tag: 'r1.1.k.t' }],
    ['no exposure', { ...TRACK, tag: 'r1.1.k.t' }],
  ])('no attributes are kept of %s', (_, event) => {
    expect(attribute(SERVER, { ...event, attributes: { plan: 'pro' } })).toMatchObject([{ slices: null }])
  })
})

describe('with a client key', () => {
  const signed = (tag: string, unit: string, at = NOW) => signTag(environment, tag, unit, at)

  it('an event is believed that its unit was tagged for', () => {
    const tag = signed('r1.1.k.t', 'ada')
    expect(attribute(CLIENT, { ...TRACK, tag })).toMatchObject([
      { units: [user(true)], tag: R1, trusted: false },
    ])
  })

  it.each([
    ['without a tag', undefined],
    ['with a tag that is not signed', 'r1.1.k.t'],
    ["with another unit's tag", signed('r1.1.k.t', 'bob')],
    ['with a tag of another arm than was signed', signed('r1.1.k.t', 'ada').replace('.t.', '.c.')],
    ['with a tag of two epochs ago', signed('r1.1.k.t', 'ada', NOW - 2 * SIX_HOURS_MS)],
    ['with a tag of what nobody knows', signed('r9.1.k.t', 'ada')],
    ['with a tag of another kind of unit, whose name is the same', signed('r2.0.1.c', 'ada')],
    ['with a text that is no tag', '__proto__'],
  ])('an event is for charts alone: %s', (_, tag) => {
    expect(attribute(CLIENT, { ...TRACK, tag })).toMatchObject([
      { units: [user(false)], tag: null, trusted: false },
    ])
  })

  it('of several units, the one that was tagged is believed, and comes first', () => {
    const unit = { user: 'ada', company: 'acme' }
    const events = [
      { ...TRACK, unit, tag: signed('r2.0.1.c', 'acme') },
      { ...TRACK, unit, tag: signed('r1.1.k.t', 'ada') },
      { ...TRACK, unit, tag: signed('r1.1.k.t', 'acme') },
    ]
    expect(attribute(CLIENT, ...events)).toMatchObject([
      { units: [company(true), user(false)], tag: R2 },
      { units: [user(true), company(false)], tag: R1 },
      { units: [user(false), company(false)], tag: null },
    ])
  })

  it('a tag is looked at anew for each unit of a batch', () => {
    const tag = signed('r1.1.k.t', 'ada')
    const events = [
      { ...TRACK, tag },
      { ...TRACK, unit: 'bob', tag },
      { ...TRACK, tag },
    ]
    expect(attribute(CLIENT, ...events).map(({ tag }) => tag)).toEqual([R1, null, R1])
  })

  it('what the edge knows stands in place of what the client says', () => {
    const attributes = {
      plan: 'pro',
      'cf.country': 'FR',
      cf: { country: 'FR' },
      device: { class: 'desktop' },
      bot: true,
    }
    const tag = signed('r1.1.k.t', 'ada')
    expect(attribute(CLIENT, { ...EXPOSURE, tag, attributes })).toMatchObject([
      { slices: ['pro', 'DE', 'mobile', 'false', null] },
    ])
    const unknown = { ...CLIENT, edge: new Map() }
    expect(attribute(unknown, { ...EXPOSURE, tag, attributes })).toMatchObject([
      { slices: ['pro', null, null, null, null] },
    ])
  })
})
