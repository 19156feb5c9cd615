// Over how many shards events are spread, and for how long an older answer stays.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ShardLayout } from '../../src/catalog/entities.ts'
import { initialLayouts, mostShards, nextLayouts, shardsAt } from '../../src/catalog/layouts.ts'

const NOW = 1_800_000_000_000
const HOUR = 3_600_000

/** The layouts after settings were changed one after the other. */
function changing(first: number, changes: readonly { readonly at: number; readonly shards: number }[]) {
  return changes.reduce<readonly ShardLayout[]>(
    (layouts, { at, shards }) => nextLayouts(layouts, shards, at),
    initialLayouts(first),
  )
}

describe('layouts', () => {
  it.each([
    ['of two shards are none', 2, [], []],
    ['of another number hold from the beginning', 5, [], [{ since: 0, shards: 5 }]],
    ['do not change with the same number', 2, [{ at: NOW, shards: 2 }], []],
    [
      'of a first change begin with two shards',
      2,
      [{ at: NOW, shards: 4 }],
      [
        { since: 0, shards: 2 },
        { since: NOW + 12 * 60_000, shards: 4 },
      ],
    ],
    [
      'change back as they changed',
      3,
      [
        { at: NOW, shards: 1 },
        { at: NOW + 5, shards: 3 },
        { at: NOW + 9, shards: 3 },
      ],
      [
        { since: 0, shards: 3 },
        { since: NOW + 12 * 60_000, shards: 1 },
        { since: NOW + 720_005, shards: 3 },
      ],
    ],
  ])('%s', (_, first, changes, layouts) => {
    expect(changing(first, changes)).toEqual(layouts)
  })

  it.each([
    [0, 2],
    [NOW + 12 * 60_000 - 1, 2],
    [NOW + 12 * 60_000, 4],
    [NOW + HOUR, 4],
  ])('answer for an instant: %s, %s shards', (at, shards) => {
    expect(shardsAt(changing(2, [{ at: NOW, shards: 4 }]), at)).toBe(shards)
  })

  it('are two shards where nothing is said', () => {
    expect([shardsAt([], NOW), mostShards([])]).toEqual([2, 2])
    expect(shardsAt([{ since: NOW, shards: 9 }], NOW - 1)).toBe(2)
  })

  it('drop the oldest once there are more than eight, it is of no use any more and was no larger', () => {
    const days = (count: number) =>
      Array.from({ length: count }, (_, day) => ({ at: NOW + day * 24 * HOUR, shards: 3 + (day % 2) }))
    expect(changing(2, days(7))).toHaveLength(8)
    expect(changing(2, days(8)).map(({ shards }) => shards)).toEqual([3, 4, 3, 4, 3, 4, 3, 4])
    expect(changing(16, days(20)).map(({ shards }) => shards)).toEqual([16, 3, 4, 3, 4, 3, 4, 3, 4])
  })

  it('keep all of the last 48 hours, however many', () => {
    const changes = Array.from({ length: 40 }, (_, i) => ({ at: NOW + i * HOUR, shards: 1 + (i % 2) }))
    expect(changing(3, changes)).toHaveLength(41)
  })
})

const histories = fc
  .array(
    fc.record({ after: fc.integer({ min: 1, max: 100 * HOUR }), shards: fc.integer({ min: 1, max: 16 }) }),
    {
      maxLength: 40,
    },
  )
  .map((changes) => {
    let at = NOW
    return changes.map(({ after, shards }) => {
      at += after
      return { at, shards }
    })
  })

describe('whatever is changed', () => {
  it('a batch of the last 48 hours finds the shards that it found when it was made', () => {
    fc.assert(
      fc.property(
        histories,
        fc.integer({ min: 1, max: 16 }),
        fc.integer({ min: 0, max: 48 * HOUR }),
        (changes, first, age) => {
          const end = changes.at(-1)?.at ?? NOW
          const made = changing(
            first,
            changes.filter(({ at }) => at <= end - age),
          )
          expect(shardsAt(changing(first, changes), end - age)).toBe(shardsAt(made, end - age))
        },
      ),
    )
  })

  it('nothing that was ever counted is out of reach, and the list stays short', () => {
    fc.assert(
      fc.property(histories, fc.integer({ min: 1, max: 16 }), (changes, first) => {
        const layouts = changing(first, changes)
        expect(mostShards(layouts)).toBe(Math.max(first, ...changes.map(({ shards }) => shards)))
        const since = layouts.map((layout) => layout.since)
        expect(since).toEqual(since.toSorted((one, other) => one - other))
        const end = changes.at(-1)?.at ?? NOW
        const recent = layouts.filter((layout) => layout.since > end - 48 * HOUR)
        expect(layouts.length).toBeLessThanOrEqual(8 + 16 + 1 + recent.length)
      }),
    )
  })
})
