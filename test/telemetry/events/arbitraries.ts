import fc from 'fast-check'
import type { ShardEvent, Tag } from '../../../src/telemetry/events/event.ts'
import type { AttributedEvent } from '../../../src/telemetry/events/route-events.ts'

const words = fc.constantFrom('', 'a', 'checkout', 'Grüße', '日本語', '__proto__', 'x'.repeat(200))
export const anyText = fc.oneof(words, fc.string({ unit: 'grapheme', maxLength: 200 }))

export const anyUnitId = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => String.fromCharCode(...bytes))

export const anyTag: fc.Arbitrary<Tag> = fc.record({
  id: anyText,
  stage: fc.nat(),
  stratum: anyText,
  arm: fc.constantFrom('t', 'c', 'k3'),
})

export const anyValue = fc.oneof(
  fc.constantFrom(Number.NaN, 0, -0, 1, -1, 2 ** 29, -(2 ** 29), 2 ** 31, 1e15, -1e15, Infinity, 0.1),
  fc.integer(),
  fc.double(),
)

export const anyInstant = fc.oneof(
  fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
  fc.integer({ min: 0, max: 4_000_000_000_000 }),
)

const anySlices = fc.option(fc.array(fc.option(anyText), { maxLength: 8 }))

export const anyShardEvent: fc.Arbitrary<ShardEvent> = fc.record({
  kind: fc.constantFrom('exposure', 'track', 'measure'),
  name: anyText,
  flag: anyText,
  variant: anyText,
  unitKind: anyText,
  unit: fc.option(anyUnitId),
  tag: fc.option(anyTag),
  trusted: fc.boolean(),
  automatic: fc.boolean(),
  primary: fc.boolean(),
  home: fc.boolean(),
  value: anyValue,
  at: anyInstant,
  slices: anySlices,
})

const anyUnit = fc.record({
  kind: fc.constantFrom('user', 'company', 'device'),
  id: anyUnitId,
  trusted: fc.boolean(),
})

export const anyAttributedEvent: fc.Arbitrary<AttributedEvent> = fc.record({
  kind: fc.constantFrom('exposure', 'track', 'measure'),
  name: anyText,
  flag: anyText,
  variant: anyText,
  units: fc.uniqueArray(anyUnit, { selector: ({ kind }) => kind }),
  trusted: fc.boolean(),
  tag: fc.option(anyTag),
  automatic: fc.boolean(),
  value: anyValue,
  at: anyInstant,
  slices: anySlices,
})
