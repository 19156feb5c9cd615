import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeBatch, encodeBatch } from '../../../src/telemetry/events/batch-codec.ts'
import type { ShardEvent } from '../../../src/telemetry/events/event.ts'
import { anyShardEvent } from './arbitraries.ts'

const EVENT: ShardEvent = {
  kind: 'track',
  name: 'purchase',
  flag: '',
  variant: '',
  unitKind: 'user',
  unit: '\x00\x01\x02\x03\x04\x05\x06\x07\xf8\xf9\xfa\xfb\xfc\xfd\xfe\xff',
  tag: null,
  trusted: true,
  automatic: false,
  primary: true,
  home: true,
  value: 7,
  at: 1_700_000_000_000,
  slices: null,
}

/** What version 1 made of the three events below. */
const GOLDEN = [
  '010300008056febc7842',
  '7519000870757263686173650004757365720001020304050607f8f9fafbfcfdfeff0e34fe00016600026f6e02',
  '0001020304050607f8f9fafbfcfdfeff00000272310200016b0001740301024445000505b47e03040200010203',
  '04050607f8f9fafbfcfdfeff0103090005000000000000e03f',
].join('')

describe('a batch', () => {
  it('is unpacked as it was packed', () => {
    fc.assert(
      fc.property(fc.array(anyShardEvent, { maxLength: 40 }), (events) => {
        expect(decodeBatch(encodeBatch(events))).toEqual(events)
      }),
      { numRuns: 2_000 },
    )
  })

  it('is packed in bytes that never change', () => {
    const tag = { id: 'r1', stage: 2, stratum: 'k', arm: 't' }
    const exposure: ShardEvent = {
      ...EVENT,
      kind: 'exposure',
      name: '',
      flag: 'f',
      variant: 'on',
      tag,
      value: Number.NaN,
      at: EVENT.at - 3,
      slices: ['DE', null, 'on'],
    }
    const bytes = encodeBatch([EVENT, exposure, { ...exposure, value: 0.5 }])
    expect(Buffer.from(bytes).toString('hex')).toBe(GOLDEN)
    expect(decodeBatch(Uint8Array.from(Buffer.from(GOLDEN, 'hex')))).toHaveLength(3)
  })

  it('holds a text and a tag once', () => {
    const tag = { id: 'rollout-of-the-year', stage: 2, stratum: 'k', arm: 't' }
    const one = encodeBatch([{ ...EVENT, tag }]).length
    const more = encodeBatch(Array.from({ length: 101 }, () => ({ ...EVENT, tag }))).length
    // Two bytes of bits, three numbers, the unit, and the value.
    expect((more - one) / 100).toBe(2 + 3 + 16 + 1)
  })

  it.each([
    ['nothing', []],
    ['another version', [2, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ['more events than there are', [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]],
    ['more than its events', [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ['an event of no kind', [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0]],
    ['a value of no form', [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0xc0, 0]],
    ['a text that did not come before', [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]],
    ['a tag that did not come before', [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 1]],
    ['a text beyond the end', [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 9, 97]],
    ['a text that is no UTF-8', [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0xff]],
    ['an integer without end', [1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255]],
  ])('is no batch: %s', (_, bytes) => {
    expect(() => decodeBatch(Uint8Array.from(bytes))).toThrow()
  })

  it('is refused or read when it is anything, and never takes long', () => {
    const start = performance.now()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const tail = Uint8Array.from([1, ...bytes])
        try {
          expect(decodeBatch(tail).length).toBeLessThanOrEqual(300)
        } catch (error) {
          expect(error).toBeInstanceOf(Error)
        }
      }),
      { numRuns: 2_000 },
    )
    expect(performance.now() - start).toBeLessThan(30_000)
  })

  it('is cut off anywhere and never read', () => {
    const bytes = encodeBatch([EVENT, { ...EVENT, name: 'refund', value: 0.25 }])
    for (let end = 0; end < bytes.length; end++) {
      expect(() => decodeBatch(bytes.subarray(0, end))).toThrow()
    }
  })
})
