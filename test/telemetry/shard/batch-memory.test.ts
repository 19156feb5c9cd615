import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BatchMemory } from '../../../src/telemetry/shard/batch-memory.ts'

const DAY_MS = 86_400_000
const SPAN_MS = 600_000
const NOW = Date.UTC(2026, 10, 20, 12)

function makeId(at: number, random: readonly number[] = []): Uint8Array {
  const id = new Uint8Array(16)
  for (let index = 5, rest = at; index >= 0; index--, rest = Math.floor(rest / 256)) id[index] = rest % 256
  for (let index = 6; index < 16; index++) id[index] = random[index - 6] ?? 0
  id[6] = 0x70 | ((id[6] ?? 0) & 0x0f)
  id[8] = 0x80 | ((id[8] ?? 0) & 0x3f)
  return id
}

const textOf = (id: Uint8Array) => id.join(' ')

/** Ids that are alike but for a bit or two, of a few spans of time. */
const arbitraryId = fc
  .tuple(
    fc.oneof(
      fc.integer({ min: NOW - 3 * SPAN_MS, max: NOW }),
      fc.integer({ min: NOW - 5, max: NOW }),
      fc.constantFrom(NOW - SPAN_MS, NOW, NOW + SPAN_MS),
    ),
    fc.array(fc.constantFrom(0, 1, 128, 255), { minLength: 10, maxLength: 10 }),
  )
  .map(([at, random]) => makeId(at, random))

describe('a batch memory', () => {
  it('knows what a set of all ids would know', () => {
    fc.assert(
      fc.property(fc.array(arbitraryId, { maxLength: 400 }), fc.integer(), (ids, seed) => {
        const memory = new BatchMemory(seed)
        const set = new Set<string>()
        for (const id of ids) {
          expect(memory.standing(id)).toBe(set.has(textOf(id)) ? 'known' : 'new')
          if (!set.has(textOf(id))) memory.add(id)
          set.add(textOf(id))
          expect([memory.standing(id), memory.size]).toEqual(['known', set.size])
        }
      }),
      { numRuns: 300 },
    )
  })

  it('tells ids apart by each of their random bits, and by the millisecond', () => {
    const id = makeId(NOW)
    const others = [makeId(NOW + 1), makeId(NOW - 1), makeId(NOW + SPAN_MS), makeId(NOW - 144 * SPAN_MS)]
    for (let bit = 0; bit < 128; bit++) {
      const other = id.slice()
      other[bit >> 3] = (other[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      // Version and variant are the same in all of them, and the other first bits are time.
      const isRandom = bit >= 48 && (bit < 52 || bit > 55) && bit !== 70 && bit !== 71
      if (isRandom) others.push(other)
    }
    const memory = new BatchMemory(1)
    memory.add(id)
    expect(others).toHaveLength(4 + 74)
    for (const other of others) expect(memory.standing(other)).toBe('new')
  })

  it("forgets after a day, by the ids' own time", () => {
    const memory = new BatchMemory(1)
    const ids = [0, 1, SPAN_MS, 2 * SPAN_MS].map((later) => makeId(NOW - DAY_MS + later))
    for (const id of ids) memory.add(id)
    memory.expire(NOW + 1)
    expect(ids.map((id) => memory.standing(id))).toEqual(['expired', 'known', 'known', 'known'])
    memory.expire(NOW + SPAN_MS + 1)
    expect(ids.map((id) => memory.standing(id))).toEqual(['expired', 'expired', 'expired', 'known'])
    memory.expire(NOW)
    expect([memory.since, memory.standing(makeId(NOW - DAY_MS + SPAN_MS))]).toEqual([
      NOW - DAY_MS + SPAN_MS + 1,
      'expired',
    ])
  })

  it('forgets the oldest ten minutes as a whole when there are too many, and never guesses', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.nat(255), fc.nat(255)), { maxLength: 300 }),
        (steps) => {
          const memory = new BatchMemory(7, 50)
          const added = new Set<string>()
          for (const [span, one, other] of steps) {
            const id = makeId(NOW + span * SPAN_MS, [0, 0, 0, one, other])
            const standing = memory.standing(id)
            // What was added is known or expired, and nothing else is ever known.
            if (standing !== 'expired') expect(standing === 'known').toBe(added.has(textOf(id)))
            if (standing === 'new') memory.add(id)
            added.add(textOf(id))
            expect(memory.size).toBeLessThanOrEqual(50)
            expect(memory.standing(id)).not.toBe('new')
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  it('takes 12 bytes for an id, and room to find it', () => {
    const memory = new BatchMemory(3)
    const before = process.memoryUsage().arrayBuffers
    for (let count = 0; count < 300_000; count++) {
      memory.add(makeId(NOW + (count % SPAN_MS), [0, 0, 0, count & 255, (count >> 8) & 255, count >> 16]))
    }
    const bytes = process.memoryUsage().arrayBuffers - before
    expect([memory.size, bytes / memory.size < 30]).toEqual([300_000, true])
  })
})
