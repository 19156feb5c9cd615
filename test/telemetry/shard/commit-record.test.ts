import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  type CommitRecord,
  decodeRecord,
  encodeRecord,
  type RecordPart,
} from '../../../src/telemetry/shard/commit-record.ts'

const count = fc.record({
  variant: fc.option(fc.string()),
  reason: fc.string(),
  evaluations: fc.nat(),
})

const tallied = fc.record({
  minutes: fc
    .array(fc.tuple(fc.nat(), fc.array(fc.tuple(fc.string({ unit: 'grapheme' }), fc.array(count)))))
    .map((minutes) => new Map(minutes.map(([minute, flags]) => [minute, new Map(flags)]))),
  uncounted: fc.boolean(),
  contexts: fc.option(fc.array(fc.record({ at: fc.nat(), text: fc.string({ unit: 'grapheme' }) }))),
})

const part: fc.Arbitrary<RecordPart> = fc.oneof(
  fc.record({
    kind: fc.constant('message' as const),
    id: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    events: fc.uint8Array({ maxLength: 300 }),
    tallied: fc.option(tallied),
  }),
  fc.record({
    kind: fc.constant('plan' as const),
    plan: fc.record({
      version: fc.nat(),
      fingerprint: fc.string(),
      metrics: fc.constant([]),
      measurements: fc.constant([]),
    }),
  }),
  fc.record({
    kind: fc.constant('erase' as const),
    unit: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => String.fromCharCode(...bytes)),
  }),
)

const record: fc.Arbitrary<CommitRecord> = fc.record({
  at: fc.nat(Number.MAX_SAFE_INTEGER),
  rowsWritten: fc.nat(Number.MAX_SAFE_INTEGER),
  planVersion: fc.nat(),
  parts: fc.array(part, { maxLength: 8 }),
})

it('reads every record as it was written, wherever it lies in memory', () => {
  fc.assert(
    fc.property(record, fc.nat(9), (written, offset) => {
      const bytes = encodeRecord(written)
      const elsewhere = new Uint8Array(bytes.length + offset)
      elsewhere.set(bytes, offset)
      expect(decodeRecord(elsewhere.subarray(offset))).toEqual(written)
    }),
  )
})

it('reads what was written when the format was made', () => {
  const bytes = [
    ...[1, 66, 121, 170, 40, 76, 136, 0, 0, 64, 69, 0, 0, 0, 0, 0, 0, 64, 8, 0, 0, 0, 0, 0, 0],
    ...[0, 0, 0, 0, 2, 7, 8, 0, 0, 0, 1, 9, 0, 0, 0, 16, ...new TextEncoder().encode('[[],true,[null]]')],
    ...[2, 0, 0, 0, 2, 97, 255],
  ]
  expect(decodeRecord(Uint8Array.from(bytes))).toEqual({
    at: 1_763_663_202_432,
    rowsWritten: 42,
    planVersion: 3,
    parts: [
      {
        kind: 'message',
        id: Uint8Array.of(7, 8),
        events: Uint8Array.of(9),
        tallied: { minutes: new Map(), uncounted: true, contexts: [null] },
      },
      { kind: 'erase', unit: 'aÿ' },
    ],
  })
})

it.each([
  ['of a form that is not known', [9, ...new Array(24).fill(0)]],
  ['with a part that is not known', [1, ...new Array(24).fill(0), 77]],
])('does not read one %s', (_, bytes) => {
  expect(() => decodeRecord(Uint8Array.from(bytes))).toThrow('unknown')
})
