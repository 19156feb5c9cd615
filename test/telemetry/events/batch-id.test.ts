import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createBatchId, formatBatchId, parseBatchId } from '../../../src/telemetry/events/batch-id.ts'

describe('a batch id', () => {
  it('says when it was made', () => {
    // The example of RFC 9562, A.6: 22 February 2022, 19:22:22 GMT.
    const id = parseBatchId('017F22E2-79B0-7CC3-98C4-DC0C0C07398F')
    expect(id?.at).toBe(1_645_557_742_000)
    expect(Buffer.from(id?.bytes ?? []).toString('hex')).toBe('017f22e279b07cc398c4dc0c0c07398f')
  })

  it.each([
    ['', 'empty'],
    ['017f22e2-79b0-4cc3-98c4-dc0c0c07398f', 'of version 4'],
    ['017f22e2-79b0-7cc3-c8c4-dc0c0c07398f', 'of another variant'],
    ['017f22e279b07cc398c4dc0c0c07398f', 'without hyphens'],
    ['017f22e2-79b0-7cc3-98c4-dc0c0c07398', 'too short'],
    ['017f22e2-79b0-7cc3-98c4-dc0c0c07398f0', 'too long'],
    ['017f22e2-79b0-7cc3-98c4-dc0c0c07398g', 'with something else than digits'],
  ])('is none: %s, %s', (text) => {
    expect(parseBatchId(text)).toBeUndefined()
  })

  it('is made with its instant, and read as it was made', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), (now) => {
        const id = createBatchId(now)
        expect(id.at).toBe(now)
        expect(parseBatchId(formatBatchId(id))).toEqual(id)
      }),
    )
  })

  it('is another each time', () => {
    expect(new Set(Array.from({ length: 100 }, () => formatBatchId(createBatchId(1)))).size).toBe(100)
  })
})
